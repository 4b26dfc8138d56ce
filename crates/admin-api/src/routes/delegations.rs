//! `/mailboxes/{id}/delegations`, `/users/{id}/delegations`: who may open whose mailbox, to do what, until when.

use super::users::may_see_person;
use crate::access::{Caller, Domains, Permission, RouteRule, Standing, rule};
use crate::api::{Api, Shared};
use crate::etag::IfMatch;
use crate::instant::Instant;
use crate::json::{Created, Json, Query, Shown, instant};
use crate::notices::letters;
use crate::page::{self, Page};
use crate::problem::{Code, Problem};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mail_types::{ActorId, ActorKind, AdminRole, Rights, Role};
use message::notice::{Access, Event};
use serde::{Deserialize, Serialize};
use store::{
    DelegationChange, DelegationError, DelegationRow, FoundMailbox, FoundPerson, Grantee, PersonKey,
    PersonName, Terms,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] = &[
    rule("GET", "/mailboxes/{id}/delegations", &[Permission::DelegationsRead, Permission::OwnMailbox]),
    rule("POST", "/mailboxes/{id}/delegations", &[Permission::DelegationsWrite, Permission::OwnMailbox]),
    rule(
        "GET",
        "/mailboxes/{id}/delegations/{userId}",
        &[Permission::DelegationsRead, Permission::OwnMailbox],
    ),
    rule(
        "PATCH",
        "/mailboxes/{id}/delegations/{userId}",
        &[Permission::DelegationsWrite, Permission::OwnMailbox],
    ),
    rule(
        "DELETE",
        "/mailboxes/{id}/delegations/{userId}",
        &[Permission::DelegationsWrite, Permission::OwnMailbox],
    ),
    rule("GET", "/users/{id}/delegations", &[Permission::DelegationsRead, Permission::OwnMailbox]),
];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, give))
        .routes(routes!(show, change, take))
        .routes(routes!(list_of_user))
}

/// Who may open a mailbox, to do what, until when.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Delegation {
    /// The mailbox.
    mailbox: DelegatedMailbox,
    /// The person who may open it; null for an application.
    user: Option<Delegate>,
    /// The application that may open it; null for a person.
    application: Option<DelegateApplication>,
    /// `custom` when the rights are not those of a role.
    role: DelegationRole,
    /// The rights in its folders, as RFC 4314 writes them.
    #[schema(example = "lrswip")]
    rights: String,
    /// When it ends; null for no end.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// Login of the person, or name of the key or application, that gave or last changed it; null when it was done on the machine itself.
    granted_by: Option<String>,
    /// When it was given or last changed.
    #[schema(format = DateTime)]
    granted_at: String,
    /// In how many folders of the mailbox something else was given (SETACL): there that holds, whatever `role` and `rights` say. A change of the delegation leaves
    /// it as it is; over IMAP, SETACL or DELETEACL of such a folder changes it.
    #[schema(minimum = 0)]
    folders_apart: u64,
}

/// A mailbox that is opened.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DelegatedMailbox {
    /// Its number.
    #[schema(example = "17")]
    id: String,
    /// Its address.
    #[schema(example = "cardiologie@chu-nord.example")]
    email: String,
}

/// A person who may open somebody else's mailbox.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Delegate {
    /// Number of the person.
    #[schema(example = "3")]
    id: String,
    /// Login name.
    #[schema(example = "claire.martin")]
    login: String,
    /// National number of a health professional.
    rpps: Option<String>,
    /// First name.
    first_name: String,
    /// Last name.
    last_name: String,
}

/// An application that may open a mailbox with its certificate.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DelegateApplication {
    /// Its name.
    name: String,
}

/// A role, or rights that are none's.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DelegationRole {
    /// Reads.
    Read,
    /// Reads, writes, and sends with the mailbox's address.
    Write,
    /// The same, and changes folders and removes messages.
    Manage,
    /// Everything, also giving and taking away delegations.
    Admin,
    /// Rights that were chosen one by one.
    Custom,
}

