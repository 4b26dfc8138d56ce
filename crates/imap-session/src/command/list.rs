//! LIST and its extensions (RFC 3501 §6.3.8, RFC 5258, RFC 5819, RFC 6154, RFC 8440).

use super::StatusItem;

/// What to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListArguments {
    /// Selection options.
    pub selection: ListSelection,
    /// What the patterns are relative to.
    pub reference: String,
    /// At least one, with `*` and `%`: see [`crate::pattern`]. A single empty one asks for the delimiter.
    pub patterns: Vec<String>,
    /// Return options.
    pub returning: ListReturn,
    /// Whether the command has the form of RFC 5258: options or several patterns.
    pub extended: bool,
}

/// RFC 5258 §3.1
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListSelection {
    /// SUBSCRIBED
    pub subscribed: bool,
    /// REMOTE
    pub remote: bool,
    /// RECURSIVEMATCH
    pub recursive_match: bool,
    /// SPECIAL-USE (RFC 6154)
    pub special_use: bool,
}

/// RFC 5258 §3.2
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListReturn {
    /// SUBSCRIBED
    pub subscribed: bool,
    /// CHILDREN
    pub children: bool,
    /// SPECIAL-USE (RFC 6154)
    pub special_use: bool,
    /// MYRIGHTS (RFC 8440)
    pub my_rights: bool,
    /// STATUS (RFC 5819); empty when not asked.
    pub status: Vec<StatusItem>,
}

/// RFC 6154 §2
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpecialUse {
    /// `\All`
    All,
    /// `\Archive`
    Archive,
    /// `\Drafts`
    Drafts,
    /// `\Flagged`
    Flagged,
    /// `\Junk`
    Junk,
    /// `\Sent`
    Sent,
    /// `\Trash`
    Trash,
    /// `\Important` (RFC 8457)
    Important,
    /// One that none of these RFCs names.
    Unknown,
}

impl SpecialUse {
    /// Every use that has a name, in the order of the RFCs.
    pub const ALL: [Self; 8] = [
        Self::All,
        Self::Archive,
        Self::Drafts,
        Self::Flagged,
        Self::Junk,
        Self::Sent,
        Self::Trash,
        Self::Important,
    ];

    /// The attribute on the wire; of an unknown one, no more than what it begins with.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "\\All",
            Self::Archive => "\\Archive",
            Self::Drafts => "\\Drafts",
            Self::Flagged => "\\Flagged",
            Self::Junk => "\\Junk",
            Self::Sent => "\\Sent",
            Self::Trash => "\\Trash",
            Self::Important => "\\Important",
            Self::Unknown => "\\",
        }
    }

    /// The use of that attribute, whatever its case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|each| each.as_str().eq_ignore_ascii_case(name))
    }
}
