//! `/certificates`: our own and those of applications: the inventory, replacement, requests.

use super::applications::may_let_in;
use super::members;
use crate::access::{Caller, Permission, RouteRule, rule};
use crate::api::{Api, Shared};
use crate::etag::IfMatch;
use crate::json::{Created, Json, Query, Shown, instant};
use crate::page::{self, Page};
use crate::ports::{Pair, Side};
use crate::problem::{Code, Problem};
use crate::routes::delegations::{ForceQuery, may_force};
use crate::routes::keys::refused;
use axum::extract::{Path, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use mail_types::{ActorId, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use store::{CertificateError, CertificateHolder, CertificateRow, KeyError};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const DAY_MS: i64 = 86_400_000;
/// From when on a certificate is told to expire, in days.
const EXPIRING_DAYS: i64 = 90;
const PEM: &str = "application/x-pem-file";

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] = &[
    rule("GET", "/certificates", &[Permission::CertificatesRead]),
    rule("POST", "/certificates", &[Permission::CertificatesWrite]),
    rule("POST", "/certificates/check", &[Permission::CertificatesWrite]),
    rule("GET", "/certificates/{id}", &[Permission::CertificatesRead]),
    rule("PATCH", "/certificates/{id}", &[Permission::CertificatesWrite]),
    rule("POST", "/certificates/{id}/withdraw", &[Permission::CertificatesWrite]),
];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_certificates, add_certificate))
        .routes(routes!(check_own_certificates))
        .routes(routes!(show_certificate, note_certificate))
        .routes(routes!(withdraw_certificate))
}

/// Characters of a chain in PEM.
const CHAIN_MAX: usize = 200_000;
/// Characters of a key in PEM.
const KEY_MAX: usize = 20_000;

/// How a certificate of the inventory stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CertificateStatus {
    /// Valid for more than 90 days.
    Active,
    /// Valid for 90 days or less.
    Expiring,
    /// Past its end.
    Expired,
    /// No longer watched.
    Withdrawn,
}

/// Whose a certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HolderWord {
    /// This operator's.
    Own,
    /// An application's.
    Application,
}

/// A certificate of the inventory.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Certificate {
    id: String,
    holder: HolderWord,
    /// Of an application's.
    application_id: Option<String>,
    /// `SERV_SSL`, `ORG_AUTH_CLI`, `ORG_SIGN`, `ORG_CONF` or `OTHER`.
    #[schema(example = "SERV_SSL")]
    usage: String,
    subject: String,
    issuer: String,
    /// In hexadecimal.
    serial: String,
    /// SHA-256 of the certificate, in hexadecimal.
    fingerprint: String,
    /// SHA-256 of its SubjectPublicKeyInfo, in hexadecimal.
    key_pin: String,
    #[schema(format = DateTime)]
    valid_from: String,
    #[schema(format = DateTime)]
    valid_until: String,
    status: CertificateStatus,
    /// Whole days until it expires; negative when it has.
    days_left: i64,
    /// What an administrator wrote beside it.
    note: String,
    #[schema(format = DateTime)]
    added_at: String,
    #[schema(format = DateTime)]
    withdrawn_at: Option<String>,
}

/// Which of our two certificates is meant.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SideWord {
    /// `[tls] cert`: seen by whoever connects to us, and by other operators' servers where there is no other.
    #[default]
    Server,
    /// `[tls] client_cert`: seen by other operators' servers.
    Client,
}

/// A certificate to be entered, or a pair that takes the place of ours.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NewCertificate {
    /// PEM. With `privateKey`, after it its issuers.
    #[schema(min_length = 1, max_length = 200_000)]
    certificate: String,
    /// The application that holds it. Without it, and without `privateKey`, it is entered as ours, to be watched.
    #[schema(pattern = "^[0-9]{1,18}$")]
    application_id: Option<String>,
    /// Its key (PEM, not encrypted): the pair is checked as at a reload, and takes the place of ours at once. The key is never shown again.
    #[schema(min_length = 1, max_length = 20_000, write_only)]
    private_key: Option<String>,
    /// Which of ours is replaced.
    #[schema(inline)]
    replaces: Option<SideWord>,
    /// A note.
    #[schema(max_length = 2000)]
    note: Option<String>,
}

