//! The certificate and private key this server presents.

use std::fmt;
use std::sync::Arc;

use mail_types::{CertificateFacts, DistinguishedName, RevocationState, Timestamp};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{PemObject, SectionKind};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

use crate::certificate::{CertificateFileError, facts_of};
use crate::crypto;
use crate::encoding;
use crate::judge::{Judged, Rejection, Usage};
use crate::leaf::Leaf;
use crate::points;
use crate::presented::Presented;
use crate::snapshot::TrustSnapshot;

/// Why a certificate chain and key cannot be presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The chain holds no certificate.
    #[error("the chain holds no certificate")]
    NoCertificate,
    /// A certificate of the chain cannot be read.
    #[error("a certificate of the chain cannot be read")]
    MalformedCertificate,
    /// No private key was found, or it is encrypted.
    #[error("no unencrypted private key (PKCS#8, PKCS#1 or SEC1, PEM) was found")]
    NoKey,
    /// The key is of a kind or size that is not supported.
    #[error("the private key is of an unsupported kind")]
    UnsupportedKey,
    /// The key belongs to another certificate.
    #[error("the private key is not the key of the first certificate of the chain")]
    KeyMismatch,
}

/// A certificate chain, leaf first, and the private key of the leaf.
pub struct OwnIdentity {
    presented: Arc<Presented>,
    chain: Vec<CertificateDer<'static>>,
    leaf: Leaf,
}

impl OwnIdentity {
    /// Reads a chain (leaf first, then its issuers; the root may be left out) and the leaf's key.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain: Vec<_> = encoding::objects(chain, SectionKind::Certificate)
            .into_iter()
            .map(|der| der.map(CertificateDer::from).map_err(|_| IdentityError::MalformedCertificate))
            .collect::<Result<_, _>>()?;
        let first = chain.first().ok_or(IdentityError::NoCertificate)?;
        let leaf = Leaf::read(first).ok_or(IdentityError::MalformedCertificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| IdentityError::NoKey)?;
        let key = crypto::provider()
            .key_provider
            .load_private_key(key)
            .map_err(|_| IdentityError::UnsupportedKey)?;
        let certified = CertifiedKey::new(chain.clone(), key);
        certified.keys_match().map_err(|_| IdentityError::KeyMismatch)?;
        Ok(Self { presented: Arc::new(Presented::new(certified)), chain, leaf })
    }

    /// Subject of the leaf.
    pub fn subject(&self) -> &DistinguishedName {
        &self.leaf.subject
    }

    /// DNS names of the leaf, lower case.
    pub fn dns_names(&self) -> &[String] {
        &self.leaf.dns_names
    }

    /// Last instant at which the leaf is valid, for the alarm that asks for its renewal.
    pub fn not_after(&self) -> Timestamp {
        Timestamp::from_secs(self.leaf.not_after)
    }

    /// Where the lists are published that speak of our own chain: the `http` and `https` distribution points of its certificates.
    pub fn list_points(&self) -> Vec<String> {
        let mut points: Vec<_> =
            self.chain.iter().flat_map(|certificate| points::fetchable(certificate)).collect();
        points.sort();
        points.dedup();
        points
    }

    /// Whether others who trust what we trust would accept it at `now`: chain, dates, usage, revocation. The key was checked when it was read.
    ///
    /// A doubt about its revocation is no fault of the certificate.
    pub fn check(
        &self,
        trust: &TrustSnapshot,
        usage: Usage,
        now: UnixTime,
    ) -> Result<RevocationState, Rejection> {
        self.judged(trust, usage, now).map(|judged| judged.identity.revocation)
    }

    /// The leaf, for the inventory.
    pub fn facts(&self) -> Result<CertificateFacts, CertificateFileError> {
        let leaf = self.chain.first().ok_or(CertificateFileError::Empty)?;
        facts_of(leaf).ok_or(CertificateFileError::Malformed)
    }

    pub(crate) fn judged(
        &self,
        trust: &TrustSnapshot,
        usage: Usage,
        now: UnixTime,
    ) -> Result<Judged, Rejection> {
        trust.judge_chain(&self.chain, usage, now)
    }

    /// Shows this OCSP answer to clients that ask for one, until that instant; none when it is empty.
    pub(crate) fn show(&self, answer: Vec<u8>, until: Timestamp) {
        self.presented.show(answer, until);
    }

    /// As rustls takes it, on either side.
    pub(crate) fn presented(&self) -> Arc<Presented> {
        self.presented.clone()
    }
}

impl fmt::Debug for OwnIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnIdentity").field("subject", &self.leaf.subject).finish_non_exhaustive()
    }
}
