//! Whether `\Seen` is one for all readers of a mailbox, or kept for each apart, and what becomes of it when that changes.
//!
//! Kept apart, what an actor has seen is a row over what all had seen before: without a row, the flag of the message holds. So nothing that anybody
//! sees changes when a mailbox begins to keep it apart. When it is one again, what anybody has seen is seen.
//!
//! Making it one touches a row for each message and reader, so it goes a bounded page at a time, each its own unit; whoever dies in between leaves the rest
//! to the next. Meanwhile rows are still read over the flags, no new ones are made, and messages whose flags are written become one first.
//!
//! How it is kept is asked in each unit that writes, under the lock of the mailbox: what a session was told of it before may be old.

use crate::dialect::{Conn, answered, on};
use crate::flags::{Ranges, json_list};
use crate::writer::{Touches, WriteTx};
use crate::{Error, Store};
use mail_types::{ActorId, FolderId, MailboxId};
use std::collections::HashSet;

/// Rows of readers that one unit makes one, about.
const PAGE: i64 = 5_000;
/// Pages that are done before whoever asked for it is answered.
const PAGES_AT_ONCE: usize = 40;

/// `mailboxes.private_seen`
pub(crate) const APART: i64 = 1;
const UNITING: i64 = 2;

/// The rows of `seen` of a folder with a UID in a range, each looked up by the key of the table.
macro_rules! rows_of {
    ($uid:literal) => {
        concat!(
            "SELECT s.is_set FROM seen s WHERE s.folder_id = $1 AND s.actor_id IN (SELECT c.actor_id FROM seen_counts c WHERE c.folder_id = $1) AND s.uid = ",
            $uid
        )
    };
}

/// How a mailbox keeps `\Seen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SeenMode {
    /// One for all.
    Shared,
    /// Each actor has their own.
    Apart,
    /// It becomes one: rows that are left are read, and none is added.
    Uniting,
}

impl SeenMode {
    fn of(column: i64) -> Self {
        match column {
            APART => Self::Apart,
            UNITING => Self::Uniting,
            _ => Self::Shared,
        }
    }
}

impl Store {
    /// Makes `\Seen` one, a page further, in a mailbox that keeps it apart no more. False when there is none left.
    pub async fn unite_seen(&self) -> Result<bool, Error> {
        let mut reader = self.reader().await?;
        let next: Option<(i64,)> = on!(reader.conn(), c => sqlx::query_as("SELECT id FROM mailboxes WHERE private_seen = 2 LIMIT 1")
            .fetch_optional(&mut *c).await)?;
        drop(reader);
        let Some((mailbox,)) = next else { return Ok(false) };
        self.unite_page_of(MailboxId(mailbox)).await?;
        Ok(true)
    }

    /// Goes on with it for a while; what is left is [`Store::unite_seen`]'s.
    pub(crate) async fn begin_to_unite(&self, mailbox: MailboxId) {
        for _ in 0..PAGES_AT_ONCE {
            match self.unite_page_of(mailbox).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(%mailbox, %error, "what its readers have seen is made one later");
                    return;
                }
            }
        }
    }

    async fn unite_page_of(&self, mailbox: MailboxId) -> Result<bool, Error> {
        self.write(Touches::from(mailbox), move |tx| Box::pin(tx.unite_page(mailbox))).await
    }

    /// Whether a reader's own `\Seen` may stand over the flags of a folder's messages.
    pub(crate) async fn is_seen_apart(&self, folder: FolderId) -> Result<bool, Error> {
        let mut reader = self.quick_reader().await?;
        let row: Option<(i64,)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT m.private_seen FROM folders f JOIN mailboxes m ON m.id = f.mailbox_id WHERE f.id = $1")
            .bind(folder.0).fetch_optional(&mut *c).await)?;
        Ok(row.is_some_and(|(mode,)| is_apart(mode)))
    }
}

/// Whether a reader's own `\Seen` may stand over the flags of messages, by the column.
pub(crate) fn is_apart(column: i64) -> bool {
    SeenMode::of(column) != SeenMode::Shared
}

