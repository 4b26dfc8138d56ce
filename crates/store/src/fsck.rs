//! `fsck`: do counters equal what they count, does every message have its body, does every container have a row?
//!
//! It may look while others write. Each count is one statement, so it sees one instant; what lies outside the database is judged twice, and a container
//! without a row only past an age, because a delivery makes its body durable before its row.

use crate::dialect::{Conn, on};
use crate::messages::body_id;
use crate::writer::{Touches, WriteTx};
use crate::{Error, Store};
use body_store::Place;
use mail_types::BodyId;

/// What was found. Everything zero means a sound store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FsckReport {
    /// Folders whose counters were wrong, or whose next UID or MODSEQ was given already.
    pub folder_counters: u64,
    /// Mailboxes whose use was wrong.
    pub mailbox_counters: u64,
    /// Counts of what an actor has seen that were wrong, `\Seen` of messages that are gone, and mailboxes where it is one for all and some reader has their own.
    pub private_seen: u64,
    /// Body rows that neither a message nor a queue entry refers to, and that wait for no sweep.
    pub unreferenced_bodies: u64,
    /// Body rows whose file or object is missing: these messages cannot be read.
    pub missing_files: u64,
    /// Body files and objects without a row, older than ten minutes.
    pub orphan_files: u64,
    /// Whether counters were set right and unreferenced bodies released.
    pub is_repaired: bool,
}

impl FsckReport {
    /// Whether nothing was found.
    pub fn is_sound(&self) -> bool {
        *self == Self { is_repaired: self.is_repaired, ..Self::default() }
    }
}

/// Age past which a container without a row is none that a delivery is about to name.
const SETTLED_MS: i64 = 10 * 60 * 1000;
/// Rows of bodies read at one time.
const PAGE: i64 = 10_000;

/// For each folder what its counters must be.
const FOLDER_TRUTH: &str = "SELECT f.id, COALESCE(m.n, 0) AS n, CAST(COALESCE(m.s, 0) AS BIGINT) AS s, CAST(COALESCE(m.seen, 0) AS BIGINT) AS seen, \
    CAST(COALESCE(m.deleted, 0) AS BIGINT) AS deleted, \
    CASE WHEN COALESCE(m.uid, 0) > COALESCE(e.uid, 0) THEN COALESCE(m.uid, 0) ELSE COALESCE(e.uid, 0) END AS uid, \
    CASE WHEN COALESCE(m.modseq, 0) > COALESCE(e.modseq, 0) THEN COALESCE(m.modseq, 0) ELSE COALESCE(e.modseq, 0) END AS modseq \
    FROM folders f \
    LEFT JOIN (SELECT folder_id, COUNT(*) AS n, SUM(size_bytes) AS s, SUM(flags & 1) AS seen, SUM((flags & 8) / 8) AS deleted, MAX(uid) AS uid, MAX(modseq) AS modseq \
    FROM messages GROUP BY folder_id) m ON m.folder_id = f.id \
    LEFT JOIN (SELECT folder_id, MAX(uid) AS uid, MAX(modseq) AS modseq FROM expunged GROUP BY folder_id) e ON e.folder_id = f.id";
const FOLDER_WRONG: &str = "folders.message_count <> t.n OR folders.size_bytes <> t.s OR folders.seen_count <> t.seen OR folders.deleted_count <> t.deleted \
    OR folders.uid_next <= t.uid OR folders.modseq < t.modseq";
const MAILBOX_TRUTH: &str = "SELECT b.id, COALESCE(m.n, 0) AS n, CAST(COALESCE(m.s, 0) AS BIGINT) AS s FROM mailboxes b \
    LEFT JOIN (SELECT mailbox_id, COUNT(*) AS n, SUM(size_bytes) AS s FROM messages GROUP BY mailbox_id) m ON m.mailbox_id = b.id";
const MAILBOX_WRONG: &str = "mailboxes.used_messages <> t.n OR mailboxes.used_bytes <> t.s";
/// For each actor and folder how many messages they have seen.
const SEEN_TRUTH: &str = "SELECT s.folder_id, s.actor_id, CAST(SUM(s.is_set - (m.flags & 1)) AS BIGINT) AS n FROM seen s \
    JOIN messages m ON m.folder_id = s.folder_id AND m.uid = s.uid GROUP BY s.folder_id, s.actor_id";
