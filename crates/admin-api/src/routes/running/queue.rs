//! `/queue`: recipients at other operators that mail waits for. Envelopes and replies, never content.

use crate::access::{Caller, Permission, RouteRule, rule};
use crate::api::{Api, Shared};
use crate::json::{Json, Query};
use crate::page::{self, Page};
use crate::problem::{Code, Problem};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mail_types::{Domain, MailboxId, QueueId};
use serde::{Deserialize, Serialize};
use store::{
    AttemptOutcome, HeldFor, QueueAct, QueueFilter, QueueOrder, QueueRefusal, QueueRow, QueueState, Store,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How long an entry is ours while its sender is written to, in milliseconds.
const LEASE_MS: i64 = 60_000;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] = &[
    rule("GET", "/queue", &[Permission::QueueRead]),
    rule("POST", "/queue/retry", &[Permission::QueueWrite]),
    rule("POST", "/queue/hold", &[Permission::QueueWrite]),
    rule("POST", "/queue/release", &[Permission::QueueWrite]),
    rule("GET", "/queue/{id}", &[Permission::QueueRead]),
    rule("DELETE", "/queue/{id}", &[Permission::QueueWrite]),
    rule("POST", "/queue/{id}/retry", &[Permission::QueueWrite]),
    rule("POST", "/queue/{id}/hold", &[Permission::QueueWrite]),
    rule("POST", "/queue/{id}/release", &[Permission::QueueWrite]),
];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_queue))
        .routes(routes!(retry_queue))
        .routes(routes!(hold_queue))
        .routes(routes!(release_queue))
        .routes(routes!(show_entry, drop_entry))
        .routes(routes!(retry_entry))
        .routes(routes!(hold_entry))
        .routes(routes!(release_entry))
}

/// State of a queue entry.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum QueueStateWord {
    /// Waits for its first attempt.
    Queued,
    /// Waits for another attempt.
    Deferred,
    /// Waits for something other than time: see `heldFor`.
    Held,
    /// Another operator took it.
    Relayed,
    /// Refused for good.
    Bounced,
    /// Given up after its time.
    Expired,
    /// An administrator took it out.
    Dropped,
}

/// What a held entry waits for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HeldForWord {
    /// The recipient's domain left the white list.
    Departure,
    /// It cannot be read.
    Fault,
    /// An administrator holds it.
    Administrator,
}

/// By what a list of entries is ordered.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum QueueSort {
    /// As they were made.
    #[default]
    CreatedAt,
    /// As they are due.
    NextAttemptAt,
}

/// One recipient of one message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueueEntry {
    id: String,
    /// The message that it belongs to; recipients of one message share it.
    message_id: String,
    state: QueueStateWord,
    /// Of a held entry.
    held_for: Option<HeldForWord>,
    /// Whether it is being tried now.
    under_way: bool,
    /// Who hears of a failure; empty for notifications.
    sender: String,
    /// Our mailbox that sent it; null for notifications.
    sender_mailbox_id: Option<String>,
    recipient: String,
    /// Attempts made.
    #[schema(minimum = 0)]
    attempts: u32,
    #[schema(format = DateTime)]
    created_at: String,
    /// When it is tried next, if it is not held or finished.
    #[schema(format = DateTime)]
    next_attempt_at: String,
    #[schema(format = DateTime)]
    last_attempt_at: Option<String>,
    /// When it is given up.
    #[schema(format = DateTime)]
    expires_at: String,
    /// What was said last, by the other operator or by this one.
    last_reply: Option<String>,
}

/// Which entries are meant; every member that is given must match.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct QueueSelection {
    /// To this domain.
    #[schema(min_length = 1, max_length = 255, example = "clinique-sud.example")]
    domain: Option<String>,
    /// From this mailbox.
    #[schema(pattern = "^[0-9]{1,18}$")]
    sender_mailbox_id: Option<String>,
    state: Option<QueueStateWord>,
    held_for: Option<HeldForWord>,
}

/// What became of a selection.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueueOutcome {
    /// How many entries it was done with.
    #[schema(minimum = 0)]
    entries: u64,
}

/// What to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct QueueQuery {
    /// Where the page begins: `nextCursor` of the one before.
    #[param(max_length = 1024)]
    cursor: Option<String>,
    /// Rows of the page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// Finished entries too.
    all: Option<bool>,
    /// In this state.
    #[param(inline)]
    state: Option<QueueStateWord>,
    /// To this domain.
    #[param(max_length = 255)]
    domain: Option<String>,
    /// From this mailbox.
    #[param(pattern = "^[0-9]{1,18}$")]
    sender_mailbox_id: Option<String>,
    /// Held for this.
    #[param(inline)]
    held_for: Option<HeldForWord>,
    /// The order.
    #[param(inline)]
    sort: Option<QueueSort>,
}

