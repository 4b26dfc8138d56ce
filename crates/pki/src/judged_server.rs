//! The server side of a connection whose client is asked for a certificate: other operators on port 25, applications elsewhere.

use std::sync::Arc;

use arc_swap::ArcSwap;
use mail_types::PeerIdentity;
use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use rustls_pki_types::UnixTime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::crypto::{self, TlsSettings};
use crate::handshake::HandshakeFailure;
use crate::judge::{Rejection, Usage};
use crate::own::OwnIdentity;
use crate::trust::Trust;
use crate::verifier::{CertificateDemand, ClientVerifier, VerdictSlot};

/// Asks every client for a certificate and judges what it shows inside the handshake. Nothing is resumed and no ticket is given, so
/// every connection is judged under the trust then in force.
#[derive(Debug)]
pub(crate) struct JudgedServer {
    identity: ArcSwap<OwnIdentity>,
    trust: Arc<Trust>,
    demand: CertificateDemand,
    settings: TlsSettings,
}

/// An accepted connection.
#[derive(Debug)]
pub struct Accepted<IO> {
    /// The encrypted stream.
    pub stream: TlsStream<IO>,
    /// Who the peer proved to be; `None` when it showed no certificate.
    pub peer: Option<PeerIdentity>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub protocol: &'static str,
    /// Cipher suite by its IANA name.
    pub suite: &'static str,
}

/// Age at which a judgement is made again. Below the minute within which the owners of open sessions ask.
const REJUDGE_SECS: u64 = 50;

/// When an open connection was judged last, and under which trust. The first question after the handshake judges again: trust may have
/// changed since the handshake began.
#[derive(Debug)]
pub struct LastJudgement {
    /// [`Trust::version`] before it.
    under: Option<u64>,
    at: UnixTime,
}

impl Default for LastJudgement {
    fn default() -> Self {
        Self { under: None, at: UnixTime::since_unix_epoch(std::time::Duration::ZERO) }
    }
}

impl JudgedServer {
    pub(crate) fn new(identity: Arc<OwnIdentity>, trust: Arc<Trust>, demand: CertificateDemand) -> Self {
        Self { identity: ArcSwap::new(identity), trust, demand, settings: TlsSettings::default() }
    }

    pub(crate) fn with_settings(self, settings: TlsSettings) -> Self {
        Self { settings, ..self }
    }

    pub(crate) fn replace(&self, identity: Arc<OwnIdentity>) {
        self.identity.store(identity);
    }

    pub(crate) async fn accept<IO>(&self, io: IO) -> Result<Accepted<IO>, HandshakeFailure>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let slot = VerdictSlot::default();
        let config = self.config(slot.clone()).map_err(HandshakeFailure::before_any_byte)?;
        let stream = match TlsAcceptor::from(Arc::new(config)).accept(io).await {
            Ok(stream) => stream,
            Err(error) => return Err(HandshakeFailure::from_io(error, slot.get().cloned())),
        };
        let connection = stream.get_ref().1;
        let shown = connection.peer_certificates().is_some();
        let verdict = slot.get().filter(|verdict| verdict.judgement.is_ok());
        // A certificate without a verdict would be a session that skipped the verifier; there must be none.
        if shown != verdict.is_some() {
            return Err(HandshakeFailure::before_any_byte("the certificate of the peer was not judged"));
        }
        let (protocol, suite) = crypto::negotiated(connection);
        let peer = match verdict {
            Some(verdict) => Some(self.trust.settle(verdict).await?),
            None => None,
        };
        Ok(Accepted { stream, peer, protocol, suite })
    }

    pub(crate) fn judge_again<IO>(
        &self,
        stream: &TlsStream<IO>,
        last: &mut LastJudgement,
    ) -> Option<Result<PeerIdentity, Rejection>> {
        let chain = stream.get_ref().1.peer_certificates()?;
        // The version is read first: a swap between the two is judged again, never missed.
        let (version, now) = (self.trust.version(), UnixTime::now());
        let is_recent = now.as_secs().saturating_sub(last.at.as_secs()) < REJUDGE_SECS;
        if is_recent && last.under == Some(version) {
            return None;
        }
        let judgement = self.trust.judge_again(chain, Usage::Client, now);
        *last = LastJudgement { under: Some(version), at: now };
        Some(judgement)
    }

    /// A configuration for one handshake, because rustls fixes the verifier of a server configuration when it is built.
    fn config(&self, slot: VerdictSlot) -> Result<ServerConfig, rustls::Error> {
        let verifier = Arc::new(ClientVerifier::new(self.trust.clone(), slot, self.demand));
        let mut config = ServerConfig::builder_with_provider(self.settings.provider())
            .with_protocol_versions(self.settings.versions())?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(self.identity.load().presented());
        config.ignore_client_order = true;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}
