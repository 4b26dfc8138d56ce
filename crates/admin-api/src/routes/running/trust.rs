//! `/trust`: what is in force, and what would become of a certificate.

use super::members;
use crate::access::{Permission, RouteRule, rule};
use crate::api::{Api, Shared};
use crate::json::{Json, instant};
use crate::ports::InForce;
use crate::problem::Problem;
use crate::trust::TrustState;
use axum::extract::State;
use mail_types::{CertificateFacts, DistinguishedName, Domain, PeerIdentity, RevocationState, Timestamp};
use pki::{Rejection, RevocationListFacts, UnixTime, Usage};
use policy::{Bearer, Standing, WhiteList};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] = &[
    rule("GET", "/trust", &[Permission::TrustRead]),
    rule("POST", "/trust/check", &[Permission::TrustRead]),
];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(show_trust)).routes(routes!(check_certificate))
}

/// Side of TLS.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    /// It connects to us.
    #[default]
    Client,
    /// We connect to it.
    Server,
}

/// A certificate to be judged.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct CertificateQuestion {
    /// The certificate, and after it its issuers, PEM.
    #[schema(min_length = 1, max_length = 200_000)]
    certificate: String,
    /// The domain that it is to speak for; any without it.
    #[schema(min_length = 1, max_length = 255)]
    domain: Option<String>,
    /// Its side of TLS: `client` unless said.
    #[serde(default)]
    #[schema(inline)]
    side: Side,
}

/// What would become of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CertificateAnswer {
    /// `accepted`, `deferred` or `refused`.
    verdict: &'static str,
    /// In words.
    why: String,
    subject: String,
    issuer: String,
    /// In hexadecimal.
    serial: String,
    #[schema(format = DateTime)]
    valid_from: String,
    #[schema(format = DateTime)]
    valid_until: String,
    /// `SERV_SSL`, `ORG_AUTH_CLI`, `ORG_SIGN`, `ORG_CONF` or `OTHER`.
    usage: String,
    /// `good`, or why it leads to no authority that is trusted.
    chain: String,
    revocation: Revocation,
    /// Domains that the white list names it for.
    listed_for: Vec<String>,
    /// The listed name that is most like its own, where it is not listed.
    nearest: Option<Nearest>,
}

/// Whether it is revoked.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Revocation {
    /// `good`, `revoked`, `unknown` or `not_asked`.
    state: &'static str,
    /// Why it is not known.
    cause: Option<String>,
    /// Number of its issuer's list, in hexadecimal.
    list_number: Option<String>,
    /// When the next list is due.
    #[schema(format = DateTime)]
    list_next_update: Option<String>,
}

/// A listed name beside that of the certificate.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Nearest {
    domain: String,
    subject: String,
    /// Attributes that only the listed name has.
    only_in_the_list: Vec<String>,
    /// Attributes that only the certificate has.
    only_in_the_certificate: Vec<String>,
}

/// Shows the trust space
///
/// Authorities, revocation lists, white list, departures and alarms as the running server has them.
#[utoipa::path(get, path = "/trust", tag = "trust", operation_id = "showTrust",
    responses((status = 200, description = "What is in force.", body = TrustState)))]
async fn show_trust(State(api): Shared) -> Result<axum::Json<TrustState>, Problem> {
    Ok(axum::Json(api.ports.trust.state().await?))
}

/// Judges a certificate
///
/// As a peer's would be: chain, dates, usage, revocation, white list. Nothing is kept.
#[utoipa::path(post, path = "/trust/check", tag = "trust", operation_id = "checkCertificate", request_body = CertificateQuestion,
    responses((status = 200, description = "The verdict and every reason.", body = CertificateAnswer)))]
async fn check_certificate(
    State(api): Shared,
    Json(question): Json<CertificateQuestion>,
) -> Result<axum::Json<CertificateAnswer>, Problem> {
    let domain = question.domain.as_deref().map(str::parse::<Domain>).transpose().map_err(|_| {
        Problem::invalid("/domain", "is not the name of a domain", "n'est pas un nom de domaine")
    })?;
    let pem = question.certificate.as_bytes();
    let facts = pki::certificate_facts(pem).map_err(members::malformed_certificate)?;
    let chain = pki::certificate_chain(pem).map_err(members::malformed_certificate)?;
    let InForce { pki, list } = api.ports.trust.in_force().await?;
    let usage = if matches!(question.side, Side::Client) { Usage::Client } else { Usage::Server };
    let now = api.store.now();
    let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.secs()).unwrap_or(0)));
    let judged = pki.judge(&chain, usage, at);
    let crl = pki.lists().into_iter().find(|list| list.issuer == facts.issuer);
    let standing = judged.as_ref().ok().map(|peer| match &domain {
        Some(domain) => list.standing(domain, peer, now),
        None => list.standing_of_any(peer, now),
    });
    let white_list = list.white_list.as_ref().map(|(list, _)| list.as_ref());
    Ok(axum::Json(answer(&facts, &judged, crl.as_ref(), standing, white_list, domain.as_ref())))
}

