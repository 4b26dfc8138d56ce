//! The client side towards the national services: HTTPS to servers of the health PKI, or of the authorities that the trust files name.

use std::sync::Arc;

use arc_swap::ArcSwap;
use mail_types::RevocationState;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, ClientConfig, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::crypto::{TlsSettings, handshake_signatures};
use crate::handshake::TlsSetupError;
use crate::own::OwnIdentity;
use crate::reference::ReferenceNames;
use crate::trust::Trust;
use crate::verifier::{ServerVerifier, VerdictSlot};

/// Follows `identity` and `trust`: what is swapped later counts for the next handshake.
pub(crate) fn config(
    identity: Arc<ArcSwap<OwnIdentity>>,
    trust: Arc<Trust>,
    settings: &TlsSettings,
) -> Result<ClientConfig, TlsSetupError> {
    let mut config = ClientConfig::builder_with_provider(settings.provider())
        .with_protocol_versions(settings.versions())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(HttpsVerifier(trust)))
        .with_client_cert_resolver(Arc::new(Presented(identity)));
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Serves every handshake: the name that counts is the one that the client dials.
#[derive(Debug)]
struct HttpsVerifier(Arc<Trust>);

impl ServerCertVerifier for HttpsVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let slot = VerdictSlot::default();
        let names = ReferenceNames::dialled(server_name);
        let verifier = ServerVerifier::new(self.0.clone(), slot.clone(), names);
        let verified =
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        // Nobody judges the identity later here, so doubt ends the handshake.
        match slot.get().map(|verdict| verdict.judgement.as_ref().map(|judged| &judged.identity.revocation)) {
            Some(Ok(RevocationState::Good)) => Ok(verified),
            _ => Err(CertificateError::UnknownRevocationStatus.into()),
        }
    }

    handshake_signatures!();
}

/// The identity in force when the server asks.
#[derive(Debug)]
struct Presented(Arc<ArcSwap<OwnIdentity>>);

impl ResolvesClientCert for Presented {
    fn resolve(
        &self,
        root_hint_subjects: &[&[u8]],
        sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        ResolvesClientCert::resolve(&*self.0.load().presented(), root_hint_subjects, sigschemes)
    }

    fn has_certs(&self) -> bool {
        true
    }
}
