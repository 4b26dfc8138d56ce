//! Certificate revocation lists (RFC 5280 §5), read once and checked before they count.
//!
//! The signature is verified before the entries are looked at. Delta and indirect lists and lists partitioned by reason or by kind of
//! certificate are refused: each would make an absent serial number mean less than it seems to.

use std::collections::HashSet;
use std::fmt;

use mail_types::{DistinguishedName, Timestamp};
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Name;

use crate::authority::{Authority, Signed};
use crate::der::{self, Element, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, UTC_TIME};
use crate::names::distinguished_name;

/// A list dated later than this beyond our clock is refused, as one of the two clocks is wrong.
const CLOCK_SKEW_SECS: i64 = 3_600;

const CRL_EXTENSIONS: u8 = 0xa0;
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x23];
const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 0x14];
const DELTA_CRL_INDICATOR: &[u8] = &[0x55, 0x1d, 0x1b];
const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 0x1c];
const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1d, 0x1d];
const REASON_CODE: &[u8] = &[0x55, 0x1d, 0x15];
const INVALIDITY_DATE: &[u8] = &[0x55, 0x1d, 0x18];

/// A revocation list that was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrlFault {
    /// Index of the file among those given to [`crate::TrustSnapshot::build`].
    pub index: usize,
    /// What is wrong with it.
    pub cause: CrlFaultCause,
}

/// What is wrong with a revocation list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrlFaultCause {
    /// The file holds no revocation list.
    #[error("the file holds no revocation list")]
    Empty,
    /// Not DER, or not a CertificateList.
    #[error("the list cannot be read")]
    Malformed,
    /// None of the trust files holds its issuer.
    #[error("the issuer of the list is not among the trusted authorities")]
    UnknownIssuer,
    /// Its issuer has a KeyUsage without cRLSign.
    #[error("the issuer may not sign revocation lists")]
    IssuerMayNotSign,
    /// The signature was not made by the issuer, or with an unsupported algorithm.
    #[error("the signature of the list is not its issuer's")]
    BadSignature,
    /// A delta list (RFC 5280 §5.2.4).
    #[error("delta lists are not supported")]
    Delta,
    /// A list that speaks for other issuers (RFC 5280 §5.2.5).
    #[error("indirect lists are not supported")]
    Indirect,
    /// A list of some reasons or some kinds of certificates only (RFC 5280 §5.2.5).
    #[error("lists of some reasons or some kinds of certificates only are not supported")]
    Partitioned,
    /// A critical extension of an unknown kind.
    #[error("the list has an unknown critical extension")]
    UnknownCriticalExtension,
    /// thisUpdate is more than an hour ahead of our clock.
    #[error("the list is dated in the future")]
    FromTheFuture,
}

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
            issuer_name: list.issuer.content.to_vec(),
            signer_key: signer.key().to_vec(),
            issuer: name(&list.issuer).ok_or(CrlFaultCause::Malformed)?,
            number: extensions.number,
            this_update: list.this_update,
            next_update: list.next_update,
            points: extensions.points,
            serials: serials(list.entries)?,
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
        (self.this_update, &self.number) > (other.this_update, &other.number)
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

/// The fields of TBSCertList, entries and extensions still unread.
struct CertList<'a> {
    issuer: Element<'a>,
    this_update: Timestamp,
    next_update: Option<Timestamp>,
    entries: &'a [u8],
    extensions: Option<&'a [u8]>,
}

impl<'a> CertList<'a> {
    fn read(content: &'a [u8], algorithm: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(content);
        let version = reader.take(INTEGER);
        if version.is_some_and(|version| version != [1]) || reader.take(SEQUENCE)? != algorithm {
            return None;
        }
        let list = Self {
            issuer: reader.element().filter(|element| element.tag == SEQUENCE)?,
            this_update: time(reader.element()?)?,
            next_update: optional_time(&mut reader)?,
            entries: reader.take(SEQUENCE).unwrap_or_default(),
            extensions: reader.take(CRL_EXTENSIONS),
        };
        reader.is_empty().then_some(list)
    }
}

fn optional_time(reader: &mut Reader<'_>) -> Option<Option<Timestamp>> {
    let mut ahead = *reader;
    match ahead.element() {
        Some(element) if matches!(element.tag, UTC_TIME | GENERALIZED_TIME) => {
            *reader = ahead;
            time(element).map(Some)
        }
        _ => Some(None),
    }
}

fn time(element: Element<'_>) -> Option<Timestamp> {
    let (_, time) = ASN1Time::from_der(element.raw).ok()?;
    Some(Timestamp::from_secs(time.timestamp()))
}

fn name(element: &Element<'_>) -> Option<DistinguishedName> {
    X509Name::from_der(element.raw).ok().map(|(_, name)| distinguished_name(&name))
}

#[derive(Default)]
struct ListExtensions {
    number: Option<CrlNumber>,
    points: Option<Vec<Vec<u8>>>,
}

impl ListExtensions {
    fn read(extensions: Option<&[u8]>) -> Result<Self, CrlFaultCause> {
        let mut found = Self::default();
        let Some(extensions) = extensions else {
            return Ok(found);
        };
        let mut reader = Reader::new(der::content(extensions).ok_or(CrlFaultCause::Malformed)?);
        while !reader.is_empty() {
            let extension = Extension::read(&mut reader).ok_or(CrlFaultCause::Malformed)?;
            match extension.oid {
                CRL_NUMBER => found.number = Some(extension.number()?),
                DELTA_CRL_INDICATOR => return Err(CrlFaultCause::Delta),
                ISSUING_DISTRIBUTION_POINT => found.points = distribution_point(extension.value)?,
                AUTHORITY_KEY_IDENTIFIER => {}
                _ if extension.critical => return Err(CrlFaultCause::UnknownCriticalExtension),
                _ => {}
            }
        }
        Ok(found)
    }
}

