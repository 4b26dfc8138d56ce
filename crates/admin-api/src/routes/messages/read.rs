//! Messages read: decoded, raw, part by part.

use super::shown::{MessageSummary, people};
use crate::access::Caller;
use crate::api::Shared;
use crate::json::Shown;
use crate::mailbox::{self, Correspondent, Holder, Letter, MessageId, content_disposition};
use crate::problem::{Code, Problem};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{
    CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Response};
use message::structure::{Part, PartRole};
use serde::Serialize;
use utoipa::ToSchema;

/// Attachments that are shown of one message.
const ATTACHMENTS_MAX: usize = 1000;
/// What a browser may do with what a stranger wrote: nothing.
const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox; default-src 'none'");

/// A field of a header.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HeaderField {
    /// Its name, as written.
    #[schema(example = "Subject")]
    name: String,
    /// Its value, unfolded and decoded.
    value: String,
}

/// Something that is attached to a message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Attachment {
    /// Its number, for its path.
    #[schema(example = "2")]
    part: String,
    /// The name that its sender gave it. It is not a safe file name: what is downloaded has one.
    filename: Option<String>,
    /// Its type, as its sender says.
    #[schema(example = "application/pdf")]
    content_type: String,
    /// Octets as they are encoded in the message.
    encoded_size: u64,
    /// Whether its sender wants it shown in place.
    inline: bool,
    /// Its Content-ID, by which HTML names it.
    content_id: Option<String>,
}

/// A message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Message {
    #[serde(flatten)]
    summary: MessageSummary,
    /// To whom without the others being told, where that stands in the message.
    bcc: Vec<Correspondent>,
    /// To whom an answer goes.
    reply_to: Vec<Correspondent>,
    /// The identifier of the message that it answers.
    in_reply_to: Option<String>,
    /// Its header, in order; at most 256 KiB of it.
    headers: Vec<HeaderField>,
    /// Its text, in UTF-8; at most 1 MiB as it is encoded.
    text: Option<String>,
    /// Its HTML, in UTF-8, as its author wrote it: not safe to be shown as it is. At most 1 MiB as it is encoded.
    html: Option<String>,
    /// Whether there is more of `text` or `html` than is given here; the whole is in `raw`.
    is_truncated: bool,
    /// What is attached; at most 1,000.
    attachments: Vec<Attachment>,
}

/// Shows a message
///
/// Its header, its text and HTML in UTF-8, and what is attached. It does not become seen by that. The HTML is as its author wrote it: it is not safe to
/// be shown as it is. The right `r` is needed. What another than the holder reads is told of in the audit trail.
#[utoipa::path(get, path = "/messages/{id}", tag = "messages", operation_id = "getMessage",
    params(("id" = String, Path, description = "Its identifier.")),
    responses((status = 200, description = "The message.", body = Message)))]
pub(super) async fn show_message(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Shown<Message>, Problem> {
    let holder = Holder::of(&api, &caller)?;
    let (id, mut letter) = open(&holder, &id).await?;
    let parts = letter.structure.parts();
    let fields = letter.fields().await?;
    let texts = letter.texts(&parts).await?;
    let keywords = holder.store.keywords(id.folder).await?;
    let head = letter.structure.letterhead();
    note(&holder, id, "content").await?;
    let attachments = parts.iter().filter(|part| part.role == PartRole::Attachment);
    let value = Message {
        bcc: people(head.bcc.clone()),
        reply_to: people(head.reply_to.clone()),
        in_reply_to: head.in_reply_to.clone(),
        summary: MessageSummary::of(id, &letter.listed, head, &letter.structure, &keywords),
        headers: fields.into_iter().map(|(name, value)| HeaderField { name, value }).collect(),
        text: texts.plain,
        html: texts.html,
        is_truncated: texts.is_cut,
        attachments: attachments.take(ATTACHMENTS_MAX).map(shown).collect(),
    };
    Ok(Shown { revision: revision(&letter), value })
}

/// Gives a message as it is
///
/// Its octets (RFC 5322). The right `r` is needed. What another than the holder reads is told of in the audit trail.
#[utoipa::path(get, path = "/messages/{id}/raw", tag = "messages", operation_id = "getRawMessage",
    params(("id" = String, Path, description = "Its identifier.")),
    responses((status = 200, description = "Its octets.", body = String, content_type = "message/rfc822")))]
