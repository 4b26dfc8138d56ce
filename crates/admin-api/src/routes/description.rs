//! `/openapi.json`, `/changes`: the description of the API, and what changed in it.

use crate::access::{Caller, Permission, RouteRule, rule};
use crate::api::Api;
use crate::changes::{self, CHANGES};
use crate::deprecation::DEPRECATED;
use crate::json::instant;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::LazyLock;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] =
    &[rule("GET", "/openapi.json", &[Permission::Anybody]), rule("GET", "/changes", &[Permission::Anybody])];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(describe)).routes(routes!(list_changes))
}

/// The document as it is sent; the same for as long as the process runs.
static DOCUMENT: LazyLock<Bytes> =
    LazyLock::new(|| serde_json::to_vec(&crate::api::document()).unwrap_or_default().into());

/// Describes the API
///
/// This document: OpenAPI 3.1, generated from the code that answers. A page to try it is at `docs/`.
#[utoipa::path(get, path = "/openapi.json", tag = "service", operation_id = "describeApi",
    responses((status = 200, description = "The description.", body = serde_json::Value)))]
async fn describe() -> Response {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.clone()).into_response()
}

/// What changed in the API.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangeLog {
    /// The version that answers.
    #[schema(example = "1.0.0")]
    version: &'static str,
    /// What changed, the latest first.
    changes: Vec<ApiChange>,
    /// What is going to leave.
    deprecated: Vec<Departing>,
}

/// One change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiChange {
    /// Version that brought it.
    #[schema(example = "1.0.0")]
    version: &'static str,
    /// Day of that version.
    #[schema(format = Date)]
    date: &'static str,
    /// `added`: what used the API goes on.
    #[schema(example = "added")]
    kind: &'static str,
    /// What changed.
    text: &'static str,
}

/// An operation that is going to leave.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Departing {
    /// Its method.
    method: &'static str,
    /// Its path.
    path: String,
    /// Since when it should not be used in anything new.
    #[schema(format = DateTime)]
    since: String,
    /// From when it may answer no more.
    #[schema(format = DateTime)]
    sunset: String,
}

/// Tells what changed in the API
///
/// The latest version first, with what is going to leave and when.
#[utoipa::path(get, path = "/changes", tag = "service", operation_id = "listChanges",
    responses((status = 200, description = "The change log.", body = ChangeLog)))]
async fn list_changes(caller: Caller) -> axum::Json<ChangeLog> {
    let shown = CHANGES.iter().map(|change| ApiChange {
        version: change.version,
        date: change.date,
        kind: change.kind.as_str(),
        text: change.text(caller.language),
    });
    let departing = DEPRECATED.iter().map(|line| Departing {
        method: line.method,
        path: format!("{}{}", crate::api::BASE, line.path),
        since: instant(line.since),
        sunset: instant(line.sunset),
    });
    axum::Json(ChangeLog {
        version: changes::version(),
        changes: shown.collect(),
        deprecated: departing.collect(),
    })
}
