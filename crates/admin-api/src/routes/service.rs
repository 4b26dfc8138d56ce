//! `/service`: what the server is and what it takes.

use crate::access::{Permission, RouteRule, rule};
use crate::api::{Api, BODY_MAX, Shared};
use crate::page::LIMIT_MAX;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] = &[rule("GET", "/service", &[Permission::Known])];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(service))
}

/// What the server is, and what it takes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Service {
    /// Its name in greetings.
    hostname: String,
    /// Version of the program.
    version: &'static str,
    limits: Limits,
}

/// Bounds of requests and messages.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Limits {
    /// Octets of one message.
    message_bytes: u64,
    /// Recipients of one message.
    recipients: usize,
    /// Octets of a request's body, unless the operation says otherwise.
    body_bytes: usize,
    /// Rows of one page.
    page: u32,
}

/// Tells what the server is and what it takes
///
/// The bounds hold for every caller.
#[utoipa::path(get, path = "/service", operation_id = "describeService", tag = "service", responses((status = 200, description = "Name, version and limits.", body = Service)))]
async fn service(State(api): Shared) -> Json<Service> {
    Json(Service {
        hostname: api.hostname.clone(),
        version: env!("CARGO_PKG_VERSION"),
        limits: Limits {
            message_bytes: api.message_size_max,
            recipients: api.recipients_max,
            body_bytes: BODY_MAX,
            page: LIMIT_MAX,
        },
    })
}
