//! The resources of the service as it runs: what waits, what is trusted, what is presented, what was counted.

mod applications;
mod certificates;
mod criteria;
mod crls;
mod health;
mod journal;
mod members;
mod queue;
mod requests;
mod rulings;
mod statistics;
mod trust;
mod whitelist;

use crate::access::RouteRule;
use crate::api::Api;
use utoipa_axum::router::OpenApiRouter;

/// Every one of them.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .merge(applications::routes())
        .merge(certificates::routes())
        .merge(crls::routes())
        .merge(health::routes())
        .merge(journal::routes())
        .merge(queue::routes())
        .merge(requests::routes())
        .merge(rulings::routes())
        .merge(statistics::routes())
        .merge(trust::routes())
        .merge(whitelist::routes())
}

/// Their lines of the table of rules.
pub(super) fn rules() -> impl Iterator<Item = &'static RouteRule> {
    [
        applications::RULES,
        certificates::RULES,
        crls::RULES,
        health::RULES,
        journal::RULES,
        queue::RULES,
        requests::RULES,
        rulings::RULES,
        statistics::RULES,
        trust::RULES,
        whitelist::RULES,
    ]
    .into_iter()
    .flatten()
}
