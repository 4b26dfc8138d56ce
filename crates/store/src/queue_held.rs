//! Mail that is held because its domain left the white list: held, counted and let go a domain at a time.
//!
//! Whether a domain has left is not known here. What an administrator or a fault holds is never touched.

use crate::dialect::on;
use crate::writer::{Touches, WriteTx};
use crate::{AuditEntry, Category, Error, Store};
use mail_types::{Domain, Timestamp, UnknownWord};

/// Why an entry is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldFor {
    /// The recipient's domain left the white list.
    Departure,
    /// It cannot be read.
    Fault,
    /// An administrator holds it.
    Administrator,
}

impl HeldFor {
    /// The word of the database and the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Departure => "departure",
            Self::Fault => "fault",
            Self::Administrator => "administrator",
        }
    }
}

impl std::str::FromStr for HeldFor {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        [Self::Departure, Self::Fault, Self::Administrator]
            .into_iter()
            .find(|held_for| held_for.as_str() == word)
            .ok_or_else(|| UnknownWord { word: word.to_owned(), expected: "departure, fault, administrator" })
    }
}

/// A domain whose mail is held because it left the white list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldDomain {
    /// The domain.
    pub domain: Domain,
    /// How many recipients wait.
    pub entries: u64,
    /// When the first of them is given up.
    pub expires_at: Timestamp,
}

/// Entries that wait, and that nobody tries at the moment.
const WAITING: &str = "state IN ('queued', 'deferred') AND (lease_until_ms IS NULL OR lease_until_ms <= $2) AND recipient_domain = $1";
const DEPARTED: &str = "state = 'held' AND held_for = 'departure'";

impl Store {
    /// Holds what waits for a domain that left the white list. What is under way is held by the attempt. How many there were.
    pub async fn hold_domain(&self, domain: &Domain, reply: &str) -> Result<u64, Error> {
        let (domain, reply, now) = (domain.clone(), reply.to_owned(), self.now());
        let mut reader = self.reader().await?;
        let sql = format!("SELECT id FROM queue_entries WHERE {WAITING} LIMIT 1");
        let waits: Option<(i64,)> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(domain.as_str()).bind(now.0).fetch_optional(&mut *c).await)?;
        drop(reader);
        if waits.is_none() {
            return Ok(0);
        }
        self.write(Touches::nothing(), move |tx| {
            let (domain, reply) = (domain.clone(), reply.clone());
            Box::pin(async move { tx.hold_domain(&domain, &reply).await })
        })
        .await
    }

    /// The domains whose mail is held because they left.
    pub async fn held_domains(&self) -> Result<Vec<HeldDomain>, Error> {
        let mut reader = self.reader().await?;
        let sql = format!(
            "SELECT recipient_domain, COUNT(*), MIN(expires_at_ms) FROM queue_entries WHERE {DEPARTED} GROUP BY recipient_domain ORDER BY recipient_domain"
        );
        let rows: Vec<(String, i64, i64)> =
            on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(&mut *c).await)?;
        let held = |(domain, entries, expires_at): (String, i64, i64)| {
            let domain =
                domain.parse().map_err(|_| Error::Inconsistent("a queue entry has a malformed domain"))?;
            Ok(HeldDomain { domain, entries: entries.unsigned_abs(), expires_at: Timestamp(expires_at) })
        };
        rows.into_iter().map(held).collect()
    }

    /// Makes what is held for a domain that left due now: it came back, or is given up. How many there were.
    pub async fn release_domain(&self, domain: &Domain) -> Result<u64, Error> {
        let domain = domain.clone();
        self.write(Touches::nothing(), move |tx| {
            let domain = domain.clone();
            Box::pin(async move {
                let now = tx.now.0;
                let sql = format!("UPDATE queue_entries SET state = 'deferred', held_for = NULL, next_attempt_at_ms = $2 WHERE {DEPARTED} AND recipient_domain = $1");
                let released = on!(tx.conn(), c => sqlx::query(sqlx::AssertSqlSafe(sql)).bind(domain.as_str()).bind(now).execute(&mut *c).await.map(|r| r.rows_affected()))?;
                if released > 0 {
                    tx.audit_hold("queue.released", &domain, released).await?;
                    tx.queue_changed();
                }
                Ok(released)
            })
        })
        .await
    }

    /// Makes what is held past its lifetime due now, so that its senders are told. How many there were.
    pub async fn release_expired(&self) -> Result<u64, Error> {
        let now = self.now();
        let held = self.held_domains().await?;
        if held.iter().all(|held| held.expires_at > now) {
            return Ok(0);
        }
        self.write(Touches::nothing(), move |tx| {
            Box::pin(async move {
                let sql = format!("UPDATE queue_entries SET state = 'deferred', held_for = NULL, next_attempt_at_ms = $1 WHERE {DEPARTED} AND expires_at_ms <= $1");
                let now = tx.now.0;
                let released = on!(tx.conn(), c => sqlx::query(sqlx::AssertSqlSafe(sql)).bind(now).execute(&mut *c).await.map(|r| r.rows_affected()))?;
                tx.queue_changed();
                Ok(released)
            })
        })
        .await
    }
}

impl WriteTx {
    async fn hold_domain(&mut self, domain: &Domain, reply: &str) -> Result<u64, Error> {
        let now = self.now.0;
        let sql = format!(
            "UPDATE queue_entries SET state = 'held', held_for = 'departure', last_reply = $3, lease_token = NULL, lease_until_ms = NULL WHERE {WAITING}"
        );
        let held = on!(self.conn(), c => sqlx::query(sqlx::AssertSqlSafe(sql)).bind(domain.as_str()).bind(now).bind(reply)
            .execute(&mut *c).await.map(|r| r.rows_affected()))?;
        if held > 0 {
            self.audit_hold("queue.held", domain, held).await?;
        }
        Ok(held)
    }

    async fn audit_hold(&mut self, action: &'static str, domain: &Domain, entries: u64) -> Result<(), Error> {
        self.audit(&AuditEntry {
            target: Some(format!("domain:{domain}")),
            detail: format!("domain={domain} entries={entries}"),
            ..AuditEntry::new(Category::Mail, action)
        })
        .await
    }
}
