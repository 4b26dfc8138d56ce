//! What the leaf certificate says of its holder, whether or not it is to be believed.

use std::net::IpAddr;

use aws_lc_rs::digest;
use mail_types::{DistinguishedName, PeerIdentity, RevocationState, Timestamp};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

use crate::der;
use crate::names::distinguished_name;

/// The facts of a leaf. A claim until `judge` turned it into a [`PeerIdentity`].
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub(crate) subject: DistinguishedName,
    pub(crate) issuer: DistinguishedName,
    pub(crate) serial: Vec<u8>,
    pub(crate) dns_names: Vec<String>,
    pub(crate) mail_names: Vec<String>,
    pub(crate) ip_names: Vec<IpAddr>,
    /// Dotted OIDs of the certificate policies.
    pub(crate) policies: Vec<String>,
    pub(crate) key_pin: [u8; 32],
    /// Whether its key may sign documents: a key usage, if stated, of digitalSignature or nonRepudiation (RFC 5280 §4.2.1.3).
    pub(crate) may_sign: bool,
    /// Seconds since the epoch.
    pub(crate) not_after: i64,
}

impl Leaf {
    /// `None` when the certificate is not DER, or repeats its subjectAltName.
    pub(crate) fn read(certificate: &[u8]) -> Option<Self> {
        let (_, x509) = X509Certificate::from_der(certificate).ok()?;
        let mut leaf = Self {
            subject: distinguished_name(x509.subject()),
            issuer: distinguished_name(x509.issuer()),
            serial: der::without_leading_zeros(x509.raw_serial()).to_vec(),
            dns_names: Vec::new(),
            mail_names: Vec::new(),
            ip_names: Vec::new(),
            policies: policies(&x509),
            key_pin: sha256(x509.public_key().raw),
            may_sign: may_sign(&x509)?,
            not_after: x509.validity().not_after.timestamp(),
        };
        if let Some(names) = x509.subject_alternative_name().ok()? {
            names.value.general_names.iter().for_each(|name| leaf.add(name));
        }
        Some(leaf)
    }

    /// To be called by `judge` alone, once the path was verified.
    pub(crate) fn into_identity(
        self,
        revocation: RevocationState,
        crl_number: Option<String>,
    ) -> PeerIdentity {
        PeerIdentity {
            subject: self.subject,
            issuer: self.issuer,
            serial: self.serial,
            dns_names: self.dns_names,
            mail_names: self.mail_names,
            ip_names: self.ip_names,
            policies: self.policies,
            not_after: Timestamp::from_secs(self.not_after),
            crl_number,
            key_pin: self.key_pin,
            revocation,
        }
    }

    fn add(&mut self, name: &GeneralName<'_>) {
        match name {
            GeneralName::DNSName(name) => self.dns_names.push(name.to_ascii_lowercase()),
            GeneralName::RFC822Name(name) => self.mail_names.push((*name).to_owned()),
            GeneralName::IPAddress(bytes) => self.ip_names.extend(ip_address(bytes)),
            _ => {}
        }
    }
}

/// `None` when the extension cannot be read.
fn may_sign(certificate: &X509Certificate<'_>) -> Option<bool> {
    let usage = certificate.key_usage().ok()?;
    Some(usage.is_none_or(|usage| usage.value.digital_signature() || usage.value.non_repudiation()))
}

fn policies(certificate: &X509Certificate<'_>) -> Vec<String> {
    let extensions = certificate.iter_extensions().map(|extension| extension.parsed_extension());
    extensions
        .filter_map(|extension| match extension {
            ParsedExtension::CertificatePolicies(policies) => Some(policies),
            _ => None,
        })
        .flat_map(|policies| policies.iter().map(|policy| policy.policy_id.to_id_string()))
        .collect()
}

fn ip_address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut pin = [0; 32];
    pin.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    pin
}