/// How an entry is taken out.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DropQuery {
    /// Whether its sender gets a notification (RFC 3464) that it was not delivered.
    #[param(default = true)]
    notify: Option<bool>,
}

/// Lists the queue
///
/// Those that wait, unless `all` or `state` asks for others.
#[utoipa::path(get, path = "/queue", tag = "queue", operation_id = "listQueue", params(QueueQuery),
    responses((status = 200, description = "A page of entries.", body = Page<QueueEntry>)))]
async fn list_queue(
    State(api): Shared,
    Query(query): Query<QueueQuery>,
) -> Result<axum::Json<Page<QueueEntry>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after = begin(&page::after(query.cursor.as_deref())?)?;
    let order = match query.sort.unwrap_or_default() {
        QueueSort::CreatedAt => QueueOrder::CreatedAt,
        QueueSort::NextAttemptAt => QueueOrder::NextAttemptAt,
    };
    let in_query =
        |name: &'static str| move |english: &str, french: &str| Problem::value(name, english, french);
    let filter = QueueFilter {
        with_finished: query.all.unwrap_or(false),
        state: query.state.map(Into::into),
        domain: query.domain.as_deref().map(|name| domain(name, in_query("domain"))).transpose()?,
        sender: query
            .sender_mailbox_id
            .as_deref()
            .map(|id| mailbox(id, in_query("senderMailboxId")))
            .transpose()?,
        held_for: query.held_for.map(Into::into),
    };
    let rows = api.store.queue_page(&filter, order, after, limit + 1).await?;
    let key = |row: &QueueRow| {
        let at = if order == QueueOrder::NextAttemptAt { row.next_attempt_at.0 } else { 0 };
        format!("{at} {}", row.id)
    };
    Ok(axum::Json(Page::of(rows, limit, key).map(|row| shown(&api, row))))
}

/// Shows a queue entry
///
/// Its envelope, its attempts and the last reply.
#[utoipa::path(get, path = "/queue/{id}", tag = "queue", operation_id = "showQueueEntry", params(("id" = String, Path, description = "Its id.", pattern = "^[0-9]{1,18}$")),
    responses((status = 200, description = "The entry.", body = QueueEntry)))]
async fn show_entry(State(api): Shared, Path(id): Path<String>) -> Result<axum::Json<QueueEntry>, Problem> {
    shown_now(&api, entry_id(&id)?).await
}

/// Tries a queue entry now
///
/// Also one that is held. One that is being tried is a conflict.
#[utoipa::path(post, path = "/queue/{id}/retry", tag = "queue", operation_id = "retryQueueEntry", params(("id" = String, Path, description = "Its id.", pattern = "^[0-9]{1,18}$")),
    responses((status = 200, description = "The entry, due now.", body = QueueEntry)))]
async fn retry_entry(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<axum::Json<QueueEntry>, Problem> {
    act(&api, &caller, &id, QueueAct::Retry).await
}

/// Holds a queue entry
///
/// It is not tried, and does not expire, until it is released.
#[utoipa::path(post, path = "/queue/{id}/hold", tag = "queue", operation_id = "holdQueueEntry", params(("id" = String, Path, description = "Its id.", pattern = "^[0-9]{1,18}$")),
    responses((status = 200, description = "The entry, held.", body = QueueEntry)))]
async fn hold_entry(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<axum::Json<QueueEntry>, Problem> {
    act(&api, &caller, &id, QueueAct::Hold).await
}

/// Releases a held queue entry
///
/// It is tried now. One whose domain is not listed is held again.
#[utoipa::path(post, path = "/queue/{id}/release", tag = "queue", operation_id = "releaseQueueEntry", params(("id" = String, Path, description = "Its id.", pattern = "^[0-9]{1,18}$")),
    responses((status = 200, description = "The entry, due now.", body = QueueEntry)))]
async fn release_entry(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<axum::Json<QueueEntry>, Problem> {
    act(&api, &caller, &id, QueueAct::Release).await
}

/// Drops a queue entry
///
/// The message does not reach this recipient. The header `Reason` is required and goes to the audit trail.
#[utoipa::path(delete, path = "/queue/{id}", tag = "queue", operation_id = "dropQueueEntry",
    params(("id" = String, Path, description = "Its id.", pattern = "^[0-9]{1,18}$"), DropQuery,
        ("Reason" = String, Header, description = "Why, for those who read the audit trail.", min_length = 1, max_length = 500,
            pattern = "^[^\\u0000-\\u0008\\u000a-\\u001f\\u007f-\\u009f]+$")),
    responses((status = 204, description = "It is dropped; its sender was told, if that was asked for.")))]
