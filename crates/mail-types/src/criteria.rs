//! What a certificate must show to stand for an application.

use crate::{DistinguishedName, PeerIdentity};
use std::fmt;
use std::str::FromStr;

/// A name of the subjectAltName extension, in lower case.
///
/// Written as OpenSSL prints it: `DNS:lims.example`, `email:labo@example`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlternativeName {
    /// dNSName.
    Dns(String),
    /// rfc822Name.
    Mail(String),
}

/// Why a text is not an [`AlternativeName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an alternative name: write `DNS:` or `email:` and the name")]
pub struct AlternativeNameError;

impl FromStr for AlternativeName {
    type Err = AlternativeNameError;

    fn from_str(text: &str) -> Result<Self, AlternativeNameError> {
        let (kind, name) = text.split_once(':').ok_or(AlternativeNameError)?;
        let name = name.trim().to_lowercase();
        match kind.trim().to_ascii_lowercase().as_str() {
            _ if name.is_empty() => Err(AlternativeNameError),
            "dns" => Ok(Self::Dns(name)),
            "email" => Ok(Self::Mail(name)),
            _ => Err(AlternativeNameError),
        }
    }
}

impl fmt::Display for AlternativeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "DNS:{name}"),
            Self::Mail(name) => write!(f, "email:{name}"),
        }
    }
}

impl PeerIdentity {
    /// DNS and mail names of the leaf.
    pub fn alternative_names(&self) -> impl Iterator<Item = AlternativeName> {
        let dns = self.dns_names.iter().map(|name| AlternativeName::Dns(name.to_lowercase()));
        dns.chain(self.mail_names.iter().map(|name| AlternativeName::Mail(name.to_lowercase())))
    }
}

/// Criteria that name no certificate in particular.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too wide: a rule names a key, or an issuer with a serial number, a subject or an alternative name")]
pub struct TooWide;

/// What a certificate must show. Whatever is set must match; at least a key, or an issuer with something that it gave to one holder.
#[derive(Clone, PartialEq, Eq)]
pub struct CertificateCriteria {
    issuer: Option<DistinguishedName>,
    subject: Option<DistinguishedName>,
    alternative_name: Option<AlternativeName>,
    serial: Option<Vec<u8>>,
    key_pin: Option<[u8; 32]>,
}

impl CertificateCriteria {
    /// Criteria of these parts. `serial` is big endian; `key_pin` the SHA-256 of the SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`TooWide`] when a whole authority's certificates would match.
    pub fn new(
        issuer: Option<DistinguishedName>,
        subject: Option<DistinguishedName>,
        alternative_name: Option<AlternativeName>,
        serial: Option<Vec<u8>>,
        key_pin: Option<[u8; 32]>,
    ) -> Result<Self, TooWide> {
        let serial = serial.map(|octets| octets.into_iter().skip_while(|octet| *octet == 0).collect());
        let names_one = serial.is_some() || subject.is_some() || alternative_name.is_some();
        if key_pin.is_none() && !(issuer.is_some() && names_one) {
            return Err(TooWide);
        }
        Ok(Self { issuer, subject, alternative_name, serial, key_pin })
    }

    /// Whether a certificate shows all of it.
    pub fn match_peer(&self, peer: &PeerIdentity) -> bool {
        self.issuer.as_ref().is_none_or(|issuer| *issuer == peer.issuer)
            && self.subject.as_ref().is_none_or(|subject| *subject == peer.subject)
            && self.serial.as_ref().is_none_or(|serial| *serial == peer.serial)
            && self.key_pin.as_ref().is_none_or(|pin| *pin == peer.key_pin)
            && self.alternative_name.as_ref().is_none_or(|name| peer.alternative_names().any(|n| n == *name))
    }

    /// The issuer asked for.
    pub fn issuer(&self) -> Option<&DistinguishedName> {
        self.issuer.as_ref()
    }

    /// The subject asked for.
    pub fn subject(&self) -> Option<&DistinguishedName> {
        self.subject.as_ref()
    }

