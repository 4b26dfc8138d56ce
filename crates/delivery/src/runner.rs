//! The loop: claim, group by domain, attempt, record.

use crate::Delivery;
use crate::connection::{Connection, Failure, local_reply};
use crate::metrics::OutcomeLabel;
use crate::next_hop::NoTarget;
use crate::outcome::{Answer, AnswerKind, record, until_answered};
use listener::Drain;
use mail_types::{BodyKind, Domain, DsnRet, ForwardPath, MailParameters, RcptParameters};
use policy::Reason;
use smtp_session::client::{DotStuffer, Outcome, ServerReply, State, Transaction};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use store::{BodyReader, Claimed};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Entries claimed at one time.
const CLAIM_MAX: u32 = 200;
/// Messages sent over one connection.
const PER_CONNECTION_MAX: usize = 50;
/// A runner that died is replaced after this; it is renewed before each message.
const LEASE_MS: i64 = 15 * 60 * 1000;
/// Entries made by other processes are noticed after this at the latest.
const POLL: Duration = Duration::from_secs(2);
/// Octets of content read and sent at a time.
const PIECE: u64 = 256 * 1024;

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
        let mut attempts = JoinSet::new();
        loop {
            if !drain.is_asked() && slots.available_permits() > 0 {
                self.start_due(&slots, &mut attempts, &drain).await;
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

    async fn start_due(&self, slots: &Arc<Semaphore>, attempts: &mut JoinSet<()>, drain: &Drain) {
        let claimed = match self.delivery.store.claim_due(CLAIM_MAX, LEASE_MS).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::error!(%error, "the queue could not be read; trying again");
                return;
            }
        };
        for (domain, messages) in by_domain(claimed) {
            let (delivery, slots) = (self.delivery.clone(), slots.clone());
            let drain = drain.clone();
            attempts.spawn(async move {
                let Ok(_slot) = slots.acquire().await else { return };
                if !drain.is_asked() {
                    attempt(&delivery, &domain, messages).await;
                }
            });
        }
    }
}

/// Entries of one message to one domain go in one transaction; messages to one domain share connections.
fn by_domain(claimed: Vec<Claimed>) -> Vec<(Domain, Vec<Vec<Claimed>>)> {
    let mut domains: HashMap<Domain, Vec<Vec<Claimed>>> = HashMap::new();
    for entry in claimed {
        let messages = domains.entry(entry.recipient.domain().clone()).or_default();
        match messages.iter_mut().find(|message| message[0].unit == entry.unit) {
            Some(message) => message.push(entry),
            None => messages.push(vec![entry]),
        }
    }
    let mut groups = Vec::new();
    for (domain, mut messages) in domains {
        while !messages.is_empty() {
            let rest = messages.split_off(messages.len().min(PER_CONNECTION_MAX));
            groups.push((domain.clone(), std::mem::replace(&mut messages, rest)));
        }
    }
    groups
}

/// Tries every message of a group, over as few connections as it takes.
async fn attempt(delivery: &Delivery, domain: &Domain, messages: Vec<Vec<Claimed>>) {
    let mut connection = match reach(delivery, domain).await {
        Ok(connection) => Some(connection),
        Err(answer) => {
            tracing::warn!(%domain, code = answer.reply.code, cause = %answer.reply, "domain not reached");
            for entry in messages.iter().flatten() {
                record(delivery, entry, &answer).await;
            }
            return;
        }
    };
    for message in messages {
        if connection.is_none() {
            connection = reach(delivery, domain).await.ok();
        }
        connection = match connection {
            Some(connection) => send(delivery, connection, &message).await,
            None => {
                let answer =
                    transient(&Failure::new("broken", "the connection broke and could not be made again"));
                for entry in &message {
                    record(delivery, entry, &answer).await;
                }
                None
            }
        };
    }
    if let Some(connection) = connection {
        connection.quit().await;
    }
}

/// A verified connection to a server of the domain, or the answer for every recipient there.
async fn reach(delivery: &Delivery, domain: &Domain) -> Result<Connection, Answer> {
    match delivery.white_list.load().as_deref() {
        None => return Err(policy_answer(Reason::NoWhiteList)),
        Some(white_list) if !white_list.lists_domain(domain) => {
            return Err(policy_answer(Reason::OutsideTrustSpace));
        }
        Some(_) => {}
    }
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

fn transient(failure: &Failure) -> Answer {
    Answer { reply: failure.as_reply(), kind: AnswerKind::Transient, host: None }
}

fn policy_answer(reason: Reason) -> Answer {
    let reply = local_reply(&reason.reply());
    let kind = if reply.is_permanent() { AnswerKind::Permanent } else { AnswerKind::Transient };
    Answer { reply, kind, host: None }
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
    };
    Answer { reply: ServerReply::local(code, enhanced, text), kind, host: None }
}

