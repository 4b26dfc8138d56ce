//! `/trust/rulings`, `/trust/departures`: what administrators decide beside the white list.

use super::members;
use crate::access::{Caller, Permission, RouteRule, rule};
use crate::api::{Api, Shared};
use crate::instant::Instant;
use crate::json::{Json, Query, instant};
use crate::page::{self, Page};
use crate::problem::{Code, Problem};
use crate::trust::Departure;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header::LOCATION};
use axum::response::{IntoResponse, Response};
use mail_types::{DistinguishedName, Domain};
use serde::{Deserialize, Serialize};
use store::{Ruling, RulingRow};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] = &[
    rule("GET", "/trust/rulings", &[Permission::TrustRead]),
    rule("POST", "/trust/rulings", &[Permission::TrustWrite]),
    rule("GET", "/trust/rulings/{id}", &[Permission::TrustRead]),
    rule("DELETE", "/trust/rulings/{id}", &[Permission::TrustWrite]),
    rule("GET", "/trust/departures", &[Permission::TrustRead]),
    rule("POST", "/trust/departures/{domain}/give-up", &[Permission::TrustWrite]),
];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_rulings, add_ruling))
        .routes(routes!(show_ruling, release_ruling))
        .routes(routes!(list_departures))
        .routes(routes!(give_up))
}

/// What is decided.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum RulingKind {
    /// No mail is exchanged with a domain; it waits.
    QuarantineDomain,
    /// A certificate is not believed: one by `certificate`, all of a `subject`, or all of a key.
    QuarantineCertificate,
    /// A pair of domain and certificate counts as if the white list named it.
    Partner,
}

/// A local decision.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrustRuling {
    id: String,
    kind: RulingKind,
    /// What it is about, in words.
    about: String,
    domain: Option<String>,
    subject: Option<String>,
    issuer: Option<String>,
    /// In hexadecimal.
    serial: Option<String>,
    /// SHA-256 of the key, in hexadecimal.
    key_pin: Option<String>,
    /// Why, in the words of who decided it.
    reason: String,
    #[schema(format = DateTime)]
    created_at: String,
    /// When it ends by itself; null for until it is released.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// When it was released.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
}

/// A decision to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NewRuling {
    kind: RulingKind,
    /// Of `quarantineDomain` and `partner`.
    #[schema(min_length = 1, max_length = 255, example = "clinique-sud.example")]
    domain: Option<String>,
    /// Of `partner` and `quarantineCertificate`: a certificate's subject, as a white list prints it.
    #[schema(min_length = 1, max_length = 4096)]
    subject: Option<String>,
    /// Of `quarantineCertificate`: SHA-256 of the SubjectPublicKeyInfo, 64 hexadecimal digits.
    #[schema(min_length = 64, max_length = 95)]
    key_pin: Option<String>,
    /// A certificate (PEM) instead of a subject; a quarantine is then of this certificate and no other.
    #[schema(min_length = 1, max_length = 200_000)]
    certificate: Option<String>,
    /// Its end; a partner needs one.
    #[schema(value_type = Option<String>, format = DateTime, example = "2027-01-31T23:59:59Z")]
    until: Option<Instant>,
    /// Why, for those who read the audit trail.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// Why a domain is given up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GivingUp {
    /// Why, for those who read the audit trail.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// What to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RulingQuery {
    /// Where the page begins: `nextCursor` of the one before.
    #[param(max_length = 1024)]
    cursor: Option<String>,
    /// Rows of the page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// Those that ended too.
    all: Option<bool>,
}

/// What to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DepartureQuery {
    /// Where the page begins: `nextCursor` of the one before.
    #[param(max_length = 1024)]
    cursor: Option<String>,
    /// Rows of the page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
}

/// Lists local decisions
///
/// Quarantines and partners, the oldest first.
#[utoipa::path(get, path = "/trust/rulings", tag = "trust", operation_id = "listRulings", params(RulingQuery),
    responses((status = 200, description = "A page of decisions.", body = Page<TrustRuling>)))]
async fn list_rulings(
    State(api): Shared,
    Query(query): Query<RulingQuery>,
) -> Result<axum::Json<Page<TrustRuling>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after = page::after(query.cursor.as_deref())?;
    let after = if after.is_empty() { 0 } else { after.parse().map_err(|_| page::foreign())? };
    let rows = api.store.rulings(api.store.now(), query.all.unwrap_or(false)).await?;
    let rows = rows.into_iter().filter(|row| row.id > after).take(limit as usize + 1).collect();
    Ok(axum::Json(Page::of(rows, limit, |row: &RulingRow| row.id.to_string()).map(TrustRuling::from)))
}

