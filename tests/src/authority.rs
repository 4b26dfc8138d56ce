//! Certificates and revocation lists made with the development authority, as a third party would make them.

use mail_types::Timestamp;
use pki::development::{DevelopmentPki, SubjectAttributes};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The present.
#[expect(clippy::disallowed_methods, reason = "a test stands at the edge")]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Timestamp(i64::try_from(since.as_millis()).expect("before the year 292 million"))
}

/// A certificate with its key.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The leaf, then its issuer.
    pub chain_pem: String,
    /// The key.
    pub key_pem: String,
    /// As a white list writes it.
    pub subject: String,
    /// For a revocation list.
    pub serial: Vec<u8>,
}

impl Certificate {
    /// A certificate for the server of `domain`, good for 127.0.0.1 too, issued three years ago if it is to be `expired`.
    pub fn issue(authority: &DevelopmentPki, domain: &str, at: Timestamp) -> Self {
        Self::issue_for(authority, domain, &[&format!("mx.{domain}"), domain, "localhost", "127.0.0.1"], at)
    }

    /// A certificate of `domain` with these names only.
    pub fn issue_for(authority: &DevelopmentPki, domain: &str, names: &[&str], at: Timestamp) -> Self {
        let common_name = format!("mx.{domain}");
        let subject = SubjectAttributes {
            common_name: &common_name,
            organizational_unit: "1750000019",
            organization: "HOPITAL TIERS",
            state: "Paris (75)",
            country: "FR",
        };
        let issued = authority.issue_server(&subject, names, at).expect("a certificate can be issued");
        Self {
            chain_pem: issued.chain_pem,
            key_pem: issued.key_pem.expose().clone(),
            subject: issued.subject_dn_rfc4514,
            serial: issued.serial,
        }
    }

    /// A certificate of an application, to log in with.
    pub fn issue_application(authority: &DevelopmentPki, name: &str, address: &str) -> Self {
        Self::issue_application_at(authority, name, address, now())
    }

    /// The same, issued at another time; it is good for three years of 365 days.
    pub fn issue_application_at(
        authority: &DevelopmentPki,
        name: &str,
        address: &str,
        at: Timestamp,
    ) -> Self {
        let subject = SubjectAttributes {
            common_name: name,
            organizational_unit: "1590000014",
            organization: "CHU NORD",
            state: "Nord (59)",
            country: "FR",
        };
        let issued = authority.issue_application(&subject, address, at).expect("a certificate can be issued");
        Self {
            chain_pem: issued.chain_pem,
            key_pem: issued.key_pem.expose().clone(),
            subject: issued.subject_dn_rfc4514,
            serial: issued.serial,
        }
    }

    /// A certificate from files; its subject and serial are not read.
    pub fn read(chain: &Path, key: &Path) -> Self {
        let read = |path: &Path| std::fs::read_to_string(path).expect("a certificate file can be read");
        Self { chain_pem: read(chain), key_pem: read(key), subject: String::new(), serial: Vec::new() }
    }
}

/// The authority whose certificates and issuing key lie in these files. `anchors` begins with the root.
pub(crate) fn load(anchors: &Path, issuing_cert_pem: &str, issuing_key: &Path) -> DevelopmentPki {
    let anchors = std::fs::read_to_string(anchors).expect("the anchors can be read");
    let root = certificates(&anchors).next().expect("the anchors begin with the root").to_owned();
    let key = std::fs::read_to_string(issuing_key).expect("the issuing key can be read");
    DevelopmentPki::load(&root, None, issuing_cert_pem, &key).expect("the authority can be loaded")
}

/// The PEM blocks of a text.
pub(crate) fn certificates(pem: &str) -> impl Iterator<Item = &str> {
    const END: &str = "-----END CERTIFICATE-----\n";
    pem.split_inclusive(END).filter(|block| block.ends_with(END))
}
