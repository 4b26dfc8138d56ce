//! The server of a third operator: follows a script and remembers everything.

use crate::Certificate;
use crate::tls::acceptor;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the server does out of the ordinary.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// STARTTLS is not offered.
    pub without_starttls: bool,
    /// Replies to RCPT for these addresses, `450 4.2.1 Later`.
    pub recipients: HashMap<String, String>,
    /// The reply to MAIL.
    pub mail: Option<String>,
    /// The reply after the content.
    pub content: Option<String>,
    /// The connection is closed at this command.
    pub drop_at: Option<&'static str>,
    /// A pause before each reply.
    pub slow: Duration,
    /// The greeting.
    pub greeting: Option<String>,
    /// Replies to whole commands by their verb, once TLS is active.
    pub replies: HashMap<String, String>,
    /// 8BITMIME is not offered.
    pub without_8bitmime: bool,
    /// A connection ends after this many messages: by 421 to the next MAIL, or without a word.
    pub messages_max: Option<(usize, Goodbye)>,
}

/// How a server ends a connection that has served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goodbye {
    /// 421 to the next command, then it closes.
    Told,
    /// It closes at once.
    Silent,
}

/// A message that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Reverse-path, without angle brackets.
    pub from: String,
    /// Accepted recipients.
    pub to: Vec<String>,
    /// Dots unstuffed.
    pub content: Vec<u8>,
}

#[derive(Debug)]
struct State {
    script: Script,
    certificate: Certificate,
    /// Every command line, of all connections, in order.
    commands: Vec<String>,
    received: Vec<Received>,
}

/// A server on a port of its own; it is gone when dropped.
#[derive(Debug)]
pub struct FakeServer {
    /// Its port.
    pub port: u16,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl FakeServer {
    /// Starts a server with this certificate.
    pub async fn start(certificate: &Certificate, script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::on(listener, certificate, script)
    }

    /// Starts a server on this port.
    pub async fn start_at(port: u16, certificate: &Certificate, script: Script) -> Self {
        Self::on(TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free"), certificate, script)
    }

    fn on(listener: TcpListener, certificate: &Certificate, script: Script) -> Self {
        let port = listener.local_addr().expect("a bound port").port();
        let state =
            State { script, certificate: certificate.clone(), commands: Vec::new(), received: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let shared = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let session = Session { state: shared.clone(), buffer: Vec::new(), message: None, taken: 0 };
                // A peer that hangs up ends its session only.
                tokio::spawn(async move { session.run(stream).await.is_some() });
            }
        });
        Self { port, state, task }
    }

    /// Follows another script from the next reply on.
    pub fn follow(&self, script: Script) {
        lock(&self.state).script = script;
    }

    /// Presents another certificate from the next connection on.
    pub fn present(&self, certificate: &Certificate) {
        lock(&self.state).certificate = certificate.clone();
    }

