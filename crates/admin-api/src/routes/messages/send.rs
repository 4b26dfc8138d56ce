//! Messages sent.

use crate::access::Caller;
use crate::api::{BASE, Shared};
use crate::json::Query;
use crate::mailbox::{self, Draft, Holder, Recipient, Submission};
use crate::problem::{Code, Problem};
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How to send.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SendQuery {
    /// Whether it goes to the recipients that are accepted when others are refused. Otherwise it goes to all of them or to nobody.
    #[param(default = false)]
    partial: Option<bool>,
    /// Whether a copy goes to the folder of sent messages.
    #[param(default = true)]
    copy: Option<bool>,
}

/// A message that was accepted.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SentMessage {
    /// The copy in the folder of sent messages; null when there is none: it was not asked for, it was sent for another mailbox, which keeps its own,
    /// the mailbox has no such folder or is full, or the same message had been accepted before.
    id: Option<String>,
    /// The Message-ID, where it was made here.
    message_id: Option<String>,
    /// Each recipient with what was said of them.
    recipients: Vec<Recipient>,
}

/// Sends a message
///
/// As JSON, of which it is composed, or as `message/rfc822`, whose header names the recipients (Bcc is taken out). It passes the same door as SMTP submission: 201
/// means that it is on stable storage, with each local recipient's message, the queue entries for others, and the copy of the sender. With an Idempotency-Key it can be
/// sent again after an answer was lost: it is accepted once. The mailbox's address, or one that may be written for, must stand in `from`.
#[utoipa::path(post, path = "/messages", tag = "messages", operation_id = "sendMessage", params(SendQuery),
    request_body(description = "The message: in parts, or whole.", content((Draft = "application/json"), (String = "message/rfc822"))),
    responses((status = 201, description = "It was accepted.", body = SentMessage)))]
pub(super) async fn send_message(
    State(api): Shared,
    caller: Caller,
    Query(query): Query<SendQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let holder = Holder::of(&api, &caller)?;
    if !holder.principal.may_send {
        return Err(Problem::new(Code::Forbidden).detail(
            "you may not send for this mailbox; its administrator can make you an editor",
            "vous ne pouvez envoyer pour cette boîte ; son administrateur peut vous faire rédacteur",
        ));
    }
    let max = mailbox::body_max(api.message_size_max);
    let kind = media_type(&headers)?;
    let octets = mailbox::collect(body, max).await?;
    let own = holder.principal.address.clone();
    let (submission, message_id) = match kind {
        Kind::Raw => (Submission::of_raw(octets, &own)?, None),
        Kind::Json => {
            let draft: Draft = crate::json::read(&octets)?;
            drop(octets);
            let message_id = format!("{}@{}", api.store.new_unit_id(), api.hostname);
            let (id, now) = (message_id.clone(), api.store.now());
            let composed = tokio::task::spawn_blocking(move || draft.compose(&own, &id, now)).await;
            let composed = composed.map_err(|_| Problem::new(Code::Internal))??;
            let submission = Submission {
                content: composed.content,
                from: composed.from,
                recipients: composed.recipients,
                is_partial: false,
                keeps_copy: true,
            };
            (submission, Some(format!("<{message_id}>")))
        }
    };
    let submission = Submission {
        is_partial: query.partial == Some(true),
        keeps_copy: query.copy != Some(false),
        ..submission
    };
    let sent = submission.send(&api, &caller, &holder).await?;
    let id = sent.copy.map(|copy| copy.to_string());
    let location = id.as_ref().and_then(|id| HeaderValue::from_str(&format!("{BASE}/messages/{id}")).ok());
    let answer = SentMessage { id, message_id, recipients: sent.recipients };
    let mut response = (StatusCode::CREATED, axum::Json(answer)).into_response();
    if let Some(location) = location {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

enum Kind {
    Json,
    Raw,
}

fn media_type(headers: &HeaderMap) -> Result<Kind, Problem> {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/json" => Ok(Kind::Json),
        "message/rfc822" => Ok(Kind::Raw),
        _ => Err(Problem::new(Code::MediaType)
            .detail("send application/json or message/rfc822", "envoyez application/json ou message/rfc822")),
    }
}
