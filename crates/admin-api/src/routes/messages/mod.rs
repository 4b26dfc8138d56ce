//! `/messages`: the messages of the mailbox that the caller opened.

mod change;
mod list;
mod read;
mod send;
mod shown;

use crate::access::{Permission, RouteRule, rule};
use crate::api::Api;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] = &[
    rule("GET", "/messages", &[Permission::Messages]),
    rule("POST", "/messages", &[Permission::Messages]),
    rule("GET", "/messages/{id}", &[Permission::Messages]),
    rule("PATCH", "/messages/{id}", &[Permission::Messages]),
    rule("DELETE", "/messages/{id}", &[Permission::Messages]),
    rule("GET", "/messages/{id}/raw", &[Permission::Messages]),
    rule("GET", "/messages/{id}/attachments/{part}", &[Permission::Messages]),
];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list::list_messages, send::send_message))
        .routes(routes!(read::show_message, change::change_message, change::remove_message))
        .routes(routes!(read::raw_message))
        .routes(routes!(read::attachment))
}
