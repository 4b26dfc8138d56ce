//! One side of an SMTP connection, line by line, in clear or under TLS. Every wait has an end.

use pki::{Audited, AuditorTls, Duplex, alert_of};
use std::fmt;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest wait for anything that the other side is to do at once.
const PATIENCE: Duration = Duration::from_secs(20);
const LINE_MAX: usize = 64 * 1024;

/// A reply: its code, and all its lines without code and separator.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) code: u16,
    pub(super) lines: Vec<String>,
}

impl Reply {
    pub(super) fn begins_with(&self, beginning: &str) -> bool {
        self.to_string().starts_with(beginning)
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.lines.last().map_or("", String::as_str))
    }
}

/// Why a dialogue went no further.
#[derive(Clone, Debug)]
pub(super) enum Broken {
    /// The other side sent this TLS alert.
    Alert(String),
    /// It closed the connection.
    Closed,
    /// It did nothing for a while.
    Silent,
    /// It could not be reached.
    Unreachable(String),
    /// It said what nobody can understand.
    Nonsense(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alert(alert) => write!(f, "TLS alert {alert}"),
            Self::Closed => f.write_str("connection closed"),
            Self::Silent => write!(f, "nothing for {} s", PATIENCE.as_secs()),
            Self::Unreachable(cause) => write!(f, "not reachable: {cause}"),
            Self::Nonsense(what) => write!(f, "not understood: {what}"),
        }
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        match alert_of(&error) {
            Some(alert) => Self::Alert(alert),
            None => match error.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::ConnectionAborted => Self::Closed,
                _ => Self::Nonsense(error.to_string()),
            },
        }
    }
}

/// A connection.
pub(super) struct Dialogue {
    stream: Box<dyn Duplex>,
    buffer: Vec<u8>,
}

impl Dialogue {
    pub(super) fn new(stream: impl Duplex + 'static) -> Self {
        Self { stream: Box::new(stream), buffer: Vec::new() }
    }

    /// Connects in clear.
    pub(super) async fn connect(address: &str) -> Result<Self, Broken> {
        match tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                Ok(Self::new(stream))
            }
            Ok(Err(error)) => Err(Broken::Unreachable(error.to_string())),
            Err(_) => Err(Broken::Silent),
        }
    }

    /// The handshake of a client. What was heard in clear and not yet read is gone.
    pub(super) async fn secured(self, tls: &AuditorTls, server: &str) -> Result<Self, Broken> {
        let Audited { stream, .. } = in_time(tls.connect(self.stream, server)).await?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// The handshake of a server; subject of the certificate that the client showed, and the version.
    pub(super) async fn accepted(
        self,
        tls: &AuditorTls,
    ) -> Result<(Self, Option<String>, &'static str), Broken> {
        let audited = in_time(tls.accept(self.stream)).await?;
        let subject = audited.presented.map(|name| name.to_string());
        Ok((Self { stream: audited.stream, buffer: Vec::new() }, subject, audited.protocol))
    }

    pub(super) async fn send(&mut self, octets: &[u8]) -> Result<(), Broken> {
        in_time(async {
            self.stream.write_all(octets).await?;
            self.stream.flush().await
        })
        .await
    }

    /// Sends a line and hears the reply.
    pub(super) async fn ask(&mut self, line: &str) -> Result<Reply, Broken> {
        self.send(format!("{line}\r\n").as_bytes()).await?;
        self.reply().await
    }

    pub(super) async fn reply(&mut self) -> Result<Reply, Broken> {
        let mut lines = Vec::new();
        loop {
            let line = in_time(self.line()).await?;
            let code = line.get(..3).and_then(|code| code.parse().ok());
            let Some(code) = code else { return Err(Broken::Nonsense(line)) };
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(Reply { code, lines });
            }
        }
    }

    /// The next line, without its end, however long it takes to come.
    pub(super) async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).take(end).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            if self.buffer.len() > LINE_MAX {
                return Err(io::Error::other("a line without an end"));
            }
            self.fill().await?;
        }
    }

    /// Whether anything more is said within this time.
    pub(super) async fn goes_on_within(&mut self, time: Duration) -> bool {
        !self.buffer.is_empty() || matches!(tokio::time::timeout(time, self.fill()).await, Ok(Ok(())))
    }

    /// The first octet of what comes next.
    pub(super) async fn octet(&mut self) -> Result<u8, Broken> {
        in_time(self.fill()).await?;
        Ok(self.buffer[0])
    }

    async fn fill(&mut self) -> io::Result<()> {
        let mut piece = [0; 4096];
        let count = self.stream.read(&mut piece).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.buffer.extend_from_slice(&piece[..count]);
        Ok(())
    }
}

async fn in_time<T>(future: impl Future<Output = io::Result<T>>) -> Result<T, Broken> {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(Broken::Silent),
    }
}
