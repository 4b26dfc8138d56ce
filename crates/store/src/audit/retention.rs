//! Retention: whole chains whose month is over for longer than their category is kept, and that nothing holds, lose their rows. Their seals stay, and a signed statement
//! of how far each went.
//!
//! What the table of chains says is not believed: a chain goes only when its rows and a signed seal [prove](super::proof) its beginning and its end.

use super::ids::{fixed, hexadecimal};
use super::proof::Beginning;
use super::{AuditEntry, Category, ChainId};
use crate::dialect::on;
use crate::keys::month_name;
use crate::writer::{Touches, WriteTx};
use crate::{Error, Store};

/// Rows removed in one unit of work.
const DELETE_BATCH: i64 = 500;
/// Batches removed in one go.
const BATCHES_MAX: u32 = 20;
/// Chains looked at in one statement.
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
    pub(super) fn beginning(&self) -> Beginning<'_> {
        let Self { chain, category, month, started_at_ms, .. } = *self;
        Beginning { chain, category, month, started_at_ms }
    }

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

/// What one go of expiry did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expiry {
    /// Chains that were dropped.
    pub chains: u64,
    /// Rows that were removed.
    pub rows: u64,
    /// Chains that are said to have had their time, and whose rows or seals do not prove it: somebody changed them. They stay.
    pub unproven: Vec<ChainId>,
    /// Whether rows are left that another go would remove.
    pub is_more: bool,
}

/// That no legal hold in force keeps the chain `c`; the instant is bound at the place `now`.
fn is_free(now: &str) -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM audit_holds h WHERE h.ended_at_ms IS NULL AND (h.until_ms IS NULL OR h.until_ms > {now}) \
         AND (h.category IS NULL OR h.category = c.category) \
         AND (h.mailbox_id IS NULL OR EXISTS (SELECT 1 FROM audit_rows x WHERE x.chain_id = c.id AND x.mailbox_id = h.mailbox_id)))"
    )
}

impl Expired {
    fn chain(&self) -> Result<ChainId, Error> {
        fixed(&self.id).map(ChainId).ok_or(MALFORMED)
    }

    /// The first of a category.
    fn before_all() -> (String, Vec<u8>) {
        (String::new(), Vec::new())
    }
}

const MALFORMED: Error = Error::Inconsistent("a chain of the audit trail cannot be read; verify the trail");

impl Store {
    /// Drops the chains that have had their time, then removes rows of dropped chains, a bounded number in one go.
    ///
    /// # Errors
    /// The database does not answer; what was begun goes on the next time.
    pub async fn expire_audit(&self, keep: AuditKeepDays) -> Result<Expiry, Error> {
        let mut expiry = Expiry::default();
        for category in Category::ALL {
            self.drop_expired(category, keep.of(category), &mut expiry).await?;
        }
        self.delete_dropped(&mut expiry).await?;
        Ok(expiry)
    }

    /// Drops what has had its time of one category.
    async fn drop_expired(
        &self,
        category: Category,
        keep_days: u32,
        expiry: &mut Expiry,
    ) -> Result<(), Error> {
        let mut after = Expired::before_all();
        loop {
            let page = self.expired_chains(category, keep_days, &after).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = (last.month.clone(), last.id.clone());
            for expired in page {
                if !self.is_proven(&expired).await? {
                    expiry.unproven.push(expired.chain()?);
                    continue;
                }
                let dropped = self.write(Touches::nothing(), move |tx| {
                    let expired = expired.clone();
                    Box::pin(async move { tx.drop_chain(&expired).await })
                });
                expiry.chains += u64::from(dropped.await?);
            }
        }
    }

    /// Whether its rows are those that began with this category, month and instant and that a seal covers to the last.
    async fn is_proven(&self, expired: &Expired) -> Result<bool, Error> {
        let Ok(chain) = expired.chain() else { return Ok(false) };
        let beginning = Beginning {
            chain,
            category: &expired.category,
            month: &expired.month,
            started_at_ms: expired.started_at_ms,
        };
        self.proves(beginning, expired.seq, &expired.hash).await
    }