async fn drop_entry(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<DropQuery>,
) -> Result<StatusCode, Problem> {
    if caller.reason.is_none() {
        return Err(Problem::new(Code::Header).at_header("Reason").detail(
            "say in the header Reason why the message is dropped",
            "dites dans l'en-tête Reason pourquoi le message est retiré",
        ));
    }
    let (id, store) = (entry_id(&id)?, api.store_of(&caller));
    if query.notify.unwrap_or(true) {
        drop_and_tell(&api, &store, id).await?;
    } else {
        store.drop_entry(id).await??;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Tries many queue entries now
///
/// Those that wait and that the selection finds, all without one; what is held stays so.
#[utoipa::path(post, path = "/queue/retry", tag = "queue", operation_id = "retryQueue", request_body = QueueSelection,
    responses((status = 200, description = "How many are due now.", body = QueueOutcome)))]
async fn retry_queue(
    State(api): Shared,
    caller: Caller,
    Json(selection): Json<QueueSelection>,
) -> Result<axum::Json<QueueOutcome>, Problem> {
    act_on_many(&api, &caller, &selection, QueueAct::Retry).await
}

/// Holds many queue entries
///
/// Those that wait and that the selection finds, all without one.
#[utoipa::path(post, path = "/queue/hold", tag = "queue", operation_id = "holdQueue", request_body = QueueSelection,
    responses((status = 200, description = "How many are held.", body = QueueOutcome)))]
async fn hold_queue(
    State(api): Shared,
    caller: Caller,
    Json(selection): Json<QueueSelection>,
) -> Result<axum::Json<QueueOutcome>, Problem> {
    act_on_many(&api, &caller, &selection, QueueAct::Hold).await
}

/// Releases many queue entries
///
/// Those that are held and that the selection finds, all without one.
#[utoipa::path(post, path = "/queue/release", tag = "queue", operation_id = "releaseQueue", request_body = QueueSelection,
    responses((status = 200, description = "How many are due now.", body = QueueOutcome)))]
async fn release_queue(
    State(api): Shared,
    caller: Caller,
    Json(selection): Json<QueueSelection>,
) -> Result<axum::Json<QueueOutcome>, Problem> {
    act_on_many(&api, &caller, &selection, QueueAct::Release).await
}

async fn act(api: &Api, caller: &Caller, id: &str, act: QueueAct) -> Result<axum::Json<QueueEntry>, Problem> {
    let id = entry_id(id)?;
    api.store_of(caller).act_on_entry(id, act).await??;
    shown_now(api, id).await
}

async fn act_on_many(
    api: &Api,
    caller: &Caller,
    selection: &QueueSelection,
    act: QueueAct,
) -> Result<axum::Json<QueueOutcome>, Problem> {
    let in_body =
        |pointer: &'static str| move |english: &str, french: &str| Problem::invalid(pointer, english, french);
    let filter = QueueFilter {
        with_finished: false,
        state: selection.state.map(Into::into),
        domain: selection.domain.as_deref().map(|name| domain(name, in_body("/domain"))).transpose()?,
        sender: selection
            .sender_mailbox_id
            .as_deref()
            .map(|id| mailbox(id, in_body("/senderMailboxId")))
            .transpose()?,
        held_for: selection.held_for.map(Into::into),
    };
    let entries = api.store_of(caller).act_on_queue(&filter, act).await?;
    Ok(axum::Json(QueueOutcome { entries }))
}

/// The notification is committed with the end of the entry, or neither is.
async fn drop_and_tell(api: &Api, store: &Store, id: QueueId) -> Result<(), Problem> {
    let entry = store.claim_entry(id, LEASE_MS).await??;
    let (reply, notification) = api.ports.returns.dropped(&entry).await?;
    let is_done = store.conclude(&entry, AttemptOutcome::Dropped { reply }, notification).await?;
    is_done.then_some(()).ok_or_else(|| QueueRefusal::UnderWay.into())
}

async fn shown_now(api: &Api, id: QueueId) -> Result<axum::Json<QueueEntry>, Problem> {
    let row = api.store.queue_entry(id).await?.ok_or(Problem::new(Code::NotFound))?;
    Ok(axum::Json(shown(api, row)))
}

