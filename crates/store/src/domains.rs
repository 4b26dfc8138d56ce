//! The domains that this operator runs.

use crate::dialect::on;
use crate::directory::{DirectoryError, Refusable, admin};
use crate::writer::Touches;
use crate::{Error, Store};
use mail_types::{Domain, DomainId, Timestamp};

/// A domain as an administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainRow {
    /// Row.
    pub id: DomainId,
    /// Its name.
    pub name: String,
    /// Octets that the quotas of its mailboxes may come to together; none for no bound.
    pub allocation_max: Option<u64>,
    /// Moves with every change.
    pub revision: i64,
    /// When it was added.
    pub created_at: Timestamp,
}

type Tuple = (i64, String, Option<i64>, i64, i64);

fn row((id, name, allocation_max, revision, created_at): Tuple) -> DomainRow {
    DomainRow {
        id: DomainId(id),
        name,
        allocation_max: allocation_max.map(i64::unsigned_abs),
        revision,
        created_at: Timestamp(created_at),
    }
}

impl Store {
    /// Whether a domain is one of ours.
    pub async fn is_local_domain(&self, domain: &Domain) -> Result<bool, Error> {
        let mut reader = self.reader().await?;
        let row: Option<(i64,)> = on!(reader.conn(), c => sqlx::query_as("SELECT id FROM domains WHERE name = $1")
            .bind(domain.as_str()).fetch_optional(&mut *c).await)?;
        Ok(row.is_some())
    }

    /// Adds a domain of ours; fine twice. True when it is new.
    pub async fn add_domain(&self, domain: Domain) -> Result<bool, Error> {
        self.write(Touches::nothing(), move |tx| {
            let domain = domain.clone();
            Box::pin(async move {
                let now = tx.now.0;
                let added: Option<(i64,)> = on!(tx.conn(), c => sqlx::query_as("INSERT INTO domains (name, created_at_ms) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING id")
                    .bind(domain.as_str()).bind(now).fetch_optional(&mut *c).await)?;
                if let Some((id,)) = added {
                    tx.audit(&admin("domain.added", None, format!("domain={domain}")).on("domain", id)).await?;
                }
                Ok(added.is_some())
            })
        })
        .await
    }

    /// Names of our domains.
    pub async fn domains(&self) -> Result<Vec<String>, Error> {
        let mut reader = self.reader().await?;
        let rows: Vec<(String,)> = on!(reader.conn(), c => sqlx::query_as("SELECT name FROM domains ORDER BY name").fetch_all(&mut *c).await)?;
        Ok(rows.into_iter().map(|(name,)| name).collect())
    }

    /// Domains by name, after `after`, at most `limit`.
    pub async fn domain_rows(&self, after: &str, limit: u32) -> Result<Vec<DomainRow>, Error> {
        let mut reader = self.reader().await?;
        let rows: Vec<Tuple> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT id, name, allocation_max_bytes, revision, created_at_ms FROM domains WHERE name > $1 ORDER BY name LIMIT $2")
            .bind(after).bind(i64::from(limit)).fetch_all(&mut *c).await)?;
        Ok(rows.into_iter().map(row).collect())
    }

    /// The same among some domains.
    pub async fn domain_rows_of(
        &self,
        domains: &[DomainId],
        after: &str,
        limit: u32,
    ) -> Result<Vec<DomainRow>, Error> {
        let rows = self.domain_rows(after, u32::MAX).await?;
        let theirs = rows.into_iter().filter(|row| domains.contains(&row.id));
        Ok(theirs.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect())
    }

    /// The domain of that name.
    pub async fn domain(&self, name: &Domain) -> Result<Option<DomainRow>, Error> {
        let mut reader = self.reader().await?;
        let found: Option<Tuple> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT id, name, allocation_max_bytes, revision, created_at_ms FROM domains WHERE name = $1")
            .bind(name.as_str()).fetch_optional(&mut *c).await)?;
        Ok(found.map(row))
    }

    /// Sets what the quotas of a domain's mailboxes may come to together. `expected` is the revision that it must have.
    pub async fn set_domain_allocation(
        &self,
        domain: DomainId,
        expected: Option<i64>,
        allocation_max: Option<u64>,
    ) -> Refusable<()> {
        let octets = allocation_max.map(|octets| i64::try_from(octets).unwrap_or(i64::MAX));
        self.write(Touches::nothing(), move |tx| {
            Box::pin(async move {
                let changed = on!(tx.conn(), c => sqlx::query(
                    "UPDATE domains SET allocation_max_bytes = $2, revision = revision + 1 WHERE id = $1 AND revision = COALESCE($3, revision)")
                    .bind(domain.0).bind(octets).bind(expected).execute(&mut *c).await.map(|r| r.rows_affected()))?;
                if changed == 0 {
                    return Ok(Err(DirectoryError::Changed));
                }
                let octets = octets.map_or_else(|| "none".to_owned(), |octets| octets.to_string());
                tx.audit(&admin("domain.changed", None, format!("allocation_max={octets}")).on("domain", domain)).await?;
                Ok(Ok(()))
            })
        })
        .await
    }
}
