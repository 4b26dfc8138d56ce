//! What a verified certificate says of a peer.

use crate::{DistinguishedName, Timestamp};
use std::net::IpAddr;

/// What is known of the revocation of a certificate path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationState {
    /// Every certificate of the path was looked up in a current list and is not revoked.
    Good,
    /// The question could not be answered, for a cause of ours: a list is missing or past its date.
    /// Never a reason for a permanent refusal. A revoked certificate never becomes a [`PeerIdentity`].
    Unknown(&'static str),
}

/// What a certificate that was shown says of itself: a claim, for the journal only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateClaim {
    /// Its subject.
    pub subject: DistinguishedName,
    /// Its serial number, big endian, without leading zeros.
    pub serial: Vec<u8>,
}

/// A peer whose certificate chain was verified. Built by `pki` only, once per connection, and carried by value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Subject, for comparison with the white list.
    pub subject: DistinguishedName,
    /// Issuer of the leaf.
    pub issuer: DistinguishedName,
    /// Serial number of the leaf, big endian, without leading zeros.
    pub serial: Vec<u8>,
    /// DNS names of the leaf's subjectAltName, lower case.
    pub dns_names: Vec<String>,
    /// E-mail addresses (rfc822Name) of the leaf's subjectAltName.
    pub mail_names: Vec<String>,
    /// Addresses (iPAddress) of the leaf's subjectAltName.
    pub ip_names: Vec<IpAddr>,
    /// Certificate policies of the leaf, dotted OIDs (RFC 5280 §4.2.1.4).
    pub policies: Vec<String>,
    /// Last instant at which the leaf is valid.
    pub not_after: Timestamp,
    /// Number of the revocation list in which the leaf was looked up, in hexadecimal; `None` when there is no list or it has no number.
    pub crl_number: Option<String>,
    /// SHA-256 of the leaf's SubjectPublicKeyInfo.
    pub key_pin: [u8; 32],
    /// What the certificate revocation lists said.
    pub revocation: RevocationState,
}

impl PeerIdentity {
    /// The certificate as the audit trail names what proved somebody: `certificate:` and the first eight octets of its key's SHA-256 in
    /// hexadecimal.
    pub fn credential(&self) -> String {
        let octets = self.key_pin.iter().take(8);
        octets.fold("certificate:".to_owned(), |text, octet| format!("{text}{octet:02x}"))
    }
}
