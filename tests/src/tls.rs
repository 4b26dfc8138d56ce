//! The client's and the fake server's side of TLS.

use crate::Certificate;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A TLS client: what it trusts and who it is.
#[derive(Clone, Debug)]
pub struct ClientTls {
    pub(crate) config: Arc<ClientConfig>,
}

impl ClientTls {
    /// A client without a certificate.
    pub fn anonymous(ca_file: &Path) -> Self {
        Self::new(ca_file, None)
    }

    /// A client that presents a certificate.
    pub fn with(ca_file: &Path, certificate: &Certificate) -> Self {
        Self::new(ca_file, Some(certificate))
    }

    fn new(ca_file: &Path, certificate: Option<&Certificate>) -> Self {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_file_iter(ca_file).expect("the CA file can be read") {
            roots.add(root.expect("the CA file holds certificates")).expect("a root can be trusted");
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider speaks TLS")
            .with_root_certificates(roots);
        let config = match certificate {
            None => builder.with_no_client_auth(),
            Some(certificate) => {
                builder.with_client_auth_cert(chain(certificate), key(certificate)).expect("the key fits")
            }
        };
        Self { config: Arc::new(config) }
    }

    /// What shakes hands as this client.
    pub fn connector(&self) -> TlsConnector {
        TlsConnector::from(self.config.clone())
    }
}

/// A TLS server that asks for no certificate.
pub(crate) fn acceptor(certificate: &Certificate) -> TlsAcceptor {
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider speaks TLS")
        .with_no_client_auth()
        .with_single_cert(chain(certificate), key(certificate))
        .expect("the key fits");
    TlsAcceptor::from(Arc::new(config))
}

fn chain(certificate: &Certificate) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(certificate.chain_pem.as_bytes())
        .collect::<Result<_, _>>()
        .expect("the chain holds certificates")
}

fn key(certificate: &Certificate) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_slice(certificate.key_pem.as_bytes()).expect("the key can be read")
}
