//! How much mailboxes may hold: a quota of their own, or that of their domain and kind, of their domain, of their kind, or of the operator.
//!
//! What a mailbox may hold now stands in its row, so that a delivery looks nowhere else; it is written again when a default changes. What the
//! mailboxes of a domain may hold together is bounded where the domain has an allocation: it is looked at when quotas are given, not when mail
//! comes.

use crate::dialect::on;
use crate::directory::{DirectoryError, Refusable, admin, word};
use crate::writer::{Touches, WriteTx};
use crate::{Error, Store};
use mail_types::{DomainId, MailboxId, MailboxKind};

/// A default for the mailboxes that have no quota of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaRow {
    /// Row.
    pub id: i64,
    /// Of the mailboxes of this domain, with its name; none for every domain.
    pub domain: Option<(DomainId, String)>,
    /// Of the mailboxes of this kind; none for every kind.
    pub kind: Option<MailboxKind>,
    /// Octets.
    pub quota_bytes: u64,
    /// Moves with every change.
    pub revision: i64,
}

/// Which mailboxes a default is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaScope {
    /// Those of this domain; none for every domain.
    pub domain: Option<DomainId>,
    /// Those of this kind; none for every kind.
    pub kind: Option<MailboxKind>,
}

type Tuple = (i64, Option<i64>, Option<String>, Option<String>, i64, i64);

const SELECT: &str = "SELECT q.id, q.domain_id, d.name, q.kind, q.quota_bytes, q.revision FROM quota_defaults q LEFT JOIN domains d ON d.id = q.domain_id";

/// The default of a mailbox `m`: the nearest to it.
macro_rules! default_of {
    ($defaults:literal) => {
        concat!(
            "(SELECT q.quota_bytes FROM ",
            $defaults,
            " q WHERE (q.domain_id = m.domain_id OR q.domain_id IS NULL) AND (q.kind = m.kind OR q.kind IS NULL) \
             ORDER BY CASE WHEN q.domain_id IS NULL THEN 1 ELSE 0 END, CASE WHEN q.kind IS NULL THEN 1 ELSE 0 END LIMIT 1)"
        )
    };
}

/// Domains whose quotas would come to more than they may, as far as they rise: what each may come to, and what they would. Without the default
/// `$2`, and with one of the domain `$3` and the kind `$4` of `$5` octets, unless that is none.
const OVER: &str = concat!(
    "WITH defaults AS (SELECT domain_id, kind, quota_bytes FROM quota_defaults WHERE id <> $2 \
     UNION ALL SELECT CAST($3 AS BIGINT), CAST($4 AS TEXT), CAST($5 AS BIGINT) WHERE CAST($5 AS BIGINT) IS NOT NULL), \
     asked AS (SELECT d.id, d.allocation_max_bytes, m.quota_bytes AS was, CASE WHEN m.quota_is_own = 1 THEN m.quota_bytes ELSE COALESCE(",
    default_of!("defaults"),
    ", $1) END AS becomes FROM domains d JOIN mailboxes m ON m.domain_id = d.id WHERE d.allocation_max_bytes IS NOT NULL AND m.status <> 'deleted') \
     SELECT allocation_max_bytes, CAST(SUM(becomes) AS BIGINT) FROM asked GROUP BY id, allocation_max_bytes \
     HAVING SUM(becomes) > allocation_max_bytes AND SUM(becomes) > SUM(was) ORDER BY id LIMIT 1"
);

const SETTLE: &str = concat!(
    "UPDATE mailboxes AS m SET quota_bytes = COALESCE(",
    default_of!("quota_defaults"),
    ", $1) WHERE m.quota_is_own = 0 AND m.status <> 'deleted' AND m.quota_bytes <> COALESCE(",
    default_of!("quota_defaults"),
    ", $1)"
);

fn row((id, domain, name, kind, quota, revision): Tuple) -> Result<QuotaRow, Error> {
    Ok(QuotaRow {
        id,
        domain: domain.map(DomainId).zip(name),
        kind: kind.map(|kind| word(&kind)).transpose()?,
        quota_bytes: quota.unsigned_abs(),
        revision,
    })
}

