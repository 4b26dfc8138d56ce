//! What a decoder gives to the edge.

use crate::command::{AppendStep, Command};
use mail_types::Secret;

/// What the client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A synchronising literal was announced and its size is acceptable: send `+ OK` and a line end.
    Continue,
    /// A complete command.
    Command(Command),
    /// Part of an APPEND or REPLACE.
    Append(AppendStep),
    /// Octets of an accepted [`AppendStep::Literal`], in order.
    AppendContent(Vec<u8>),
    /// A syntax error: answer `tag BAD text`, or `* BAD text` without a tag. In the middle of an APPEND, its messages are void; in place
    /// of a [`Input::Response`] or [`Input::Done`], the command that waited for it is over.
    Bad {
        /// Of the command, when it could be read.
        tag: Option<String>,
        /// What to say; it may begin with a response code in brackets.
        text: &'static str,
    },
    /// The answer to a challenge, raw: see [`crate::sasl::read_response`].
    Response(Secret<Vec<u8>>),
    /// DONE: the end of IDLE.
    Done,
    /// Framing is lost or a bound is passed by too much: send `* BYE text` and close. Nothing follows.
    Fatal(&'static str),
}
