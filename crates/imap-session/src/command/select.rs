//! What SELECT and EXAMINE ask beside the folder (RFC 7162 §3.1.8, §3.2.5).

use crate::sequence::SequenceSet;

/// RFC 4466 `select-param`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelectParameters {
    /// CONDSTORE
    pub condstore: bool,
    /// QRESYNC
    pub resync: Option<Box<Resync>>,
}

/// RFC 7162 `select-param` QRESYNC: what the client knows of the folder from before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resync {
    /// UIDVALIDITY; with another one than the folder's, the rest means nothing.
    pub uid_validity: u32,
    /// Changes up to here are known.
    pub modseq: u64,
    /// The UIDs that it knows; `None` for all below UIDNEXT. No `*` in it.
    pub known_uids: Option<SequenceSet>,
    /// Which message had which number, so that a server that forgot what is gone can find where the client's list is still right.
    pub sequence_match: Option<SequenceMatch>,
}

/// RFC 7162 `seq-match-data`: two sets of equal length, ascending, without `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceMatch {
    /// Sequence numbers.
    pub numbers: SequenceSet,
    /// Their UIDs.
    pub uids: SequenceSet,
}
