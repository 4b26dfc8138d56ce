//! `/quotas`: how much mailboxes may hold that have no quota of their own: by domain and kind, by domain, by kind.

use crate::access::{Caller, Domains, Permission, RouteRule, rule};
use crate::api::{Api, Shared};
use crate::etag::IfMatch;
use crate::json::{Created, Json, Query, Shown};
use crate::page::{self, Page};
use crate::problem::{Code, Problem};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mail_types::{Domain, DomainId, MailboxKind};
use serde::{Deserialize, Serialize};
use store::{QuotaRow, QuotaScope};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Octets of the smallest and of the largest quota.
const BOUNDS: std::ops::RangeInclusive<u64> = 1_048_576..=1 << 50;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] = &[
    rule("GET", "/quotas", &[Permission::MailboxesRead]),
    rule("POST", "/quotas", &[Permission::MailboxesWrite]),
    rule("GET", "/quotas/{id}", &[Permission::MailboxesRead]),
    rule("PATCH", "/quotas/{id}", &[Permission::MailboxesWrite]),
    rule("DELETE", "/quotas/{id}", &[Permission::MailboxesWrite]),
];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show, change, end))
}

/// What mailboxes may hold that have no quota of their own. The nearest counts: of domain and kind, of the domain, of the kind.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QuotaDefault {
    /// Its number.
    #[schema(example = "2")]
    id: String,
    /// The domain whose mailboxes it is for; null for every domain.
    #[schema(example = "chu-nord.example")]
    domain: Option<String>,
    /// The kind of mailbox that it is for; null for every kind.
    #[schema(example = "organizational")]
    kind: Option<String>,
    /// Octets.
    #[schema(example = 5_368_709_120_u64)]
    quota_bytes: u64,
}

/// A kind of mailbox.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum QuotaKind {
    /// Of one clinician.
    Personal,
    /// Of a service or structure.
    Organizational,
    /// Of an application.
    Applicative,
    /// Of a practice.
    Cabinet,
}

impl From<QuotaKind> for MailboxKind {
    fn from(kind: QuotaKind) -> Self {
        match kind {
            QuotaKind::Personal => Self::Personal,
            QuotaKind::Organizational => Self::Organizational,
            QuotaKind::Applicative => Self::Applicative,
            QuotaKind::Cabinet => Self::Cabinet,
        }
    }
}

/// A default to be set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NewQuotaDefault {
    /// The domain whose mailboxes it is for; absent for every domain.
    #[schema(max_length = 255)]
    domain: Option<String>,
    /// The kind of mailbox that it is for; absent for every kind.
    kind: Option<QuotaKind>,
    /// Octets.
    #[schema(minimum = 1048576, maximum = 1125899906842624i64)]
    quota_bytes: u64,
}

/// What of a default can be changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct QuotaDefaultChange {
    /// Octets.
    #[schema(minimum = 1048576, maximum = 1125899906842624i64)]
    quota_bytes: u64,
}

/// What to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct QuotaQuery {
    /// Where the page begins: `nextCursor` of the one before.
    #[param(max_length = 1024)]
    cursor: Option<String>,
    /// Rows of the page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
}

impl From<QuotaRow> for QuotaDefault {
    fn from(row: QuotaRow) -> Self {
        Self {
            id: row.id.to_string(),
            domain: row.domain.map(|(_, name)| name),
            kind: row.kind.map(|kind| kind.to_string()),
            quota_bytes: row.quota_bytes,
        }
    }
}

/// Lists the default quotas
///
/// In the order in which they were set. Those for every domain are shown to all administrators, those of a domain to its own.
#[utoipa::path(get, path = "/quotas", tag = "quotas", operation_id = "listQuotas", params(QuotaQuery),
    responses((status = 200, description = "A page of defaults.", body = Page<QuotaDefault>)))]
async fn list(
    State(api): Shared,
    caller: Caller,
    Query(query): Query<QuotaQuery>,
) -> Result<axum::Json<Page<QuotaDefault>>, Problem> {
    let limit = page::limit(query.limit)?;
    let mut after = page::row_after(query.cursor.as_deref())?;
    let domains = caller.domains(Permission::MailboxesRead);
    let mut rows = Vec::new();
    // There are few defaults: four kinds and none for each domain.
    loop {
        let batch = api.store.quotas(after, limit + 1).await?;
        let Some(last) = batch.last() else { break };
        after = last.id;
        rows.extend(batch.into_iter().filter(|row| is_seen(&domains, row)));
        if rows.len() > limit as usize {
            rows.truncate(limit as usize + 1);
            break;
        }
    }
    Ok(axum::Json(Page::of(rows, limit, |row| row.id.to_string()).map(QuotaDefault::from)))
}

fn is_seen(domains: &Domains, row: &QuotaRow) -> bool {
    row.domain.as_ref().is_none_or(|(domain, _)| domains.contain(*domain))
}

/// Sets a default quota
///
/// For mailboxes that have no quota of their own: they may hold that much at once. One that is set already is a conflict, and can be changed. For
/// every domain by the operator's administrators only. Refused when a domain would come to more than its allocation.
#[utoipa::path(post, path = "/quotas", tag = "quotas", operation_id = "createQuota", request_body = NewQuotaDefault,
    responses((status = 201, description = "The default.", body = QuotaDefault)))]
