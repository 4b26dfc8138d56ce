//! One's own mailbox: who reads it with what rights, its messages opened, read, downloaded, composed and submitted.
//!
//! Rights are the letters of RFC 4314 as IMAP asks for them, and `\Seen` changes by an explicit request only. What another than the holder reads is
//! told of in the audit trail before it is sent.

mod compose;
mod disposition;
mod download;
mod holder;
mod identifier;
mod letter;
mod submission;
mod upload;

pub(crate) use compose::{Correspondent, Draft};
pub(crate) use disposition::attachment as content_disposition;
pub(crate) use download::{decoded, raw};
pub(crate) use holder::{Holder, Place};
pub(crate) use identifier::MessageId;
pub(crate) use letter::{Letter, head};
pub(crate) use submission::{Recipient, Submission};
pub(crate) use upload::{Room, body_max, bound_body, collect};