const SEEN_OF_NOTHING: &str =
    "NOT EXISTS (SELECT 1 FROM messages m WHERE m.folder_id = seen.folder_id AND m.uid = seen.uid)";
/// Mailboxes in which `\Seen` is one for all, and some reader has their own.
const SEEN_WHERE_IT_IS_ONE: &str = "private_seen = 0 AND EXISTS (SELECT 1 FROM folders f JOIN seen s ON s.folder_id = f.id WHERE f.mailbox_id = mailboxes.id)";
const UNREFERENCED: &str = "SELECT b.id FROM bodies b WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.body_id = b.id) \
    AND NOT EXISTS (SELECT 1 FROM queue_entries q WHERE q.body_id = b.id) AND NOT EXISTS (SELECT 1 FROM released_bodies r WHERE r.body_id = b.id)";

impl Store {
    /// Looks at the whole store; with `repair` sets counters right and releases what nothing refers to. Never touches a message. Holds the ids of all bodies
    /// outside their rows in memory, 16 octets each.
    pub async fn fsck(&self, repair: bool) -> Result<FsckReport, Error> {
        let mut report = FsckReport {
            folder_counters: self.count(&format!("SELECT COUNT(*) FROM folders JOIN ({FOLDER_TRUTH}) t ON t.id = folders.id WHERE {FOLDER_WRONG}")).await?,
            mailbox_counters: self.count(&format!("SELECT COUNT(*) FROM mailboxes JOIN ({MAILBOX_TRUTH}) t ON t.id = mailboxes.id WHERE {MAILBOX_WRONG}")).await?,
            private_seen: self.wrong_private_seen().await?,
            unreferenced_bodies: self.count(&format!("SELECT COUNT(*) FROM ({UNREFERENCED}) u")).await?,
            ..FsckReport::default()
        };
        for place in self.bodies().places() {
            self.compare(place, &mut report).await?;
        }
        if repair && !report.is_sound() {
            self.write(Touches::nothing(), |tx| Box::pin(async move { tx.repair().await })).await?;
            report.is_repaired = true;
        }
        Ok(report)
    }

    async fn count(&self, sql: &str) -> Result<u64, Error> {
        let mut reader = self.reader().await?;
        let (count,): (i64,) = on!(patient reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(&mut *c).await)?;
        Ok(count.unsigned_abs())
    }

    async fn wrong_private_seen(&self) -> Result<u64, Error> {
        let wrong = format!(
            "SELECT COUNT(*) FROM seen_counts c LEFT JOIN ({SEEN_TRUTH}) t ON t.folder_id = c.folder_id AND t.actor_id = c.actor_id WHERE c.seen_count <> COALESCE(t.n, 0)"
        );
        let uncounted = format!(
            "SELECT COUNT(*) FROM ({SEEN_TRUTH}) t LEFT JOIN seen_counts c ON c.folder_id = t.folder_id AND c.actor_id = t.actor_id WHERE c.folder_id IS NULL AND t.n <> 0"
        );
        let of_nothing = format!("SELECT COUNT(*) FROM seen WHERE {SEEN_OF_NOTHING}");
        let of_one = format!("SELECT COUNT(*) FROM mailboxes WHERE {SEEN_WHERE_IT_IS_ONE}");
        Ok(self.count(&wrong).await?
            + self.count(&uncounted).await?
            + self.count(&of_nothing).await?
            + self.count(&of_one).await?)
    }

    /// Compares rows with what is there, slice by slice, without reading a body.
    async fn compare(&self, place: Place, report: &mut FsckReport) -> Result<(), Error> {
        let known = self.ids_in(place).await?;
        let limit = self.now().plus_millis(-SETTLED_MS);
        for slice in 0..=u8::MAX {
            let listed = self.bodies().list(place, slice).await?;
            report.orphan_files += self.orphans(place, &listed, limit).await?.len() as u64;
            let there: std::collections::HashSet<BodyId> = listed.into_iter().map(|found| found.id).collect();
            let from = known.partition_point(|id| id.0[15] < slice);
            let to = known.partition_point(|id| id.0[15] <= slice);
            let missing: Vec<BodyId> =
                known[from..to].iter().copied().filter(|id| !there.contains(id)).collect();
            report.missing_files += self.still_missing(place, &missing).await?;
        }
        Ok(())
    }

