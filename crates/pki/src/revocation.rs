//! The index of what is revoked: one look-up per certificate of a path, whatever the length of the lists.

use std::collections::HashMap;
use std::sync::Arc;

use mail_types::Timestamp;
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::crl::{CrlFault, CrlFaultCause, CrlNumber, RevocationList, Succession};
use crate::points::point_uris;

const NOTHING_LOADED: &str = "no revocation list is loaded";
const MISSING: &str = "no revocation list of an issuer of the certificate is loaded";
const OUTDATED: &str = "the revocation list of an issuer of the certificate is past its next update";

/// What the index must know of a certificate. Names and keys are DER without their outer SEQUENCE.
pub(crate) struct PathCertificate<'a> {
    pub(crate) der: CertificateDer<'a>,
    pub(crate) serial: &'a [u8],
    pub(crate) issuer_name: &'a [u8],
    pub(crate) issuer_key: Vec<u8>,
}

/// The freshest list of each issuer.
///
/// An issuer is a name *and* a key: after a renewal of a CA's key the list signed by the old one says nothing of the certificates signed
/// by the new one. Revocation itself is looked for under the name alone, which can only refuse more.
#[derive(Debug, Default, Clone)]
pub(crate) struct RevocationIndex {
    by_issuer: HashMap<Vec<u8>, Vec<Arc<RevocationList>>>,
    /// Lists that were in force and are gone, or that came and are no proper successors: what they revoke is revoked, what they do not say
    /// proves nothing.
    remembered: HashMap<Vec<u8>, Vec<Arc<RevocationList>>>,
}

impl RevocationIndex {
    /// Takes a list in, if it is a proper successor of the one that is there for the same certificates. Says what is wrong with it otherwise.
    pub(crate) fn insert(&mut self, list: Arc<RevocationList>, now: Timestamp) -> Option<CrlFaultCause> {
        let lists = self.by_issuer.entry(list.issuer_name.clone()).or_default();
        let Some(known) = lists.iter_mut().find(|known| known.covers_the_same_as(&list)) else {
            lists.push(list);
            return None;
        };
        let succession = known.succession(&list, now);
        if succession.replaces() {
            *known = list;
        } else {
            self.remember(&list);
        }
        succession.fault()
    }

    /// Takes in `former`, which was in force before. What came since for the same certificates stays only as its proper successor; what is wrong
    /// with it otherwise is told, with the index of its file.
    pub(crate) fn follow(&mut self, former: &Arc<RevocationList>, now: Timestamp) -> Option<CrlFault> {
        let lists = self.by_issuer.get_mut(&former.issuer_name)?;
        let known = lists.iter_mut().find(|known| known.covers_the_same_as(former))?;
        let succession = former.succession(known, now);
        let fault = succession.fault().map(|cause| CrlFault { index: known.file, cause });
        if matches!(succession, Succession::Older | Succession::NumberWentBack) {
            let next = std::mem::replace(known, former.clone());
            self.remember(&next);
        }
        fault
    }

    /// Holds on to what `list` revoked, unless a list at least as fresh is in force.
    pub(crate) fn remember(&mut self, list: &Arc<RevocationList>) {
        let ours = self.by_issuer.get(&list.issuer_name).map_or(&[][..], Vec::as_slice);
        let remembered = self.remembered.get(&list.issuer_name).map_or(&[][..], Vec::as_slice);
        let mut known = ours.iter().chain(remembered);
        if !known.any(|known| known.covers_the_same_as(list) && !list.is_fresher_than(known)) {
            self.remembered.entry(list.issuer_name.clone()).or_default().push(list.clone());
        }
    }

    /// The list in force for the same certificates as `list`.
    pub(crate) fn counterpart(&self, list: &RevocationList) -> Option<&Arc<RevocationList>> {
        self.by_issuer.get(&list.issuer_name)?.iter().find(|known| known.covers_the_same_as(list))
    }

    /// Lists that are no longer in force but revoke nonetheless.
    pub(crate) fn remembered(&self) -> impl Iterator<Item = &Arc<RevocationList>> {
        self.remembered.values().flatten()
    }

    pub(crate) fn lists(&self) -> impl Iterator<Item = &Arc<RevocationList>> {
        self.by_issuer.values().flatten()
    }

    /// Whether any list, even an outdated one, names the certificate.
    pub(crate) fn revokes(&self, certificate: &PathCertificate<'_>) -> bool {
        let remembered = self.remembered.get(certificate.issuer_name).map_or(&[][..], Vec::as_slice);
        self.of(certificate).iter().chain(remembered).any(|list| list.holds(certificate.serial))
    }

    /// Why it cannot be said that the certificate is not revoked; `None` when it can.
    pub(crate) fn doubt(&self, certificate: &PathCertificate<'_>, now: Timestamp) -> Option<&'static str> {
        if self.by_issuer.is_empty() {
            return Some(NOTHING_LOADED);
        }
        let lists = self.of(certificate).iter();
        let mut speaking = lists.filter(|list| speaks_of(list, certificate)).peekable();
        if speaking.peek().is_none() {
            return Some(MISSING);
        }
        (!speaking.any(|list| list.is_current_at(now))).then_some(OUTDATED)
    }

    /// The number of the list that speaks of the certificate, if it has one. A current list comes before an outdated one.
    pub(crate) fn number(&self, certificate: &PathCertificate<'_>, now: Timestamp) -> Option<&CrlNumber> {
        let speaking = || self.of(certificate).iter().filter(|list| speaks_of(list, certificate));
        let current = speaking().find(|list| list.is_current_at(now));
        current.or_else(|| speaking().next())?.number.as_ref()
    }

    fn of(&self, certificate: &PathCertificate<'_>) -> &[Arc<RevocationList>] {
        self.by_issuer.get(certificate.issuer_name).map_or(&[], Vec::as_slice)
    }
}

fn speaks_of(list: &RevocationList, certificate: &PathCertificate<'_>) -> bool {
    list.signer_key == certificate.issuer_key
        && list.points.as_ref().is_none_or(|points| names_a_point(&certificate.der, points))
}

/// Whether one of the certificate's CRL distribution points is one of these URIs (RFC 5280 §6.3.3 (b)(2)).
fn names_a_point(certificate: &[u8], points: &[Vec<u8>]) -> bool {
    let Ok((_, x509)) = X509Certificate::from_der(certificate) else {
        return false;
    };
    point_uris(&x509).any(|uri| points.iter().any(|point| point == uri.as_bytes()))
}
