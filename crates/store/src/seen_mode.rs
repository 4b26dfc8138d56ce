//! Whether `\Seen` is one for all readers of a mailbox, or kept for each apart, and what becomes of it when that changes.
//!
//! Kept apart, what an actor has seen is a row over what all had seen before: without a row, the flag of the message holds. So nothing that anybody
//! sees changes when a mailbox begins to keep it apart. When it is one again, what anybody has seen is seen.

use crate::Error;
use crate::dialect::on;
use crate::revisions::Concern;
use crate::writer::WriteTx;
use mail_types::{FolderId, MailboxId};

impl WriteTx {
    /// Follows a change of the mailbox's row; open sessions are asked again.
    pub(crate) async fn part_seen(&mut self, mailbox: MailboxId, is_private: bool) -> Result<(), Error> {
        self.directory_moved(Concern::Mailbox(mailbox)).await?;
        if is_private {
            return Ok(());
        }
        let folders: Vec<(i64,)> = on!(self.conn(), c => sqlx::query_as(
            "SELECT f.id FROM folders f WHERE f.mailbox_id = $1 AND EXISTS (SELECT 1 FROM seen s WHERE s.folder_id = f.id) ORDER BY f.id")
            .bind(mailbox.0).fetch_all(&mut *c).await)?;
        for (folder,) in folders {
            self.unite_seen(FolderId(folder)).await?;
        }
        Ok(())
    }

    /// Every message that anybody saw otherwise than the others is a changed one.
    async fn unite_seen(&mut self, folder: FolderId) -> Result<(), Error> {
        let modseq = self.next_modseq(folder).await?;
        on!(self.conn(), c => sqlx::query(
            "UPDATE messages SET modseq = $2, flags = flags | CASE WHEN EXISTS (SELECT 1 FROM seen s WHERE s.folder_id = $1 AND s.uid = messages.uid AND s.is_set = 1) \
             THEN 1 ELSE 0 END WHERE folder_id = $1 AND uid IN (SELECT s.uid FROM seen s JOIN messages m ON m.folder_id = s.folder_id AND m.uid = s.uid \
             WHERE s.folder_id = $1 AND s.is_set <> (m.flags & 1))")
            .bind(folder.0).bind(modseq).execute(&mut *c).await.map(|_| ()))?;
        on!(self.conn(), c => sqlx::query(
            "UPDATE folders SET seen_count = (SELECT COUNT(*) FROM messages m WHERE m.folder_id = $1 AND (m.flags & 1) = 1) WHERE id = $1")
            .bind(folder.0).execute(&mut *c).await.map(|_| ()))?;
        for sql in ["DELETE FROM seen WHERE folder_id = $1", "DELETE FROM seen_counts WHERE folder_id = $1"] {
            on!(self.conn(), c => sqlx::query(sql).bind(folder.0).execute(&mut *c).await.map(|_| ()))?;
        }
        self.changed(folder);
        Ok(())
    }
}
