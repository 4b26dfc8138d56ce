//! One judgement, and the line that the audit trail keeps of it.

use mail_types::{ActorId, CertificateClaim, DistinguishedName, Domain, PeerIdentity, Timestamp};
use serde_json::{Map, Value};
use std::fmt::Write;
use std::net::IpAddr;

/// Characters of a subject that a row keeps.
const SUBJECT_MAX: usize = 1_024;
/// Octets of a serial number that a row shows.
const SERIAL_MAX: usize = 20;

/// Who came to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Another operator's server came to ours.
    Inbound,
    /// Ours went to another operator's.
    Outbound,
    /// An application or a user came with a certificate.
    Access,
}

impl Direction {
    /// The word of rows and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::Access => "access",
        }
    }
}

/// How it was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ruling {
    /// It may go on.
    Accepted,
    /// The message was taken, marked as one whose author is not vouched for.
    Tagged,
    /// Not now: the cause is ours or passes.
    Deferred,
    /// No.
    Rejected,
    /// The handshake failed.
    HandshakeFailed,
    /// An open connection was ended: its certificate is no longer accepted.
    Ended,
}

impl Ruling {
    /// The word of rows and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Tagged => "tagged",
            Self::Deferred => "deferred",
            Self::Rejected => "rejected",
            Self::HandshakeFailed => "handshake_failed",
            Self::Ended => "ended",
        }
    }

    /// The ruling that a reply of this code tells of.
    pub const fn of_code(code: u16) -> Self {
        match code {
            200..400 => Self::Accepted,
            400..500 => Self::Deferred,
            _ => Self::Rejected,
        }
    }
}

/// The certificate that was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Its subject.
    pub subject: DistinguishedName,
    /// Its serial number, big endian.
    pub serial: Vec<u8>,
    /// What names it as a [credential](PeerIdentity::credential), once it is verified.
    pub credential: Option<String>,
    /// Whether its chain, dates and revocation were verified. A subject that was not is a claim.
    pub is_verified: bool,
    /// The number of the revocation list in which it was looked up, in hexadecimal.
    pub crl_number: Option<String>,
}

impl From<CertificateClaim> for Certificate {
    fn from(CertificateClaim { subject, serial }: CertificateClaim) -> Self {
        Self { subject, serial, credential: None, is_verified: false, crl_number: None }
    }
}

impl From<&PeerIdentity> for Certificate {
    fn from(peer: &PeerIdentity) -> Self {
        Self {
            subject: peer.subject.clone(),
            serial: peer.serial.clone(),
            credential: Some(peer.credential()),
            is_verified: true,
            crl_number: peer.crl_number.clone(),
        }
    }
}

/// What was judged, by what, and how.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// Who came to whom.
    pub direction: Direction,
    /// The peer's address.
    pub peer: Option<IpAddr>,
    /// The name that the peer gave itself, or by which it was looked for.
    pub host: Option<String>,
    /// The certificate, if one was shown.
    pub certificate: Option<Certificate>,
    /// TLS version and cipher suite, once agreed.
    pub tls: Option<(&'static str, &'static str)>,
    /// The domain for which it was asked.
    pub domain: Option<Domain>,
    /// The date of the white list by which it was judged.
    pub white_list: Option<Timestamp>,
    /// Who logged in.
    pub actor: Option<ActorId>,
    /// How it was judged.
    pub ruling: Ruling,
    /// Why: a word of a closed list.
    pub reason: &'static str,
}

impl Judgement {
    /// A judgement of which nothing but this is known.
    pub fn new(direction: Direction, ruling: Ruling, reason: &'static str) -> Self {
        Self {
            direction,
            peer: None,
            host: None,
            certificate: None,
            tls: None,
            domain: None,
            white_list: None,
            actor: None,
            ruling,
            reason,
        }
    }

    /// What proved whoever came to us.
    pub(crate) fn credential(&self) -> Option<String> {
        let shown = self.certificate.as_ref().filter(|_| self.direction != Direction::Outbound);
        shown.and_then(|certificate| certificate.credential.clone())
    }

