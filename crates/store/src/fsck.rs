//! `fsck`: do counters equal what they count, does every message have its body, does every file have a row?

use crate::dialect::on;
use crate::messages::body_id;
use crate::reclaim::file_id;
use crate::writer::Touches;
use crate::{Error, Store};

/// What was found. Everything zero means a sound store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FsckReport {
    /// Folders whose counters were wrong.
    pub folder_counters: u64,
    /// Mailboxes whose use was wrong.
    pub mailbox_counters: u64,
    /// Body rows that neither a message nor a queue entry refers to, and that wait for no sweep.
    pub unreferenced_bodies: u64,
    /// Body rows whose file is missing: these messages cannot be read.
    pub missing_files: u64,
    /// Body files without a row, of any age.
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

const FOLDER_TRUTH: &str = "SELECT f.id FROM folders f LEFT JOIN (SELECT folder_id, COUNT(*) AS n, SUM(size_bytes) AS s, SUM(flags & 1) AS seen, SUM((flags & 8) / 8) AS deleted \
    FROM messages GROUP BY folder_id) m ON m.folder_id = f.id WHERE f.message_count <> COALESCE(m.n, 0) OR f.size_bytes <> COALESCE(m.s, 0) \
    OR f.seen_count <> COALESCE(m.seen, 0) OR f.deleted_count <> COALESCE(m.deleted, 0)";
const MAILBOX_TRUTH: &str = "SELECT b.id FROM mailboxes b LEFT JOIN (SELECT mailbox_id, COUNT(*) AS n, SUM(size_bytes) AS s FROM messages GROUP BY mailbox_id) m \
    ON m.mailbox_id = b.id WHERE b.used_messages <> COALESCE(m.n, 0) OR b.used_bytes <> COALESCE(m.s, 0)";
const UNREFERENCED: &str = "SELECT b.id FROM bodies b WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.body_id = b.id) \
    AND NOT EXISTS (SELECT 1 FROM queue_entries q WHERE q.body_id = b.id) AND NOT EXISTS (SELECT 1 FROM released_bodies r WHERE r.body_id = b.id)";

impl Store {
    /// Looks at the whole store; with `repair` sets counters right and releases what nothing refers to. Never touches a message.
    pub async fn fsck(&self, repair: bool) -> Result<FsckReport, Error> {
        let mut reader = self.reader().await?;
        let folders: Vec<(i64,)> =
            on!(reader.conn(), c => sqlx::query_as(FOLDER_TRUTH).fetch_all(&mut *c).await)?;
        let mailboxes: Vec<(i64,)> =
            on!(reader.conn(), c => sqlx::query_as(MAILBOX_TRUTH).fetch_all(&mut *c).await)?;
        let unreferenced: Vec<(Vec<u8>,)> =
            on!(reader.conn(), c => sqlx::query_as(UNREFERENCED).fetch_all(&mut *c).await)?;
        let in_files: Vec<(Vec<u8>,)> = on!(reader.conn(), c => sqlx::query_as("SELECT id FROM bodies WHERE place = 'file'").fetch_all(&mut *c).await)?;
        drop(reader);
        let mut report = FsckReport {
            folder_counters: folders.len() as u64,
            mailbox_counters: mailboxes.len() as u64,
            unreferenced_bodies: unreferenced.len() as u64,
            ..FsckReport::default()
        };
        self.compare_files(&in_files, &mut report)?;
        if repair && !report.is_sound() {
            self.repair(unreferenced.into_iter().map(|(id,)| id).collect()).await?;
            report.is_repaired = true;
        }
        Ok(report)
    }

    fn compare_files(&self, in_files: &[(Vec<u8>,)], report: &mut FsckReport) -> Result<(), Error> {
        let mut known = std::collections::HashSet::new();
        for (id,) in in_files {
            let id = body_id(id)?;
            known.insert(id);
            report.missing_files += u64::from(!self.bodies().path(id).exists());
        }
        for prefix in std::fs::read_dir(self.bodies().bodies())? {
            for file in std::fs::read_dir(prefix?.path())? {
                let is_known = file_id(&file?.path()).is_some_and(|id| known.contains(&id));
                report.orphan_files += u64::from(!is_known);
            }
        }
        Ok(())
    }

    async fn repair(&self, unreferenced: Vec<Vec<u8>>) -> Result<(), Error> {
        self.write(Touches::nothing(), move |tx| {
            let unreferenced = unreferenced.clone();
            Box::pin(async move {
                on!(tx.conn(), c => sqlx::query(
                    "UPDATE folders SET message_count = (SELECT COUNT(*) FROM messages m WHERE m.folder_id = folders.id), \
                     size_bytes = (SELECT CAST(COALESCE(SUM(m.size_bytes), 0) AS BIGINT) FROM messages m WHERE m.folder_id = folders.id), \
                     seen_count = (SELECT COUNT(*) FROM messages m WHERE m.folder_id = folders.id AND (m.flags & 1) = 1), \
                     deleted_count = (SELECT COUNT(*) FROM messages m WHERE m.folder_id = folders.id AND (m.flags & 8) = 8)")
                    .execute(&mut *c).await.map(|_| ()))?;
                on!(tx.conn(), c => sqlx::query(
                    "UPDATE mailboxes SET used_messages = (SELECT COUNT(*) FROM messages m WHERE m.mailbox_id = mailboxes.id), \
                     used_bytes = (SELECT CAST(COALESCE(SUM(m.size_bytes), 0) AS BIGINT) FROM messages m WHERE m.mailbox_id = mailboxes.id)")
                    .execute(&mut *c).await.map(|_| ()))?;
                let now = tx.now.0;
                for id in unreferenced {
                    on!(tx.conn(), c => sqlx::query("INSERT INTO released_bodies (body_id, released_at_ms) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                        .bind(id.as_slice()).bind(now).execute(&mut *c).await.map(|_| ()))?;
                }
                Ok(())
            })
        })
        .await
    }
}