fn shown(api: &Api, row: QueueRow) -> QueueEntry {
    let now = api.store.now();
    QueueEntry {
        id: row.id.to_string(),
        message_id: row.unit.to_string(),
        state: row.state.into(),
        held_for: row.held_for.map(Into::into),
        under_way: row.leased_until.is_some_and(|until| until > now),
        sender: row.reverse_path,
        sender_mailbox_id: row.sender_mailbox.map(|id| id.to_string()),
        recipient: row.recipient,
        attempts: row.attempts,
        created_at: crate::json::instant(row.created_at),
        next_attempt_at: crate::json::instant(row.next_attempt_at),
        last_attempt_at: row.last_attempt_at.map(crate::json::instant),
        expires_at: crate::json::instant(row.expires_at),
        last_reply: row.last_reply,
    }
}

fn entry_id(text: &str) -> Result<QueueId, Problem> {
    text.parse().map(QueueId).map_err(|_| Problem::new(Code::NotFound))
}

fn domain(text: &str, fault: impl Fn(&str, &str) -> Problem) -> Result<Domain, Problem> {
    text.parse().map_err(|_| fault("is not the name of a domain", "n'est pas un nom de domaine"))
}

fn mailbox(text: &str, fault: impl Fn(&str, &str) -> Problem) -> Result<MailboxId, Problem> {
    text.parse()
        .map(MailboxId)
        .map_err(|_| fault("is not the id of a mailbox", "n'est pas l'identifiant d'une boîte"))
}

/// What a cursor of this list says to begin after.
fn begin(after: &str) -> Result<(i64, QueueId), Problem> {
    if after.is_empty() {
        return Ok((i64::MIN, QueueId(0)));
    }
    let parsed =
        after.split_once(' ').and_then(|(at, id)| Some((at.parse().ok()?, QueueId(id.parse().ok()?))));
    parsed.ok_or_else(page::foreign)
}

impl From<QueueState> for QueueStateWord {
    fn from(state: QueueState) -> Self {
        match state {
            QueueState::Queued => Self::Queued,
            QueueState::Deferred => Self::Deferred,
            QueueState::Held => Self::Held,
            QueueState::Relayed => Self::Relayed,
            QueueState::Bounced => Self::Bounced,
            QueueState::Expired => Self::Expired,
            QueueState::Dropped => Self::Dropped,
        }
    }
}

impl From<QueueStateWord> for QueueState {
    fn from(word: QueueStateWord) -> Self {
        match word {
            QueueStateWord::Queued => Self::Queued,
            QueueStateWord::Deferred => Self::Deferred,
            QueueStateWord::Held => Self::Held,
            QueueStateWord::Relayed => Self::Relayed,
            QueueStateWord::Bounced => Self::Bounced,
            QueueStateWord::Expired => Self::Expired,
            QueueStateWord::Dropped => Self::Dropped,
        }
    }
}

impl From<HeldFor> for HeldForWord {
    fn from(held_for: HeldFor) -> Self {
        match held_for {
            HeldFor::Departure => Self::Departure,
            HeldFor::Fault => Self::Fault,
            HeldFor::Administrator => Self::Administrator,
        }
    }
}

impl From<HeldForWord> for HeldFor {
    fn from(word: HeldForWord) -> Self {
        match word {
            HeldForWord::Departure => Self::Departure,
            HeldForWord::Fault => Self::Fault,
            HeldForWord::Administrator => Self::Administrator,
        }
    }
}

impl From<QueueRefusal> for Problem {
    fn from(refusal: QueueRefusal) -> Self {
        match refusal {
            QueueRefusal::Unknown => Self::new(Code::NotFound),
            QueueRefusal::UnderWay => Self::new(Code::Conflict)
                .detail(
                    "an attempt is under way; try again when it has ended",
                    "une tentative est en cours ; réessayez quand elle sera finie",
                )
                .retry_after(30),
            QueueRefusal::State(state) => {
                let word = state.as_str();
                Self::new(Code::Conflict).detail(
                    format!("the entry is {word}: nothing of the kind can be done with it"),
                    format!("l'entrée est dans l'état {word} : cela ne s'y applique pas"),
                )
            }
            QueueRefusal::Unreadable => Self::new(Code::Conflict).detail(
                "the entry cannot be read, so its sender cannot be told; drop it with notify=false",
                "l'entrée est illisible, son expéditeur ne peut être averti ; retirez-la avec notify=false",
            ),
        }
    }
}
