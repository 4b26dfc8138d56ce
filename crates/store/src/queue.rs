//! The queue: one entry for each remote recipient. Entries are claimed under a lease with a fencing token; an attempt's outcome is
//! written only by the holder of the lease, in one transaction with the notification that it may cause.

use crate::accept::Acceptance;
use crate::dialect::{Conn, answered, on};
use crate::messages::body_id;
use crate::node::Node;
use crate::queue_held::HeldFor;
use crate::statistics::Counter;
use crate::writer::{Touches, WriteTx};
use crate::{AuditEntry, BodyReader, Category, Error, Store, Subject};
use mail_types::{Address, BodyId, MailboxId, QueueId, ReversePath, Timestamp, UnitId, UnknownWord};
use std::sync::Arc;

/// State of a queue entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueState {
    /// Waiting for its first attempt.
    Queued,
    /// Waiting for another attempt.
    Deferred,
    /// Waiting for something other than time: see [`HeldFor`].
    Held,
    /// Another operator took it.
    Relayed,
    /// Refused for good; the sender was told.
    Bounced,
    /// Given up after its time; the sender was told.
    Expired,
    /// An administrator took it out.
    Dropped,
}

impl QueueState {
    /// The word of the database and the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Deferred => "deferred",
            Self::Held => "held",
            Self::Relayed => "relayed",
            Self::Bounced => "bounced",
            Self::Expired => "expired",
            Self::Dropped => "dropped",
        }
    }
}

impl std::str::FromStr for QueueState {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        [Self::Queued, Self::Deferred, Self::Held, Self::Relayed, Self::Bounced, Self::Expired, Self::Dropped]
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or_else(|| UnknownWord {
                word: word.to_owned(),
                expected: "queued, deferred, held, relayed, bounced, expired, dropped",
            })
    }
}

/// An entry under our lease.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Row.
    pub id: QueueId,
    /// The accepted message that it belongs to.
    pub unit: UnitId,
    /// Its body.
    pub body: BodyId,
    /// Where the content for other operators begins in the body.
    pub content_offset: u64,
    /// Whether the content has octets over 127.
    pub eight_bit: bool,
    /// Who is told of failures.
    pub reverse_path: ReversePath,
    /// Our mailbox that sent it.
    pub sender_mailbox: Option<MailboxId>,
    /// The recipient.
    pub recipient: Address,
    /// RFC 3461 ORCPT as received.
    pub original_recipient: Option<String>,
    /// RFC 3461 NOTIFY as received.
    pub notify: Option<String>,
    /// RFC 3461 RET as received.
    pub ret: Option<String>,
    /// RFC 3461 ENVID as received.
    pub envid: Option<String>,
    /// Attempts made before this one.
    pub attempts: u32,
    /// When the message was accepted.
    pub created_at: Timestamp,
    /// When it is given up.
    pub expires_at: Timestamp,
    wrapped_key: Vec<u8>,
    lease: [u8; 16],
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// Another operator took responsibility.
    Relayed {
        /// Its last reply.
        reply: String,
    },
    /// Try again then.
    Deferred {
        /// What it said, or what went wrong.
        reply: String,
        /// When to try again.
        next_attempt_at: Timestamp,
    },
    /// Not tried: what it waits for is not a matter of time.
    Held {
        /// What its sender would hear.
        reply: String,
        /// What it waits for.
        held_for: HeldFor,
    },
    /// Refused for good.
    Bounced {
        /// What it said.
        reply: String,
    },
    /// Out of time.
    Expired {
        /// What was said last.
        reply: String,
    },
    /// Not tried: an administrator took it out.
    Dropped {
        /// What its sender hears, if anybody is told.
        reply: String,
    },
}

impl AttemptOutcome {
    const fn state(&self) -> QueueState {
        match self {
            Self::Relayed { .. } => QueueState::Relayed,
            Self::Deferred { .. } => QueueState::Deferred,
            Self::Held { .. } => QueueState::Held,
            Self::Bounced { .. } => QueueState::Bounced,
            Self::Expired { .. } => QueueState::Expired,
            Self::Dropped { .. } => QueueState::Dropped,
        }
    }

