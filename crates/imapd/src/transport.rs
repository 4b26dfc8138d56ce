//! The socket, in clear or under TLS, and the bounded output before it.

use crate::deflate::Deflated;
use crate::state::Failure;
use imap_session::decoder::Decoder;
use mail_types::PeerIdentity;
use pki::{Accepted, AccessServerTls, HandshakeFailure, LastJudgement, Rejection};
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

/// Octets read at a time.
const READ: usize = 16 * 1024;
/// Output that is sent without waiting for more.
const FLUSH_AT: usize = 64 * 1024;
/// Octets handed over at one time: four records of TLS, in one call of the system.
const WRITE: usize = 64 * 1024;
/// How many times the time limit of a write those may take, while some are taken in each.
const PATIENCE: u32 = 4;
/// Room for output that is kept while a long answer is written.
const KEPT_MAX: usize = 512 * 1024;

/// Certificates of a listener, and when TLS begins.
#[derive(Clone, Debug)]
pub enum Tls {
    /// After STARTTLS.
    Starttls(Arc<AccessServerTls>),
    /// At once.
    Implicit(Arc<AccessServerTls>),
}

impl Tls {
    pub(crate) fn is_implicit(&self) -> bool {
        matches!(self, Self::Implicit(_))
    }

    /// Shakes hands as a server.
    pub(crate) async fn secure(&self, stream: TcpStream) -> Result<Accepted<TcpStream>, HandshakeFailure> {
        let (Self::Starttls(tls) | Self::Implicit(tls)) = self;
        tls.accept(stream).await
    }

    /// The certificate of an open connection, judged again where something changed since.
    pub(crate) fn judge_again(
        &self,
        transport: &Transport,
        last: &mut LastJudgement,
    ) -> Option<Result<PeerIdentity, Rejection>> {
        let (Self::Starttls(tls) | Self::Implicit(tls)) = self;
        match transport {
            Transport::Tls(stream) => tls.judge_again(stream, last),
            Transport::Clear(_) | Transport::Gone => None,
        }
    }
}

/// A connection.
pub(crate) enum Transport {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Between the two, while the handshake holds the socket.
    Gone,
}

impl Transport {
    /// Gives what comes next to `take`; 0 at the end. May be cancelled without loss.
    ///
    /// The buffer is on the stack of each poll: a connection that waits holds none.
    async fn read(&mut self, mut take: impl FnMut(&[u8])) -> io::Result<usize> {
        poll_fn(|cx| {
            let mut space = [const { MaybeUninit::uninit() }; READ];
            let mut buffer = ReadBuf::uninit(&mut space);
            ready!(match self {
                Self::Clear(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
                Self::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, &mut buffer),
                Self::Gone => Poll::Ready(Ok(())),
            })?;
            take(buffer.filled());
            Poll::Ready(Ok(buffer.filled().len()))
        })
        .await
    }

