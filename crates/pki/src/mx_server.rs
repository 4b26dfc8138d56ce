//! The server side of port 25: peers may show a certificate, and a bad one ends the handshake.

use std::sync::Arc;

use mail_types::PeerIdentity;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::server::TlsStream;

use crate::crypto::TlsSettings;
use crate::handshake::HandshakeFailure;
use crate::judge::Rejection;
use crate::judged_server::{Accepted, JudgedServer, LastJudgement};
use crate::own::OwnIdentity;
use crate::trust::Trust;
use crate::verifier::CertificateDemand;

/// TLS for the listener that other operators deliver to.
///
/// A client certificate is always asked for; one that is not valid fails the handshake with the alert that says why,
/// never falling back to an anonymous session. Sessions are never resumed, so every connection is judged.
#[derive(Debug)]
pub struct MxServerTls(JudgedServer);

impl MxServerTls {
    /// Presents `identity`, judges peers by what `trust` holds at each handshake. A peer that shows no certificate gets a session, and is
    /// refused by those who ask who it is.
    pub fn new(identity: Arc<OwnIdentity>, trust: Arc<Trust>) -> Self {
        Self(JudgedServer::new(identity, trust, CertificateDemand::Optional))
    }

    /// The same, but a peer without a certificate gets no session either.
    pub fn requiring(identity: Arc<OwnIdentity>, trust: Arc<Trust>) -> Self {
        Self(JudgedServer::new(identity, trust, CertificateDemand::Mandatory))
    }

    /// The same, with these versions and suites.
    #[must_use]
    pub fn with_settings(self, settings: TlsSettings) -> Self {
        Self(self.0.with_settings(settings))
    }

    /// Presents another identity from the next handshake on.
    pub fn replace(&self, identity: Arc<OwnIdentity>) {
        self.0.replace(identity);
    }

    /// Does the handshake. It sets no time limit: the caller does.
    pub async fn accept<IO>(&self, io: IO) -> Result<Accepted<IO>, HandshakeFailure>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        self.0.accept(io).await
    }

    /// Judges an open connection again, when something changed since: other trust is in force, or a minute went by (certificates and lists
    /// expire meanwhile). `None` when nothing did, or when the peer showed no certificate.
    pub fn judge_again<IO>(
        &self,
        stream: &TlsStream<IO>,
        last: &mut LastJudgement,
    ) -> Option<Result<PeerIdentity, Rejection>> {
        self.0.judge_again(stream, last)
    }
}