    /// One line of JSON, without the peer's address, which is sealed, nor a name that is one. `repeats` says for how many more like it the row stands.
    pub(crate) fn line(&self, at: Timestamp, repeats: u64) -> String {
        let mut line = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                line.insert(key.to_owned(), value);
            }
        };
        put("at_ms", Some(at.0.into()));
        put("direction", Some(self.direction.as_str().into()));
        put("host", self.host.as_deref().filter(|host| !is_address(host)).map(Into::into));
        let certificate = self.certificate.as_ref();
        put("subject", certificate.map(|certificate| shown(&certificate.subject).into()));
        put("serial", certificate.map(|certificate| hexadecimal(&certificate.serial).into()));
        put("verified", certificate.map(|certificate| certificate.is_verified.into()));
        put("tls", self.tls.map(|(version, _)| version.into()));
        put("suite", self.tls.map(|(_, suite)| suite.into()));
        put("domain", self.domain.as_ref().map(|domain| domain.as_str().into()));
        put("white_list_ms", self.white_list.map(|date| date.0.into()));
        put("crl", certificate.and_then(|certificate| certificate.crl_number.as_deref()).map(Into::into));
        put("verdict", Some(self.ruling.as_str().into()));
        put("reason", Some(self.reason.into()));
        put("repeats", (repeats > 0).then(|| repeats.into()));
        Value::Object(line).to_string()
    }
}

/// Whether a peer gave an address in place of a name (RFC 5321 section 4.1.3), which would stand there for good.
fn is_address(host: &str) -> bool {
    host.starts_with('[') || host.parse::<IpAddr>().is_ok()
}

/// A subject of reasonable length whole, the beginning of any other: a certificate may bring tens of kilobytes.
fn shown(subject: &DistinguishedName) -> String {
    let subject = subject.to_string();
    match subject.char_indices().nth(SUBJECT_MAX) {
        Some((end, _)) => format!("{}…", &subject[..end]),
        None => subject,
    }
}

/// A serial number has at most twenty octets (RFC 5280 §4.1.2.2); of one that claims more, the beginning.
fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().take(SERIAL_MAX).fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_without_end_is_cut() {
        let subject = DistinguishedName::from_attributes([("CN", "é".repeat(50_000))]);
        let judgement = Judgement {
            certificate: Some(CertificateClaim { subject, serial: vec![1] }.into()),
            ..Judgement::new(Direction::Inbound, Ruling::HandshakeFailed, "untrusted")
        };
        assert!(judgement.line(Timestamp(0), 0).len() < 4_096);
    }

    #[test]
    fn the_line_can_be_read_back_whatever_the_subject_says() {
        let subject =
            DistinguishedName::from_attributes([("CN", "a\" }, \"verdict\": \"accepted"), ("O", "é\n,=")]);
        let judgement = Judgement {
            peer: Some("2001:db8::1".parse().unwrap()),
            host: Some("[IPv6:2001:db8::1]".to_owned()),
            certificate: Some(CertificateClaim { subject: subject.clone(), serial: vec![1] }.into()),
            domain: Some("third.example".parse().unwrap()),
            white_list: Some(Timestamp(5)),
            ..Judgement::new(Direction::Inbound, Ruling::HandshakeFailed, "expired")
        };
        let line = judgement.line(Timestamp(7), 3);
        assert!(!line.contains('\n'), "{line}");
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["subject"], subject.to_string());
        assert_eq!((&read["verdict"], &read["reason"]), (&"handshake_failed".into(), &"expired".into()));
        assert_eq!(read["domain"], "third.example");
        assert!(!line.contains("2001:db8::1"), "{line}");
        assert_eq!((&read["at_ms"], &read["repeats"]), (&7.into(), &3.into()));
        assert_eq!(read["verified"], false);
    }

    #[test]
    fn a_serial_is_hexadecimal() {
        let subject = DistinguishedName::from_attributes([("CN", "a")]);
        let judgement = Judgement {
            certificate: Some(CertificateClaim { subject, serial: vec![0x0a, 0xff] }.into()),
            ..Judgement::new(Direction::Outbound, Ruling::Accepted, "listed")
        };
        let read: Value = serde_json::from_str(&judgement.line(Timestamp(0), 0)).unwrap();
        assert_eq!(read["serial"], "0aff");
        assert!(read.get("repeats").is_none());
    }
}
