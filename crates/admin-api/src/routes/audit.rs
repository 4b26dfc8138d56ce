//! `/audit`: the audit trail read, verified, exported and held; `/mailboxes/{id}/accesses`: who else opened a mailbox. Whoever reads here is told of in the trail.

use crate::access::{Caller, Permission, RouteRule, rule};
use crate::api::{Api, Shared};
use crate::instant::Instant;
use crate::jobs::{JobKind, Started};
use crate::json::{Json, Query, instant};
use crate::page::{self, Page};
use crate::problem::{Code, Problem};
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::Response;
use mail_types::{ActorId, MailboxId, Timestamp, UnitId};
use serde::{Deserialize, Serialize};
use store::{AuditFilter, AuditPage, AuditPlace, AuditRow, ChainId, ExportFormat, Opened, SealMark};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] = &[
    rule("GET", "/audit", &[Permission::AuditRead]),
    rule("GET", "/audit/rows/{chain}/{seq}", &[Permission::AuditRead]),
    rule("GET", "/audit/seal", &[Permission::AuditRead]),
    rule("POST", "/audit/verify", &[Permission::AuditRead]),
    rule("GET", "/audit/export", &[Permission::AuditRead]),
    rule("GET", "/mailboxes/{id}/accesses", &[Permission::MailboxesRead, Permission::OwnMailbox]),
];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(search))
        .routes(routes!(show_row))
        .routes(routes!(seal))
        .routes(routes!(verify))
        .routes(routes!(export))
        .routes(routes!(accesses))
}

/// A row of the audit trail.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditEvent {
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// The chain that it is a row of.
    #[schema(example = "5f0c9d0e4a6b4d1f8f3a7c2b1e0d9c8a")]
    chain: String,
    /// Its number in the chain.
    seq: i64,
    /// `mail`, `access`, `admin` or `trust`.
    category: String,
    /// What was done.
    #[schema(example = "mailbox.created")]
    action: String,
    /// How it ended.
    #[schema(example = "ok")]
    outcome: String,
    /// Number of whoever did it.
    actor: Option<String>,
    /// What proved them.
    #[schema(example = "key:3")]
    credential: Option<String>,
    /// By which door: `mx`, `submission`, `imap`, `rest`, `cli`, `system`.
    via: Option<String>,
    /// On what.
    #[schema(example = "user:12")]
    target: Option<String>,
    /// Number of the mailbox that it is about.
    mailbox: Option<String>,
    /// The message that it is about.
    unit: Option<String>,
    /// The request that it is a part of.
    request: Option<String>,
    /// Facts without personal data.
    detail: String,
    /// Personal fields: `whence`, `why`, `before`, `after`, addresses; null when there are none.
    #[schema(value_type = Option<Object>)]
    personal: Option<serde_json::Value>,
    /// Whether the key of the personal fields was destroyed.
    erased: bool,
    /// The row's hash.
    hash: String,
}

impl From<AuditRow> for AuditEvent {
    fn from(row: AuditRow) -> Self {
        let erased = row.personal == Opened::Erased;
        let personal = match row.personal {
            Opened::Fields(fields) => Some(serde_json::Value::Object(fields)),
            Opened::Nothing | Opened::Erased | Opened::Damaged => None,
        };
        Self {
            at: instant(Timestamp(row.place.at_ms)),
            chain: row.place.chain.to_string(),
            seq: row.place.seq,
            category: row.category,
            action: row.action,
            outcome: row.outcome,
            actor: row.actor.map(|id| id.to_string()),
            credential: row.credential,
            via: row.via,
            target: row.target,
            mailbox: row.mailbox.map(|id| id.to_string()),
            unit: row.unit.map(|id| id.to_string()),
            request: row.request,
            detail: row.detail,
            personal,
            erased,
            hash: store::hexadecimal(&row.hash),
        }
    }
}

