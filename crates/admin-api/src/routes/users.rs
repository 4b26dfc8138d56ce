//! `/users`: persons who hold mailboxes, open those of others, or administer.

use super::delegations::{ForceQuery, may_force};
use crate::access::{Caller, Domains, Permission, RouteRule, rule};
use crate::api::{Api, Shared};
use crate::etag::IfMatch;
use crate::faults::Faults;
use crate::json::{Created, Json, Query, Shown, instant};
use crate::page::{self, Page};
use crate::problem::{Code, Problem};
use axum::extract::{Path, State};
use mail_types::{Adeli, DomainId, Rpps, UserId};
use serde::{Deserialize, Serialize};
use store::{NewPerson, PersonChange, PersonFilter, PersonKey, PersonRow};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] = &[
    rule("GET", "/users", &[Permission::UsersRead]),
    rule("POST", "/users", &[Permission::UsersWrite]),
    rule("GET", "/users/{id}", &[Permission::UsersRead]),
    rule("PATCH", "/users/{id}", &[Permission::UsersWrite]),
    rule("POST", "/users/{id}/disable", &[Permission::UsersWrite]),
    rule("POST", "/users/{id}/enable", &[Permission::UsersWrite]),
];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, enter))
        .routes(routes!(show, change))
        .routes(routes!(disable))
        .routes(routes!(enable))
}

/// Characters of a name, a profession, a specialty.
pub(crate) const NAME_MAX: usize = 100;
/// Characters of a login.
const LOGIN_MAX: usize = 254;

/// A person.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    /// Its number.
    #[schema(example = "17")]
    id: String,
    /// Login name.
    #[schema(example = "marie.durand")]
    login: String,
    /// First name.
    #[schema(example = "Marie")]
    first_name: String,
    /// Last name.
    #[schema(example = "Durand")]
    last_name: String,
    /// Profession.
    #[schema(example = "Médecin")]
    profession: String,
    /// Specialty.
    #[schema(example = "Cardiologie")]
    specialty: String,
    /// Number in the Répertoire partagé des professionnels de santé.
    #[schema(example = "10001234565")]
    rpps: Option<String>,
    /// Number in the former departmental lists.
    #[schema(example = "759999999")]
    adeli: Option<String>,
    /// The domain whose administrators may change the person; null: only the operator's.
    #[schema(example = "chu-nord.example")]
    domain: Option<String>,
    status: UserStatus,
    /// Since when the person may not log in.
    #[schema(format = DateTime)]
    disabled_at: Option<String>,
    /// When the person was entered.
    #[schema(format = DateTime)]
    created_at: String,
}

/// Whether a person may log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum UserStatus {
    /// They may.
    Active,
    /// They may not.
    Disabled,
}

impl From<PersonRow> for User {
    fn from(row: PersonRow) -> Self {
        let status = if row.disabled_at.is_some() { UserStatus::Disabled } else { UserStatus::Active };
        Self {
            id: row.id.to_string(),
            login: row.login,
            first_name: row.identity.first_name,
            last_name: row.identity.last_name,
            profession: row.identity.profession,
            specialty: row.identity.specialty,
            rpps: row.identity.rpps,
            adeli: row.identity.adeli,
            domain: row.domain_name,
            status,
            disabled_at: row.disabled_at.map(instant),
            created_at: instant(row.created_at),
        }
    }
}

/// A person to be entered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NewUser {
    /// Login name: letters, digits and `.@_+-`, not digits alone. Kept in lower case.
    #[schema(
        example = "marie.durand",
        min_length = 1,
        max_length = 254,
        pattern = "^[A-Za-z0-9._@+-]*[A-Za-z._@+-][A-Za-z0-9._@+-]*$"
    )]
    login: String,
    /// First name.
    #[schema(example = "Marie", min_length = 1, max_length = 100)]
    first_name: String,
    /// Last name.
    #[schema(example = "Durand", min_length = 1, max_length = 100)]
    last_name: String,
    /// Profession.
    #[schema(example = "Médecin", max_length = 100)]
    profession: Option<String>,
    /// Specialty.
    #[schema(example = "Cardiologie", max_length = 100)]
    specialty: Option<String>,
    /// Number in the Répertoire partagé des professionnels de santé: eleven digits with their key.
    #[schema(example = "10001234565", max_length = 32)]
    rpps: Option<String>,
    /// Number in the former departmental lists: nine characters.
    #[schema(example = "759999999", max_length = 32)]
    adeli: Option<String>,
    /// The domain whose administrators may change the person. An administrator of one domain enters persons of that domain.
    #[schema(example = "chu-nord.example", max_length = 255)]
    domain: Option<String>,
}