/// A role to be given. The design names `reader`, `editor`, `manager`, `administrator` are understood too.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
pub(crate) enum GivenRole {
    /// Reads.
    #[serde(rename = "read", alias = "reader")]
    Read,
    /// Reads, writes, and sends with the mailbox's address.
    #[serde(rename = "write", alias = "editor")]
    Write,
    /// The same, and changes folders and removes messages.
    #[serde(rename = "manage", alias = "manager")]
    Manage,
    /// Everything, also giving and taking away delegations.
    #[serde(rename = "admin", alias = "administrator")]
    Admin,
}

impl From<GivenRole> for Role {
    fn from(role: GivenRole) -> Self {
        match role {
            GivenRole::Read => Self::Reader,
            GivenRole::Write => Self::Editor,
            GivenRole::Manage => Self::Manager,
            GivenRole::Admin => Self::Administrator,
        }
    }
}

impl From<DelegationRow> for Delegation {
    fn from(row: DelegationRow) -> Self {
        let (user, application) = match row.grantee {
            Grantee::Person { user, login, rpps, first_name, last_name } => {
                (Some(Delegate { id: user.to_string(), login, rpps, first_name, last_name }), None)
            }
            Grantee::Application { name } => (None, Some(DelegateApplication { name })),
        };
        Self {
            mailbox: DelegatedMailbox { id: row.mailbox.to_string(), email: row.address },
            user,
            application,
            role: match row.role {
                Some(Role::Reader) => DelegationRole::Read,
                Some(Role::Editor) => DelegationRole::Write,
                Some(Role::Manager) => DelegationRole::Manage,
                Some(Role::Administrator) => DelegationRole::Admin,
                None => DelegationRole::Custom,
            },
            rights: row.rights.to_string(),
            expires_at: row.expires_at.map(instant),
            granted_by: row.granted_by,
            granted_at: instant(row.granted_at),
            folders_apart: row.folders_apart,
        }
    }
}

fn shown(row: DelegationRow) -> Shown<Delegation> {
    Shown { revision: row.revision, value: row.into() }
}

/// A delegation to be given: to one person, named in one way; with a role, or with rights.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NewDelegation {
    /// Number of the person.
    #[schema(max_length = 20)]
    user_id: Option<String>,
    /// Login name of the person.
    #[schema(max_length = 255)]
    login: Option<String>,
    /// National number of the person.
    #[schema(max_length = 11)]
    rpps: Option<String>,
    /// What the person may do.
    role: Option<GivenRole>,
    /// What the person may do, right by right (RFC 4314 section 2.1): letters of `lrswipkxtea`, each once. They give no right to send with the
    /// mailbox's address, unless they are those of a role.
    #[schema(example = "lrsw", min_length = 1, max_length = 11)]
    rights: Option<String>,
    /// When it ends; null for no end.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Instant>,
}

/// What of a delegation can be changed (RFC 7396: an absent member stays, null removes).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct DelegationPatch {
    /// What the person may do.
    #[serde(default)]
    role: Option<GivenRole>,
    /// What the person may do, right by right.
    #[serde(default)]
    #[schema(example = "lrsw", min_length = 1, max_length = 11)]
    rights: Option<String>,
    /// When it ends; null for no end.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Option<Instant>>,
}

/// What to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DelegationQuery {
    /// Where the page begins: `nextCursor` of the one before.
    #[param(max_length = 1024)]
    cursor: Option<String>,
    /// Rows of the page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
}

/// How a change is made.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ForceQuery {
    /// Also when nobody is left who administers. The operator's administrators only.
    pub(super) force: Option<bool>,
}

/// Lists who may open a mailbox
///
/// In the order in which they were first given. By administrators, and by whoever holds or administers the mailbox.
#[utoipa::path(get, path = "/mailboxes/{id}/delegations", tag = "delegations", operation_id = "listDelegations",
    params(("id" = String, Path, description = "Number or address of the mailbox."), DelegationQuery),
    responses((status = 200, description = "A page of delegations.", body = Page<Delegation>)))]
