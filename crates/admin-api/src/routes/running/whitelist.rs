//! `/whitelist`: the list of who speaks for which domain.

use super::members::StartedJob;
use crate::access::{Caller, Permission, RouteRule, rule};
use crate::api::{Api, Shared};
use crate::jobs::{JobKind, Started};
use crate::json::{Json, Query, instant};
use crate::page::{self, Page};
use crate::ports::Comparison;
use crate::problem::{Code, Problem};
use crate::trust::WhiteListState;
use axum::extract::{Path, State};
use mail_types::{Domain, Timestamp};
use policy::{Bearer, DomainStanding, TrustList};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Rows of each part of a comparison that are shown.
const DIFF_MAX: usize = 1000;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] = &[
    rule("GET", "/whitelist", &[Permission::TrustRead]),
    rule("GET", "/whitelist/entries", &[Permission::TrustRead]),
    rule("GET", "/whitelist/entries/{domain}", &[Permission::TrustRead]),
    rule("POST", "/whitelist/sync", &[Permission::TrustWrite]),
    rule("GET", "/whitelist/diff", &[Permission::TrustRead]),
];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(show_whitelist))
        .routes(routes!(list_whitelist_entries))
        .routes(routes!(show_whitelist_entry))
        .routes(routes!(sync_whitelist))
        .routes(routes!(compare_whitelists))
}

/// A domain of the list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WhiteListEntry {
    #[schema(example = "clinique-sud.example")]
    domain: String,
    /// `listed`, `quarantined`, or why it cannot be said.
    standing: String,
    /// Subjects of the certificates that speak for it.
    subjects: Vec<String>,
    /// Organizational units of which every certificate speaks for it.
    units: Vec<String>,
}

/// What to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EntryQuery {
    /// Where the page begins: `nextCursor` of the one before.
    #[param(max_length = 1024)]
    cursor: Option<String>,
    /// Rows of the page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// Domains whose name, or a certificate's subject, holds this; case does not count.
    #[param(max_length = 255)]
    q: Option<String>,
}

/// How the list is fetched.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct WhiteListFetch {
    /// Take a list that lost more domains than `whitelist_shrink_max_percent` allows.
    #[serde(default)]
    #[schema(default = false)]
    confirm: bool,
}

/// What changed from one list to the next.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WhiteListChanges {
    /// Whether the newer list is not in force, and waits for a fetch with `confirm`.
    waits_for_confirmation: bool,
    /// Date of the older list.
    #[schema(format = DateTime)]
    before: Option<String>,
    /// Date of the newer list.
    #[schema(format = DateTime)]
    after: Option<String>,
    domains_added: Part<String>,
    domains_removed: Part<String>,
    /// Those of added domains included.
    pairs_added: Part<WhiteListPair>,
    /// Those of removed domains included.
    pairs_removed: Part<WhiteListPair>,
}

/// One part of a comparison: how many rows, and the first thousand.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Part<T> {
    #[schema(minimum = 0)]
    count: usize,
    items: Vec<T>,
}

/// What speaks for a domain.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WhiteListPair {
    domain: String,
    /// A subject, or an organizational unit.
    bearer: String,
}

/// Shows the white list's state
///
/// Its source, its date, how fresh it is, and the latest fault.
#[utoipa::path(get, path = "/whitelist", tag = "trust", operation_id = "showWhitelist",
    responses((status = 200, description = "Its state.", body = WhiteListState)))]
async fn show_whitelist(State(api): Shared) -> Result<axum::Json<WhiteListState>, Problem> {
    Ok(axum::Json(api.ports.trust.state().await?.whitelist))
}

/// Lists the domains of the white list
///
/// By name, with what speaks for each.
#[utoipa::path(get, path = "/whitelist/entries", tag = "trust", operation_id = "listWhitelistEntries", params(EntryQuery),
    responses((status = 200, description = "A page of domains.", body = Page<WhiteListEntry>)))]
async fn list_whitelist_entries(
    State(api): Shared,
    Query(query): Query<EntryQuery>,
) -> Result<axum::Json<Page<WhiteListEntry>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after = page::after(query.cursor.as_deref())?;
    let list = api.ports.trust.in_force().await?.list;
    let now = api.store.now();
    let sought = query.q.map(|text| text.to_lowercase());
    let holds = |text: &str| sought.as_deref().is_none_or(|sought| text.to_lowercase().contains(sought));
    let Some((white_list, _)) = &list.white_list else {
        return Ok(axum::Json(Page { items: Vec::new(), next_cursor: None }));
    };
    let is_sought = |domain: &&Domain| {
        holds(domain.as_str())
            || white_list.bearers_of(domain).iter().any(|bearer| holds(&bearer.to_string()))
    };
    let mut domains: Vec<&Domain> =
        white_list.domains().filter(|domain| domain.as_str() > after.as_str()).filter(is_sought).collect();
    domains.sort_unstable();
    domains.truncate(limit as usize + 1);
    let page = Page::of(domains, limit, |domain| domain.to_string());
    Ok(axum::Json(page.map(|domain| entry(&list, domain, now))))
}