impl WriteTx {
    /// How the mailbox of a folder keeps `\Seen`, to the end of this unit.
    pub(crate) async fn seen_mode(&mut self, folder: FolderId) -> Result<SeenMode, Error> {
        let row: Option<(i64,)> = on!(self.conn(), c => sqlx::query_as(
            "SELECT m.private_seen FROM folders f JOIN mailboxes m ON m.id = f.mailbox_id WHERE f.id = $1")
            .bind(folder.0).fetch_optional(&mut *c).await)?;
        Ok(row.map_or(SeenMode::Shared, |(mode,)| SeenMode::of(mode)))
    }

    /// Of these folders, those whose mailboxes keep it apart.
    pub(crate) async fn kept_apart(&mut self, folders: Vec<i64>) -> Result<HashSet<i64>, Error> {
        if folders.is_empty() {
            return Ok(HashSet::new());
        }
        let rows: Vec<(i64,)> = match self.conn() {
            Conn::Sqlite(c) => {
                let list = json_list(&folders);
                sqlx::query_as(
                    "SELECT f.id FROM folders f JOIN mailboxes m ON m.id = f.mailbox_id \
                     WHERE f.id IN (SELECT value FROM json_each($1)) AND m.private_seen = 1",
                )
                .bind(list)
                .fetch_all(c)
                .await?
            }
            Conn::Postgres(c, is_stuck) => {
                let asked = sqlx::query_as(
                    "SELECT f.id FROM folders f JOIN mailboxes m ON m.id = f.mailbox_id WHERE f.id = ANY($1) AND m.private_seen = 1",
                );
                answered(is_stuck, asked.bind(folders).fetch_all(c)).await?
            }
        };
        Ok(rows.into_iter().map(|(folder,)| folder).collect())
    }

    /// The actor, if what they see of these messages is theirs alone. What is to become one of them is one then.
    pub(crate) async fn seen_apart_of(
        &mut self,
        folder: FolderId,
        actor: Option<ActorId>,
        ranges: &Ranges,
    ) -> Result<Option<ActorId>, Error> {
        let is_apart = self.settle_seen(folder, ranges).await? == SeenMode::Apart;
        Ok(actor.filter(|_| is_apart))
    }

    /// Where it becomes one, it is so of these messages. How the mailbox keeps it.
    pub(crate) async fn settle_seen(&mut self, folder: FolderId, ranges: &Ranges) -> Result<SeenMode, Error> {
        let mode = self.seen_mode(folder).await?;
        if mode == SeenMode::Uniting && self.first_seen(folder).await?.is_some() {
            for &(first, last) in ranges {
                self.unite(folder, (i64::from(first), i64::from(last))).await?;
            }
        }
        Ok(mode)
    }

    /// Makes it one a page further. False when nothing is left.
    async fn unite_page(&mut self, mailbox: MailboxId) -> Result<bool, Error> {
        let folder: Option<(i64,)> = on!(self.conn(), c => sqlx::query_as(
            "SELECT f.id FROM mailboxes m JOIN folders f ON f.mailbox_id = m.id WHERE m.id = $1 AND m.private_seen = 2 \
             AND EXISTS (SELECT 1 FROM seen s WHERE s.folder_id = f.id) ORDER BY f.id LIMIT 1")
            .bind(mailbox.0).fetch_optional(&mut *c).await)?;
        let Some((folder,)) = folder.map(|(id,)| (FolderId(id),)) else {
            self.end_uniting(mailbox).await?;
            return Ok(false);
        };
        let Some((first, readers)) = self.first_seen(folder).await? else {
            self.count_readers(folder).await?;
            return Ok(true);
        };
        let uids = (PAGE / readers.max(1)).max(1);
        self.unite(folder, (first, first.saturating_add(uids - 1))).await?;
        Ok(true)
    }