/// A pair to be checked; without any, those that the configuration names.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct PairQuestion {
    /// PEM: the certificate, and after it its issuers.
    #[schema(min_length = 1, max_length = 200_000)]
    certificate: Option<String>,
    /// Its key (PEM, not encrypted).
    #[schema(min_length = 1, max_length = 20_000, write_only)]
    private_key: Option<String>,
    /// In whose place.
    #[schema(inline)]
    replaces: Option<SideWord>,
}

/// What a check found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PairFindings {
    findings: Vec<PairFinding>,
}

/// How one of our certificates stands, or would.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PairFinding {
    /// `tls.cert` or `tls.client_cert`.
    key: &'static str,
    subject: Option<String>,
    /// Whether a reload would take it.
    would_be_taken: bool,
    /// Why not, or what is in doubt.
    why: Option<String>,
}

/// What of a certificate can be changed (RFC 7396).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CertificateChange {
    /// What is written beside it; null removes it.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(value_type = Option<String>, max_length = 2000)]
    note: Option<Option<String>>,
}

/// What to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct CertificateQuery {
    /// Where the page begins: `nextCursor` of the one before.
    #[param(max_length = 1024)]
    cursor: Option<String>,
    /// Rows of the page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// Withdrawn ones too.
    all: Option<bool>,
    /// Whose.
    #[param(inline)]
    holder: Option<HolderWord>,
    /// Of this application.
    #[param(pattern = "^[0-9]{1,18}$")]
    application_id: Option<String>,
    /// How they stand.
    #[param(inline)]
    status: Option<CertificateStatus>,
}

/// Lists certificates
///
/// The first to expire first.
#[utoipa::path(get, path = "/certificates", tag = "certificates", operation_id = "listCertificates", params(CertificateQuery),
    responses((status = 200, description = "A page of certificates.", body = Page<Certificate>)))]
async fn list_certificates(
    State(api): Shared,
    Query(query): Query<CertificateQuery>,
) -> Result<axum::Json<Page<Certificate>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after = begin(&page::after(query.cursor.as_deref())?)?;
    let now = api.store.now();
    let with_withdrawn = query.all.unwrap_or(false) || query.status == Some(CertificateStatus::Withdrawn);
    let is_sought = |row: &CertificateRow| {
        let application = match row.holder {
            CertificateHolder::Own => None,
            CertificateHolder::Application(actor) => Some(actor.to_string()),
        };
        query.holder.is_none_or(|holder| holder == holder_word(row.holder))
            && query.application_id.as_ref().is_none_or(|id| application.as_ref() == Some(id))
            && query.status.is_none_or(|sought| sought == status(row, now))
            && (row.facts.not_after.0, row.id) > after
    };
    let rows = api.store.certificates(with_withdrawn).await?.into_iter();
    let rows = rows.filter(is_sought).take(limit as usize + 1).collect();
    let key = |row: &CertificateRow| format!("{} {}", row.facts.not_after.0, row.id);
    Ok(axum::Json(Page::of(rows, limit, key).map(|row| shown(row, now))))
}

/// Enters or replaces a certificate
///
/// With `privateKey` and `replaces`, the pair is checked (chain, dates, usage, revocation, names, key) and put in force without a restart.
#[utoipa::path(post, path = "/certificates", tag = "certificates", operation_id = "addCertificate", request_body = NewCertificate,
    responses((status = 201, description = "The certificate.", body = Certificate)))]
async fn add_certificate(
    State(api): Shared,
    caller: Caller,
    Json(new): Json<NewCertificate>,
) -> Result<Created<Certificate>, Problem> {
    let facts = pki::certificate_facts(new.certificate.as_bytes()).map_err(members::malformed_certificate)?;
    let store = api.store_of(&caller);
    let holder = match (&new.application_id, new.private_key, new.replaces) {
        (Some(id), None, None) => {
            let application = application(&api, id).await?;
            may_let_in(&api, &caller, application).await?;
            CertificateHolder::Application(application)
        }
        (None, None, None) => CertificateHolder::Own,
        (None, Some(key), Some(side)) => {
            let pair = Pair { chain: new.certificate.into_bytes(), key: Secret::new(key), side: side.into() };
            api.ports.own.replace(store.clone(), pair).await.map_err(not_taken)?;
            CertificateHolder::Own
        }
        _ => {
            return Err(Problem::invalid(
                "/privateKey",
                "privateKey and replaces go together, and without applicationId",
                "privateKey et replaces vont ensemble, et sans applicationId",
            ));
        }
    };
    let (id, _) = store.add_certificate(holder, facts).await??;
    if let Some(note) = &new.note {
        store.note_certificate(id, None, note).await??;
    }
    let row = find(&api, &id.to_string()).await?;
    let shown = Shown { revision: row.revision, value: shown(row, api.store.now()) };
    Ok(Created { location: format!("/certificates/{id}"), shown })
}

