//! SEARCH (RFC 3501 §6.4.4, RFC 4731, RFC 7162 §3.1.5).

use crate::sequence::SequenceSet;
use mail_types::SystemFlags;

/// What to search for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchArguments {
    /// The answer holds UIDs. Sets within the criteria are what their key says, whatever this is.
    pub by_uid: bool,
    /// In upper case. Strings were read in it, or as UTF-8 without it. When it is not known ([`crate::charset::is_known`]) they mean
    /// nothing and the answer is NO `[BADCHARSET]`.
    pub charset: Option<String>,
    /// RETURN options (RFC 4731); `None` when not given. An empty list means ALL.
    pub returning: Option<Vec<SearchReturn>>,
    /// What must hold. Depth and number of keys are bounded.
    pub criteria: SearchKey,
}

/// RFC 4731 §3.1, RFC 5182
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchReturn {
    /// MIN
    Min,
    /// MAX
    Max,
    /// ALL
    All,
    /// COUNT
    Count,
    /// SAVE
    Save,
}

/// RFC 3501 `search-key`. Texts match as substrings, without regard to case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchKey {
    /// ALL
    All,
    /// All of these; never empty.
    And(Vec<SearchKey>),
    /// OR
    Or(Box<SearchKey>, Box<SearchKey>),
    /// NOT
    Not(Box<SearchKey>),
    /// The flag is set: ANSWERED, DELETED, DRAFT, FLAGGED, SEEN.
    Has(SystemFlags),
    /// The flag is not set: UNANSWERED, UNDELETED, UNDRAFT, UNFLAGGED, UNSEEN.
    Lacks(SystemFlags),
    /// KEYWORD
    Keyword(String),
    /// UNKEYWORD
    Unkeyword(String),
    /// NEW: recent and not seen.
    New,
    /// OLD: not recent.
    Old,
    /// RECENT
    Recent,
    /// BCC
    Bcc(String),
    /// CC
    Cc(String),
    /// FROM
    From(String),
    /// TO
    To(String),
    /// SUBJECT
    Subject(String),
    /// BODY
    Body(String),
    /// TEXT: header or body.
    Text(String),
    /// HEADER; an empty value asks that the field exist.
    Header {
        /// Field name.
        name: String,
        /// Substring of its value.
        value: String,
    },
    /// BEFORE: internal date, its zone disregarded.
    Before(Date),
    /// ON: internal date.
    On(Date),
    /// SINCE: internal date, that day included.
    Since(Date),
    /// SENTBEFORE: `Date` field.
    SentBefore(Date),
    /// SENTON: `Date` field.
    SentOn(Date),
    /// SENTSINCE: `Date` field.
    SentSince(Date),
    /// LARGER: RFC822.SIZE in octets.
    Larger(u64),
    /// SMALLER: RFC822.SIZE in octets.
    Smaller(u64),
    /// Message sequence numbers.
    Sequence(SequenceSet),
    /// UID
    Uid(SequenceSet),
    /// MODSEQ (RFC 7162): that value or larger. The entry name and type are not kept: flags have one value here.
    ModSeq(u64),
}

/// A day of the calendar; it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// 0 to 9999.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}
