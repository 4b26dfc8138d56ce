//! The certification authorities of the trust files.

use std::fmt;

use mail_types::{DistinguishedName, Timestamp};
use rustls_pki_types::{
    CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, TrustAnchor,
};
use webpki::{EndEntityCert, RawPublicKeyEntity, anchor_from_trusted_cert};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::crypto;
use crate::der::{self, BIT_STRING, Reader, SEQUENCE};
use crate::names::distinguished_name;

/// A CA certificate: self-signed ones are trust anchors, the others are offered to path building.
#[derive(Clone)]
pub(crate) struct Authority {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) anchor: TrustAnchor<'static>,
    pub(crate) subject: DistinguishedName,
    pub(crate) issuer: DistinguishedName,
    /// Big endian, without leading zeros.
    pub(crate) serial: Vec<u8>,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) is_self_signed: bool,
    /// Index of the file it came from, among the trust files.
    pub(crate) file: usize,
    signs_lists: bool,
}

impl Authority {
    /// `None` when the certificate cannot be read or is not one of a CA.
    pub(crate) fn read(certificate: Vec<u8>, file: usize) -> Option<Self> {
        let (rest, x509) = X509Certificate::from_der(&certificate).ok()?;
        if !rest.is_empty() || !x509.is_ca() {
            return None;
        }
        let der = CertificateDer::from(certificate.as_slice());
        let signed = Signed::read(&certificate)?;
        Some(Self {
            anchor: anchor_from_trusted_cert(&der).ok()?.to_owned(),
            subject: distinguished_name(x509.subject()),
            issuer: distinguished_name(x509.issuer()),
            serial: der::without_leading_zeros(x509.raw_serial()).to_vec(),
            not_before: Timestamp::from_secs(x509.validity().not_before.timestamp()),
            not_after: Timestamp::from_secs(x509.validity().not_after.timestamp()),
            is_self_signed: x509.subject().as_raw() == x509.issuer().as_raw() && signed.is_by(&der),
            signs_lists: x509.key_usage().ok()?.is_none_or(|usage| usage.value.crl_sign()),
            file,
            certificate: der.into_owned(),
        })
    }

    /// The subject, DER without its outer SEQUENCE, as webpki compares names.
    pub(crate) fn name(&self) -> &[u8] {
        &self.anchor.subject
    }

    /// The public key, DER without its outer SEQUENCE.
    pub(crate) fn key(&self) -> &[u8] {
        &self.anchor.subject_public_key_info
    }

    /// Whether it may sign revocation lists: cRLSign, or no KeyUsage at all (RFC 5280 §4.2.1.3).
    pub(crate) fn signs_lists(&self) -> bool {
        self.signs_lists
    }

    /// Whether its name says that it is of a test PKI: TEST as a word of a CN, O or OU.
    pub(crate) fn is_for_tests(&self) -> bool {
        let mut named = self.subject.attributes().filter(|(kind, _)| matches!(*kind, "CN" | "O" | "OU"));
        named.any(|(_, value)| {
            let mut words = value.split(|c: char| !c.is_alphanumeric());
            words.any(|word| word.eq_ignore_ascii_case("TEST"))
        })
    }

    pub(crate) fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// The shape shared by certificates and lists: SEQUENCE { what is signed, algorithm, signature }.
pub(crate) struct Signed<'a> {
    /// What is signed, without its outer SEQUENCE.
    pub(crate) content: &'a [u8],
    /// AlgorithmIdentifier, without its outer SEQUENCE.
    pub(crate) algorithm: &'a [u8],
    message: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Signed<'a> {
    pub(crate) fn read(der: &'a [u8]) -> Option<Self> {
        Self::read_start(der).filter(|(_, rest)| rest.is_empty()).map(|(signed, _)| signed)
    }

    /// The same, of a SEQUENCE that goes on after the signature; with what follows.
    pub(crate) fn read_start(der: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let mut outer = Reader::new(der);
        let mut reader = Reader::new(outer.take(SEQUENCE)?);
        let message = reader.element().filter(|element| element.tag == SEQUENCE)?;
        let algorithm = reader.take(SEQUENCE)?;
        let (unused_bits, signature) = reader.take(BIT_STRING)?.split_first()?;
        let whole = outer.is_empty() && *unused_bits == 0;
        let signed = Self { content: message.content, algorithm, message: message.raw, signature };
        whole.then_some((signed, reader.rest()))
    }

    /// Whether the key of this certificate made the signature, with an algorithm of ours.
    pub(crate) fn is_by(&self, issuer: &CertificateDer<'_>) -> bool {
        let Ok(issuer) = EndEntityCert::try_from(issuer) else {
            return false;
        };
        self.is_verified(|algorithm| issuer.verify_signature(algorithm, self.message, self.signature).is_ok())
    }

    /// The same, for a SubjectPublicKeyInfo without its outer SEQUENCE.
    pub(crate) fn is_by_key(&self, key: &[u8]) -> bool {
        let key = SubjectPublicKeyInfoDer::from(der::sequence(key));
        let Ok(key) = RawPublicKeyEntity::try_from(&key) else {
            return false;
        };
        self.is_verified(|algorithm| key.verify_signature(algorithm, self.message, self.signature).is_ok())
    }

    fn is_verified(&self, verify: impl Fn(&dyn SignatureVerificationAlgorithm) -> bool) -> bool {
        let named = crypto::signature_algorithms().all.iter();
        named
            .filter(|algorithm| algorithm.signature_alg_id().as_ref() == self.algorithm)
            .any(|algorithm| verify(*algorithm))
    }
}
