//! What the API asks of the running server and does not know how to do: the binary wires it.

use crate::trust::{ListSync, TrustState, WhiteListSync};
use mail_types::Secret;
use pki::TrustSnapshot;
use policy::{TrustList, WhiteListDiff};
use std::pin::Pin;
use std::sync::Arc;
use store::{Acceptance, Claimed, Error, Store};

/// An answer that takes time.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Everything that is asked.
#[derive(Clone)]
pub struct Ports {
    /// Tells senders of messages that are taken out of the queue.
    pub returns: Arc<dyn Returns>,
    /// What is trusted.
    pub trust: Arc<dyn TrustSpace>,
    /// What we present.
    pub own: Arc<dyn OwnCertificates>,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ports")
    }
}

/// Writes to senders whose message is taken out of the queue.
pub trait Returns: Send + Sync {
    /// The reply that is kept with the entry, and the notification to be committed with its end; none when nobody is to be told.
    fn dropped<'a>(
        &'a self,
        entry: &'a Claimed,
    ) -> Answering<'a, Result<(String, Option<Acceptance>), Error>>;
}

/// What certificates and pairs are judged by now.
#[derive(Clone, Debug)]
pub struct InForce {
    /// Anchors and revocation lists.
    pub pki: Arc<TrustSnapshot>,
    /// White list, local decisions, departures.
    pub list: Arc<TrustList>,
}

/// Two white lists compared.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// What changed.
    pub diff: WhiteListDiff,
    /// Whether the newer one is not in force and waits for a confirmation.
    pub is_waiting: bool,
}

/// What cannot be done, in words that say what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unable(pub String);

/// The trust space.
pub trait TrustSpace: Send + Sync {
    /// What is in force.
    fn in_force(&self) -> Answering<'_, Result<InForce, Unable>>;

    /// How fresh it is, and what somebody should do something about.
    fn state(&self) -> Answering<'_, Result<TrustState, Unable>>;

    /// Fetches every revocation list now.
    fn sync_lists(&self) -> Answering<'_, Result<Vec<ListSync>, Unable>>;

    /// Reads or fetches the white list now. With `is_confirmed`, its loss of domains is no obstacle.
    fn sync_white_list(&self, is_confirmed: bool) -> Answering<'_, Result<WhiteListSync, Unable>>;

    /// The list in force beside one that waits for a confirmation, else beside the one before it; none when there is no other.
    fn compare_white_lists(&self) -> Answering<'_, Result<Option<Comparison>, Unable>>;
}

/// Which of our certificates is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Seen by whoever connects to us.
    Server,
    /// Seen by other operators' servers.
    Client,
}

/// A certificate with its issuers, and its key.
#[derive(Debug)]
pub struct Pair {
    /// PEM, the certificate first.
    pub chain: Vec<u8>,
    /// PEM, not encrypted.
    pub key: Secret<String>,
    /// In whose place.
    pub side: Side,
}

/// How one of our certificates stands, or would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnFinding {
    /// The key of the configuration that names it.
    pub key: &'static str,
    /// Its subject, if it can be read.
    pub subject: Option<String>,
    /// Why it would not be taken.
    pub refusal: Option<String>,
    /// What is in doubt and no obstacle.
    pub doubt: Option<String>,
}

/// Our own certificates.
pub trait OwnCertificates: Send + Sync {
    /// Checks a pair, or those that the configuration names, as a reload would.
    fn check(&self, pair: Option<Pair>) -> Answering<'_, Result<Vec<OwnFinding>, Unable>>;

    /// Puts a pair in the place of ours if it stands, noting it in the inventory for whom `store` acts.
    fn replace(&self, store: Store, pair: Pair) -> Answering<'_, Result<(), Unable>>;
}
