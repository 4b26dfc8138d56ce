//! Identifiers. Each is a type of its own, so that one cannot stand for another.

use std::fmt;

macro_rules! row_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

row_id! {
    /// Row of a domain we operate.
    DomainId;
    /// Row of a mailbox (BAL).
    MailboxId;
    /// Row of a folder (what RFC 9051 calls a mailbox).
    FolderId;
    /// Row of a person.
    UserId;
    /// Row of an actor: a user or an application.
    ActorId;
    /// Row of a queue entry: one remote recipient of one message.
    QueueId;
    /// Row of long work that an administrator asked for.
    JobId;
}

macro_rules! random_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            /// 32 lower-case hexadecimal digits.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

random_id! {
    /// A sealed message body, shared by every mailbox and queue entry that refers to it.
    BodyId;
    /// One unit of work of the writer; it resolves a commit whose answer was lost.
    UnitId;
}

/// RFC 9051 §2.3.1.1 unique identifier of a message in a folder; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(pub u32);

/// RFC 9051 §2.3.1.1 validity value of a folder's UIDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UidValidity(pub u32);

/// RFC 7162 modification sequence; at most 2^63 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModSeq(pub u64);
