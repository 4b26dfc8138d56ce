//! `/domains`: the domains that this operator runs.

use crate::access::{Caller, Domains, Permission, RouteRule, rule};
use crate::api::{Api, Shared};
use crate::etag::IfMatch;
use crate::json::{Created, Json, Query, Shown};
use crate::page::{self, Page};
use crate::problem::{Code, Problem};
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use store::DomainRow;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] = &[
    rule("GET", "/domains", &[Permission::DomainsRead]),
    rule("POST", "/domains", &[Permission::DomainsWrite]),
    rule("GET", "/domains/{name}", &[Permission::DomainsRead]),
    rule("PATCH", "/domains/{name}", &[Permission::DomainsWrite]),
];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(show, change))
}

/// A domain.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Domain {
    /// Its name.
    #[schema(example = "chu-nord.example")]
    name: String,
    /// Octets that the quotas of its mailboxes may come to together; null for no bound.
    #[schema(minimum = 0)]
    allocation_max_bytes: Option<u64>,
    /// When it was added.
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<DomainRow> for Domain {
    fn from(row: DomainRow) -> Self {
        Self {
            name: row.name,
            allocation_max_bytes: row.allocation_max,
            created_at: crate::json::instant(row.created_at),
        }
    }
}

/// A domain to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NewDomain {
    /// Its name.
    #[schema(example = "chu-nord.example", min_length = 1, max_length = 255)]
    name: String,
}

/// What of a domain can be changed (RFC 7396: an absent member stays, null removes).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct DomainChange {
    /// Octets that the quotas of its mailboxes may come to together; null for no bound.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(value_type = Option<u64>, minimum = 0, maximum = 9007199254740991i64)]
    allocation_max_bytes: Option<Option<u64>>,
}

/// The largest number that every reader of JSON reads exactly (RFC 8259 §6).
const ALLOCATION_MAX: u64 = (1 << 53) - 1;

/// What to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DomainQuery {
    /// Where the page begins: `nextCursor` of the one before.
    #[param(max_length = 1024)]
    cursor: Option<String>,
    /// Rows of the page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
}

/// Lists domains
///
/// By name, those that the caller administers.
#[utoipa::path(get, path = "/domains", operation_id = "listDomains", tag = "domains", params(DomainQuery),
    responses((status = 200, description = "A page of domains.", body = Page<Domain>)))]
async fn list(
    State(api): Shared,
    caller: Caller,
    Query(query): Query<DomainQuery>,
) -> Result<axum::Json<Page<Domain>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after = page::after(query.cursor.as_deref())?;
    let mut rows = match caller.domains(Permission::DomainsRead) {
        Domains::All => api.store.domain_rows(&after, limit + 1).await?,
        Domains::Only(domains) => api.store.domain_rows_of(&domains, &after, limit + 1).await?,
    };
    rows.truncate(limit as usize + 1);
    Ok(axum::Json(Page::of(rows, limit, |row| row.name.clone()).map(Domain::from)))
}

/// Adds a domain
///
/// A domain that is there already is a conflict.
#[utoipa::path(post, path = "/domains", operation_id = "addDomain", tag = "domains", request_body = NewDomain,
    responses((status = 201, description = "The domain.", body = Domain)))]
async fn add(
    State(api): Shared,
    caller: Caller,
    Json(new): Json<NewDomain>,
) -> Result<Created<Domain>, Problem> {
    let name: mail_types::Domain = new.name.parse().map_err(|_| {
        Problem::invalid("/name", "is not the name of a domain", "n'est pas un nom de domaine")
    })?;
    if !api.store_of(&caller).add_domain(name.clone()).await? {
        return Err(
            Problem::new(Code::Conflict).detail("the domain is there already", "le domaine y est déjà")
        );
    }
    let row = find(&api, &caller, Permission::DomainsWrite, &new.name).await?;
    let location = format!("/domains/{}", name.as_str());
    Ok(Created { location, shown: Shown { revision: row.revision, value: row.into() } })
}

/// Shows a domain
///
/// With its `ETag`.
#[utoipa::path(get, path = "/domains/{name}", operation_id = "showDomain", tag = "domains", params(("name" = String, Path, description = "Its name.")),
    responses((status = 200, description = "The domain.", body = Domain)))]
async fn show(
    State(api): Shared,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Shown<Domain>, Problem> {
    let row = find(&api, &caller, Permission::DomainsRead, &name).await?;
    Ok(Shown { revision: row.revision, value: row.into() })
}

/// Changes a domain
///
/// `If-Match` is required.
#[utoipa::path(patch, path = "/domains/{name}", operation_id = "changeDomain", tag = "domains", request_body = DomainChange,
    params(("name" = String, Path, description = "Its name."), ("If-Match" = String, Header, description = "The ETag that was read.")),
    responses((status = 200, description = "The domain as it is now.", body = Domain)))]
async fn change(
    State(api): Shared,
    caller: Caller,
    Path(name): Path<String>,
    if_match: IfMatch,
    Json(change): Json<DomainChange>,
) -> Result<Shown<Domain>, Problem> {
    let row = find(&api, &caller, Permission::DomainsWrite, &name).await?;
    let expected = if_match.expect(row.revision)?;
    if let Some(allocation_max) = change.allocation_max_bytes {
        if allocation_max.is_some_and(|octets| octets > ALLOCATION_MAX) {
            return Err(Problem::invalid(
                "/allocationMaxBytes",
                format!("must be at most {ALLOCATION_MAX}; null for no bound"),
                format!("doit être d'au plus {ALLOCATION_MAX} ; null pour aucune limite"),
            ));
        }
        api.store_of(&caller).set_domain_allocation(row.id, expected, allocation_max).await??;
    }
    let row = find(&api, &caller, Permission::DomainsWrite, &name).await?;
    Ok(Shown { revision: row.revision, value: row.into() })
}

/// The domain of that name, if the caller may see it.
async fn find(api: &Api, caller: &Caller, permission: Permission, name: &str) -> Result<DomainRow, Problem> {
    let name: mail_types::Domain = name.parse().map_err(|_| Problem::new(Code::NotFound))?;
    let row = api.store.domain(&name).await?.ok_or(Problem::new(Code::NotFound))?;
    caller.may_see(permission, row.id)?;
    Ok(row)
}
