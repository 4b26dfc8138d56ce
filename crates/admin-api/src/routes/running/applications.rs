//! `/applications`: programs that log in with a certificate, by which rules, to which mailboxes.

use super::criteria::{RuleBy, criteria};
use super::members;
use crate::access::{Caller, Permission, RouteRule, rule};
use crate::api::{Api, Shared};
use crate::etag::IfMatch;
use crate::instant::Instant;
use crate::json::{Created, Json, Query, Shown, instant};
use crate::page::{self, Page};
use crate::problem::{Code, Problem};
use crate::routes::delegations::{ForceQuery, may_force};
use crate::routes::keys::refused;
use crate::routes::roles::may_give;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header::LOCATION};
use axum::response::{IntoResponse, Response};
use mail_types::{ActorId, MailboxId, MailboxStatus, Role};
use serde::{Deserialize, Serialize};
use store::{
    ApplicationGrant, ApplicationRow, CertificateHolder, CertificateRule, DirectoryError, GivenAdminRole,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] = &[
    rule("GET", "/applications", &[Permission::CertificatesRead]),
    rule("POST", "/applications", &[Permission::CertificatesWrite]),
    rule("GET", "/applications/{id}", &[Permission::CertificatesRead]),
    rule("PATCH", "/applications/{id}", &[Permission::CertificatesWrite]),
    rule("DELETE", "/applications/{id}", &[Permission::CertificatesWrite]),
    rule("GET", "/applications/{id}/rules", &[Permission::CertificatesRead]),
    rule("POST", "/applications/{id}/rules", &[Permission::CertificatesWrite]),
    rule("DELETE", "/applications/{id}/rules/{rule}", &[Permission::CertificatesWrite]),
    rule("GET", "/applications/{id}/mailboxes", &[Permission::CertificatesRead]),
    rule("PUT", "/applications/{id}/mailboxes/{mailbox}", &[Permission::CertificatesWrite]),
    rule("DELETE", "/applications/{id}/mailboxes/{mailbox}", &[Permission::CertificatesWrite]),
];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_applications, add_application))
        .routes(routes!(show_application, change_application, delete_application))
        .routes(routes!(list_application_rules, add_application_rule))
        .routes(routes!(remove_application_rule))
        .routes(routes!(list_application_mailboxes))
        .routes(routes!(open_mailbox, close_mailbox))
}

/// An application in service.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Application {
    id: String,
    /// Unique among those in service.
    #[schema(example = "labo-biologie")]
    name: String,
    #[schema(format = DateTime)]
    created_at: String,
}

/// An application to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApplicationToAdd {
    /// Letters, digits, `.`, `-` and `_`; case does not count.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._-]{1,64}$", example = "labo-biologie")]
    name: String,
}

/// What of an application can be changed (RFC 7396: an absent member stays).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApplicationNaming {
    /// Letters, digits, `.`, `-` and `_`; case does not count.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._-]{1,64}$", example = "labo-biologie")]
    name: Option<String>,
}

/// A rule to be made from a certificate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewApplicationRule {
    /// The certificate, PEM; it is entered in the inventory.
    #[schema(min_length = 1, max_length = 200_000)]
    certificate: String,
    /// What a certificate must have in common with it: `serial` unless said.
    #[serde(default)]
    #[schema(inline)]
    by: RuleBy,
    /// With `san`: which of its names, `DNS:name` or `email:address`; needed when it has several.
    #[schema(min_length = 1, max_length = 300, example = "DNS:labo.example")]
    san: Option<String>,
    /// When the rule ends by itself.
    #[schema(value_type = Option<String>, format = DateTime, example = "2027-01-31T23:59:59Z")]
    until: Option<Instant>,
}

/// With which certificates an application logs in: all members that are not null must match.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApplicationRule {
    id: String,
    issuer: Option<String>,
    subject: Option<String>,
    san: Option<String>,
    /// In hexadecimal.
    serial: Option<String>,
    /// SHA-256 of the SubjectPublicKeyInfo, in hexadecimal.
    key_pin: Option<String>,
    /// When it ends by itself.
    #[schema(format = DateTime)]
    until: Option<String>,
}

/// A mailbox that an application may open.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApplicationMailbox {
    mailbox_id: String,
    email: String,
    /// `read`, `write`, `manage` or `admin`; null for finer rights.
    role: Option<&'static str>,
    #[schema(format = DateTime)]
    until: Option<String>,
}

