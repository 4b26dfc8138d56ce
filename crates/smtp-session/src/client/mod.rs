//! The client's side: what the delivery agent needs around its sockets.
//!
//! [`ReplyParser`] turns octets into [`ServerReply`]s, [`Extensions`] reads the EHLO reply, [`Transaction`] sends one message to
//! several recipients and says what became of each, [`DotStuffer`] prepares content for DATA. Connecting, TLS, time limits and
//! the choice of when to try again are the agent's.

mod dot_stuffer;
mod extensions;
mod reply;
mod reply_parser;
mod transaction;

pub use dot_stuffer::DotStuffer;
pub use extensions::Extensions;
pub use reply::ServerReply;
pub use reply_parser::{Fault, ReplyParser};
pub use transaction::{Outcome, RecipientOutcome, State, Transaction};
