//! The notification of a failed recipient (RFC 3464), with as much of the original as its sender asked for.

use crate::Delivery;
use crate::outcome::{Answer, AnswerKind};
use mail_types::{Address, Domain, EnhancedCode, ReversePath, Timestamp};
use message::dsn::{Action, RecipientReport, Report, Returned, build};
use store::{Claimed, Error};

/// Header octets returned at most.
const HEADER_MAX: u64 = 256 * 1024;
/// A whole original is returned up to this size.
const ORIGINAL_MAX: u64 = 1024 * 1024;

/// Writes the notification that an entry failed.
pub(crate) async fn failure(
    delivery: &Delivery,
    entry: &Claimed,
    answer: &Answer,
    now: Timestamp,
) -> Result<Vec<u8>, Error> {
    let ReversePath::Address(to) = &entry.reverse_path else {
        return Err(Error::Inconsistent("a notification has nobody to go to"));
    };
    let reporting: Domain =
        delivery.hostname.parse().map_err(|_| Error::Inconsistent("the host name is not a domain"))?;
    // A body that cannot be read must not keep the news of its loss from its sender.
    let (original, is_whole) = original(delivery, entry).await.unwrap_or_else(|error| {
        tracing::error!(entry = %entry.id, %error, "the original of a failed message cannot be read; the notification goes without it");
        (Vec::new(), false)
    });
    let message_id = format!("<{}@{reporting}>", delivery.store.new_unit_id());
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
async fn original(delivery: &Delivery, entry: &Claimed) -> Result<(Vec<u8>, bool), Error> {
    let mut reader = delivery.store.queued_content(entry).await?;
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
