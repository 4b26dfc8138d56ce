//! White lists as they are published: the national signed XML and the brief's CSV become a [`policy::WhiteList`], or a named fault.
//!
//! It fetches nothing, keeps nothing, and does not know what a list is used for.
#![warn(missing_docs)]

// The first of what is to come; each line goes away with its first real use.
use bergshamra::{self as _};
use csv::{self as _};
use mail_types::{self as _};
use pki::{self as _};
use policy::{self as _};
use roxmltree::{self as _};
use thiserror::{self as _};
use time::{self as _};