fn octets(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

impl Store {
    /// Defaults by row, after `after`, at most `limit`.
    pub async fn quotas(&self, after: i64, limit: u32) -> Result<Vec<QuotaRow>, Error> {
        let mut reader = self.quick_reader().await?;
        let sql = format!("{SELECT} WHERE q.id > $1 ORDER BY q.id LIMIT $2");
        let rows: Vec<Tuple> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(after).bind(i64::from(limit)).fetch_all(&mut *c).await)?;
        rows.into_iter().map(row).collect()
    }

    /// A default.
    pub async fn quota(&self, id: i64) -> Result<Option<QuotaRow>, Error> {
        let mut reader = self.quick_reader().await?;
        let sql = format!("{SELECT} WHERE q.id = $1");
        let found: Option<Tuple> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&mut *c).await)?;
        found.map(row).transpose()
    }

    /// Gives mailboxes without a quota of their own another one; `fallback` is the operator's. The number of the new default, or of none when
    /// there is one already.
    pub async fn create_quota(
        &self,
        scope: QuotaScope,
        quota_bytes: u64,
        fallback: u64,
    ) -> Refusable<Option<i64>> {
        self.write(Touches::nothing(), move |tx| Box::pin(tx.create_quota(scope, quota_bytes, fallback)))
            .await
    }

    /// Changes a default (to other octets), or ends it (without any). `expected` is the revision that it must have.
    pub async fn change_quota(
        &self,
        id: i64,
        expected: Option<i64>,
        quota_bytes: Option<u64>,
        fallback: u64,
    ) -> Refusable<()> {
        self.write(Touches::nothing(), move |tx| {
            Box::pin(async move { tx.change_quota(id, expected, quota_bytes, fallback).await })
        })
        .await
    }
}

impl WriteTx {
    async fn create_quota(
        &mut self,
        scope: QuotaScope,
        quota_bytes: u64,
        fallback: u64,
    ) -> Refusable<Option<i64>> {
        self.lock_allocations().await?;
        if self.is_given(scope).await? {
            return Ok(Ok(None));
        }
        if let Some(refusal) = self.over_allocation(0, scope, Some(quota_bytes), fallback).await? {
            return Ok(Err(refusal));
        }
        let added: Option<(i64,)> = on!(self.conn(), c => sqlx::query_as(
            "INSERT INTO quota_defaults (domain_id, kind, quota_bytes) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING id")
            .bind(scope.domain.map(|id| id.0)).bind(scope.kind.map(MailboxKind::as_str)).bind(octets(quota_bytes)).fetch_optional(&mut *c).await)?;
        let Some((id,)) = added else { return Ok(Ok(None)) };
        let settled = self.settle_quotas(fallback).await?;
        let domain = scope.domain.map_or_else(|| "any".to_owned(), |id| id.to_string());
        let kind = scope.kind.map_or("any", MailboxKind::as_str);
        let detail = format!("domain_id={domain} kind={kind} bytes={quota_bytes} mailboxes={settled}");
        self.audit(&admin("quota.created", None, detail).on("quota", id)).await?;
        Ok(Ok(Some(id)))
    }