/// Makes a local decision
///
/// In force within two seconds; open connections are judged again.
#[utoipa::path(post, path = "/trust/rulings", tag = "trust", operation_id = "addRuling", request_body = NewRuling,
    responses((status = 201, description = "The decision.", body = TrustRuling)))]
async fn add_ruling(
    State(api): Shared,
    caller: Caller,
    Json(new): Json<NewRuling>,
) -> Result<Response, Problem> {
    let until = members::until(new.until, api.store.now())?;
    if matches!(new.kind, RulingKind::Partner) && until.is_none() {
        return Err(Problem::invalid(
            "/until",
            "a partner is added until a date",
            "un partenaire est ajouté jusqu'à une date",
        ));
    }
    let reason = members::said(&new.reason, "/reason")?;
    let ruling = ruling(&new)?;
    let id = api.store_of(&caller).rule(ruling, until, reason).await?;
    let mut response = (StatusCode::CREATED, axum::Json(find(&api, id).await?)).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("{}/trust/rulings/{id}", crate::api::BASE)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// Shows a local decision
///
/// Also one that ended.
#[utoipa::path(get, path = "/trust/rulings/{id}", tag = "trust", operation_id = "showRuling", params(("id" = String, Path, description = "Its id.", pattern = "^[0-9]{1,18}$")),
    responses((status = 200, description = "The decision.", body = TrustRuling)))]
async fn show_ruling(State(api): Shared, Path(id): Path<String>) -> Result<axum::Json<TrustRuling>, Problem> {
    Ok(axum::Json(find(&api, members::id(&id)?).await?))
}

/// Ends a local decision
///
/// Released within two seconds. A header `Reason` goes to the audit trail.
#[utoipa::path(delete, path = "/trust/rulings/{id}", tag = "trust", operation_id = "releaseRuling",
    params(("id" = String, Path, description = "Its id.", pattern = "^[0-9]{1,18}$")),
    responses((status = 204, description = "It has ended.")))]
async fn release_ruling(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = members::id(&id)?;
    find(&api, id).await?;
    let reason = caller.reason.clone().unwrap_or_default();
    if api.store_of(&caller).release_ruling(id, &reason).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::new(Code::Conflict)
        .detail("the decision is not in force any more", "la décision n'est plus en vigueur"))
}

/// Lists domains that left the white list
///
/// And did not come back.
#[utoipa::path(get, path = "/trust/departures", tag = "trust", operation_id = "listDepartures", params(DepartureQuery),
    responses((status = 200, description = "A page of domains.", body = Page<Departure>)))]
async fn list_departures(
    State(api): Shared,
    Query(query): Query<DepartureQuery>,
) -> Result<axum::Json<Page<Departure>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after = page::after(query.cursor.as_deref())?;
    let departures = api.ports.trust.state().await?.departures.into_iter();
    let rows = departures.filter(|row| row.domain > after).take(limit as usize + 1).collect();
    Ok(axum::Json(Page::of(rows, limit, |row: &Departure| row.domain.clone())))
}

/// Gives up a domain that left the white list
///
/// Mail that is held for it goes back to its senders.
#[utoipa::path(post, path = "/trust/departures/{domain}/give-up", tag = "trust", operation_id = "giveUpDomain", request_body = GivingUp,
    params(("domain" = String, Path, description = "The domain.")),
    responses((status = 204, description = "It is given up.")))]
async fn give_up(
    State(api): Shared,
    caller: Caller,
    Path(domain): Path<String>,
    Json(why): Json<GivingUp>,
) -> Result<StatusCode, Problem> {
    let domain: Domain = domain.parse().map_err(|_| Problem::new(Code::NotFound))?;
    let reason = members::said(&why.reason, "/reason")?;
    if api.store_of(&caller).give_up_domain(&domain, reason).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::new(Code::NotFound).detail(
        "the domain did not leave the white list, and no mail waits for it",
        "le domaine n'a pas quitté la liste blanche, et aucun courrier ne l'attend",
    ))
}

async fn find(api: &Api, id: i64) -> Result<TrustRuling, Problem> {
    let rows = api.store.rulings(api.store.now(), true).await?;
    let row = rows.into_iter().find(|row| row.id == id).ok_or(Problem::new(Code::NotFound))?;
    Ok(row.into())
}

