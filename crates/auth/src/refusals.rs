//! Refusals, on their way to the audit trail.
//!
//! What is refused in the same way from the same address is one row each second, with how often it was: nobody fills the trail by knocking. A name
//! that leads to no mailbox is not written down: people type passwords there.
//!
//! Logins that were let in while the disk had no room for their rows are told of by number, once there is room (decision 0016).

use crate::Whence;
use mail_types::{ActorId, MailboxId};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use store::{AuditEntry, Category, Store, Via};

/// Different refusals that wait to be written; others are only counted.
const WAITING_MAX: usize = 4096;
/// Between two rows of the same.
pub(crate) const EVERY: Duration = Duration::from_secs(1);

/// Somebody who was not let in, or not allowed what they asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// What was refused: `login`, or `request` to somebody who is known.
    pub action: &'static str,
    /// Why: a word.
    pub reason: &'static str,
    /// By which door.
    pub via: Via,
    /// From where.
    pub ip: IpAddr,
    /// Who, where a credential said so.
    pub actor: Option<ActorId>,
    /// Into which mailbox.
    pub mailbox: Option<MailboxId>,
    /// What for, without personal data: a method and a path of the API as it is written in its description.
    pub what: Option<String>,
}

impl Refusal {
    /// Of a login.
    pub(crate) fn of_login(whence: Whence, reason: &'static str) -> Self {
        let Whence { via, ip } = whence;
        Self { action: "login", reason, via, ip, actor: None, mailbox: None, what: None }
    }
}

/// Refusals that wait to be written.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    counts: HashMap<Refusal, u64>,
    lost: u64,
    /// Logins that have no row.
    unrecorded: u64,
}

impl Waiting {
    fn rows(&self) -> Vec<AuditEntry> {
        let mut rows: Vec<AuditEntry> =
            self.counts.iter().map(|(refusal, count)| row(refusal, *count)).collect();
        for (action, outcome, count) in
            [("refusals.lost", "refused", self.lost), ("logins.unrecorded", "ok", self.unrecorded)]
        {
            if count > 0 {
                let entry = AuditEntry::new(Category::Access, action);
                rows.push(AuditEntry { outcome, detail: format!("count={count}"), ..entry });
            }
        }
        rows
    }
}

impl Refusals {
    /// Somebody was let in without a row.
    pub(crate) fn note_unrecorded(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).unrecorded += 1;
    }

    pub(crate) fn note(&self, refusal: Refusal) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = waiting.counts.len() >= WAITING_MAX;
        match waiting.counts.get_mut(&refusal) {
            Some(count) => *count += 1,
            None if is_full => waiting.lost += 1,
            None => {
                waiting.counts.insert(refusal, 1);
            }
        }
    }

    /// Writes what waits. What could not be written waits on.
    pub(crate) async fn write(&self, store: &Store) {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let rows = waiting.rows();
        if rows.is_empty() {
            return;
        }
        if let Err(error) = store.record_audit(rows).await {
            tracing::error!(%error, "refusals could not be written to the audit trail; trying again");
            self.put_back(waiting);
        }
    }

    fn put_back(&self, unwritten: Waiting) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.lost += unwritten.lost;
        waiting.unrecorded += unwritten.unrecorded;
        for (refusal, count) in unwritten.counts {
            if waiting.counts.len() < WAITING_MAX || waiting.counts.contains_key(&refusal) {
                *waiting.counts.entry(refusal).or_default() += count;
            } else {
                waiting.lost += count;
            }
        }
    }
}

fn row(refusal: &Refusal, count: u64) -> AuditEntry {
    let Refusal { action, reason, via, ip, actor, mailbox, what } = refusal;
    let what = what.as_ref().map(|what| format!(" what={what}")).unwrap_or_default();
    let detail = format!("reason={reason} count={count}{what}");
    let entry = AuditEntry::new(Category::Access, action);
    AuditEntry { outcome: "refused", via: Some(*via), actor: *actor, mailbox: *mailbox, detail, ..entry }
        .whence(*ip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_types::Timestamp;
    use store::{AuditFilter, BodyOptions, Clock, StoreOptions};

    #[tokio::test]
    async fn logins_without_a_row_are_told_of_by_number_once_a_row_can_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            url: "sqlite:store.db".to_owned(),
            data_dir: dir.path().join("data"),
            bodies: BodyOptions::default(),
            key_dir: dir.path().join("keys"),
            writers: 1,
            clock: Clock::fixed(Timestamp::from_secs(1_900_000_000)),
            audits_mail: true,
        };
        Store::create(&options).await.unwrap();
        let closed = Store::open(&options).await.unwrap();
        closed.close().await;
        let refusals = Refusals::default();
        (0..3).for_each(|_| refusals.note_unrecorded());
        // What cannot be written waits on.
        refusals.write(&closed).await;
        refusals.note_unrecorded();
        let store = Store::open(&options).await.unwrap();
        refusals.write(&store).await;
        refusals.write(&store).await;
        let filter = AuditFilter { action: Some("logins.unrecorded".to_owned()), ..AuditFilter::default() };
        let rows = store.search_audit(&filter, None, 10).await.unwrap().rows;
        let rows: Vec<_> = rows.iter().map(|row| (row.outcome.as_str(), row.detail.as_str())).collect();
        assert_eq!(rows, [("ok", "count=4")]);
    }
}
