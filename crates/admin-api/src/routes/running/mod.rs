//! The resources of the service as it runs: what waits, what is trusted, what was counted.

mod journal;
mod queue;

use crate::access::RouteRule;
use crate::api::Api;
use utoipa_axum::router::OpenApiRouter;

/// Every one of them.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().merge(journal::routes()).merge(queue::routes())
}

/// Their lines of the table of rules.
pub(super) fn rules() -> impl Iterator<Item = &'static RouteRule> {
    [journal::RULES, queue::RULES].into_iter().flatten()
}
