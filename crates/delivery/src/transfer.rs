//! One message over one connection, and what came of each of its recipients.
//!
//! It does not know how the connection came about, nor what is tried next.

use crate::Delivery;
use crate::connection::{Connection, Failure};
use crate::content::Content;
use crate::outcome::{Answer, AnswerKind, record, until_answered};
use crate::runner::LEASE_MS;
use mail_types::{BodyKind, DsnRet, ForwardPath, MailParameters, RcptParameters};
use smtp_session::client::{Outcome, ServerReply, State, Transaction};
use std::time::Duration;
use store::Claimed;

/// Between two renewals of a lease.
const LEASE_RENEWAL: Duration = Duration::from_secs(60);

/// What came of sending a message.
pub(crate) enum Sent {
    /// Each recipient has its outcome; the connection, if it can be used again.
    Concluded(Option<Connection>),
    /// A connection that had served before was gone at the first command: nothing of the message was answered.
    NotBegun,
}

/// Sends one message to its recipients and records each answer.
pub(crate) async fn send(delivery: &Delivery, mut connection: Connection, message: &[Claimed]) -> Sent {
    let was_used = std::mem::replace(&mut connection.was_used, true);
    match until_answered(|| delivery.store.renew_leases(message, LEASE_MS)).await {
        Ok(true) => {}
        // Somebody else tries it now, or the store cannot say: not sending is the safe side, sending twice is not.
        Ok(false) | Err(_) => {
            tracing::warn!(unit = %message[0].unit, "a lease ran out before its message was sent; skipped");
            return Sent::Concluded(Some(connection));
        }
    }
    let mut content = match Content::open(delivery, &message[0], connection.extensions.eight_bit_mime).await {
        Ok(content) => content,
        Err(answer) => {
            for entry in message {
                record(delivery, entry, &answer).await;
            }
            return Sent::Concluded(Some(connection));
        }
    };
    let mut transaction = begin(&connection, message, &content);
    let outcome = tokio::select! {
        outcome = converse(&mut connection, &mut transaction, &mut content) => outcome,
        failure = lost_lease(delivery, message) => Err(failure),
    };
    let is_begun = transaction.is_answered();
    if let Err(failure) = &outcome {
        if was_used && !is_begun {
            return Sent::NotBegun;
        }
        tracing::warn!(word = failure.word, cause = failure.text, "connection lost in a transaction");
        transaction.abandon(&failure.as_reply());
    } else if was_used && !is_begun {
        // 421 to the first command: said to the connection, not to the message.
        return Sent::NotBegun;
    }
    let is_usable = outcome.is_ok() && !transaction.is_broken();
    let needs_reset = transaction.needs_reset();
    conclude(delivery, &connection, message, transaction).await;
    if !is_usable {
        return Sent::Concluded(None);
    }
    if needs_reset && (connection.send(b"RSET\r\n").await.is_err() || connection.reply().await.is_err()) {
        return Sent::Concluded(None);
    }
    Sent::Concluded(Some(connection))
}

/// Holds on to the leases while a server takes its time: what takes longer than a lease would otherwise be sent a second time beside itself.
/// Returns when one is lost.
async fn lost_lease(delivery: &Delivery, message: &[Claimed]) -> Failure {
    loop {
        tokio::time::sleep(LEASE_RENEWAL).await;
        // A store that does not answer is asked again: a lease lasts many renewals.
        if let Ok(false) = delivery.store.renew_leases(message, LEASE_MS).await {
            return Failure::new("broken", "another attempt took over");
        }
    }
}

async fn conclude(
    delivery: &Delivery,
    connection: &Connection,
    message: &[Claimed],
    transaction: Transaction,
) {
    for recipient in transaction.into_outcomes() {
        let Some(entry) = message.get(recipient.index) else { continue };
        let kind = match recipient.outcome {
            Outcome::Accepted => AnswerKind::Accepted,
            Outcome::Transient => AnswerKind::Transient,
            Outcome::Permanent => AnswerKind::Permanent,
        };
        let host = Some(connection.host.clone());
        record(delivery, entry, &Answer { reply: recipient.reply, kind, host }).await;
    }
}

fn begin(connection: &Connection, message: &[Claimed], content: &Content) -> Transaction {
    let first = &message[0];
    let parameters = MailParameters {
        size: content.size(),
        body: if content.is_eight_bit() { BodyKind::EightBitMime } else { BodyKind::SevenBit },
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
    content: &mut Content,
) -> Result<(), Failure> {
    let mut is_content_sent = false;
    loop {
        while let Some(bytes) = transaction.poll_transmit() {
            connection.send(&bytes).await?;
        }
        match transaction.state() {
            State::Done => return Ok(()),
            State::SendContent => {
                content.send(connection).await?;
                transaction.content_sent();
                is_content_sent = true;
            }
            State::NeedReply => {
                let reply: ServerReply = if is_content_sent {
                    connection.final_reply().await?
                } else {
                    connection.reply().await?
                };
                transaction.handle_reply(reply);
            }
        }
    }
}