async fn create(
    State(api): Shared,
    caller: Caller,
    Json(new): Json<NewQuotaDefault>,
) -> Result<Created<QuotaDefault>, Problem> {
    let domain = match &new.domain {
        Some(name) => Some(domain(&api, &caller, name).await?),
        None => None,
    };
    may_change(&caller, domain)?;
    let scope = QuotaScope { domain, kind: new.kind.map(MailboxKind::from) };
    if scope.domain.is_none() && scope.kind.is_none() {
        return Err(Problem::invalid(
            "",
            "name a domain, a kind, or both: the quota of all others is in the configuration",
            "nommez un domaine, un type ou les deux : le quota de toutes les autres est dans la configuration",
        ));
    }
    let quota = bounded(new.quota_bytes)?;
    let fallback = api.mailboxes.quota_default_bytes;
    let id = api.store_of(&caller).create_quota(scope, quota, fallback).await??.ok_or_else(|| {
        Problem::new(Code::Conflict).detail(
            "this default is set already; change it with PATCH",
            "ce quota par défaut existe déjà ; modifiez-le par PATCH",
        )
    })?;
    let row = find(&api, &caller, Permission::MailboxesWrite, &id.to_string()).await?;
    Ok(Created {
        location: format!("/quotas/{id}"),
        shown: Shown { revision: row.revision, value: row.into() },
    })
}

/// Shows a default quota
///
/// With its `ETag`.
#[utoipa::path(get, path = "/quotas/{id}", tag = "quotas", operation_id = "showQuota",
    params(("id" = String, Path, description = "Number of the default.")),
    responses((status = 200, description = "The default.", body = QuotaDefault)))]
async fn show(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Shown<QuotaDefault>, Problem> {
    let row = find(&api, &caller, Permission::MailboxesRead, &id).await?;
    Ok(Shown { revision: row.revision, value: row.into() })
}

/// Changes a default quota
///
/// `If-Match` is required. Mailboxes that follow it may hold that much at once. Refused when a domain would come to more than its allocation.
#[utoipa::path(patch, path = "/quotas/{id}", tag = "quotas", operation_id = "changeQuota", request_body = QuotaDefaultChange,
    params(("id" = String, Path, description = "Number of the default."), ("If-Match" = String, Header, description = "The ETag that was read.")),
    responses((status = 200, description = "The default as it is now.", body = QuotaDefault)))]
async fn change(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
    Json(change): Json<QuotaDefaultChange>,
) -> Result<Shown<QuotaDefault>, Problem> {
    let row = find(&api, &caller, Permission::MailboxesWrite, &id).await?;
    may_change(&caller, row.domain.as_ref().map(|(id, _)| *id))?;
    let expected = if_match.expect(row.revision)?;
    let (quota, fallback) = (bounded(change.quota_bytes)?, api.mailboxes.quota_default_bytes);
    api.store_of(&caller).change_quota(row.id, expected, Some(quota), fallback).await??;
    let row = find(&api, &caller, Permission::MailboxesWrite, &id).await?;
    Ok(Shown { revision: row.revision, value: row.into() })
}

/// Ends a default quota
///
/// `If-Match` is required. Mailboxes that followed it follow the next one.
#[utoipa::path(delete, path = "/quotas/{id}", tag = "quotas", operation_id = "endQuota",
    params(("id" = String, Path, description = "Number of the default."), ("If-Match" = String, Header, description = "The ETag that was read.")),
    responses((status = 204, description = "It is ended.")))]
async fn end(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let row = find(&api, &caller, Permission::MailboxesWrite, &id).await?;
    may_change(&caller, row.domain.as_ref().map(|(id, _)| *id))?;
    let expected = if_match.expect(row.revision)?;
    api.store_of(&caller).change_quota(row.id, expected, None, api.mailboxes.quota_default_bytes).await??;
    Ok(StatusCode::NO_CONTENT)
}

async fn find(api: &Api, caller: &Caller, permission: Permission, id: &str) -> Result<QuotaRow, Problem> {
    let id = id.parse().map_err(|_| Problem::new(Code::NotFound))?;
    let row = api.store.quota(id).await?.filter(|row| is_seen(&caller.domains(permission), row));
    row.ok_or(Problem::new(Code::NotFound))
}

async fn domain(api: &Api, caller: &Caller, name: &str) -> Result<DomainId, Problem> {
    let unknown = || {
        Problem::invalid(
            "/domain",
            "is no domain that you administer",
            "n'est pas un domaine que vous administrez",
        )
    };
    let parsed: Domain = name.parse().map_err(|_| unknown())?;
    let row = api.store.domain(&parsed).await?.ok_or_else(unknown)?;
    caller.may_see(Permission::MailboxesWrite, row.id).map_err(|_| unknown())?;
    Ok(row.id)
}

/// What concerns every domain is for whoever administers all of them.
fn may_change(caller: &Caller, domain: Option<DomainId>) -> Result<(), Problem> {
    match (domain, caller.domains(Permission::MailboxesWrite)) {
        (None, Domains::Only(_)) => Err(Problem::new(Code::Forbidden).detail(
            "a quota for every domain is the operator's; name a domain of yours",
            "un quota pour tous les domaines relève de l'opérateur ; nommez un de vos domaines",
        )),
        _ => Ok(()),
    }
}

fn bounded(quota: u64) -> Result<u64, Problem> {
    BOUNDS.contains(&quota).then_some(quota).ok_or_else(|| {
        Problem::invalid(
            "/quotaBytes",
            "is between 1048576 and 1125899906842624 octets",
            "est entre 1048576 et 1125899906842624 octets",
        )
    })
}
