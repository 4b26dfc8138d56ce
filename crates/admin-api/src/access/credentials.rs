//! From the credential of a request to who calls.
//!
//! An `Authorization` that is sent decides alone, else the certificate of the connection does: a credential that fails never falls back to a
//! weaker standing. A key and a certificate may have admin roles; an application password never has any, whoever's it is, so that what is kept
//! in mail clients administers nothing. Rights are asked of the store at each request: what is withdrawn is withdrawn at once.

use super::gate::Peer;
use super::{Permission, Standing};
use crate::api::Api;
use crate::problem::{Code, Problem};
use auth::{AuthError, CertificateRefusal, Held, Login, Restraint, Whence};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mail_types::{ActorId, PeerIdentity, Secret};
use std::net::{IpAddr, Ipv4Addr};
use store::{ApiKey, Via, hash_token};

/// Which of its mailboxes a certificate opens.
pub(crate) const MAILBOX: HeaderName = HeaderName::from_static("mailbox");
/// How exactly the last use of a key is known.
const USE_MS: i64 = 60_000;

/// Who, as what, and what proved it.
pub(super) type Identified = (Option<ActorId>, Standing, Option<String>);

/// What a request shows of who sends it.
pub(super) enum Shown<'r> {
    /// No credential.
    Nothing,
    /// A bearer token.
    Key(&'r str),
    /// A name and an application password.
    Password { name: String, password: Secret<String> },
    /// The certificate of the connection.
    Certificate(&'r PeerIdentity),
}

/// Identifies the caller: an API key as bearer token, an application password, or the certificate of the connection. Without any credential, nobody.
///
/// # Errors
/// A credential that does not stand is [`Code::Unauthenticated`], whatever the cause; a certificate that leaves the mailbox open is told so. Too
/// many from one address that were not right lately are [`Code::RateLimited`].
pub(super) async fn identify(
    api: &Api,
    headers: &HeaderMap,
    peer: Option<&Peer>,
) -> Result<Identified, Problem> {
    let ip = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.ip);
    let whence = Whence { via: Via::Rest, ip };
    let shown = shown(headers, peer);
    if matches!(shown, Ok(Shown::Nothing)) || peer.is_none() {
        return examine(api, headers, whence, shown?).await;
    }
    let mut of_certificate = None;
    let mark = match &shown {
        Ok(Shown::Certificate(identity)) => {
            of_certificate = Some(api.examinations.mark_of_certificate(whence, identity));
            api.examinations.mark(whence, &[&identity.key_pin, octets(headers, &MAILBOX)])
        }
        _ => api.examinations.mark(whence, &[octets(headers, &AUTHORIZATION)]),
    };
    api.examinations.begin(api, whence, &mark, shown.as_ref().ok()).await?;
    let identified = examine(api, headers, whence, shown?).await;
    match &identified {
        Ok(_) => {
            for mark in of_certificate.into_iter().chain([mark]) {
                api.examinations.end(mark, true, api.store.now());
            }
        }
        Err(problem) if problem.code() == Code::Unavailable => {}
        Err(_) => api.examinations.end(mark, false, api.store.now()),
    }
    identified
}

fn octets<'r>(headers: &'r HeaderMap, name: &HeaderName) -> &'r [u8] {
    headers.get(name).map_or(&[], |value| value.as_bytes())
}

fn shown<'r>(headers: &'r HeaderMap, peer: Option<&'r Peer>) -> Result<Shown<'r>, Problem> {
    let Some(value) = headers.get(AUTHORIZATION) else {
        let identity = peer.and_then(|peer| peer.identity.as_deref());
        return Ok(identity.map_or(Shown::Nothing, Shown::Certificate));
    };
    let value = value.to_str().map_err(|_| refused())?;
    let (scheme, credential) = value.split_once(' ').ok_or_else(refused)?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Ok(Shown::Key(credential.trim())),
        "basic" => name_and_password(credential.trim()),
        _ => Err(refused()),
    }
}

/// RFC 7617, in UTF-8: the name selects the mailbox, as it does in IMAP.
fn name_and_password(credential: &str) -> Result<Shown<'static>, Problem> {
    let octets = Secret::new(BASE64.decode(credential).map_err(|_| refused())?);
    let text = std::str::from_utf8(octets.expose()).map_err(|_| refused())?;
    let (name, password) = text.split_once(':').ok_or_else(refused)?;
    Ok(Shown::Password { name: name.to_owned(), password: Secret::new(password.to_owned()) })
}

async fn examine(
    api: &Api,
    headers: &HeaderMap,
    whence: Whence,
    shown: Shown<'_>,
) -> Result<Identified, Problem> {
    match shown {
        Shown::Nothing => Ok((None, Standing::Nobody, None)),
        Shown::Key(token) => by_key(api, whence, token).await,
        Shown::Password { name, password } => by_password(api, whence, &name, &password).await,
        Shown::Certificate(identity) => by_certificate(api, headers, whence, identity).await,
    }
}

fn refused() -> Problem {
    Problem::new(Code::Unauthenticated)
}

