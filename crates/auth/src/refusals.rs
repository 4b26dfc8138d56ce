//! Refusals, on their way to the audit trail.
//!
//! What is refused in the same way from the same address is one row each second, with how often it was: nobody fills the trail by knocking. A name
//! that leads to no mailbox is not written down: people type passwords there.

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
}

impl Refusals {
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
        let Waiting { counts, lost } =
            std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if counts.is_empty() && lost == 0 {
            return;
        }
        let mut rows: Vec<AuditEntry> = counts.iter().map(|(refusal, count)| row(refusal, *count)).collect();
        if lost > 0 {
            let entry = AuditEntry::new(Category::Access, "refusals.lost");
            rows.push(AuditEntry { outcome: "refused", detail: format!("count={lost}"), ..entry });
        }
        if let Err(error) = store.record_audit(rows).await {
            tracing::error!(%error, "refusals could not be written to the audit trail; trying again");
            self.put_back(counts, lost);
        }
    }

    fn put_back(&self, counts: HashMap<Refusal, u64>, lost: u64) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.lost += lost;
        for (refusal, count) in counts {
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
