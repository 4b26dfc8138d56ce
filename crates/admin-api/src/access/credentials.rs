//! From the credential of a request to who calls.

use super::gate::Peer;
use super::{Permission, Standing};
use crate::api::Api;
use crate::problem::{Code, Problem};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use mail_types::ActorId;
use store::hash_token;

/// Who, as what, and what proved it.
pub(super) type Identified = (Option<ActorId>, Standing, Option<String>);

/// Identifies the caller: an API key as bearer token. Without any credential, nobody.
///
/// # Errors
/// A credential that does not stand is [`Code::Unauthenticated`], whatever the cause.
pub(super) async fn identify(
    api: &Api,
    headers: &HeaderMap,
    _peer: Option<&Peer>,
) -> Result<Identified, Problem> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok((None, Standing::Nobody, None)) };
    let refused = || Problem::new(Code::Unauthenticated);
    let value = value.to_str().map_err(|_| refused())?;
    let (scheme, credential) = value.split_once(' ').ok_or_else(refused)?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => by_key(api, credential.trim()).await,
        _ => Err(refused()),
    }
}

async fn by_key(api: &Api, token: &str) -> Result<Identified, Problem> {
    let now = api.store.now();
    let key = api.store.api_key(&hash_token(token), now).await?;
    let key = key.ok_or_else(|| Problem::new(Code::Unauthenticated))?;
    let roles = api.store.admin_roles(key.actor, now).await?;
    let scopes = key.scopes.split(' ').filter_map(Permission::of_scope).collect();
    let standing = Standing::Administrator { roles, scopes };
    Ok((Some(key.actor), standing, Some(format!("key:{}", key.id))))
}
