//! What a verification may find.

use super::{ChainId, SealMark};
use std::fmt;

/// Something that was changed, removed or forged, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditFault {
    /// A column of a row, or its hash, was changed.
    RowChanged {
        /// Its chain.
        chain: ChainId,
        /// Its number.
        seq: i64,
    },
    /// A row does not follow the one before it: that one was changed and hashed anew, or another was put in its place.
    RowUnlinked {
        /// Its chain.
        chain: ChainId,
        /// Its number.
        seq: i64,
    },
    /// Rows within a chain are gone.
    RowsMissing {
        /// Their chain.
        chain: ChainId,
        /// The first of them.
        first: i64,
        /// The last of them.
        last: i64,
    },
    /// The end of a chain is gone: a seal covers more than there is.
    TailMissing {
        /// The chain.
        chain: ChainId,
        /// The last row that is there; zero when none is.
        last: i64,
        /// The last row that was sealed.
        sealed: i64,
    },
    /// A whole chain is gone that a seal covers.
    ChainMissing {
        /// The chain.
        chain: ChainId,
        /// The last row that was sealed.
        sealed: i64,
    },
    /// Rows whose chain is not known.
    ChainUnknown {
        /// The chain.
        chain: ChainId,
    },
    /// Category, month or beginning of a chain was changed.
    ChainChanged {
        /// The chain.
        chain: ChainId,
    },
    /// A row is not the one that was sealed: it, or one before it, was changed and the chain hashed anew.
    SealedRowChanged {
        /// Its chain.
        chain: ChainId,
        /// Its number.
        seq: i64,
        /// The seal that covers it.
        seal: i64,
    },
    /// A chain is said to be dropped, and the operator's key did not sign that.
    DropForged {
        /// The chain.
        chain: ChainId,
    },
    /// Seals are gone.
    SealsMissing {
        /// The first of them.
        first: i64,
        /// The last of them.
        last: i64,
    },
    /// A seal's signature is not of the operator's key, or the seal was changed.
    SealForged {
        /// Its number.
        seal: i64,
    },
    /// A seal does not follow the one before it.
    SealUnlinked {
        /// Its number.
        seal: i64,
    },
    /// Rows are marked as sealed further than any seal says: the last seals are gone.
    SealTailMissing {
        /// The chain.
        chain: ChainId,
        /// How far it was sealed.
        sealed: i64,
    },
    /// Rows that were there well before the latest seal are in none: the chain was kept out of the seals.
    SealOmits {
        /// The chain.
        chain: ChainId,
        /// The first row that is in no seal.
        seq: i64,
    },
    /// The seal that was kept elsewhere is not among the seals.
    KnownSealAbsent {
        /// The seal.
        mark: SealMark,
    },
}

