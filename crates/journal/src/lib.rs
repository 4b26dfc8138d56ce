//! The journal of judgements: who was let in or refused, by which certificate, list and reason.
//!
//! It decides nothing and never keeps a session waiting.
#![warn(missing_docs)]

// The first of what is to come; each line goes away with its first real use.
use mail_types::{self as _};
use store::{self as _};
use tokio::{self as _};
use tracing::{self as _};
