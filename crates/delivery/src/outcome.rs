//! What came of an attempt, recipient by recipient, and what is recorded of it.

use crate::Delivery;
use crate::metrics::OutcomeLabel;
use mail_types::Timestamp;
use smtp_session::client::ServerReply;
use std::time::Duration;
use store::{AttemptOutcome, Claimed, HeldFor};
use tokio::time::Instant;

/// How long a store that does not answer is asked again: less than a lease, past which the entries are somebody else's.
const ASK_MAX: Duration = Duration::from_secs(10 * 60);
/// The first pause between two questions; each is twice the one before, up to [`ASK_EVERY`].
const ASK_FIRST: Duration = Duration::from_millis(250);
/// The longest pause.
const ASK_EVERY: Duration = Duration::from_secs(4);

/// The answer for one recipient.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) reply: ServerReply,
    pub(crate) kind: AnswerKind,
    /// The server that gave it, if it came that far.
    pub(crate) host: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerKind {
    Accepted,
    Transient,
    Permanent,
    /// Not tried: what it waits for is not a matter of time.
    Held,
}

/// Records the answer in one transaction with the notification that it causes. A store that does not answer is asked again: what another operator
/// said is not forgotten for an outage.
pub(crate) async fn record(delivery: &Delivery, entry: &Claimed, answer: &Answer) {
    match until_answered(|| conclude(delivery, entry, answer)).await {
        Ok(Some(word)) => {
            delivery.metrics.recipients.get_or_create(&OutcomeLabel { outcome: word }).inc();
            tracing::info!(entry = %entry.id, unit = %entry.unit, outcome = word, code = answer.reply.code, "attempt concluded");
        }
        Ok(None) => tracing::warn!(entry = %entry.id, "the lease was lost before the attempt was concluded"),
        Err(error) => {
            tracing::error!(entry = %entry.id, %error, "an attempt could not be recorded; it will be made again");
        }
    }
}

/// The word of the outcome once it is written, or nothing when the lease was lost. Without its notification an outcome is not recorded.
async fn conclude(
    delivery: &Delivery,
    entry: &Claimed,
    answer: &Answer,
) -> Result<Option<&'static str>, store::Error> {
    let now = delivery.store.now();
    let outcome = outcome(delivery, entry, answer, now);
    let notification = match &outcome {
        AttemptOutcome::Bounced { .. } | AttemptOutcome::Expired { .. } => {
            delivery.returns().failed(entry, answer, now).await?
        }
        AttemptOutcome::Relayed { .. }
        | AttemptOutcome::Deferred { .. }
        | AttemptOutcome::Held { .. }
        | AttemptOutcome::Dropped { .. } => None,
    };
    let word = word(&outcome);
    Ok(delivery.store.conclude(entry, outcome, notification).await?.then_some(word))
}

/// Asks the store until it answers, for as long as a lease lasts. Faults other than a database that does not answer are given back at once.
pub(crate) async fn until_answered<T, F>(mut ask: impl FnMut() -> F) -> Result<T, store::Error>
where
    F: Future<Output = Result<T, store::Error>>,
{
    let end = Instant::now() + ASK_MAX;
    let mut pause = ASK_FIRST;
    loop {
        match ask().await {
            Err(error @ (store::Error::Database(_) | store::Error::Commit(_) | store::Error::Full(_)))
                if Instant::now() < end =>
            {
                tracing::warn!(%error, "the store does not answer the queue runner; asking again");
            }
            answer => return answer,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(ASK_EVERY);
    }
}

fn outcome(delivery: &Delivery, entry: &Claimed, answer: &Answer, now: Timestamp) -> AttemptOutcome {
    let reply = answer.reply.to_string();
    match answer.kind {
        AnswerKind::Accepted => AttemptOutcome::Relayed { reply },
        AnswerKind::Permanent => AttemptOutcome::Bounced { reply },
        AnswerKind::Transient | AnswerKind::Held if now >= entry.expires_at => {
            AttemptOutcome::Expired { reply }
        }
        AnswerKind::Held => AttemptOutcome::Held { reply, held_for: HeldFor::Departure },
        AnswerKind::Transient => {
            let jitter = delivery.store.new_unit_id().0[15];
            let next = delivery.schedule.next_attempt(now, entry.attempts + 1, jitter);
            AttemptOutcome::Deferred { reply, next_attempt_at: next.min(entry.expires_at) }
        }
    }
}

const fn word(outcome: &AttemptOutcome) -> &'static str {
    match outcome {
        AttemptOutcome::Relayed { .. } => "relayed",
        AttemptOutcome::Deferred { .. } => "deferred",
        AttemptOutcome::Held { .. } => "held",
        AttemptOutcome::Bounced { .. } => "bounced",
        AttemptOutcome::Expired { .. } => "expired",
        AttemptOutcome::Dropped { .. } => "dropped",
    }
}