fn answer(
    facts: &CertificateFacts,
    judged: &Result<PeerIdentity, Rejection>,
    crl: Option<&RevocationListFacts>,
    standing: Option<Standing>,
    white_list: Option<&WhiteList>,
    domain: Option<&Domain>,
) -> CertificateAnswer {
    let (verdict, why) = verdict(judged, standing, domain);
    let listed_for: Option<Vec<String>> =
        white_list.map(|list| list.domains_of(&facts.subject).map(ToString::to_string).collect());
    let is_listed = standing == Some(Standing::Listed);
    CertificateAnswer {
        verdict,
        why,
        subject: facts.subject.to_string(),
        issuer: facts.issuer.to_string(),
        serial: members::hexadecimal(&facts.serial),
        valid_from: instant(facts.not_before),
        valid_until: instant(facts.not_after),
        usage: facts.usage.to_string(),
        chain: judged.as_ref().err().map_or("good", |rejection| rejection.cause()).to_owned(),
        revocation: revocation(judged, crl),
        listed_for: listed_for.unwrap_or_default(),
        nearest: white_list.filter(|_| !is_listed).and_then(|list| nearest(list, domain, &facts.subject)),
    }
}

fn verdict(
    judged: &Result<PeerIdentity, Rejection>,
    standing: Option<Standing>,
    domain: Option<&Domain>,
) -> (&'static str, String) {
    let peer = match judged {
        Err(rejection) => return ("refused", format!("the handshake fails: {rejection}")),
        Ok(peer) => peer,
    };
    if let RevocationState::Unknown(cause) = peer.revocation {
        return ("deferred", format!("whether it is revoked cannot be said: {cause}"));
    }
    let whom = domain.map_or_else(|| "any domain".to_owned(), ToString::to_string);
    match standing {
        Some(Standing::Listed) => ("accepted", format!("it speaks for {whom}")),
        Some(Standing::Doubtful(reason)) => {
            ("deferred", format!("whether it speaks for {whom} cannot be said: {}", reason.as_str()))
        }
        _ => ("refused", format!("it does not speak for {whom} (550 5.7.1 at MAIL)")),
    }
}

fn revocation(judged: &Result<PeerIdentity, Rejection>, crl: Option<&RevocationListFacts>) -> Revocation {
    let (state, cause) = match judged {
        Err(Rejection::Revoked) => ("revoked", None),
        Err(_) => ("not_asked", None),
        Ok(peer) => match peer.revocation {
            RevocationState::Good => ("good", None),
            RevocationState::Unknown(cause) => ("unknown", Some(cause.to_owned())),
        },
    };
    let next_update = crl.and_then(|list| list.next_update);
    Revocation {
        state,
        cause,
        list_number: crl.and_then(|list| list.number.as_ref()).map(ToString::to_string),
        list_next_update: next_update.map(|at: Timestamp| instant(at)),
    }
}

/// The listed name that has most attributes in common with the subject.
fn nearest(list: &WhiteList, domain: Option<&Domain>, subject: &DistinguishedName) -> Option<Nearest> {
    let ours: Vec<_> = subject.attributes().collect();
    let alike =
        |name: &DistinguishedName| name.attributes().filter(|attribute| ours.contains(attribute)).count();
    let named = list.pairs().filter_map(|(listed, bearer)| match bearer {
        Bearer::Subject(name) if domain.is_none_or(|domain| domain == listed) => Some((listed, name)),
        _ => None,
    });
    let (domain, name) =
        named.max_by_key(|(_, name)| alike(name)).filter(|(_, name)| domain.is_some() || alike(name) > 1)?;
    let without = |name: &DistinguishedName, other: &DistinguishedName| -> Vec<String> {
        let other: Vec<_> = other.attributes().collect();
        let own = name.attributes().filter(|attribute| !other.contains(attribute));
        own.map(|(kind, value)| format!("{kind}={value}")).collect()
    };
    Some(Nearest {
        domain: domain.to_string(),
        subject: name.to_string(),
        only_in_the_list: without(name, subject),
        only_in_the_certificate: without(subject, name),
    })
}
