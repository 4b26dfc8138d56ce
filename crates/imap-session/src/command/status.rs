//! STATUS items (RFC 3501 §6.3.10 and extensions).

/// RFC 3501 `status-att`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusItem {
    /// MESSAGES
    Messages,
    /// RECENT
    Recent,
    /// UIDNEXT
    UidNext,
    /// UIDVALIDITY
    UidValidity,
    /// UNSEEN: how many.
    Unseen,
    /// SIZE (RFC 8438): octets of all messages.
    Size,
    /// HIGHESTMODSEQ (RFC 7162)
    HighestModSeq,
    /// DELETED (RFC 9051)
    Deleted,
    /// APPENDLIMIT (RFC 7889)
    AppendLimit,
    /// DELETED-STORAGE (RFC 9208): octets of the messages marked to be removed.
    DeletedStorage,
    /// MAILBOXID (RFC 8474)
    MailboxId,
}

impl StatusItem {
    const ALL: [Self; 11] = [
        Self::Messages,
        Self::Recent,
        Self::UidNext,
        Self::UidValidity,
        Self::Unseen,
        Self::Size,
        Self::HighestModSeq,
        Self::Deleted,
        Self::AppendLimit,
        Self::DeletedStorage,
        Self::MailboxId,
    ];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "MESSAGES",
            Self::Recent => "RECENT",
            Self::UidNext => "UIDNEXT",
            Self::UidValidity => "UIDVALIDITY",
            Self::Unseen => "UNSEEN",
            Self::Size => "SIZE",
            Self::HighestModSeq => "HIGHESTMODSEQ",
            Self::Deleted => "DELETED",
            Self::AppendLimit => "APPENDLIMIT",
            Self::DeletedStorage => "DELETED-STORAGE",
            Self::MailboxId => "MAILBOXID",
        }
    }

    /// The item of that word, whatever its case.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|item| item.as_str().eq_ignore_ascii_case(word))
    }
}
