//! Counters of every folder of a mailbox at once: what a client asks for that shows all of them.

use crate::dialect::on;
use crate::folders::clip;
use crate::{Error, FolderStatus, Store};
use mail_types::{ActorId, FolderId, MailboxId, ModSeq, UidValidity};
use std::collections::HashMap;

/// id, uid_validity, uid_next, recent_uid, modseq, message_count, seen, deleted_count, size_bytes
type Tuple = (i64, i64, i64, i64, i64, i64, i64, i64, i64);

impl Store {
    /// Counters of the folders of a mailbox that can hold messages. With `private_seen_of`, what that actor has seen counts; otherwise the shared
    /// `\Seen`. How many are recent is counted only `with_recent`.
    pub async fn folder_statuses(
        &self,
        mailbox: MailboxId,
        private_seen_of: Option<ActorId>,
        with_recent: bool,
    ) -> Result<HashMap<FolderId, FolderStatus>, Error> {
        let actor = private_seen_of.map_or(-1, |actor| actor.0);
        let mut reader = self.quick_reader().await?;
        let rows: Vec<Tuple> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT f.id, f.uid_validity, f.uid_next, f.recent_uid, f.modseq, f.message_count, \
             f.seen_count + COALESCE((SELECT s.seen_count FROM seen_counts s WHERE s.folder_id = f.id AND s.actor_id = $2), 0), \
             f.deleted_count, f.size_bytes FROM folders f WHERE f.mailbox_id = $1 AND f.selectable = 1")
            .bind(mailbox.0).bind(actor).fetch_all(&mut *c).await)?;
        let recent: HashMap<i64, i64> = if with_recent {
            let counted: Vec<(i64, i64)> = on!(reader.conn(), c => sqlx::query_as(
                "SELECT f.id, COUNT(*) FROM folders f JOIN messages m ON m.folder_id = f.id AND m.uid >= f.recent_uid WHERE f.mailbox_id = $1 GROUP BY f.id")
                .bind(mailbox.0).fetch_all(&mut *c).await)?;
            counted.into_iter().collect()
        } else {
            HashMap::new()
        };
        drop(reader);
        let mut statuses = HashMap::with_capacity(rows.len());
        for (id, validity, next, recent_uid, modseq, messages, seen, deleted, size) in rows {
            let folder = FolderId(id);
            // A session told of some that the store does not know of yet.
            let told = with_recent && i64::from(self.recent_told(folder)) > recent_uid;
            let recent = if told {
                self.folder_status(folder, private_seen_of).await?.map_or(0, |status| status.recent)
            } else {
                clip(recent.get(&id).copied().unwrap_or(0))
            };
            let status = FolderStatus {
                id: folder,
                uid_validity: UidValidity(clip(validity)),
                uid_next: clip(next),
                modseq: ModSeq(modseq.unsigned_abs()),
                messages: clip(messages),
                recent,
                unseen: clip((messages - seen).max(0)),
                deleted: clip(deleted),
                size_bytes: size.unsigned_abs(),
            };
            statuses.insert(folder, status);
        }
        Ok(statuses)
    }

    /// Octets of the messages that are marked to be removed, of each folder of a mailbox that has any.
    pub async fn deleted_bytes_in(&self, mailbox: MailboxId) -> Result<HashMap<FolderId, u64>, Error> {
        let mut reader = self.quick_reader().await?;
        let rows: Vec<(i64, i64)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT f.id, CAST(SUM(m.size_bytes) AS BIGINT) FROM folders f JOIN messages m ON m.folder_id = f.id AND (m.flags & 8) <> 0 \
             WHERE f.mailbox_id = $1 AND f.deleted_count > 0 GROUP BY f.id").bind(mailbox.0).fetch_all(&mut *c).await)?;
        Ok(rows.into_iter().map(|(id, octets)| (FolderId(id), octets.unsigned_abs())).collect())
    }
}
