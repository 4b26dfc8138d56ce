//! Legal holds: rows of a category, of a mailbox, or all, that stay however old they are.

use super::{AuditEntry, Category};
use crate::dialect::on;
use crate::writer::{Touches, WriteTx};
use crate::{Error, Store};
use mail_types::{ActorId, MailboxId, Timestamp};

/// Holds shown; an operator has a handful.
const HOLDS_MAX: i64 = 10_000;

/// What is to be held, and why.
#[derive(Clone, Debug)]
pub struct NewHold {
    /// Rows of this category; without one, of all.
    pub category: Option<Category>,
    /// Chains that have a row about this mailbox; without one, all.
    pub mailbox: Option<MailboxId>,
    /// Why.
    pub reason: String,
    /// Until when; without one, until it is released.
    pub until: Option<Timestamp>,
}

/// A legal hold.
#[derive(Clone, Debug)]
pub struct HoldRow {
    /// Row.
    pub id: i64,
    /// Rows of this category; without one, of all.
    pub category: Option<Category>,
    /// Chains that have a row about this mailbox; without one, all.
    pub mailbox: Option<MailboxId>,
    /// Why.
    pub reason: String,
    /// Who ordered it.
    pub actor: Option<ActorId>,
    /// When.
    pub created_at: Timestamp,
    /// Until when; without one, until it is released.
    pub until: Option<Timestamp>,
    /// When it was released.
    pub ended_at: Option<Timestamp>,
    /// Moves with every change.
    pub revision: i64,
}

impl HoldRow {
    /// Whether it is in force.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && self.until.is_none_or(|until| until.0 > now.0)
    }
}

#[derive(sqlx::FromRow)]
struct HoldColumns {
    id: i64,
    category: Option<String>,
    mailbox_id: Option<i64>,
    reason: String,
    actor_id: Option<i64>,
    created_at_ms: i64,
    until_ms: Option<i64>,
    ended_at_ms: Option<i64>,
    revision: i64,
}

const HOLD: &str = "SELECT id, category, mailbox_id, reason, actor_id, created_at_ms, until_ms, ended_at_ms, revision FROM audit_holds";

impl HoldColumns {
    fn read(self) -> Result<HoldRow, Error> {
        let category = self.category.map(|word| word.parse()).transpose();
        Ok(HoldRow {
            id: self.id,
            category: category.map_err(|_| Error::Inconsistent("a hold is of an unknown category"))?,
            mailbox: self.mailbox_id.map(MailboxId),
            reason: self.reason,
            actor: self.actor_id.map(ActorId),
            created_at: Timestamp(self.created_at_ms),
            until: self.until_ms.map(Timestamp),
            ended_at: self.ended_at_ms.map(Timestamp),
            revision: self.revision,
        })
    }
}

impl Store {
    /// Orders a hold. Whether the mailbox exists is asked before.
    pub async fn add_hold(&self, hold: NewHold) -> Result<HoldRow, Error> {
        let id = self
            .write(Touches::nothing(), move |tx| {
                let hold = hold.clone();
                Box::pin(async move { tx.add_hold(&hold).await })
            })
            .await?;
        self.hold(id).await?.ok_or(Error::Inconsistent("a hold is gone"))
    }

    /// Releases a hold, if it is still as it was read. `Ok(false)` when it is not, or was released before.
    pub async fn end_hold(&self, id: i64, expected: Option<i64>) -> Result<bool, Error> {
        self.write(Touches::nothing(), move |tx| {
            Box::pin(async move {
                let now = tx.now.0;
                let ended = on!(tx.conn(), c => sqlx::query(
                    "UPDATE audit_holds SET ended_at_ms = $2, revision = revision + 1 WHERE id = $1 AND ended_at_ms IS NULL AND revision = COALESCE($3, revision)")
                    .bind(id).bind(now).bind(expected).execute(&mut *c).await.map(|r| r.rows_affected()))?;
                if ended > 0 {
                    tx.audit(&AuditEntry::new(Category::Admin, "audit.released").on("hold", id)).await?;
                }
                Ok(ended > 0)
            })
        })
        .await
    }

    /// One hold.
    pub async fn hold(&self, id: i64) -> Result<Option<HoldRow>, Error> {
        let mut reader = self.reader().await?;
        let sql = format!("{HOLD} WHERE id = $1");
        let row: Option<HoldColumns> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&mut *c).await)?;
        row.map(HoldColumns::read).transpose()
    }

    /// Holds by id after `after`, those that ended too, at most `limit`.
    pub async fn holds(&self, after: i64, limit: u32) -> Result<Vec<HoldRow>, Error> {
        let mut reader = self.reader().await?;
        let sql = format!("{HOLD} WHERE id > $1 ORDER BY id LIMIT $2");
        let rows: Vec<HoldColumns> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(after).bind(i64::from(limit).min(HOLDS_MAX))
            .fetch_all(&mut *c).await)?;
        rows.into_iter().map(HoldColumns::read).collect()
    }
}

impl WriteTx {
    async fn add_hold(&mut self, hold: &NewHold) -> Result<i64, Error> {
        let now = self.now.0;
        let actor = self.act.as_deref().and_then(|act| act.actor);
        let (id,): (i64,) = on!(self.conn(), c => sqlx::query_as(
            "INSERT INTO audit_holds (category, mailbox_id, reason, actor_id, created_at_ms, until_ms) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id")
            .bind(hold.category.map(Category::as_str)).bind(hold.mailbox.map(|id| id.0)).bind(&hold.reason).bind(actor.map(|id| id.0)).bind(now)
            .bind(hold.until.map(|at| at.0)).fetch_one(&mut *c).await)?;
        let category = hold.category.map_or("all", Category::as_str);
        let until = hold.until.map_or_else(|| "none".to_owned(), |at| at.0.to_string());
        let entry = AuditEntry {
            mailbox: hold.mailbox,
            detail: format!("category={category} until_ms={until}"),
            ..AuditEntry::new(Category::Admin, "audit.held")
        };
        self.audit(&entry.on("hold", id).why(hold.reason.as_str())).await?;
        Ok(id)
    }
}
