//! A door between the program and its PostgreSQL: it lets everything through, until it is told to lose the answer to a COMMIT.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A transaction that sent fewer octets than this is housekeeping and always passes.
const NOTABLE: usize = 50_000;

/// What becomes of a connection at the COMMIT of a notable transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// PostgreSQL commits; its answer is lost with the connection.
    AfterCommit,
    /// PostgreSQL never hears the word; the connection is lost.
    BeforeCommit,
}

#[derive(Debug, Default)]
struct Orders {
    cut: Mutex<Option<Cut>>,
    left: AtomicU32,
    made: AtomicU32,
}

/// The door, on a port of its own; it is gone when dropped.
#[derive(Debug)]
pub struct Door {
    /// Where it listens.
    pub port: u16,
    orders: Arc<Orders>,
    task: JoinHandle<()>,
}

impl Door {
    /// A door to a port of this machine.
    pub async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a bound port").port();
        let orders = Arc::new(Orders::default());
        let known = orders.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // A server that is down closes the client's connection.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await {
                    tokio::spawn(pass(client, server, known.clone()));
                }
            }
        });
        Self { port, orders, task }
    }

    /// Cuts the next `count` connections that commit a notable transaction.
    pub fn cut(&self, cut: Cut, count: u32) {
        *self.orders.cut.lock().unwrap_or_else(PoisonError::into_inner) = Some(cut);
        self.orders.left.store(count, Ordering::SeqCst);
    }

    /// Connections cut so far.
    pub fn cuts(&self) -> u32 {
        self.orders.made.load(Ordering::SeqCst)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Orders {
    /// What to do at a COMMIT after so many octets; counts a cut as made.
    fn at_commit(&self, octets: usize) -> Option<Cut> {
        let cut = *self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = octets >= NOTABLE
            && self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if is_due {
            self.made.fetch_add(1, Ordering::SeqCst);
        }
        cut.filter(|_| is_due)
    }
}

async fn pass(client: TcpStream, server: TcpStream, orders: Arc<Orders>) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("TCP_NODELAY");
    }
    let (client_read, mut client_write) = client.into_split();
    let (mut server_read, server_write) = server.into_split();
    let mut ask = tokio::spawn(ask(client_read, server_write, orders));
    let mut piece = vec![0; 64 * 1024];
    loop {
        tokio::select! {
            biased;
            cut = &mut ask => {
                if let Ok(Some((Cut::AfterCommit, _kept))) = cut {
                    // The first octet of the answer tells that the commit stands.
                    let _ = tokio::time::timeout(Duration::from_secs(10), server_read.read(&mut piece)).await;
                }
                return;
            }
            read = server_read.read(&mut piece) => match read {
                Ok(count) if count > 0 && client_write.write_all(&piece[..count]).await.is_ok() => {}
                _ => {
                    ask.abort();
                    return;
                }
            },
        }
    }
}

/// Passes on what the client asks, up to a COMMIT that is to be cut; the server's half is kept open for it.
async fn ask(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    orders: Arc<Orders>,
) -> Option<(Cut, OwnedWriteHalf)> {
    let (mut piece, mut octets) = (vec![0; 64 * 1024], 0);
    loop {
        let count = client.read(&mut piece).await.ok().filter(|count| *count > 0)?;
        octets += count;
        let asked = &piece[..count];
        if says(asked, b"COMMIT") {
            let cut = orders.at_commit(octets);
            if cut != Some(Cut::BeforeCommit) {
                server.write_all(asked).await.ok()?;
            }
            if let Some(cut) = cut {
                return Some((cut, server));
            }
            octets = 0;
            continue;
        }
        if says(asked, b"BEGIN") {
            octets = count;
        }
        server.write_all(asked).await.ok()?;
    }
}

fn says(octets: &[u8], word: &[u8]) -> bool {
    octets.windows(word.len()).any(|window| window == word)
}
