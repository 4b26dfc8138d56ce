//! A client, of SMTP or IMAP, that says exactly what it is told to.

mod trying;

use crate::demo::{Demo, Mailbox, Site};
use crate::tls::ClientTls;
use crate::wait::{DEADLINE, within, within_time};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;

/// The socket, in clear or under TLS.
enum Stream {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Gone,
}

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

impl Stream {
    fn duplex(&mut self) -> &mut dyn Duplex {
        match self {
            Self::Clear(stream) => stream,
            Self::Tls(stream) => stream.as_mut(),
            Self::Gone => panic!("the connection is gone"),
        }
    }
}

/// A reply of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its code.
    pub code: u16,
    /// Its lines, without code and separator.
    pub lines: Vec<String>,
}

impl Reply {
    /// Code and last line.
    pub fn text(&self) -> String {
        format!("{} {}", self.code, self.lines.last().map_or("", String::as_str))
    }
}

/// A connection. Every wait has a deadline; a failure shows the dialogue so far.
pub struct Wire {
    stream: Stream,
    buffer: Vec<u8>,
    dialogue: String,
    patience: Duration,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.dialogue)
    }
}

impl Wire {
    /// Connects in clear; the greeting is still to come.
    pub async fn connect(port: u16) -> Self {
        let stream =
            within("a connection", TcpStream::connect(("127.0.0.1", port))).await.expect("the port answers");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        Self {
            stream: Stream::Clear(stream),
            buffer: Vec::new(),
            dialogue: String::new(),
            patience: DEADLINE,
        }
    }