/// What an application may do in a mailbox.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApplicationRole {
    /// `read`, `write`, `manage` or `admin`; an application that sends needs `write`.
    #[schema(min_length = 1, max_length = 32, example = "write")]
    role: String,
    /// When it ends by itself; null or absent for no end.
    #[schema(value_type = Option<String>, format = DateTime, example = "2027-01-31T23:59:59Z")]
    until: Option<Instant>,
}

/// What to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ApplicationQuery {
    /// Where the page begins: `nextCursor` of the one before.
    #[param(max_length = 1024)]
    cursor: Option<String>,
    /// Rows of the page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// The one of this name.
    #[param(max_length = 64)]
    name: Option<String>,
}

/// Lists applications
///
/// Those in service, by name.
#[utoipa::path(get, path = "/applications", tag = "certificates", operation_id = "listApplications", params(ApplicationQuery),
    responses((status = 200, description = "A page of applications.", body = Page<Application>)))]
async fn list_applications(
    State(api): Shared,
    Query(query): Query<ApplicationQuery>,
) -> Result<axum::Json<Page<Application>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after = page::after(query.cursor.as_deref())?;
    let rows = match &query.name {
        Some(name) => api.store.application(name).await?.into_iter().collect(),
        None => api.store.applications(&after, limit + 1).await?,
    };
    let page = Page::of(rows, limit, |row: &ApplicationRow| row.name.clone());
    Ok(axum::Json(page.map(Application::from)))
}

/// Makes an application
///
/// It logs in once it has a rule, and opens the mailboxes that it is given.
#[utoipa::path(post, path = "/applications", tag = "certificates", operation_id = "addApplication", request_body = ApplicationToAdd,
    responses((status = 201, description = "The application.", body = Application)))]
async fn add_application(
    State(api): Shared,
    caller: Caller,
    Json(new): Json<ApplicationToAdd>,
) -> Result<Created<Application>, Problem> {
    let made = api.store_of(&caller).create_application(&new.name).await?;
    let (actor, is_new) = made?;
    if !is_new {
        return Err(DirectoryError::ApplicationTaken.into());
    }
    let row = find(&api, &actor.to_string()).await?;
    Ok(Created { location: format!("/applications/{actor}"), shown: shown(row) })
}

/// Shows an application
///
/// With its `ETag`. Its rules and mailboxes have lists of their own.
#[utoipa::path(get, path = "/applications/{id}", tag = "certificates", operation_id = "showApplication", params(("id" = String, Path, description = "Its id.", pattern = "^[0-9]{1,18}$")),
    responses((status = 200, description = "The application.", body = Application)))]
async fn show_application(State(api): Shared, Path(id): Path<String>) -> Result<Shown<Application>, Problem> {
    Ok(shown(find(&api, &id).await?))
}

/// Gives an application another name
///
/// `If-Match` is required. Its id, rules, roles and mailboxes stay as they are, and so do its sessions; the former name is free. Whoever renames an
/// application that administers has all that it administers.
#[utoipa::path(patch, path = "/applications/{id}", tag = "certificates", operation_id = "changeApplication", request_body = ApplicationNaming,
    params(("id" = String, Path, description = "Its id.", pattern = "^[0-9]{1,18}$"), ("If-Match" = String, Header, description = "The ETag that was read.")),
    responses((status = 200, description = "The application as it is now.", body = Application)))]
async fn change_application(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
    Json(change): Json<ApplicationNaming>,
) -> Result<Shown<Application>, Problem> {
    let row = find(&api, &id).await?;
    may_let_in(&api, &caller, row.actor).await?;
    let expected = if_match.expect(row.revision)?;
    if let Some(name) = &change.name {
        api.store_of(&caller).rename_application(row.actor, expected, name).await??;
    }
    Ok(shown(find(&api, &id).await?))
}

/// Takes an application out of service
///
/// Its rules and grants end, its open sessions within five seconds, and its name is free. Somebody stays who administers the operator.
#[utoipa::path(delete, path = "/applications/{id}", tag = "certificates", operation_id = "deleteApplication", params(("id" = String, Path, description = "Its id.", pattern = "^[0-9]{1,18}$"), ForceQuery),
    responses((status = 204, description = "It is out of service.")))]
async fn delete_application(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<ForceQuery>,
) -> Result<StatusCode, Problem> {
    let application = find(&api, &id).await?;
    let force = may_force(&caller, query.force)?;
    api.store_of(&caller).delete_application(application.actor, force).await?.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the rules of an application
///
/// Those in force, the oldest first.
#[utoipa::path(get, path = "/applications/{id}/rules", tag = "certificates", operation_id = "listApplicationRules", params(("id" = String, Path, description = "Its id.", pattern = "^[0-9]{1,18}$")),
    responses((status = 200, description = "All of its rules, at most 64.", body = Page<ApplicationRule>)))]
