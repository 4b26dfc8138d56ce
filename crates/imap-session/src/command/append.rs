//! APPEND and REPLACE (RFC 3501 §6.3.11; RFC 3502, 3516, 4469, 6855, 8508): a command that comes in steps, for its messages are not held.

use super::FlagList;
use crate::sequence::SequenceSet;
use mail_types::Timestamp;

/// What came of an APPEND or REPLACE. [`AppendStep::Begin`] is the first, [`AppendStep::End`] the last; octets of literals come between as
/// [`crate::decoder::Input::AppendContent`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendStep {
    /// The command and where to.
    Begin(AppendBegin),
    /// A message begins; the one before, if any, is whole.
    Message(AppendMessage),
    /// CATENATE: the octets behind this URL come next in the message (RFC 4469). It is not checked.
    Url(String),
    /// Octets of the message are announced. Nothing is read before [`crate::decoder::Decoder::accept_append`] or
    /// [`crate::decoder::Decoder::refuse_append`].
    Literal(AppendLiteral),
    /// The command is complete: answer it.
    End,
}

/// The command and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendBegin {
    /// Of the command.
    pub tag: String,
    /// Where to.
    pub folder: String,
    /// REPLACE: what goes when the message is there. There is one message then.
    pub replaced: Option<Replaced>,
}

/// RFC 8508: the message that gives way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// The number is a UID.
    pub by_uid: bool,
    /// One number, or `*`.
    pub message: SequenceSet,
}

/// What is known of a message before its octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendMessage {
    /// To set on the message.
    pub flags: FlagList,
    /// The date-time given, its zone applied.
    pub internal_date: Option<Timestamp>,
    /// How its octets come.
    pub data: AppendData,
}

/// How the octets of a message come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendData {
    /// One literal.
    Literal,
    /// One `literal8` (RFC 3516): NUL may be in it.
    Literal8,
    /// `UTF8 (literal8)` (RFC 6855): the header may be UTF-8.
    Utf8,
    /// Any number of URLs and texts (RFC 4469).
    Catenate,
}

/// Octets announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendLiteral {
    /// How many; as announced, not bounded.
    pub size: u64,
    /// The client waits for `+ ` before it sends them.
    pub synchronising: bool,
}