    /// Connects in clear from an address of this machine, `127.0.0.2`: to be somebody else.
    pub async fn connect_from(address: &str, port: u16) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        let own = format!("{address}:0").parse().expect("an IPv4 address");
        socket.bind(own).expect("an address of this machine");
        Self::connect_by(socket, port).await
    }

    /// Connects in clear with a receive buffer that is soon full.
    pub async fn connect_with_small_buffers(port: u16) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        Self::connect_by(socket, port).await
    }

    async fn connect_by(socket: TcpSocket, port: u16) -> Self {
        let there = ([127, 0, 0, 1], port).into();
        let stream = within("a connection", socket.connect(there)).await.expect("the port answers");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        Self {
            stream: Stream::Clear(stream),
            buffer: Vec::new(),
            dialogue: String::new(),
            patience: DEADLINE,
        }
    }

    /// Connects under TLS.
    pub async fn implicit(port: u16, tls: &ClientTls) -> Self {
        let mut wire = Self::connect(port).await;
        wire.handshake(tls).await.expect("the handshake succeeds");
        wire
    }

    /// A connection to an operator's MX: greeted, under TLS, greeted again.
    pub async fn mx(port: u16, tls: &ClientTls) -> Self {
        let mut wire = Self::connect(port).await;
        wire.expect("220").await;
        wire.starttls(tls).await.expect("the handshake succeeds");
        wire.ask("EHLO peer.example", "250").await;
        wire
    }

    /// A connection to the submissions port, logged in as the holder of a mailbox.
    pub async fn submission(demo: &Demo, site: &Site, mailbox: &Mailbox) -> Self {
        Self::login(site.ports["submissions"], &demo.anonymous(), mailbox).await
    }

    /// The same, by its port.
    pub async fn login(port: u16, tls: &ClientTls, mailbox: &Mailbox) -> Self {
        let mut wire = Self::implicit(port, tls).await;
        wire.expect("220").await;
        wire.ask("EHLO client.example", "250").await;
        wire.ask(&plain(mailbox), "235 2.7.0").await;
        wire
    }

    /// A connection to the IMAP port under TLS, logged in, for a dialogue octet by octet.
    pub async fn imap(demo: &Demo, site: &Site, mailbox: &Mailbox) -> Self {
        let (Some(username), Some(password)) = (&mailbox.username, &mailbox.password) else {
            panic!("{} has no password", mailbox.address)
        };
        let mut wire = Self::implicit(site.ports["imaps"], &demo.anonymous()).await;
        assert!(wire.line().await.starts_with("* OK"), "{wire:?}");
        wire.send(&format!("login LOGIN \"{username}\" \"{password}\"")).await;
        wire.until("login OK").await;
        wire
    }

    /// The lines up to and with the one that begins like this.
    pub async fn until(&mut self, beginning: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            lines.push(self.line().await);
            if lines.last().is_some_and(|line| line.starts_with(beginning)) {
                return lines;
            }
        }
    }

    /// EHLO, STARTTLS and the handshake. Under TLS 1.3 a server that refuses the certificate says so only when it is read from.
    ///
    /// # Errors
    /// What the handshake ended with.
    pub async fn starttls(&mut self, tls: &ClientTls) -> io::Result<()> {
        self.ask("EHLO peer.example", "250").await;
        self.ask("STARTTLS", "220").await;
        self.handshake(tls).await
    }

    /// The handshake alone.
    ///
    /// # Errors
    /// What it ended with.
    pub async fn handshake(&mut self, tls: &ClientTls) -> io::Result<()> {
        let Stream::Clear(stream) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            panic!("TLS is active")
        };
        let name = "localhost".try_into().expect("a name");
        let stream = within("a handshake", tls.connector().connect(name, stream)).await?;
        self.stream = Stream::Tls(Box::new(stream));
        Ok(())
    }

    /// Waits longer for each reply from now on, as mail servers do.
    pub fn wait_for_replies(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Sends a line.
    pub async fn send(&mut self, line: &str) {
        self.send_raw(format!("{line}\r\n").as_bytes()).await;
    }

    /// Sends octets.
    pub async fn send_raw(&mut self, octets: &[u8]) {
        let shown = &octets[..octets.len().min(200)];
        let _ = writeln!(self.dialogue, "C: {}", shown.escape_ascii());
        let stream = self.stream.duplex();
        let sent = within("the server reads", async {
            stream.write_all(octets).await?;
            stream.flush().await
        });
        if let Err(error) = sent.await {
            panic!("could not send ({error}):\n{}", self.dialogue);
        }
    }

    /// Sends octets until the server, of which nothing is read, takes no more for good.
    pub async fn send_until_let_go(&mut self, octets: &[u8]) {
        let stream = self.stream.duplex();
        within("the server lets go", async { while stream.write_all(octets).await.is_ok() {} }).await;
    }

    /// The next reply.
    pub async fn reply(&mut self) -> Reply {
        let what = format!("a reply, after\n{}", self.dialogue);
        match within_time(self.patience, &what, self.read_reply()).await {
            Ok(reply) => reply,
            Err(error) => panic!("no reply ({error}) after:\n{}", self.dialogue),
        }
    }

    /// The next reply, which must begin like this: `250`, `550 5.7.1`.
    pub async fn expect(&mut self, beginning: &str) -> Reply {
        let reply = self.reply().await;
        assert!(reply.text().starts_with(beginning), "expected {beginning} after:\n{}", self.dialogue);
        reply
    }

    /// Sends a line and expects a reply.
    pub async fn ask(&mut self, line: &str, beginning: &str) -> Reply {
        self.send(line).await;
        self.expect(beginning).await
    }

    /// Plays a whole transaction up to the reply after its content; MAIL, each RCPT and DATA must be accepted. `content` ends with CRLF or
    /// is empty; its dots are stuffed here.
    pub async fn letter(&mut self, from: &str, to: &[&str], content: &[u8]) -> Reply {
        self.ask(&format!("MAIL FROM:<{from}>"), "250 2.1.0").await;
        for recipient in to {
            self.ask(&format!("RCPT TO:<{recipient}>"), "250 2.1.5").await;
        }
        self.ask("DATA", "354").await;
        self.send_raw(&[stuffed(content).as_slice(), b".\r\n"].concat()).await;
        self.reply().await
    }

    /// The next line, whatever its form.
    pub async fn line(&mut self) -> String {
        match within("a line", self.read_line()).await {
            Ok(line) => {
                let _ = writeln!(self.dialogue, "S: {line}");
                line
            }
            Err(error) => panic!("no line ({error}) after:\n{}", self.dialogue),
        }
    }

    /// The next `count` octets, raw.
    pub async fn octets(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            let read = within("octets", self.fill()).await.unwrap_or(0);
            assert!(read > 0, "the server closed after:\n{}", self.dialogue);
        }
        self.buffer.drain(..count).collect()
    }

    /// Everything until the server closes.
    pub async fn rest(&mut self) -> Vec<u8> {
        while within("the end", self.fill()).await.is_ok_and(|count| count > 0) {}
        std::mem::take(&mut self.buffer)
    }

    /// The server closes, without another octet.
    pub async fn expect_closed(&mut self) {
        match within("the server closes", self.fill()).await {
            Ok(0) | Err(_) => assert!(self.buffer.is_empty(), "octets before the close:\n{}", self.dialogue),
            Ok(_) => {
                panic!("expected a close, got {}, after:\n{}", self.buffer.escape_ascii(), self.dialogue)
            }
        }
    }

    /// Whether the server refuses the handshake: no SMTP octet is heard under TLS. The error that it was told by, if any.
    pub async fn handshake_is_refused(&mut self, tls: &ClientTls) -> String {
        let ended = self.starttls(tls).await;
        self.is_refused(ended).await
    }

    /// The same, where TLS begins at once.
    pub async fn implicit_is_refused(port: u16, tls: &ClientTls) -> String {
        let mut wire = Self::connect(port).await;
        let ended = wire.handshake(tls).await;
        wire.is_refused(ended).await
    }

    async fn is_refused(&mut self, handshake: io::Result<()>) -> String {
        if let Err(error) = handshake {
            return error.to_string();
        }
        // The alert may come before or after our first octets.
        let stream = self.stream.duplex();
        let _ = within("the server reads", stream.write_all(b"EHLO peer.example\r\n")).await;
        let _ = within("the server reads", stream.flush()).await;
        match within("an alert", self.fill()).await {
            Ok(0) => "closed".to_owned(),
            Ok(_) => panic!("served under TLS in spite of the certificate: {}", self.buffer.escape_ascii()),
            Err(error) => error.to_string(),
        }
    }

    /// The name of the client's own protocol version, `TLSv1_3`.
    pub fn tls_version(&self) -> String {
        match &self.stream {
            Stream::Tls(stream) => format!("{:?}", stream.get_ref().1.protocol_version()),
            _ => "clear".to_owned(),
        }
    }

    async fn read_reply(&mut self) -> io::Result<Reply> {
        let mut lines = Vec::new();
        loop {
            let line = self.read_line().await?;
            let _ = writeln!(self.dialogue, "S: {line}");
            let code = line.get(..3).and_then(|code| code.parse().ok());
            let code: u16 = code.ok_or_else(|| io::Error::other(format!("not a reply: {line}")))?;
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(Reply { code, lines });
            }
        }
    }

    async fn read_line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        let mut piece = [0; 4096];
        let count = self.stream.duplex().read(&mut piece).await?;
        self.buffer.extend_from_slice(&piece[..count]);
        Ok(count)
    }
}

/// AUTH PLAIN with its initial response.
pub(crate) fn plain(mailbox: &Mailbox) -> String {
    let (Some(username), Some(password)) = (&mailbox.username, &mailbox.password) else {
        panic!("{} has no password", mailbox.address)
    };
    format!("AUTH PLAIN {}", BASE64.encode(format!("\0{username}\0{password}")))
}

/// Content with its dots stuffed.
fn stuffed(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 16);
    for line in content.split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    out
}
