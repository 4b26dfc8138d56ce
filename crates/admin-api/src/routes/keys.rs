//! `/keys`: the keys with which programs and administrators call this API. A key is made here, shown once, and kept as a hash.

use super::delegations::{ForceQuery, may_force};
use super::passwords::{Made, made};
use super::roles::{AdministratorRole, given, may_give};
use crate::access::{Caller, Permission, RouteRule, rule};
use crate::api::{Api, Shared};
use crate::etag::IfMatch;
use crate::instant::Instant;
use crate::json::{Json, Query, Shown, instant};
use crate::once::Once;
use crate::page::{self, Page};
use crate::problem::{Code, Problem};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use mail_types::{Secret, Timestamp};
use serde::{Deserialize, Serialize};
use store::{GivenAdminRole, KeyError, KeyRow, KeySecret, KeyTerms, hash_token};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What a key begins with, so that a scanner of leaked secrets finds it.
const PREFIX: &str = "vgm_";
/// Characters by which a key is recognised.
const SHOWN: usize = 8;
/// How often a change to whatever there is (`If-Match: *`) is tried when others change the key at the same time.
const TRIES: usize = 8;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] = &[
    rule("GET", "/keys", &[Permission::KeysRead]),
    rule("POST", "/keys", &[Permission::KeysWrite]),
    rule("GET", "/keys/{id}", &[Permission::KeysRead]),
    rule("PATCH", "/keys/{id}", &[Permission::KeysWrite]),
    rule("DELETE", "/keys/{id}", &[Permission::KeysWrite]),
    rule("POST", "/keys/{id}/rotate", &[Permission::KeysWrite]),
];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, change, revoke))
        .routes(routes!(rotate))
}

/// An API key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApiKey {
    /// Its number.
    #[schema(example = "3")]
    id: String,
    /// Its name, another one than those of all keys in force.
    #[schema(example = "console")]
    name: String,
    /// The first characters of the secret; empty for keys made before they were kept.
    #[schema(example = "vgm_Xb3k")]
    prefix: String,
    /// What it administers.
    roles: Vec<AdministratorRole>,
    /// The permissions that it is narrowed to; empty for all of its roles'.
    #[schema(example = json!(["mailboxes:read"]))]
    scopes: Vec<String>,
    /// Login or name of whoever made it; null when it was made on the machine itself.
    created_by: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// Until when it is in force; null for no end.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// When it was used last, to the minute.
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
}

/// An API key with its secret: this is the only time that it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MadeKey {
    #[serde(flatten)]
    known: ApiKey,
    /// The key, to be sent as bearer token.
    #[schema(example = "vgm_Xb3kNQ0f0v1uQ2m7cXy0ZrTq7o0y0l3m8bJ2w1s9Q5A")]
    key: String,
}

/// An API key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NewApiKey {
    /// Its name, another one than those of all keys in force.
    #[schema(example = "console", min_length = 1, max_length = 100)]
    name: String,
    /// What it administers, at least one role.
    #[schema(min_items = 1, max_items = 64)]
    roles: Vec<AdministratorRole>,
    /// The permissions that it is narrowed to; absent or empty for all of its roles'.
    #[serde(default)]
    #[schema(max_items = 64, example = json!(["mailboxes:read"]))]
    scopes: Vec<String>,
    /// Until when it is in force; absent for no end.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Instant>,
}

/// What of a key can be changed (RFC 7396: an absent member stays, null removes).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ApiKeyChange {
    /// Its name.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    /// What it administers.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 64)]
    roles: Option<Vec<AdministratorRole>>,
    /// The permissions that it is narrowed to; empty for all of its roles'.
    #[serde(default)]
    #[schema(max_items = 64)]
    scopes: Option<Vec<String>>,
    /// Until when it is in force; null for no end.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Option<Instant>>,
}

