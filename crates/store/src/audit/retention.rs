//! Retention: whole chains whose month is over for longer than their category is kept, and that nothing holds, lose their rows. Their seals stay, and a signed statement
//! of how far each went.

use super::ids::{fixed, hexadecimal};
use super::{AuditEntry, Category, ChainId};
use crate::dialect::on;
use crate::keys::month_name;
use crate::writer::{Touches, WriteTx};
use crate::{Error, Store};

/// Rows removed in one unit of work.
const DELETE_BATCH: i64 = 500;
/// Chains looked at in one go.
const CHAINS_MAX: i64 = 200;

/// How long each category is kept, in days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditKeepDays {
    /// Messages.
    pub mail: u32,
    /// Logins, refusals, reads.
    pub access: u32,
    /// What administrators do.
    pub admin: u32,
    /// Judgements.
    pub trust: u32,
}

impl AuditKeepDays {
    const fn of(&self, category: Category) -> u32 {
        match category {
            Category::Mail => self.mail,
            Category::Access => self.access,
            Category::Admin => self.admin,
            Category::Trust => self.trust,
        }
    }
}

/// What the operator's key signs of a chain that loses its rows.
pub(super) struct DropStatement<'a> {
    pub(super) chain: ChainId,
    pub(super) category: &'a str,
    pub(super) month: &'a str,
    pub(super) started_at_ms: i64,
    pub(super) last_seq: i64,
    pub(super) last_hash: [u8; 32],
    pub(super) at_ms: i64,
}

impl DropStatement<'_> {
    pub(super) fn text(&self) -> String {
        format!(
            "vaguemestre audit drop 1\nchain {}\ncategory {}\nmonth {}\nstarted_ms {}\nlast {}\nhash {}\nat_ms {}\n",
            self.chain,
            self.category,
            self.month,
            self.started_at_ms,
            self.last_seq,
            hexadecimal(&self.last_hash),
            self.at_ms
        )
    }
}

/// A chain that has had its time.
#[derive(Clone, sqlx::FromRow)]
struct Expired {
    id: Vec<u8>,
    category: String,
    month: String,
    started_at_ms: i64,
    seq: i64,
    hash: Vec<u8>,
}

impl Store {
    /// Drops the chains that have had their time, then their rows, a bounded number of chains at a time. How many chains and rows went.
    ///
    /// # Errors
    /// The database does not answer; what was begun goes on the next time.
    pub async fn expire_audit(&self, keep: AuditKeepDays) -> Result<(u64, u64), Error> {
        let mut chains = 0;
        for category in Category::ALL {
            for expired in self.expired_chains(category, keep.of(category)).await? {
                let dropped = self.write(Touches::nothing(), move |tx| {
                    let expired = expired.clone();
                    Box::pin(async move { tx.drop_chain(&expired).await })
                });
                chains += u64::from(dropped.await?);
            }
        }
        let mut rows = 0;
        while let Some(gone) = self.delete_dropped_rows().await? {
            rows += gone;
        }
        Ok((chains, rows))
    }

    /// Sealed chains of months that ended more than `keep_days` ago and that no hold keeps.
    async fn expired_chains(&self, category: Category, keep_days: u32) -> Result<Vec<Expired>, Error> {
        let now = self.now();
        let cut = month_name(now.plus_millis(-i64::from(keep_days) * 24 * 3600 * 1000));
        let mut reader = self.reader().await?;
        Ok(on!(reader.conn(), c => sqlx::query_as(
            "SELECT c.id, c.category, c.month, c.started_at_ms, r.seq, r.hash FROM audit_chains c \
             JOIN audit_rows r ON r.chain_id = c.id AND r.seq = (SELECT MAX(seq) FROM audit_rows WHERE chain_id = c.id) \
             WHERE c.category = $1 AND c.month < $2 AND c.is_settled = 1 AND c.dropped_at_ms IS NULL AND c.sealed_seq >= r.seq \
             AND NOT EXISTS (SELECT 1 FROM audit_holds h WHERE h.ended_at_ms IS NULL AND (h.until_ms IS NULL OR h.until_ms > $3) \
             AND (h.category IS NULL OR h.category = c.category) \
             AND (h.mailbox_id IS NULL OR EXISTS (SELECT 1 FROM audit_rows x WHERE x.chain_id = c.id AND x.mailbox_id = h.mailbox_id))) \
             ORDER BY c.month, c.id LIMIT $4")
            .bind(category.as_str()).bind(&cut).bind(now.0).bind(CHAINS_MAX).fetch_all(&mut *c).await)?)
    }

    /// Removes rows of a dropped chain, a batch. How many; `None` when no dropped chain has any.
    async fn delete_dropped_rows(&self) -> Result<Option<u64>, Error> {
        let mut reader = self.reader().await?;
        let chain: Option<(Vec<u8>,)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT id FROM audit_chains c WHERE dropped_at_ms IS NOT NULL AND EXISTS (SELECT 1 FROM audit_rows WHERE chain_id = c.id) LIMIT 1")
            .fetch_optional(&mut *c).await)?;
        drop(reader);
        let Some((chain,)) = chain else { return Ok(None) };
        let gone = self
            .write(Touches::nothing(), move |tx| {
                let chain = chain.clone();
                Box::pin(async move {
                    Ok(on!(tx.conn(), c => sqlx::query(
                        "DELETE FROM audit_rows WHERE chain_id = $1 AND seq < (SELECT MIN(seq) + $2 FROM audit_rows WHERE chain_id = $1)")
                        .bind(&chain).bind(DELETE_BATCH).execute(&mut *c).await.map(|r| r.rows_affected()))?)
                })
            })
            .await?;
        Ok(Some(gone))
    }
}

impl WriteTx {
    /// Marks a chain dropped, with the signed statement and an audit row. False when another node did.
    async fn drop_chain(&mut self, expired: &Expired) -> Result<bool, Error> {
        let malformed = || Error::Inconsistent("a chain of the audit trail cannot be read; verify the trail");
        let statement = DropStatement {
            chain: ChainId(fixed(&expired.id).ok_or_else(malformed)?),
            category: &expired.category,
            month: &expired.month,
            started_at_ms: expired.started_at_ms,
            last_seq: expired.seq,
            last_hash: fixed(&expired.hash).ok_or_else(malformed)?,
            at_ms: self.now.0,
        };
        let signature = self.keyring.signer().sign(statement.text().as_bytes());
        let marked = on!(self.conn(), c => sqlx::query(
            "UPDATE audit_chains SET dropped_at_ms = $2, dropped_seq = $3, dropped_hash = $4, dropped_signature = $5 WHERE id = $1 AND dropped_at_ms IS NULL")
            .bind(&expired.id).bind(statement.at_ms).bind(expired.seq).bind(&expired.hash).bind(&signature)
            .execute(&mut *c).await.map(|r| r.rows_affected()))?;
        if marked > 0 {
            let detail =
                format!("category={} month={} rows={}", expired.category, expired.month, expired.seq);
            let entry = AuditEntry { detail, ..AuditEntry::new(Category::Admin, "audit.expired") };
            self.audit(&entry.on("chain", statement.chain)).await?;
        }
        Ok(marked > 0)
    }
}