/// What of a person can be changed (RFC 7396: an absent member stays, null removes). The login cannot.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct UserChange {
    /// First name.
    #[schema(min_length = 1, max_length = 100)]
    first_name: Option<String>,
    /// Last name.
    #[schema(min_length = 1, max_length = 100)]
    last_name: Option<String>,
    /// Profession.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(value_type = Option<String>, max_length = 100)]
    profession: Option<Option<String>>,
    /// Specialty.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(value_type = Option<String>, max_length = 100)]
    specialty: Option<Option<String>>,
    /// Number in the Répertoire partagé des professionnels de santé.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(value_type = Option<String>, example = "10001234565", max_length = 32)]
    rpps: Option<Option<String>>,
    /// Number in the former departmental lists.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(value_type = Option<String>, example = "759999999", max_length = 32)]
    adeli: Option<Option<String>>,
    /// The domain whose administrators may change the person.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(value_type = Option<String>, example = "chu-nord.example", max_length = 255)]
    domain: Option<Option<String>>,
}

/// What to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UserQuery {
    /// Where the page begins: `nextCursor` of the one before.
    #[param(max_length = 1024)]
    cursor: Option<String>,
    /// Rows of the page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// Only persons of this domain, and holders of mailboxes there.
    #[param(max_length = 255)]
    domain: Option<String>,
    /// Only whose login or last name begins so.
    #[param(max_length = 100)]
    q: Option<String>,
    /// Only the one with this RPPS number.
    #[param(max_length = 32)]
    rpps: Option<String>,
    /// Only those who may log in, or who may not.
    #[param(inline)]
    status: Option<UserStatus>,
}

/// Lists persons
///
/// By login: those that the caller administers.
#[utoipa::path(get, path = "/users", tag = "users", operation_id = "listUsers", params(UserQuery),
    responses((status = 200, description = "A page of persons.", body = Page<User>)))]
async fn list(
    State(api): Shared,
    caller: Caller,
    Query(query): Query<UserQuery>,
) -> Result<axum::Json<Page<User>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after = page::after(query.cursor.as_deref())?;
    let filter = PersonFilter {
        domains: among(&api, &caller, Permission::UsersRead, query.domain.as_deref()).await?,
        begins: page::searched("q", query.q)?,
        rpps: query.rpps.map(|rpps| page::searched("rpps", Some(rpps))).transpose()?,
        is_disabled: query.status.map(|status| status == UserStatus::Disabled),
    };
    let rows = api.store.persons(&filter, &after, limit + 1).await?;
    Ok(axum::Json(Page::of(rows, limit, |row| row.login.clone()).map(User::from)))
}

/// Enters a person
///
/// A login, RPPS or ADELI number that another person has is a conflict.
#[utoipa::path(post, path = "/users", tag = "users", operation_id = "createUser", request_body = NewUser,
    responses((status = 201, description = "The person.", body = User)))]
async fn enter(
    State(api): Shared,
    caller: Caller,
    Json(new): Json<NewUser>,
) -> Result<Created<User>, Problem> {
    let mut faults = Faults::default();
    let check = api.mailboxes.key_check;
    let person = NewPerson {
        login: login(&mut faults, "/login", &new.login),
        first_name: name(&mut faults, "/firstName", &new.first_name),
        last_name: name(&mut faults, "/lastName", &new.last_name),
        profession: faults.text("/profession", new.profession.as_deref(), NAME_MAX),
        specialty: faults.text("/specialty", new.specialty.as_deref(), NAME_MAX),
        rpps: faults.identifier("/rpps", new.rpps.as_deref(), |text| Rpps::parse(text, check)),
        adeli: faults.identifier("/adeli", new.adeli.as_deref(), |text| Adeli::parse(text, check)),
        domain: own_domain(&api, &caller, &mut faults, new.domain.as_deref()).await?,
    };
    faults.none()?;
    let id = api.store_of(&caller).enter_person(person).await??;
    let row = api.store.person(&PersonKey::Id(id)).await?.ok_or(Problem::new(Code::NotFound))?;
    Ok(Created { location: format!("/users/{id}"), shown: shown(row) })
}

/// Shows a person
///
/// With its `ETag`.
#[utoipa::path(get, path = "/users/{id}", tag = "users", operation_id = "getUser", params(("id" = String, Path, description = "Number or login.")),
    responses((status = 200, description = "The person.", body = User)))]
