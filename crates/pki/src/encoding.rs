//! Files of certificates and lists: PEM or DER, several objects in one file.

use rustls_pki_types::pem::{PemObject, SectionKind};

use crate::der::Reader;

/// Every object of one kind in a file. Sections of other kinds are passed over; one `Err` stands for a part that cannot be read.
pub(crate) fn objects(file: &[u8], kind: SectionKind) -> Vec<Result<Vec<u8>, Unreadable>> {
    if is_der(file) { der_objects(file) } else { pem_objects(file, kind) }
}

/// A part of a file that is neither PEM nor DER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// A certificate or list is a SEQUENCE longer than 127 bytes; no PEM file begins with these two bytes.
fn is_der(file: &[u8]) -> bool {
    matches!(file, [0x30, length, ..] if *length >= 0x80)
}

fn der_objects(file: &[u8]) -> Vec<Result<Vec<u8>, Unreadable>> {
    let (mut reader, mut objects) = (Reader::new(file), Vec::new());
    while !reader.is_empty() {
        match reader.element() {
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
                break;
            }
        }
    }
    objects
}