    /// The alternative name asked for.
    pub fn alternative_name(&self) -> Option<&AlternativeName> {
        self.alternative_name.as_ref()
    }

    /// The serial number asked for, big endian, without leading zeros.
    pub fn serial(&self) -> Option<&[u8]> {
        self.serial.as_deref()
    }

    /// The SHA-256 of the SubjectPublicKeyInfo asked for.
    pub fn key_pin(&self) -> Option<&[u8; 32]> {
        self.key_pin.as_ref()
    }
}

impl fmt::Display for CertificateCriteria {
    /// `issuer "…" and serial 1a2b`, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.key_pin.as_ref().map(|pin| format!("key {}", hex(pin))),
            self.issuer.as_ref().map(|name| format!("issuer \"{name}\"")),
            self.serial.as_ref().map(|serial| format!("serial {}", hex(serial))),
            self.subject.as_ref().map(|name| format!("subject \"{name}\"")),
            self.alternative_name.as_ref().map(|name| format!("name {name}")),
        ];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(" and "))
    }
}

impl fmt::Debug for CertificateCriteria {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RevocationState, Timestamp};

    fn dn(text: &str) -> DistinguishedName {
        text.parse().unwrap()
    }

    fn peer() -> PeerIdentity {
        PeerIdentity {
            subject: dn("CN=labo,O=CHU"),
            issuer: dn("CN=AC"),
            serial: vec![0x1a, 0x2b],
            dns_names: vec!["lims.example".to_owned()],
            mail_names: vec!["Labo@Example".to_owned()],
            ip_names: Vec::new(),
            policies: Vec::new(),
            not_after: Timestamp(0),
            crl_number: None,
            key_pin: [7; 32],
            revocation: RevocationState::Good,
        }
    }

    #[test]
    fn a_whole_authority_is_never_meant() {
        let issuer = || Some(dn("CN=AC"));
        assert_eq!(CertificateCriteria::new(issuer(), None, None, None, None), Err(TooWide));
        assert_eq!(CertificateCriteria::new(None, Some(dn("CN=labo")), None, None, None), Err(TooWide));
        assert_eq!(CertificateCriteria::new(None, None, None, Some(vec![1]), None), Err(TooWide));
        assert!(CertificateCriteria::new(issuer(), None, None, Some(vec![1]), None).is_ok());
        assert!(CertificateCriteria::new(None, None, None, None, Some([0; 32])).is_ok());
    }

    #[test]
    fn whatever_is_set_must_match() {
        let peer = peer();
        let rule = |issuer: &str, subject: Option<&str>, name: Option<&str>, serial: Option<&[u8]>| {
            let name = name.map(|name| name.parse().unwrap());
            let serial = serial.map(<[u8]>::to_vec);
            CertificateCriteria::new(Some(dn(issuer)), subject.map(dn), name, serial, None).unwrap()
        };
        for good in [
            rule("cn=ac", None, None, Some(&[0, 0x1a, 0x2b])),
            rule("CN=AC", Some("O = chu, CN = Labo"), None, None),
            rule("CN=AC", None, Some("EMAIL:labo@example"), None),
            rule("CN=AC", Some("CN=labo,O=CHU"), Some("DNS:LIMS.example"), Some(&[0x1a, 0x2b])),
        ] {
            assert!(good.match_peer(&peer), "{good}");
        }
        for bad in [
            rule("CN=AC 2", None, None, Some(&[0x1a, 0x2b])),
            rule("CN=AC", None, None, Some(&[0x2b])),
            rule("CN=AC", Some("CN=labo"), None, None),
            rule("CN=AC", None, Some("DNS:labo@example"), None),
            rule("CN=AC", Some("CN=labo,O=CHU"), None, Some(&[0x1a])),
        ] {
            assert!(!bad.match_peer(&peer), "{bad}");
        }
        let pinned = |pin| CertificateCriteria::new(None, None, None, None, Some(pin)).unwrap();
        assert!(pinned([7; 32]).match_peer(&peer) && !pinned([8; 32]).match_peer(&peer));
    }
}
