//! The one cryptography provider: TLS 1.3 and 1.2 with the authenticated, forward-secret suites of the ANSSI guide.
//!
//! It is handed to every configuration by name; the process default of rustls is neither read nor set.

use std::sync::{Arc, OnceLock};

use rustls::crypto::aws_lc_rs::cipher_suite::{
    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::{CipherSuite, CommonState, ProtocolVersion, SupportedCipherSuite, SupportedProtocolVersion};

/// Protocol versions and cipher suites that are offered and accepted, on either side. By default TLS 1.3 and 1.2 with the suites of the ANSSI
/// guide ("Recommandations de sécurité relatives à TLS"), in its order; a deployment may narrow them.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    provider: Arc<CryptoProvider>,
    versions: Vec<&'static SupportedProtocolVersion>,
}

/// Why cipher suites cannot be narrowed so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsSettingsError {
    /// No suite of ours has this name.
    #[error("`{0}` is not a cipher suite that can be used; those that can are {known}", known = known_suites())]
    UnknownSuite(String),
    /// TLS 1.3 alone, without a suite of TLS 1.3.
    #[error("none of the suites is one of TLS 1.3, the only version that is allowed")]
    NoSuiteForVersion,
}

impl TlsSettings {
    /// Suites by their IANA names, the preferred one first; every known one when none is named. A version without a suite is not offered.
    pub fn new(suites: &[String], only_tls13: bool) -> Result<Self, TlsSettingsError> {
        let mut chosen: Vec<SupportedCipherSuite> = Vec::new();
        for name in suites {
            let suite = known(name).ok_or_else(|| TlsSettingsError::UnknownSuite(name.clone()))?;
            if !chosen.contains(&suite) {
                chosen.push(suite);
            }
        }
        if suites.is_empty() {
            chosen.extend(&SUITES);
        }
        let allowed: &[_] = if only_tls13 { &VERSIONS[..1] } else { &VERSIONS };
        chosen.retain(|suite| allowed.iter().any(|version| version.version == suite.version().version));
        let has_suite = |version: &&&'static SupportedProtocolVersion| {
            chosen.iter().any(|suite| suite.version().version == version.version)
        };
        let versions: Vec<_> = allowed.iter().filter(has_suite).copied().collect();
        if versions.is_empty() {
            return Err(TlsSettingsError::NoSuiteForVersion);
        }
        Ok(Self { provider: Arc::new(provider_of(chosen)), versions })
    }

    pub(crate) fn provider(&self) -> Arc<CryptoProvider> {
        self.provider.clone()
    }

    pub(crate) fn versions(&self) -> &[&'static SupportedProtocolVersion] {
        &self.versions
    }
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self { provider: provider(), versions: VERSIONS.to_vec() }
    }
}

static VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];

/// In the order of the ANSSI guide.
static SUITES: [SupportedCipherSuite; 9] = [
    TLS13_AES_256_GCM_SHA384,
    TLS13_AES_128_GCM_SHA256,
    TLS13_CHACHA20_POLY1305_SHA256,
    TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

/// The provider with every suite, built once.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(provider_of(SUITES.to_vec()))).clone()
}

/// The algorithms with which certificates, lists and handshakes may be signed.
pub(crate) fn signature_algorithms() -> WebPkiSupportedAlgorithms {
    provider().signature_verification_algorithms
}

/// Names, as RFC 8446 and the IANA registry print them, of the version and suite of a finished handshake.
pub(crate) fn negotiated(connection: &CommonState) -> (&'static str, &'static str) {
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "unknown",
    };
    let suite = connection.negotiated_cipher_suite().map(|suite| suite_name(suite.suite()));
    (version, suite.unwrap_or("unknown"))
}

fn provider_of(cipher_suites: Vec<SupportedCipherSuite>) -> CryptoProvider {
    CryptoProvider { cipher_suites, ..aws_lc_rs::default_provider() }
}

fn known(name: &str) -> Option<SupportedCipherSuite> {
    SUITES.iter().copied().find(|suite| suite_name(suite.suite()) == name)
}

fn known_suites() -> String {
    SUITES.map(|suite| suite_name(suite.suite())).join(", ")
}

fn suite_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str().unwrap_or("unknown"),
    }
}

/// In an `impl` of either verifier of rustls: the signature by which the peer shows that it has the key of its certificate.
macro_rules! handshake_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &rustls_pki_types::CertificateDer<'_>,
            signed: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            let algorithms = $crate::crypto::signature_algorithms();
            rustls::crypto::verify_tls12_signature(message, certificate, signed, &algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &rustls_pki_types::CertificateDer<'_>,
            signed: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            let algorithms = $crate::crypto::signature_algorithms();
            rustls::crypto::verify_tls13_signature(message, certificate, signed, &algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
            $crate::crypto::signature_algorithms().supported_schemes()
        }
    };
}
pub(crate) use handshake_signatures;

#[cfg(test)]
mod tests {
    use super::*;

    fn names(suites: &[&str], only_tls13: bool) -> Result<(usize, Vec<&'static str>), TlsSettingsError> {
        let suites: Vec<String> = suites.iter().map(|name| (*name).to_owned()).collect();
        let settings = TlsSettings::new(&suites, only_tls13)?;
        let names = settings.provider.cipher_suites.iter().map(|suite| suite_name(suite.suite()));
        Ok((settings.versions.len(), names.collect()))
    }

    #[test]
    fn suites_are_narrowed_and_ordered_as_named() {
        let (chacha, ecdsa) = ("TLS_CHACHA20_POLY1305_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
        assert_eq!(names(&[], false).unwrap().1.len(), SUITES.len());
        assert_eq!(names(&[ecdsa, chacha, ecdsa], false), Ok((2, vec![ecdsa, chacha])));
        assert_eq!(names(&[ecdsa], false), Ok((1, vec![ecdsa])));
        assert_eq!(names(&[ecdsa, chacha], true), Ok((1, vec![chacha])));
        assert_eq!(names(&[], true).unwrap().1.len(), 3);
    }

    #[test]
    fn what_cannot_be_used_is_told_with_what_can() {
        let weak = names(&["TLS_RSA_WITH_AES_128_CBC_SHA"], false).unwrap_err();
        assert!(weak.to_string().contains("TLS_RSA_WITH_AES_128_CBC_SHA"), "{weak}");
        assert!(weak.to_string().contains("TLS_AES_256_GCM_SHA384"), "{weak}");
        let none = names(&["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"], true);
        assert_eq!(none, Err(TlsSettingsError::NoSuiteForVersion));
    }
}