    async fn change_quota(
        &mut self,
        id: i64,
        expected: Option<i64>,
        quota_bytes: Option<u64>,
        fallback: u64,
    ) -> Refusable<()> {
        self.lock_allocations().await?;
        let sql = format!("{SELECT} WHERE q.id = $1");
        let found: Option<Tuple> = on!(self.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&mut *c).await)?;
        let before = match found.map(row).transpose()? {
            Some(before) if expected.is_none_or(|expected| expected == before.revision) => before,
            _ => return Ok(Err(DirectoryError::Changed)),
        };
        let scope = QuotaScope { domain: before.domain.as_ref().map(|(id, _)| *id), kind: before.kind };
        if let Some(refusal) = self.over_allocation(id, scope, quota_bytes, fallback).await? {
            return Ok(Err(refusal));
        }
        let (sql, quota) = match quota_bytes {
            Some(quota) => {
                let sql = "UPDATE quota_defaults SET quota_bytes = $3, revision = revision + 1 WHERE id = $1 AND revision = $2";
                (sql, octets(quota))
            }
            None => ("DELETE FROM quota_defaults WHERE id = $1 AND revision = $2 AND $3 = 0", 0),
        };
        let changed = on!(self.conn(), c => sqlx::query(sql).bind(id).bind(before.revision).bind(quota)
            .execute(&mut *c).await.map(|r| r.rows_affected()))?;
        if changed == 0 {
            return Ok(Err(DirectoryError::Changed));
        }
        let settled = self.settle_quotas(fallback).await?;
        let action = if quota_bytes.is_some() { "quota.changed" } else { "quota.ended" };
        let entry = admin(action, None, format!("mailboxes={settled}")).on("quota", id);
        self.audit(&entry.before(octets(before.quota_bytes)).after(quota_bytes)).await?;
        Ok(Ok(()))
    }

    /// Whether there is a default for just these mailboxes.
    async fn is_given(&mut self, scope: QuotaScope) -> Result<bool, Error> {
        let given: Option<(i64,)> = on!(self.conn(), c => sqlx::query_as(
            "SELECT id FROM quota_defaults WHERE COALESCE(domain_id, 0) = $1 AND COALESCE(kind, '') = $2")
            .bind(scope.domain.map_or(0, |id| id.0)).bind(scope.kind.map_or("", MailboxKind::as_str)).fetch_optional(&mut *c).await)?;
        Ok(given.is_some())
    }

    /// Quotas are given one after another: two that fit on their own do not go past an allocation together.
    async fn lock_allocations(&mut self) -> Result<(), Error> {
        on!(self.conn(), c => sqlx::query("UPDATE domains SET allocation_max_bytes = allocation_max_bytes WHERE allocation_max_bytes IS NOT NULL")
            .execute(&mut *c).await.map(|_| ()))?;
        Ok(())
    }

    /// Why the default `id` cannot be of that many octets, or end: asked before anything is written.
    async fn over_allocation(
        &mut self,
        id: i64,
        scope: QuotaScope,
        quota_bytes: Option<u64>,
        fallback: u64,
    ) -> Result<Option<DirectoryError>, Error> {
        let over: Option<(i64, i64)> = on!(self.conn(), c => sqlx::query_as(OVER)
            .bind(octets(fallback)).bind(id).bind(scope.domain.map(|id| id.0)).bind(scope.kind.map(MailboxKind::as_str)).bind(quota_bytes.map(octets))
            .fetch_optional(&mut *c).await)?;
        Ok(over.map(|(max, asked)| DirectoryError::Allocation {
            max: max.unsigned_abs(),
            asked: asked.unsigned_abs(),
        }))
    }

    /// Writes what each mailbox without a quota of its own may hold now. How many changed.
    async fn settle_quotas(&mut self, fallback: u64) -> Result<u64, Error> {
        Ok(
            on!(self.conn(), c => sqlx::query(SETTLE).bind(octets(fallback)).execute(&mut *c).await.map(|r| r.rows_affected()))?,
        )
    }

    /// What a mailbox may hold that is made or changed: its own quota, or the default nearest to it, else `quota_bytes`. Refused when the domain
    /// would come to more than it may.
    pub(crate) async fn quota_for(
        &mut self,
        domain: DomainId,
        kind: MailboxKind,
        mailbox: Option<MailboxId>,
        (quota_bytes, is_own): (u64, bool),
    ) -> Refusable<u64> {
        let default: Option<(i64,)> = match is_own {
            true => None,
            false => on!(self.conn(), c => sqlx::query_as(
                "SELECT quota_bytes FROM quota_defaults WHERE (domain_id = $1 OR domain_id IS NULL) AND (kind = $2 OR kind IS NULL) \
                 ORDER BY CASE WHEN domain_id IS NULL THEN 1 ELSE 0 END, CASE WHEN kind IS NULL THEN 1 ELSE 0 END LIMIT 1")
                .bind(domain.0).bind(kind.as_str()).fetch_optional(&mut *c).await)?,
        };
        let quota = default.map_or(quota_bytes, |(bytes,)| bytes.unsigned_abs());
        // Locked, so that two quotas given at once are both looked at.
        let allocation: Option<(Option<i64>,)> = on!(self.conn(), c => sqlx::query_as(
            "UPDATE domains SET allocation_max_bytes = allocation_max_bytes WHERE id = $1 AND allocation_max_bytes IS NOT NULL RETURNING allocation_max_bytes")
            .bind(domain.0).fetch_optional(&mut *c).await)?;
        let Some((Some(max),)) = allocation else { return Ok(Ok(quota)) };
        let mailbox = mailbox.map_or(0, |id| id.0);
        let (others, own): (i64, i64) = on!(self.conn(), c => sqlx::query_as(
            "SELECT CAST(COALESCE(SUM(CASE WHEN id = $2 THEN 0 ELSE quota_bytes END), 0) AS BIGINT), \
             CAST(COALESCE(SUM(CASE WHEN id = $2 THEN quota_bytes ELSE 0 END), 0) AS BIGINT) FROM mailboxes WHERE domain_id = $1 AND status <> 'deleted'")
            .bind(domain.0).bind(mailbox).fetch_one(&mut *c).await)?;
        let asked = others.unsigned_abs().saturating_add(quota);
        if asked > max.unsigned_abs() && quota > own.unsigned_abs() {
            return Ok(Err(DirectoryError::Allocation { max: max.unsigned_abs(), asked }));
        }
        Ok(Ok(quota))
    }
}