pub(super) async fn raw_message(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response<Body>, Problem> {
    let holder = Holder::of(&api, &caller)?;
    let (id, letter) = open(&holder, &id).await?;
    note(&holder, id, "raw").await?;
    let (revision, size) = (revision(&letter), letter.reader.size());
    let mut response = Response::new(mailbox::raw(letter.reader, 0..size));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("message/rfc822"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    headers.insert(CONTENT_DISPOSITION, content_disposition(None, &format!("message-{id}.eml")));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, SANDBOX);
    headers.insert(ETAG, crate::etag::etag(revision));
    Ok(response)
}

/// Gives a part of a message, decoded
///
/// The octets of any part that `attachments` names, or of a text by its number. They come as a download with a safe file name. The right `r` is needed.
/// What another than the holder reads is told of in the audit trail.
#[utoipa::path(get, path = "/messages/{id}/attachments/{part}", tag = "messages", operation_id = "getAttachment",
    params(("id" = String, Path, description = "The message."), ("part" = String, Path, description = "The number of the part, `2` or `1.2`.")),
    responses((status = 200, description = "Its octets.", body = String, content_type = "*/*")))]
pub(super) async fn attachment(
    State(api): Shared,
    caller: Caller,
    Path((id, part)): Path<(String, String)>,
) -> Result<Response<Body>, Problem> {
    let holder = Holder::of(&api, &caller)?;
    let (id, letter) = open(&holder, &id).await?;
    let wanted = letter.structure.parts().into_iter().find(|known| number(&known.path) == part);
    let wanted = wanted.ok_or_else(|| Problem::new(Code::NotFound))?;
    note(&holder, id, &format!("part {part}")).await?;
    let name = content_disposition(wanted.name.as_deref(), &format!("part-{part}"));
    let kind = content_type(&wanted);
    let mut response = Response::new(mailbox::decoded(letter.reader, wanted.body, wanted.encoding));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CONTENT_DISPOSITION, name);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, SANDBOX);
    Ok(response)
}

async fn open(holder: &Holder, id: &str) -> Result<(MessageId, Letter), Problem> {
    let id: MessageId = id.parse()?;
    holder.place_of(id).await?.must("r")?;
    Ok((id, Letter::open(holder, id).await?))
}

/// One row for each message read, on stable storage before anything of it is sent.
pub(super) async fn note(holder: &Holder, id: MessageId, what: &str) -> Result<(), Problem> {
    let detail = format!("folder={} uid={} what={what}", id.folder, id.uid.0);
    holder.note_reading("message.read", detail).await
}

pub(super) fn revision(letter: &Letter) -> i64 {
    i64::try_from(letter.listed.row.modseq.0).unwrap_or(i64::MAX)
}

fn shown(part: &Part) -> Attachment {
    Attachment {
        part: number(&part.path),
        filename: part.name.clone(),
        content_type: part.media_type.clone(),
        encoded_size: part.body.end - part.body.start,
        inline: part.is_inline,
        content_id: part.content_id.clone(),
    }
}

/// `1.2`
fn number(path: &[u32]) -> String {
    path.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
}

fn content_type(part: &Part) -> HeaderValue {
    let is_charset =
        |charset: &&str| charset.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b));
    let charset = part.charset.as_deref().filter(|charset| !charset.is_empty()).filter(is_charset);
    let kind = match charset {
        Some(charset) if part.media_type.starts_with("text/") => {
            format!("{}; charset={charset}", part.media_type)
        }
        _ => part.media_type.clone(),
    };
    HeaderValue::from_str(&kind).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}
