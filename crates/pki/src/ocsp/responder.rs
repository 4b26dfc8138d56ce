//! Who may sign an answer: the issuer of the certificate, or a responder to which that very issuer gave a certificate for it (RFC 6960 §4.2.2.2).

use mail_types::Timestamp;
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::answer::OcspFault;
use super::question::OcspQuestion;
use crate::authority::Signed;
use crate::der::{Reader, SEQUENCE};
use crate::revocation::PathCertificate;
use crate::snapshot::TrustSnapshot;

const CERTIFICATES: u8 = 0xa0;
/// id-pkix-ocsp-nocheck: its authority vouches for the responder as long as its certificate is valid.
const NO_CHECK: &str = "1.3.6.1.5.5.7.48.1.5";
/// Certificates of one answer that are looked at.
const CERTIFICATES_MAX: usize = 8;

/// Checks who signed. `rest` is what follows the signature in the BasicOCSPResponse: the certificates that the responder sent along.
pub(super) fn check(
    signed: &Signed<'_>,
    rest: &[u8],
    question: &OcspQuestion,
    trust: &TrustSnapshot,
    now: Timestamp,
) -> Result<(), OcspFault> {
    if signed.is_by_key(&question.issuer_key) {
        return Ok(());
    }
    let certificates = certificates(rest).ok_or(OcspFault::Malformed)?;
    let parsed =
        certificates.into_iter().filter_map(|der| Some((der, X509Certificate::from_der(der).ok()?.1)));
    for (der, responder) in parsed {
        if signed.is_by_key(key_of(&responder)) {
            return check_delegated(der, &responder, question, trust, now);
        }
    }
    Err(OcspFault::BadSignature)
}

fn check_delegated(
    der: &[u8],
    responder: &X509Certificate<'_>,
    question: &OcspQuestion,
    trust: &TrustSnapshot,
    now: Timestamp,
) -> Result<(), OcspFault> {
    let validity = responder.validity();
    let is_valid =
        validity.not_before.timestamp() <= now.secs() && now.secs() <= validity.not_after.timestamp();
    let may_sign =
        responder.extended_key_usage().ok().flatten().is_some_and(|usage| usage.value.ocsp_signing);
    let is_issued = content_of(responder.issuer().as_raw()) == question.issuer_name
        && Signed::read(der).is_some_and(|signed| signed.is_by_key(&question.issuer_key));
    if !(is_valid && may_sign && is_issued) {
        return Err(OcspFault::ResponderNotAuthorised);
    }
    let path_certificate = PathCertificate {
        der: CertificateDer::from(der),
        serial: responder.raw_serial(),
        issuer_name: &question.issuer_name,
        issuer_key: question.issuer_key.clone(),
    };
    if trust.revocation().revokes(&path_certificate) {
        return Err(OcspFault::ResponderRevoked);
    }
    let is_vouched_for =
        responder.iter_extensions().any(|extension| extension.oid.to_id_string() == NO_CHECK);
    match trust.revocation().doubt(&path_certificate, trust.lists_due(now)) {
        Some(_) if !is_vouched_for => Err(OcspFault::ResponderInDoubt),
        _ => Ok(()),
    }
}

/// The elements of `[0] EXPLICIT SEQUENCE OF Certificate OPTIONAL`.
fn certificates(rest: &[u8]) -> Option<Vec<&[u8]>> {
    let mut rest = Reader::new(rest);
    let mut certificates = Vec::new();
    if rest.is_empty() {
        return Some(certificates);
    }
    let mut reader = Reader::new(Reader::new(rest.take(CERTIFICATES)?).take(SEQUENCE)?);
    while !reader.is_empty() && certificates.len() < CERTIFICATES_MAX {
        certificates.push(reader.element()?.raw);
    }
    Some(certificates)
}

/// The SubjectPublicKeyInfo without its outer SEQUENCE.
fn key_of<'a>(certificate: &'a X509Certificate<'_>) -> &'a [u8] {
    content_of(certificate.public_key().raw)
}

fn content_of(sequence: &[u8]) -> &[u8] {
    crate::der::content(sequence).unwrap_or_default()
}
