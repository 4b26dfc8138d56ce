//! The certificate and private key this server presents.

use std::fmt;
use std::sync::Arc;

use mail_types::{DistinguishedName, Timestamp};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::pem::{PemObject, SectionKind};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::crypto;
use crate::encoding;
use crate::leaf::Leaf;
use crate::points;

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
    presented: Arc<SingleCertAndKey>,
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
        Ok(Self { presented: Arc::new(SingleCertAndKey::from(certified)), chain, leaf })
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

    /// As rustls takes it, on either side.
    pub(crate) fn presented(&self) -> Arc<SingleCertAndKey> {
        self.presented.clone()
    }
}

impl fmt::Debug for OwnIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnIdentity").field("subject", &self.leaf.subject).finish_non_exhaustive()
    }
}