/// What to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct KeyQuery {
    /// Where the page begins: `nextCursor` of the one before.
    #[param(max_length = 1024)]
    cursor: Option<String>,
    /// Rows of the page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
}

impl From<KeyRow> for ApiKey {
    fn from(row: KeyRow) -> Self {
        Self {
            id: row.id.to_string(),
            name: row.name,
            prefix: row.prefix,
            roles: row.roles.into_iter().map(Into::into).collect(),
            scopes: row.scopes.split_ascii_whitespace().map(str::to_owned).collect(),
            created_by: row.created_by,
            created_at: instant(row.created_at),
            expires_at: row.expires_at.map(instant),
            last_used_at: row.last_used_at.map(instant),
        }
    }
}

/// Lists the API keys
///
/// Those that were not revoked, in the order in which they were made; never their secrets.
#[utoipa::path(get, path = "/keys", tag = "keys", operation_id = "listKeys", params(KeyQuery),
    responses((status = 200, description = "A page of keys.", body = Page<ApiKey>)))]
async fn list(
    State(api): Shared,
    _caller: Caller,
    Query(query): Query<KeyQuery>,
) -> Result<axum::Json<Page<ApiKey>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after = page::row_after(query.cursor.as_deref())?;
    let rows = api.store.keys(after, limit + 1).await?;
    Ok(axum::Json(Page::of(rows, limit, |row| row.id.to_string()).map(ApiKey::from)))
}

/// Makes an API key
///
/// It is shown this once. Nobody gives a key more than they have: neither rights nor time.
#[utoipa::path(post, path = "/keys", tag = "keys", operation_id = "createKey", request_body = NewApiKey,
    responses((status = 201, description = "The key.", body = MadeKey)))]
async fn create(
    State(api): Shared,
    caller: Caller,
    Json(new): Json<NewApiKey>,
) -> Result<Once<Made<MadeKey>>, Problem> {
    let terms = KeyTerms {
        name: name(&new.name)?,
        roles: roles(&api, &new.roles).await?,
        scopes: new.scopes.join(" "),
        expires_at: expiry(&api, new.expires_at)?,
    };
    examine(&caller, &terms, &new.scopes)?;
    within_own_end(&api, &caller, &terms).await?;
    let (secret, kept) = new_secret();
    let id = api.store_of(&caller).create_key(terms, kept).await?.map_err(refused)?;
    let known = find(&api, &id.to_string()).await?.into();
    Ok(Once(made(&format!("/keys/{id}"), MadeKey { known, key: secret.expose().clone() })))
}

/// Shows an API key
///
/// With its `ETag`, never its secret.
#[utoipa::path(get, path = "/keys/{id}", tag = "keys", operation_id = "showKey",
    params(("id" = String, Path, description = "Number of the key.")),
    responses((status = 200, description = "The key.", body = ApiKey)))]
async fn show(State(api): Shared, _caller: Caller, Path(id): Path<String>) -> Result<Shown<ApiKey>, Problem> {
    let row = find(&api, &id).await?;
    Ok(Shown { revision: row.revision, value: row.into() })
}

/// Changes an API key
///
/// `If-Match` is required. Nobody gives a key more than they have, and one key stays that administers the operator.
#[utoipa::path(patch, path = "/keys/{id}", tag = "keys", operation_id = "changeKey", request_body = ApiKeyChange,
    params(("id" = String, Path, description = "Number of the key."), ForceQuery,
        ("If-Match" = String, Header, description = "The ETag that was read.")),
    responses((status = 200, description = "The key as it is now.", body = ApiKey)))]
