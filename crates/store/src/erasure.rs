//! What becomes of a deleted mailbox once it can no longer be restored: its key is destroyed, then its content goes, a bounded part at a time.
//!
//! The key is one row: with it, every message of the mailbox is gone for whoever has the database, and for whoever has a backup of it once the generation
//! that wraps the key is destroyed too. The mailbox's own row stays as a tombstone, with its steps and its audit rows.

use crate::dialect::on;
use crate::directory::admin;
use crate::writer::{Touches, WriteTx};
use crate::{Error, Store};
use mail_types::{FolderId, MailboxId};

/// Messages that one unit removes.
const BATCH: i64 = 500;

impl Store {
    /// Takes one more step in the erasure of mailboxes whose time is over. False when there is nothing left to do.
    pub async fn erase_expired(&self) -> Result<bool, Error> {
        let now = self.now();
        let mut reader = self.reader().await?;
        let next: Option<(i64,)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT id FROM mailboxes WHERE status = 'deleted' AND erased_at_ms IS NULL AND restorable_until_ms <= $1 ORDER BY restorable_until_ms LIMIT 1")
            .bind(now.0).fetch_optional(&mut *c).await)?;
        drop(reader);
        let Some((mailbox,)) = next else { return Ok(false) };
        let mailbox = MailboxId(mailbox);
        self.write(Touches::from(mailbox), move |tx| Box::pin(tx.erase_some(mailbox))).await?;
        // Whoever still holds the key in memory has nothing left to open with it.
        self.keyring().forget(mailbox);
        Ok(true)
    }
}

impl WriteTx {
    async fn erase_some(&mut self, mailbox: MailboxId) -> Result<(), Error> {
        let now = self.now.0;
        let is_due: Option<(i64,)> = on!(self.conn(), c => sqlx::query_as(
            "SELECT id FROM mailboxes WHERE id = $1 AND status = 'deleted' AND erased_at_ms IS NULL AND restorable_until_ms <= $2")
            .bind(mailbox.0).bind(now).fetch_optional(&mut *c).await)?;
        if is_due.is_none() {
            return Ok(());
        }
        let destroyed = on!(self.conn(), c => sqlx::query("DELETE FROM mailbox_keys WHERE mailbox_id = $1")
            .bind(mailbox.0).execute(&mut *c).await.map(|r| r.rows_affected()))?;
        if destroyed > 0 {
            // Whatever a clock says later: nothing brings back what has no key.
            on!(self.conn(), c => sqlx::query("UPDATE mailboxes SET restorable_until_ms = 0, revision = revision + 1 WHERE id = $1")
                .bind(mailbox.0).execute(&mut *c).await.map(|_| ()))?;
            self.audit(&admin("mailbox.key_destroyed", Some(mailbox), String::new())).await?;
        }
        let folder: Option<(i64,)> = on!(self.conn(), c => sqlx::query_as("SELECT id FROM folders WHERE mailbox_id = $1 ORDER BY id LIMIT 1")
            .bind(mailbox.0).fetch_optional(&mut *c).await)?;
        match folder {
            Some((folder,)) => self.erase_some_of(mailbox, FolderId(folder)).await,
            None => self.conclude_erasure(mailbox).await,
        }
    }

    /// Removes the next messages of a folder, or the folder when it has none.
    async fn erase_some_of(&mut self, mailbox: MailboxId, folder: FolderId) -> Result<(), Error> {
        let last: Option<(i64,)> = on!(self.conn(), c => sqlx::query_as(
            "SELECT uid FROM messages WHERE folder_id = $1 ORDER BY uid LIMIT 1 OFFSET $2").bind(folder.0).bind(BATCH - 1).fetch_optional(&mut *c).await)?;
        let last = last.and_then(|(uid,)| u32::try_from(uid).ok());
        self.remove(mailbox, folder, &vec![(1, last.unwrap_or(u32::MAX))], false).await?;
        if last.is_some() {
            return Ok(());
        }
        for sql in [
            "DELETE FROM expunged WHERE folder_id = $1",
            "DELETE FROM seen WHERE folder_id = $1",
            "DELETE FROM seen_counts WHERE folder_id = $1",
            "DELETE FROM folder_keywords WHERE folder_id = $1",
            "DELETE FROM grants WHERE folder_id = $1",
            "DELETE FROM folders WHERE id = $1",
        ] {
            on!(self.conn(), c => sqlx::query(sql).bind(folder.0).execute(&mut *c).await.map(|_| ()))?;
        }
        Ok(())
    }

    async fn conclude_erasure(&mut self, mailbox: MailboxId) -> Result<(), Error> {
        let now = self.now.0;
        for sql in [
            "DELETE FROM grants WHERE mailbox_id = $1",
            "DELETE FROM subscriptions WHERE mailbox_id = $1",
            "DELETE FROM annotations WHERE mailbox_id = $1",
        ] {
            on!(self.conn(), c => sqlx::query(sql).bind(mailbox.0).execute(&mut *c).await.map(|_| ()))?;
        }
        on!(self.conn(), c => sqlx::query("UPDATE mailboxes SET erased_at_ms = $2, revision = revision + 1 WHERE id = $1")
            .bind(mailbox.0).bind(now).execute(&mut *c).await.map(|_| ()))?;
        self.step(mailbox, "erased").await?;
        self.audit(&admin("mailbox.erased", Some(mailbox), String::new())).await
    }
}
