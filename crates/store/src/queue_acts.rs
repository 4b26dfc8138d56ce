//! What administrators see of the queue and do with it: a page at a time, one entry, or all that a filter finds.
//!
//! An entry that somebody holds under a lease is left to them. What a drop tells its sender is made elsewhere.

use crate::dialect::on;
use crate::queue::{Claimed, QUEUE_COLUMNS, QueueColumns, QueueRow, QueueState, queue_row};
use crate::queue_held::HeldFor;
use crate::writer::{Touches, WriteTx};
use crate::{AuditEntry, Category, Error, Store};
use mail_types::{Domain, MailboxId, QueueId};

/// Which entries are meant. Without anything, those that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueFilter {
    /// Finished ones too.
    pub with_finished: bool,
    /// In this state.
    pub state: Option<QueueState>,
    /// To this domain.
    pub domain: Option<Domain>,
    /// From this mailbox of ours.
    pub sender: Option<MailboxId>,
    /// Held for this.
    pub held_for: Option<HeldFor>,
}

/// In which order entries are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueOrder {
    /// As they were made.
    #[default]
    CreatedAt,
    /// As they are due.
    NextAttemptAt,
}

/// What an administrator does with entries that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueAct {
    /// Try now. Of many, those that are held stay so.
    Retry,
    /// Do not try until it is released.
    Hold,
    /// Try again what is held.
    Release,
}

impl QueueAct {
    const fn action(self) -> &'static str {
        match self {
            Self::Retry => "queue.retried",
            Self::Hold => "queue.held",
            Self::Release => "queue.released",
        }
    }

    const fn change(self) -> &'static str {
        match self {
            Self::Retry | Self::Release => {
                "state = 'deferred', held_for = NULL, next_attempt_at_ms = $1, lease_token = NULL, lease_until_ms = NULL"
            }
            Self::Hold => {
                "state = 'held', held_for = 'administrator', lease_token = NULL, lease_until_ms = NULL"
            }
        }
    }

    /// The states that it concerns: of one entry, of many.
    const fn states(self, is_one: bool) -> &'static str {
        match (self, is_one) {
            (Self::Retry, true) => "('queued', 'deferred', 'held')",
            (Self::Retry | Self::Hold, _) => "('queued', 'deferred')",
            (Self::Release, _) => "('held')",
        }
    }
}

/// Why nothing was done with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueRefusal {
    /// No such entry.
    #[error("there is no such queue entry")]
    Unknown,
    /// It is being tried now.
    #[error("an attempt is under way")]
    UnderWay,
    /// It is in a state that does not allow it.
    #[error("the entry is {}", .0.as_str())]
    State(QueueState),
    /// It cannot be read, and so nobody can be told of it.
    #[error("the entry cannot be read")]
    Unreadable,
}

type Refusable<T> = Result<Result<T, QueueRefusal>, Error>;

const FREE: &str = "(lease_until_ms IS NULL OR lease_until_ms <= $1)";
const FILTER: &str = "($2 IS NULL OR state = $2) AND ($3 IS NULL OR recipient_domain = $3) AND ($4 IS NULL OR sender_mailbox_id = $4) AND ($5 IS NULL OR held_for = $5)";

