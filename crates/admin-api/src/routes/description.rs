//! `/openapi.json`: the description of the API.

use crate::access::{Permission, RouteRule, rule};
use crate::api::Api;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use std::sync::LazyLock;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] = &[rule("GET", "/openapi.json", &[Permission::Anybody])];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(describe))
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
