//! White lists as they are published: the national signed XML and the brief's CSV become a [`policy::WhiteList`], or a named fault.
//!
//! It fetches nothing, keeps nothing, and does not know what a list is used for, nor which list is in force: whether a list that is believed
//! may replace another is [`policy::replacement`].
//!
//! Read first: [`read`], [`national`] (what is believed, and how signature wrapping is excluded), [`csv`] (whom a list without certificates
//! trusts).
#![warn(missing_docs)]

mod canonical;
pub mod csv;
mod date;
mod entries;
mod fault;
pub mod national;
pub mod pairs;
mod schema;
mod signature;
mod xml;

pub use entries::{BAD_ENTRIES_MAX, ENTRIES_MAX, EntryFault, EntryFaultCause};
pub use fault::ListFault;

use mail_types::Timestamp;
use pki::TrustSnapshot;
use policy::WhiteList;

/// In which form a list comes, and by what it is believed.
#[derive(Clone, Copy, Debug)]
pub enum Format<'a> {
    /// The national signed XML: believed because of its signature.
    National {
        /// Those that may have issued the signer's certificate, and their revocation lists.
        authorities: &'a TrustSnapshot,
        /// The CN or a subjectAltName of the signer's certificate.
        signer: &'a str,
        /// Whether the list is new.
        occasion: Occasion,
    },
    /// `domaine;type;finess;date_ajout[;certificat]`: believed because of where it comes from.
    Csv,
    /// `DOMAIN;SUBJECT-DN` lines: believed because of where they come from.
    Pairs,
}

/// When a signed list is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// It came from its source: its signer must be good now.
    Fetched,
    /// It was believed when it came and was kept by us since, for instance over a restart. The instant given is the one of then: a signer that has
    /// expired since, or of whom the revocation lists at hand say nothing, does not take it away. A signer revoked since does.
    Kept,
}

/// Reads a list of at most `size_max` octets, and says which of its entries had to be left out.
///
/// `now` is the present, or for a kept list the instant at which it was adopted.
pub fn read(
    format: Format<'_>,
    bytes: &[u8],
    size_max: u64,
    now: Timestamp,
) -> Result<(WhiteList, Vec<EntryFault>), ListFault> {
    if u64::try_from(bytes.len()).map_or(true, |size| size > size_max) {
        return Err(ListFault::TooLarge { size_max });
    }
    match format {
        Format::National { authorities, signer, occasion } => match occasion {
            Occasion::Fetched => national::read(bytes, authorities, signer, now),
            Occasion::Kept => national::read_kept(bytes, authorities, signer, now),
        },
        Format::Csv => csv::read(bytes, now),
        Format::Pairs => pairs::read(bytes),
    }
}
