//! FETCH (RFC 3501 §6.4.5, RFC 7162 §3.1.4, RFC 8474, RFC 8970, RFC 9394 §3.3).

use super::PartialRange;
use crate::sequence::MessageSet;

/// What to fetch, of which messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchArguments {
    /// The set holds UIDs, and each response must carry one.
    pub by_uid: bool,
    /// Which messages.
    pub set: MessageSet,
    /// At least one; macros are expanded, and each is there once.
    pub items: Vec<FetchItem>,
    /// RFC 7162 CHANGEDSINCE: only messages of a larger modification sequence.
    pub changed_since: Option<u64>,
    /// RFC 9394 PARTIAL: only these of the set, by their place among them. What did not change is left out afterwards.
    pub partial: Option<PartialRange>,
    /// RFC 7162 VANISHED: tell also which UIDs of the set are gone since. Only with UID and `changed_since`.
    pub vanished: bool,
}

/// RFC 3501 `fetch-att`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchItem {
    /// ENVELOPE
    Envelope,
    /// FLAGS
    Flags,
    /// INTERNALDATE
    InternalDate,
    /// SAVEDATE (RFC 8514)
    SaveDate,
    /// RFC822: as `BODY[]`, under that name; sets `\Seen`.
    Rfc822,
    /// RFC822.HEADER: as `BODY.PEEK[HEADER]`, under that name.
    Rfc822Header,
    /// RFC822.SIZE
    Rfc822Size,
    /// RFC822.TEXT: as `BODY[TEXT]`, under that name; sets `\Seen`.
    Rfc822Text,
    /// BODY: the structure without extension data.
    Body,
    /// BODYSTRUCTURE
    BodyStructure,
    /// UID
    Uid,
    /// MODSEQ (RFC 7162)
    ModSeq,
    /// PREVIEW (RFC 8970): the first words.
    Preview {
        /// LAZY: only where that costs little.
        lazy: bool,
    },
    /// EMAILID (RFC 8474)
    EmailId,
    /// THREADID (RFC 8474)
    ThreadId,
    /// `BODY[section]<partial>`
    BodySection {
        /// Which octets.
        section: Section,
        /// BODY.PEEK: `\Seen` is not set.
        peek: bool,
        /// Which of them.
        partial: Option<Partial>,
    },
    /// `BINARY[part]<partial>` (RFC 3516): a part without its transfer encoding.
    Binary {
        /// Part numbers from the outermost; empty for the message as it is.
        part: Vec<u32>,
        /// BINARY.PEEK: `\Seen` is not set.
        peek: bool,
        /// Which of the decoded octets.
        partial: Option<Partial>,
    },
    /// `BINARY.SIZE[part]` (RFC 3516): how many octets BINARY would give.
    BinarySize {
        /// As in [`FetchItem::Binary`].
        part: Vec<u32>,
    },
}

impl FetchItem {
    /// Whether fetching it sets `\Seen`.
    pub fn sets_seen(&self) -> bool {
        matches!(
            self,
            Self::Rfc822
                | Self::Rfc822Text
                | Self::BodySection { peek: false, .. }
                | Self::Binary { peek: false, .. }
        )
    }

    /// Whether both are one item of the answer: whether it is seen by it is not told there.
    pub(crate) fn is_answered_as(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::BodySection { section, partial, .. },
                Self::BodySection { section: other, partial: other_partial, .. },
            ) => (section, partial) == (other, other_partial),
            (
                Self::Binary { part, partial, .. },
                Self::Binary { part: other, partial: other_partial, .. },
            ) => (part, partial) == (other, other_partial),
            (Self::Preview { .. }, Self::Preview { .. }) => true,
            _ => self == other,
        }
    }
}

/// RFC 3501 `section`: a part of the message and what of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// Part numbers from the outermost; empty for the message itself.
    pub part: Vec<u32>,
    /// What of that part.
    pub text: SectionText,
}

/// RFC 3501 `section-text`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SectionText {
    /// All of it: the message, or the content of the part.
    #[default]
    Whole,
    /// HEADER: of the message, or of a `message/rfc822` part.
    Header,
    /// HEADER.FIELDS: field names as written.
    HeaderFields(Vec<String>),
    /// HEADER.FIELDS.NOT: field names as written.
    HeaderFieldsNot(Vec<String>),
    /// TEXT: the body of the message, or of a `message/rfc822` part.
    Text,
    /// MIME: the header of a part; never without part numbers.
    Mime,
}

/// `<origin.length>`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partial {
    /// First octet, from 0.
    pub origin: u64,
    /// Octets at most; not 0.
    pub length: u64,
}