    /// Messages accepted so far.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.state).received.clone()
    }

    /// Commands heard so far.
    pub fn commands(&self) -> Vec<String> {
        lock(&self.state).commands.clone()
    }

    /// Whether a command that begins like this was heard.
    pub fn heard(&self, beginning: &str) -> bool {
        self.commands().iter().any(|command| command.to_ascii_uppercase().starts_with(beginning))
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `None` from any step ends the session.
struct Session {
    state: Arc<Mutex<State>>,
    buffer: Vec<u8>,
    message: Option<Received>,
    /// Messages of this connection.
    taken: usize,
}

enum Next {
    Go,
    StartTls,
}

impl Session {
    async fn run(mut self, mut stream: TcpStream) -> Option<()> {
        let greeting = lock(&self.state).script.greeting.clone();
        let greeting = greeting.unwrap_or_else(|| "220 mx.third.example ESMTP".to_owned());
        stream.write_all(format!("{greeting}\r\n").as_bytes()).await.ok()?;
        loop {
            if let Next::StartTls = self.command(&mut stream, false).await? {
                break;
            }
        }
        let acceptor = acceptor(&lock(&self.state).certificate.clone());
        let mut stream = acceptor.accept(stream).await.ok()?;
        loop {
            self.command(&mut stream, true).await?;
        }
    }

    async fn command(
        &mut self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        is_tls: bool,
    ) -> Option<Next> {
        let line = String::from_utf8_lossy(&self.until(stream, b"\r\n").await?).trim_end().to_owned();
        let script = {
            let mut state = lock(&self.state);
            state.commands.push(line.clone());
            state.script.clone()
        };
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        if script.drop_at == Some(verb.as_str()) {
            return None;
        }
        tokio::time::sleep(script.slow).await;
        if verb == "MAIL" && script.messages_max.is_some_and(|(max, _)| self.taken >= max) {
            stream.write_all(b"421 4.7.0 Enough for this connection\r\n").await.ok()?;
            return None;
        }
        let offers_tls = !is_tls && !script.without_starttls;
        let answer = match verb.as_str() {
            "EHLO" if offers_tls => {
                "250-mx.third.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 STARTTLS".to_owned()
            }
            _ if is_tls && script.replies.contains_key(&verb) => script.replies[&verb].clone(),
            "EHLO" if script.without_8bitmime => {
                "250-mx.third.example\r\n250-PIPELINING\r\n250 SIZE 52428800".to_owned()
            }
            "EHLO" => {
                "250-mx.third.example\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250 8BITMIME".to_owned()
            }
            "STARTTLS" if offers_tls => "220 Go".to_owned(),
            "MAIL" => self.mail(&line, &script),
            "RCPT" => self.rcpt(&line, &script),
            "DATA" if self.message.as_ref().is_none_or(|message| message.to.is_empty()) => {
                "554 5.5.1 No recipient".into()
            }
            "DATA" => "354 Go".to_owned(),
            "RSET" | "NOOP" => "250 2.0.0 OK".to_owned(),
            "QUIT" => "221 2.0.0 Bye".to_owned(),
            _ => "500 5.5.1 What?".to_owned(),
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
        if answer.starts_with("354") {
            self.content(stream, &script).await?;
            self.taken += 1;
            if script.messages_max == Some((self.taken, Goodbye::Silent)) {
                return None;
            }
        }
        match verb.as_str() {
            "QUIT" => None,
            "STARTTLS" if offers_tls => Some(Next::StartTls),
            _ => Some(Next::Go),
        }
    }

    fn mail(&mut self, line: &str, script: &Script) -> String {
        let reply = script.mail.clone().unwrap_or_else(|| "250 2.1.0 OK".to_owned());
        let message = Received { from: path(line), to: Vec::new(), content: Vec::new() };
        self.message = reply.starts_with('2').then_some(message);
        reply
    }

    fn rcpt(&mut self, line: &str, script: &Script) -> String {
        let Some(message) = &mut self.message else { return "503 5.5.1 MAIL first".to_owned() };
        let address = path(line);
        let reply = script.recipients.get(&address).cloned().unwrap_or_else(|| "250 2.1.5 OK".to_owned());
        if reply.starts_with('2') {
            message.to.push(address);
        }
        reply
    }

    async fn content(
        &mut self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        script: &Script,
    ) -> Option<()> {
        let mut content = Vec::new();
        loop {
            let line = self.until(stream, b"\r\n").await?;
            if line == b".\r\n" {
                break;
            }
            content.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
        if script.drop_at == Some("CONTENT") {
            return None;
        }
        let reply = script.content.clone().unwrap_or_else(|| "250 2.0.0 Taken".to_owned());
        let mut message = self.message.take()?;
        if reply.starts_with('2') {
            message.content = content;
            lock(&self.state).received.push(message);
        }
        stream.write_all(format!("{reply}\r\n").as_bytes()).await.ok()?;
        stream.flush().await.ok()
    }

    /// Octets up to and including `end`.
    async fn until(&mut self, stream: &mut (impl AsyncRead + Unpin), end: &[u8]) -> Option<Vec<u8>> {
        let mut looked = 0;
        loop {
            let found = self.buffer[looked..].windows(end.len()).position(|window| window == end);
            if let Some(at) = found {
                let rest = self.buffer.split_off(looked + at + end.len());
                return Some(std::mem::replace(&mut self.buffer, rest));
            }
            looked = self.buffer.len().saturating_sub(end.len() - 1);
            let mut piece = vec![0; 16 * 1024];
            let count = stream.read(&mut piece).await.ok().filter(|count| *count > 0)?;
            self.buffer.extend_from_slice(&piece[..count]);
        }
    }
}

/// What stands between angle brackets.
fn path(line: &str) -> String {
    let inside = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map_or_else(String::new, |(path, _)| path.to_owned())
}
