//! The same client for a server that may be in trouble: what goes wrong is an answer too, not the end of the scenario.

use super::{Reply, Stream, Wire, plain, stuffed};
use crate::demo::Mailbox;
use crate::tls::ClientTls;
use crate::wait::DEADLINE;
use std::io;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

impl Wire {
    /// [`Wire::mx`], for a server that may be in trouble.
    ///
    /// # Errors
    /// When the connection breaks, or anything but the usual is answered.
    pub async fn try_mx(port: u16, tls: &ClientTls) -> io::Result<Self> {
        let mut wire = Self::try_connect(port).await?;
        for line in ["", "EHLO peer.example", "STARTTLS"] {
            wire.try_ask(line).await?;
        }
        wire.try_handshake(tls).await?;
        wire.try_ask("EHLO peer.example").await?;
        Ok(wire)
    }

    /// [`Wire::login`], for a server that may be in trouble.
    ///
    /// # Errors
    /// When the connection breaks, or anything but the usual is answered.
    pub async fn try_login(port: u16, tls: &ClientTls, mailbox: &Mailbox) -> io::Result<Self> {
        let mut wire = Self::try_connect(port).await?;
        wire.try_handshake(tls).await?;
        for line in ["", "EHLO client.example", &plain(mailbox)] {
            wire.try_ask(line).await?;
        }
        Ok(wire)
    }

    async fn try_connect(port: u16) -> io::Result<Self> {
        let stream = bounded(TcpStream::connect(("127.0.0.1", port))).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: Stream::Clear(stream),
            buffer: Vec::new(),
            dialogue: String::new(),
            patience: DEADLINE,
        })
    }

    async fn try_handshake(&mut self, tls: &ClientTls) -> io::Result<()> {
        let Stream::Clear(stream) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let name = "localhost".try_into().expect("a name");
        let stream = bounded(tls.connector().connect(name, stream)).await?;
        self.stream = Stream::Tls(Box::new(stream));
        Ok(())
    }

    /// A whole transaction, up to the reply after its content or the first that is not positive.
    ///
    /// # Errors
    /// When the connection breaks or nothing is answered.
    pub async fn try_letter(&mut self, from: &str, to: &[String], content: &[u8]) -> io::Result<Reply> {
        let mut lines = vec![format!("MAIL FROM:<{from}>")];
        lines.extend(to.iter().map(|recipient| format!("RCPT TO:<{recipient}>")));
        lines.push("DATA".to_owned());
        for line in lines {
            let reply = self.try_send(format!("{line}\r\n").as_bytes()).await?;
            if reply.code >= 400 {
                return Ok(reply);
            }
        }
        self.try_send(&[stuffed(content).as_slice(), b".\r\n"].concat()).await
    }

    /// A line, or nothing, and a positive reply.
    async fn try_ask(&mut self, line: &str) -> io::Result<()> {
        let line = if line.is_empty() { String::new() } else { format!("{line}\r\n") };
        let reply = self.try_send(line.as_bytes()).await?;
        if reply.code / 100 == 2 { Ok(()) } else { Err(io::Error::other(reply.text())) }
    }

    async fn try_send(&mut self, octets: &[u8]) -> io::Result<Reply> {
        bounded(async {
            let stream = self.stream.duplex();
            stream.write_all(octets).await?;
            stream.flush().await
        })
        .await?;
        bounded(self.read_reply()).await
    }
}

/// Waits as long as a patient mail server would in a test.
async fn bounded<T>(future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(4 * DEADLINE, future).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}
