//! The one gate: every request passes it, and a route without a rule is closed.

use super::{Caller, Permission, RouteRule, Standing, credentials};
use crate::api::Api;
use crate::finish::RequestId;
use crate::problem::{Code, Language, Problem};
use auth::Refusal;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::ACCEPT_LANGUAGE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use mail_types::AdminRole;
use pki::Accepted;
use std::net::IpAddr;
use std::sync::Arc;
use store::Via;

/// Characters of a reason.
const REASON_MAX: usize = 500;
/// Why an administrator does what they do.
pub(crate) const REASON: HeaderName = HeaderName::from_static("reason");

/// What the connection knows of its other end.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Where from.
    pub(crate) ip: IpAddr,
    /// The certificate that was shown and judged good.
    pub(crate) identity: Option<Arc<mail_types::PeerIdentity>>,
}

/// Finds out who calls, and asks whether they may.
pub(crate) async fn gate(State(api): State<Api>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match admit(&api, &mut parts).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    }
}

async fn admit(api: &Api, parts: &mut Parts) -> Result<(), Problem> {
    let path = parts.extensions.get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let rule = path.and_then(|path| api.rule(parts.method.as_str(), &path));
    // What is not in the table answers by itself: no such path, no such method.
    let Some(rule) = rule else { return Ok(()) };
    let caller = match parts.extensions.get::<Caller>() {
        Some(caller) => caller.clone(),
        None => caller(api, parts).await?,
    };
    if let Err(problem) = permit(rule, &caller) {
        note_refusal(api, rule, &caller, &problem);
        return Err(problem);
    }
    parts.extensions.insert(caller);
    Ok(())
}

/// Lets the audit trail know that somebody asked for what they may not.
fn note_refusal(api: &Api, rule: &RouteRule, caller: &Caller, problem: &Problem) {
    let Some(ip) = caller.whence else { return };
    api.authenticator.note_refusal(Refusal {
        action: "request",
        reason: problem.code().as_str(),
        via: Via::Rest,
        ip,
        actor: caller.actor,
        mailbox: caller.principal().map(|principal| principal.mailbox),
        what: Some(format!("{}:{}", rule.method, rule.path)),
    });
}

async fn caller(api: &Api, parts: &Parts) -> Result<Caller, Problem> {
    let headers = &parts.headers;
    let peer = parts.extensions.get::<Peer>().cloned();
    let (actor, standing, credential) = credentials::identify(api, headers, peer.as_ref()).await?;
    Ok(Caller {
        actor,
        standing,
        credential,
        whence: peer.map(|peer| peer.ip),
        reason: reason(headers)?,
        mark: None,
        request: parts.extensions.get::<RequestId>().map_or_else(|| "".into(), |id| id.0.clone()),
        language: language(headers),
    })
}

fn permit(rule: &RouteRule, caller: &Caller) -> Result<(), Problem> {
    if !rule.any_of.iter().any(|permission| caller.has(*permission)) {
        let code = if caller.standing == Standing::Nobody { Code::Unauthenticated } else { Code::Forbidden };
        return Err(Problem::new(code));
    }
    if needs_reason(rule, caller) && caller.reason.is_none() {
        return Err(Problem::new(Code::ReasonRequired));
    }
    Ok(())
}

/// Somebody says why who opens the route as support, for domains that no other role of theirs opens it for.
fn needs_reason(rule: &RouteRule, caller: &Caller) -> bool {
    let Standing::Administrator { roles, .. } = &caller.standing else { return false };
    let opens = |role: AdminRole| {
        rule.any_of.iter().any(|permission| permission.is_of(role) && caller.has(*permission))
    };
    !rule.any_of.iter().any(|permission| matches!(permission, Permission::Anybody | Permission::Known))
        && opens(AdminRole::Support)
        && roles.iter().any(|(role, _)| *role == AdminRole::Support)
        && !roles.iter().any(|(role, domain)| *role != AdminRole::Support && domain.is_none() && opens(*role))
}

fn reason(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(REASON) else { return Ok(None) };
    // A tab is the one control character that a field may have (RFC 9110 section 5.5).
    let text = words(value.as_bytes()).trim_matches([' ', '\t']).replace('\t', " ");
    let is_fine = (1..=REASON_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    is_fine.then_some(Some(text)).ok_or_else(|| Problem::new(Code::Header).at_header("Reason"))
}

/// A field in UTF-8, or in ISO 8859-1 as clients of old send accents (RFC 9110 section 5.5).
fn words(octets: &[u8]) -> String {
    std::str::from_utf8(octets)
        .map_or_else(|_| octets.iter().map(|octet| char::from(*octet)).collect(), str::to_owned)
}

pub(crate) fn language(headers: &HeaderMap) -> Language {
    Language::of(headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()))
}

impl Peer {
    /// What an accepted connection tells.
    pub(crate) fn of<IO>(ip: IpAddr, accepted: &Accepted<IO>) -> Self {
        Self { ip, identity: accepted.peer.clone().map(Arc::new) }
    }
}
