//! What came of an attempt, recipient by recipient, and what is recorded of it.

use crate::metrics::OutcomeLabel;
use crate::{Delivery, notification};
use intake::NotificationError;
use mail_types::Timestamp;
use smtp_session::client::ServerReply;
use store::{Acceptance, AttemptOutcome, Claimed};

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
}

/// Records the answer in one transaction with the notification that it causes.
pub(crate) async fn record(delivery: &Delivery, entry: &Claimed, answer: &Answer) {
    let now = delivery.store.now();
    let outcome = outcome(delivery, entry, answer, now);
    let notification = match &outcome {
        AttemptOutcome::Bounced { .. } | AttemptOutcome::Expired { .. } => {
            notify(delivery, entry, answer, now).await
        }
        AttemptOutcome::Relayed { .. } | AttemptOutcome::Deferred { .. } => Ok(None),
    };
    let notification = match notification {
        Ok(notification) => notification,
        Err(error) => {
            // Without its notification the outcome is not recorded: the lease runs out and the attempt is made again.
            tracing::error!(entry = %entry.id, %error, "a notification could not be written; the entry stays queued");
            return;
        }
    };
    let word = word(&outcome);
    match delivery.store.conclude(entry, outcome, notification).await {
        Ok(true) => {
            delivery.metrics.recipients.get_or_create(&OutcomeLabel { outcome: word }).inc();
            tracing::info!(entry = %entry.id, unit = %entry.unit, outcome = word, code = answer.reply.code, "attempt concluded");
        }
        Ok(false) => tracing::warn!(entry = %entry.id, "the lease was lost before the attempt was concluded"),
        Err(error) => {
            tracing::error!(entry = %entry.id, %error, "an attempt could not be recorded; it will be made again");
        }
    }
}

fn outcome(delivery: &Delivery, entry: &Claimed, answer: &Answer, now: Timestamp) -> AttemptOutcome {
    let reply = answer.reply.to_string();
    match answer.kind {
        AnswerKind::Accepted => AttemptOutcome::Relayed { reply },
        AnswerKind::Permanent => AttemptOutcome::Bounced { reply },
        AnswerKind::Transient if now >= entry.expires_at => AttemptOutcome::Expired { reply },
        AnswerKind::Transient => {
            let jitter = delivery.store.new_unit_id().0[15];
            let next = delivery.schedule.next_attempt(now, entry.attempts + 1, jitter);
            AttemptOutcome::Deferred { reply, next_attempt_at: next.min(entry.expires_at) }
        }
    }
}

async fn notify(
    delivery: &Delivery,
    entry: &Claimed,
    answer: &Answer,
    now: Timestamp,
) -> Result<Option<Acceptance>, store::Error> {
    let Some(sender) = entry.reverse_path.address() else { return Ok(None) };
    if entry.notify.as_deref().is_some_and(|notify| !notify.contains("FAILURE")) {
        return Ok(None);
    }
    let report = notification::failure(delivery, entry, answer, now).await?;
    match delivery.intake.notification(sender, &report).await {
        Ok(acceptance) => Ok(Some(acceptance)),
        Err(NotificationError::Nobody) => {
            tracing::warn!(entry = %entry.id, "the sender's mailbox is gone: nobody is told of the failure");
            Ok(None)
        }
        Err(NotificationError::Store(error)) => Err(error),
    }
}

const fn word(outcome: &AttemptOutcome) -> &'static str {
    match outcome {
        AttemptOutcome::Relayed { .. } => "relayed",
        AttemptOutcome::Deferred { .. } => "deferred",
        AttemptOutcome::Bounced { .. } => "bounced",
        AttemptOutcome::Expired { .. } => "expired",
    }
}