impl AuditFault {
    /// A word of a closed list.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::RowChanged { .. } => "row_changed",
            Self::RowUnlinked { .. } => "row_unlinked",
            Self::RowsMissing { .. } => "rows_missing",
            Self::TailMissing { .. } => "tail_missing",
            Self::ChainMissing { .. } => "chain_missing",
            Self::ChainUnknown { .. } => "chain_unknown",
            Self::ChainChanged { .. } => "chain_changed",
            Self::SealedRowChanged { .. } => "sealed_row_changed",
            Self::DropForged { .. } => "drop_forged",
            Self::SealsMissing { .. } => "seals_missing",
            Self::SealForged { .. } => "seal_forged",
            Self::SealUnlinked { .. } => "seal_unlinked",
            Self::SealTailMissing { .. } => "seal_tail_missing",
            Self::SealOmits { .. } => "seal_omits",
            Self::KnownSealAbsent { .. } => "known_seal_absent",
        }
    }

    /// The chain that it concerns.
    pub const fn chain(&self) -> Option<ChainId> {
        match self {
            Self::RowChanged { chain, .. }
            | Self::RowUnlinked { chain, .. }
            | Self::RowsMissing { chain, .. }
            | Self::TailMissing { chain, .. }
            | Self::ChainMissing { chain, .. }
            | Self::ChainUnknown { chain }
            | Self::ChainChanged { chain }
            | Self::SealedRowChanged { chain, .. }
            | Self::DropForged { chain }
            | Self::SealTailMissing { chain, .. }
            | Self::SealOmits { chain, .. } => Some(*chain),
            Self::SealsMissing { .. }
            | Self::SealForged { .. }
            | Self::SealUnlinked { .. }
            | Self::KnownSealAbsent { .. } => None,
        }
    }

    /// The row, or the first row, that it concerns.
    pub const fn row(&self) -> Option<i64> {
        match self {
            Self::RowChanged { seq, .. }
            | Self::RowUnlinked { seq, .. }
            | Self::SealedRowChanged { seq, .. }
            | Self::SealOmits { seq, .. } => Some(*seq),
            Self::RowsMissing { first, .. } => Some(*first),
            Self::TailMissing { last, .. } => Some(*last + 1),
            _ => None,
        }
    }

    /// The seal, or the first seal, that it concerns.
    pub const fn seal(&self) -> Option<i64> {
        match self {
            Self::SealForged { seal } | Self::SealUnlinked { seal } | Self::SealedRowChanged { seal, .. } => {
                Some(*seal)
            }
            Self::SealsMissing { first, .. } => Some(*first),
            Self::KnownSealAbsent { mark } => Some(mark.seq),
            _ => None,
        }
    }
}

impl fmt::Display for AuditFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RowChanged { chain, seq } => write!(f, "row {seq} of chain {chain} was changed"),
            Self::RowUnlinked { chain, seq } => {
                write!(f, "row {seq} of chain {chain} does not follow the row before it, which was replaced")
            }
            Self::RowsMissing { chain, first, last } if first == last => {
                write!(f, "row {first} of chain {chain} was removed")
            }
            Self::RowsMissing { chain, first, last } => {
                write!(f, "rows {first} to {last} of chain {chain} were removed")
            }
            Self::TailMissing { chain, last, sealed } => {
                write!(f, "chain {chain} was cut off after row {last}: row {sealed} was sealed")
            }
            Self::ChainMissing { chain, sealed } => {
                write!(f, "chain {chain} was removed: row {sealed} was sealed")
            }
            Self::ChainUnknown { chain } => write!(f, "rows of chain {chain} are there, the chain is not"),
            Self::ChainChanged { chain } => {
                write!(f, "category, month or beginning of chain {chain} was changed")
            }
            Self::SealedRowChanged { chain, seq, seal } => {
                write!(
                    f,
                    "row {seq} of chain {chain} is not the one that seal {seal} covers: the chain was written anew"
                )
            }
            Self::DropForged { chain } => {
                write!(f, "chain {chain} is marked as expired and the operator's key did not sign that")
            }
            Self::SealsMissing { first, last } if first == last => write!(f, "seal {first} was removed"),
            Self::SealsMissing { first, last } => write!(f, "seals {first} to {last} were removed"),
            Self::SealForged { seal } => {
                write!(f, "seal {seal} was changed, or was not signed by the operator's key")
            }
            Self::SealUnlinked { seal } => write!(f, "seal {seal} does not follow the seal before it"),
            Self::SealTailMissing { chain, sealed } => {
                write!(
                    f,
                    "chain {chain} is marked as sealed up to row {sealed} and no seal says so: the last seals were removed"
                )
            }
            Self::SealOmits { chain, seq } => {
                write!(
                    f,
                    "row {seq} of chain {chain} is in no seal although later ones were made: the chain was kept out of them"
                )
            }
            Self::KnownSealAbsent { mark } => {
                write!(
                    f,
                    "the seal {mark}, kept elsewhere, is not among the seals: they were cut off or replaced"
                )
            }
        }
    }
}
