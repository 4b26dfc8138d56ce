//! The trust space, kept up to date: revocation lists and white list are fetched, checked, kept, and put in force.
//!
//! It decides about no message and knows no mail protocol.
#![warn(missing_docs)]

// The first of what is to come; each line goes away with its first real use.
use arc_swap::{self as _};
use mail_types::{self as _};
use pki::{self as _};
use policy::{self as _};
use reqwest::{self as _};
use serde::{self as _};
use serde_json::{self as _};
use store::{self as _};
use thiserror::{self as _};
use tokio::{self as _};
use tracing::{self as _};
use white_list::{self as _};