/// Shows a domain of the white list
///
/// With what speaks for it.
#[utoipa::path(get, path = "/whitelist/entries/{domain}", tag = "trust", operation_id = "showWhitelistEntry",
    params(("domain" = String, Path, description = "Its name.")),
    responses((status = 200, description = "The domain.", body = WhiteListEntry)))]
async fn show_whitelist_entry(
    State(api): Shared,
    Path(domain): Path<String>,
) -> Result<axum::Json<WhiteListEntry>, Problem> {
    let missing = || Problem::new(Code::NotFound);
    let domain: Domain = domain.parse().map_err(|_| missing())?;
    let list = api.ports.trust.in_force().await?.list;
    let is_listed = list.white_list.as_ref().is_some_and(|(white_list, _)| white_list.lists_domain(&domain));
    if !is_listed {
        return Err(missing());
    }
    Ok(axum::Json(entry(&list, &domain, api.store.now())))
}

/// Fetches the white list now
///
/// As a job. A list that is not good changes nothing. One that lost many domains needs `confirm`. The job's result says what came of it.
#[utoipa::path(post, path = "/whitelist/sync", tag = "trust", operation_id = "syncWhitelist", request_body = WhiteListFetch,
    responses((status = 202, description = "The job; see Location.", body = StartedJob)))]
async fn sync_whitelist(
    State(api): Shared,
    caller: Caller,
    Json(fetch): Json<WhiteListFetch>,
) -> Result<Started, Problem> {
    let (trust, store) = (api.ports.trust.clone(), api.store_of(&caller));
    api.start_job(&caller, JobKind::WhiteListSync, move |_| async move {
        let outcome = trust.sync_white_list(fetch.confirm).await?;
        let detail = format!("outcome={} confirmed={}", outcome.outcome, fetch.confirm);
        store.note_administration("whitelist.synced", detail).await?;
        super::members::finding(&outcome)
    })
    .await
}

/// Compares white lists
///
/// The one in force with one that waits for a confirmation, or else with the one before it.
#[utoipa::path(get, path = "/whitelist/diff", tag = "trust", operation_id = "compareWhitelists",
    responses((status = 200, description = "What changed.", body = WhiteListChanges)))]
async fn compare_whitelists(State(api): Shared) -> Result<axum::Json<WhiteListChanges>, Problem> {
    let comparison = api.ports.trust.compare_white_lists().await?;
    let Comparison { diff, is_waiting } = comparison.ok_or_else(|| {
        Problem::new(Code::NotFound).detail(
            "no white list was in force before this one: there is nothing to compare with",
            "aucune liste blanche n'a précédé celle-ci : il n'y a rien à comparer",
        )
    })?;
    let pair = |(domain, bearer): &(Domain, Bearer)| WhiteListPair {
        domain: domain.to_string(),
        bearer: bearer.to_string(),
    };
    Ok(axum::Json(WhiteListChanges {
        waits_for_confirmation: is_waiting,
        before: diff.before.map(instant),
        after: diff.after.map(instant),
        domains_added: part(&diff.domains_added, ToString::to_string),
        domains_removed: part(&diff.domains_removed, ToString::to_string),
        pairs_added: part(&diff.pairs_added, pair),
        pairs_removed: part(&diff.pairs_removed, pair),
    }))
}

fn part<T, U>(rows: &[T], show: impl Fn(&T) -> U) -> Part<U> {
    Part { count: rows.len(), items: rows.iter().take(DIFF_MAX).map(show).collect() }
}

fn entry(list: &TrustList, domain: &Domain, now: Timestamp) -> WhiteListEntry {
    let bearers = list.white_list.as_ref().map(|(list, _)| list.bearers_of(domain)).unwrap_or_default();
    let standing = match list.domain(domain, now) {
        DomainStanding::Listed => "listed",
        DomainStanding::Absent => "absent",
        DomainStanding::Departing => "departing",
        DomainStanding::Departed => "departed",
        DomainStanding::Doubtful(reason) => reason.as_str(),
    };
    let mut entry = WhiteListEntry {
        domain: domain.to_string(),
        standing: standing.to_owned(),
        subjects: Vec::new(),
        units: Vec::new(),
    };
    for bearer in bearers {
        match bearer {
            Bearer::Subject(subject) => entry.subjects.push(subject.to_string()),
            Bearer::Unit(unit) => entry.units.push(unit.to_string()),
        }
    }
    entry
}
