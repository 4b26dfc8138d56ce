//! What a certificate of the inventory says of itself.

use crate::mailbox::words;
use crate::{DistinguishedName, Timestamp};
use std::fmt;

words! {
    /// What a certificate is for, in the words of the national offer (mapped from its extended key usage and key usage).
    CertificateUsage, "SERV_SSL, ORG_AUTH_CLI, ORG_SIGN, ORG_CONF, OTHER" {
        /// A server's: serverAuth, whether or not clientAuth stands beside it.
        ServSsl = "SERV_SSL",
        /// An organisation's or application's, to log in: clientAuth without serverAuth.
        OrgAuthCli = "ORG_AUTH_CLI",
        /// For signatures: emailProtection or nonRepudiation with digitalSignature.
        OrgSign = "ORG_SIGN",
        /// For confidentiality: emailProtection with keyEncipherment or dataEncipherment and without digitalSignature.
        OrgConf = "ORG_CONF",
        /// Anything else, such as an authority's.
        Other = "OTHER",
    }
}

/// The SHA-256 of a certificate's DER.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The first sixteen hexadecimal digits: enough to name a certificate in a log, a metric or a command.
    pub fn short(&self) -> String {
        self.0.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Fingerprint {
    /// 64 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A certificate, and what it says. Read by `pki`; a claim, as nothing of it was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// SHA-256 of `der`.
    pub fingerprint: Fingerprint,
    /// What it is for.
    pub usage: CertificateUsage,
    /// Subject.
    pub subject: DistinguishedName,
    /// Issuer.
    pub issuer: DistinguishedName,
    /// Serial number, big endian, without leading zeros.
    pub serial: Vec<u8>,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub key_pin: [u8; 32],
    /// First instant at which it is valid.
    pub not_before: Timestamp,
    /// Last instant at which it is valid.
    pub not_after: Timestamp,
    /// The certificate itself.
    pub der: Vec<u8>,
}