async fn by_key(api: &Api, whence: Whence, token: &str) -> Result<Identified, Problem> {
    let now = api.store.now();
    let Some(key) = api.store.api_key(&hash_token(token), now).await? else {
        return Err(problem(api.authenticator.failed_key(whence)));
    };
    let scopes = scopes(&key)?;
    let credential = format!("key:{}", key.id);
    let entered = api.authenticator.administrator_entered(whence, "key", key.actor, credential.clone());
    entered.await.map_err(problem)?;
    let roles = api.store.admin_roles(key.actor, now).await?;
    if key.last_used_at.is_none_or(|last| now.0 - last.0 >= USE_MS)
        && let Err(error) = api.store.note_api_key_used(key.id).await
    {
        // What is asked may be to read: it does not fail for this.
        tracing::warn!(key = key.id, %error, "the last use of an API key could not be written down");
    }
    let standing = Standing::Administrator { roles, scopes };
    Ok((Some(key.actor), standing, Some(credential)))
}

/// What the key was narrowed to. With a word that this program does not know it opens nothing: left out, it could open everything.
fn scopes(key: &ApiKey) -> Result<Vec<Permission>, Problem> {
    let words = key.scopes.split_ascii_whitespace();
    words.map(Permission::of_scope).collect::<Option<_>>().ok_or_else(|| {
        tracing::error!(
            key = key.id,
            "an API key has a scope that this program does not know; make another key"
        );
        refused()
    })
}

async fn by_password(
    api: &Api,
    whence: Whence,
    name: &str,
    password: &Secret<String>,
) -> Result<Identified, Problem> {
    let login = api.authenticator.password(whence, "", name, password).await.map_err(problem)?;
    let credential = login.credential_name(None);
    Ok(holder(login, credential))
}

/// An application with admin roles administers, unless it names one of its mailboxes.
async fn by_certificate(
    api: &Api,
    headers: &HeaderMap,
    whence: Whence,
    identity: &PeerIdentity,
) -> Result<Identified, Problem> {
    let credential = identity.credential();
    let mailbox = headers.get(MAILBOX).map(|value| std::str::from_utf8(value.as_bytes()).unwrap_or("?"));
    if mailbox.is_none() {
        let actor = api.authenticator.application(whence, identity).await.map_err(problem)?;
        let roles = api.store.admin_roles(actor, api.store.now()).await?;
        if !roles.is_empty() {
            let entered =
                api.authenticator.administrator_entered(whence, "certificate", actor, credential.clone());
            entered.await.map_err(problem)?;
            return Ok((
                Some(actor),
                Standing::Administrator { roles, scopes: Vec::new() },
                Some(credential),
            ));
        }
    }
    let mailbox = mailbox.unwrap_or_default().trim();
    let login = api.authenticator.certificate(whence, mailbox, identity).await.map_err(problem)?;
    Ok(holder(login, Some(credential)))
}

fn holder(login: Login, credential: Option<String>) -> Identified {
    (Some(login.principal.actor.id), Standing::Holder(login.principal), credential)
}

pub(super) fn problem(error: AuthError) -> Problem {
    match error {
        AuthError::Refused(_) => refused(),
        AuthError::Certificate(refusal) => certificate_problem(refusal),
        AuthError::Held(Held { by: Restraint::Rate, retry_after_secs }) => {
            Problem::new(Code::RateLimited).retry_after(retry_after_secs).detail(
                "Too many credentials that were not found right lately come from your address: wait, then try again",
                "Trop de moyens d'identification non reconnus récemment viennent de votre adresse : attendez, puis réessayez",
            )
        }
        AuthError::Held(held) => Problem::new(Code::RateLimited).retry_after(held.retry_after_secs).detail(
            "Too many logins failed: wait, then try again with the right credential",
            "Trop de connexions ont échoué : attendez, puis réessayez avec le bon moyen d'identification",
        ),
        AuthError::Unavailable(cause) => {
            tracing::error!(cause, "an API credential could not be examined");
            Problem::new(Code::Unavailable).retry_after(5)
        }
    }
}

/// Whoever shows a certificate may know what is wrong with it.
fn certificate_problem(refusal: CertificateRefusal) -> Problem {
    let (problem, french) = match refusal {
        CertificateRefusal::Expired => (refused(), "Le certificat a expiré"),
        CertificateRefusal::NoRule => (refused(), "Aucune application ne se connecte avec ce certificat"),
        CertificateRefusal::Ambiguous => {
            (refused(), "Le certificat désigne plusieurs applications ; voyez l'opérateur")
        }
        CertificateRefusal::NoMailbox => {
            (Problem::new(Code::Forbidden), "L'application de ce certificat n'ouvre aucune boîte")
        }
        CertificateRefusal::SeveralMailboxes => {
            (header(), "Le certificat ouvre plusieurs boîtes ; nommez-en une par l'en-tête Mailbox")
        }
        CertificateRefusal::OtherMailbox => {
            (header(), "Le certificat n'ouvre pas la boîte nommée par l'en-tête Mailbox")
        }
    };
    let english = match refusal {
        CertificateRefusal::SeveralMailboxes => {
            "The certificate opens several mailboxes; name one by the header Mailbox"
        }
        CertificateRefusal::OtherMailbox => {
            "The certificate does not open the mailbox named by the header Mailbox"
        }
        _ => refusal.text(),
    };
    problem.detail(english, french)
}

fn header() -> Problem {
    Problem::new(Code::Header).at_header("Mailbox")
}