async fn change(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<ForceQuery>,
    if_match: IfMatch,
    Json(change): Json<ApiKeyChange>,
) -> Result<Shown<ApiKey>, Problem> {
    let force = may_force(&caller, query.force)?;
    for _ in 0..TRIES {
        let row = find(&api, &id).await?;
        let expected = if_match.expect(row.revision)?;
        let terms = changed(&api, &caller, &row, &change).await?;
        match api.store_of(&caller).change_key(row, terms, force).await? {
            Err(KeyError::Changed) if expected.is_none() => {}
            outcome => {
                outcome.map_err(refused)?;
                let row = find(&api, &id).await?;
                return Ok(Shown { revision: row.revision, value: row.into() });
            }
        }
    }
    Err(refused(KeyError::Changed))
}

/// What a key is to be, if the caller may give that.
async fn changed(
    api: &Api,
    caller: &Caller,
    row: &KeyRow,
    change: &ApiKeyChange,
) -> Result<KeyTerms, Problem> {
    let mut terms = row.terms();
    if let Some(new) = &change.name {
        terms.name = name(new)?;
    }
    if let Some(new) = &change.roles {
        terms.roles = roles(api, new).await?;
    }
    if let Some(new) = &change.scopes {
        terms.scopes = new.join(" ");
    }
    if let Some(new) = change.expires_at {
        terms.expires_at = expiry(api, new)?;
    }
    let scopes: Vec<String> = terms.scopes.split_ascii_whitespace().map(str::to_owned).collect();
    examine(caller, &terms, change.scopes.as_ref().unwrap_or(&scopes))?;
    within_own_end(api, caller, &terms).await?;
    Ok(terms)
}

/// Revokes an API key
///
/// `If-Match` is required. It is worth nothing at once, for good. The last key that administers the operator stays.
#[utoipa::path(delete, path = "/keys/{id}", tag = "keys", operation_id = "revokeKey",
    params(("id" = String, Path, description = "Number of the key."), ForceQuery,
        ("If-Match" = String, Header, description = "The ETag that was read.")),
    responses((status = 204, description = "It is revoked.")))]
async fn revoke(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<ForceQuery>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let force = may_force(&caller, query.force)?;
    for _ in 0..TRIES {
        let row = find(&api, &id).await?;
        let expected = if_match.expect(row.revision)?;
        match api.store_of(&caller).revoke_key(row, force).await? {
            Err(KeyError::Changed) if expected.is_none() => {}
            outcome => return outcome.map_err(refused).map(|()| StatusCode::NO_CONTENT),
        }
    }
    Err(refused(KeyError::Changed))
}

/// Gives an API key another secret
///
/// It is shown this once; the one before is worth nothing at once. Whoever does it has all that the key has.
#[utoipa::path(post, path = "/keys/{id}/rotate", tag = "keys", operation_id = "rotateKey",
    params(("id" = String, Path, description = "Number of the key.")),
    responses((status = 200, description = "The key with its new secret.", body = MadeKey)))]