    const fn held_for(&self) -> Option<HeldFor> {
        match self {
            Self::Held { held_for, .. } => Some(*held_for),
            Self::Relayed { .. }
            | Self::Deferred { .. }
            | Self::Bounced { .. }
            | Self::Expired { .. }
            | Self::Dropped { .. } => None,
        }
    }

    fn reply(&self) -> &str {
        match self {
            Self::Relayed { reply }
            | Self::Deferred { reply, .. }
            | Self::Held { reply, .. }
            | Self::Bounced { reply }
            | Self::Expired { reply }
            | Self::Dropped { reply } => reply,
        }
    }
}

/// An entry as an administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRow {
    /// Row.
    pub id: QueueId,
    /// The accepted message that it belongs to.
    pub unit: UnitId,
    /// State.
    pub state: QueueState,
    /// Sender; empty for notifications.
    pub reverse_path: String,
    /// Recipient.
    pub recipient: String,
    /// Attempts made.
    pub attempts: u32,
    /// When the message was accepted.
    pub created_at: Timestamp,
    /// When the next attempt is due.
    pub next_attempt_at: Timestamp,
    /// When it is given up.
    pub expires_at: Timestamp,
    /// What was said last.
    pub last_reply: Option<String>,
    /// What it waits for, if it is held.
    pub held_for: Option<HeldFor>,
    /// Our mailbox that sent it.
    pub sender_mailbox: Option<MailboxId>,
    /// When it was tried last.
    pub last_attempt_at: Option<Timestamp>,
    /// Until when somebody is at it, if somebody is.
    pub leased_until: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
pub(crate) struct QueueColumns {
    id: i64,
    unit_id: Vec<u8>,
    state: String,
    reverse_path: String,
    recipient: String,
    attempts: i64,
    created_at_ms: i64,
    next_attempt_at_ms: i64,
    expires_at_ms: i64,
    last_reply: Option<String>,
    held_for: Option<String>,
    sender_mailbox_id: Option<i64>,
    last_attempt_at_ms: Option<i64>,
    lease_until_ms: Option<i64>,
}

pub(crate) const QUEUE_COLUMNS: &str = "SELECT id, unit_id, state, reverse_path, recipient, attempts, created_at_ms, next_attempt_at_ms, expires_at_ms, last_reply, held_for, \
                                        sender_mailbox_id, last_attempt_at_ms, lease_until_ms FROM queue_entries";

