//! Chains whose signatures were verified under one snapshot: a peer that comes again with the same certificates costs no signature check
//! but its own.
//!
//! Only what never changes is kept: that these octets lead to that anchor for this use. Dates and revocation are looked at each time.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest;
use mail_types::Timestamp;
use rustls_pki_types::{CertificateDer, TrustAnchor};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::judge::{EkuRule, Usage};
use crate::leaf::Leaf;
use crate::revocation::PathCertificate;

/// Chains that are kept. A chain takes some 3 KiB; past the bound all are forgotten and the next handshakes verify anew.
const PATHS_MAX: usize = 1_024;

/// The verified paths of one snapshot.
#[derive(Default)]
pub(crate) struct VerifiedPaths(Mutex<HashMap<PathKey, Arc<VerifiedChain>>>);

/// A digest of everything on which the finding of a path depends beside the snapshot.
pub(crate) type PathKey = [u8; 32];

/// A path that was found, leaf first, without the anchor.
pub(crate) struct VerifiedChain {
    /// What the leaf says.
    pub(crate) leaf: Leaf,
    certificates: Vec<Kept>,
    pub(crate) anchor: TrustAnchor<'static>,
    /// The time in which every certificate of it is valid.
    not_before: Timestamp,
    not_after: Timestamp,
}

/// A [`PathCertificate`] of its own.
struct Kept {
    der: CertificateDer<'static>,
    serial: Vec<u8>,
    issuer_name: Vec<u8>,
    issuer_key: Vec<u8>,
}

impl VerifiedPaths {
    pub(crate) fn get(&self, key: &PathKey) -> Option<Arc<VerifiedChain>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    pub(crate) fn insert(&self, key: PathKey, path: VerifiedChain) {
        let mut paths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if paths.len() >= PATHS_MAX {
            paths.clear();
        }
        paths.insert(key, Arc::new(path));
    }
}

impl fmt::Debug for VerifiedPaths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedPaths").finish_non_exhaustive()
    }
}

impl VerifiedChain {
    /// `None` when the dates of a certificate cannot be read: nothing is kept then.
    pub(crate) fn of(leaf: &Leaf, path: &[PathCertificate<'_>], anchor: &TrustAnchor<'_>) -> Option<Self> {
        let (mut not_before, mut not_after) = (i64::MIN, i64::MAX);
        let mut certificates = Vec::with_capacity(path.len());
        for certificate in path {
            let (_, x509) = X509Certificate::from_der(&certificate.der).ok()?;
            not_before = not_before.max(x509.validity().not_before.timestamp());
            not_after = not_after.min(x509.validity().not_after.timestamp());
            certificates.push(Kept {
                der: certificate.der.clone().into_owned(),
                serial: certificate.serial.to_vec(),
                issuer_name: certificate.issuer_name.to_vec(),
                issuer_key: certificate.issuer_key.clone(),
            });
        }
        Some(Self {
            leaf: leaf.clone(),
            certificates,
            anchor: anchor.to_owned(),
            not_before: Timestamp::from_secs(not_before),
            not_after: Timestamp::from_secs(not_after),
        })
    }

    pub(crate) fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    pub(crate) fn certificates(&self) -> Vec<PathCertificate<'_>> {
        let kept = self.certificates.iter();
        kept.map(|kept| PathCertificate {
            der: CertificateDer::from(kept.der.as_ref()),
            serial: &kept.serial,
            issuer_name: &kept.issuer_name,
            issuer_key: kept.issuer_key.clone(),
        })
        .collect()
    }
}

/// The key of a chain as it was presented, leaf first.
pub(crate) fn key<'a>(
    usage: Usage,
    rule: EkuRule,
    chain: impl IntoIterator<Item = &'a CertificateDer<'a>>,
) -> PathKey {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&[usage as u8, rule as u8]);
    for certificate in chain {
        context.update(&(certificate.len() as u64).to_be_bytes());
        context.update(certificate);
    }
    let mut key = [0; 32];
    key.copy_from_slice(context.finish().as_ref());
    key
}
