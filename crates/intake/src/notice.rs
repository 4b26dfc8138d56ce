//! Letters that the operator writes itself (RFC 3834 auto-generated): they enter by the same door as notifications, with the null reverse-path.

use crate::{Intake, NotificationError};
use mail_types::Address;
use message::notice::{Event, Notice, build};
use std::sync::Arc;
use store::{Acceptance, Error};

impl Intake {
    /// Makes ready one letter for each of these mailboxes of ours, to be committed with the event that it tells of. Who has no mailbox here any
    /// more is left out; a full one is no obstacle.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn notices(&self, to: &[Address], event: &Event<'_>) -> Result<Vec<Arc<Acceptance>>, Error> {
        let mut letters = Vec::with_capacity(to.len());
        for to in to {
            let message_id = format!("<{}@{}>", self.store().new_unit_id(), to.domain());
            let notice = Notice { to, message_id: &message_id, at: self.store().now(), event };
            match self.notification(to, &build(&notice)).await {
                Ok(letter) => letters.push(Arc::new(letter)),
                Err(NotificationError::Nobody) => {}
                Err(NotificationError::Store(error)) => return Err(error),
            }
        }
        Ok(letters)
    }
}
