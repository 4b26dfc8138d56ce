//! The socket, in clear or under TLS.

use mail_types::PeerIdentity;
use pki::{AccessServerTls, HandshakeFailure, MxServerTls};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Octets that a peer may still send after our goodbye.
const UNREAD_MAX: usize = 1024 * 1024;

/// Certificates of a listener, and when TLS begins.
#[derive(Clone, Debug)]
pub enum Tls {
    /// Asks other operators for their certificate, after STARTTLS.
    Mx(Arc<MxServerTls>),
    /// For our users, after STARTTLS.
    Starttls(Arc<AccessServerTls>),
    /// For our users, at once.
    Implicit(Arc<AccessServerTls>),
}

impl Tls {
    pub(crate) fn is_implicit(&self) -> bool {
        matches!(self, Self::Implicit(_))
    }
}

/// A finished handshake.
pub(crate) struct Secured {
    pub(crate) stream: TlsStream<TcpStream>,
    pub(crate) peer: Option<PeerIdentity>,
    pub(crate) protocol: &'static str,
    pub(crate) suite: &'static str,
}

/// Shakes hands as a server.
pub(crate) async fn secure(tls: &Tls, stream: TcpStream) -> Result<Secured, HandshakeFailure> {
    let accepted = match tls {
        Tls::Mx(tls) => tls.accept(stream).await?,
        Tls::Starttls(tls) | Tls::Implicit(tls) => tls.accept(stream).await?,
    };
    Ok(Secured {
        stream: accepted.stream,
        peer: accepted.peer,
        protocol: accepted.protocol,
        suite: accepted.suite,
    })
}

/// A connection.
pub(crate) enum Transport {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Between the two, while the handshake holds the socket.
    Gone,
}

impl Transport {
    pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.read(buffer).await,
            Self::Tls(stream) => stream.read(buffer).await,
            Self::Gone => Ok(0),
        }
    }

    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Clear(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Says goodbye at the TLS level, and listens to what was on its way: octets nobody read would make the peer's system throw our last
    /// reply away. A peer that is gone needs none of it.
    pub(crate) async fn close(&mut self) {
        let _ = match self {
            Self::Clear(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
            Self::Gone => return,
        };
        let mut octets = vec![0; 4096];
        for _ in 0..UNREAD_MAX / octets.len() {
            if !matches!(self.read(&mut octets).await, Ok(1..)) {
                return;
            }
        }
    }
}
