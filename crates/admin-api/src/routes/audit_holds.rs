//! `/audit/holds`: legal holds, which keep rows of the audit trail however old they are.

use crate::access::{Caller, Permission, RouteRule, rule};
use crate::api::{Api, Shared};
use crate::etag::IfMatch;
use crate::instant::Instant;
use crate::json::{Created, Json, Query, Shown, instant};
use crate::page::{self, Page};
use crate::problem::{Code, Problem};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use store::{Category, HoldRow, NewHold};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] = &[
    rule("GET", "/audit/holds", &[Permission::AuditRead]),
    rule("POST", "/audit/holds", &[Permission::AuditWrite]),
    rule("GET", "/audit/holds/{id}", &[Permission::AuditRead]),
    rule("DELETE", "/audit/holds/{id}", &[Permission::AuditWrite]),
];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_holds, add_hold)).routes(routes!(show_hold, release_hold))
}

/// A legal hold.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditHold {
    /// Its number.
    #[schema(example = "4")]
    id: String,
    /// Rows of this category; null for all.
    category: Option<String>,
    /// Number of the mailbox whose rows are kept; null for all.
    mailbox: Option<String>,
    /// Why.
    reason: String,
    /// Number of whoever ordered it; null for the machine itself.
    ordered_by: Option<String>,
    /// When it was ordered.
    #[schema(format = DateTime)]
    created_at: String,
    /// Until when; null until it is released.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// When it was released.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
}

impl From<HoldRow> for AuditHold {
    fn from(row: HoldRow) -> Self {
        Self {
            id: row.id.to_string(),
            category: row.category.map(|category| category.as_str().to_owned()),
            mailbox: row.mailbox.map(|id| id.to_string()),
            reason: row.reason,
            ordered_by: row.actor.map(|id| id.to_string()),
            created_at: instant(row.created_at),
            until: row.until.map(instant),
            ended_at: row.ended_at.map(instant),
        }
    }
}

/// What is to be held.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAuditHold {
    /// Rows of this category; all, without one.
    category: Option<super::audit::AuditCategory>,
    /// Number or address of a mailbox; all, without one.
    #[schema(min_length = 1, max_length = 320)]
    mailbox: Option<String>,
    /// Why.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
    /// Until when; until it is released, without one.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Instant>,
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct HoldQuery {
    /// Where the page begins: `nextCursor` of the one before.
    #[param(max_length = 1024)]
    cursor: Option<String>,
    /// Rows of the page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
}

/// Lists legal holds
///
/// By number, those that ended too.
#[utoipa::path(get, path = "/audit/holds", tag = "audit", operation_id = "listAuditHolds", params(HoldQuery),
    responses((status = 200, description = "A page of holds.", body = Page<AuditHold>)))]
async fn list_holds(
    State(api): Shared,
    Query(query): Query<HoldQuery>,
) -> Result<axum::Json<Page<AuditHold>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after = page::after(query.cursor.as_deref())?;
    let after = if after.is_empty() { 0 } else { after.parse().map_err(|_| page::foreign())? };
    let rows = api.store.holds(after, limit + 1).await?;
    Ok(axum::Json(Page::of(rows, limit, |row| row.id.to_string()).map(AuditHold::from)))
}

/// Orders a legal hold
///
/// What it covers is kept past its retention: the months with a row of the category, and about the mailbox.
#[utoipa::path(post, path = "/audit/holds", tag = "audit", operation_id = "addAuditHold", request_body = NewAuditHold,
    responses((status = 201, description = "The hold.", body = AuditHold)))]
async fn add_hold(
    State(api): Shared,
    caller: Caller,
    Json(new): Json<NewAuditHold>,
) -> Result<Created<AuditHold>, Problem> {
    let reason = new.reason.trim();
    if !(1..=1000).contains(&reason.chars().count()) || reason.contains('\0') {
        return Err(Problem::invalid(
            "/reason",
            "must have 1 to 1000 characters",
            "doit avoir de 1 à 1000 caractères",
        ));
    }
    let until = new.until.map(|until| until.0);
    if until.is_some_and(|until| until.0 <= api.store.now().0) {
        return Err(Problem::invalid("/until", "is over already", "est déjà passé"));
    }
    let mailbox = match &new.mailbox {
        None => None,
        Some(name) => {
            let unknown =
                || Problem::invalid("/mailbox", "is no mailbox of ours", "n'est pas une de nos boîtes");
            let found = if name.contains('\0') { None } else { api.store.find_mailbox(name).await? };
            Some(found.ok_or_else(unknown)?.id)
        }
    };
    let category = new.category.map(Category::from);
    let hold = NewHold { category, mailbox, reason: reason.to_owned(), until };
    let row = api.store_of(&caller).add_hold(hold).await?;
    let location = format!("/audit/holds/{}", row.id);
    Ok(Created { location, shown: Shown { revision: row.revision, value: row.into() } })
}

/// Shows a legal hold
///
/// With its `ETag`.
#[utoipa::path(get, path = "/audit/holds/{id}", tag = "audit", operation_id = "showAuditHold",
    params(("id" = String, Path, description = "Its number.")),
    responses((status = 200, description = "The hold.", body = AuditHold)))]
async fn show_hold(State(api): Shared, Path(id): Path<String>) -> Result<Shown<AuditHold>, Problem> {
    let row = find(&api, &id).await?;
    Ok(Shown { revision: row.revision, value: row.into() })
}

/// Releases a legal hold
///
/// It stays in the list, with its end. `If-Match` is required.
#[utoipa::path(delete, path = "/audit/holds/{id}", tag = "audit", operation_id = "releaseAuditHold",
    params(("id" = String, Path, description = "Its number."), ("If-Match" = String, Header, description = "The ETag that was read.")),
    responses((status = 204, description = "It is released.")))]
async fn release_hold(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let row = find(&api, &id).await?;
    let expected = if_match.expect(row.revision)?;
    if row.ended_at.is_some() {
        let (english, french) = ("the hold was released already", "la conservation est déjà levée");
        return Err(Problem::new(Code::Conflict).detail(english, french));
    }
    if !api.store_of(&caller).end_hold(row.id, expected).await? {
        return Err(Problem::new(Code::PreconditionFailed));
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn find(api: &Api, id: &str) -> Result<HoldRow, Problem> {
    let id = id.parse().map_err(|_| Problem::new(Code::NotFound))?;
    api.store.hold(id).await?.ok_or_else(|| Problem::new(Code::NotFound))
}
