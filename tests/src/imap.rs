//! An IMAP client that says exactly what it is told to.

use crate::demo::{Demo, Mailbox, Site};
use crate::tls::ClientTls;
use crate::wait::{DEADLINE, until, within, within_time};
use std::fmt::Write as _;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// What a command brought.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// Untagged responses, literals in place of their announcement, without the final CRLF.
    pub untagged: Vec<Vec<u8>>,
    /// Literals alone, in order.
    pub literals: Vec<Vec<u8>>,
    /// The tagged response without its tag: `OK …`.
    pub status: String,
}

impl Response {
    /// The untagged responses as text.
    pub fn text(&self) -> String {
        self.untagged.iter().map(|line| String::from_utf8_lossy(line).into_owned() + "\n").collect()
    }
}

/// A connection under TLS.
pub struct Imap {
    stream: Box<TlsStream<TcpStream>>,
    buffer: Vec<u8>,
    tag: u32,
    dialogue: String,
    patience: Duration,
}

impl std::fmt::Debug for Imap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.dialogue)
    }
}

impl Imap {
    /// Connects to port 993's counterpart and reads the greeting.
    pub async fn connect(port: u16, tls: &ClientTls) -> Self {
        let stream =
            within("a connection", TcpStream::connect(("127.0.0.1", port))).await.expect("the port answers");
        let name = "localhost".try_into().expect("a name");
        let stream = within("a handshake", tls.connector().connect(name, stream))
            .await
            .expect("the handshake succeeds");
        let mut imap = Self {
            stream: Box::new(stream),
            buffer: Vec::new(),
            tag: 0,
            dialogue: String::new(),
            patience: DEADLINE,
        };
        let (greeting, _) = within("a greeting", imap.line()).await;
        assert!(greeting.starts_with(b"* OK"), "greeted with {}", greeting.escape_ascii());
        imap
    }

    /// Connects and logs in as the holder of a mailbox.
    pub async fn login(demo: &Demo, site: &Site, mailbox: &Mailbox) -> Self {
        let (Some(username), Some(password)) = (&mailbox.username, &mailbox.password) else {
            panic!("{} has no password", mailbox.address)
        };
        let mut imap = Self::connect(site.ports["imaps"], &demo.anonymous()).await;
        imap.ok(&format!("LOGIN \"{username}\" \"{password}\"")).await;
        imap
    }

