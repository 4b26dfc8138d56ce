//! `/mailboxes`: the mailboxes (BAL) of this operator, from the request to the tombstone.

mod examine;
mod life;
mod opened_by;
mod shape;

use crate::access::{Caller, Permission, RouteRule, rule};
use crate::api::{Api, Shared};
use crate::etag::IfMatch;
use crate::json::{Created, Json, Query, Shown};
use crate::page::{self, Page};
use crate::problem::{Code, Problem};
use crate::routes::users;
use axum::extract::{Path, State};
use mail_types::{Address, MailboxId, UserId};
use serde::Deserialize;
use shape::{Mailbox, MailboxPatch, MailboxState, MailboxType, NewMailbox};
use store::{LifeStep, MailboxFilter, MailboxOrder, MailboxRow, PersonKey};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] = &[
    rule("GET", "/mailboxes", &[Permission::MailboxesRead, Permission::OwnMailbox]),
    rule("POST", "/mailboxes", &[Permission::MailboxesWrite]),
    rule("GET", "/mailboxes/{id}", &[Permission::MailboxesRead, Permission::OwnMailbox]),
    rule("PATCH", "/mailboxes/{id}", &[Permission::MailboxesWrite]),
    rule("DELETE", "/mailboxes/{id}", &[Permission::MailboxesWrite]),
    rule("POST", "/mailboxes/{id}/validate", &[Permission::MailboxesWrite]),
    rule("POST", "/mailboxes/{id}/create", &[Permission::MailboxesWrite]),
    rule("POST", "/mailboxes/{id}/publish", &[Permission::MailboxesWrite]),
    rule("POST", "/mailboxes/{id}/reject", &[Permission::MailboxesWrite]),
    rule("POST", "/mailboxes/{id}/activate", &[Permission::MailboxesWrite]),
    rule("POST", "/mailboxes/{id}/suspend", &[Permission::MailboxesWrite]),
    rule("POST", "/mailboxes/{id}/restore", &[Permission::MailboxesWrite]),
    rule("POST", "/mailboxes/{id}/hide", &[Permission::MailboxesWrite, Permission::OwnMailbox]),
    rule("POST", "/mailboxes/{id}/unhide", &[Permission::MailboxesWrite, Permission::OwnMailbox]),
];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, make))
        .routes(routes!(show, change, delete))
        .merge(life::routes())
}

/// Delegates and steps that one mailbox is shown with.
const SHOWN_MAX: u32 = 100;

/// What to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MailboxQuery {
    /// Where the page begins: `nextCursor` of the one before, with the same `sort`.
    #[param(max_length = 1024)]
    cursor: Option<String>,
    /// Rows of the page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// Only of this type.
    #[serde(rename = "type")]
    #[param(inline)]
    kind: Option<MailboxType>,
    /// Only in this state.
    #[param(inline)]
    status: Option<MailboxState>,
    /// Only of this domain.
    #[param(max_length = 255)]
    domain: Option<String>,
    /// Only those that this person holds: RPPS number, number or login.
    #[param(max_length = 254)]
    owner: Option<String>,
    /// Only those whose address has this in it.
    #[param(max_length = 100)]
    q: Option<String>,
    /// In which order; `-` begins with the youngest, or with those that hold most.
    #[param(inline)]
    sort: Option<MailboxSort>,
}

/// In which order mailboxes are listed.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
pub(crate) enum MailboxSort {
    /// By address.
    #[serde(rename = "email")]
    Email,
    /// The oldest first.
    #[serde(rename = "createdAt")]
    Oldest,
    /// The youngest first.
    #[serde(rename = "-createdAt")]
    Youngest,
    /// Those that hold least first.
    #[serde(rename = "usedBytes")]
    Emptiest,
    /// Those that hold most first.
    #[serde(rename = "-usedBytes")]
    Fullest,
}

/// Lists mailboxes
///
/// Those that the caller administers, deleted ones too. Whoever calls with a mailbox's own credential sees that one. With `sort=usedBytes` a mailbox whose
/// use changes between two pages may be missed or seen twice.
#[utoipa::path(get, path = "/mailboxes", tag = "mailboxes", operation_id = "listMailboxes", params(MailboxQuery),
    responses((status = 200, description = "A page of mailboxes.", body = Page<Mailbox>)))]
