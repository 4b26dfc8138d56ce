//! A door between a client and the https port of the program that loses requests or answers when it is told to.

use crate::tls::{ClientTls, acceptor};
use crate::{Certificate, own_thread};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// What becomes of one request; the connection is lost with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The server never hears it.
    Request,
    /// The server answered; nobody hears it.
    Answer,
    /// The server heard it; the connection is lost at once, while it is carried out.
    Connection,
}

/// A request that came through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// `POST /api/v1/domains`
    pub line: String,
    /// Its Idempotency-Key.
    pub key: Option<String>,
}

#[derive(Debug, Default)]
struct Orders {
    losses: VecDeque<Lost>,
    passed: Vec<Passed>,
}

/// The door, on a port of its own; it is gone when dropped.
#[derive(Debug)]
pub struct HttpsDoor {
    /// Where it listens.
    pub port: u16,
    orders: Arc<Mutex<Orders>>,
    /// Dropped to end the thread.
    _end: oneshot::Sender<()>,
}

/// Whither, and as whom.
#[derive(Clone)]
struct Ends {
    acceptor: TlsAcceptor,
    client: ClientTls,
    server: u16,
}

impl HttpsDoor {
    /// A door with this certificate to a port of this machine.
    pub fn to(server: u16, certificate: &Certificate, client: ClientTls) -> Self {
        let orders = Arc::new(Mutex::new(Orders::default()));
        let (shared, ends) = (orders.clone(), Ends { acceptor: acceptor(certificate), client, server });
        let (port, end) = own_thread::listen(move |listener| accept(listener, shared, ends));
        Self { port, orders, _end: end }
    }

    /// What becomes of the next requests, in this order; those after them pass.
    pub fn lose(&self, losses: &[Lost]) {
        lock(&self.orders).losses.extend(losses);
    }

    /// The requests that came since this was last asked.
    pub fn passed(&self) -> Vec<Passed> {
        std::mem::take(&mut lock(&self.orders).passed)
    }
}

fn lock(orders: &Mutex<Orders>) -> MutexGuard<'_, Orders> {
    orders.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, orders: Arc<Mutex<Orders>>, ends: Ends) {
    while let Ok((stream, _)) = listener.accept().await {
        let (orders, ends) = (orders.clone(), ends.clone());
        tokio::spawn(async move { pass(stream, &orders, ends).await.is_some() });
    }
}

/// One request, one connection: the server is asked to close after it.
async fn pass(stream: TcpStream, orders: &Mutex<Orders>, ends: Ends) -> Option<()> {
    let mut client = ends.acceptor.accept(stream).await.ok()?;
    let (head, body) = request(&mut client).await?;
    let loss = {
        let mut orders = lock(orders);
        orders.passed.push(passed(&head));
        orders.losses.pop_front()
    };
    if loss == Some(Lost::Request) {
        return None;
    }
    let stream = TcpStream::connect(("127.0.0.1", ends.server)).await.ok()?;
    let mut server = ends.client.connector().connect("localhost".try_into().ok()?, stream).await.ok()?;
    let head = format!("{}\r\nConnection: close\r\n\r\n", head.trim_end());
    server.write_all(&[head.as_bytes(), &body].concat()).await.ok()?;
    server.flush().await.ok()?;
    if loss == Some(Lost::Connection) {
        // The server goes on with what it heard; the door stays open toward it until it has answered.
        drop(client);
        server.read_to_end(&mut Vec::new()).await.ok()?;
        return None;
    }
    let mut answer = Vec::new();
    let _ = server.read_to_end(&mut answer).await;
    if loss == Some(Lost::Answer) {
        return None;
    }
    client.write_all(&answer).await.ok()?;
    client.shutdown().await.ok()
}

async fn request(client: &mut (impl AsyncRead + Unpin)) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    client.read_exact(&mut body).await.ok()?;
    Some((head, body))
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    headers.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn passed(head: &str) -> Passed {
    let line = head.split(" HTTP/").next().unwrap_or_default().to_owned();
    Passed { line, key: header(head, "idempotency-key").map(str::to_owned) }
}
