//! What the operator signs: seals, statements about dropped chains, exports. Ed25519 (RFC 8032), one key for each operator, kept with its other keys.

use super::ids::hexadecimal;
use crate::Error;
use crate::seal::RawKey;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

/// The public key of an operator's audit trail. It is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditKey(pub [u8; 32]);

impl AuditKey {
    /// The first octets of the key's SHA-256 in hexadecimal: by it the key is told from another.
    pub fn id(&self) -> String {
        hexadecimal(&digest(&SHA256, &self.0).as_ref()[..8])
    }

    /// The key in hexadecimal.
    pub fn hexadecimal(&self) -> String {
        hexadecimal(&self.0)
    }

    /// Reads the key from 64 hexadecimal digits.
    pub fn read(text: &str) -> Option<Self> {
        super::ids::octets(text.trim()).map(Self)
    }

    /// Whether it made `signature` over `text`.
    pub fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(text, signature).is_ok()
    }
}

/// The private half.
pub(crate) struct AuditSigner(Ed25519KeyPair);

impl AuditSigner {
    pub(crate) fn new(seed: &RawKey) -> Result<Self, Error> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice());
        Ok(Self(
            pair.map_err(|_| Error::Key("the key that signs the audit trail cannot be used".to_owned()))?,
        ))
    }

    pub(crate) fn key(&self) -> AuditKey {
        let mut key = [0; 32];
        key.copy_from_slice(self.0.public_key().as_ref());
        AuditKey(key)
    }

    pub(crate) fn sign(&self, text: &[u8]) -> Vec<u8> {
        self.0.sign(text).as_ref().to_vec()
    }
}
