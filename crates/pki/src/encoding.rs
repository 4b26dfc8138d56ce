//! Files of certificates and lists: PEM, DER or P7B (the certificates and lists of a PKCS#7 SignedData, RFC 2315 §9.1), several objects in one file.

use rustls_pki_types::pem::{PemObject, SectionKind};
use x509_parser::pem::Pem;

use crate::der::{INTEGER, OID, Reader, SEQUENCE, SET};

/// 1.2.840.113549.1.7.2
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const PKCS7_LABELS: [&str; 3] = ["PKCS7", "PKCS #7 SIGNED DATA", "CMS"];

/// Every object of one kind in a file. Sections of other kinds are passed over; one `Err` stands for a part that cannot be read.
pub(crate) fn objects(file: &[u8], kind: SectionKind) -> Vec<Result<Vec<u8>, Unreadable>> {
    if is_der(file) { der_objects(file, kind) } else { pem_objects(file, kind) }
}

/// A part of a file that is neither PEM nor DER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// A certificate or list is a SEQUENCE longer than 127 bytes; no PEM file begins with these two bytes.
fn is_der(file: &[u8]) -> bool {
    matches!(file, [0x30, length, ..] if *length >= 0x80)
}

fn der_objects(file: &[u8], kind: SectionKind) -> Vec<Result<Vec<u8>, Unreadable>> {
    let (mut reader, mut objects) = (Reader::new(file), Vec::new());
    while !reader.is_empty() {
        match reader.element() {
            Some(element) if is_signed_data(element.content) => {
                objects.extend(bundled(element.content, kind));
            }
            Some(element) => objects.push(Ok(element.raw.to_vec())),
            None => {
                objects.push(Err(Unreadable));
                break;
            }
        }
    }
    objects
}

fn pem_objects(file: &[u8], kind: SectionKind) -> Vec<Result<Vec<u8>, Unreadable>> {
    let mut objects = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(file) {
        match section {
            Ok((found, der)) if found == kind => objects.push(Ok(der)),
            Ok(_) => {}
            Err(_) => {
                objects.push(Err(Unreadable));
                return objects;
            }
        }
    }
    objects.extend(pem_bundles(file, kind));
    objects
}

/// The objects of the PKCS#7 sections, which the parser of the other sections does not know.
fn pem_bundles(file: &[u8], kind: SectionKind) -> Vec<Result<Vec<u8>, Unreadable>> {
    if !PKCS7_LABELS.iter().any(|label| names_section(file, label)) {
        return Vec::new();
    }
    let mut objects = Vec::new();
    for section in Pem::iter_from_buffer(file) {
        match section {
            Ok(section) if PKCS7_LABELS.contains(&section.label.as_str()) => {
                match Reader::new(&section.contents).take(SEQUENCE).filter(|content| is_signed_data(content))
                {
                    Some(content) => objects.extend(bundled(content, kind)),
                    None => objects.push(Err(Unreadable)),
                }
            }
            Ok(_) => {}
            Err(_) => {
                objects.push(Err(Unreadable));
                break;
            }
        }
    }
    objects
}

fn names_section(file: &[u8], label: &str) -> bool {
    let begin = format!("-----BEGIN {label}-----");
    file.split(|byte| *byte == b'\n').any(|line| line.starts_with(begin.as_bytes()))
}

fn is_signed_data(content_info: &[u8]) -> bool {
    Reader::new(content_info).take(OID) == Some(SIGNED_DATA)
}

/// The certificates or lists of a SignedData. What it signs and by whom is not looked at: what a trust file holds is believed because of where it lies.
fn bundled(content_info: &[u8], kind: SectionKind) -> Vec<Result<Vec<u8>, Unreadable>> {
    match signed_data(content_info, kind) {
        Some(objects) => objects.into_iter().map(Ok).collect(),
        None => vec![Err(Unreadable)],
    }
}

fn signed_data(content_info: &[u8], kind: SectionKind) -> Option<Vec<Vec<u8>>> {
    const EXPLICIT: u8 = 0xa0;
    const CERTIFICATES: u8 = 0xa0;
    const LISTS: u8 = 0xa1;
    let mut reader = Reader::new(content_info);
    reader.take(OID)?;
    let mut explicit = Reader::new(reader.take(EXPLICIT)?);
    let mut fields = Reader::new(explicit.take(SEQUENCE)?);
    fields.take(INTEGER)?;
    fields.take(SET)?;
    fields.take(SEQUENCE)?;
    let certificates = fields.take(CERTIFICATES).unwrap_or_default();
    let lists = fields.take(LISTS).unwrap_or_default();
    let mut chosen = Reader::new(if kind == SectionKind::Crl { lists } else { certificates });
    let mut objects = Vec::new();
    while !chosen.is_empty() {
        // Other choices than a plain certificate or list have tags of their own.
        let element = chosen.element()?;
        if element.tag == SEQUENCE {
            objects.push(element.raw.to_vec());
        }
    }
    Some(objects)
}
