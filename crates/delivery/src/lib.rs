//! The queue runner: hands queued recipients to the operators that serve them.
//!
//! Claims due entries under a lease, finds the server of each domain (routes file, then DNS), verifies it (chain, name, revocation, white
//! list) before anything of the message is sent, and records in one transaction what came of each recipient: `relayed`, `deferred`
//! with the next attempt, or `bounced`/`expired` with the notification to the sender. Never in clear: without STARTTLS nothing is sent.
//!
//! It does not know where messages come from, nor how they are stored.
//!
//! Diagnostics: an attempt that failed is one warning with the domain and the cause, never an address.
//!
//! Standards: RFC 5321 §4.5.4, §5.1; RFC 3207; RFC 3464; RFC 7505 (null MX).
#![warn(missing_docs)]

mod connection;
mod content;
mod held;
mod lanes;
mod metrics;
mod next_hop;
mod notification;
mod outcome;
mod runner;
mod schedule;
mod transfer;

pub use metrics::DeliveryMetrics;
pub use next_hop::NextHops;
pub use notification::Returns;
pub use runner::Runner;
pub use schedule::Schedule;

use arc_swap::ArcSwap;
use intake::Intake;
use journal::Journal;
use pki::{PeerClientTls, Trust};
use policy::{Routes, TrustList};
use std::sync::Arc;
use std::time::Duration;
use store::Store;

/// Everything that the runner works with.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Where the queue is.
    pub store: Store,
    /// The door for notifications.
    pub intake: Intake,
    /// Our identity and trust toward other operators.
    pub tls: Arc<PeerClientTls>,
    /// What certificates are judged by; it tells when that, or the list, changed.
    pub pki: Arc<Trust>,
    /// Where judgements of peers are noted.
    pub journal: Journal,
    /// What speaks for which domain.
    pub trust: Arc<ArcSwap<TrustList>>,
    /// The routes in force.
    pub routes: Arc<ArcSwap<Routes>>,
    /// DNS.
    pub next_hops: NextHops,
    /// Our name in EHLO and notifications.
    pub hostname: Arc<str>,
    /// When to try again.
    pub schedule: Schedule,
    /// Connections at one time.
    pub concurrency: usize,
    /// For TCP and for the handshake.
    pub connect_timeout: Duration,
    /// Counters.
    pub metrics: DeliveryMetrics,
}

impl Delivery {
    fn returns(&self) -> Returns {
        Returns { store: self.store.clone(), intake: self.intake.clone(), hostname: self.hostname.clone() }
    }
}
