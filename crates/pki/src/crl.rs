//! Certificate revocation lists (RFC 5280 §5), read once and checked before they count.
//!
//! The signature is verified before the entries are looked at. Delta and indirect lists and lists partitioned by reason or by kind of
//! certificate are refused: each would make an absent serial number mean less than it seems to.

mod fault;
mod fields;

use std::collections::HashSet;
use std::fmt;

use mail_types::{DistinguishedName, Timestamp};

use crate::authority::{Authority, Signed};
use crate::der;
use fields::{CertList, ListExtensions};

pub use fault::{CrlFault, CrlFaultCause};

/// A list dated later than this beyond our clock is refused, as one of the two clocks is wrong.
const CLOCK_SKEW_SECS: i64 = 3_600;

/// The number of a revocation list, which grows with each issue (RFC 5280 §5.2.3). Printed in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CrlNumber(Vec<u8>);

impl CrlNumber {
    fn from_be_bytes(bytes: &[u8]) -> Self {
        Self(der::without_leading_zeros(bytes).to_vec())
    }
}

impl Ord for CrlNumber {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0.len(), &self.0).cmp(&(other.0.len(), &other.0))
    }
}

impl PartialOrd for CrlNumber {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for CrlNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("0"),
            bytes => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

/// A list whose signature and form were checked.
pub(crate) struct RevocationList {
    /// Index of the file it came from, among those of its snapshot.
    pub(crate) file: usize,
    /// Issuer, DER without its outer SEQUENCE.
    pub(crate) issuer_name: Vec<u8>,
    /// The key that signed it, DER without its outer SEQUENCE.
    pub(crate) signer_key: Vec<u8>,
    pub(crate) issuer: DistinguishedName,
    pub(crate) number: Option<CrlNumber>,
    pub(crate) this_update: Timestamp,
    pub(crate) next_update: Option<Timestamp>,
    /// URIs of its issuing distribution point: it then speaks only of the certificates that name one of them.
    pub(crate) points: Option<Vec<Vec<u8>>>,
    serials: HashSet<Box<[u8]>>,
}

impl RevocationList {
    /// Reads one DER list. The order of the checks is the order of the causes a forger could choose: nothing after the signature.
    pub(crate) fn read(crl: &[u8], authorities: &[Authority], now: Timestamp) -> Result<Self, CrlFaultCause> {
        let signed = Signed::read(crl).ok_or(CrlFaultCause::Malformed)?;
        let list = CertList::read(signed.content, signed.algorithm).ok_or(CrlFaultCause::Malformed)?;
        let signer = signer_of(&signed, list.issuer.content, authorities)?;
        if list.this_update > now.plus_secs(CLOCK_SKEW_SECS) {
            return Err(CrlFaultCause::FromTheFuture);
        }
        let extensions = ListExtensions::read(list.extensions)?;
        Ok(Self {
            file: 0,
            issuer_name: list.issuer.content.to_vec(),
            signer_key: signer.key().to_vec(),
            issuer: fields::name(&list.issuer).ok_or(CrlFaultCause::Malformed)?,
            number: extensions.number,
            this_update: list.this_update,
            next_update: list.next_update,
            points: extensions.points,
            serials: fields::serials(list.entries)?,
        })
    }

    pub(crate) fn holds(&self, serial: &[u8]) -> bool {
        self.serials.contains(der::without_leading_zeros(serial))
    }

    pub(crate) fn entries(&self) -> usize {
        self.serials.len()
    }

    /// Whether it is dated: a list without nextUpdate never proves that a certificate is good.
    pub(crate) fn is_current_at(&self, now: Timestamp) -> bool {
        self.next_update.is_some_and(|next_update| now <= next_update)
    }

    /// Whether both speak of the same certificates, so that only the fresher one counts.
    pub(crate) fn covers_the_same_as(&self, other: &Self) -> bool {
        (&self.issuer_name, &self.signer_key, &self.points)
            == (&other.issuer_name, &other.signer_key, &other.points)
    }

    /// By date; of one date, by number. Numbers alone would let a list that was issued anew with small ones (another tool, a
    /// restored authority) pass for old.
    pub(crate) fn is_fresher_than(&self, other: &Self) -> bool {
        self.freshness() > other.freshness()
    }

    /// Lists of one issuer in the order of their issue.
    pub(crate) fn freshness(&self) -> (Timestamp, Option<&CrlNumber>) {
        (self.this_update, self.number.as_ref())
    }

    /// What becomes of `self`, in force, when `next` for the same certificates comes.
    pub(crate) fn succession(&self, next: &Self, now: Timestamp) -> Succession {
        if !next.is_fresher_than(self) {
            return if next.freshness() == self.freshness() { Succession::Same } else { Succession::Older };
        }
        match (next.number >= self.number, self.is_current_at(now)) {
            (true, _) => Succession::Replaces,
            (false, true) => Succession::NumberWentBack,
            (false, false) => Succession::NumberStartedAnew,
        }
    }
}

/// How a list stands to the one in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Succession {
    Replaces,
    Same,
    Older,
    NumberWentBack,
    /// Replaces, with a warning.
    NumberStartedAnew,
}

impl Succession {
    /// Whether the list takes the place of the one in force.
    pub(crate) fn replaces(self) -> bool {
        matches!(self, Self::Replaces | Self::NumberStartedAnew)
    }

    /// What is wrong with the list, if anything is.
    pub(crate) fn fault(self) -> Option<CrlFaultCause> {
        match self {
            Self::Replaces | Self::Same => None,
            Self::Older => Some(CrlFaultCause::Older),
            Self::NumberWentBack => Some(CrlFaultCause::NumberWentBack),
            Self::NumberStartedAnew => Some(CrlFaultCause::NumberStartedAnew),
        }
    }
}

impl fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationList").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

fn signer_of<'a>(
    signed: &Signed<'_>,
    issuer: &[u8],
    authorities: &'a [Authority],
) -> Result<&'a Authority, CrlFaultCause> {
    let mut named = authorities.iter().filter(|authority| authority.name() == issuer).peekable();
    named.peek().ok_or(CrlFaultCause::UnknownIssuer)?;
    let mut allowed = named.filter(|authority| authority.signs_lists()).peekable();
    allowed.peek().ok_or(CrlFaultCause::IssuerMayNotSign)?;
    allowed.find(|authority| signed.is_by(&authority.certificate)).ok_or(CrlFaultCause::BadSignature)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_integers() {
        let number = CrlNumber::from_be_bytes;
        assert!(number(&[1, 0]) > number(&[0xff]));
        assert_eq!(number(&[0, 0, 7]), number(&[7]));
        assert_eq!(number(&[0]).to_string(), "0");
        assert_eq!(number(&[1, 0]).to_string(), "0100");
    }
}
