//! `/trust`: what is in force, and what would become of a certificate.

use super::members;
use crate::access::{Permission, RouteRule, rule};
use crate::api::{Api, Shared};
use crate::finding::{self, Finding};
use crate::json::{Json, instant};
use crate::problem::Problem;
use crate::trust::TrustState;
use axum::extract::State;
use mail_types::Domain;
use pki::Usage;
use serde::{Deserialize, Serialize};
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
    let in_force = api.ports.trust.in_force().await?;
    let usage = if matches!(question.side, Side::Client) { Usage::Client } else { Usage::Server };
    let pem = question.certificate.as_bytes();
    let finding = Finding::of(pem, usage, domain, &in_force, api.store.now());
    Ok(axum::Json(finding.map_err(members::malformed_certificate)?.into()))
}

impl From<Finding> for CertificateAnswer {
    fn from(finding: Finding) -> Self {
        let (verdict, why) = finding.verdict();
        let (chain, revocation) = (finding.chain().to_owned(), revocation(&finding));
        let facts = finding.facts;
        Self {
            verdict,
            why,
            subject: facts.subject.to_string(),
            issuer: facts.issuer.to_string(),
            serial: members::hexadecimal(&facts.serial),
            valid_from: instant(facts.not_before),
            valid_until: instant(facts.not_after),
            usage: facts.usage.to_string(),
            chain,
            revocation,
            listed_for: finding.listed_for.iter().map(ToString::to_string).collect(),
            nearest: finding.nearest.map(Nearest::from),
        }
    }
}

impl From<finding::Nearest> for Nearest {
    fn from(nearest: finding::Nearest) -> Self {
        Self {
            domain: nearest.domain.to_string(),
            subject: nearest.name.to_string(),
            only_in_the_list: nearest.only_in_the_list,
            only_in_the_certificate: nearest.only_in_the_certificate,
        }
    }
}

fn revocation(finding: &Finding) -> Revocation {
    let (state, cause) = finding.revocation();
    let list = finding.revocation_list.as_ref();
    Revocation {
        state,
        cause: cause.map(str::to_owned),
        list_number: list.and_then(|list| list.number.as_ref()).map(ToString::to_string),
        list_next_update: list.and_then(|list| list.next_update).map(instant),
    }
}
