//! What the API asks of the running server and does not know how to do: the binary wires it.

use std::pin::Pin;
use std::sync::Arc;
use store::{Acceptance, Claimed, Error};

/// An answer that takes time.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Everything that is asked.
#[derive(Clone)]
pub struct Ports {
    /// Tells senders of messages that are taken out of the queue.
    pub returns: Arc<dyn Returns>,
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
