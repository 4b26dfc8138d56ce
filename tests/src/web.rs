//! A web server for lists: what it serves, how badly, and who asked for what.

use crate::tls::acceptor;
use crate::{Certificate, own_thread};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// What is behind a path.
#[derive(Clone, Debug)]
pub enum Page {
    /// A body with an ETag, and 304 for whoever has it.
    Whole(Vec<u8>),
    /// The announced length, but not all of it.
    CutOff(Vec<u8>),
    /// So many octets without an announced length.
    Endless(usize),
    /// One octet a second, without end.
    Dribble,
    /// A status without a body.
    Status(u16),
    /// Elsewhere.
    Redirect(String),
    /// The connection is closed at once.
    Down,
}

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `/list`
    pub path: String,
    /// The ETag that the client had.
    pub if_none_match: Option<String>,
    /// What it was answered.
    pub status: u16,
}

#[derive(Debug, Default)]
struct State {
    pages: HashMap<String, Page>,
    asked: Vec<Asked>,
}

/// A server on a port of its own; it is gone when dropped.
#[derive(Debug)]
pub struct WebServer {
    /// Its port.
    pub port: u16,
    scheme: &'static str,
    state: Arc<Mutex<State>>,
    /// Dropped to end the thread.
    _end: oneshot::Sender<()>,
}

impl WebServer {
    /// Plain HTTP.
    pub fn start() -> Self {
        Self::on(None)
    }

    /// HTTPS with this certificate.
    pub fn start_tls(certificate: &Certificate) -> Self {
        Self::on(Some(certificate))
    }

    fn on(certificate: Option<&Certificate>) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, tls) = (state.clone(), certificate.map(acceptor));
        let (port, end) = own_thread::listen(move |listener| accept(listener, shared, tls));
        Self { port, scheme: if certificate.is_some() { "https" } else { "http" }, state, _end: end }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}://127.0.0.1:{}{path}", self.scheme, self.port)
    }

    /// Serves something else from the next request on.
    pub fn serve(&self, path: &str, page: Page) {
        lock(&self.state).pages.insert(path.to_owned(), page);
    }

    /// Requests for a path so far.
    pub fn asked(&self, path: &str) -> Vec<Asked> {
        lock(&self.state).asked.iter().filter(|asked| asked.path == path).cloned().collect()
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>, tls: Option<tokio_rustls::TlsAcceptor>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (state, tls) = (state.clone(), tls.clone());
        // A client that hangs up ends its request only.
        tokio::spawn(async move { session(state, tls, stream).await.is_some() });
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn session(
    state: Arc<Mutex<State>>,
    tls: Option<tokio_rustls::TlsAcceptor>,
    stream: TcpStream,
) -> Option<()> {
    match tls {
        None => answer(state, stream).await,
        Some(tls) => answer(state, tls.accept(stream).await.ok()?).await,
    }
}

/// One request a connection.
async fn answer(state: Arc<Mutex<State>>, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1)?.to_owned();
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let page = lock(&state).pages.get(&path).cloned().unwrap_or(Page::Status(404));
    let known = header("if-none-match");
    let (status, fields, body) = response(&page, known.as_deref());
    lock(&state).asked.push(Asked { path, if_none_match: known, status });
    if matches!(page, Page::Down) {
        return None;
    }
    let head = format!("HTTP/1.1 {status} Word\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(&body).await.ok()?;
    if matches!(page, Page::Dribble) {
        loop {
            stream.write_all(b"x").await.ok()?;
            stream.flush().await.ok()?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    stream.flush().await.ok()?;
    stream.shutdown().await.ok()
}

fn response(page: &Page, known: Option<&str>) -> (u16, String, Vec<u8>) {
    match page {
        Page::Whole(body) => {
            let sum =
                body.iter().fold(7_u64, |sum, octet| sum.wrapping_mul(31).wrapping_add(u64::from(*octet)));
            let etag = format!("\"{sum:x}\"");
            if known == Some(&etag) {
                (304, format!("ETag: {etag}\r\n"), Vec::new())
            } else {
                (200, format!("ETag: {etag}\r\nContent-Length: {}\r\n", body.len()), body.clone())
            }
        }
        Page::CutOff(body) => {
            (200, format!("Content-Length: {}\r\n", body.len()), body[..body.len() / 2].to_vec())
        }
        Page::Endless(octets) => (200, String::new(), vec![b'x'; *octets]),
        Page::Dribble => (200, String::new(), Vec::new()),
        Page::Status(status) => (*status, "Content-Length: 0\r\n".to_owned(), Vec::new()),
        Page::Redirect(url) => (302, format!("Location: {url}\r\nContent-Length: 0\r\n"), Vec::new()),
        Page::Down => (0, String::new(), Vec::new()),
    }
}