async fn list_application_rules(
    State(api): Shared,
    Path(id): Path<String>,
) -> Result<axum::Json<Page<ApplicationRule>>, Problem> {
    let application = find(&api, &id).await?;
    let rules = api.store.certificate_rules(application.actor, api.store.now()).await?;
    let items = rules.into_iter().map(ApplicationRule::from).collect();
    Ok(axum::Json(Page { items, next_cursor: None }))
}

/// Lets an application log in with a certificate
///
/// The certificate is entered in the inventory. It is not judged here: each login is. Whoever lets in an application that administers has all that it
/// administers.
#[utoipa::path(post, path = "/applications/{id}/rules", tag = "certificates", operation_id = "addApplicationRule", request_body = NewApplicationRule,
    params(("id" = String, Path, description = "Its id.", pattern = "^[0-9]{1,18}$")),
    responses((status = 201, description = "The rule.", body = ApplicationRule)))]
async fn add_application_rule(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    Json(new): Json<NewApplicationRule>,
) -> Result<Response, Problem> {
    let actor = find(&api, &id).await?.actor;
    may_let_in(&api, &caller, actor).await?;
    let until = members::until(new.until, api.store.now())?;
    let criteria = criteria(new.certificate.as_bytes(), new.by, new.san.as_deref())?;
    let facts = pki::certificate_facts(new.certificate.as_bytes()).map_err(members::malformed_certificate)?;
    let store = api.store_of(&caller);
    let (certificate, _) = store.add_certificate(CertificateHolder::Application(actor), facts).await??;
    let rule = store.add_certificate_rule(actor, &criteria, Some(certificate), until).await??;
    let rules = api.store.certificate_rules(actor, api.store.now()).await?;
    let made = rules.into_iter().find(|known| known.id == rule).ok_or(Problem::new(Code::NotFound))?;
    Ok(created(&ApplicationRule::from(made), &format!("/applications/{id}/rules/{rule}")))
}

/// Ends a rule of an application
///
/// Open sessions that rest on it end within five seconds. Somebody stays who administers the operator.
#[utoipa::path(delete, path = "/applications/{id}/rules/{rule}", tag = "certificates", operation_id = "removeApplicationRule",
    params(("id" = String, Path, description = "The application's id.", pattern = "^[0-9]{1,18}$"), ("rule" = String, Path, description = "The rule's id.", pattern = "^[0-9]{1,18}$"), ForceQuery),
    responses((status = 204, description = "It has ended.")))]
async fn remove_application_rule(
    State(api): Shared,
    caller: Caller,
    Path((id, rule)): Path<(String, String)>,
    Query(query): Query<ForceQuery>,
) -> Result<StatusCode, Problem> {
    let actor = find(&api, &id).await?.actor;
    let force = may_force(&caller, query.force)?;
    let ended = api.store_of(&caller).remove_certificate_rule(actor, members::id(&rule)?, force).await?;
    let is_ended = ended.map_err(refused)?;
    is_ended.then_some(StatusCode::NO_CONTENT).ok_or(Problem::new(Code::NotFound))
}

/// Lists the mailboxes of an application
///
/// That it may open, by address.
#[utoipa::path(get, path = "/applications/{id}/mailboxes", tag = "certificates", operation_id = "listApplicationMailboxes", params(("id" = String, Path, description = "Its id.", pattern = "^[0-9]{1,18}$")),
    responses((status = 200, description = "All of its mailboxes.", body = Page<ApplicationMailbox>)))]
async fn list_application_mailboxes(
    State(api): Shared,
    Path(id): Path<String>,
) -> Result<axum::Json<Page<ApplicationMailbox>>, Problem> {
    let application = find(&api, &id).await?;
    let grants = api.store.application_grants(application.actor).await?;
    let items = grants.into_iter().map(ApplicationMailbox::from).collect();
    Ok(axum::Json(Page { items, next_cursor: None }))
}

/// Lets an application open a mailbox
///
/// In that role, until then if there is an end, in place of what it had.
#[utoipa::path(put, path = "/applications/{id}/mailboxes/{mailbox}", tag = "certificates", operation_id = "openApplicationMailbox", request_body = ApplicationRole,
    params(("id" = String, Path, description = "The application's id.", pattern = "^[0-9]{1,18}$"), ("mailbox" = String, Path, description = "The mailbox's id or address.")),
    responses((status = 200, description = "What it may do.", body = ApplicationMailbox)))]