    async fn end_uniting(&mut self, mailbox: MailboxId) -> Result<(), Error> {
        let ended = on!(self.conn(), c => sqlx::query("UPDATE mailboxes SET private_seen = 0 WHERE id = $1 AND private_seen = 2")
            .bind(mailbox.0).execute(&mut *c).await.map(|done| done.rows_affected()))?;
        if ended > 0 {
            on!(self.conn(), c => sqlx::query("DELETE FROM seen_counts WHERE folder_id IN (SELECT id FROM folders WHERE mailbox_id = $1)")
                .bind(mailbox.0).execute(&mut *c).await.map(|_| ()))?;
        }
        Ok(())
    }

    /// The smallest UID of which any reader has a row, and how many readers may have one.
    async fn first_seen(&mut self, folder: FolderId) -> Result<Option<(i64, i64)>, Error> {
        let (first, readers): (Option<i64>, i64) = on!(self.conn(), c => sqlx::query_as(
            "SELECT MIN(t.uid), COUNT(*) FROM (SELECT (SELECT MIN(s.uid) FROM seen s WHERE s.folder_id = $1 AND s.actor_id = c.actor_id) AS uid \
             FROM seen_counts c WHERE c.folder_id = $1) t")
            .bind(folder.0).fetch_one(&mut *c).await)?;
        Ok(first.map(|first| (first, readers)))
    }

    /// Rows of a reader who is not counted, which is a fault, would be found by nobody.
    async fn count_readers(&mut self, folder: FolderId) -> Result<(), Error> {
        on!(self.conn(), c => sqlx::query(
            "INSERT INTO seen_counts (folder_id, actor_id, seen_count) SELECT DISTINCT folder_id, actor_id, 0 FROM seen WHERE folder_id = $1 \
             ON CONFLICT DO NOTHING").bind(folder.0).execute(&mut *c).await.map(|_| ()))?;
        Ok(())
    }

    /// What anybody has seen of these messages is seen, and nobody has a row of their own any more. Every message of which anybody had one is a
    /// changed one.
    async fn unite(&mut self, folder: FolderId, (first, last): (i64, i64)) -> Result<(), Error> {
        let modseq = self.next_modseq(folder).await?;
        on!(self.conn(), c => sqlx::query(
            "UPDATE seen_counts SET seen_count = seen_count - (SELECT CAST(COALESCE(SUM(s.is_set - (m.flags & 1)), 0) AS BIGINT) FROM seen s \
             JOIN messages m ON m.folder_id = s.folder_id AND m.uid = s.uid \
             WHERE s.folder_id = $1 AND s.actor_id = seen_counts.actor_id AND s.uid BETWEEN $2 AND $3) WHERE folder_id = $1")
            .bind(folder.0).bind(first).bind(last).execute(&mut *c).await.map(|_| ()))?;
        let newly = on!(self.conn(), c => sqlx::query(concat!(
            "UPDATE messages SET flags = flags | 1 WHERE folder_id = $1 AND uid BETWEEN $2 AND $3 AND (flags & 1) = 0 \
             AND EXISTS (", rows_of!("messages.uid"), " AND s.is_set = 1)"))
            .bind(folder.0).bind(first).bind(last).execute(&mut *c).await.map(|done| done.rows_affected()))?;
        // Also where nobody sees a change: what somebody knew of a row that goes must not become older.
        on!(self.conn(), c => sqlx::query(concat!(
            "UPDATE messages SET modseq = $4 WHERE folder_id = $1 AND uid BETWEEN $2 AND $3 AND EXISTS (", rows_of!("messages.uid"), ")"))
            .bind(folder.0).bind(first).bind(last).bind(modseq).execute(&mut *c).await.map(|_| ()))?;
        on!(self.conn(), c => sqlx::query("UPDATE folders SET seen_count = seen_count + $2 WHERE id = $1")
            .bind(folder.0).bind(i64::try_from(newly).unwrap_or(i64::MAX)).execute(&mut *c).await.map(|_| ()))?;
        on!(self.conn(), c => sqlx::query(
            "DELETE FROM seen WHERE folder_id = $1 AND actor_id IN (SELECT c.actor_id FROM seen_counts c WHERE c.folder_id = $1) AND uid BETWEEN $2 AND $3")
            .bind(folder.0).bind(first).bind(last).execute(&mut *c).await.map(|_| ()))?;
        self.changed(folder);
        Ok(())
    }
}