/// Sends one message to its recipients and records each answer. Gives the connection back if it can be used again.
async fn send(delivery: &Delivery, mut connection: Connection, message: &[Claimed]) -> Option<Connection> {
    let host = connection.host.clone();
    match until_answered(|| delivery.store.renew_leases(message, LEASE_MS)).await {
        Ok(true) => {}
        // Somebody else tries it now, or the store cannot say: not sending is the safe side, sending twice is not.
        Ok(false) | Err(_) => {
            tracing::warn!(unit = %message[0].unit, "a lease ran out before its message was sent; skipped");
            return Some(connection);
        }
    }
    let mut reader = match delivery.store.queued_content(&message[0]).await {
        Ok(reader) => reader,
        Err(error) => {
            let answer = transient(&unreadable(&message[0], &error));
            for entry in message {
                record(delivery, entry, &answer).await;
            }
            return Some(connection);
        }
    };
    let mut transaction = begin(&connection, message, reader.size());
    let outcome = converse(&mut connection, &mut transaction, &message[0], &mut reader).await;
    if let Err(failure) = &outcome {
        tracing::warn!(word = failure.word, cause = failure.text, "connection lost in a transaction");
        transaction.abandon(&failure.as_reply());
    }
    let is_usable = outcome.is_ok() && !transaction.is_broken();
    let needs_reset = transaction.needs_reset();
    for recipient in transaction.into_outcomes() {
        let Some(entry) = message.get(recipient.index) else { continue };
        let kind = match recipient.outcome {
            Outcome::Accepted => AnswerKind::Accepted,
            Outcome::Transient => AnswerKind::Transient,
            Outcome::Permanent => AnswerKind::Permanent,
        };
        record(delivery, entry, &Answer { reply: recipient.reply, kind, host: Some(host.clone()) }).await;
    }
    if !is_usable {
        return None;
    }
    if needs_reset && (connection.send(b"RSET\r\n").await.is_err() || connection.reply().await.is_err()) {
        return None;
    }
    Some(connection)
}

fn begin(connection: &Connection, message: &[Claimed], body_size: u64) -> Transaction {
    let first = &message[0];
    let parameters = MailParameters {
        size: Some(body_size.saturating_sub(first.content_offset)),
        body: if first.eight_bit { BodyKind::EightBitMime } else { BodyKind::SevenBit },
        ret: first.ret.as_deref().map(|ret| if ret == "FULL" { DsnRet::Full } else { DsnRet::Hdrs }),
        envid: first.envid.clone(),
    };
    let recipients: Vec<(ForwardPath, RcptParameters)> = message
        .iter()
        .map(|entry| (ForwardPath::Address(entry.recipient.clone()), RcptParameters::default()))
        .collect();
    Transaction::new(&first.reverse_path, &parameters, &recipients, &connection.extensions)
}

/// Plays the transaction to its end.
async fn converse(
    connection: &mut Connection,
    transaction: &mut Transaction,
    entry: &Claimed,
    reader: &mut BodyReader,
) -> Result<(), Failure> {
    let mut is_content_sent = false;
    loop {
        while let Some(bytes) = transaction.poll_transmit() {
            connection.send(&bytes).await?;
        }
        match transaction.state() {
            State::Done => return Ok(()),
            State::SendContent => {
                content(connection, entry, reader).await?;
                transaction.content_sent();
                is_content_sent = true;
            }
            State::NeedReply => {
                let reply = if is_content_sent {
                    connection.final_reply().await?
                } else {
                    connection.reply().await?
                };
                transaction.handle_reply(reply);
            }
        }
    }
}

fn unreadable(entry: &Claimed, error: &store::Error) -> Failure {
    tracing::error!(entry = %entry.id, %error, "the body of a queued message cannot be read");
    Failure::new("body", "the message cannot be read here for now")
}

async fn content(
    connection: &mut Connection,
    entry: &Claimed,
    reader: &mut BodyReader,
) -> Result<(), Failure> {
    let mut stuffer = DotStuffer::new();
    let (mut piece, mut wire) = (Vec::new(), Vec::new());
    let mut at = entry.content_offset;
    while at < reader.size() {
        let end = (at + PIECE).min(reader.size());
        piece.clear();
        wire.clear();
        reader.read(at, end, &mut piece).await.map_err(|error| unreadable(entry, &error))?;
        stuffer.stuff(&piece, &mut wire);
        connection.send(&wire).await?;
        at = end;
    }
    wire.clear();
    stuffer.finish(&mut wire);
    connection.send(&wire).await
}
