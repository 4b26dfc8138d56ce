//! What is presented in a handshake: the certificate, its key, and the OCSP answer about it for as long as that counts.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use mail_types::Timestamp;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::UnixTime;

/// One certificate and key. A new OCSP answer takes effect with the next handshake, in every configuration that it is part of.
#[derive(Debug)]
pub(crate) struct Presented {
    bare: Arc<CertifiedKey>,
    stapled: ArcSwapOption<Stapled>,
}

#[derive(Debug)]
struct Stapled {
    certified: Arc<CertifiedKey>,
    until: Timestamp,
}

impl Presented {
    pub(crate) fn new(certified: CertifiedKey) -> Self {
        Self { bare: Arc::new(certified), stapled: ArcSwapOption::empty() }
    }

    /// An empty answer takes the former one away.
    pub(crate) fn show(&self, answer: Vec<u8>, until: Timestamp) {
        let certified = |ocsp| CertifiedKey { ocsp: Some(ocsp), ..(*self.bare).clone() };
        let stapled = (!answer.is_empty()).then(|| Stapled { certified: Arc::new(certified(answer)), until });
        self.stapled.store(stapled.map(Arc::new));
    }

    fn current(&self) -> Arc<CertifiedKey> {
        let stapled = self.stapled.load();
        let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
        match stapled.as_ref().filter(|stapled| now <= stapled.until.secs()) {
            Some(stapled) => stapled.certified.clone(),
            None => self.bare.clone(),
        }
    }
}

impl ResolvesServerCert for Presented {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl ResolvesClientCert for Presented {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(self.bare.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