impl Store {
    /// Entries in an order, after one (the value that they are ordered by, and its id), at most `limit`.
    pub async fn queue_page(
        &self,
        filter: &QueueFilter,
        order: QueueOrder,
        after: (i64, QueueId),
        limit: u32,
    ) -> Result<Vec<QueueRow>, Error> {
        let waiting = if filter.with_finished || filter.state.is_some() {
            ""
        } else {
            " AND state IN ('queued', 'deferred', 'held')"
        };
        // Rows are made in the order of their ids.
        let order = match order {
            QueueOrder::CreatedAt => "$1 = $1 AND id > $6 ORDER BY id",
            QueueOrder::NextAttemptAt => {
                "(next_attempt_at_ms > $1 OR (next_attempt_at_ms = $1 AND id > $6)) ORDER BY next_attempt_at_ms, id"
            }
        };
        let sql = format!("{QUEUE_COLUMNS} WHERE {FILTER}{waiting} AND {order} LIMIT $7");
        let words = Words::of(filter);
        let mut reader = self.reader().await?;
        let rows: Vec<QueueColumns> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(after.0).bind(words.state).bind(words.domain).bind(words.sender).bind(words.held_for)
            .bind(after.1.0).bind(i64::from(limit)).fetch_all(&mut *c).await)?;
        rows.into_iter().map(queue_row).collect()
    }

    /// Does something with one entry.
    pub async fn act_on_entry(&self, id: QueueId, act: QueueAct) -> Refusable<()> {
        self.write(Touches::nothing(), move |tx| Box::pin(async move { tx.act_on_entry(id, act).await }))
            .await
    }

    /// Does something with every entry that the filter finds and that nobody is at. How many there were.
    pub async fn act_on_queue(&self, filter: &QueueFilter, act: QueueAct) -> Result<u64, Error> {
        let filter = filter.clone();
        self.write(Touches::nothing(), move |tx| {
            let filter = filter.clone();
            Box::pin(async move { tx.act_on_queue(&filter, act).await })
        })
        .await
    }

    /// Takes out an entry that waits, whether or not it can be read; its sender hears nothing.
    pub async fn drop_entry(&self, id: QueueId) -> Refusable<()> {
        self.write(Touches::nothing(), move |tx| Box::pin(async move { tx.drop_entry(id).await })).await
    }

    /// Claims one entry that waits or is held, for `lease_ms`, so that it can be [concluded](Store::conclude) otherwise than by an attempt.
    pub async fn claim_entry(&self, id: QueueId, lease_ms: i64) -> Refusable<Claimed> {
        let node = self.node();
        self.write(Touches::nothing(), move |tx| {
            Box::pin(async move {
                if let Some(refusal) = tx.queue_refusal(id, "('queued', 'deferred', 'held')").await? {
                    return Ok(Err(refusal));
                }
                let (lease, now) = (node.lease(), tx.now.0);
                match tx.claimed(id.0, lease).await {
                    Ok(claimed) => {
                        on!(tx.conn(), c => sqlx::query("UPDATE queue_entries SET lease_token = $2, lease_until_ms = $3 WHERE id = $1")
                            .bind(id.0).bind(lease.as_slice()).bind(now + lease_ms).execute(&mut *c).await.map(|_| ()))?;
                        Ok(Ok(claimed))
                    }
                    Err(Error::Inconsistent(_)) => Ok(Err(QueueRefusal::Unreadable)),
                    Err(error) => Err(error),
                }
            })
        })
        .await
    }
}

impl WriteTx {
    async fn act_on_entry(&mut self, id: QueueId, act: QueueAct) -> Refusable<()> {
        if let Some(refusal) = self.queue_refusal(id, act.states(true)).await? {
            return Ok(Err(refusal));
        }
        let now = self.now.0;
        let sql = format!("UPDATE queue_entries SET {} WHERE id = $2 AND {FREE}", act.change());
        on!(self.conn(), c => sqlx::query(sqlx::AssertSqlSafe(sql)).bind(now).bind(id.0).execute(&mut *c).await.map(|_| ()))?;
        self.audit_queue(act.action(), id).await?;
        self.queue_changed();
        Ok(Ok(()))
    }

