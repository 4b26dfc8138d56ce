//! Counters of every folder of a mailbox at once: what a client asks for that shows all of them.

use crate::dialect::{Conn, answered, on};
use crate::flags::json_list;
use crate::folders::clip;
use crate::{Error, FolderStatus, Store};
use mail_types::{ActorId, FolderId, MailboxId, ModSeq, UidValidity};
use std::collections::HashMap;

/// id, uid_validity, uid_next, recent_uid, modseq, message_count, seen, deleted_count, size_bytes
type Tuple = (i64, i64, i64, i64, i64, i64, i64, i64, i64);

macro_rules! statuses {
    ($which:literal) => {
        concat!(
            "SELECT f.id, f.uid_validity, f.uid_next, f.recent_uid, f.modseq, f.message_count, \
             f.seen_count + COALESCE((SELECT s.seen_count FROM seen_counts s WHERE s.folder_id = f.id AND s.actor_id = $2), 0), \
             f.deleted_count, f.size_bytes FROM folders f WHERE f.mailbox_id = $1 AND f.selectable = 1",
            $which
        )
    };
}

/// Of a row, without how many are recent.
fn status((id, validity, next, _, modseq, messages, seen, deleted, size): Tuple) -> FolderStatus {
    FolderStatus {
        id: FolderId(id),
        uid_validity: UidValidity(clip(validity)),
        uid_next: clip(next),
        modseq: ModSeq(modseq.unsigned_abs()),
        messages: clip(messages),
        recent: 0,
        unseen: clip((messages - seen).max(0)),
        deleted: clip(deleted),
        size_bytes: size.unsigned_abs(),
    }
}

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
        let rows: Vec<Tuple> = on!(reader.conn(), c => sqlx::query_as(statuses!("")).bind(mailbox.0).bind(actor).fetch_all(&mut *c).await)?;
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
        for row in rows {
            let (folder, recent_uid) = (FolderId(row.0), row.3);
            // A session told of some that the store does not know of yet.
            let told = with_recent && i64::from(self.recent_told(folder)) > recent_uid;
            let recent = if told {
                self.folder_status(folder, private_seen_of).await?.map_or(0, |status| status.recent)
            } else {
                clip(recent.get(&folder.0).copied().unwrap_or(0))
            };
            statuses.insert(folder, FolderStatus { recent, ..status(row) });
        }
        Ok(statuses)
    }

    /// The same of some of its folders, and not how many are recent.
    pub async fn folder_statuses_of(
        &self,
        mailbox: MailboxId,
        private_seen_of: Option<ActorId>,
        folders: &[FolderId],
    ) -> Result<Vec<FolderStatus>, Error> {
        let actor = private_seen_of.map_or(-1, |actor| actor.0);
        let ids: Vec<i64> = folders.iter().map(|folder| folder.0).collect();
        let mut reader = self.quick_reader().await?;
        let rows: Vec<Tuple> = match reader.conn() {
            Conn::Sqlite(c) => {
                sqlx::query_as(statuses!(" AND f.id IN (SELECT value FROM json_each($3))"))
                    .bind(mailbox.0)
                    .bind(actor)
                    .bind(json_list(&ids))
                    .fetch_all(c)
                    .await?
            }
            Conn::Postgres(c, is_stuck) => {
                let query = sqlx::query_as(statuses!(" AND f.id = ANY($3)"));
                answered(is_stuck, query.bind(mailbox.0).bind(actor).bind(ids).fetch_all(c)).await?
            }
        };
        Ok(rows.into_iter().map(status).collect())
    }

    /// Whether something changed in a folder since that a reader with a `\Seen` of their own can see: what others have seen is not.
    pub async fn has_changed_for(
        &self,
        folder: FolderId,
        private_seen_of: ActorId,
        since: ModSeq,
    ) -> Result<bool, Error> {
        let since = i64::try_from(since.0).unwrap_or(i64::MAX);
        let mut reader = self.quick_reader().await?;
        let (has_changed,): (bool,) = on!(reader.conn(), c => sqlx::query_as(
            "SELECT EXISTS (SELECT 1 FROM messages WHERE folder_id = $1 AND modseq > $2) \
             OR EXISTS (SELECT 1 FROM expunged WHERE folder_id = $1 AND modseq > $2) \
             OR EXISTS (SELECT 1 FROM seen WHERE folder_id = $1 AND actor_id = $3 AND modseq > $2)")
            .bind(folder.0).bind(since).bind(private_seen_of.0).fetch_one(&mut *c).await)?;
        Ok(has_changed)
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
