//! `/health`: whether the server can take responsibility for mail, and which of its parts somebody should look at.

use crate::access::{Permission, RouteRule, rule};
use crate::api::{Api, Shared};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use store::CertificateHolder;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// An entry that is due for so long, in milliseconds, says that nobody tries.
const OVERDUE_MS: i64 = 15 * 60 * 1000;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] = &[rule("GET", "/health", &[Permission::Anybody])];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(health))
}

/// How the server or a part of it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Condition {
    /// Well.
    Ok,
    /// It works, and somebody should look at it.
    Degraded,
    /// It does not work.
    Failed,
}

/// Whether the server can take responsibility for mail.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    status: Condition,
    components: Components,
}

/// Its parts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Components {
    /// Whether the database answers.
    store: Condition,
    /// Degraded when an entry has been due for a quarter of an hour.
    queue: Condition,
    /// Degraded when the white list is not fresh, a revocation list is past its date, or there is an alarm.
    trust: Condition,
    /// Degraded when one of our own certificates has expired.
    certificates: Condition,
}

/// Tells whether the server can take responsibility for mail
///
/// It can when its store answers. Why a part is degraded is in the log, in `/trust` and in `/certificates`.
#[utoipa::path(get, path = "/health", operation_id = "checkHealth", tag = "service",
    responses((status = 200, description = "It can.", body = Health), (status = 503, description = "It cannot.", body = Health)))]
async fn health(State(api): Shared) -> (StatusCode, Json<Health>) {
    let (store, queue, trust, certificates) =
        tokio::join!(database(&api), queue(&api), trust(&api), certificates(&api));
    let components = Components { store, queue, trust, certificates };
    let parts = [queue, trust, certificates];
    let worst = parts.into_iter().max().unwrap_or(Condition::Ok).min(Condition::Degraded);
    let status = store.max(worst);
    let code = if status == Condition::Failed { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (code, Json(Health { status, components }))
}

async fn database(api: &Api) -> Condition {
    if api.store.ping().await.is_ok() { Condition::Ok } else { Condition::Failed }
}

async fn queue(api: &Api) -> Condition {
    match api.store.next_due().await {
        Err(_) => Condition::Failed,
        Ok(Some(due)) if due.0 < api.store.now().0 - OVERDUE_MS => Condition::Degraded,
        Ok(_) => Condition::Ok,
    }
}

async fn trust(api: &Api) -> Condition {
    let Ok(state) = api.ports.trust.state().await else { return Condition::Failed };
    let is_fresh = state.whitelist.standing.as_deref() == Some("fresh");
    let are_current = state.crls.lists.iter().all(|list| list.standing != "past");
    if is_fresh && are_current && state.alarms.is_empty() { Condition::Ok } else { Condition::Degraded }
}

async fn certificates(api: &Api) -> Condition {
    let now = api.store.now();
    match api.store.certificate_expiries().await {
        Err(_) => Condition::Failed,
        Ok(rows) => {
            let is_past = rows.iter().any(|row| row.holder == CertificateHolder::Own && row.not_after < now);
            if is_past { Condition::Degraded } else { Condition::Ok }
        }
    }
}
