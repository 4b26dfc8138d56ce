//! Notifications that we write ourselves (RFC 3464): they enter by the same door, with the null reverse-path.

use crate::Intake;
use crate::spool::Spool;
use mail_types::{Address, ReversePath};
use store::{Acceptance, AuditEntry, Category, Error, LocalDelivery, Via};

/// Why a notification cannot be delivered.
#[derive(Debug, thiserror::Error)]
pub enum NotificationError {
    /// The sender's mailbox is not here, or is deleted: there is nobody to tell.
    #[error("there is no mailbox to notify")]
    Nobody,
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] Error),
}

impl Intake {
    /// Makes ready a notification to a mailbox of ours, to be committed with the event that it tells of. A full mailbox is no obstacle:
    /// the news of a lost message must arrive.
    ///
    /// # Errors
    /// [`NotificationError`].
    pub async fn notification(&self, to: &Address, content: &[u8]) -> Result<Acceptance, NotificationError> {
        let store = self.store();
        let row = store
            .recipient(to)
            .await?
            .filter(|row| row.status != mail_types::MailboxStatus::Deleted)
            .ok_or(NotificationError::Nobody)?;
        let key = store.mailbox_key(row.mailbox).await?;
        let mut spool = Spool::begin(store, self.settings().message_size_max.saturating_mul(2))?;
        let return_path = message::trace::return_path(&ReversePath::Null);
        spool.write(&return_path).await?;
        spool.write(content).await?;
        let eight_bit = spool.is_eight_bit();
        let unit = store.new_unit_id();
        Ok(Acceptance {
            unit,
            fingerprint: None,
            reverse_path: ReversePath::Null,
            sender_mailbox: None,
            body: spool.finish().await?,
            content_offset: return_path.len() as u64,
            eight_bit,
            local: vec![LocalDelivery { mailbox: row.mailbox, folder: row.inbox, key }],
            remote: Vec::new(),
            sent_copy: None,
            expires_at: store.now(),
            ret: None,
            envid: None,
            audit: AuditEntry {
                via: Some(Via::System),
                unit: Some(unit),
                detail: "origin=notification local=1 remote=0".to_owned(),
                ..AuditEntry::new(Category::Mail, "message.accepted")
            },
        })
    }
}
