//! The steps of a mailbox's creation and life, and whether the directory shows it.

use super::shape::Mailbox;
use super::{administers_own, found, shown};
use crate::access::{Caller, Permission};
use crate::api::{Api, Shared};
use crate::json::Shown;
use crate::notices;
use crate::problem::{Code, Problem};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mail_types::MailboxStatus;
use message::notice::Event;
use store::LifeStep;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(validate))
        .routes(routes!(create))
        .routes(routes!(publish))
        .routes(routes!(reject))
        .routes(routes!(activate))
        .routes(routes!(suspend))
        .routes(routes!(restore))
        .routes(routes!(hide))
        .routes(routes!(unhide))
}

/// Declares the operations that take one step: name, path, id, step, what they do, what more there is to say.
macro_rules! steps {
    ($($name:ident $path:literal $id:literal $step:expr, $(#[$doc:meta])*;)*) => {$(
        $(#[$doc])*
        #[utoipa::path(post, path = $path, tag = "mailboxes", operation_id = $id,
            params(("id" = String, Path, description = "Number or address.")),
            responses((status = 200, description = "The mailbox as it is now.", body = Mailbox)))]
        async fn $name(
            State(api): Shared,
            caller: Caller,
            Path(id): Path<String>,
        ) -> Result<Shown<Mailbox>, Problem> {
            take(&api, &caller, &id, $step).await
        }
    )*};
}

steps! {
    validate "/mailboxes/{id}/validate" "validateMailbox" LifeStep::Validate,
    /// Validates a request
    ///
    /// What was said of holder and structure was found to be right.
    ;
    create "/mailboxes/{id}/create" "completeMailbox" LifeStep::Create,
    /// Creates a mailbox that was requested and validated
    ///
    /// It gets its key and its folders. It is pending until it is activated.
    ;
    publish "/mailboxes/{id}/publish" "publishMailbox" LifeStep::Publish,
    /// Marks a mailbox for the directory
    ///
    /// The national directory is told by a part of the server that does not exist yet: until then this is a mark, with who set it and when.
    ;
    activate "/mailboxes/{id}/activate" "activateMailbox" LifeStep::Activate,
    /// Opens a mailbox that is pending or suspended
    ///
    /// At once, for logins and mail.
    ;
    suspend "/mailboxes/{id}/suspend" "suspendMailbox" LifeStep::Suspend,
    /// Closes a mailbox for now
    ///
    /// Open sessions end. What becomes of mail for it is configured. Nothing is lost.
    ;
    restore "/mailboxes/{id}/restore" "restoreMailbox" LifeStep::Restore,
    /// Restores a deleted mailbox
    ///
    /// Until `restorableUntil`, to what it was before: content, grants, state.
    ;
}

/// Turns a request down
///
/// Of a mailbox that was not created yet. Nothing of it stays but the audit, and its address is free.
#[utoipa::path(post, path = "/mailboxes/{id}/reject", tag = "mailboxes", operation_id = "rejectMailbox",
    params(("id" = String, Path, description = "Number or address.")), responses((status = 204, description = "It is gone.")))]
async fn reject(State(api): Shared, caller: Caller, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let row = found(&api, &caller, Permission::MailboxesWrite, &id).await?;
    api.store_of(&caller).reject_mailbox(row.id, None).await??;
    Ok(StatusCode::NO_CONTENT)
}

/// Hides a mailbox from the directory (liste rouge), or asks for it
///
/// An administrator decides. The holder, with the mailbox's own credential, asks: `hideRequested` tells until it is decided. The mailbox stays in service.
#[utoipa::path(post, path = "/mailboxes/{id}/hide", tag = "mailboxes", operation_id = "hideMailbox",
    params(("id" = String, Path, description = "Number or address.")), responses((status = 200, description = "The mailbox as it is now.", body = Mailbox)))]
async fn hide(State(api): Shared, caller: Caller, Path(id): Path<String>) -> Result<Shown<Mailbox>, Problem> {
    set_hidden(&api, &caller, &id, true).await
}

/// Shows a mailbox in the directory again, or asks for it
///
/// As `hide`, the other way.
#[utoipa::path(post, path = "/mailboxes/{id}/unhide", tag = "mailboxes", operation_id = "unhideMailbox",
    params(("id" = String, Path, description = "Number or address.")), responses((status = 200, description = "The mailbox as it is now.", body = Mailbox)))]
async fn unhide(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Shown<Mailbox>, Problem> {
    set_hidden(&api, &caller, &id, false).await
}

async fn take(api: &Api, caller: &Caller, id: &str, step: LifeStep) -> Result<Shown<Mailbox>, Problem> {
    let row = found(api, caller, Permission::MailboxesWrite, id).await?;
    let is_back = matches!(step, LifeStep::Restore)
        || matches!((&step, row.status), (LifeStep::Activate, MailboxStatus::Suspended));
    let is_closed = matches!(step, LifeStep::Suspend);
    api.store_of(caller).take_step(row.id, None, step).await??;
    if let Ok(mailbox) = &row.address.parse() {
        if is_closed {
            notices::tell(api, row.id, &Event::Suspended { mailbox }).await;
        } else if is_back {
            notices::tell(api, row.id, &Event::Restored { mailbox }).await;
        }
    }
    shown(api, caller, row.id).await
}

async fn set_hidden(
    api: &Api,
    caller: &Caller,
    id: &str,
    is_hidden: bool,
) -> Result<Shown<Mailbox>, Problem> {
    let row = found(api, caller, Permission::MailboxesWrite, id).await?;
    let store = api.store_of(caller);
    if caller.principal().is_none() {
        store.set_hidden(row.id, is_hidden).await??;
        if let Ok(mailbox) = &row.address.parse() {
            notices::tell(api, row.id, &Event::Hidden { mailbox, is_hidden }).await;
        }
    } else if administers_own(caller, row.id) {
        store.ask_to_hide(row.id, is_hidden).await??;
    } else {
        return Err(Problem::new(Code::Forbidden).detail(
            "only whoever holds or administers the mailbox asks for this",
            "seul le titulaire ou un administrateur de la boîte le demande",
        ));
    }
    shown(api, caller, row.id).await
}