impl Store {
    /// Claims up to `limit` due entries for `lease_ms`. An entry whose lease has run out (its holder died) is due again.
    pub async fn claim_due(&self, limit: u32, lease_ms: i64) -> Result<Vec<Claimed>, Error> {
        let now = self.now();
        let mut reader = self.reader().await?;
        let due: Option<(i64,)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT id FROM queue_entries WHERE state IN ('queued', 'deferred') AND next_attempt_at_ms <= $1 AND (lease_until_ms IS NULL OR lease_until_ms <= $1) LIMIT 1")
            .bind(now.0).fetch_optional(&mut *c).await)?;
        drop(reader);
        if due.is_none() {
            return Ok(Vec::new());
        }
        let node = self.node();
        self.write(Touches::nothing(), move |tx| {
            Box::pin(async move { tx.claim_due(node, limit, lease_ms).await })
        })
        .await
    }

    /// Gives back the leases that an earlier process took in this data folder, whose lock says that it is dead. Other nodes keep theirs;
    /// those of a node that never comes back run out.
    pub async fn release_leases_of_the_dead(&self) -> Result<u64, Error> {
        let node = self.node();
        self.write(Touches::nothing(), move |tx| {
            Box::pin(async move {
                Ok(on!(tx.conn(), c => sqlx::query("UPDATE queue_entries SET lease_token = NULL, lease_until_ms = NULL WHERE substr(lease_token, 1, 8) = $1")
                    .bind(node.prefix()).execute(&mut *c).await.map(|r| r.rows_affected()))?)
            })
        })
        .await
    }

    /// Moves the leases of this node by `by_ms`, as its clock was moved: attempts under way keep the time that they had left.
    pub async fn shift_leases(&self, by_ms: i64) -> Result<u64, Error> {
        let node = self.node();
        self.write(Touches::nothing(), move |tx| {
            Box::pin(async move {
                Ok(on!(tx.conn(), c => sqlx::query("UPDATE queue_entries SET lease_until_ms = lease_until_ms + $2 WHERE substr(lease_token, 1, 8) = $1 AND lease_until_ms IS NOT NULL")
                    .bind(node.prefix()).bind(by_ms).execute(&mut *c).await.map(|r| r.rows_affected()))?)
            })
        })
        .await
    }

    /// Holds on to the leases of entries for `lease_ms` more. False when any of them was lost meanwhile; nobody else's is touched.
    pub async fn renew_leases(&self, entries: &[Claimed], lease_ms: i64) -> Result<bool, Error> {
        let held: Vec<(i64, [u8; 16])> = entries.iter().map(|entry| (entry.id.0, entry.lease)).collect();
        self.write(Touches::nothing(), move |tx| {
            let held = held.clone();
            Box::pin(async move {
                let now = tx.now.0;
                for (id, lease) in &held {
                    let row: Option<(i64,)> = on!(tx.conn(), c => sqlx::query_as("SELECT id FROM queue_entries WHERE id = $1 AND lease_token = $2")
                        .bind(id).bind(lease.as_slice()).fetch_optional(&mut *c).await)?;
                    if row.is_none() {
                        return Ok(false);
                    }
                }
                for (id, lease) in &held {
                    let renewed = on!(tx.conn(), c => sqlx::query("UPDATE queue_entries SET lease_until_ms = $2 WHERE id = $1 AND lease_token = $3")
                        .bind(id).bind(now + lease_ms).bind(lease.as_slice()).execute(&mut *c).await.map(|r| r.rows_affected()))?;
                    if renewed == 0 {
                        return Ok(false);
                    }
                }
                Ok(true)
            })
        })
        .await
    }

    /// When the next entry is due, if any waits.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, Error> {
        let mut reader = self.reader().await?;
        let (due,): (Option<i64>,) = on!(reader.conn(), c => sqlx::query_as(
            "SELECT MIN(CASE WHEN lease_until_ms > next_attempt_at_ms THEN lease_until_ms ELSE next_attempt_at_ms END) FROM queue_entries WHERE state IN ('queued', 'deferred')")
            .fetch_one(&mut *c).await)?;
        Ok(due.map(Timestamp))
    }

    /// Writes how an attempt ended and, in the same transaction, the notification that it causes. False when the lease was lost meanwhile: nothing was written.
    pub async fn conclude(
        &self,
        entry: &Claimed,
        outcome: AttemptOutcome,
        notification: Option<Acceptance>,
    ) -> Result<bool, Error> {
        let entry = Arc::new(entry.clone());
        let notification = notification.map(Arc::new);
        let touches = notification.as_deref().map_or_else(Touches::nothing, Touches::of);
        self.write(touches, move |tx| {
            let (entry, outcome, notification) = (entry.clone(), outcome.clone(), notification.clone());
            Box::pin(async move { tx.conclude(&entry, &outcome, notification.as_ref()).await })
        })
        .await
    }

    /// A reader of the body of a claimed entry.
    pub async fn queued_content(&self, entry: &Claimed) -> Result<BodyReader, Error> {
        let key = self.keyring().unwrap_from_queue(entry.body, &entry.wrapped_key)?;
        let mut reader = self.reader().await?;
        let row: Option<(i64, String, Option<Vec<u8>>)> = on!(reader.conn(), c => sqlx::query_as("SELECT size_bytes, place, container FROM bodies WHERE id = $1")
            .bind(entry.body.0.as_slice()).fetch_optional(&mut *c).await)?;
        drop(reader);
        let (size, place, container) = row.ok_or(Error::Inconsistent("a queue entry has no body"))?;
        self.open_container(entry.body, &key, size.unsigned_abs(), &place, container).await
    }

    /// Entries by id after `after`, at most `limit`, finished ones only if asked.
    pub async fn queue(
        &self,
        after: QueueId,
        limit: u32,
        with_finished: bool,
    ) -> Result<Vec<QueueRow>, Error> {
        let mut reader = self.reader().await?;
        let sql = if with_finished {
            format!("{QUEUE_COLUMNS} WHERE id > $1 ORDER BY id LIMIT $2")
        } else {
            format!(
                "{QUEUE_COLUMNS} WHERE id > $1 AND state IN ('queued', 'deferred', 'held') ORDER BY id LIMIT $2"
            )
        };
        let rows: Vec<QueueColumns> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(after.0).bind(i64::from(limit)).fetch_all(&mut *c).await)?;
        rows.into_iter().map(queue_row).collect()
    }

    /// One entry.
    pub async fn queue_entry(&self, id: QueueId) -> Result<Option<QueueRow>, Error> {
        let mut reader = self.reader().await?;
        let sql = format!("{QUEUE_COLUMNS} WHERE id = $1");
        let row: Option<QueueColumns> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id.0).fetch_optional(&mut *c).await)?;
        row.map(queue_row).transpose()
    }

    /// Makes a waiting entry (or all, without an id) due now. How many there were.
    pub async fn retry_now(&self, id: Option<QueueId>) -> Result<u64, Error> {
        self.write(Touches::nothing(), move |tx| {
            Box::pin(async move {
                let now = tx.now.0;
                let changed = match id {
                    Some(id) => on!(tx.conn(), c => sqlx::query("UPDATE queue_entries SET next_attempt_at_ms = $2, state = 'deferred', held_for = NULL WHERE id = $1 AND state IN ('queued', 'deferred', 'held')")
                        .bind(id.0).bind(now).execute(&mut *c).await.map(|r| r.rows_affected()))?,
                    None => on!(tx.conn(), c => sqlx::query("UPDATE queue_entries SET next_attempt_at_ms = $1 WHERE state IN ('queued', 'deferred')")
                        .bind(now).execute(&mut *c).await.map(|r| r.rows_affected()))?,
                };
                tx.queue_changed();
                Ok(changed)
            })
        })
        .await
    }

    /// Waiting entries by state, for metrics.
    pub async fn queue_depth(&self) -> Result<Vec<(String, i64)>, Error> {
        let mut reader = self.reader().await?;
        Ok(on!(reader.conn(), c => sqlx::query_as(
            "SELECT state, COUNT(*) FROM queue_entries WHERE state IN ('queued', 'deferred', 'held') GROUP BY state").fetch_all(&mut *c).await)?)
    }
}

