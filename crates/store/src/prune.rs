//! Rows and pages that have had their time: finished queue entries, free pages of SQLite. Bounded steps, so that mail never waits long behind them.

use crate::dialect::{Conn, on};
use crate::writer::Touches;
use crate::{Error, Store};

/// Queue entries removed in one unit of work.
const PRUNE_BATCH: i64 = 500;
/// Free pages that stay: what is freed today is used tomorrow.
const SPARE_PAGES: i64 = 1024;
/// Pages given back to the file system in one unit of work: 2 MiB.
const VACUUM_PAGES: i64 = 256;

impl Store {
    /// Forgets queue entries that were finished more than `keep_days` ago, a batch of them. How many went: at zero there is nothing left to do.
    pub async fn prune_queue(&self, keep_days: u32) -> Result<usize, Error> {
        let limit = self.now().plus_millis(-i64::from(keep_days) * 24 * 3600 * 1000);
        // Looked for beside the writer: only the removal is its work.
        let mut reader = self.reader().await?;
        let ids: Vec<(i64,)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT id FROM queue_entries WHERE state IN ('relayed', 'delivered', 'bounced', 'expired', 'dropped') \
             AND COALESCE(last_attempt_at_ms, created_at_ms) < $1 ORDER BY id LIMIT $2")
            .bind(limit.0).bind(PRUNE_BATCH).fetch_all(&mut *c).await)?;
        drop(reader);
        let count = ids.len();
        if count > 0 {
            self.write(Touches::nothing(), move |tx| {
                let ids = ids.clone();
                Box::pin(async move {
                    on!(tx.conn(), c => {
                        let mut sql = sqlx::QueryBuilder::new("DELETE FROM queue_entries WHERE state IN ('relayed', 'delivered', 'bounced', 'expired', 'dropped') AND id IN (");
                        let mut list = sql.separated(", ");
                        ids.iter().for_each(|(id,)| {
                            list.push_bind(*id);
                        });
                        sql.push(")");
                        sql.build().execute(&mut *c).await.map(|_| ())
                    })?;
                    Ok(())
                })
            })
            .await?;
        }
        Ok(count)
    }

    /// SQLite: gives some of the pages that nothing uses back to the file system. How many are left to give: at zero there is nothing left to do.
    pub async fn shrink(&self) -> Result<u64, Error> {
        let spare = self.spare_pages().await?;
        if spare == 0 {
            return Ok(0);
        }
        self.write(Touches::nothing(), |tx| {
            Box::pin(async move {
                if let Conn::Sqlite(c) = tx.conn() {
                    let sql = format!("PRAGMA incremental_vacuum({VACUUM_PAGES})");
                    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *c).await?;
                }
                Ok(())
            })
        })
        .await?;
        self.spare_pages().await
    }

    /// Pages of SQLite that nothing uses, above those that stay.
    async fn spare_pages(&self) -> Result<u64, Error> {
        let mut reader = self.reader().await?;
        let free = match reader.conn() {
            Conn::Sqlite(c) => {
                sqlx::query_as::<_, (i64,)>("PRAGMA freelist_count").fetch_one(&mut *c).await?.0
            }
            Conn::Postgres(..) => 0,
        };
        Ok(u64::try_from(free - SPARE_PAGES).unwrap_or(0))
    }
}
