//! `[tls]`: our own certificates, and how they are used.

use crate::reader::Section;
use std::path::PathBuf;

/// `[tls]`
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// `cert`: PEM, our certificate then its chain; server and, without `client_cert`, client identity.
    pub cert: PathBuf,
    /// `key`: PEM, PKCS#8.
    pub key: PathBuf,
    /// `client_cert`, `client_key`: what we show to other operators' servers, when it is not `cert`.
    pub client: Option<(PathBuf, PathBuf)>,
    /// `suites`: IANA names of the cipher suites to use, of those that are known; every known one when empty.
    pub suites: Vec<String>,
    /// `versions`: true for TLS 1.3 alone (`1.3`), false for 1.2 too (`1.2+`).
    pub only_tls13: bool,
    /// `ocsp_staple`: whether the OCSP answer about our own certificate is fetched and shown to clients.
    pub ocsp_staple: bool,
}

impl TlsFiles {
    pub(crate) fn read(mut section: Section) -> Self {
        let only_tls13 = match section.string("versions").as_deref() {
            None | Some("1.2+") => false,
            Some("1.3") => true,
            Some(_) => {
                section.fault("versions", "must be `1.2+` or `1.3`");
                false
            }
        };
        let client = (section.optional_path("client_cert"), section.optional_path("client_key"));
        let client = match client {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            (Some(_), None) => {
                section.fault("client_key", "is needed beside client_cert");
                None
            }
            (None, Some(_)) => {
                section.fault("client_cert", "is needed beside client_key");
                None
            }
        };
        Self {
            cert: section.path("cert", None),
            key: section.path("key", None),
            client,
            suites: section.strings("suites"),
            only_tls13,
            ocsp_staple: section.boolean("ocsp_staple", false),
        }
    }
}
