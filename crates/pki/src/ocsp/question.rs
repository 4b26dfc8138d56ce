//! What is asked of a responder: one certificate, named by its issuer and its serial number.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use x509_cert::der::asn1::{Null, ObjectIdentifier, OctetString};
use x509_cert::der::{self as asn1, Encode};
use x509_cert::ext::Extension;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_ocsp::ext::Nonce;
use x509_ocsp::{CertId, OcspRequest, Request, TbsRequest, Version};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

use crate::der::{self, BIT_STRING, Reader, SEQUENCE};
use crate::revocation::PathCertificate;

const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA2_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
pub(super) const NONCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.2");
/// accessMethod of an OCSP responder (RFC 5280 §4.2.2.1).
const OCSP_ACCESS: &str = "1.3.6.1.5.5.7.48.1";

/// Responders of one certificate that are asked, one after the other.
const URLS_MAX: usize = 2;
/// Octets of the longest address of a responder.
const URL_LENGTH_MAX: usize = 1_024;

/// One certificate of a verified path and its issuer there. Made by the judge alone, so that no responder is asked because of a certificate that
/// nobody trusted signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OcspQuestion {
    certificate: Vec<u8>,
    serial: Vec<u8>,
    /// DER without its outer SEQUENCE.
    pub(super) issuer_name: Vec<u8>,
    /// DER without its outer SEQUENCE.
    pub(super) issuer_key: Vec<u8>,
}

impl OcspQuestion {
    pub(crate) fn about(certificate: &PathCertificate<'_>) -> Self {
        Self {
            certificate: certificate.der.to_vec(),
            serial: der::without_leading_zeros(certificate.serial).to_vec(),
            issuer_name: certificate.issuer_name.to_vec(),
            issuer_key: certificate.issuer_key.to_vec(),
        }
    }

    /// What tells this certificate from every other one: a digest of its issuer's name and key and of its serial number.
    pub(super) fn key(&self) -> [u8; 32] {
        let mut context = aws_lc_rs::digest::Context::new(&SHA256);
        for part in [&self.issuer_name, &self.issuer_key, &self.serial] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut key = [0; 32];
        key.copy_from_slice(context.finish().as_ref());
        key
    }

    /// Where the certificate says that it can be asked after, in its order: `http` and `https` only.
    pub(super) fn responders(&self) -> Vec<String> {
        let Ok((_, x509)) = X509Certificate::from_der(&self.certificate) else {
            return Vec::new();
        };
        let extensions = x509.iter_extensions().map(|extension| extension.parsed_extension());
        extensions
            .filter_map(|extension| match extension {
                ParsedExtension::AuthorityInfoAccess(access) => Some(access),
                _ => None,
            })
            .flat_map(|access| access.iter())
            .filter(|access| access.access_method.to_id_string() == OCSP_ACCESS)
            .filter_map(|access| match access.access_location {
                GeneralName::URI(uri) if is_web_address(uri) => Some(uri.to_owned()),
                _ => None,
            })
            .take(URLS_MAX)
            .collect()
    }

    /// The OCSPRequest, unsigned, with this nonce (RFC 6960 §4.1.1).
    pub(super) fn request(&self, nonce: &[u8]) -> Result<Vec<u8>, asn1::Error> {
        let nonce = Extension {
            extn_id: NONCE,
            critical: false,
            extn_value: OctetString::new(Nonce::new(nonce)?.0.to_der()?)?,
        };
        let request = Request { req_cert: self.certificate_id()?, single_request_extensions: None };
        let tbs_request = TbsRequest {
            version: Version::V1,
            requestor_name: None,
            request_list: vec![request],
            request_extensions: Some(vec![nonce]),
        };
        OcspRequest { tbs_request, optional_signature: None }.to_der()
    }

    /// Whether an answer speaks of this certificate. Responders answer with the identifier that they were asked with; the answers that servers
    /// staple may have been asked for with SHA-256.
    pub(super) fn is_meant_by(&self, id: &CertId) -> bool {
        let algorithm = match id.hash_algorithm.oid {
            SHA1 => &SHA1_FOR_LEGACY_USE_ONLY,
            SHA2_256 => &SHA256,
            _ => return false,
        };
        let hash = |bytes: &[u8]| digest(algorithm, bytes);
        let Some(key) = key_bits(&self.issuer_key) else { return false };
        der::without_leading_zeros(id.serial_number.as_bytes()) == self.serial
            && id.issuer_name_hash.as_bytes() == hash(&der::sequence(&self.issuer_name)).as_ref()
            && id.issuer_key_hash.as_bytes() == hash(key).as_ref()
    }

    /// With SHA-1, which every responder knows: it names the issuer and protects nothing (RFC 5019 §2.1.1).
    fn certificate_id(&self) -> Result<CertId, asn1::Error> {
        let hash = |bytes: &[u8]| OctetString::new(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref());
        Ok(CertId {
            hash_algorithm: AlgorithmIdentifierOwned { oid: SHA1, parameters: Some(Null.into()) },
            issuer_name_hash: hash(&der::sequence(&self.issuer_name))?,
            issuer_key_hash: hash(key_bits(&self.issuer_key).unwrap_or_default())?,
            serial_number: SerialNumber::new(&self.serial)?,
        })
    }
}

/// The subjectPublicKey of a SubjectPublicKeyInfo given without its outer SEQUENCE.
fn key_bits(key: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(key);
    reader.take(SEQUENCE)?;
    reader.take(BIT_STRING)?.split_first().map(|(_, bits)| bits)
}

fn is_web_address(uri: &str) -> bool {
    uri.len() <= URL_LENGTH_MAX && (uri.starts_with("http://") || uri.starts_with("https://"))
}
