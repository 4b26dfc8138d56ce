//! The server side of the listeners for our own users and applications: submission, IMAP, web.

use std::sync::Arc;

use arc_swap::ArcSwap;
use mail_types::PeerIdentity;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::NoServerSessionStorage;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::crypto;
use crate::handshake::{HandshakeFailure, TlsSetupError};
use crate::judge::Rejection;
use crate::judged_server::{Accepted, JudgedServer, LastJudgement};
use crate::own::OwnIdentity;
use crate::trust::Trust;
use crate::verifier::CertificateDemand;

/// Whether clients are asked for a certificate. One that is shown and not valid fails the handshake, never falling back to an anonymous session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Not asked for.
    Off,
    /// Asked for; a client without one gets a session and logs in in another way.
    Request,
    /// Asked for; a client without one gets no session.
    Require,
}

/// TLS for user agents and applications.
#[derive(Debug)]
pub struct AccessServerTls(Mode);

#[derive(Debug)]
enum Mode {
    /// They may resume with tickets, which cost the server no memory. Resumption is harmless here because nothing about the client is
    /// verified. The ticket key is made anew with every configuration, so a session never outlives the identity it was made with.
    Unasked(ArcSwap<ServerConfig>),
    /// Never resumed, so that every connection is judged.
    Asked(JudgedServer),
}

impl AccessServerTls {
    /// Presents `identity`; where certificates are asked for, judges them by what `trust` holds at each handshake.
    pub fn new(
        identity: Arc<OwnIdentity>,
        trust: Arc<Trust>,
        ask: ClientCertificates,
    ) -> Result<Self, TlsSetupError> {
        let asked = |demand| Mode::Asked(JudgedServer::new(identity.clone(), trust, demand));
        Ok(Self(match ask {
            ClientCertificates::Off => Mode::Unasked(ArcSwap::from_pointee(config(&identity)?)),
            ClientCertificates::Request => asked(CertificateDemand::Optional),
            ClientCertificates::Require => asked(CertificateDemand::Mandatory),
        }))
    }

    /// Presents another identity from the next handshake on; sessions made with the former one are not resumed.
    /// The former identity stays when this fails.
    pub fn replace(&self, identity: Arc<OwnIdentity>) -> Result<(), TlsSetupError> {
        match &self.0 {
            Mode::Unasked(current) => current.store(Arc::new(config(&identity)?)),
            Mode::Asked(server) => server.replace(identity),
        }
        Ok(())
    }

    /// Does the handshake. It sets no time limit: the caller does.
    pub async fn accept<IO>(&self, io: IO) -> Result<Accepted<IO>, HandshakeFailure>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let config = match &self.0 {
            Mode::Unasked(config) => config.load_full(),
            Mode::Asked(server) => return server.accept(io).await,
        };
        let accepted = TlsAcceptor::from(config).accept(io).await;
        let stream = accepted.map_err(|error| HandshakeFailure::from_io(error, None))?;
        let (protocol, suite) = crypto::negotiated(stream.get_ref().1);
        Ok(Accepted { stream, peer: None, protocol, suite })
    }

    /// Judges an open connection again, when something changed since: other trust is in force, or a minute went by (certificates and lists
    /// expire meanwhile). `None` when nothing did, or when the client showed no certificate.
    pub fn judge_again<IO>(
        &self,
        stream: &TlsStream<IO>,
        last: &mut LastJudgement,
    ) -> Option<Result<PeerIdentity, Rejection>> {
        match &self.0 {
            Mode::Unasked(_) => None,
            Mode::Asked(server) => server.judge_again(stream, last),
        }
    }
}

fn config(identity: &OwnIdentity) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(crypto::provider())
        .with_protocol_versions(crypto::VERSIONS)?
        .with_no_client_auth()
        .with_cert_resolver(identity.presented());
    config.ignore_client_order = true;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Ticketer::new()?;
    Ok(config)
}