/// Declares the parameters of a query for rows, with others before them, and how they become a filter.
macro_rules! filter_query {
    ($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $member:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Deserialize, IntoParams)]
        #[serde(deny_unknown_fields)]
        #[into_params(parameter_in = Query)]
        pub(crate) struct $name {
            $($(#[$attribute])* $member: $type,)*
            /// `mail`, `access`, `admin` or `trust`.
            #[param(inline)]
            category: Option<AuditCategory>,
            /// An action; with `*` at its end, every action that begins so.
            #[param(max_length = 64, example = "mailbox.*")]
            action: Option<String>,
            /// How it ended.
            #[param(max_length = 64)]
            outcome: Option<String>,
            /// Number of whoever did it.
            #[param(max_length = 20, pattern = "^[1-9][0-9]{0,17}$")]
            actor: Option<String>,
            /// Number of the mailbox that it is about.
            #[param(max_length = 20, pattern = "^[1-9][0-9]{0,17}$")]
            mailbox: Option<String>,
            /// On what.
            #[param(max_length = 128, example = "user:12")]
            target: Option<String>,
            /// By which door: `mx`, `submission`, `imap`, `rest`, `cli`, `system`.
            #[param(max_length = 16)]
            via: Option<String>,
            /// The message that it is about.
            #[param(max_length = 32, pattern = "^[0-9a-f]{32}$")]
            unit: Option<String>,
            /// The request that it is a part of.
            #[param(max_length = 64)]
            request: Option<String>,
            /// Not before this instant.
            #[param(format = DateTime)]
            from: Option<String>,
            /// Before this instant.
            #[param(format = DateTime)]
            to: Option<String>,
            /// Whose personal fields are of this address, or about the mailbox that has it.
            #[param(max_length = 320)]
            address: Option<String>,
        }

        impl $name {
            fn filter(&self) -> Result<AuditFilter, Problem> {
                Ok(AuditFilter {
                    category: self.category.map(Into::into),
                    action: word("action", &self.action)?,
                    outcome: word("outcome", &self.outcome)?,
                    actor: number("actor", &self.actor)?.map(ActorId),
                    mailbox: number("mailbox", &self.mailbox)?.map(MailboxId),
                    target: word("target", &self.target)?,
                    via: word("via", &self.via)?,
                    unit: unit(&self.unit)?,
                    request: word("request", &self.request)?,
                    from: at("from", &self.from)?,
                    to: at("to", &self.to)?,
                    address: word("address", &self.address)?,
                    not_actor: None,
                })
            }
        }
    };
}

filter_query! {
    /// Which rows, and which page of them. What is not said matches everything.
    AuditQuery {
        /// Where the page begins: `nextCursor` of the one before.
        #[param(max_length = 1024)]
        cursor: Option<String>,
        /// Rows of the page, at most. A page may be shorter and not the last: a bounded number of rows is looked at for each.
        #[param(minimum = 1, maximum = 500, default = 50)]
        limit: Option<u32>,
    }
}

filter_query! {
    /// Which rows, and how they are written. What is not said matches everything.
    ExportQuery {
        /// `csv` (semicolons, UTF-8 with byte order mark) or `jsonl` (one JSON object a line).
        #[param(inline)]
        format: Option<AuditFormat>,
    }
}

/// Which chains rows belong to.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AuditCategory {
    /// Messages accepted, delivered, relayed, bounced.
    Mail,
    /// Logins, refusals, mailboxes read by others than their holder, the trail read.
    Access,
    /// What administrators do.
    Admin,
    /// Judgements of peers and certificates.
    Trust,
}

impl From<AuditCategory> for store::Category {
    fn from(category: AuditCategory) -> Self {
        match category {
            AuditCategory::Mail => Self::Mail,
            AuditCategory::Access => Self::Access,
            AuditCategory::Admin => Self::Admin,
            AuditCategory::Trust => Self::Trust,
        }
    }
}

/// How an export is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AuditFormat {
    /// Fields between semicolons, UTF-8 with a byte order mark.
    Csv,
    /// One JSON object a line.
    #[default]
    Jsonl,
}

fn number(name: &str, text: &Option<String>) -> Result<Option<i64>, Problem> {
    let read = |text: &String| text.parse().ok().filter(|id| *id > 0);
    let wrong =
        || Problem::parameter(name, "is not a number of a row".to_owned(), "n'est pas un numéro".to_owned());
    text.as_ref().map(|text| read(text).ok_or_else(wrong)).transpose()
}

/// A word to compare with; PostgreSQL knows none with a NUL.
fn word(name: &str, text: &Option<String>) -> Result<Option<String>, Problem> {
    let is_fine = |text: &String| text.len() <= 512 && !text.contains('\0');
    let wrong = || {
        let (english, french) = ("is too long, or holds a NUL", "est trop long ou contient un caractère NUL");
        Problem::parameter(name, english.to_owned(), french.to_owned())
    };
    text.as_ref().map(|text| is_fine(text).then(|| text.clone()).ok_or_else(wrong)).transpose()
}

fn at(name: &str, text: &Option<String>) -> Result<Option<Timestamp>, Problem> {
    let wrong = || {
        let english = "is not an instant of RFC 3339, such as 2027-01-31T23:59:59Z".to_owned();
        Problem::parameter(
            name,
            english,
            "n'est pas un instant RFC 3339, par exemple 2027-01-31T23:59:59Z".to_owned(),
        )
    };
    text.as_ref().map(|text| Instant::parse(text).map(|at| at.0).ok_or_else(wrong)).transpose()
}

