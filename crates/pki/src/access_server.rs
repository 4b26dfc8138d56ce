//! The server side of the listeners for our own users: submission, IMAP, web.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::NoServerSessionStorage;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::crypto;
use crate::handshake::{HandshakeFailure, TlsSetupError};
use crate::own::OwnIdentity;

/// TLS for user agents: no certificate is asked of them; they may resume with tickets, which cost the server no memory.
///
/// Resumption is harmless here because nothing about the client is verified. The ticket key is made anew with every configuration,
/// so a session never outlives the identity it was made with.
#[derive(Debug)]
pub struct AccessServerTls(ArcSwap<ServerConfig>);

/// An accepted connection.
#[derive(Debug)]
pub struct AccessAccepted<IO> {
    /// The encrypted stream.
    pub stream: TlsStream<IO>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub protocol: &'static str,
    /// Cipher suite by its IANA name.
    pub suite: &'static str,
}

impl AccessServerTls {
    /// Presents `identity`.
    pub fn new(identity: &OwnIdentity) -> Result<Self, TlsSetupError> {
        Ok(Self(ArcSwap::from_pointee(config(identity)?)))
    }

    /// Presents another identity from the next handshake on; sessions made with the former one are not resumed.
    /// The former identity stays when this fails.
    pub fn replace(&self, identity: &OwnIdentity) -> Result<(), TlsSetupError> {
        self.0.store(Arc::new(config(identity)?));
        Ok(())
    }

    /// Does the handshake. It sets no time limit: the caller does.
    pub async fn accept<IO>(&self, io: IO) -> Result<AccessAccepted<IO>, HandshakeFailure>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let accepted = TlsAcceptor::from(self.0.load_full()).accept(io).await;
        let stream = accepted.map_err(|error| HandshakeFailure::from_io(error, None))?;
        let (protocol, suite) = crypto::negotiated(stream.get_ref().1);
        Ok(AccessAccepted { stream, protocol, suite })
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
