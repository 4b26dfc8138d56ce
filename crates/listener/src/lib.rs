//! Accepting TCP connections, bounded, until asked to drain.
//!
//! A connection over a bound is told so in the protocol's own words and closed. When a drain is asked for, nothing more is accepted and each
//! session is left to end at its next quiet moment. This crate knows no protocol and no TLS.
#![warn(missing_docs)]

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Asks sessions to end; cloned into each.
#[derive(Clone, Debug)]
pub struct Drain {
    asked: watch::Receiver<bool>,
}

/// The hand that asks.
#[derive(Debug)]
pub struct DrainSwitch {
    ask: watch::Sender<bool>,
}

impl DrainSwitch {
    /// A switch that is off.
    pub fn new() -> Self {
        Self { ask: watch::Sender::new(false) }
    }

    /// A handle for a listener or a session.
    pub fn handle(&self) -> Drain {
        Drain { asked: self.ask.subscribe() }
    }

    /// Asks everyone who holds a handle.
    pub fn ask(&self) {
        self.ask.send_replace(true);
    }
}

impl Default for DrainSwitch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drain {
    /// Whether it was asked for.
    pub fn is_asked(&self) -> bool {
        *self.asked.borrow()
    }

    /// Returns once it is asked for.
    pub async fn asked(&mut self) {
        // A switch that is gone can never ask, and its process is ending.
        if self.asked.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Bounds of a listener.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections at one time.
    pub connections_max: usize,
    /// Connections at one time from one address.
    pub per_address_max: usize,
    /// What a connection over a bound is told, in clear; empty to close it at once.
    pub refusal: &'static [u8],
}

/// Accepts until `drain` is asked for, then waits for the sessions to end.
pub async fn serve<H, F>(listener: TcpListener, bounds: Bounds, mut drain: Drain, session: H)
where
    H: Fn(TcpStream, SocketAddr, Drain) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(bounds.connections_max));
    let addresses = Arc::new(Addresses::default());
    let mut sessions = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = drain.asked() => break,
            Some(_) = sessions.join_next(), if !sessions.is_empty() => continue,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: wait for some to be given back rather than spin.
                tracing::warn!(%error, "a connection could not be accepted; check the limit on open files");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let slot = slots.clone().try_acquire_owned().ok();
        let place = addresses.enter(peer.ip(), bounds.per_address_max);
        let (Some(slot), Some(place)) = (slot, place) else {
            sessions.spawn(refuse(stream, bounds.refusal));
            continue;
        };
        // Without it small replies wait for the peer's delayed acknowledgement, 40 ms each.
        let _ = stream.set_nodelay(true);
        let work = session(stream, peer, drain.clone());
        sessions.spawn(async move {
            work.await;
            drop((slot, place));
        });
    }
    drop(listener);
    while sessions.join_next().await.is_some() {}
}

async fn refuse(mut stream: TcpStream, words: &'static [u8]) {
    // A peer that does not read its refusal loses nothing.
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.write_all(words)).await;
}

/// How many connections each address has.
#[derive(Debug, Default)]
struct Addresses {
    counts: Mutex<HashMap<IpAddr, usize>>,
}

impl Addresses {
    fn enter(self: &Arc<Self>, address: IpAddr, max: usize) -> Option<Place> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_insert(0);
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Place { address, addresses: self.clone() })
    }
}

/// One connection's place in the count of its address.
struct Place {
    address: IpAddr,
    addresses: Arc<Addresses>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.addresses.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}
