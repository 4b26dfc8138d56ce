//! `/passwords`, `/users/{id}/passwords`: application passwords, one's own and other persons'. A password is made here, shown once, and kept as a hash.

use super::protocol_name::ProtocolName;
use super::users::{may_change_person, may_see_person};
use crate::access::{Caller, Domains, Permission, RouteRule, rule};
use crate::api::{Api, Shared};
use crate::instant::Instant;
use crate::json::{Json, Query, instant};
use crate::once::Once;
use crate::page::{self, Page};
use crate::problem::{Code, Problem};
use axum::extract::{Path, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderName, StatusCode};
use mail_types::{ActorId, ActorKind, MailboxId, MailboxStatus, Protocols, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use store::{
    NewPassword, NewPasswordError, PASSWORDS_MAX, PasswordRow, PasswordScope, PersonKey, PersonName,
    PersonRow,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] = &[
    rule("GET", "/passwords", &[Permission::OwnMailbox]),
    rule("POST", "/passwords", &[Permission::OwnMailbox]),
    rule("DELETE", "/passwords/{passwordId}", &[Permission::OwnMailbox]),
    rule("GET", "/users/{id}/passwords", &[Permission::PasswordsRead]),
    rule("POST", "/users/{id}/passwords", &[Permission::PasswordsWrite]),
    rule("DELETE", "/users/{id}/passwords/{passwordId}", &[Permission::PasswordsWrite]),
];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_own, create_own))
        .routes(routes!(revoke_own))
        .routes(routes!(list_of_user, create_for_user))
        .routes(routes!(revoke_of_user))
}

/// An application password in force, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApplicationPassword {
    /// Its number.
    #[schema(example = "12")]
    id: String,
    /// What its holder calls it.
    #[schema(example = "Thunderbird, bureau 12")]
    label: String,
    /// Address of the one mailbox that it opens; null for all that its holder may open.
    mailbox: Option<String>,
    /// The protocols by which it lets in.
    #[schema(inline)]
    protocols: Vec<ProtocolName>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// Until when it is in force; null for no end.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// When it was used last.
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
}

/// A new application password, with its secret: this is the only time that it is shown.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MadePassword {
    #[serde(flatten)]
    known: ApplicationPassword,
    /// The password.
    #[schema(example = "abcd-efgh-jkmn-pqrs-tuvw")]
    password: String,
}

/// An application password to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NewApplicationPassword {
    /// What its holder calls it: another one than those in force.
    #[schema(example = "Thunderbird, bureau 12", min_length = 1, max_length = 100)]
    label: String,
    /// Number or address of the one mailbox that it opens; absent for all that its holder may open.
    #[schema(max_length = 320)]
    mailbox: Option<String>,
    /// The protocols by which it lets in; absent for all.
    #[schema(inline, min_items = 1, max_items = 3, example = json!(["imap", "submission"]))]
    protocols: Option<Vec<ProtocolName>>,
    /// Until when it is in force; absent for no end.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Instant>,
}

/// Something new that has no entity tag.
pub(super) type Made<T> = (StatusCode, [(HeaderName, String); 1], axum::Json<T>);

/// `201` with a `Location` after `/api/v1`.
pub(super) fn made<T>(location: &str, value: T) -> Made<T> {
    (StatusCode::CREATED, [(LOCATION, format!("{}{location}", crate::api::BASE))], axum::Json(value))
}

/// What to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PasswordQuery {
    /// Where the page begins: `nextCursor` of the one before.
    #[param(max_length = 1024)]
    cursor: Option<String>,
    /// Rows of the page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
}

impl From<PasswordRow> for ApplicationPassword {
    fn from(row: PasswordRow) -> Self {
        Self {
            id: row.id.to_string(),
            label: row.label,
            mailbox: row.mailbox.map(|(_, address)| address),
            protocols: row.protocols.iter().map(Into::into).collect(),
            created_at: instant(row.created_at),
            expires_at: row.expires_at.map(instant),
            last_used_at: row.last_used_at.map(instant),
        }
    }
}

/// Lists one's own application passwords
///
/// Those in force, in the order in which they were made.
#[utoipa::path(get, path = "/passwords", tag = "passwords", operation_id = "listOwnPasswords", params(PasswordQuery),
    responses((status = 200, description = "A page of passwords.", body = Page<ApplicationPassword>)))]
async fn list_own(
    State(api): Shared,
    caller: Caller,
    Query(query): Query<PasswordQuery>,
) -> Result<axum::Json<Page<ApplicationPassword>>, Problem> {
    let actor = own_actor(&caller)?;
    list(&api, actor, &own_scope(&caller), &query).await
}