    /// Hands over some of the octets; how many.
    async fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.write(octets).await,
            Self::Tls(stream) => stream.write(octets).await,
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Hands over all of them, some within each `limit`.
    async fn write_all(&mut self, octets: &[u8], limit: Duration) -> io::Result<()> {
        let mut rest = octets;
        while !rest.is_empty() {
            match timeout(limit, self.write(rest)).await?? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                taken => rest = rest.get(taken..).unwrap_or_default(),
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Clear(_) => Ok(()),
            Self::Tls(stream) => stream.flush().await,
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Says goodbye at the TLS level; a client that is gone needs none.
    pub(crate) async fn close(&mut self) {
        let _ = match self {
            Self::Clear(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
            Self::Gone => Ok(()),
        };
    }
}

/// A transport with the output that waits for it.
pub(crate) struct Wire {
    pub(crate) transport: Transport,
    /// What is to be sent.
    pub(crate) out: Vec<u8>,
    /// How often something was sent: what was written since an equal count can still be taken back.
    pub(crate) flushes: u64,
    /// Both ways, once the client asked for it.
    pub(crate) deflated: Option<Box<Deflated>>,
    /// Something was sent in part: what came after it would be taken for its rest.
    is_torn: bool,
    /// Something was handed over that TLS may still hold.
    is_unflushed: bool,
    write_timeout: Duration,
}

impl Wire {
    pub(crate) fn new(transport: Transport, write_timeout: Duration) -> Self {
        Self {
            transport,
            out: Vec::new(),
            flushes: 0,
            deflated: None,
            is_torn: false,
            is_unflushed: false,
            write_timeout,
        }
    }

    /// Reads what comes next into the decoder; 0 at the end. May be cancelled without loss.
    pub(crate) async fn read_into(&mut self, decoder: &mut Decoder) -> io::Result<usize> {
        let Some(deflated) = self.deflated.as_deref_mut() else {
            return self.transport.read(|octets| decoder.handle_input(octets)).await;
        };
        loop {
            let count = deflated.inflate(|octets| decoder.handle_input(octets))?;
            if count > 0 || self.transport.read(|octets| deflated.take(octets)).await? == 0 {
                return Ok(count);
            }
        }
    }

    /// Sends everything and gives back its memory. A client that takes nothing within the time limit is lost, and is sent nothing more.
    pub(crate) async fn flush(&mut self) -> Result<(), Failure> {
        if self.is_torn {
            self.out = Vec::new();
            return Err(Failure::Lost);
        }
        if self.out.is_empty() {
            // There may be room in it still.
            self.out = Vec::new();
        } else {
            self.send().await?;
        }
        if !self.is_unflushed {
            return Ok(());
        }
        match timeout(self.write_timeout, self.transport.flush()).await {
            Ok(Ok(())) => {
                self.is_unflushed = false;
                Ok(())
            }
            _ => {
                self.is_torn = true;
                Err(Failure::Lost)
            }
        }
    }

    /// Whether so much waits that [`Wire::spill`] sends it.
    pub(crate) fn is_due(&self) -> bool {
        self.out.len() >= FLUSH_AT
    }

    /// Sends everything once it is much, and keeps the room for what comes next.
    pub(crate) async fn spill(&mut self) -> Result<(), Failure> {
        if self.is_due() {
            let mut room = self.send().await?;
            room.clear();
            room.shrink_to(KEPT_MAX);
            self.out = room;
        }
        Ok(())
    }

    /// Throws away what was written since `flushes` and `start` were as they are given. Part of it may have been sent: then nothing more is.
    pub(crate) fn take_back(&mut self, flushes: u64, start: usize) -> Result<(), Failure> {
        if self.flushes == flushes {
            self.out.truncate(start);
            return Ok(());
        }
        self.is_torn = true;
        Err(Failure::Lost)
    }

    /// Hands everything over; what held it is returned.
    async fn send(&mut self) -> Result<Vec<u8>, Failure> {
        let out = std::mem::take(&mut self.out);
        // Given up midway it stays torn.
        if std::mem::replace(&mut self.is_torn, true) {
            return Err(Failure::Lost);
        }
        self.flushes += 1;
        self.is_unflushed = true;
        let deflated = match self.deflated.as_deref_mut() {
            Some(deflated) => Some(deflated.deflate(&out).map_err(|_| Failure::Lost)?),
            None => None,
        };
        for piece in deflated.as_deref().unwrap_or(&out).chunks(WRITE) {
            let limit = self.write_timeout;
            let written = timeout(limit * PATIENCE, self.transport.write_all(piece, limit)).await;
            if !matches!(written, Ok(Ok(()))) {
                return Err(Failure::Lost);
            }
        }
        self.is_torn = false;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    async fn pair(write_timeout: Duration) -> (TcpStream, Wire) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a client");
        let (server, _) = listener.accept().await.expect("a connection");
        (client, Wire::new(Transport::Clear(server), write_timeout))
    }

    #[tokio::test]
    async fn nothing_is_sent_after_a_line_that_was_sent_in_part() {
        let (mut client, mut wire) = pair(Duration::from_millis(50)).await;
        wire.out = vec![b'x'; 32 * 1024 * 1024];
        assert!(wire.flush().await.is_err());
        let mut received = Vec::new();
        wire.out.extend_from_slice(b"* BYE\r\n");
        let reading = async { client.read_to_end(&mut received).await };
        let ending = async {
            assert!(wire.flush().await.is_err() && wire.out.is_empty());
            drop(wire);
        };
        let (read, ()) = tokio::join!(reading, ending);
        read.expect("an end");
        assert!(received.len() < 32 * 1024 * 1024 && received.iter().all(|octet| *octet == b'x'));
    }

    #[tokio::test]
    async fn what_is_taken_back_is_not_sent() {
        let (mut client, mut wire) = pair(Duration::from_secs(5)).await;
        wire.out.extend_from_slice(b"sent");
        let (flushes, start) = (wire.flushes, wire.out.len());
        wire.out.extend_from_slice(b"not");
        assert!(wire.take_back(flushes, start).is_ok() && wire.flush().await.is_ok());
        wire.out.extend_from_slice(b"neither");
        assert!(wire.take_back(flushes, start).is_err() && wire.flush().await.is_err());
        drop(wire);
        let mut received = String::new();
        client.read_to_string(&mut received).await.expect("an end");
        assert_eq!(received, "sent");
    }
}