pub(crate) fn queue_row(row: QueueColumns) -> Result<QueueRow, Error> {
    Ok(QueueRow {
        id: QueueId(row.id),
        unit: UnitId(
            row.unit_id
                .as_slice()
                .try_into()
                .map_err(|_| Error::Inconsistent("a unit id does not have 16 octets"))?,
        ),
        state: row.state.parse().map_err(|_| Error::Inconsistent("a queue entry has an unknown state"))?,
        reverse_path: row.reverse_path,
        recipient: row.recipient,
        attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
        created_at: Timestamp(row.created_at_ms),
        next_attempt_at: Timestamp(row.next_attempt_at_ms),
        expires_at: Timestamp(row.expires_at_ms),
        last_reply: row.last_reply,
        held_for: row
            .held_for
            .map(|word| word.parse())
            .transpose()
            .map_err(|_| Error::Inconsistent("a queue entry is held for an unknown reason"))?,
        sender_mailbox: row.sender_mailbox_id.map(MailboxId),
        last_attempt_at: row.last_attempt_at_ms.map(Timestamp),
        leased_until: row.lease_until_ms.map(Timestamp),
    })
}

#[derive(sqlx::FromRow)]
struct ClaimRow {
    unit_id: Vec<u8>,
    body_id: Vec<u8>,
    wrapped_key: Vec<u8>,
    content_offset: i64,
    eight_bit: i64,
    reverse_path: String,
    sender_mailbox_id: Option<i64>,
    recipient: String,
    original_recipient: Option<String>,
    notify: Option<String>,
    ret: Option<String>,
    envid: Option<String>,
    attempts: i64,
    created_at_ms: i64,
    expires_at_ms: i64,
}