/// Makes an application password of one's own
///
/// It is shown this once. Made with a password that opens one mailbox, lets in by some protocols or ends some day, the new one opens no
/// other, lets in by no other and ends no later.
#[utoipa::path(post, path = "/passwords", tag = "passwords", operation_id = "createOwnPassword", request_body = NewApplicationPassword,
    responses((status = 201, description = "The password.", body = MadePassword)))]
async fn create_own(
    State(api): Shared,
    caller: Caller,
    Json(new): Json<NewApplicationPassword>,
) -> Result<Once<Made<MadePassword>>, Problem> {
    let actor = own_actor(&caller)?;
    let mut wanted = wanted(&api, actor, &new).await?;
    if let Some(known) = password_of(&api, &caller, actor).await? {
        wanted = narrowed(wanted, &known)?;
    }
    create(&api, &caller, wanted, "/passwords").await
}

/// Revokes an application password of one's own
///
/// Sessions that rest on it end within seconds.
#[utoipa::path(delete, path = "/passwords/{passwordId}", tag = "passwords", operation_id = "revokeOwnPassword",
    params(("passwordId" = String, Path, description = "Number of the password.")),
    responses((status = 204, description = "It is revoked.")))]
async fn revoke_own(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let actor = own_actor(&caller)?;
    revoke(&api, &caller, (actor, &own_scope(&caller)), &id).await
}

/// Lists a person's application passwords
///
/// Those in force, in the order in which they were made; never the passwords themselves. An administrator of domains who may not change the
/// person sees those that open a mailbox of these domains alone.
#[utoipa::path(get, path = "/users/{id}/passwords", tag = "passwords", operation_id = "listPasswords",
    params(("id" = String, Path, description = "Number, login or RPPS number of the person."), PasswordQuery),
    responses((status = 200, description = "A page of passwords.", body = Page<ApplicationPassword>)))]
async fn list_of_user(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<PasswordQuery>,
) -> Result<axum::Json<Page<ApplicationPassword>>, Problem> {
    let person = person(&api, &caller, Permission::PasswordsRead, &id).await?;
    let scope = scope(&api, &caller, Permission::PasswordsRead, &person).await?;
    list(&api, person.actor, &scope, &query).await
}

/// Makes an application password for a person
///
/// It is shown this once, to whoever made it: give it to the person, and to nobody else. An administrator of domains names a mailbox of these
/// domains, and the password opens no other.
#[utoipa::path(post, path = "/users/{id}/passwords", tag = "passwords", operation_id = "createPassword", request_body = NewApplicationPassword,
    params(("id" = String, Path, description = "Number, login or RPPS number of the person.")),
    responses((status = 201, description = "The password.", body = MadePassword)))]
async fn create_for_user(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    Json(new): Json<NewApplicationPassword>,
) -> Result<Once<Made<MadePassword>>, Problem> {
    let person = person(&api, &caller, Permission::PasswordsWrite, &id).await?;
    let wanted = wanted(&api, person.actor, &new).await?;
    if let (Domains::Only(_), None) = (caller.domains(Permission::PasswordsWrite), wanted.mailbox) {
        return Err(Problem::invalid(
            "/mailbox",
            "name the mailbox of your domains that the password opens: without one it would open others of the person too",
            "nommez la boîte de vos domaines que le mot de passe ouvre : sinon il en ouvrirait d'autres de la personne",
        ));
    }
    if let Some(mailbox) = &new.mailbox {
        let found = api.store.find_mailbox(mailbox).await?.ok_or_else(unknown_mailbox)?;
        caller.may_see(Permission::PasswordsWrite, found.domain).map_err(|_| unknown_mailbox())?;
    }
    create(&api, &caller, wanted, &format!("/users/{}/passwords", person.row.id)).await
}

/// Revokes an application password of a person
///
/// Sessions that rest on it end within seconds.
#[utoipa::path(delete, path = "/users/{id}/passwords/{passwordId}", tag = "passwords", operation_id = "revokePassword",
    params(("id" = String, Path, description = "Number, login or RPPS number of the person."),
        ("passwordId" = String, Path, description = "Number of the password.")),
    responses((status = 204, description = "It is revoked.")))]
