//! EXPUNGE: messages leave a folder, their UIDs stay in the log of those that are gone, and their bodies wait for the sweeper.

use crate::dialect::on;
use crate::flags::{DELETED, Ranges};
use crate::told_changes::Touched;
use crate::writer::{Touches, WriteTx};
use crate::{Error, Store};
use mail_types::{FolderId, MailboxId};

impl Store {
    /// Removes messages marked `\Deleted`, all or those in `ranges`.
    pub async fn expunge(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        ranges: Option<Vec<(u32, u32)>>,
    ) -> Result<(), Error> {
        self.write(Touches::from(mailbox), move |tx| {
            let ranges = ranges.clone();
            Box::pin(async move {
                let ranges = ranges.unwrap_or_else(|| vec![(1, u32::MAX)]);
                tx.remove_told(mailbox, folder, &ranges, true).await
            })
        })
        .await
    }
}

/// Messages that are about to go: how many, their octets, how many are seen and deleted, and the first and last UID.
type Leaving = (i64, i64, i64, i64, Option<i64>, Option<i64>);

/// What left a folder.
#[derive(Clone, Copy, Default)]
struct Gone {
    count: i64,
    size: i64,
    seen: i64,
    deleted: i64,
}

impl WriteTx {
    /// Removes messages as [`WriteTx::remove`] does, and tells of it when somebody does who does not hold the mailbox.
    pub(crate) async fn remove_told(
        &mut self,
        mailbox: MailboxId,
        folder: FolderId,
        ranges: &Ranges,
        only_deleted: bool,
    ) -> Result<(), Error> {
        let mask = if only_deleted { DELETED } else { 0 };
        let uids = self.first_uids(folder, ranges, mask).await?;
        let count = self.remove(mailbox, folder, ranges, only_deleted).await?;
        self.tell_messages(mailbox, folder, "message.removed", &Touched::counted(count, uids), "").await
    }

    /// Removes every message of a folder; how many there were.
    pub(crate) async fn empty_folder(&mut self, mailbox: MailboxId, folder: FolderId) -> Result<i64, Error> {
        self.remove(mailbox, folder, &vec![(1, u32::MAX)], false).await
    }

    /// Removes messages in `ranges`, all or only those marked `\Deleted`, and leaves their UIDs in the expunged log; how many there were.
    pub(crate) async fn remove(
        &mut self,
        mailbox: MailboxId,
        folder: FolderId,
        ranges: &Ranges,
        only_deleted: bool,
    ) -> Result<i64, Error> {
        let mask = if only_deleted { DELETED } else { 0 };
        let (mut modseq, mut gone) = (None, Gone::default());
        let is_seen_apart = self.has_private_seen(folder).await?;
        for &(first, last) in ranges {
            let (first, last) = (i64::from(first), i64::from(last));
            let (count, size, seen, deleted, first, last): Leaving = on!(self.conn(), c => sqlx::query_as(
                "SELECT COUNT(*), CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT), CAST(COALESCE(SUM(flags & 1), 0) AS BIGINT), \
                 CAST(COALESCE(SUM((flags & 8) / 8), 0) AS BIGINT), MIN(uid), MAX(uid) FROM messages \
                 WHERE folder_id = $1 AND uid BETWEEN $2 AND $3 AND (flags & $4) = $4")
                .bind(folder.0).bind(first).bind(last).bind(mask).fetch_one(&mut *c).await)?;
            let (Some(first), Some(last)) = (first, last) else { continue };
            let modseq = match modseq {
                Some(modseq) => modseq,
                None => *modseq.insert(self.next_modseq(folder).await?),
            };
            gone.count += count;
            gone.size += size;
            gone.seen += seen;
            gone.deleted += deleted;
            if is_seen_apart {
                self.forget_private_seen(folder, (first, last), mask).await?;
            }
            self.log_and_delete(folder, (first, last), mask, modseq).await?;
        }
        if modseq.is_some() {
            self.count_gone(mailbox, folder, gone).await?;
            self.changed(folder);
        }
        Ok(gone.count)
    }

