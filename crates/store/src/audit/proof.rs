//! What proves that a chain is what the table of chains says: its rows from the first, linked to that beginning, to a last one that a signed seal covers.

use super::ChainId;
use super::chain::chain_hash;
use super::ids::hexadecimal;
use super::row::{COLUMNS, RowColumns};
use super::seals::{SEAL, SealColumns};
use crate::dialect::on;
use crate::keys::month_name;
use crate::{Error, Store};
use mail_types::Timestamp;

/// Rows read at one time.
const ROWS_PAGE: i64 = 1_000;
/// Seals that say the same of a chain; one does.
const SEALS_MAX: i64 = 10;
const DAY_MS: i64 = 24 * 3600 * 1000;
/// How far the clocks of two nodes may be apart.
const SKEW_MS: i64 = DAY_MS;
/// A seal comes within a minute of the rows; this much later after the beginning of a chain when all nodes stood still meanwhile.
const LATE_MS: i64 = (31 + 92) * DAY_MS;

/// What a chain is said to be.
#[derive(Clone, Copy)]
pub(super) struct Beginning<'a> {
    pub(super) chain: ChainId,
    pub(super) category: &'a str,
    pub(super) month: &'a str,
    pub(super) started_at_ms: i64,
}

impl Beginning<'_> {
    /// Whether the month is that of the first row.
    pub(super) fn is_of_its_month(&self) -> bool {
        month_name(Timestamp(self.started_at_ms)) == self.month
    }

    fn has(&self, row: &RowColumns) -> bool {
        row.category == self.category && month_name(Timestamp(row.at_ms)) == self.month
    }
}

/// Whether a chain that began then can be named by a seal that was made then: the instant of the seal is signed, that of the chain is not.
pub(super) fn is_timely(started_at_ms: i64, sealed_at_ms: i64) -> bool {
    (-SKEW_MS..=LATE_MS).contains(&sealed_at_ms.saturating_sub(started_at_ms))
}

impl Store {
    /// Whether the rows of a chain follow from this beginning without a gap to the row `last` with this hash, and a seal signed that one.
    pub(super) async fn proves(
        &self,
        beginning: Beginning<'_>,
        last: i64,
        hash: &[u8],
    ) -> Result<bool, Error> {
        let Beginning { chain, category, month, started_at_ms } = beginning;
        if !beginning.is_of_its_month() {
            return Ok(false);
        }
        let mut prev = chain_hash(&chain.0, category, month, started_at_ms);
        let (mut seq, mut at_ms) = (0, 0);
        loop {
            let rows = self.rows_after(chain, seq).await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                let computed = row.computed_hash();
                let follows = row.seq == seq + 1 && row.prev_hash == prev && row.hash == computed;
                if !follows || !beginning.has(&row) {
                    return Ok(false);
                }
                (seq, at_ms, prev) = (row.seq, row.at_ms, computed);
            }
        }
        Ok((seq, prev.as_slice()) == (last, hash) && self.is_sealed(beginning, seq, &prev, at_ms).await?)
    }

    /// Whether a seal that the operator's key signed names this row as the end of the chain.
    async fn is_sealed(
        &self,
        beginning: Beginning<'_>,
        seq: i64,
        hash: &[u8; 32],
        at_ms: i64,
    ) -> Result<bool, Error> {
        let line = format!("%{} {seq} {}%", beginning.chain, hexadecimal(hash));
        let sql = format!("{SEAL} WHERE at_ms >= $1 AND heads LIKE $2 ORDER BY at_ms LIMIT $3");
        let mut reader = self.reader().await?;
        let seals: Vec<SealColumns> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(at_ms.saturating_sub(SKEW_MS)).bind(&line).bind(SEALS_MAX).fetch_all(&mut *c).await)?;
        let key = self.audit_key();
        Ok(seals.into_iter().filter_map(SealColumns::read).any(|seal| {
            let heads = seal.sealed_heads().unwrap_or_default();
            let is_named =
                heads.iter().any(|head| (head.chain, head.seq, &head.hash) == (beginning.chain, seq, hash));
            is_named
                && is_timely(beginning.started_at_ms, seal.at.0)
                && key.verifies(seal.signed_text().as_bytes(), &seal.signature)
        }))
    }

    /// Rows of a chain after a number, a page.
    pub(super) async fn rows_after(&self, chain: ChainId, after: i64) -> Result<Vec<RowColumns>, Error> {
        let mut reader = self.reader().await?;
        let sql = format!(
            "SELECT {COLUMNS} FROM audit_rows WHERE chain_id = $1 AND seq > $2 ORDER BY seq LIMIT $3"
        );
        Ok(
            on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(chain.0.as_slice()).bind(after).bind(ROWS_PAGE)
            .fetch_all(&mut *c).await)?,
        )
    }
}