async fn revoke_of_user(
    State(api): Shared,
    caller: Caller,
    Path((user, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let person = person(&api, &caller, Permission::PasswordsWrite, &user).await?;
    let scope = scope(&api, &caller, Permission::PasswordsWrite, &person).await?;
    revoke(&api, &caller, (person.actor, &scope), &id).await
}

/// Applications log in with certificates, and the machine itself has no mailbox.
fn own_actor(caller: &Caller) -> Result<ActorId, Problem> {
    match caller.principal().map(|principal| principal.actor) {
        Some(actor) if matches!(actor.kind, ActorKind::User(_)) => Ok(actor.id),
        _ => Err(Problem::new(Code::Forbidden).detail(
            "application passwords are for persons; an application logs in with its certificate",
            "les mots de passe d'application sont pour les personnes ; une application se connecte par son certificat",
        )),
    }
}

/// What somebody sees and ends of their own: with a password that opens one mailbox, only such passwords of it.
fn own_scope(caller: &Caller) -> PasswordScope {
    match caller.principal() {
        Some(principal) if principal.only_here => PasswordScope::Mailbox(principal.mailbox),
        _ => PasswordScope::All,
    }
}

/// Whose passwords they are.
struct Person {
    actor: ActorId,
    row: PersonRow,
}

/// The person, if the caller sees them.
async fn person(api: &Api, caller: &Caller, permission: Permission, name: &str) -> Result<Person, Problem> {
    let not_found = || Problem::new(Code::NotFound);
    let found = api.store.find_person(&PersonName::of(name)).await?.ok_or_else(not_found)?;
    let row = api.store.person(&PersonKey::Id(found.user)).await?.ok_or_else(not_found)?;
    let is_seen = may_see_person(api, caller, permission, &row).await?;
    is_seen.then_some(Person { actor: found.actor, row }).ok_or_else(not_found)
}

/// Which of a person's passwords the caller deals with. A password that opens everything is dealt with by those alone who may change the person.
async fn scope(
    api: &Api,
    caller: &Caller,
    permission: Permission,
    person: &Person,
) -> Result<PasswordScope, Problem> {
    let Domains::Only(domains) = caller.domains(permission) else { return Ok(PasswordScope::All) };
    let is_theirs = may_change_person(api, caller, permission, &person.row).await?;
    Ok(if is_theirs { PasswordScope::All } else { PasswordScope::Domains(domains) })
}

async fn list(
    api: &Api,
    actor: ActorId,
    scope: &PasswordScope,
    query: &PasswordQuery,
) -> Result<axum::Json<Page<ApplicationPassword>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after = page::row_after(query.cursor.as_deref())?;
    let rows = api.store.passwords(actor, scope, after, limit + 1).await?;
    Ok(axum::Json(Page::of(rows, limit, |row| row.id.to_string()).map(ApplicationPassword::from)))
}

/// What is to be made.
struct Wanted {
    actor: ActorId,
    label: String,
    mailbox: Option<MailboxId>,
    /// None, where nothing was said of them.
    protocols: Option<Protocols>,
    expires_at: Option<Timestamp>,
}

async fn wanted(api: &Api, actor: ActorId, new: &NewApplicationPassword) -> Result<Wanted, Problem> {
    let label = new.label.trim().to_owned();
    if label.is_empty() || label.chars().count() > 100 || label.chars().any(char::is_control) {
        return Err(Problem::invalid(
            "/label",
            "has 1 to 100 characters, none of them a control character",
            "a 1 à 100 caractères, aucun de contrôle",
        ));
    }
    let expires_at = new.expires_at.map(|Instant(at)| at);
    if expires_at.is_some_and(|at| at <= api.store.now()) {
        return Err(Problem::invalid("/expiresAt", "must be in the future", "doit être dans le futur"));
    }
    let mailbox = match &new.mailbox {
        Some(name) => Some(openable(api, actor, name).await?),
        None => None,
    };
    let protocols =
        new.protocols.as_ref().map(|names| Protocols::of(names.iter().map(|name| (*name).into())));
    if new.protocols.as_ref().is_some_and(Vec::is_empty) {
        return Err(Problem::invalid(
            "/protocols",
            "name one at least, or leave it out for all",
            "nommez-en au moins un, ou n'en dites rien pour tous",
        ));
    }
    Ok(Wanted { actor, label, mailbox, protocols, expires_at })
}

fn unknown_mailbox() -> Problem {
    Problem::invalid(
        "/mailbox",
        "is no mailbox that the person may open",
        "n'est pas une boîte que la personne peut ouvrir",
    )
}

/// A mailbox that the actor may open.
async fn openable(api: &Api, actor: ActorId, name: &str) -> Result<MailboxId, Problem> {
    let found = api.store.find_mailbox(name).await?.filter(|found| found.status != MailboxStatus::Deleted);
    let found = found.ok_or_else(unknown_mailbox)?;
    let opened = api.store.login_mailbox(&found.address.canonical(), api.store.now()).await?;
    let may = opened.is_some_and(|opened| opened.actors.iter().any(|candidate| candidate.actor.id == actor));
    may.then_some(found.id).ok_or_else(unknown_mailbox)
}

/// The password with which the caller calls.
async fn password_of(api: &Api, caller: &Caller, actor: ActorId) -> Result<Option<PasswordRow>, Problem> {
    let id = caller.credential.as_deref().and_then(|credential| credential.strip_prefix("password:"));
    let Some(id) = id.and_then(|id| id.parse::<i64>().ok()) else { return Ok(None) };
    let rows = api.store.passwords(actor, &PasswordScope::All, id - 1, 1).await?;
    // One that ended since the request began makes nothing.
    let known = rows.into_iter().find(|row| row.id == id);
    known.map(Some).ok_or_else(|| Problem::new(Code::Unauthenticated))
}

/// What is wanted, within what a password allows.
fn narrowed(mut wanted: Wanted, known: &PasswordRow) -> Result<Wanted, Problem> {
    if let Some((mailbox, _)) = &known.mailbox {
        if wanted.mailbox.is_some_and(|other| other != *mailbox) {
            return Err(unknown_mailbox());
        }
        wanted.mailbox = Some(*mailbox);
    }
    let protocols = wanted.protocols.unwrap_or(known.protocols);
    if !protocols.is_within(known.protocols) {
        return Err(Problem::invalid(
            "/protocols",
            "has a protocol by which the password that you call with does not let in",
            "contient un protocole que le mot de passe avec lequel vous appelez n'ouvre pas",
        ));
    }
    wanted.protocols = Some(protocols);
    wanted.expires_at = match (wanted.expires_at, known.expires_at) {
        (Some(wanted), Some(known)) => Some(wanted.min(known)),
        (wanted, known) => wanted.or(known),
    };
    Ok(wanted)
}

async fn create(
    api: &Api,
    caller: &Caller,
    wanted: Wanted,
    path: &str,
) -> Result<Once<Made<MadePassword>>, Problem> {
    let secret = Secret::new(new_password());
    let password = api.authenticator.hash_new_password(&secret).await;
    let password = password.map_err(|_| Problem::new(Code::Unavailable).retry_after(5))?;
    let actor = wanted.actor;
    let new = NewPassword {
        actor,
        label: wanted.label,
        password,
        mailbox: wanted.mailbox,
        protocols: wanted.protocols.unwrap_or(Protocols::ALL),
        expires_at: wanted.expires_at,
    };
    let id = api.store_of(caller).create_password(new).await?.map_err(refused)?;
    let row = api.store.passwords(actor, &PasswordScope::All, id - 1, 1).await?.into_iter().next();
    let row = row.ok_or_else(|| Problem::new(Code::NotFound))?;
    let value = MadePassword { known: row.into(), password: secret.expose().clone() };
    Ok(Once(made(&format!("{path}/{id}"), value)))
}

async fn revoke(
    api: &Api,
    caller: &Caller,
    (actor, scope): (ActorId, &PasswordScope),
    id: &str,
) -> Result<StatusCode, Problem> {
    let id = id.parse().map_err(|_| Problem::new(Code::NotFound))?;
    let is_revoked = api.store_of(caller).revoke_password(actor, scope, id).await?;
    is_revoked.then_some(StatusCode::NO_CONTENT).ok_or_else(|| Problem::new(Code::NotFound))
}

fn refused(error: NewPasswordError) -> Problem {
    match error {
        NewPasswordError::Label => Problem::new(Code::Conflict).detail(
            "a password of that label is in force; revoke it or choose another label",
            "un mot de passe de ce nom est en vigueur ; révoquez-le ou choisissez un autre nom",
        ),
        NewPasswordError::TooMany => Problem::new(Code::Conflict).detail(
            format!("there are {PASSWORDS_MAX} passwords in force; revoke one that is no longer used"),
            format!("{PASSWORDS_MAX} mots de passe sont en vigueur ; révoquez-en un qui ne sert plus"),
        ),
    }
}

/// Letters and digits that are not mistaken for one another, five bits each.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Five groups of four characters: a hundred random bits.
fn new_password() -> String {
    let mut octets = [0_u8; 20];
    aws_lc_rs::rand::fill(&mut octets).expect("the system's random source answers");
    let mut password = String::with_capacity(24);
    for (index, octet) in octets.iter().enumerate() {
        if index > 0 && index % 4 == 0 {
            password.push('-');
        }
        password.push(char::from(ALPHABET[usize::from(octet % 32)]));
    }
    password
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_five_groups_of_four_and_new_each_time() {
        let (one, two) = (new_password(), new_password());
        assert_ne!(one, two);
        let groups: Vec<&str> = one.split('-').collect();
        assert_eq!(groups.iter().map(|group| group.len()).collect::<Vec<_>>(), [4; 5]);
        assert!(one.bytes().all(|octet| octet == b'-' || ALPHABET.contains(&octet)));
    }
}