/// Checks our own certificates
///
/// As a reload would: a pair that is given, or those that the configuration names.
#[utoipa::path(post, path = "/certificates/check", tag = "certificates", operation_id = "checkOwnCertificates", request_body = PairQuestion,
    responses((status = 200, description = "What was found.", body = PairFindings)))]
async fn check_own_certificates(
    State(api): Shared,
    Json(question): Json<PairQuestion>,
) -> Result<axum::Json<PairFindings>, Problem> {
    let side = question.replaces.unwrap_or_default().into();
    let pair = match (question.certificate, question.private_key) {
        (Some(chain), Some(key)) => {
            must_be_pem("/certificate", &chain, CHAIN_MAX)?;
            must_be_pem("/privateKey", &key, KEY_MAX)?;
            Some(Pair { chain: chain.into_bytes(), key: Secret::new(key), side })
        }
        (None, None) => None,
        _ => {
            return Err(Problem::invalid(
                "/privateKey",
                "certificate and privateKey go together",
                "certificate et privateKey vont ensemble",
            ));
        }
    };
    let findings = api.ports.own.check(pair).await?;
    let finding = |finding: crate::ports::OwnFinding| PairFinding {
        key: finding.key,
        subject: finding.subject,
        would_be_taken: finding.refusal.is_none(),
        why: finding.refusal.or(finding.doubt),
    };
    Ok(axum::Json(PairFindings { findings: findings.into_iter().map(finding).collect() }))
}

/// Refuses what is empty or far too long to be what is asked for.
fn must_be_pem(pointer: &'static str, text: &str, max: usize) -> Result<(), Problem> {
    if text.is_empty() {
        return Err(Problem::invalid(pointer, "is empty: PEM is wanted", "est vide : il faut du PEM"));
    }
    if text.chars().count() > max {
        return Err(Problem::invalid(pointer, "is too long", "est trop long"));
    }
    Ok(())
}

/// Shows a certificate
///
/// As JSON, or with `Accept: application/x-pem-file` itself.
#[utoipa::path(get, path = "/certificates/{id}", tag = "certificates", operation_id = "showCertificate", params(("id" = String, Path, description = "Its id.", pattern = "^[0-9]{1,18}$")),
    responses((status = 200, description = "The certificate.", content((Certificate = "application/json"), (String = "application/x-pem-file")))))]
async fn show_certificate(
    State(api): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let row = find(&api, &id).await?;
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains(PEM) {
        return Ok(([(CONTENT_TYPE, HeaderValue::from_static(PEM))], pem(&row.facts.der)).into_response());
    }
    Ok(Shown { revision: row.revision, value: shown(row, api.store.now()) }.into_response())
}

/// Writes a note beside a certificate
///
/// In place of the former one: a revocation note, say. `If-Match` is required.
#[utoipa::path(patch, path = "/certificates/{id}", tag = "certificates", operation_id = "noteCertificate", request_body = CertificateChange,
    params(("id" = String, Path, description = "Its id.", pattern = "^[0-9]{1,18}$"), ("If-Match" = String, Header, description = "The ETag that was read.")),
    responses((status = 200, description = "The certificate as it is now.", body = Certificate)))]
async fn note_certificate(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
    Json(change): Json<CertificateChange>,
) -> Result<Shown<Certificate>, Problem> {
    let row = find(&api, &id).await?;
    let expected = if_match.expect(row.revision)?;
    if let Some(note) = change.note {
        let note = note.unwrap_or_default();
        api.store_of(&caller).note_certificate(row.id, expected, &note).await??;
    }
    let row = find(&api, &id).await?;
    Ok(Shown { revision: row.revision, value: shown(row, api.store.now()) })
}

/// Withdraws a certificate
///
/// It is watched no more, and rules that name it end. What we present stays in force. Somebody stays who administers the operator.
#[utoipa::path(post, path = "/certificates/{id}/withdraw", tag = "certificates", operation_id = "withdrawCertificate", params(("id" = String, Path, description = "Its id.", pattern = "^[0-9]{1,18}$"), ForceQuery),
    responses((status = 200, description = "The certificate, withdrawn.", body = Certificate)))]