impl WriteTx {
    async fn claim_due(&mut self, node: Node, limit: u32, lease_ms: i64) -> Result<Vec<Claimed>, Error> {
        let now = self.now.0;
        let lease = node.lease();
        let ids: Vec<(i64,)> = match self.conn() {
            Conn::Sqlite(c) => sqlx::query_as(
                "SELECT id FROM queue_entries WHERE state IN ('queued', 'deferred') AND next_attempt_at_ms <= $1 AND (lease_until_ms IS NULL OR lease_until_ms <= $1) \
                 ORDER BY next_attempt_at_ms, id LIMIT $2").bind(now).bind(i64::from(limit)).fetch_all(&mut *c).await?,
            Conn::Postgres(c, is_stuck) => answered(is_stuck, sqlx::query_as(
                "SELECT id FROM queue_entries WHERE state IN ('queued', 'deferred') AND next_attempt_at_ms <= $1 AND (lease_until_ms IS NULL OR lease_until_ms <= $1) \
                 ORDER BY next_attempt_at_ms, id LIMIT $2 FOR UPDATE SKIP LOCKED").bind(now).bind(i64::from(limit)).fetch_all(&mut *c)).await?,
        };
        let mut claimed = Vec::with_capacity(ids.len());
        for (id,) in ids {
            on!(self.conn(), c => sqlx::query("UPDATE queue_entries SET lease_token = $2, lease_until_ms = $3 WHERE id = $1")
                .bind(id).bind(lease.as_slice()).bind(now + lease_ms).execute(&mut *c).await.map(|_| ()))?;
            match self.claimed(id, lease).await {
                Ok(entry) => claimed.push(entry),
                Err(Error::Inconsistent(cause)) => self.hold(id, cause).await?,
                Err(error) => return Err(error),
            }
        }
        Ok(claimed)
    }

    /// One entry that this program cannot read must not stop the queue: an administrator looks at it.
    async fn hold(&mut self, id: i64, cause: &'static str) -> Result<(), Error> {
        tracing::error!(
            entry = id,
            cause,
            "a queue entry cannot be read and is held; `vaguemestre queue show` shows it"
        );
        on!(self.conn(), c => sqlx::query("UPDATE queue_entries SET state = 'held', held_for = 'fault', lease_token = NULL, lease_until_ms = NULL, last_reply = $2 WHERE id = $1")
            .bind(id).bind(cause).execute(&mut *c).await.map(|_| ()))?;
        Ok(())
    }

    pub(crate) async fn claimed(&mut self, id: i64, lease: [u8; 16]) -> Result<Claimed, Error> {
        let row: ClaimRow = on!(self.conn(), c => sqlx::query_as(
            "SELECT unit_id, body_id, wrapped_key, content_offset, eight_bit, reverse_path, sender_mailbox_id, recipient, original_recipient, notify, ret, envid, \
             attempts, created_at_ms, expires_at_ms FROM queue_entries WHERE id = $1").bind(id).fetch_one(&mut *c).await)?;
        let malformed = |_| Error::Inconsistent("a queue entry has a malformed address");
        Ok(Claimed {
            id: QueueId(id),
            unit: UnitId(
                row.unit_id
                    .as_slice()
                    .try_into()
                    .map_err(|_| Error::Inconsistent("a unit id does not have 16 octets"))?,
            ),
            body: body_id(&row.body_id)?,
            content_offset: row.content_offset.unsigned_abs(),
            eight_bit: row.eight_bit != 0,
            reverse_path: if row.reverse_path.is_empty() {
                ReversePath::Null
            } else {
                ReversePath::Address(row.reverse_path.parse().map_err(malformed)?)
            },
            sender_mailbox: row.sender_mailbox_id.map(MailboxId),
            recipient: row.recipient.parse().map_err(malformed)?,
            original_recipient: row.original_recipient,
            notify: row.notify,
            ret: row.ret,
            envid: row.envid,
            attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
            created_at: Timestamp(row.created_at_ms),
            expires_at: Timestamp(row.expires_at_ms),
            wrapped_key: row.wrapped_key,
            lease,
        })
    }