fn unit(text: &Option<String>) -> Result<Option<UnitId>, Problem> {
    let wrong = || {
        let (english, french) = ("is not the id of a message", "n'est pas l'identifiant d'un message");
        Problem::parameter("unit", english.to_owned(), french.to_owned())
    };
    text.as_ref().map(|text| text.parse::<ChainId>().map(|id| UnitId(id.0)).map_err(|_| wrong())).transpose()
}

/// Lists rows of the audit trail
///
/// Newest first, personal fields opened. The look is itself a row of the trail.
#[utoipa::path(get, path = "/audit", tag = "audit", operation_id = "searchAudit", params(AuditQuery),
    responses((status = 200, description = "A page of rows.", body = Page<AuditEvent>)))]
async fn search(
    State(api): Shared,
    caller: Caller,
    Query(query): Query<AuditQuery>,
) -> Result<axum::Json<Page<AuditEvent>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after = place(query.cursor.as_deref())?;
    let page = api.store_of(&caller).search_audit(&query.filter()?, after, limit).await?;
    Ok(axum::Json(shown(page)))
}

/// Shows a row of the audit trail
///
/// Its personal fields opened. The look is itself a row of the trail.
#[utoipa::path(get, path = "/audit/rows/{chain}/{seq}", tag = "audit", operation_id = "showAuditRow",
    params(("chain" = String, Path, description = "The chain.", pattern = "^[0-9a-f]{32}$"),
        ("seq" = i64, Path, description = "The number in the chain.", minimum = 1)),
    responses((status = 200, description = "The row.", body = AuditEvent)))]
async fn show_row(
    State(api): Shared,
    caller: Caller,
    Path((chain, seq)): Path<(String, String)>,
) -> Result<axum::Json<AuditEvent>, Problem> {
    let absent = || Problem::new(Code::NotFound);
    let chain: ChainId = chain.parse().map_err(|_| absent())?;
    let seq = seq.parse().map_err(|_| absent())?;
    let row = api.store_of(&caller).audit_row(chain, seq).await?;
    row.map(|row| axum::Json(row.into())).ok_or_else(absent)
}

/// The latest seal, and the key that verifies it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditSealShown {
    /// Number of the latest seal; zero before the first.
    sequence: i64,
    /// Its hash; null before the first.
    hash: Option<String>,
    /// Number and hash, as the verification takes it: keep it elsewhere.
    #[schema(example = "42:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    mark: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    at: Option<String>,
    /// Rows that no seal covers yet.
    rows_unsealed: u64,
    /// The public key (Ed25519) in hexadecimal.
    key: String,
    /// The beginning of the key's SHA-256.
    key_id: String,
}

/// Shows the latest seal of the audit trail
///
/// With the key that verifies it. Whoever keeps the mark elsewhere can tell the trail from one that was cut off together with its seals.
#[utoipa::path(get, path = "/audit/seal", tag = "audit", operation_id = "showAuditSeal",
    responses((status = 200, description = "The seal.", body = AuditSealShown)))]
async fn seal(State(api): Shared) -> Result<axum::Json<AuditSealShown>, Problem> {
    let seal = api.store.latest_seal().await?;
    let key = api.store.audit_key();
    Ok(axum::Json(AuditSealShown {
        sequence: seal.as_ref().map_or(0, |seal| seal.seq),
        hash: seal.as_ref().map(|seal| store::hexadecimal(&seal.hash)),
        mark: seal.as_ref().map(|seal| seal.mark().to_string()),
        at: seal.as_ref().map(|seal| instant(seal.at)),
        rows_unsealed: api.store.audit_rows_unsealed().await?,
        key: key.hexadecimal(),
        key_id: key.id(),
    }))
}

/// What to verify against.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditVerification {
    /// A seal that was kept elsewhere: its number, a colon, its hash.
    #[schema(max_length = 90, pattern = "^[1-9][0-9]{0,17}:[0-9a-f]{64}$")]
    seal: Option<String>,
}

/// A verification that was taken on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditJob {
    /// Number of the job: `/jobs/{id}` tells what becomes of it.
    id: String,
    /// `queued`.
    state: String,
}

/// Verifies the audit trail
///
/// A job: its result says whether the trail is sound, and locates what was changed, removed, cut off or forged.
#[utoipa::path(post, path = "/audit/verify", tag = "audit", operation_id = "verifyAudit", request_body = AuditVerification,
    responses((status = 202, description = "The job.", body = AuditJob)))]