async fn list(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<DelegationQuery>,
) -> Result<axum::Json<Page<Delegation>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after = after(query.cursor.as_deref())?;
    let mailbox = open(&api, &caller, Permission::DelegationsRead, &id).await?;
    let rows = api.store.delegations(mailbox.id, after, limit + 1).await?;
    Ok(axum::Json(Page::of(rows, limit, |row| row.id.to_string()).map(Delegation::from)))
}

/// Lists what a person may open of others'
///
/// Administrators see the mailboxes of their domains, a person all of their own delegations.
#[utoipa::path(get, path = "/users/{id}/delegations", tag = "delegations", operation_id = "listDelegationsOfUser",
    params(("id" = String, Path, description = "Number, login or RPPS number of the person."), DelegationQuery),
    responses((status = 200, description = "A page of delegations.", body = Page<Delegation>)))]
async fn list_of_user(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<DelegationQuery>,
) -> Result<axum::Json<Page<Delegation>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after = after(query.cursor.as_deref())?;
    let person = api.store.find_person(&PersonName::of(&id)).await?.ok_or(Problem::new(Code::NotFound))?;
    let domains = match caller.principal().map(|principal| principal.actor.kind) {
        Some(ActorKind::User(user)) if user == person.user => Domains::All,
        Some(_) => return Err(Problem::new(Code::NotFound)),
        None => {
            // Whoever may not see the person is not told that there is one.
            let row = api.store.person(&PersonKey::Id(person.user)).await?;
            let row = row.ok_or(Problem::new(Code::NotFound))?;
            if !may_see_person(&api, &caller, Permission::DelegationsRead, &row).await? {
                return Err(Problem::new(Code::NotFound));
            }
            caller.domains(Permission::DelegationsRead)
        }
    };
    let only = match &domains {
        Domains::All => None,
        Domains::Only(domains) => Some(domains.as_slice()),
    };
    let rows = match caller.principal() {
        // A password of one mailbox tells of no other.
        Some(principal) if principal.only_here => {
            let here = api.store.delegation(principal.mailbox, person.actor).await?;
            here.into_iter().filter(|row| row.id > after).collect()
        }
        _ => api.store.delegations_of(person.actor, only, after, limit + 1).await?,
    };
    Ok(axum::Json(Page::of(rows, limit, |row| row.id.to_string()).map(Delegation::from)))
}

/// Gives a delegation
///
/// To somebody who has none in this mailbox: what is there already is a conflict, and can be changed. Nobody gives more than they have. It is in
/// force at once, also for IMAP.
#[utoipa::path(post, path = "/mailboxes/{id}/delegations", tag = "delegations", operation_id = "giveDelegation", request_body = NewDelegation,
    params(("id" = String, Path, description = "Number or address of the mailbox.")),
    responses((status = 201, description = "The delegation.", body = Delegation)))]
async fn give(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    Json(new): Json<NewDelegation>,
) -> Result<Created<Delegation>, Problem> {
    let mailbox = open(&api, &caller, Permission::DelegationsWrite, &id).await?;
    let person = named(&api, &new).await?;
    let granted = given(new.role, new.rights.as_deref())?.ok_or_else(|| {
        Problem::invalid("/role", "a role or rights are needed", "il faut un rôle ou des droits")
    })?;
    let expires_at = expiry(&api, new.expires_at)?;
    may_give(&caller, granted.0)?;
    let terms = Terms { rights: granted.0, role: granted.1, expires_at };
    let grantee = person.name();
    let access = access(&mailbox, &grantee, &terms);
    let letters = letters(&api, mailbox.id, Some(person.actor), &Event::Given(access)).await?;
    let within = giver(&caller);
    let change = DelegationChange { letters, within, ..DelegationChange::of(mailbox.id, person.actor) };
    api.store_of(&caller).give_delegation(change, terms).await?.map_err(refused)?;
    let location = format!("/mailboxes/{}/delegations/{}", mailbox.id, person.user);
    Ok(Created { location, shown: shown(find(&api, &mailbox, &person).await?) })
}

