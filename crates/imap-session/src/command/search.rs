//! SEARCH (RFC 3501 §6.4.4, RFC 4731, RFC 5032, RFC 5182, RFC 7162 §3.1.5, RFC 8514, RFC 9394, RFC 9738 §3.2).

use crate::sequence::MessageSet;
use mail_types::SystemFlags;
use std::fmt;
use std::ops::Range;

/// What to search for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchArguments {
    /// The answer holds UIDs. Sets within the criteria are what their key says, whatever this is.
    pub by_uid: bool,
    /// In upper case. Strings were read in it, or as UTF-8 without it. When it is not known ([`crate::charset::is_known`]) they mean
    /// nothing and the answer is NO `[BADCHARSET]`.
    pub charset: Option<String>,
    /// RETURN options; `None` when not given: the answer is `* SEARCH`.
    pub returning: Option<SearchReturn>,
    /// What must hold. Depth and number of keys are bounded.
    pub criteria: SearchKey,
}

/// What is to be told of the messages found (RFC 4731 §3.1) and kept of them. An empty list of options was read as ALL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchReturn {
    /// MIN: the first.
    pub min: bool,
    /// MAX: the last.
    pub max: bool,
    /// ALL: never with PARTIAL.
    pub all: bool,
    /// COUNT: how many.
    pub count: bool,
    /// SAVE (RFC 5182): `$` stands for them from now on.
    pub save: bool,
    /// PARTIAL (RFC 9394): some of them, by their place among them.
    pub partial: Option<PartialRange>,
}

impl SearchReturn {
    /// Whether anything is to be told. SAVE alone tells nothing.
    pub fn tells(&self) -> bool {
        self.min || self.max || self.all || self.count || self.partial.is_some()
    }
}

/// RFC 9394 `partial-range`: places within a list, counted from 1 at its beginning or from -1 at its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PartialRange {
    /// Counted from the end.
    from_end: bool,
    /// As written; neither is 0.
    bounds: (u32, u32),
}

impl PartialRange {
    /// Both bounds, counted from the beginning or from the end; none of them may be 0.
    pub(crate) fn new(from_end: bool, bounds: (u32, u32)) -> Self {
        Self { from_end, bounds }
    }

    /// The places of a list of `length`, as indices of it; empty where it has none of them.
    pub fn of(self, length: usize) -> Range<usize> {
        let index = |place: u32| usize::try_from(place).unwrap_or(usize::MAX).min(length.saturating_add(1));
        let (near, far) = (index(self.bounds.0.min(self.bounds.1)), index(self.bounds.0.max(self.bounds.1)));
        let (start, end) = if self.from_end {
            (length.saturating_sub(far), (length + 1).saturating_sub(near))
        } else {
            (near.saturating_sub(1), far.min(length))
        };
        start.min(end)..end
    }
}

impl fmt::Display for PartialRange {
    /// As it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.from_end { "-" } else { "" };
        write!(f, "{sign}{}:{sign}{}", self.bounds.0, self.bounds.1)
    }
}

impl fmt::Debug for PartialRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
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
    /// YOUNGER (RFC 5032): the internal date is no more than so many seconds ago; not 0.
    Younger(u32),
    /// OLDER (RFC 5032): the internal date is more than so many seconds ago; not 0.
    Older(u32),
    /// SAVEDBEFORE (RFC 8514): the day on which the message was put in the folder.
    SavedBefore(Date),
    /// SAVEDON
    SavedOn(Date),
    /// SAVEDSINCE: that day included.
    SavedSince(Date),
    /// SAVEDATESUPPORTED: the folder knows when messages were put there.
    SaveDateSupported,
    /// LARGER: RFC822.SIZE in octets.
    Larger(u64),
    /// SMALLER: RFC822.SIZE in octets.
    Smaller(u64),
    /// Message sequence numbers.
    Sequence(MessageSet),
    /// UID
    Uid(MessageSet),
    /// UIDAFTER (RFC 9738): a greater UID.
    UidAfter(u32),
    /// UIDBEFORE (RFC 9738): a smaller UID.
    UidBefore(u32),
    /// EMAILID (RFC 8474): what a client was told, or a text of that form.
    EmailId(String),
    /// THREADID (RFC 8474): the same.
    ThreadId(String),
    /// MODSEQ (RFC 7162): that value or larger. The entry name and type are not kept: flags have one value here.
    ModSeq(u64),
}

impl SearchKey {
    /// Whether MODSEQ is among the criteria: the answer then carries the highest of what was found.
    pub fn names_modseq(&self) -> bool {
        self.has(&|key| matches!(key, Self::ModSeq(_)))
    }

    /// Whether messages are named by sequence number.
    pub fn names_numbers(&self) -> bool {
        self.has(&|key| matches!(key, Self::Sequence(MessageSet::Named(_))))
    }

    fn has(&self, is_it: &impl Fn(&Self) -> bool) -> bool {
        match self {
            Self::And(keys) => keys.iter().any(|key| key.has(is_it)),
            Self::Or(one, other) => one.has(is_it) || other.has(is_it),
            Self::Not(key) => key.has(is_it),
            key => is_it(key),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::PartialRange;

    #[test]
    fn a_partial_range_names_places_from_either_end_and_in_either_order() {
        let beginning = |bounds| PartialRange::new(false, bounds);
        let end = |bounds| PartialRange::new(true, bounds);
        assert_eq!(beginning((1, 5)).of(10), 0..5);
        assert_eq!(beginning((5, 1)).of(3), 0..3);
        assert_eq!(beginning((4, 9)).of(3), 3..3);
        assert_eq!(end((1, 3)).of(10), 7..10);
        assert_eq!(end((3, 2)).of(10), 7..9);
        assert_eq!(end((1, 100)).of(3), 0..3);
        assert_eq!(end((4, 9)).of(3), 0..0);
        assert_eq!(end((u32::MAX, 1)).of(0), 0..0);
        assert_eq!(end((1, 100)).to_string(), "-1:-100");
    }
}