    /// Waits longer for each answer to a command from now on, as mail clients do.
    pub fn wait_for_answers(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Gives a command and collects everything up to its tagged response.
    pub async fn command(&mut self, command: &str) -> Response {
        self.tag += 1;
        let tag = format!("t{} ", self.tag);
        self.write(&format!("{tag}{command}")).await;
        self.answered(&tag).await
    }

    /// Gives several commands at once, and collects the answer to each.
    pub async fn pipelined(&mut self, commands: &[&str]) -> Vec<Response> {
        let first = self.tag + 1;
        let lines: Vec<String> =
            (first..).zip(commands).map(|(tag, command)| format!("t{tag} {command}")).collect();
        self.write(&lines.join("\r\n")).await;
        let mut responses = Vec::new();
        for _ in commands {
            self.tag += 1;
            responses.push(self.answered(&format!("t{} ", self.tag)).await);
        }
        responses
    }

    /// Idles for as long as it takes to say so, and collects what was told.
    pub async fn idled(&mut self) -> Response {
        self.write("idle IDLE").await;
        let mut response = Response::default();
        loop {
            let (line, _) = within("to idle", self.line()).await;
            if line.starts_with(b"+") {
                break;
            }
            response.untagged.push(line);
        }
        self.write("DONE").await;
        let ended = self.answered("idle ").await;
        response.untagged.extend(ended.untagged);
        Response { status: ended.status, ..response }
    }

    async fn answered(&mut self, tag: &str) -> Response {
        let mut response = Response::default();
        loop {
            let what = format!("the rest of an answer, after\n{}", self.dialogue);
            let (line, literals) = within_time(self.patience, &what, self.line()).await;
            response.literals.extend(literals);
            let _ = writeln!(self.dialogue, "S: {}", line[..line.len().min(300)].escape_ascii());
            match line.strip_prefix(tag.as_bytes()) {
                Some(status) => {
                    response.status = String::from_utf8_lossy(status).into_owned();
                    return response;
                }
                None => response.untagged.push(line),
            }
        }
    }

    /// The same, for a command that must succeed.
    pub async fn ok(&mut self, command: &str) -> Response {
        let response = self.command(command).await;
        assert!(response.status.starts_with("OK"), "not OK:\n{}", self.dialogue);
        response
    }

    /// APPEND of a message, announced and waited for. `arguments` are the folder, and flags and date if any.
    pub async fn append(&mut self, arguments: &str, content: &[u8]) -> Response {
        self.write(&format!("append APPEND {arguments} {{{}}}", content.len())).await;
        let (line, _) = within("a continuation", self.line()).await;
        if !line.starts_with(b"+") {
            let status = line.strip_prefix(b"append ").unwrap_or(&line);
            return Response { status: String::from_utf8_lossy(status).into_owned(), ..Response::default() };
        }
        self.stream.write_all(&[content, b"\r\n"].concat()).await.expect("the server reads");
        self.stream.flush().await.expect("the server reads");
        let mut response = Response::default();
        loop {
            let (line, _) = within("the end of an APPEND", self.line()).await;
            match line.strip_prefix(b"append ") {
                Some(status) => {
                    response.status = String::from_utf8_lossy(status).into_owned();
                    return response;
                }
                None => response.untagged.push(line),
            }
        }
    }

    /// APPEND of many messages in one command, which need not wait.
    pub async fn append_all(&mut self, folder: &str, letters: &[String]) {
        let response = self.append_many(folder, letters).await;
        assert!(response.status.starts_with("OK"), "{}", response.status);
    }

    /// The same, whatever comes of it.
    pub async fn append_many(&mut self, folder: &str, letters: &[String]) -> Response {
        let mut command = format!("all APPEND {folder}");
        for letter in letters {
            let _ = write!(command, " {{{}+}}\r\n{letter}", letter.len());
        }
        self.stream.write_all(format!("{command}\r\n").as_bytes()).await.expect("the server reads");
        self.stream.flush().await.expect("the server reads");
        self.answered("all ").await
    }

    /// Begins to idle.
    pub async fn idle(&mut self) {
        self.write("idle IDLE").await;
        self.until_line("+").await;
    }

    /// Ends it.
    pub async fn done(&mut self) {
        self.write("DONE").await;
        self.until_line("idle OK").await;
    }

    /// Gives a command, with its tag, and does not wait for its answer.
    pub async fn begin(&mut self, command: &str) {
        self.write(command).await;
    }

    /// The same as [`Imap::until_line`], for a line that takes its time.
    pub async fn wait_for_line(&mut self, beginning: &str, patience: Duration) {
        loop {
            let what = format!("{beginning}, after\n{}", self.dialogue);
            let (line, _) = within_time(patience, &what, self.line()).await;
            if line.starts_with(beginning.as_bytes()) {
                return;
            }
        }
    }

    /// Reads until a line begins like this.
    pub async fn until_line(&mut self, beginning: &str) {
        loop {
            let what = format!("{beginning}, after\n{}", self.dialogue);
            let (line, _) = within(&what, self.line()).await;
            let _ = writeln!(self.dialogue, "S: {}", line.escape_ascii());
            if line.starts_with(beginning.as_bytes()) {
                return;
            }
        }
    }

    /// Nothing is said for so long.
    ///
    /// # Panics
    /// When something is, or the connection is closed.
    pub async fn hears_nothing_for(&mut self, silence: Duration) {
        if let Ok((line, _)) = tokio::time::timeout(silence, self.line()).await {
            panic!("{} came after:\n{}", line.escape_ascii(), self.dialogue);
        }
    }

    /// Gives a command and hears goodbye instead of an answer.
    pub async fn is_dismissed(&mut self, command: &str) {
        self.write(&format!("last {command}")).await;
        self.until_line("* BYE").await;
        self.expect_closed().await;
    }

    /// Says that it will say nothing more, and still listens.
    pub async fn end_of_speech(&mut self) {
        self.stream.shutdown().await.expect("the server is there");
    }

    /// Nothing more comes.
    ///
    /// # Panics
    /// When something does, or the connection stays open.
    pub async fn expect_closed(&mut self) {
        let mut piece = [0; 1024];
        let read = within("the end of the connection", self.stream.read(&mut piece)).await;
        let left = self.buffer.len() + read.unwrap_or(0);
        assert!(left == 0, "{left} octets came after:\n{}", self.dialogue);
    }

    async fn write(&mut self, line: &str) {
        let _ = writeln!(self.dialogue, "C: {line}");
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await.expect("the server reads");
        self.stream.flush().await.expect("the server reads");
    }

    /// The whole messages of a folder, oldest first. Sets no flag.
    pub async fn messages(&mut self, folder: &str) -> Vec<Vec<u8>> {
        let selected = self.ok(&format!("EXAMINE \"{folder}\"")).await;
        if selected.text().contains("* 0 EXISTS") {
            return Vec::new();
        }
        self.ok("UID FETCH 1:* (BODY.PEEK[])").await.literals
    }

    /// Waits for the one message of INBOX that holds `marker`.
    ///
    /// # Panics
    /// When there are several, or none at the deadline.
    pub async fn letter(&mut self, marker: &str) -> Vec<u8> {
        until(&format!("a letter with {marker}"), async || self.letters(marker).await.pop()).await
    }

    /// The messages of INBOX that hold `marker`.
    pub async fn letters(&mut self, marker: &str) -> Vec<Vec<u8>> {
        let mut messages = self.messages("INBOX").await;
        messages.retain(|content| String::from_utf8_lossy(content).contains(marker));
        messages
    }

    /// A line with its literals in place, without the final CRLF; and the literals.
    async fn line(&mut self) -> (Vec<u8>, Vec<Vec<u8>>) {
        let (mut line, mut literals) = (Vec::new(), Vec::new());
        loop {
            let end = self.position_of_line_end().await;
            let piece: Vec<u8> = self.buffer.drain(..end + 2).take(end).collect();
            let Some(size) = literal_size(&piece) else {
                line.extend_from_slice(&piece);
                return (line, literals);
            };
            let announcement = piece.iter().rposition(|octet| *octet == b'{').expect("announced");
            line.extend_from_slice(&piece[..announcement]);
            while self.buffer.len() < size {
                self.fill().await;
            }
            let literal: Vec<u8> = self.buffer.drain(..size).collect();
            line.extend_from_slice(&literal);
            literals.push(literal);
        }
    }

    async fn position_of_line_end(&mut self) -> usize {
        let mut looked = 0;
        loop {
            let found = self.buffer[looked..].windows(2).position(|pair| pair == b"\r\n");
            if let Some(at) = found {
                return looked + at;
            }
            looked = self.buffer.len().saturating_sub(1);
            self.fill().await;
        }
    }

    async fn fill(&mut self) {
        let mut piece = vec![0; 64 * 1024];
        let count = self.stream.read(&mut piece).await.unwrap_or(0);
        assert!(count > 0, "the server closed after:\n{}", self.dialogue);
        self.buffer.extend_from_slice(&piece[..count]);
    }
}

/// The size announced at the end of a line, `{123}`.
fn literal_size(line: &[u8]) -> Option<usize> {
    let inside = line.strip_suffix(b"}")?;
    let digits = &inside[inside.iter().rposition(|octet| *octet == b'{')? + 1..];
    std::str::from_utf8(digits).ok()?.parse().ok()
}