    /// How many of `ids` still have a row and still have no container: others went between two looks.
    async fn still_missing(&self, place: Place, ids: &[BodyId]) -> Result<u64, Error> {
        let mut missing = 0;
        for id in self.with_row(place, ids).await? {
            missing += u64::from(!self.bodies().exists(place, id).await?);
        }
        Ok(missing)
    }

    /// The bodies that rows place there, in the order of their slices.
    async fn ids_in(&self, place: Place) -> Result<Vec<BodyId>, Error> {
        let (mut ids, mut after) = (Vec::new(), Vec::new());
        let mut reader = self.reader().await?;
        loop {
            let page: Vec<(Vec<u8>,)> = on!(patient reader.conn(), c => sqlx::query_as("SELECT id FROM bodies WHERE place = $1 AND id > $2 ORDER BY id LIMIT $3")
                .bind(place.as_str()).bind(after.as_slice()).bind(PAGE).fetch_all(&mut *c).await)?;
            for (id,) in &page {
                ids.push(body_id(id)?);
            }
            match page.into_iter().last() {
                Some((last,)) => after = last,
                None => break,
            }
        }
        ids.sort_unstable_by_key(|id| (id.0[15], id.0));
        Ok(ids)
    }
}

impl WriteTx {
    /// Sets every counter right and releases what nothing refers to: a fixed number of statements, whatever the size of the store.
    async fn repair(&mut self) -> Result<(), Error> {
        self.hold_counters().await?;
        for sql in [
            format!(
                "UPDATE folders SET message_count = t.n, size_bytes = t.s, seen_count = t.seen, deleted_count = t.deleted, \
                 uid_next = CASE WHEN folders.uid_next <= t.uid THEN t.uid + 1 ELSE folders.uid_next END, \
                 modseq = CASE WHEN folders.modseq < t.modseq THEN t.modseq ELSE folders.modseq END \
                 FROM ({FOLDER_TRUTH}) t WHERE t.id = folders.id AND ({FOLDER_WRONG})"
            ),
            format!(
                "UPDATE mailboxes SET used_messages = t.n, used_bytes = t.s FROM ({MAILBOX_TRUTH}) t WHERE t.id = mailboxes.id AND ({MAILBOX_WRONG})"
            ),
            format!("DELETE FROM seen WHERE {SEEN_OF_NOTHING}"),
            // The housekeeping makes it one.
            format!("UPDATE mailboxes SET private_seen = 2 WHERE {SEEN_WHERE_IT_IS_ONE}"),
            "UPDATE seen_counts SET seen_count = 0 WHERE NOT EXISTS (SELECT 1 FROM seen s WHERE s.folder_id = seen_counts.folder_id \
             AND s.actor_id = seen_counts.actor_id)"
                .to_owned(),
            format!(
                "INSERT INTO seen_counts (folder_id, actor_id, seen_count) {SEEN_TRUTH} \
                 ON CONFLICT (folder_id, actor_id) DO UPDATE SET seen_count = excluded.seen_count"
            ),
            format!(
                "INSERT INTO released_bodies (body_id, released_at_ms) SELECT u.id, {} FROM ({UNREFERENCED}) u WHERE 1 = 1 ON CONFLICT DO NOTHING",
                self.now.0
            ),
        ] {
            on!(patient self.conn(), c => sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *c).await.map(|_| ()))?;
        }
        Ok(())
    }

    /// PostgreSQL: nobody else counts until this is committed, so that each statement sees the counters with all that they count. Mailboxes, then
    /// folders, in id order like every writer.
    async fn hold_counters(&mut self) -> Result<(), Error> {
        if let Conn::Postgres(c, _) = self.conn() {
            for sql in [
                "SELECT id FROM mailboxes ORDER BY id FOR UPDATE",
                "SELECT id FROM folders ORDER BY id FOR UPDATE",
            ] {
                sqlx::query(sql).execute(&mut *c).await?;
            }
        }
        Ok(())
    }
}