async fn show(State(api): Shared, caller: Caller, Path(id): Path<String>) -> Result<Shown<User>, Problem> {
    seen(&api, &caller, Permission::UsersRead, &id).await.map(shown)
}

/// Changes a person
///
/// `If-Match` is required. Who holds mailboxes in several domains is changed by the administrators of their own domain, or by the operator.
#[utoipa::path(patch, path = "/users/{id}", tag = "users", operation_id = "updateUser", request_body = UserChange,
    params(("id" = String, Path, description = "Number or login."), ("If-Match" = String, Header, description = "The ETag that was read.")),
    responses((status = 200, description = "The person as they are now.", body = User)))]
async fn change(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
    Json(change): Json<UserChange>,
) -> Result<Shown<User>, Problem> {
    let row = changeable(&api, &caller, &id).await?;
    let expected = if_match.expect(row.revision)?;
    let mut faults = Faults::default();
    let check = api.mailboxes.key_check;
    let mut word = |pointer: &str, text: Option<Option<String>>| {
        text.map(|text| faults.text(pointer, text.as_deref(), NAME_MAX))
    };
    let (profession, specialty) =
        (word("/profession", change.profession), word("/specialty", change.specialty));
    let mut domain = None;
    if let Some(named) = change.domain {
        domain = Some(own_domain(&api, &caller, &mut faults, named.as_deref()).await?);
    }
    let change = PersonChange {
        first_name: change.first_name.map(|text| name(&mut faults, "/firstName", &text)),
        last_name: change.last_name.map(|text| name(&mut faults, "/lastName", &text)),
        profession,
        specialty,
        rpps: change
            .rpps
            .map(|rpps| faults.identifier("/rpps", rpps.as_deref(), |text| Rpps::parse(text, check))),
        adeli: change
            .adeli
            .map(|adeli| faults.identifier("/adeli", adeli.as_deref(), |text| Adeli::parse(text, check))),
        domain,
    };
    faults.none()?;
    api.store_of(&caller).change_person(row.id, expected, change).await??;
    again(&api, row.id).await
}

/// Bars a person from logging in
///
/// Everywhere, at once: open sessions end. What they hold and what was granted to them stays. The last administrator of an organizational or cabinet
/// mailbox stays one.
#[utoipa::path(post, path = "/users/{id}/disable", tag = "users", operation_id = "disableUser",
    params(("id" = String, Path, description = "Number or login."), ForceQuery), responses((status = 200, description = "The person as they are now.", body = User)))]
async fn disable(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<ForceQuery>,
) -> Result<Shown<User>, Problem> {
    let row = changeable(&api, &caller, &id).await?;
    let force = may_force(&caller, query.force)?;
    api.store_of(&caller).set_person_disabled(row.id, true, force).await??;
    again(&api, row.id).await
}

/// Lets a person log in again
///
/// With the credentials that they had, as far as these are still in force.
#[utoipa::path(post, path = "/users/{id}/enable", tag = "users", operation_id = "enableUser",
    params(("id" = String, Path, description = "Number or login.")), responses((status = 200, description = "The person as they are now.", body = User)))]
async fn enable(State(api): Shared, caller: Caller, Path(id): Path<String>) -> Result<Shown<User>, Problem> {
    let row = changeable(&api, &caller, &id).await?;
    api.store_of(&caller).set_person_disabled(row.id, false, false).await??;
    again(&api, row.id).await
}

fn shown(row: PersonRow) -> Shown<User> {
    Shown { revision: row.revision, value: row.into() }
}

async fn again(api: &Api, id: UserId) -> Result<Shown<User>, Problem> {
    let row = api.store.person(&PersonKey::Id(id)).await?;
    row.map(shown).ok_or_else(|| Problem::new(Code::NotFound))
}

/// What a path names: digits alone are a number, anything else is a login.
fn key(id: &str) -> Option<PersonKey> {
    if id.bytes().all(|octet| octet.is_ascii_digit()) {
        return id.parse().ok().map(|id| PersonKey::Id(UserId(id)));
    }
    let login = login(&mut Faults::default(), "", id);
    (!login.is_empty()).then_some(PersonKey::Login(login))
}

/// The person, if the caller may see them: of one of their domains, or the holder of a mailbox there.
async fn seen(api: &Api, caller: &Caller, permission: Permission, id: &str) -> Result<PersonRow, Problem> {
    let not_found = || Problem::new(Code::NotFound);
    let row = api.store.person(&key(id).ok_or_else(not_found)?).await?.ok_or_else(not_found)?;
    if may_see_person(api, caller, permission, &row).await? { Ok(row) } else { Err(not_found()) }
}

