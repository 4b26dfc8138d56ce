//! CRL distribution points of certificates (RFC 5280 §4.2.1.13): where their issuers publish revocation lists.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

/// Distribution points taken from one certificate.
const POINTS_MAX: usize = 8;
/// Octets of a URI.
const URI_MAX: usize = 1_024;
/// URIs that wait to be taken.
const WANTED_MAX: usize = 64;

/// Every URI among the distribution points of a certificate.
pub(crate) fn point_uris<'a>(certificate: &'a X509Certificate<'_>) -> impl Iterator<Item = &'a str> {
    let extensions = certificate.iter_extensions().map(|extension| extension.parsed_extension());
    extensions
        .filter_map(|extension| match extension {
            ParsedExtension::CRLDistributionPoints(points) => Some(points),
            _ => None,
        })
        .flat_map(|points| points.iter())
        .filter_map(|point| match &point.distribution_point {
            Some(DistributionPointName::FullName(names)) => Some(names),
            _ => None,
        })
        .flatten()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        })
}

/// The distribution points of a certificate from which a list can be fetched: `http` and `https` URIs, a bounded number of bounded length.
pub(crate) fn fetchable(certificate: &[u8]) -> Vec<String> {
    let Ok((_, x509)) = X509Certificate::from_der(certificate) else {
        return Vec::new();
    };
    point_uris(&x509).filter(|uri| is_fetchable(uri)).take(POINTS_MAX).map(str::to_owned).collect()
}

fn is_fetchable(uri: &str) -> bool {
    let scheme = uri.split_once("://").map(|(scheme, _)| scheme);
    uri.len() <= URI_MAX
        && uri.bytes().all(|byte| byte.is_ascii_graphic())
        && scheme
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"))
}

/// Distribution points of verified certificates about which nothing can be said, until somebody takes them.
#[derive(Debug, Default)]
pub(crate) struct WantedLists(Mutex<BTreeSet<String>>);

impl WantedLists {
    /// Beyond the bound what comes is forgotten: the next handshake names it again.
    pub(crate) fn add(&self, uris: Vec<String>) {
        if uris.is_empty() {
            return;
        }
        let mut wanted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for uri in uris {
            if wanted.len() < WANTED_MAX {
                wanted.insert(uri);
            }
        }
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bounded_http_uris_are_fetched() {
        assert!(is_fetchable("http://crl.example/a.crl"));
        assert!(is_fetchable("HTTPS://crl.example/a.crl"));
        for uri in [
            "ldap://crl.example/cn=a",
            "file:///etc/passwd",
            "crl.example",
            "http://crl.example/a b",
            "http://é.example/",
        ] {
            assert!(!is_fetchable(uri), "{uri}");
        }
        assert!(!is_fetchable(&format!("http://crl.example/{}", "a".repeat(URI_MAX))));
    }

    #[test]
    fn what_is_wanted_is_bounded_and_taken_once() {
        let wanted = WantedLists::default();
        for i in 0..1_000 {
            wanted.add(vec![format!("http://crl.example/{i}"), "http://crl.example/0".into()]);
        }
        assert_eq!(wanted.take().len(), WANTED_MAX);
        assert_eq!(wanted.take(), Vec::<String>::new());
    }
}