/// What is meant, if its members say it without contradiction.
fn ruling(new: &NewRuling) -> Result<Ruling, Problem> {
    let allowed: &[&str] = match new.kind {
        RulingKind::QuarantineDomain => &["domain"],
        RulingKind::QuarantineCertificate => &["subject", "keyPin", "certificate"],
        RulingKind::Partner => &["domain", "subject", "certificate"],
    };
    for (name, value) in [
        ("domain", &new.domain),
        ("subject", &new.subject),
        ("keyPin", &new.key_pin),
        ("certificate", &new.certificate),
    ] {
        if value.is_some() && !allowed.contains(&name) {
            return Err(Problem::invalid(
                format!("/{name}"),
                "has no meaning for this kind",
                "n'a pas de sens pour ce genre de décision",
            ));
        }
    }
    match new.kind {
        RulingKind::QuarantineDomain => Ok(Ruling::QuarantineDomain(domain(new)?)),
        RulingKind::QuarantineCertificate => certificate_mark(new),
        RulingKind::Partner => Ok(Ruling::Partner { domain: domain(new)?, subject: subject(new)? }),
    }
}

fn certificate_mark(new: &NewRuling) -> Result<Ruling, Problem> {
    match (&new.subject, &new.key_pin, &new.certificate) {
        (Some(_), None, None) => Ok(Ruling::QuarantineSubject(subject(new)?)),
        (None, Some(pin), None) => {
            let digits: String = pin.chars().filter(|c| *c != ':').collect();
            let pin = members::octets(&digits).and_then(|octets| octets.try_into().ok());
            pin.map(Ruling::QuarantineKey).ok_or_else(|| {
                Problem::invalid(
                    "/keyPin",
                    "must be 64 hexadecimal digits",
                    "doit être de 64 chiffres hexadécimaux",
                )
            })
        }
        (None, None, Some(pem)) => {
            let facts = pki::certificate_facts(pem.as_bytes()).map_err(members::malformed_certificate)?;
            Ok(Ruling::QuarantineSerial { issuer: facts.issuer, serial: facts.serial })
        }
        _ => Err(Problem::invalid(
            "/subject",
            "one of subject, keyPin and certificate is needed, and no more than one",
            "il faut subject, keyPin ou certificate, et un seul des trois",
        )),
    }
}

fn domain(new: &NewRuling) -> Result<Domain, Problem> {
    let text = new.domain.as_deref().unwrap_or_default();
    text.parse().map_err(|_| {
        Problem::invalid("/domain", "is not the name of a domain", "n'est pas un nom de domaine")
    })
}

fn subject(new: &NewRuling) -> Result<DistinguishedName, Problem> {
    match (&new.subject, &new.certificate) {
        (Some(text), None) => text.parse().map_err(|_| {
            Problem::invalid(
                "/subject",
                "is not a subject such as CN=mx.example,O=Clinique,C=FR",
                "n'est pas un sujet tel que CN=mx.example,O=Clinique,C=FR",
            )
        }),
        (None, Some(pem)) => {
            Ok(pki::certificate_facts(pem.as_bytes()).map_err(members::malformed_certificate)?.subject)
        }
        _ => Err(Problem::invalid(
            "/subject",
            "subject or certificate is needed, and not both",
            "il faut subject ou certificate, et pas les deux",
        )),
    }
}

impl From<RulingRow> for TrustRuling {
    fn from(row: RulingRow) -> Self {
        let about = row.ruling.to_string();
        let mut shown = Self {
            id: row.id.to_string(),
            kind: RulingKind::QuarantineCertificate,
            about,
            domain: None,
            subject: None,
            issuer: None,
            serial: None,
            key_pin: None,
            reason: row.reason,
            created_at: instant(row.created_at),
            until: row.until.map(instant),
            ended_at: row.ended_at.map(instant),
        };
        match row.ruling {
            Ruling::QuarantineDomain(domain) => {
                (shown.kind, shown.domain) = (RulingKind::QuarantineDomain, Some(domain.to_string()));
            }
            Ruling::QuarantineSubject(subject) => shown.subject = Some(subject.to_string()),
            Ruling::QuarantineKey(pin) => shown.key_pin = Some(members::hexadecimal(&pin)),
            Ruling::QuarantineSerial { issuer, serial } => {
                (shown.issuer, shown.serial) =
                    (Some(issuer.to_string()), Some(members::hexadecimal(&serial)));
            }
            Ruling::Partner { domain, subject } => {
                shown.kind = RulingKind::Partner;
                (shown.domain, shown.subject) = (Some(domain.to_string()), Some(subject.to_string()));
            }
        }
        shown
    }
}