async fn verify(
    State(api): Shared,
    caller: Caller,
    Json(against): Json<AuditVerification>,
) -> Result<Started, Problem> {
    let wrong = |_| {
        let english = "is not a seal's number, a colon and its hash";
        Problem::invalid("/seal", english, "n'est pas le numéro d'un sceau, deux-points et son empreinte")
    };
    let known = against.seal.as_deref().map(str::parse::<SealMark>).transpose().map_err(wrong)?;
    let store = api.store_of(&caller);
    api.start_job(&caller, JobKind::AuditVerify, move |progress| async move {
        let found = store.verify_audit(known, |rows| progress.set_done(rows)).await?;
        Ok(found.json())
    })
    .await
}

/// Exports the audit trail
///
/// Oldest row first, a stream that ends with a line of its own: the signature. `vaguemestre audit verify-export` verifies it offline. A stream that was cut
/// off has no signature.
#[utoipa::path(get, path = "/audit/export", tag = "audit", operation_id = "exportAudit", params(ExportQuery),
    responses((status = 200, description = "The rows, and the signature.", content(
        (String = "application/jsonl"), (String = "text/csv")))))]
async fn export(
    State(api): Shared,
    caller: Caller,
    Query(query): Query<ExportQuery>,
) -> Result<Response, Problem> {
    let (format, kind) = match query.format.unwrap_or_default() {
        AuditFormat::Csv => (ExportFormat::Csv, "text/csv; charset=utf-8"),
        AuditFormat::Jsonl => (ExportFormat::JsonLines, "application/jsonl"),
    };
    let export = api.store_of(&caller).export_audit(query.filter()?, format).await?;
    let pieces = futures_util::stream::unfold(Some(export), |export| async move {
        let mut export = export?;
        match export.next().await {
            Ok(Some(piece)) => Some((Ok(Bytes::from(piece)), Some(export))),
            Ok(None) => Some((Ok(Bytes::from(export.sign())), None)),
            Err(error) => {
                tracing::warn!(%error, "an export of the audit trail was cut off");
                Some((Err(std::io::Error::other("the store does not answer")), None))
            }
        }
    });
    let name = format!("attachment; filename=\"audit.{}\"", format.as_str());
    Response::builder()
        .header(CONTENT_TYPE, kind)
        .header(CONTENT_DISPOSITION, name)
        .body(Body::from_stream(pieces))
        .map_err(|_| Problem::new(Code::Internal))
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AccessQuery {
    /// Where the page begins: `nextCursor` of the one before.
    #[param(max_length = 1024)]
    cursor: Option<String>,
    /// Rows of the page, at most.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
}

/// Lists who else opened a mailbox
///
/// Newest first: logins into it, folders opened and messages read, changed or removed by others than its holder. For its holder, and for administrators of its domain. The look is
/// itself a row of the audit trail.
#[utoipa::path(get, path = "/mailboxes/{id}/accesses", tag = "mailboxes", operation_id = "listMailboxAccesses",
    params(("id" = String, Path, description = "Number or address of the mailbox."), AccessQuery),
    responses((status = 200, description = "A page of rows.", body = Page<AuditEvent>)))]
async fn accesses(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<AccessQuery>,
) -> Result<axum::Json<Page<AuditEvent>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after = place(query.cursor.as_deref())?;
    let mailbox = api.store.find_mailbox(&id).await?.ok_or(Problem::new(Code::NotFound))?;
    let holder = match caller.principal() {
        Some(principal) => {
            // A delegate sees the mailbox, not who else looks into it.
            let is_theirs = principal.mailbox == mailbox.id && principal.rights.has('a');
            if !is_theirs {
                return Err(Problem::new(Code::NotFound));
            }
            Some(principal.actor.id)
        }
        None => {
            caller.may_see(Permission::MailboxesRead, mailbox.domain)?;
            api.store.holder_of(mailbox.id).await?
        }
    };
    let page = api.store_of(&caller).accesses(mailbox.id, holder, after, limit).await?;
    Ok(axum::Json(shown(page)))
}

fn place(cursor: Option<&str>) -> Result<Option<AuditPlace>, Problem> {
    let text = page::after(cursor)?;
    (!text.is_empty()).then(|| text.parse().map_err(|_| page::foreign())).transpose()
}

fn shown(page: AuditPage) -> Page<AuditEvent> {
    Page::going_on(
        page.rows.into_iter().map(AuditEvent::from).collect(),
        page.next.map(|place| place.to_string()),
    )
}