    /// Sealed chains of months that ended more than `keep_days` ago and that no hold keeps, after a month and chain.
    async fn expired_chains(
        &self,
        category: Category,
        keep_days: u32,
        after: &(String, Vec<u8>),
    ) -> Result<Vec<Expired>, Error> {
        let now = self.now();
        let cut = month_name(now.plus_millis(-i64::from(keep_days) * 24 * 3600 * 1000));
        let sql = format!(
            "SELECT c.id, c.category, c.month, c.started_at_ms, r.seq, r.hash FROM audit_chains c \
             JOIN audit_rows r ON r.chain_id = c.id AND r.seq = (SELECT MAX(seq) FROM audit_rows WHERE chain_id = c.id) \
             WHERE c.category = $1 AND c.month < $2 AND c.is_settled = 1 AND c.dropped_at_ms IS NULL AND c.sealed_seq >= r.seq \
             AND (c.month > $5 OR (c.month = $5 AND c.id > $6)) AND {} ORDER BY c.month, c.id LIMIT $4",
            is_free("$3")
        );
        let mut reader = self.reader().await?;
        Ok(on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(category.as_str()).bind(&cut).bind(now.0).bind(CHAINS_MAX).bind(&after.0).bind(&after.1).fetch_all(&mut *c).await)?)
    }

    /// Removes rows of dropped chains, chain after chain, as many batches as one go has.
    async fn delete_dropped(&self, expiry: &mut Expiry) -> Result<(), Error> {
        let mut batches = 0;
        while let Some(chain) = self.dropped_chain().await? {
            loop {
                if batches == BATCHES_MAX {
                    expiry.is_more = true;
                    return Ok(());
                }
                batches += 1;
                let gone = self.delete_batch(chain.clone()).await?;
                expiry.rows += gone;
                if gone == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    /// A dropped chain that still has rows, and that no hold ordered since keeps.
    async fn dropped_chain(&self) -> Result<Option<Vec<u8>>, Error> {
        let sql = format!(
            "SELECT c.id FROM audit_chains c WHERE c.dropped_at_ms IS NOT NULL AND EXISTS (SELECT 1 FROM audit_rows r WHERE r.chain_id = c.id) AND {} LIMIT 1",
            is_free("$1")
        );
        let mut reader = self.reader().await?;
        let chain: Option<(Vec<u8>,)> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(self.now().0)
            .fetch_optional(&mut *c).await)?;
        Ok(chain.map(|(chain,)| chain))
    }

    /// Removes the first rows of a dropped chain. How many: none when it has none left or is held by now.
    async fn delete_batch(&self, chain: Vec<u8>) -> Result<u64, Error> {
        self.write(Touches::nothing(), move |tx| {
            let chain = chain.clone();
            Box::pin(async move {
                let now = tx.now.0;
                let sql = format!(
                    "DELETE FROM audit_rows WHERE chain_id = $1 AND seq < (SELECT MIN(seq) + $2 FROM audit_rows WHERE chain_id = $1) \
                     AND EXISTS (SELECT 1 FROM audit_chains c WHERE c.id = $1 AND c.dropped_at_ms IS NOT NULL AND {})",
                    is_free("$3")
                );
                Ok(on!(tx.conn(), c => sqlx::query(sqlx::AssertSqlSafe(sql))
                    .bind(&chain).bind(DELETE_BATCH).bind(now).execute(&mut *c).await.map(|r| r.rows_affected()))?)
            })
        })
        .await
    }
}

impl WriteTx {
    /// Marks a chain dropped, with the signed statement and an audit row. False when another node did, or a hold was ordered meanwhile.
    async fn drop_chain(&mut self, expired: &Expired) -> Result<bool, Error> {
        let statement = DropStatement {
            chain: expired.chain()?,
            category: &expired.category,
            month: &expired.month,
            started_at_ms: expired.started_at_ms,
            last_seq: expired.seq,
            last_hash: fixed(&expired.hash).ok_or(MALFORMED)?,
            at_ms: self.now.0,
        };
        let signature = self.keyring.signer().sign(statement.text().as_bytes());
        let sql = format!(
            "UPDATE audit_chains AS c SET dropped_at_ms = $2, dropped_seq = $3, dropped_hash = $4, dropped_signature = $5 \
             WHERE c.id = $1 AND c.dropped_at_ms IS NULL AND {}",
            is_free("$2")
        );
        let marked = on!(self.conn(), c => sqlx::query(sqlx::AssertSqlSafe(sql))
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
