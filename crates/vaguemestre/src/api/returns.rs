//! Senders of messages that are taken out of the queue.

use admin_api::Answering;
use delivery::Returns;
use store::{Acceptance, Claimed, Error};

/// Writes to them as the queue runner does.
pub(super) struct Senders(pub(super) Returns);

impl admin_api::Returns for Senders {
    fn dropped<'a>(
        &'a self,
        entry: &'a Claimed,
    ) -> Answering<'a, Result<(String, Option<Acceptance>), Error>> {
        Box::pin(self.0.dropped(entry))
    }
}
