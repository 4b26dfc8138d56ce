//! Whom the operator tells of what happens to a mailbox, and what there is to tell: access that ends soon, mailboxes and domains that fill up.

use crate::dialect::on;
use crate::directory::{admin, word};
use crate::writer::{Touches, WriteTx};
use crate::{Acceptance, Error, Store};
use mail_types::{ActorId, Address, Domain, DomainId, MailboxId, Timestamp};
use std::sync::Arc;

/// Mailboxes that one letter goes to at most.
const TOLD_MAX: i64 = 50;
/// Rows looked at in one step.
const STEP: i64 = 100;

/// A mailbox that reached a threshold of its quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilledMailbox {
    /// Row.
    pub mailbox: MailboxId,
    /// Its address.
    pub address: Address,
    /// The threshold, in percent: 80 or 95.
    pub percent: u8,
    /// Octets used.
    pub used_bytes: u64,
    /// Octets that it may hold.
    pub quota_bytes: u64,
}

/// A domain whose mailboxes reached a threshold of its allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilledDomain {
    /// Row.
    pub domain: DomainId,
    /// Its name.
    pub name: Domain,
    /// The threshold, in percent: 80 or 95.
    pub percent: u8,
    /// Octets used.
    pub used_bytes: u64,
    /// Octets of its allocation.
    pub allocation_bytes: u64,
}

/// How many mailboxes in service are past each threshold of their quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fill {
    /// Past 80 %, also those past 95 %.
    pub past_80: u64,
    /// Past 95 %.
    pub past_95: u64,
}

/// The threshold that a mailbox `m` is past.
const LEVEL: &str = "CASE WHEN m.used_bytes >= m.quota_bytes / 100 * 95 THEN 95 WHEN m.used_bytes >= m.quota_bytes / 100 * 80 THEN 80 ELSE 0 END";
/// The same five points lower: only below it is a warning taken back, so that what goes to and fro is told once.
const RELIEF: &str = "CASE WHEN m.used_bytes >= m.quota_bytes / 100 * 90 THEN 95 WHEN m.used_bytes >= m.quota_bytes / 100 * 75 THEN 80 ELSE 0 END";