    async fn conclude(
        &mut self,
        entry: &Claimed,
        outcome: &AttemptOutcome,
        notification: Option<&Arc<Acceptance>>,
    ) -> Result<bool, Error> {
        let now = self.now.0;
        let held_for = outcome.held_for().map(HeldFor::as_str);
        let is_finished = held_for.is_none() && !matches!(outcome, AttemptOutcome::Deferred { .. });
        let is_attempt = held_for.is_none() && !matches!(outcome, AttemptOutcome::Dropped { .. });
        let next = if let AttemptOutcome::Deferred { next_attempt_at, .. } = outcome {
            next_attempt_at.0
        } else {
            now
        };
        // Another operator's words: PostgreSQL text cannot hold a NUL, and the entry must not stay for want of storing one.
        let reply = outcome.reply().replace('\0', "\u{fffd}");
        let updated = on!(self.conn(), c => sqlx::query(
            "UPDATE queue_entries SET state = $3, held_for = $8, attempts = attempts + $9, \
             last_attempt_at_ms = CASE WHEN $9 = 1 THEN $4 ELSE last_attempt_at_ms END, last_reply = $5, next_attempt_at_ms = $6, lease_token = NULL, lease_until_ms = NULL, body_id = CASE WHEN $7 = 1 THEN NULL ELSE body_id END, \
             wrapped_key = CASE WHEN $7 = 1 THEN NULL ELSE wrapped_key END WHERE id = $1 AND lease_token = $2")
            .bind(entry.id.0).bind(entry.lease.as_slice()).bind(outcome.state().as_str()).bind(now).bind(&reply).bind(next).bind(i64::from(is_finished)).bind(held_for).bind(i64::from(is_attempt))
            .execute(&mut *c).await.map(|r| r.rows_affected()))?;
        if updated == 0 {
            return Ok(false);
        }
        if is_finished {
            on!(self.conn(), c => sqlx::query("INSERT INTO released_bodies (body_id, released_at_ms) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                .bind(entry.body.0.as_slice()).bind(now).execute(&mut *c).await.map(|_| ()))?;
        }
        if let Some(notification) = notification {
            self.accept(notification).await?;
        }
        let counter = match outcome {
            AttemptOutcome::Relayed { .. } => Some(Counter::Relayed),
            AttemptOutcome::Bounced { .. } | AttemptOutcome::Expired { .. } => Some(Counter::Bounced),
            AttemptOutcome::Deferred { .. }
            | AttemptOutcome::Held { .. }
            | AttemptOutcome::Dropped { .. } => None,
        };
        if let Some((sender, counter)) = entry.sender_mailbox.zip(counter) {
            self.tally.count(sender, counter, 0);
        }
        let action = match outcome {
            AttemptOutcome::Relayed { .. } => "message.relayed",
            AttemptOutcome::Deferred { .. } => "message.deferred",
            AttemptOutcome::Held { .. } => "message.held",
            AttemptOutcome::Bounced { .. } => "message.bounced",
            AttemptOutcome::Expired { .. } => "message.expired",
            AttemptOutcome::Dropped { .. } => "queue.dropped",
        };
        let category = if action == "queue.dropped" { Category::Admin } else { Category::Mail };
        let told = AuditEntry {
            outcome: if category == Category::Admin { "ok" } else { outcome.state().as_str() },
            mailbox: entry.sender_mailbox,
            unit: Some(entry.unit),
            detail: format!("attempt={}", entry.attempts + u32::from(is_attempt)),
            ..AuditEntry::new(category, action)
        };
        let told = told.on("queue", entry.id).subject(Subject::address(&entry.recipient));
        self.audit(&told.personal("to", entry.recipient.to_string()).personal("reply", reply)).await?;
        Ok(true)
    }
}
