//! What is said of logins: to the audit trail, to the counters.

use crate::refusals::EVERY;
use crate::{AuthError, Authenticator, Refusal};
use mail_types::{ActorId, MailboxId, Timestamp};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use store::{Act, LoginRecord, LoginTrace, Via};
use tokio::time::{MissedTickBehavior, interval};

/// Requests of one credential from one address that are one login: HTTP knows no sessions.
const VISIT_MS: i64 = 300_000;
/// Visits remembered; past it they are forgotten together, and written down once more.
const VISITS_MAX: usize = 20_000;

/// Where somebody comes from who logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whence {
    /// By which door.
    pub via: Via,
    /// From which address.
    pub ip: IpAddr,
}

/// Who was let in, by what.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) actor: ActorId,
    pub(crate) mailbox: Option<MailboxId>,
    /// As [`Act::credential`] has it.
    pub(crate) credential: String,
    pub(crate) password: Option<i64>,
    /// To be known from now on.
    pub(crate) trace: Option<LoginTrace>,
}

/// Credentials that asked over HTTP lately, for which mailbox and from where.
#[derive(Debug, Default)]
pub(crate) struct Visits(Mutex<HashMap<Visit, Timestamp>>);

type Visit = (String, Option<MailboxId>, IpAddr);

impl Visits {
    fn is_new(&self, visit: &Visit, now: Timestamp) -> bool {
        let visits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = visits.get(visit);
        at.is_none_or(|at| !(0..VISIT_MS).contains(&(now.0 - at.0)))
    }

    fn note(&self, visit: Visit, now: Timestamp) {
        let mut visits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if visits.len() >= VISITS_MAX {
            visits.clear();
        }
        visits.insert(visit, now);
    }
}

impl Authenticator {
    /// Writes down that somebody was let in, before they hear of it. Over HTTP the first request of a visit tells of all.
    pub(crate) async fn entered(
        &self,
        whence: Whence,
        proof: &'static str,
        entry: Entry,
    ) -> Result<(), AuthError> {
        let now = self.store.now();
        let is_visit = whence.via == Via::Rest;
        let visit = (entry.credential.clone(), entry.mailbox, whence.ip);
        if is_visit && !self.visits.is_new(&visit, now) {
            return Ok(());
        }
        let act = Act {
            actor: Some(entry.actor),
            whence: Some(whence.ip),
            credential: Some(entry.credential.clone()),
            ..Act::via(whence.via)
        };
        let record =
            LoginRecord { act, mailbox: entry.mailbox, password: entry.password, trace: entry.trace };
        match self.store.record_login(record).await {
            Ok(()) => {}
            // Mail can still be read, and read it must be.
            Err(error @ store::Error::Full(_)) => {
                tracing::error!(%error, "somebody was let in without a row in the audit trail");
                self.metrics.unrecorded.inc();
                self.refusals.note_unrecorded();
            }
            Err(error) => return Err(crate::unavailable(error)),
        }
        if is_visit {
            self.visits.note(visit, now);
        }
        self.metrics.entered(whence, proof);
        Ok(())
    }

    /// Writes down that an administrator was let in, by a `key` or a `certificate`.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`] when it could not be written.
    pub async fn administrator_entered(
        &self,
        whence: Whence,
        proof: &'static str,
        actor: ActorId,
        credential: String,
    ) -> Result<(), AuthError> {
        let entry = Entry { actor, mailbox: None, credential, password: None, trace: None };
        self.entered(whence, proof, entry).await
    }

    /// Counts a login that failed and lets the audit trail know.
    pub(crate) fn turned_away(&self, whence: Whence, mailbox: Option<MailboxId>, error: &AuthError) {
        self.metrics.failed(whence, error);
        self.refusals.note(Refusal { mailbox, ..Refusal::of_login(whence, error.reason()) });
    }

    /// Notes a refusal for the audit trail. It returns at once.
    pub fn note_refusal(&self, refusal: Refusal) {
        self.refusals.note(refusal);
    }

    /// Writes refusals to the audit trail for as long as it is polled. One task of a process does this.
    pub async fn keep_refusals(&self) {
        let mut every = interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            self.write_refusals().await;
        }
    }

    /// Writes the refusals that wait.
    pub async fn write_refusals(&self) {
        self.refusals.write(&self.store).await;
    }
}
