//! Accepting TCP connections, bounded, until asked to drain.
//!
//! A connection over a bound is told so in the protocol's own words and closed. When a drain is asked for, nothing more is accepted and each
//! session is left to end at its next quiet moment. This crate knows no protocol and no TLS.
#![warn(missing_docs)]

mod vigil;

pub use vigil::Vigil;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
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
    /// Connections at one time from one IPv4 address, or from one IPv6 network of 64 bits, which one host fills at will.
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
    let mut refusals = Refusals::default();
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
            refusals.note(&listener);
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

/// Connections over a bound, told of in the log once in a while: a flood must not fill it.
#[derive(Default)]
struct Refusals {
    count: u64,
    told: Option<Instant>,
}

impl Refusals {
    const EVERY: Duration = Duration::from_secs(60);

    fn note(&mut self, listener: &TcpListener) {
        self.count += 1;
        if self.told.is_none_or(|told| told.elapsed() >= Self::EVERY) {
            let listener = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
            tracing::warn!(
                listener,
                refused = self.count,
                "connections over the limit were refused; see connections_max and connections_per_address_max under [limits]"
            );
            *self = Self { count: 0, told: Some(Instant::now()) };
        }
    }
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
        let address = counted(address);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_insert(0);
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Place { address, addresses: self.clone() })
    }
}

/// What connections are counted by.
fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_64_bits_counts_as_one_address() {
        let addresses = Arc::new(Addresses::default());
        let enter = |text: &str| addresses.enter(text.parse().unwrap(), 2);
        let places = [enter("2001:db8:0:1::1"), enter("2001:db8:0:1:ffff::2")];
        assert!(places.iter().all(Option::is_some));
        assert!(enter("2001:db8:0:1::3").is_none());
        assert!(enter("2001:db8:0:2::1").is_some());
        drop(places);
        assert!(enter("2001:db8:0:1::3").is_some());
    }

    #[test]
    fn an_ipv4_address_is_the_same_on_a_listener_for_both() {
        let addresses = Arc::new(Addresses::default());
        let _place = addresses.enter("::ffff:192.0.2.1".parse().unwrap(), 1).unwrap();
        assert!(addresses.enter("192.0.2.1".parse().unwrap(), 1).is_none());
        assert!(addresses.enter("192.0.2.2".parse().unwrap(), 1).is_some());
    }
}