async fn withdraw_certificate(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<ForceQuery>,
) -> Result<Shown<Certificate>, Problem> {
    let row = find(&api, &id).await?;
    let force = may_force(&caller, query.force)?;
    api.store_of(&caller).withdraw_certificate(row.id, force).await??;
    let row = find(&api, &id).await?;
    Ok(Shown { revision: row.revision, value: shown(row, api.store.now()) })
}

async fn find(api: &Api, id: &str) -> Result<CertificateRow, Problem> {
    api.store.certificate(members::id(id)?).await?.ok_or(Problem::new(Code::NotFound))
}

async fn application(api: &Api, id: &str) -> Result<ActorId, Problem> {
    let missing = || {
        Problem::invalid(
            "/applicationId",
            "there is no such application",
            "il n'y a pas de telle application",
        )
    };
    let actor = ActorId(id.parse().map_err(|_| missing())?);
    api.store.application_of(actor).await?.ok_or_else(missing)?;
    Ok(actor)
}

fn not_taken(cause: crate::ports::Unable) -> Problem {
    let crate::ports::Unable(text) = cause;
    Problem::invalid("/certificate", text.clone(), format!("n'est pas pris : {text}"))
}

fn shown(row: CertificateRow, now: Timestamp) -> Certificate {
    let status = status(&row, now);
    let facts = row.facts;
    Certificate {
        id: row.id.to_string(),
        holder: holder_word(row.holder),
        application_id: match row.holder {
            CertificateHolder::Own => None,
            CertificateHolder::Application(actor) => Some(actor.to_string()),
        },
        usage: facts.usage.to_string(),
        subject: facts.subject.to_string(),
        issuer: facts.issuer.to_string(),
        serial: members::hexadecimal(&facts.serial),
        fingerprint: members::hexadecimal(&facts.fingerprint.0),
        key_pin: members::hexadecimal(&facts.key_pin),
        valid_from: instant(facts.not_before),
        valid_until: instant(facts.not_after),
        status,
        days_left: (facts.not_after.0 - now.0).div_euclid(DAY_MS),
        note: row.note,
        added_at: instant(row.added_at),
        withdrawn_at: row.withdrawn_at.map(instant),
    }
}

fn status(row: &CertificateRow, now: Timestamp) -> CertificateStatus {
    match row.facts.not_after.0 - now.0 {
        _ if row.withdrawn_at.is_some() => CertificateStatus::Withdrawn,
        left if left < 0 => CertificateStatus::Expired,
        left if left <= EXPIRING_DAYS * DAY_MS => CertificateStatus::Expiring,
        _ => CertificateStatus::Active,
    }
}

const fn holder_word(holder: CertificateHolder) -> HolderWord {
    match holder {
        CertificateHolder::Own => HolderWord::Own,
        CertificateHolder::Application(_) => HolderWord::Application,
    }
}

/// Lines of 64 characters (RFC 7468).
fn pem(der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for (index, character) in text.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push_str("\n-----END CERTIFICATE-----\n");
    pem
}

fn begin(after: &str) -> Result<(i64, i64), Problem> {
    if after.is_empty() {
        return Ok((i64::MIN, 0));
    }
    let parsed = after.split_once(' ').and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?)));
    parsed.ok_or_else(page::foreign)
}

impl From<SideWord> for Side {
    fn from(word: SideWord) -> Self {
        match word {
            SideWord::Server => Self::Server,
            SideWord::Client => Self::Client,
        }
    }
}

impl From<CertificateError> for Problem {
    fn from(refusal: CertificateError) -> Self {
        let text = refusal.to_string();
        match refusal {
            CertificateError::Unknown => Self::new(Code::NotFound),
            CertificateError::Changed => Self::new(Code::PreconditionFailed),
            CertificateError::LastOperator => refused(KeyError::LastOperator),
            CertificateError::OtherHolder => Self::new(Code::Conflict).detail(
                text,
                "ce certificat est à l'inventaire sous un autre détenteur ; retirez-le là-bas et utilisez-en un autre ici",
            ),
            CertificateError::TooLong => {
                Self::invalid("/certificate", text, "le certificat dépasse 64 Kio")
            }
        }
    }
}