/// Shows a delegation
///
/// With its `ETag`.
#[utoipa::path(get, path = "/mailboxes/{id}/delegations/{userId}", tag = "delegations", operation_id = "showDelegation",
    params(("id" = String, Path, description = "Number or address of the mailbox."),
        ("userId" = String, Path, description = "Number, login or RPPS number of the person.")),
    responses((status = 200, description = "The delegation.", body = Delegation)))]
async fn show(
    State(api): Shared,
    caller: Caller,
    Path((id, user)): Path<(String, String)>,
) -> Result<Shown<Delegation>, Problem> {
    let mailbox = open(&api, &caller, Permission::DelegationsRead, &id).await?;
    let person = delegate(&api, &user).await?;
    Ok(shown(find(&api, &mailbox, &person).await?))
}

/// Changes a delegation
///
/// `If-Match` is required. The last administrator of an organizational or cabinet mailbox stays one. What was given in single folders stays, and holds there: see
/// `foldersApart`.
#[utoipa::path(patch, path = "/mailboxes/{id}/delegations/{userId}", tag = "delegations", operation_id = "changeDelegation",
    request_body = DelegationPatch,
    params(("id" = String, Path, description = "Number or address of the mailbox."),
        ("userId" = String, Path, description = "Number, login or RPPS number of the person."), ForceQuery,
        ("If-Match" = String, Header, description = "The ETag that was read.")),
    responses((status = 200, description = "The delegation as it is now.", body = Delegation)))]
async fn change(
    State(api): Shared,
    caller: Caller,
    Path((id, user)): Path<(String, String)>,
    Query(query): Query<ForceQuery>,
    if_match: IfMatch,
    Json(patch): Json<DelegationPatch>,
) -> Result<Shown<Delegation>, Problem> {
    let mailbox = open(&api, &caller, Permission::DelegationsWrite, &id).await?;
    let person = delegate(&api, &user).await?;
    let known = find(&api, &mailbox, &person).await?;
    let expected = if_match.expect(known.revision)?;
    let granted = given(patch.role, patch.rights.as_deref())?.unwrap_or((known.rights, known.role));
    may_give(&caller, granted.0)?;
    let expires_at = match patch.expires_at {
        None => known.expires_at,
        Some(expires_at) => expiry(&api, expires_at)?,
    };
    let terms = Terms { rights: granted.0, role: granted.1, expires_at };
    let grantee = known.grantee.name();
    let access = access(&mailbox, &grantee, &terms);
    let letters = letters(&api, mailbox.id, Some(person.actor), &Event::Changed(access)).await?;
    let change = DelegationChange {
        letters,
        expected,
        within: giver(&caller),
        force: may_force(&caller, query.force)?,
        ..DelegationChange::of(mailbox.id, person.actor)
    };
    api.store_of(&caller).change_delegation(change, terms).await?.map_err(refused)?;
    Ok(shown(find(&api, &mailbox, &person).await?))
}

/// Takes a delegation away
///
/// `If-Match` is required. Open sessions end within seconds. The last administrator of an organizational or cabinet mailbox stays one.
#[utoipa::path(delete, path = "/mailboxes/{id}/delegations/{userId}", tag = "delegations", operation_id = "takeDelegation",
    params(("id" = String, Path, description = "Number or address of the mailbox."),
        ("userId" = String, Path, description = "Number, login or RPPS number of the person."), ForceQuery,
        ("If-Match" = String, Header, description = "The ETag that was read.")),
    responses((status = 204, description = "It is taken away.")))]