/// Whether a person is of one of the caller's domains, or holds a mailbox there.
pub(crate) async fn may_see_person(
    api: &Api,
    caller: &Caller,
    permission: Permission,
    row: &PersonRow,
) -> Result<bool, Problem> {
    let domains = caller.domains(permission);
    if domains == Domains::All || row.domain.is_some_and(|domain| domains.contain(domain)) {
        return Ok(true);
    }
    Ok(api.store.domains_of_holder(row.id).await?.iter().any(|domain| domains.contain(*domain)))
}

/// The person, if the caller may change them: of one of their domains or, being of none, a holder of mailboxes in their domains alone.
async fn changeable(api: &Api, caller: &Caller, id: &str) -> Result<PersonRow, Problem> {
    let row = seen(api, caller, Permission::UsersWrite, id).await?;
    let may = may_change_person(api, caller, Permission::UsersWrite, &row).await?;
    may.then_some(row).ok_or_else(|| {
        Problem::new(Code::Forbidden).detail(
            "the person is of another domain; its administrators or the operator change them",
            "la personne relève d'un autre domaine ; ses administrateurs ou l'opérateur la modifient",
        )
    })
}

/// Whether a person is of one of the caller's domains or, being of none, holds mailboxes there alone.
pub(crate) async fn may_change_person(
    api: &Api,
    caller: &Caller,
    permission: Permission,
    row: &PersonRow,
) -> Result<bool, Problem> {
    let domains = caller.domains(permission);
    Ok(match row.domain {
        _ if domains == Domains::All => true,
        Some(domain) => domains.contain(domain),
        None => api.store.domains_of_holder(row.id).await?.iter().all(|domain| domains.contain(*domain)),
    })
}

/// The domains that a list is of: those of the caller, or the one that is named among them. None for all.
pub(crate) async fn among(
    api: &Api,
    caller: &Caller,
    permission: Permission,
    named: Option<&str>,
) -> Result<Option<Vec<DomainId>>, Problem> {
    let domains = caller.domains(permission);
    let Some(name) = named else {
        return Ok(match domains {
            Domains::All => None,
            Domains::Only(domains) => Some(domains),
        });
    };
    let row = match name.parse() {
        Ok(name) => api.store.domain(&name).await?,
        Err(_) => None,
    };
    Ok(Some(row.map(|row| row.id).filter(|id| domains.contain(*id)).into_iter().collect()))
}

/// The domain that a person is of: one of the caller's. An administrator of a single domain needs not name it.
async fn own_domain(
    api: &Api,
    caller: &Caller,
    faults: &mut Faults,
    named: Option<&str>,
) -> Result<Option<DomainId>, Problem> {
    let domains = caller.domains(Permission::UsersWrite);
    let Some(name) = named else {
        return Ok(match domains {
            Domains::All => None,
            Domains::Only(domains) => match domains.as_slice() {
                [domain] => Some(*domain),
                _ => {
                    faults.needed("/domain", "name one of your domains", "nommez un de vos domaines");
                    None
                }
            },
        });
    };
    let row = match name.parse() {
        Ok(name) => api.store.domain(&name).await?,
        Err(_) => None,
    };
    let id = row.map(|row| row.id).filter(|id| domains.contain(*id));
    if id.is_none() {
        faults.add(
            "/domain",
            "is not one of the domains that you administer",
            "n'est pas un des domaines que vous administrez",
        );
    }
    Ok(id)
}

/// A login name in lower case; empty when it is at fault.
pub(crate) fn login(faults: &mut Faults, pointer: &str, text: &str) -> String {
    let login = text.trim().to_ascii_lowercase();
    let is_plain = login.bytes().all(|octet| octet.is_ascii_alphanumeric() || b".@_+-".contains(&octet));
    let is_number = login.bytes().all(|octet| octet.is_ascii_digit());
    if is_plain && !is_number && login.len() <= LOGIN_MAX {
        return login;
    }
    faults.add(
        pointer,
        "a login has letters, digits and .@_+- and is not digits alone",
        "un identifiant de connexion a des lettres, des chiffres et .@_+- et n'est pas fait que de chiffres",
    );
    String::new()
}

/// A name that somebody must have.
pub(crate) fn name(faults: &mut Faults, pointer: &str, text: &str) -> String {
    let name = faults.text(pointer, Some(text), NAME_MAX);
    if text.trim().is_empty() {
        faults.needed(pointer, "a name", "un nom");
    }
    name
}
