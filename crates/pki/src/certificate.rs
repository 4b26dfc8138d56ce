//! Certificates of the inventory: what one says, and what it is for.

use aws_lc_rs::digest::{SHA256, digest};
use mail_types::{AlternativeName, CertificateFacts, CertificateUsage, Fingerprint, Timestamp};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::SectionKind;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::encoding;
use crate::leaf::Leaf;

/// Why a file gives no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFileError {
    /// No certificate in it.
    #[error("the file holds no certificate; it must be PEM (BEGIN CERTIFICATE) or DER")]
    Empty,
    /// The first certificate cannot be read.
    #[error("the certificate cannot be read")]
    Malformed,
}

/// What the first certificate of a file (PEM or DER) says. The other ones, its issuers by custom, are passed over; nothing is verified.
pub fn certificate_facts(file: &[u8]) -> Result<CertificateFacts, CertificateFileError> {
    let mut certificates = encoding::objects(file, SectionKind::Certificate).into_iter();
    let first = certificates.next().ok_or(CertificateFileError::Empty)?;
    let der = first.map_err(|_| CertificateFileError::Malformed)?;
    facts_of(&der).ok_or(CertificateFileError::Malformed)
}

/// The DNS and mail names of the first certificate of a file, as [`certificate_facts`] reads it.
pub fn certificate_names(file: &[u8]) -> Result<Vec<AlternativeName>, CertificateFileError> {
    let facts = certificate_facts(file)?;
    let leaf = Leaf::read(&facts.der).ok_or(CertificateFileError::Malformed)?;
    let dns = leaf.dns_names.into_iter().map(AlternativeName::Dns);
    Ok(dns
        .chain(leaf.mail_names.into_iter().map(|name| AlternativeName::Mail(name.to_lowercase())))
        .collect())
}

/// Every certificate of a file (PEM, DER or P7B) in its order: by custom the leaf, then its issuers. Nothing is verified.
pub fn certificate_chain(file: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateFileError> {
    let certificates = encoding::objects(file, SectionKind::Certificate);
    if certificates.is_empty() {
        return Err(CertificateFileError::Empty);
    }
    let read = certificates.into_iter().map(|der| der.map(CertificateDer::from));
    read.collect::<Result<_, _>>().map_err(|_| CertificateFileError::Malformed)
}

/// `None` when it is not a certificate.
pub(crate) fn facts_of(der: &[u8]) -> Option<CertificateFacts> {
    let (rest, x509) = X509Certificate::from_der(der).ok()?;
    let leaf = Leaf::read(der).filter(|_| rest.is_empty())?;
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest(&SHA256, der).as_ref());
    Some(CertificateFacts {
        fingerprint: Fingerprint(fingerprint),
        usage: usage(&x509),
        subject: leaf.subject,
        issuer: leaf.issuer,
        serial: leaf.serial,
        key_pin: leaf.key_pin,
        not_before: Timestamp::from_secs(x509.validity().not_before.timestamp()),
        not_after: Timestamp::from_secs(x509.validity().not_after.timestamp()),
        der: der.to_vec(),
    })
}

/// By extended key usage, then by key usage (RFC 5280 §4.2.1.3 and §4.2.1.12). An authority's certificate is of no such kind.
fn usage(certificate: &X509Certificate<'_>) -> CertificateUsage {
    let extended = certificate.extended_key_usage().ok().flatten();
    let (server, client, mail) = extended.map_or((false, false, false), |usage| {
        (usage.value.server_auth, usage.value.client_auth, usage.value.email_protection)
    });
    let key = certificate.key_usage().ok().flatten();
    let (signs, commits, enciphers) = key.map_or((false, false, false), |usage| {
        let usage = usage.value;
        let enciphers = usage.key_encipherment() || usage.data_encipherment();
        (usage.digital_signature(), usage.non_repudiation(), enciphers)
    });
    match () {
        () if certificate.is_ca() => CertificateUsage::Other,
        () if server => CertificateUsage::ServSsl,
        () if client => CertificateUsage::OrgAuthCli,
        () if mail && enciphers && !signs => CertificateUsage::OrgConf,
        () if (mail || commits) && signs => CertificateUsage::OrgSign,
        () => CertificateUsage::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::slice::from_ref;

    use rcgen::{
        BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose as Extended, IsCa, KeyPair,
        KeyUsagePurpose as Key,
    };

    fn facts(extended: &[Extended], key: &[Key], is_ca: bool) -> CertificateFacts {
        let mut params = CertificateParams::default();
        params.extended_key_usages = extended.to_vec();
        params.key_usages = key.to_vec();
        if is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        certificate_facts(certificate.pem().as_bytes()).unwrap()
    }

    #[test]
    fn each_kind_of_the_national_offer_is_recognised() {
        let (server, client, mail) = (Extended::ServerAuth, Extended::ClientAuth, Extended::EmailProtection);
        for (extended, key, usage) in [
            (
                &[server.clone()][..],
                &[Key::DigitalSignature, Key::KeyEncipherment][..],
                CertificateUsage::ServSsl,
            ),
            (&[client.clone(), server], &[Key::DigitalSignature], CertificateUsage::ServSsl),
            (&[client], &[Key::DigitalSignature], CertificateUsage::OrgAuthCli),
            (from_ref(&mail), &[Key::DigitalSignature, Key::ContentCommitment], CertificateUsage::OrgSign),
            (&[], &[Key::DigitalSignature, Key::ContentCommitment], CertificateUsage::OrgSign),
            (from_ref(&mail), &[Key::KeyEncipherment], CertificateUsage::OrgConf),
            (from_ref(&mail), &[Key::DataEncipherment], CertificateUsage::OrgConf),
            (&[], &[Key::KeyEncipherment], CertificateUsage::Other),
            (&[], &[], CertificateUsage::Other),
        ] {
            assert_eq!(facts(extended, key, false).usage, usage, "{extended:?} {key:?}");
        }
        assert_eq!(facts(&[Extended::ServerAuth], &[Key::KeyCertSign], true).usage, CertificateUsage::Other);
    }

    #[test]
    fn a_file_without_a_certificate_says_so() {
        assert_eq!(certificate_facts(b"no PEM"), Err(CertificateFileError::Empty));
        assert_eq!(certificate_facts(&[0x30, 0x82, 0, 9, 1]), Err(CertificateFileError::Malformed));
    }
}