async fn take(
    State(api): Shared,
    caller: Caller,
    Path((id, user)): Path<(String, String)>,
    Query(query): Query<ForceQuery>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let mailbox = open(&api, &caller, Permission::DelegationsWrite, &id).await?;
    let person = delegate(&api, &user).await?;
    let known = find(&api, &mailbox, &person).await?;
    let expected = if_match.expect(known.revision)?;
    let terms = Terms { rights: known.rights, role: known.role, expires_at: None };
    let grantee = known.grantee.name();
    let access = access(&mailbox, &grantee, &terms);
    let letters = letters(&api, mailbox.id, Some(person.actor), &Event::Taken(access)).await?;
    let change = DelegationChange {
        letters,
        expected,
        within: giver(&caller),
        force: may_force(&caller, query.force)?,
        ..DelegationChange::of(mailbox.id, person.actor)
    };
    api.store_of(&caller).take_delegation(change).await?.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a letter tells of.
fn access<'a>(mailbox: &'a FoundMailbox, grantee: &'a str, terms: &Terms) -> Access<'a> {
    Access { mailbox: &mailbox.address, grantee, role: terms.role, until: terms.expires_at }
}

fn after(cursor: Option<&str>) -> Result<i64, Problem> {
    page::row_after(cursor)
}

/// The mailbox, if the caller administers its domain, holds it, or was given the right to administer it.
async fn open(
    api: &Api,
    caller: &Caller,
    permission: Permission,
    name: &str,
) -> Result<FoundMailbox, Problem> {
    let mailbox = api.store.find_mailbox(name).await?.ok_or(Problem::new(Code::NotFound))?;
    match caller.principal() {
        None => caller.may_see(permission, mailbox.domain)?,
        Some(principal) if principal.mailbox != mailbox.id => return Err(Problem::new(Code::NotFound)),
        Some(principal) if !principal.rights.has('a') => {
            return Err(Problem::new(Code::Forbidden).detail(
                "only those who administer the mailbox (role admin) see and change who may open it",
                "seuls les administrateurs de la boîte (rôle admin) voient et changent qui peut l'ouvrir",
            ));
        }
        Some(_) => {}
    }
    Ok(mailbox)
}

async fn find(api: &Api, mailbox: &FoundMailbox, person: &FoundPerson) -> Result<DelegationRow, Problem> {
    api.store.delegation(mailbox.id, person.actor).await?.ok_or(Problem::new(Code::NotFound))
}

async fn delegate(api: &Api, name: &str) -> Result<FoundPerson, Problem> {
    api.store.find_person(&PersonName::of(name)).await?.ok_or(Problem::new(Code::NotFound))
}

/// The person that a body names, in one way.
async fn named(api: &Api, new: &NewDelegation) -> Result<FoundPerson, Problem> {
    let (pointer, name) = match (&new.user_id, &new.login, &new.rpps) {
        (Some(id), None, None) => {
            let id = id.parse().map_err(|_| {
                Problem::invalid(
                    "/userId",
                    "is not the number of a person",
                    "n'est pas le numéro d'une personne",
                )
            })?;
            ("/userId", PersonName::Id(mail_types::UserId(id)))
        }
        (None, Some(login), None) => ("/login", PersonName::Login(login.clone())),
        (None, None, Some(rpps)) => ("/rpps", PersonName::Rpps(rpps.clone())),
        _ => {
            return Err(Problem::invalid(
                "",
                "name the person in one way: userId, login or rpps",
                "nommez la personne d'une seule façon : userId, login ou rpps",
            ));
        }
    };
    api.store.find_person(&name).await?.ok_or_else(|| {
        Problem::invalid(
            pointer,
            "there is no such person; add the person first",
            "il n'y a pas de telle personne ; ajoutez-la d'abord",
        )
    })
}

/// What a role or rights come to. Rights that are those of a role are that role.
fn given(role: Option<GivenRole>, rights: Option<&str>) -> Result<Option<(Rights, Option<Role>)>, Problem> {
    match (role.map(Role::from), rights) {
        (None, None) => Ok(None),
        (Some(role), None) => Ok(Some((role.rights(), Some(role)))),
        (None, Some(letters)) => {
            let rights = Rights::parse(letters).filter(|rights| !rights.is_empty()).ok_or_else(|| {
                Problem::invalid(
                    "/rights",
                    "must be letters of lrswipkxtea (RFC 4314), each once",
                    "doit être formé de lettres parmi lrswipkxtea (RFC 4314), chacune une fois",
                )
            })?;
            Ok(Some((rights, Role::of_rights(rights))))
        }
        (Some(_), Some(_)) => Err(Problem::invalid(
            "/rights",
            "a role or rights, not both",
            "un rôle ou des droits, pas les deux",
        )),
    }
}

fn expiry(api: &Api, at: Option<Instant>) -> Result<Option<mail_types::Timestamp>, Problem> {
    match at {
        Some(Instant(at)) if at <= api.store.now() => Err(Problem::invalid(
            "/expiresAt",
            "must be in the future; take the delegation away to end it now",
            "doit être dans le futur ; retirez la délégation pour y mettre fin maintenant",
        )),
        at => Ok(at.map(|Instant(at)| at)),
    }
}

/// Whoever opened the mailbox gives nothing that lasts longer than what they have in it.
fn giver(caller: &Caller) -> Option<ActorId> {
    caller.principal().map(|principal| principal.actor.id)
}

/// Whoever opened the mailbox gives at most what they have in it.
fn may_give(caller: &Caller, rights: Rights) -> Result<(), Problem> {
    match caller.principal() {
        Some(principal) if !rights.is_within(principal.rights) => Err(Problem::new(Code::Forbidden).detail(
            format!("your own rights in this mailbox are {}: you cannot give more", principal.rights),
            format!("vos droits dans cette boîte sont {} : vous ne pouvez donner plus", principal.rights),
        )),
        _ => Ok(()),
    }
}

pub(crate) fn may_force(caller: &Caller, force: Option<bool>) -> Result<bool, Problem> {
    let may = match &caller.standing {
        Standing::Machine => true,
        Standing::Administrator { roles, .. } => roles.iter().any(|(role, _)| *role == AdminRole::Operator),
        _ => false,
    };
    match force {
        Some(true) if !may => Err(Problem::new(Code::Forbidden).detail(
            "only the operator's administrators may use force",
            "seuls les administrateurs de l'opérateur peuvent utiliser force",
        )),
        force => Ok(force == Some(true)),
    }
}

fn refused(error: DelegationError) -> Problem {
    match error {
        DelegationError::Changed => Problem::new(Code::PreconditionFailed),
        DelegationError::UnknownMailbox | DelegationError::UnknownDelegation => Problem::new(Code::NotFound),
        DelegationError::Disabled => Problem::new(Code::Conflict)
            .detail("the person is disabled; enable the person first", "la personne est désactivée ; réactivez-la d'abord"),
        DelegationError::Given => Problem::new(Code::Conflict).detail(
            "the person has a delegation of this mailbox already; change it with PATCH",
            "la personne a déjà une délégation de cette boîte ; modifiez-la par PATCH",
        ),
        DelegationError::Own => Problem::new(Code::Conflict).detail(
            "the mailbox is the person's own and needs no delegation",
            "la boîte est celle de la personne et n'a pas besoin de délégation",
        ),
        DelegationError::BeyondOwn => Problem::new(Code::Forbidden).detail(
            "your own delegation of this mailbox ends: you cannot change it, nor give or keep one that lasts longer",
            "votre propre délégation de cette boîte a une fin : vous ne pouvez la modifier, ni en donner ou maintenir une qui dure plus longtemps",
        ),
        DelegationError::LastAdministrator => Problem::new(Code::LastAdministrator).detail(
            "nobody else administers this mailbox for good; give the role admin without an end date to somebody else first (an administrator of the operator may use force=true)",
            "personne d'autre n'administre durablement cette boîte ; donnez d'abord le rôle admin, sans date de fin, à une autre personne (un administrateur de l'opérateur peut utiliser force=true)",
        ),
    }
}
