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

use crate::crypto::{self, TlsSettings};
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
pub struct AccessServerTls {
    mode: Mode,
    settings: TlsSettings,
}

#[derive(Debug)]
enum Mode {
    /// They may resume with tickets, which cost the server no memory. Resumption is harmless here because nothing about the client is
    /// verified. The ticket key is made anew with every configuration, so a session never outlives the identity it was made with.
    Unasked { identity: ArcSwap<OwnIdentity>, config: ArcSwap<ServerConfig> },
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
        let settings = TlsSettings::default();
        let demand = match ask {
            ClientCertificates::Off => {
                let config = ArcSwap::from_pointee(config(&identity, &settings)?);
                let mode = Mode::Unasked { identity: ArcSwap::new(identity), config };
                return Ok(Self { mode, settings });
            }
            ClientCertificates::Request => CertificateDemand::Optional,
            ClientCertificates::Require => CertificateDemand::Mandatory,
        };
        Ok(Self { mode: Mode::Asked(JudgedServer::new(identity, trust, demand)), settings })
    }

    /// The same, with these versions and suites.
    pub fn with_settings(self, settings: TlsSettings) -> Result<Self, TlsSetupError> {
        let mode = match self.mode {
            Mode::Unasked { identity, config: current } => {
                current.store(Arc::new(config(&identity.load(), &settings)?));
                Mode::Unasked { identity, config: current }
            }
            Mode::Asked(server) => Mode::Asked(server.with_settings(settings.clone())),
        };
        Ok(Self { mode, settings })
    }

    /// Presents another identity from the next handshake on; sessions made with the former one are not resumed.
    /// The former identity stays when this fails.
    pub fn replace(&self, identity: Arc<OwnIdentity>) -> Result<(), TlsSetupError> {
        match &self.mode {
            Mode::Unasked { identity: own, config: current } => {
                current.store(Arc::new(config(&identity, &self.settings)?));
                own.store(identity);
            }
            Mode::Asked(server) => server.replace(identity),
        }
        Ok(())
    }

    /// Does the handshake. It sets no time limit: the caller does.
    pub async fn accept<IO>(&self, io: IO) -> Result<Accepted<IO>, HandshakeFailure>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let config = match &self.mode {
            Mode::Unasked { config, .. } => config.load_full(),
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
        match &self.mode {
            Mode::Unasked { .. } => None,
            Mode::Asked(server) => server.judge_again(stream, last),
        }
    }
}

fn config(identity: &OwnIdentity, settings: &TlsSettings) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(settings.provider())
        .with_protocol_versions(settings.versions())?
        .with_no_client_auth()
        .with_cert_resolver(identity.presented());
    config.ignore_client_order = true;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Ticketer::new()?;
    Ok(config)
}