async fn list(
    State(api): Shared,
    caller: Caller,
    Query(query): Query<MailboxQuery>,
) -> Result<axum::Json<Page<Mailbox>>, Problem> {
    let limit = page::limit(query.limit)?;
    let sort = query.sort.unwrap_or(MailboxSort::Email);
    let order = order(sort, &page::after(query.cursor.as_deref())?)?;
    let mut filter = MailboxFilter {
        kind: query.kind.map(Into::into),
        status: query.status.map(Into::into),
        contains: page::searched("q", query.q)?,
        ..MailboxFilter::default()
    };
    match caller.principal() {
        Some(principal) => filter.only = Some(principal.mailbox),
        None => {
            filter.domains =
                users::among(&api, &caller, Permission::MailboxesRead, query.domain.as_deref()).await?;
        }
    }
    if let Some(owner) = query.owner {
        let found = api.store.person(&person_key(&owner)).await?;
        // A person whom nobody knows holds nothing.
        filter.holder = Some(found.map_or(UserId(0), |row| row.id));
    }
    let rows = api.store.mailbox_page(&filter, &order, limit + 1).await?;
    let key = |row: &MailboxRow| match sort {
        MailboxSort::Email => row.address.clone(),
        MailboxSort::Oldest | MailboxSort::Youngest => row.id.to_string(),
        MailboxSort::Emptiest | MailboxSort::Fullest => format!("{}:{}", row.used_bytes, row.id),
    };
    Ok(axum::Json(Page::of(rows, limit, key).map(Mailbox::listed)))
}

/// Makes a mailbox, or asks for one
///
/// A personal one needs `owner`: `rpps`, `adeli` or the `login` of a known person; somebody without a national number needs names and `organization.finess`.
/// An organizational one needs `organization.finess` or `siret`, `organization.name`, and somebody with role `admin` in `delegatedUsers` or an `owner` who
/// becomes the first. An applicative one needs `application.name` and `application.finess`, and has no owner; with `certificate`
/// (which needs `certificates:write`) the application that logs in with that certificate opens it, as `manage`, and is made where there is none, under
/// the name that the address begins with; other certificates are entered with the application. A cabinet one needs `owner.rpps` and `description`. Somebody whose number is unknown is entered with the mailbox, with the names given.
/// With `workflow` `requested` the mailbox waits to be validated, created and activated.
#[utoipa::path(post, path = "/mailboxes", tag = "mailboxes", operation_id = "createMailbox", request_body = NewMailbox,
    responses((status = 201, description = "The mailbox.", body = Mailbox)))]
async fn make(
    State(api): Shared,
    caller: Caller,
    Json(new): Json<NewMailbox>,
) -> Result<Created<Mailbox>, Problem> {
    let request = examine::request(&api, &caller, new).await?;
    let made = api.store_of(&caller).request_mailbox(request).await?;
    let id = made.map_err(opened_by::refused)?;
    Ok(Created { location: format!("/mailboxes/{id}"), shown: shown(&api, &caller, id).await? })
}

/// Shows a mailbox
///
/// With its `ETag`, which covers what can be changed, and neither its use nor its delegations. `delegatedUsers` and `steps` are for those who administer the
/// mailbox or have `delegations:read` there.
#[utoipa::path(get, path = "/mailboxes/{id}", tag = "mailboxes", operation_id = "getMailbox", params(("id" = String, Path, description = "Number or address.")),
    responses((status = 200, description = "The mailbox.", body = Mailbox)))]
async fn show(State(api): Shared, caller: Caller, Path(id): Path<String>) -> Result<Shown<Mailbox>, Problem> {
    let row = found(&api, &caller, Permission::MailboxesRead, &id).await?;
    shown(&api, &caller, row.id).await
}

/// Changes a mailbox
///
/// `If-Match` is required. `email` and `type` never change; holders are changed with `/users`, delegations with `/mailboxes/{id}/delegations`.
#[utoipa::path(patch, path = "/mailboxes/{id}", tag = "mailboxes", operation_id = "updateMailbox", request_body = MailboxPatch,
    params(("id" = String, Path, description = "Number or address."), ("If-Match" = String, Header, description = "The ETag that was read.")),
    responses((status = 200, description = "The mailbox as it is now.", body = Mailbox)))]
async fn change(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
    Json(patch): Json<MailboxPatch>,
) -> Result<Shown<Mailbox>, Problem> {
    let row = found(&api, &caller, Permission::MailboxesWrite, &id).await?;
    let expected = if_match.expect(row.revision)?;
    let change = examine::change(&api, &row, patch)?;
    api.store_of(&caller).change_mailbox(row.id, expected, change).await??;
    shown(&api, &caller, row.id).await
}

