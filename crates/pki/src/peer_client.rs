//! The client side towards another operator's MX.

use std::sync::Arc;

use arc_swap::ArcSwap;
use mail_types::PeerIdentity;
use rustls::ClientConfig;
use rustls::client::Resumption;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::crypto::{self, TlsSettings};
use crate::handshake::{HandshakeFailure, TlsSetupError};
use crate::https_client;
use crate::own::OwnIdentity;
use crate::reference::ReferenceNames;
use crate::trust::Trust;
use crate::verifier::{ServerVerifier, VerdictSlot};

/// TLS for our deliveries: chain, revocation and name of the server are verified, our identity is presented, nothing is resumed.
#[derive(Debug)]
pub struct PeerClientTls {
    identity: Arc<ArcSwap<OwnIdentity>>,
    trust: Arc<Trust>,
    settings: TlsSettings,
}

/// An established connection.
#[derive(Debug)]
pub struct PeerConnected<IO> {
    /// The encrypted stream.
    pub stream: TlsStream<IO>,
    /// Who the server proved to be.
    pub peer: PeerIdentity,
    /// `TLSv1.2` or `TLSv1.3`.
    pub protocol: &'static str,
    /// Cipher suite by its IANA name.
    pub suite: &'static str,
}

impl PeerClientTls {
    /// Presents `identity` when asked, judges servers by what `trust` holds at each handshake.
    pub fn new(identity: Arc<OwnIdentity>, trust: Arc<Trust>) -> Self {
        Self { identity: Arc::new(ArcSwap::new(identity)), trust, settings: TlsSettings::default() }
    }

    /// The same, with these versions and suites.
    #[must_use]
    pub fn with_settings(self, settings: TlsSettings) -> Self {
        Self { settings, ..self }
    }

    /// Presents another identity from the next handshake on.
    pub fn replace(&self, identity: Arc<OwnIdentity>) {
        self.identity.store(identity);
    }

    /// A configuration for an HTTPS client of another library: the server must have the name that is dialled, lead to our anchors and be known not to be
    /// revoked (there is nobody to judge a doubt later); our identity is presented when it is asked for. What is swapped later, trust or
    /// identity, counts from the next handshake on.
    pub fn https_config(&self) -> Result<ClientConfig, TlsSetupError> {
        https_client::config(self.identity.clone(), self.trust.clone(), &self.settings)
    }

    /// Does the handshake with a server that must have one of these names. It sets no time limit: the caller does.
    ///
    /// In TLS 1.3 a server that refuses *our* certificate says so after this returned: the first read then fails.
    pub async fn connect<IO>(
        &self,
        io: IO,
        names: &ReferenceNames,
    ) -> Result<PeerConnected<IO>, HandshakeFailure>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let server_name = names
            .server_name()
            .ok_or_else(|| HandshakeFailure::before_any_byte("no name is expected of the server"))?;
        let slot = VerdictSlot::default();
        let config = self.config(slot.clone(), names).map_err(HandshakeFailure::before_any_byte)?;
        let stream = match TlsConnector::from(Arc::new(config)).connect(server_name, io).await {
            Ok(stream) => stream,
            Err(error) => return Err(HandshakeFailure::from_io(error, slot.get().cloned())),
        };
        let verdict = slot
            .get()
            .ok_or_else(|| HandshakeFailure::before_any_byte("the certificate of the peer was not judged"))?;
        let (protocol, suite) = crypto::negotiated(stream.get_ref().1);
        let peer = self.trust.settle(verdict).await?;
        Ok(PeerConnected { stream, peer, protocol, suite })
    }

    fn config(&self, slot: VerdictSlot, names: &ReferenceNames) -> Result<ClientConfig, rustls::Error> {
        let verifier = ServerVerifier::new(self.trust.clone(), slot, names.clone());
        let mut config = ClientConfig::builder_with_provider(self.settings.provider())
            .with_protocol_versions(self.settings.versions())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(self.identity.load().presented());
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}