    async fn act_on_queue(&mut self, filter: &QueueFilter, act: QueueAct) -> Result<u64, Error> {
        let now = self.now.0;
        let sql = format!(
            "UPDATE queue_entries SET {} WHERE {FREE} AND {FILTER} AND state IN {}",
            act.change(),
            act.states(false)
        );
        let words = Words::of(filter);
        let changed = on!(self.conn(), c => sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(now).bind(words.state).bind(&words.domain).bind(words.sender).bind(words.held_for)
            .execute(&mut *c).await.map(|r| r.rows_affected()))?;
        let mut detail = format!("entries={changed}");
        for (name, value) in [("state", words.state), ("domain", words.domain.as_deref())] {
            if let Some(value) = value {
                detail.push_str(&format!(" {name}={value}"));
            }
        }
        self.audit(&AuditEntry {
            mailbox: filter.sender,
            detail,
            ..AuditEntry::new(Category::Admin, act.action())
        })
        .await?;
        self.queue_changed();
        Ok(changed)
    }

    async fn drop_entry(&mut self, id: QueueId) -> Refusable<()> {
        if let Some(refusal) = self.queue_refusal(id, "('queued', 'deferred', 'held')").await? {
            return Ok(Err(refusal));
        }
        let now = self.now.0;
        on!(self.conn(), c => sqlx::query("INSERT INTO released_bodies (body_id, released_at_ms) SELECT body_id, $2 FROM queue_entries \
             WHERE id = $1 AND body_id IS NOT NULL ON CONFLICT DO NOTHING").bind(id.0).bind(now).execute(&mut *c).await.map(|_| ()))?;
        on!(self.conn(), c => sqlx::query("UPDATE queue_entries SET state = 'dropped', held_for = NULL, lease_token = NULL, lease_until_ms = NULL, \
             body_id = NULL, wrapped_key = NULL WHERE id = $1").bind(id.0).execute(&mut *c).await.map(|_| ()))?;
        self.audit_queue("queue.dropped", id).await?;
        Ok(Ok(()))
    }

    /// Why nothing can be done with an entry, unless it is in one of `states` and nobody is at it.
    async fn queue_refusal(
        &mut self,
        id: QueueId,
        states: &'static str,
    ) -> Result<Option<QueueRefusal>, Error> {
        let now = self.now.0;
        let sql = format!(
            "SELECT state, CASE WHEN {FREE} THEN CAST(1 AS BIGINT) ELSE 0 END, CASE WHEN state IN {states} THEN CAST(1 AS BIGINT) ELSE 0 END \
             FROM queue_entries WHERE id = $2"
        );
        let row: Option<(String, i64, i64)> = on!(self.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(now).bind(id.0).fetch_optional(&mut *c).await)?;
        let Some((state, is_free, is_fit)) = row else { return Ok(Some(QueueRefusal::Unknown)) };
        let state = state.parse().map_err(|_| Error::Inconsistent("a queue entry has an unknown state"))?;
        Ok(match (is_fit, is_free) {
            (0, _) => Some(QueueRefusal::State(state)),
            (_, 0) => Some(QueueRefusal::UnderWay),
            _ => None,
        })
    }

    /// One row of what an administrator did with an entry, with the message that it is about.
    async fn audit_queue(&mut self, action: &'static str, id: QueueId) -> Result<(), Error> {
        let (unit, sender): (Vec<u8>, Option<i64>) = on!(self.conn(), c => sqlx::query_as("SELECT unit_id, sender_mailbox_id FROM queue_entries WHERE id = $1")
            .bind(id.0).fetch_one(&mut *c).await)?;
        self.audit(&AuditEntry {
            mailbox: sender.map(MailboxId),
            unit: unit.try_into().ok().map(mail_types::UnitId),
            detail: format!("entry={id}"),
            ..AuditEntry::new(Category::Admin, action)
        })
        .await
    }
}

/// A filter as it is bound.
struct Words {
    state: Option<&'static str>,
    domain: Option<String>,
    sender: Option<i64>,
    held_for: Option<&'static str>,
}

impl Words {
    fn of(filter: &QueueFilter) -> Self {
        Self {
            state: filter.state.map(QueueState::as_str),
            domain: filter.domain.as_ref().map(ToString::to_string),
            sender: filter.sender.map(|id| id.0),
            held_for: filter.held_for.map(HeldFor::as_str),
        }
    }
}