    async fn count_gone(&mut self, mailbox: MailboxId, folder: FolderId, gone: Gone) -> Result<(), Error> {
        let Gone { count, size, seen, deleted } = gone;
        on!(self.conn(), c => sqlx::query(
            "UPDATE folders SET message_count = message_count - $2, size_bytes = size_bytes - $3, seen_count = seen_count - $4, deleted_count = deleted_count - $5 WHERE id = $1")
            .bind(folder.0).bind(count).bind(size).bind(seen).bind(deleted).execute(&mut *c).await.map(|_| ()))?;
        on!(self.conn(), c => sqlx::query(
            "UPDATE mailboxes SET used_bytes = used_bytes - $2, used_messages = used_messages - $3 WHERE id = $1")
            .bind(mailbox.0).bind(size).bind(count).execute(&mut *c).await.map(|_| ()))?;
        Ok(())
    }

    /// Whether any actor has a `\Seen` of their own in the folder.
    async fn has_private_seen(&mut self, folder: FolderId) -> Result<bool, Error> {
        let row: Option<(i64,)> = on!(self.conn(), c => sqlx::query_as("SELECT uid FROM seen WHERE folder_id = $1 LIMIT 1")
            .bind(folder.0).fetch_optional(&mut *c).await)?;
        Ok(row.is_some())
    }

    async fn log_and_delete(
        &mut self,
        folder: FolderId,
        (first, last): (i64, i64),
        mask: i64,
        modseq: i64,
    ) -> Result<(), Error> {
        let now = self.now.0;
        on!(self.conn(), c => sqlx::query(
            "INSERT INTO expunged (folder_id, modseq, uid, expunged_at_ms) SELECT folder_id, $5, uid, $6 FROM messages WHERE folder_id = $1 AND uid BETWEEN $2 AND $3 AND (flags & $4) = $4")
            .bind(folder.0).bind(first).bind(last).bind(mask).bind(modseq).bind(now).execute(&mut *c).await.map(|_| ()))?;
        on!(self.conn(), c => sqlx::query(
            "INSERT INTO released_bodies (body_id, released_at_ms) SELECT DISTINCT body_id, $5 FROM messages \
             WHERE folder_id = $1 AND uid BETWEEN $2 AND $3 AND (flags & $4) = $4 ORDER BY body_id ON CONFLICT DO NOTHING")
            .bind(folder.0).bind(first).bind(last).bind(mask).bind(now).execute(&mut *c).await.map(|_| ()))?;
        on!(self.conn(), c => sqlx::query("DELETE FROM messages WHERE folder_id = $1 AND uid BETWEEN $2 AND $3 AND (flags & $4) = $4")
            .bind(folder.0).bind(first).bind(last).bind(mask).execute(&mut *c).await.map(|_| ()))?;
        Ok(())
    }

    /// What actors have seen of messages that are about to go.
    async fn forget_private_seen(
        &mut self,
        folder: FolderId,
        (first, last): (i64, i64),
        mask: i64,
    ) -> Result<(), Error> {
        on!(self.conn(), c => sqlx::query(
            "UPDATE seen_counts SET seen_count = seen_count - (SELECT CAST(COALESCE(SUM(s.is_set - (m.flags & 1)), 0) AS BIGINT) FROM seen s \
             JOIN messages m ON m.folder_id = s.folder_id AND m.uid = s.uid WHERE s.folder_id = $1 AND s.actor_id = seen_counts.actor_id AND s.uid BETWEEN $2 AND $3 AND (m.flags & $4) = $4) WHERE folder_id = $1")
            .bind(folder.0).bind(first).bind(last).bind(mask).execute(&mut *c).await.map(|_| ()))?;
        on!(self.conn(), c => sqlx::query(
            "DELETE FROM seen WHERE folder_id = $1 AND uid BETWEEN $2 AND $3 \
             AND EXISTS (SELECT 1 FROM messages m WHERE m.folder_id = $1 AND m.uid = seen.uid AND (m.flags & $4) = $4)")
            .bind(folder.0).bind(first).bind(last).bind(mask).execute(&mut *c).await.map(|_| ()))?;
        Ok(())
    }
}
