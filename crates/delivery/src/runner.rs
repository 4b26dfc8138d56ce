//! The loop: claim, group by domain, attempt, record.

use crate::Delivery;
use crate::connection::{Connection, Failure, local_reply};
use crate::held::HeldMail;
use crate::lanes::{Lanes, Message, Place};
use crate::metrics::OutcomeLabel;
use crate::next_hop::NoTarget;
use crate::outcome::{Answer, AnswerKind, record};
use crate::transfer::{self, Sent};
use journal::{Direction, Judgement, Ruling};
use listener::Drain;
use mail_types::{Domain, Timestamp};
use policy::Dispatch;
use smtp_session::client::ServerReply;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::Claimed;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Entries claimed at one time.
const CLAIM_MAX: u32 = 200;
/// Messages that may wait for attempts under way; more stay in the store.
const WAITING_MAX: usize = 1000;
/// Messages sent over one connection.
const PER_CONNECTION_MAX: usize = 50;
/// A runner that died is replaced after this; it is renewed before each message.
pub(crate) const LEASE_MS: i64 = 15 * 60 * 1000;
/// Entries made by other processes are noticed after this at the latest.
const POLL: Duration = Duration::from_secs(2);
/// A wall clock that gains or loses more than this between two looks was set, in milliseconds. Less is adjustment, and harms nobody.
const JUMP_MIN: i64 = 60 * 1000;

/// Runs the queue of one operator.
#[derive(Debug)]
pub struct Runner {
    delivery: Arc<Delivery>,
}

impl Runner {
    /// A runner over these parts.
    pub fn new(delivery: Delivery) -> Self {
        Self { delivery: Arc::new(delivery) }
    }

    /// Runs until `drain` is asked for, then lets attempts under way end.
    pub async fn run(self, mut drain: Drain) {
        let slots = Arc::new(Semaphore::new(self.delivery.concurrency));
        let lanes = Lanes::default();
        let mut attempts = JoinSet::new();
        let mut clock = ClockWatch::new(self.delivery.store.now());
        let mut held = HeldMail::default();
        loop {
            if let Some(jump) = clock.jump(self.delivery.store.now())
                && let Err(error) = self.follow_clock(jump).await
            {
                tracing::error!(%error, "the clock was set and the queue could not follow; entries may wait longer or be sent twice");
            }
            if let Err(error) = held.look(&self.delivery).await {
                tracing::error!(%error, "mail of domains that left the white list could not be looked at; trying again");
            }
            if !drain.is_asked() && slots.available_permits() > 0 && lanes.waiting() < WAITING_MAX {
                self.start_due(&lanes, &slots, &mut attempts, &drain).await;
            }
            tokio::select! {
                () = drain.asked() => break,
                Some(_) = attempts.join_next(), if !attempts.is_empty() => {}
                () = self.delivery.store.queue_changed() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
        while attempts.join_next().await.is_some() {}
    }

    /// Leases move with the clock, so that nothing under way is sent by a second attempt. What waits for a time of a clock that was ahead is due now.
    async fn follow_clock(&self, jump: i64) -> Result<(), store::Error> {
        self.delivery.store.shift_leases(jump).await?;
        if jump > 0 {
            tracing::warn!(seconds = jump / 1000, "the clock was set forward");
            return Ok(());
        }
        let entries = self.delivery.store.retry_now(None).await?;
        tracing::warn!(
            entries,
            seconds = jump / 1000,
            "the clock was set back; what waits in the queue is due now"
        );
        Ok(())
    }

    async fn start_due(
        &self,
        lanes: &Lanes,
        slots: &Arc<Semaphore>,
        attempts: &mut JoinSet<()>,
        drain: &Drain,
    ) {
        let claimed = match self.delivery.store.claim_due(CLAIM_MAX, LEASE_MS).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::error!(%error, "the queue could not be read; trying again");
                return;
            }
        };
        for (domain, messages) in by_domain(claimed) {
            for place in lanes.join(&domain, messages) {
                let (delivery, slots, drain) = (self.delivery.clone(), slots.clone(), drain.clone());
                attempts.spawn(async move {
                    let Ok(_slot) = slots.acquire().await else { return };
                    attempt(&delivery, place, drain).await;
                });
            }
        }
    }
}

/// Compares the wall clock with one that cannot be set.
struct ClockWatch {
    wall: Timestamp,
    at: Instant,
}

impl ClockWatch {
    fn new(wall: Timestamp) -> Self {
        Self { wall, at: Instant::now() }
    }

    /// By how many milliseconds the wall clock was set since the last look, if by more than [`JUMP_MIN`].
    fn jump(&mut self, wall: Timestamp) -> Option<i64> {
        let last = std::mem::replace(self, Self::new(wall));
        let passed = i64::try_from(last.at.elapsed().as_millis()).unwrap_or(i64::MAX);
        let jump = wall.0.saturating_sub(last.wall.0).saturating_sub(passed);
        (jump.saturating_abs() > JUMP_MIN).then_some(jump)
    }
}

/// Entries of one message to one domain go in one transaction; messages to one domain share connections.
fn by_domain(claimed: Vec<Claimed>) -> HashMap<Domain, Vec<Message>> {
    let mut domains: HashMap<Domain, Vec<Message>> = HashMap::new();
    for entry in claimed {
        let messages = domains.entry(entry.recipient.domain().clone()).or_default();
        match messages.iter_mut().find(|message| message[0].unit == entry.unit) {
            Some(message) => message.push(entry),
            None => messages.push(vec![entry]),
        }
    }
    domains
}

