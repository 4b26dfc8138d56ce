//! UIDs of messages that are gone: what a client that comes back asks for (RFC 7162 §3.2), and how long they are kept.

use crate::dialect::on;
use crate::writer::Touches;
use crate::{Error, Store};
use mail_types::{FolderId, ModSeq, Uid};

/// UIDs forgotten in one unit of work.
const PRUNE_BATCH: i64 = 500;

impl Store {
    /// The UIDs of messages that left a folder after `since`, ascending; `None` when what is kept does not reach back so far, or there is no such
    /// folder.
    pub async fn vanished(&self, folder: FolderId, since: ModSeq) -> Result<Option<Vec<Uid>>, Error> {
        let since = i64::try_from(since.0).unwrap_or(i64::MAX);
        let mut reader = self.reader().await?;
        let rows: Vec<(i64,)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT uid FROM expunged WHERE folder_id = $1 AND modseq > $2 ORDER BY uid").bind(folder.0).bind(since).fetch_all(&mut *c).await)?;
        // Asked after the rows: what is forgotten meanwhile moves it first.
        let floor: Option<(i64,)> = on!(reader.conn(), c => sqlx::query_as("SELECT expunged_floor FROM folders WHERE id = $1")
            .bind(folder.0).fetch_optional(&mut *c).await)?;
        let is_whole = floor.is_some_and(|(floor,)| since >= floor);
        let uids = rows.into_iter().map(|(uid,)| Uid(u32::try_from(uid).unwrap_or(u32::MAX)));
        Ok(is_whole.then(|| uids.collect()))
    }

    /// Forgets UIDs that went more than `keep_days` ago, a batch of those of one folder. How many: at zero there is nothing left to do. A client that
    /// was away for longer is answered by comparing what it knows with what is there.
    pub async fn prune_expunged(&self, keep_days: u32) -> Result<usize, Error> {
        let limit = self.now().plus_millis(-i64::from(keep_days) * 24 * 3600 * 1000).0;
        let mut reader = self.reader().await?;
        let oldest: Option<(i64,)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT folder_id FROM expunged WHERE expunged_at_ms < $1 ORDER BY expunged_at_ms LIMIT 1")
            .bind(limit).fetch_optional(&mut *c).await)?;
        let Some((folder,)) = oldest else { return Ok(0) };
        let rows: Vec<(i64, i64)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT modseq, uid FROM expunged WHERE folder_id = $1 AND expunged_at_ms < $2 ORDER BY modseq, uid LIMIT $3")
            .bind(folder).bind(limit).bind(PRUNE_BATCH).fetch_all(&mut *c).await)?;
        drop(reader);
        let count = rows.len();
        self.write(Touches::from(FolderId(folder)), move |tx| {
            let rows = rows.clone();
            Box::pin(async move {
                let floor = rows.last().map_or(0, |(modseq, _)| *modseq);
                on!(tx.conn(), c => sqlx::query("UPDATE folders SET expunged_floor = $2 WHERE id = $1 AND expunged_floor < $2")
                    .bind(folder).bind(floor).execute(&mut *c).await.map(|_| ()))?;
                for run in rows.chunk_by(|one, next| one.0 == next.0) {
                    let (Some((modseq, first)), Some((_, last))) = (run.first(), run.last()) else { continue };
                    on!(tx.conn(), c => sqlx::query("DELETE FROM expunged WHERE folder_id = $1 AND modseq = $2 AND uid BETWEEN $3 AND $4")
                        .bind(folder).bind(*modseq).bind(*first).bind(*last).execute(&mut *c).await.map(|_| ()))?;
                }
                Ok(())
            })
        })
        .await?;
        Ok(count)
    }
}
