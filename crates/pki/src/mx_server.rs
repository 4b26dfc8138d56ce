//! The server side of port 25: peers may show a certificate, and a bad one ends the handshake.

use std::sync::Arc;

use arc_swap::ArcSwap;
use mail_types::PeerIdentity;
use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use rustls_pki_types::UnixTime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::crypto;
use crate::handshake::HandshakeFailure;
use crate::judge::{Rejection, Usage};
use crate::own::OwnIdentity;
use crate::snapshot::TrustSnapshot;
use crate::trust::Trust;
use crate::verifier::{ClientVerifier, VerdictSlot};

/// TLS for the listener that other operators deliver to.
///
/// A client certificate is asked for and not required; one that is not valid fails the handshake with the alert that says why,
/// never falling back to an anonymous session. Sessions are never resumed, so every connection is judged.
#[derive(Debug)]
pub struct MxServerTls {
    identity: ArcSwap<OwnIdentity>,
    trust: Arc<Trust>,
}

/// An accepted connection.
#[derive(Debug)]
pub struct MxAccepted<IO> {
    /// The encrypted stream.
    pub stream: TlsStream<IO>,
    /// Who the peer proved to be; `None` when it showed no certificate.
    pub peer: Option<PeerIdentity>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub protocol: &'static str,
    /// Cipher suite by its IANA name.
    pub suite: &'static str,
}

/// Age at which a judgement is made again.
const REJUDGE_SECS: u64 = 60;

/// When an open connection was judged last, and under which trust. The first question after the handshake judges again: trust may have
/// changed since the handshake began.
#[derive(Debug)]
pub struct LastJudgement {
    under: Option<Arc<TrustSnapshot>>,
    at: UnixTime,
}

impl Default for LastJudgement {
    fn default() -> Self {
        Self { under: None, at: UnixTime::since_unix_epoch(std::time::Duration::ZERO) }
    }
}

impl MxServerTls {
    /// Presents `identity`, judges peers by what `trust` holds at each handshake.
    pub fn new(identity: Arc<OwnIdentity>, trust: Arc<Trust>) -> Self {
        Self { identity: ArcSwap::new(identity), trust }
    }

    /// Presents another identity from the next handshake on.
    pub fn replace(&self, identity: Arc<OwnIdentity>) {
        self.identity.store(identity);
    }

    /// Does the handshake. It sets no time limit: the caller does.
    pub async fn accept<IO>(&self, io: IO) -> Result<MxAccepted<IO>, HandshakeFailure>
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
        let peer = slot.get().and_then(|verdict| verdict.judgement.clone().ok());
        // A certificate without a verdict would be a session that skipped the verifier; there must be none.
        if shown != peer.is_some() {
            return Err(HandshakeFailure::before_any_byte("the certificate of the peer was not judged"));
        }
        let (protocol, suite) = crypto::negotiated(connection);
        Ok(MxAccepted { stream, peer, protocol, suite })
    }

    /// Judges an open connection again, when something changed since: other trust is in force, or a minute went by (certificates and lists
    /// expire meanwhile). `None` when nothing did, or when the peer showed no certificate.
    pub fn judge_again<IO>(
        &self,
        stream: &TlsStream<IO>,
        last: &mut LastJudgement,
    ) -> Option<Result<PeerIdentity, Rejection>> {
        let (snapshot, now) = (self.trust.load(), UnixTime::now());
        let is_recent = now.as_secs().saturating_sub(last.at.as_secs()) < REJUDGE_SECS;
        if is_recent && last.under.as_ref().is_some_and(|under| Arc::ptr_eq(under, &snapshot)) {
            return None;
        }
        let judgement = snapshot.judge(stream.get_ref().1.peer_certificates()?, Usage::Client, now);
        *last = LastJudgement { under: Some(snapshot), at: now };
        Some(judgement)
    }

    /// A configuration for one handshake, because rustls fixes the verifier of a server configuration when it is built.
    fn config(&self, slot: VerdictSlot) -> Result<ServerConfig, rustls::Error> {
        let verifier = Arc::new(ClientVerifier::new(self.trust.load(), slot));
        let mut config = ServerConfig::builder_with_provider(crypto::provider())
            .with_protocol_versions(crypto::VERSIONS)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(self.identity.load().presented());
        config.ignore_client_order = true;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}