/// Tries the messages of a domain's line, over as few connections as it takes. Where no server can be reached the whole line has its answer.
async fn attempt(delivery: &Delivery, mut place: Place, mut drain: Drain) {
    let (mut connection, mut sent) = (None, 0);
    while let Some(message) = place.next(connection.is_some(), &mut drain).await {
        match attempt_one(delivery, &place.domain, connection.take(), &message).await {
            Ok(usable) => connection = usable,
            Err(answer) => {
                tracing::warn!(domain = %place.domain, code = answer.reply.code, cause = %answer.reply, "domain not reached");
                for entry in std::iter::once(message).chain(place.take_line()).flatten() {
                    record(delivery, &entry, &answer).await;
                }
            }
        }
        sent += 1;
        if sent % PER_CONNECTION_MAX == 0
            && let Some(connection) = connection.take()
        {
            connection.quit().await;
        }
    }
    if let Some(connection) = connection {
        connection.quit().await;
    }
}

/// Tries one message. Gives back a connection that can be used again; the answer of a domain that cannot be reached is still to be
/// recorded.
async fn attempt_one(
    delivery: &Delivery,
    domain: &Domain,
    open: Option<Connection>,
    message: &[Claimed],
) -> Result<Option<Connection>, Answer> {
    if let Some(connection) = still_trusted(delivery, open).await {
        match transfer::send(delivery, connection, message).await {
            Sent::Concluded(connection) => return Ok(connection),
            // Servers close a connection when they have had enough of it: no reason to make the message wait.
            Sent::NotBegun => {
                tracing::debug!(%domain, "the server closed between two messages; connecting again");
            }
        }
    }
    let connection = reach(delivery, domain).await?;
    match transfer::send(delivery, connection, message).await {
        Sent::Concluded(connection) => Ok(connection),
        Sent::NotBegun => Ok(None),
    }
}

/// A connection that is open, unless trust changed since it was judged: then it is closed, and another is judged anew.
async fn still_trusted(delivery: &Delivery, open: Option<Connection>) -> Option<Connection> {
    let connection = open?;
    if connection.is_still_judged(delivery) {
        return Some(connection);
    }
    tracing::debug!(
        host = connection.host,
        "trust changed or was not looked at for a while; connecting again"
    );
    connection.quit().await;
    None
}

/// A verified connection to a server of the domain, or the answer for every recipient there.
async fn reach(delivery: &Delivery, domain: &Domain) -> Result<Connection, Answer> {
    may_send(delivery, domain)?;
    let routes = delivery.routes.load();
    let targets = delivery.next_hops.find(domain, routes.route(domain)).await.map_err(no_target_answer)?;
    let mut last = Failure::new("connect", "no server of the domain answered");
    for target in targets {
        match Connection::open(delivery, domain, &target).await {
            Ok(connection) => return Ok(connection),
            Err(failure) => {
                delivery.metrics.failures.get_or_create(&OutcomeLabel { outcome: failure.word }).inc();
                tracing::warn!(%domain, word = failure.word, cause = failure.text, "server not usable");
                last = failure;
            }
        }
    }
    Err(transient(&last))
}

/// Whether mail is exchanged with the domain at all. If not, nobody is connected to.
fn may_send(delivery: &Delivery, domain: &Domain) -> Result<(), Answer> {
    let trust = delivery.trust.load();
    let (ruling, kind, reason) = match policy::dispatch(trust.domain(domain, delivery.store.now())) {
        Dispatch::Send => return Ok(()),
        Dispatch::Defer(reason) => (Ruling::Deferred, AnswerKind::Transient, reason),
        Dispatch::Hold(reason) => (Ruling::Deferred, AnswerKind::Held, reason),
        Dispatch::Bounce(reason) => (Ruling::Rejected, AnswerKind::Permanent, reason),
    };
    delivery.journal.record(Judgement {
        domain: Some(domain.clone()),
        white_list: trust.white_list_date(),
        ..Judgement::new(Direction::Outbound, ruling, reason.as_str())
    });
    Err(Answer { reply: local_reply(&reason.reply()), kind, host: None })
}

pub(crate) fn transient(failure: &Failure) -> Answer {
    Answer { reply: failure.as_reply(), kind: AnswerKind::Transient, host: None }
}

fn no_target_answer(cause: NoTarget) -> Answer {
    let (kind, code, enhanced, text) = match cause {
        NoTarget::NoDomain => {
            (AnswerKind::Permanent, 550, (5, 1, 2), "The recipient's domain does not exist")
        }
        NoTarget::NullMx => {
            (AnswerKind::Permanent, 556, (5, 1, 10), "The recipient's domain accepts no mail")
        }
        NoTarget::NoHost => {
            (AnswerKind::Permanent, 550, (5, 1, 2), "The recipient's domain has no mail server")
        }
        NoTarget::Unanswered => {
            (AnswerKind::Transient, 451, (4, 4, 3), "DNS did not answer for the recipient's domain")
        }
        NoTarget::NoResolver => (
            AnswerKind::Transient,
            451,
            (4, 3, 5),
            "This server has no DNS server to ask; see [delivery] dns_servers",
        ),
    };
    Answer { reply: ServerReply::local(code, enhanced, text), kind, host: None }
}