struct Extension<'a> {
    oid: &'a [u8],
    critical: bool,
    value: &'a [u8],
}

impl<'a> Extension<'a> {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let mut fields = Reader::new(reader.take(SEQUENCE)?);
        let oid = fields.take(OID)?;
        let critical = fields.take(der::BOOLEAN).is_some_and(|value| value != [0]);
        Some(Self { oid, critical, value: fields.take(OCTET_STRING)? })
    }

    fn number(&self) -> Result<CrlNumber, CrlFaultCause> {
        let number = Reader::new(self.value).take(INTEGER).ok_or(CrlFaultCause::Malformed)?;
        Ok(CrlNumber::from_be_bytes(number))
    }
}

/// The URIs of an IssuingDistributionPoint, `None` when it names none; an error when it narrows the list in another way.
fn distribution_point(value: &[u8]) -> Result<Option<Vec<Vec<u8>>>, CrlFaultCause> {
    const POINT: u8 = 0xa0;
    const ONLY_SOME_REASONS: u8 = 0x83;
    const INDIRECT: u8 = 0x84;
    let mut reader = Reader::new(der::content(value).ok_or(CrlFaultCause::Malformed)?);
    let mut points = None;
    while !reader.is_empty() {
        let field = reader.element().ok_or(CrlFaultCause::Malformed)?;
        match field.tag {
            POINT => points = Some(full_name(field.content)?),
            INDIRECT if field.content != [0] => return Err(CrlFaultCause::Indirect),
            ONLY_SOME_REASONS => return Err(CrlFaultCause::Partitioned),
            _ if field.content != [0] => return Err(CrlFaultCause::Partitioned),
            _ => {}
        }
    }
    Ok(points)
}

fn full_name(point: &[u8]) -> Result<Vec<Vec<u8>>, CrlFaultCause> {
    const FULL_NAME: u8 = 0xa0;
    const URI: u8 = 0x86;
    let mut reader = Reader::new(Reader::new(point).take(FULL_NAME).ok_or(CrlFaultCause::Partitioned)?);
    let mut uris = Vec::new();
    while !reader.is_empty() {
        let name = reader.element().ok_or(CrlFaultCause::Malformed)?;
        if name.tag == URI {
            uris.push(name.content.to_vec());
        }
    }
    uris.sort();
    Ok(uris)
}

fn serials(entries: &[u8]) -> Result<HashSet<Box<[u8]>>, CrlFaultCause> {
    // An entry takes at least some thirty bytes: the table is sized once, by bytes that were signed.
    let mut serials = HashSet::with_capacity(entries.len() / 32);
    let mut reader = Reader::new(entries);
    while !reader.is_empty() {
        let entry = reader.take(SEQUENCE).ok_or(CrlFaultCause::Malformed)?;
        serials.insert(entry_serial(entry)?);
    }
    Ok(serials)
}

fn entry_serial(entry: &[u8]) -> Result<Box<[u8]>, CrlFaultCause> {
    let mut fields = Reader::new(entry);
    let serial = fields.take(INTEGER).ok_or(CrlFaultCause::Malformed)?;
    fields.element().ok_or(CrlFaultCause::Malformed)?;
    let mut extensions = Reader::new(fields.take(SEQUENCE).unwrap_or_default());
    while !extensions.is_empty() {
        let extension = Extension::read(&mut extensions).ok_or(CrlFaultCause::Malformed)?;
        match extension.oid {
            CERTIFICATE_ISSUER => return Err(CrlFaultCause::Indirect),
            REASON_CODE | INVALIDITY_DATE => {}
            _ if extension.critical => return Err(CrlFaultCause::UnknownCriticalExtension),
            _ => {}
        }
    }
    Ok(der::without_leading_zeros(serial).into())
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

    #[test]
    fn a_distribution_point_may_name_uris_but_not_narrow_the_list() {
        let uris = distribution_point(b"\x30\x09\xa0\x07\xa0\x05\x86\x03u:a");
        assert_eq!(uris, Ok(Some(vec![b"u:a".to_vec()])));
        assert_eq!(distribution_point(b"\x30\x00"), Ok(None));
        assert_eq!(distribution_point(b"\x30\x03\x84\x01\xff"), Err(CrlFaultCause::Indirect));
        assert_eq!(distribution_point(b"\x30\x03\x81\x01\xff"), Err(CrlFaultCause::Partitioned));
        assert_eq!(distribution_point(b"\x30\x04\x83\x02\x01\x02"), Err(CrlFaultCause::Partitioned));
        assert_eq!(distribution_point(b"\x30\x05"), Err(CrlFaultCause::Malformed));
    }

    #[test]
    fn an_entry_for_another_issuer_makes_the_list_indirect() {
        let entry = b"\x02\x01\x05\x17\x00\x30\x0c\x30\x0a\x06\x03\x55\x1d\x1d\x04\x03\x30\x01\x00";
        assert_eq!(entry_serial(entry), Err(CrlFaultCause::Indirect));
        assert_eq!(entry_serial(b"\x02\x02\x00\x85\x17\x00").as_deref(), Ok(&[0x85][..]));
    }
}