impl Store {
    /// The own mailboxes of those whom a change of access to a mailbox concerns: of whoever holds or administers it (failing one, the mailbox
    /// itself), and of `grantee`.
    pub async fn concerned(
        &self,
        mailbox: MailboxId,
        grantee: Option<ActorId>,
    ) -> Result<Vec<Address>, Error> {
        let now = self.now();
        let mut reader = self.reader().await?;
        let mut found: Vec<(String,)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT DISTINCT o.address FROM (SELECT owner_user_id AS user_id FROM mailboxes WHERE id = $1 UNION \
             SELECT a.user_id FROM grants g JOIN actors a ON a.id = g.actor_id WHERE g.mailbox_id = $1 AND g.folder_id IS NULL AND g.role = 'admin' \
             AND (g.expires_at_ms IS NULL OR g.expires_at_ms > $2)) AS p \
             JOIN mailboxes o ON o.owner_user_id = p.user_id AND o.kind = 'personal' AND o.status = 'active' ORDER BY o.address LIMIT $3")
            .bind(mailbox.0).bind(now.0).bind(TOLD_MAX).fetch_all(&mut *c).await)?;
        if found.is_empty() {
            found = on!(reader.conn(), c => sqlx::query_as("SELECT address FROM mailboxes WHERE id = $1 AND status <> 'deleted'")
                .bind(mailbox.0).fetch_all(&mut *c).await)?;
        }
        if let Some(grantee) = grantee {
            let theirs: Vec<(String,)> = on!(reader.conn(), c => sqlx::query_as(
                "SELECT o.address FROM actors a JOIN mailboxes o ON o.owner_user_id = a.user_id WHERE a.id = $1 AND o.kind = 'personal' AND o.status = 'active' \
                 ORDER BY o.address LIMIT $2").bind(grantee.0).bind(TOLD_MAX).fetch_all(&mut *c).await)?;
            found.extend(theirs);
        }
        found.sort_unstable();
        found.dedup();
        found.iter().map(|(address,)| parsed(address)).collect()
    }

    /// Delivers letters of which the event is committed already.
    pub async fn deliver_letters(&self, letters: Vec<Arc<Acceptance>>) -> Result<(), Error> {
        self.write(Touches::nothing().and(&letters), move |tx| {
            let letters = letters.clone();
            Box::pin(async move { tx.deliver_letters(&letters).await })
        })
        .await
    }

    /// Grants of mailboxes that end before `before` and were not told of, as mailbox and actor, some of them.
    pub async fn ending_grants(&self, before: Timestamp) -> Result<Vec<(MailboxId, ActorId)>, Error> {
        let now = self.now();
        let mut reader = self.reader().await?;
        let rows: Vec<(i64, i64)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT mailbox_id, actor_id FROM grants WHERE expires_at_ms > $1 AND expires_at_ms <= $2 AND end_told = 0 AND folder_id IS NULL ORDER BY id LIMIT $3")
            .bind(now.0).bind(before.0).bind(STEP).fetch_all(&mut *c).await)?;
        Ok(rows.into_iter().map(|(mailbox, actor)| (MailboxId(mailbox), ActorId(actor))).collect())
    }

    /// Delivers letters that tell of the end of a grant, once.
    pub async fn tell_of_end(
        &self,
        mailbox: MailboxId,
        actor: ActorId,
        letters: Vec<Arc<Acceptance>>,
    ) -> Result<(), Error> {
        self.write(Touches::from(mailbox).and(&letters), move |tx| {
            let letters = letters.clone();
            Box::pin(async move {
                let told = on!(tx.conn(), c => sqlx::query("UPDATE grants SET end_told = 1 WHERE mailbox_id = $1 AND actor_id = $2 AND folder_id IS NULL AND end_told = 0")
                    .bind(mailbox.0).bind(actor.0).execute(&mut *c).await.map(|r| r.rows_affected()))?;
                if told > 0 { tx.deliver_letters(&letters).await } else { Ok(()) }
            })
        })
        .await
    }

    /// Mailboxes in service that are past a threshold of which their readers were not warned, some of them.
    pub async fn filled_mailboxes(&self) -> Result<Vec<FilledMailbox>, Error> {
        let mut reader = self.reader().await?;
        let sql = format!(
            "SELECT m.id, m.address, {LEVEL}, m.used_bytes, m.quota_bytes FROM mailboxes m WHERE m.status = 'active' AND {LEVEL} > m.quota_warned ORDER BY m.id LIMIT $1"
        );
        let rows: Vec<(i64, String, i32, i64, i64)> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(STEP).fetch_all(&mut *c).await)?;
        rows.into_iter()
            .map(|(mailbox, address, percent, used, quota)| {
                Ok(FilledMailbox {
                    mailbox: MailboxId(mailbox),
                    address: parsed(&address)?,
                    percent: u8::try_from(percent).unwrap_or(95),
                    used_bytes: used.max(0).unsigned_abs(),
                    quota_bytes: quota.unsigned_abs(),
                })
            })
            .collect()
    }

    /// Delivers the warning that a mailbox is past a threshold, once until it is well below.
    pub async fn warn_mailbox(
        &self,
        mailbox: MailboxId,
        percent: u8,
        letters: Vec<Arc<Acceptance>>,
    ) -> Result<(), Error> {
        self.write(Touches::from(mailbox).and(&letters), move |tx| {
            let letters = letters.clone();
            Box::pin(async move {
                let warned = on!(tx.conn(), c => sqlx::query("UPDATE mailboxes SET quota_warned = $2 WHERE id = $1 AND quota_warned < $2")
                    .bind(mailbox.0).bind(i64::from(percent)).execute(&mut *c).await.map(|r| r.rows_affected()))?;
                if warned == 0 {
                    return Ok(());
                }
                tx.audit(&admin("mailbox.nearly_full", Some(mailbox), format!("percent={percent}"))).await?;
                tx.deliver_letters(&letters).await
            })
        })
        .await
    }

    /// Takes warnings back of mailboxes that are well below the threshold again, and counts those that are past one.
    pub async fn fill(&self) -> Result<Fill, Error> {
        let mut reader = self.reader().await?;
        let sql = format!(
            "SELECT m.id FROM mailboxes m WHERE m.quota_warned > 0 AND {RELIEF} < m.quota_warned ORDER BY m.id LIMIT {STEP}"
        );
        let relieved: Vec<(i64,)> =
            on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(&mut *c).await)?;
        let (past_80, past_95): (i64, i64) = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "SELECT COUNT(*), COUNT(CASE WHEN {LEVEL} = 95 THEN 1 END) FROM mailboxes m WHERE m.status = 'active' AND {LEVEL} > 0")))
            .fetch_one(&mut *c).await)?;
        drop(reader);
        for (mailbox,) in relieved {
            let mailbox = MailboxId(mailbox);
            self.write(Touches::from(mailbox), move |tx| {
                Box::pin(async move {
                    on!(tx.conn(), c => sqlx::query(sqlx::AssertSqlSafe(format!("UPDATE mailboxes AS m SET quota_warned = {RELIEF} WHERE m.id = $1 AND {RELIEF} < m.quota_warned")))
                        .bind(mailbox.0).execute(&mut *c).await.map(|_| ()))?;
                    Ok(())
                })
            })
            .await?;
        }
        Ok(Fill { past_80: past_80.unsigned_abs(), past_95: past_95.unsigned_abs() })
    }

    /// Domains that are past a threshold of their allocation of which nobody was warned. Warnings of those well below again are taken back.
    pub async fn filled_domains(&self) -> Result<Vec<FilledDomain>, Error> {
        let mut reader = self.reader().await?;
        let rows: Vec<(i64, String, i64, i64, i64)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT d.id, d.name, d.allocation_max_bytes, d.quota_warned, CAST(COALESCE(SUM(m.used_bytes), 0) AS BIGINT) FROM domains d \
             LEFT JOIN mailboxes m ON m.domain_id = d.id AND m.status <> 'deleted' WHERE d.allocation_max_bytes > 0 \
             GROUP BY d.id, d.name, d.allocation_max_bytes, d.quota_warned ORDER BY d.id").fetch_all(&mut *c).await)?;
        drop(reader);
        let mut filled = Vec::new();
        for (id, name, allocation, warned, used) in rows {
            let (allocation, used) = (allocation.unsigned_abs(), used.max(0).unsigned_abs());
            let past = |percent: u64| used >= allocation / 100 * percent;
            let level = if past(95) {
                95
            } else if past(80) {
                80
            } else {
                0
            };
            let relief = if past(90) {
                95
            } else if past(75) {
                80
            } else {
                0
            };
            if i64::from(level) > warned {
                filled.push(FilledDomain {
                    domain: DomainId(id),
                    name: word(&name)?,
                    percent: level,
                    used_bytes: used,
                    allocation_bytes: allocation,
                });
            } else if relief < warned {
                self.warn_domain(DomainId(id), warned, u8::try_from(relief).unwrap_or(0), Vec::new()).await?;
            }
        }
        Ok(filled)
    }

    /// Notes of which threshold of a domain somebody was warned, and delivers the warning, if nobody did meanwhile.
    pub async fn warn_domain(
        &self,
        domain: DomainId,
        before: i64,
        percent: u8,
        letters: Vec<Arc<Acceptance>>,
    ) -> Result<(), Error> {
        self.write(Touches::nothing().and(&letters), move |tx| {
            let letters = letters.clone();
            Box::pin(async move {
                let warned = on!(tx.conn(), c => sqlx::query("UPDATE domains SET quota_warned = $2 WHERE id = $1 AND quota_warned <= $3 AND quota_warned <> $2")
                    .bind(domain.0).bind(i64::from(percent)).bind(before).execute(&mut *c).await.map(|r| r.rows_affected()))?;
                if warned > 0 { tx.deliver_letters(&letters).await } else { Ok(()) }
            })
        })
        .await
    }
}

impl WriteTx {
    /// Delivers letters in this transaction; it touches their mailboxes.
    pub(crate) async fn deliver_letters(&mut self, letters: &[Arc<Acceptance>]) -> Result<(), Error> {
        for letter in letters {
            self.accept(letter).await?;
        }
        Ok(())
    }
}

fn parsed(address: &str) -> Result<Address, Error> {
    address.parse().map_err(|_| Error::Inconsistent("a mailbox has a malformed address"))
}
