//! The notification of a failed recipient (RFC 3464), with as much of the original as its sender asked for.

use crate::outcome::{Answer, AnswerKind};
use intake::{Intake, NotificationError};
use mail_types::{Address, Domain, EnhancedCode, ReversePath, Timestamp};
use message::dsn::{Action, RecipientReport, Report, Returned, build};
use smtp_session::client::ServerReply;
use std::sync::Arc;
use store::{Acceptance, Claimed, Error, Store};

/// Header octets returned at most.
const HEADER_MAX: u64 = 256 * 1024;
/// A whole original is returned up to this size.
const ORIGINAL_MAX: u64 = 1024 * 1024;

/// What notifications are made and delivered with.
#[derive(Clone, Debug)]
pub struct Returns {
    /// Where the original is.
    pub store: Store,
    /// The door.
    pub intake: Intake,
    /// Our name.
    pub hostname: Arc<str>,
}

impl Returns {
    /// What the sender of an entry that an administrator takes out hears: the reply, and the notification with it, unless there is nobody to
    /// tell or the sender did not want to know.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn dropped(&self, entry: &Claimed) -> Result<(String, Option<Acceptance>), Error> {
        let text =
            "An administrator of your operator took this message out of the queue; it was not delivered";
        let reply = ServerReply::local(554, (5, 7, 1), text);
        let answer = Answer { reply, kind: AnswerKind::Permanent, host: None };
        let notification = self.failed(entry, &answer, self.store.now()).await?;
        Ok((answer.reply.to_string(), notification))
    }

    /// The notification that an entry failed, ready to be committed with its outcome.
    pub(crate) async fn failed(
        &self,
        entry: &Claimed,
        answer: &Answer,
        now: Timestamp,
    ) -> Result<Option<Acceptance>, Error> {
        let Some(sender) = entry.reverse_path.address() else { return Ok(None) };
        if entry.notify.as_deref().is_some_and(|notify| !notify.contains("FAILURE")) {
            return Ok(None);
        }
        let report = failure(&self.store, &self.hostname, entry, answer, now).await?;
        match self.intake.notification(sender, &report).await {
            Ok(acceptance) => Ok(Some(acceptance)),
            Err(NotificationError::Nobody) => {
                tracing::warn!(entry = %entry.id, "the sender's mailbox is gone: nobody is told of the failure");
                Ok(None)
            }
            Err(NotificationError::Store(error)) => Err(error),
        }
    }
}

/// Writes the notification that an entry failed.
async fn failure(
    store: &Store,
    hostname: &str,
    entry: &Claimed,
    answer: &Answer,
    now: Timestamp,
) -> Result<Vec<u8>, Error> {
    let ReversePath::Address(to) = &entry.reverse_path else {
        return Err(Error::Inconsistent("a notification has nobody to go to"));
    };
    let reporting: Domain =
        hostname.parse().map_err(|_| Error::Inconsistent("the host name is not a domain"))?;
    // A body that cannot be read must not keep the news of its loss from its sender.
    let (original, is_whole) = original(store, entry).await.unwrap_or_else(|error| {
        tracing::error!(entry = %entry.id, %error, "the original of a failed message cannot be read; the notification goes without it");
        (Vec::new(), false)
    });
    let message_id = format!("<{}@{reporting}>", store.new_unit_id());
    let diagnostic = answer.reply.to_string();
    let recipient = RecipientReport {
        final_recipient: &entry.recipient,
        original_recipient: entry.original_recipient.as_deref(),
        action: Action::Failed,
        status: status(answer),
        remote_mta: answer.host.as_deref(),
        diagnostic: Some(&diagnostic),
        last_attempt: Some(now),
        retry_until: None,
    };
    Ok(build(&Report {
        reporting_mta: &reporting,
        to: to as &Address,
        message_id: &message_id,
        at: now,
        arrival: Some(entry.created_at),
        envelope_id: entry.envid.as_deref(),
        recipients: &[recipient],
        returned: if is_whole { Returned::Full(&original) } else { Returned::Header(&original) },
    }))
}

/// What was refused for good keeps its code; what only ran out of time is 4.4.7 (RFC 3463 §3.5), never a success.
fn status(answer: &Answer) -> EnhancedCode {
    match (answer.kind, answer.reply.enhanced) {
        (AnswerKind::Permanent, Some(code)) if code.0 == 5 => code,
        (AnswerKind::Permanent, _) => EnhancedCode(5, 0, 0),
        _ => EnhancedCode(4, 4, 7),
    }
}

/// The original, whole if its sender asked for that and it is small, otherwise its header.
async fn original(store: &Store, entry: &Claimed) -> Result<(Vec<u8>, bool), Error> {
    let mut reader = store.queued_content(entry).await?;
    let size = reader.size();
    let is_whole = entry.ret.as_deref() == Some("FULL") && size <= ORIGINAL_MAX;
    let end = if is_whole { size } else { size.min(entry.content_offset + HEADER_MAX) };
    let mut original = Vec::new();
    reader.read(entry.content_offset, end, &mut original).await?;
    if !is_whole && let Some(header) = message::header::header_split(&original) {
        original.truncate(header);
    }
    Ok((original, is_whole))
}