async fn open_mailbox(
    State(api): Shared,
    caller: Caller,
    Path((id, mailbox)): Path<(String, String)>,
    Json(given): Json<ApplicationRole>,
) -> Result<axum::Json<ApplicationMailbox>, Problem> {
    let actor = find(&api, &id).await?.actor;
    let mailbox = opened(&api, &mailbox).await?;
    let until = members::until(given.until, api.store.now())?;
    let role: Role = given.role.parse().map_err(|_| {
        Problem::invalid(
            "/role",
            "must be read, write, manage or admin",
            "doit être read, write, manage ou admin",
        )
    })?;
    api.store_of(&caller).grant_until(mailbox, actor, role, until).await?;
    let grants = api.store.application_grants(actor).await?;
    let grant = grants.into_iter().find(|grant| grant.mailbox == mailbox);
    grant.map(|grant| axum::Json(grant.into())).ok_or(Problem::new(Code::NotFound))
}

/// Closes a mailbox to an application
///
/// Its open sessions in it end within five seconds.
#[utoipa::path(delete, path = "/applications/{id}/mailboxes/{mailbox}", tag = "certificates", operation_id = "closeApplicationMailbox",
    params(("id" = String, Path, description = "The application's id.", pattern = "^[0-9]{1,18}$"), ("mailbox" = String, Path, description = "The mailbox's id or address.")),
    responses((status = 204, description = "It is closed.")))]
async fn close_mailbox(
    State(api): Shared,
    caller: Caller,
    Path((id, mailbox)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let actor = find(&api, &id).await?.actor;
    let mailbox = opened(&api, &mailbox).await?;
    let is_ended = api.store_of(&caller).revoke_grant(mailbox, actor).await?;
    is_ended.then_some(StatusCode::NO_CONTENT).ok_or(Problem::new(Code::NotFound))
}

/// Whoever lets an application in has all that it administers: they may hold the certificate themselves.
pub(super) async fn may_let_in(api: &Api, caller: &Caller, application: ActorId) -> Result<(), Problem> {
    let rows = api.store.admin_role_rows(application).await?;
    let given =
        rows.into_iter().map(|row| GivenAdminRole { role: row.role, domain: row.domain.map(|(id, _)| id) });
    may_give(caller, &given.collect::<Vec<_>>(), &[])
}

fn shown(row: ApplicationRow) -> Shown<Application> {
    Shown { revision: row.revision, value: row.into() }
}

async fn find(api: &Api, id: &str) -> Result<ApplicationRow, Problem> {
    let actor = ActorId(members::id(id)?);
    api.store.application_of(actor).await?.ok_or(Problem::new(Code::NotFound))
}

/// The mailbox of that id or address.
async fn opened(api: &Api, name: &str) -> Result<MailboxId, Problem> {
    let found = api.store.find_mailbox(name).await?.filter(|row| row.status != MailboxStatus::Deleted);
    found.map(|row| row.id).ok_or(Problem::new(Code::NotFound))
}

fn created<T: Serialize>(value: &T, location: &str) -> Response {
    let mut response = (StatusCode::CREATED, axum::Json(value)).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("{}{location}", crate::api::BASE)) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

impl From<ApplicationRow> for Application {
    fn from(row: ApplicationRow) -> Self {
        Self { id: row.actor.to_string(), name: row.name, created_at: instant(row.created_at) }
    }
}

impl From<CertificateRule> for ApplicationRule {
    fn from(rule: CertificateRule) -> Self {
        let criteria = &rule.criteria;
        Self {
            id: rule.id.to_string(),
            issuer: criteria.issuer().map(ToString::to_string),
            subject: criteria.subject().map(ToString::to_string),
            san: criteria.alternative_name().map(ToString::to_string),
            serial: criteria.serial().map(members::hexadecimal),
            key_pin: criteria.key_pin().map(|pin| members::hexadecimal(pin)),
            until: rule.expires_at.map(instant),
        }
    }
}

impl From<ApplicationGrant> for ApplicationMailbox {
    fn from(grant: ApplicationGrant) -> Self {
        Self {
            mailbox_id: grant.mailbox.to_string(),
            email: grant.address,
            role: grant.role.map(Role::as_str),
            until: grant.expires_at.map(instant),
        }
    }
}