/// Deletes a mailbox
///
/// `If-Match` is required. It can be restored until `restorableUntil`; then its content is erased. The address is never given to another holder.
#[utoipa::path(delete, path = "/mailboxes/{id}", tag = "mailboxes", operation_id = "deleteMailbox",
    params(("id" = String, Path, description = "Number or address."), ("If-Match" = String, Header, description = "The ETag that was read.")),
    responses((status = 200, description = "The mailbox as it is now.", body = Mailbox)))]
async fn delete(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<Shown<Mailbox>, Problem> {
    let row = found(&api, &caller, Permission::MailboxesWrite, &id).await?;
    let expected = if_match.expect(row.revision)?;
    let until = api.store.now().plus_millis(api.mailboxes.restore_ms);
    api.store_of(&caller).take_step(row.id, expected, LifeStep::Delete(until)).await??;
    shown(&api, &caller, row.id).await
}

/// Whether `principal` of the caller is this mailbox, and they hold or administer it.
fn administers_own(caller: &Caller, id: MailboxId) -> bool {
    caller.principal().is_some_and(|principal| principal.mailbox == id && principal.rights.has('a'))
}

/// The mailbox that a path names, if the caller may see it.
async fn found(api: &Api, caller: &Caller, permission: Permission, id: &str) -> Result<MailboxRow, Problem> {
    let row = match (id.parse::<i64>(), id.parse::<Address>()) {
        (Ok(id), _) => api.store.mailbox_of_row(MailboxId(id)).await?,
        (_, Ok(address)) => api.store.mailbox(&address).await?,
        _ => None,
    };
    let row = row.ok_or(Problem::new(Code::NotFound))?;
    match caller.principal() {
        Some(principal) if principal.mailbox == row.id => {}
        Some(_) => return Err(Problem::new(Code::NotFound)),
        None => caller.may_see(permission, row.domain)?,
    }
    Ok(row)
}

async fn shown(api: &Api, caller: &Caller, id: MailboxId) -> Result<Shown<Mailbox>, Problem> {
    let row = api.store.mailbox_of_row(id).await?.ok_or(Problem::new(Code::NotFound))?;
    let revision = row.revision;
    if !sees_delegates(caller, &row) {
        return Ok(Shown { revision, value: Mailbox::listed(row) });
    }
    let delegates = api.store.delegates(id, SHOWN_MAX).await?;
    let steps = api.store.mailbox_steps(id, SHOWN_MAX).await?;
    Ok(Shown { revision, value: Mailbox::whole(row, delegates, steps) })
}

/// Whether the caller may know who opens the mailbox and who did what to it: as `/mailboxes/{id}/delegations` decides.
fn sees_delegates(caller: &Caller, row: &MailboxRow) -> bool {
    match caller.principal() {
        Some(principal) => principal.rights.has('a'),
        None => {
            caller.has(Permission::DelegationsRead)
                && caller.domains(Permission::DelegationsRead).contain(row.domain)
        }
    }
}

/// Eleven digits are an RPPS number, other digits a row, anything else a login.
fn person_key(text: &str) -> PersonKey {
    let is_number = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    match text.parse() {
        Ok(id) if is_number && text.len() != 11 => PersonKey::Id(UserId(id)),
        _ if is_number => PersonKey::Rpps(text.to_owned()),
        _ => PersonKey::Login(text.chars().filter(|c| !c.is_control()).collect()),
    }
}

fn order(sort: MailboxSort, after: &str) -> Result<MailboxOrder, Problem> {
    let id = |text: &str| text.parse().map(MailboxId).map_err(|_| page::foreign());
    let used = |text: &str| -> Result<(u64, MailboxId), Problem> {
        let (used, row) = text.split_once(':').ok_or_else(page::foreign)?;
        Ok((used.parse().map_err(|_| page::foreign())?, id(row)?))
    };
    Ok(match sort {
        MailboxSort::Email => MailboxOrder::Address(after.to_owned()),
        MailboxSort::Oldest if after.is_empty() => MailboxOrder::Oldest(MailboxId(0)),
        MailboxSort::Oldest => MailboxOrder::Oldest(id(after)?),
        MailboxSort::Youngest if after.is_empty() => MailboxOrder::Youngest(None),
        MailboxSort::Youngest => MailboxOrder::Youngest(Some(id(after)?)),
        MailboxSort::Emptiest if after.is_empty() => MailboxOrder::Emptiest(0, MailboxId(0)),
        MailboxSort::Emptiest => {
            let (used, row) = used(after)?;
            MailboxOrder::Emptiest(used, row)
        }
        MailboxSort::Fullest if after.is_empty() => MailboxOrder::Fullest(None),
        MailboxSort::Fullest => MailboxOrder::Fullest(Some(used(after)?)),
    })
}
