//! The fields of a CertificateList (RFC 5280 §5.1), read in place.

use std::collections::HashSet;

use mail_types::{DistinguishedName, Timestamp};
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Name;

use super::{CrlFaultCause, CrlNumber};
use crate::der::{self, Element, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, UTC_TIME};
use crate::names::distinguished_name;

const CRL_EXTENSIONS: u8 = 0xa0;
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x23];
const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 0x14];
const DELTA_CRL_INDICATOR: &[u8] = &[0x55, 0x1d, 0x1b];
const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 0x1c];
const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1d, 0x1d];
const REASON_CODE: &[u8] = &[0x55, 0x1d, 0x15];
const INVALIDITY_DATE: &[u8] = &[0x55, 0x1d, 0x18];

/// The fields of TBSCertList, entries and extensions still unread.
pub(super) struct CertList<'a> {
    pub(super) issuer: Element<'a>,
    pub(super) this_update: Timestamp,
    pub(super) next_update: Option<Timestamp>,
    pub(super) entries: &'a [u8],
    pub(super) extensions: Option<&'a [u8]>,
}

impl<'a> CertList<'a> {
    pub(super) fn read(content: &'a [u8], algorithm: &[u8]) -> Option<Self> {
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

pub(super) fn name(element: &Element<'_>) -> Option<DistinguishedName> {
    X509Name::from_der(element.raw).ok().map(|(_, name)| distinguished_name(&name))
}

#[derive(Default)]
pub(super) struct ListExtensions {
    pub(super) number: Option<CrlNumber>,
    pub(super) points: Option<Vec<Vec<u8>>>,
}

impl ListExtensions {
    pub(super) fn read(extensions: Option<&[u8]>) -> Result<Self, CrlFaultCause> {
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

pub(super) fn serials(entries: &[u8]) -> Result<HashSet<Box<[u8]>>, CrlFaultCause> {
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