async fn rotate(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Once<axum::Json<MadeKey>>, Problem> {
    let row = find(&api, &id).await?;
    let terms = row.terms();
    let scopes: Vec<String> = terms.scopes.split_ascii_whitespace().map(str::to_owned).collect();
    examine(&caller, &terms, &scopes)?;
    within_own_end(&api, &caller, &terms).await?;
    let (secret, kept) = new_secret();
    if !api.store_of(&caller).rotate_key(row.id, kept).await? {
        return Err(Problem::new(Code::NotFound));
    }
    let known = find(&api, &id).await?.into();
    Ok(Once(axum::Json(MadeKey { known, key: secret.expose().clone() })))
}

async fn find(api: &Api, id: &str) -> Result<KeyRow, Problem> {
    let id = id.parse().map_err(|_| Problem::new(Code::NotFound))?;
    api.store.key(id).await?.ok_or(Problem::new(Code::NotFound))
}

fn name(name: &str) -> Result<String, Problem> {
    let name = name.trim();
    let is_fine = !name.is_empty() && name.chars().count() <= 100 && !name.chars().any(char::is_control);
    is_fine.then(|| name.to_owned()).ok_or_else(|| {
        Problem::invalid(
            "/name",
            "has 1 to 100 characters, none of them a control character",
            "a 1 à 100 caractères, aucun de contrôle",
        )
    })
}

async fn roles(api: &Api, named: &[AdministratorRole]) -> Result<Vec<GivenAdminRole>, Problem> {
    if named.is_empty() {
        return Err(Problem::invalid("/roles", "a key has at least one role", "une clé a au moins un rôle"));
    }
    given(api, named).await
}

fn expiry(api: &Api, at: Option<Instant>) -> Result<Option<Timestamp>, Problem> {
    match at {
        Some(Instant(at)) if at <= api.store.now() => Err(Problem::invalid(
            "/expiresAt",
            "must be in the future; revoke the key to end it now",
            "doit être dans le futur ; révoquez la clé pour y mettre fin maintenant",
        )),
        at => Ok(at.map(|Instant(at)| at)),
    }
}

/// Whether each scope is a permission of one of the roles, and the caller has what the key opens.
fn examine(caller: &Caller, terms: &KeyTerms, words: &[String]) -> Result<(), Problem> {
    let mut scopes = Vec::with_capacity(words.len());
    for (index, word) in words.iter().enumerate() {
        let permission = Permission::of_scope(word)
            .filter(|permission| terms.roles.iter().any(|given| permission.is_of(given.role)));
        scopes.push(permission.ok_or_else(|| {
            Problem::invalid(
                format!("/scopes/{index}"),
                "is no permission of these roles",
                "n'est pas un droit de ces rôles",
            )
        })?);
    }
    may_give(caller, &terms.roles, &scopes)
}

/// Whether a key that ends gives nothing that lasts longer, to itself neither.
async fn within_own_end(api: &Api, caller: &Caller, terms: &KeyTerms) -> Result<(), Problem> {
    let id = caller.credential.as_deref().and_then(|credential| credential.strip_prefix("key:"));
    let Some(id) = id.and_then(|id| id.parse().ok()) else { return Ok(()) };
    // One that was revoked since the request began gives nothing.
    let own = api.store.key(id).await?.ok_or_else(|| Problem::new(Code::Unauthenticated))?;
    let Some(end) = own.expires_at else { return Ok(()) };
    if terms.expires_at.is_some_and(|at| at <= end) {
        return Ok(());
    }
    let end = instant(end);
    Err(Problem::new(Code::Forbidden).detail(
        format!("your own key ends at {end}: you cannot give a key a later end, or none"),
        format!("votre propre clé prend fin le {end} : vous ne pouvez donner à une clé une fin plus tardive, ni aucune"),
    ))
}

pub(crate) fn refused(error: KeyError) -> Problem {
    match error {
        KeyError::Changed => Problem::new(Code::PreconditionFailed),
        KeyError::UnknownKey => Problem::new(Code::NotFound),
        KeyError::Name => Problem::new(Code::Conflict).detail(
            "a key of that name is in force; revoke it or choose another name",
            "une clé de ce nom est en vigueur ; révoquez-la ou choisissez un autre nom",
        ),
        KeyError::LastOperator => Problem::new(Code::LastAdministrator).detail(
            "no other key, and no application that a certificate lets in, administers the operator for good; make a key first, with the role operator, without scopes or end date (or use force=true: the command line on the server can always make one)",
            "aucune autre clé, ni application qu'un certificat laisse entrer, n'administre durablement l'opérateur ; créez d'abord une clé, de rôle operator, sans droits restreints ni date de fin (ou utilisez force=true : la ligne de commande du serveur peut toujours en créer une)",
        ),
    }
}

/// 256 random bits, and what is kept of them.
fn new_secret() -> (Secret<String>, KeySecret) {
    let mut octets = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut octets).expect("the system's random source answers");
    let secret = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(octets));
    let kept = KeySecret { hash: hash_token(&secret), prefix: secret.chars().take(SHOWN).collect() };
    (Secret::new(secret), kept)
}
