//! `/crls`: revocation lists.

use super::members::StartedJob;
use crate::access::{Caller, Permission, RouteRule, rule};
use crate::api::{Api, Shared};
use crate::jobs::{JobKind, Started};
use crate::problem::Problem;
use crate::trust::{CrlState, ListSync};
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] =
    &[rule("GET", "/crls", &[Permission::TrustRead]), rule("POST", "/crls/sync", &[Permission::TrustWrite])];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(show_crls)).routes(routes!(sync_crls))
}

/// What the job found: what came of each source.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CrlSyncOutcome {
    sources: Vec<ListSync>,
}

/// Shows the revocation lists
///
/// Each issuer's list in force, and every source with its latest fault.
#[utoipa::path(get, path = "/crls", tag = "trust", operation_id = "showCrls",
    responses((status = 200, description = "The lists.", body = CrlState)))]
async fn show_crls(State(api): Shared) -> Result<axum::Json<CrlState>, Problem> {
    Ok(axum::Json(api.ports.trust.state().await?.crls))
}

/// Fetches the revocation lists now
///
/// As a job, from every source; a list that is not good changes nothing. The job's result says what came of each source.
#[utoipa::path(post, path = "/crls/sync", tag = "trust", operation_id = "syncCrls",
    responses((status = 202, description = "The job; see Location.", body = StartedJob)))]
async fn sync_crls(State(api): Shared, caller: Caller) -> Result<Started, Problem> {
    let (trust, store) = (api.ports.trust.clone(), api.store_of(&caller));
    api.start_job(&caller, JobKind::RevocationListSync, |_| async move {
        let sources = trust.sync_lists().await?;
        let failed = sources.iter().filter(|source| source.outcome == "failed").count();
        let detail = format!("sources={} failed={failed}", sources.len());
        store.note_administration("crls.synced", detail).await?;
        super::members::finding(&CrlSyncOutcome { sources })
    })
    .await
}
