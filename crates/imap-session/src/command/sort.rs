//! SORT and THREAD (RFC 5256, RFC 5267 §3, RFC 5957).

use super::{SearchKey, SearchReturn};

/// What to find, and in what order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortArguments {
    /// The answer holds UIDs.
    pub by_uid: bool,
    /// RETURN options (RFC 5267 §3.1); `None` when not given: the answer is `* SORT`.
    pub returning: Option<SearchReturn>,
    /// Not empty, none twice: the first decides, the next between equals. Sequence numbers decide last.
    pub order: Vec<SortKey>,
    /// As of [`super::SearchArguments`]; always given.
    pub charset: String,
    /// What must hold.
    pub criteria: SearchKey,
}

/// RFC 5256 `sort-criterion`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// REVERSE: the largest first.
    pub is_reverse: bool,
    /// By what.
    pub by: SortBy,
}

/// RFC 5256 `sort-key`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    /// ARRIVAL: internal date and time.
    Arrival,
    /// CC: local part of the first address.
    Cc,
    /// DATE: when it was sent, or else its internal date.
    Date,
    /// FROM: local part of the first address.
    From,
    /// SIZE
    Size,
    /// SUBJECT: base subject.
    Subject,
    /// TO: local part of the first address.
    To,
    /// DISPLAYFROM (RFC 5957): name of the first address, or else the address.
    DisplayFrom,
    /// DISPLAYTO (RFC 5957): name of the first address, or else the address.
    DisplayTo,
}

/// What to find, and how to thread it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadArguments {
    /// The answer holds UIDs.
    pub by_uid: bool,
    /// How.
    pub algorithm: ThreadAlgorithm,
    /// As of [`super::SearchArguments`]; always given.
    pub charset: String,
    /// What must hold.
    pub criteria: SearchKey,
}

/// RFC 5256 `thread-alg`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadAlgorithm {
    /// ORDEREDSUBJECT
    OrderedSubject,
    /// REFERENCES
    References,
}
