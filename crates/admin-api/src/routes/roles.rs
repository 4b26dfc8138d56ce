//! `/applications/{name}/roles`, and what keys and applications may be given: nobody gives more than they have.

use super::delegations::{ForceQuery, may_force};
use super::keys::refused;
use crate::access::{Caller, Domains, Permission, RouteRule, rule};
use crate::api::{Api, Shared};
use crate::etag::IfMatch;
use crate::json::{Json, Query, Shown};
use crate::problem::{Code, Problem};
use axum::extract::{Path, State};
use mail_types::{ActorId, AdminRole, Domain, DomainId};
use serde::{Deserialize, Serialize};
use store::{AdminRoleRow, GivenAdminRole};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Roles of one key or application.
const ROLES_MAX: usize = 64;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] = &[
    rule("GET", "/applications/{name}/roles", &[Permission::KeysRead]),
    rule("PUT", "/applications/{name}/roles", &[Permission::KeysWrite]),
];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(show, set))
}

/// A role over the operator, or over one domain.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdministratorRole {
    /// Which.
    role: RoleName,
    /// The domain, of the role `domain` and of no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "chu-nord.example", max_length = 255)]
    domain: Option<String>,
}

/// What an administrator may be.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RoleName {
    /// Everything but the content of mail.
    Operator,
    /// Mailboxes, persons and grants of one domain.
    Domain,
    /// The audit trail, and nothing else.
    Auditor,
    /// Sees how things stand, never content or secrets, and says why each time.
    Support,
}

/// What an application administers.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApplicationRoles {
    /// Its roles; with none, it opens mailboxes only.
    #[schema(max_items = 64)]
    roles: Vec<AdministratorRole>,
}

impl From<AdminRoleRow> for AdministratorRole {
    fn from(row: AdminRoleRow) -> Self {
        let role = match row.role {
            AdminRole::Operator => RoleName::Operator,
            AdminRole::Domain => RoleName::Domain,
            AdminRole::Auditor => RoleName::Auditor,
            AdminRole::Support => RoleName::Support,
        };
        Self { role, domain: row.domain.map(|(_, name)| name) }
    }
}

/// Shows what an application administers
///
/// An application with a role administers with its certificate, unless it names one of its mailboxes in the header `Mailbox`.
#[utoipa::path(get, path = "/applications/{name}/roles", tag = "keys", operation_id = "showApplicationRoles",
    params(("name" = String, Path, description = "Name of the application.")),
    responses((status = 200, description = "Its roles.", body = ApplicationRoles)))]
async fn show(
    State(api): Shared,
    _caller: Caller,
    Path(name): Path<String>,
) -> Result<Shown<ApplicationRoles>, Problem> {
    let application = api.store.application(&name).await?.ok_or(Problem::new(Code::NotFound))?;
    shown(&api, application.actor).await
}

/// Sets what an application administers
///
/// In place of what it had. `If-Match` is required. Nobody gives more than they have. Somebody stays who administers the operator.
#[utoipa::path(put, path = "/applications/{name}/roles", tag = "keys", operation_id = "setApplicationRoles", request_body = ApplicationRoles,
    params(("name" = String, Path, description = "Name of the application."), ForceQuery,
        ("If-Match" = String, Header, description = "The ETag that was read.")),
    responses((status = 200, description = "Its roles as they are now.", body = ApplicationRoles)))]
async fn set(
    State(api): Shared,
    caller: Caller,
    Path(name): Path<String>,
    Query(query): Query<ForceQuery>,
    if_match: IfMatch,
    Json(new): Json<ApplicationRoles>,
) -> Result<Shown<ApplicationRoles>, Problem> {
    let application = api.store.application(&name).await?.ok_or(Problem::new(Code::NotFound))?;
    let given = given(&api, &new.roles).await?;
    may_give(&caller, &given, &[])?;
    let expected = if_match.expect(api.store.admin_roles_revision(application.actor).await?)?;
    let force = may_force(&caller, query.force)?;
    let store = api.store_of(&caller);
    store.set_admin_roles(application.actor, given, expected, force).await?.map_err(refused)?;
    shown(&api, application.actor).await
}

async fn shown(api: &Api, actor: ActorId) -> Result<Shown<ApplicationRoles>, Problem> {
    let revision = api.store.admin_roles_revision(actor).await?;
    let rows = api.store.admin_role_rows(actor).await?;
    Ok(Shown { revision, value: ApplicationRoles { roles: rows.into_iter().map(Into::into).collect() } })
}

/// Roles of a body, with their domains found.
pub(super) async fn given(api: &Api, roles: &[AdministratorRole]) -> Result<Vec<GivenAdminRole>, Problem> {
    if roles.len() > ROLES_MAX {
        return Err(Problem::invalid(
            "/roles",
            format!("has at most {ROLES_MAX} roles"),
            format!("a au plus {ROLES_MAX} rôles"),
        ));
    }
    let mut given = Vec::with_capacity(roles.len());
    for (index, named) in roles.iter().enumerate() {
        let role = match named.role {
            RoleName::Operator => AdminRole::Operator,
            RoleName::Domain => AdminRole::Domain,
            RoleName::Auditor => AdminRole::Auditor,
            RoleName::Support => AdminRole::Support,
        };
        let domain = domain(api, index, role, named.domain.as_deref()).await?;
        given.push(GivenAdminRole { role, domain });
    }
    Ok(given)
}

async fn domain(
    api: &Api,
    index: usize,
    role: AdminRole,
    name: Option<&str>,
) -> Result<Option<DomainId>, Problem> {
    let pointer = format!("/roles/{index}/domain");
    match (role, name) {
        (AdminRole::Domain, Some(name)) => {
            let parsed: Option<Domain> = name.parse().ok();
            let row = match parsed {
                Some(domain) => api.store.domain(&domain).await?,
                None => None,
            };
            row.map(|row| Some(row.id)).ok_or_else(|| {
                Problem::invalid(
                    pointer,
                    "is no domain of this operator",
                    "n'est pas un domaine de cet opérateur",
                )
            })
        }
        (AdminRole::Domain, None) => Err(Problem::invalid(
            pointer,
            "the role domain needs the domain that it is limited to",
            "le rôle domain exige le domaine auquel il est limité",
        )),
        (_, Some(_)) => Err(Problem::invalid(
            pointer,
            "only the role domain is limited to a domain",
            "seul le rôle domain est limité à un domaine",
        )),
        (_, None) => Ok(None),
    }
}

/// Whoever gives roles, narrowed to scopes, has all that these open.
pub(super) fn may_give(
    caller: &Caller,
    roles: &[GivenAdminRole],
    scopes: &[Permission],
) -> Result<(), Problem> {
    for given in roles {
        let opened = Permission::ALL.iter().filter(|permission| {
            permission.is_of(given.role) && (scopes.is_empty() || scopes.contains(permission))
        });
        for permission in opened {
            let is_theirs = match (caller.domains(*permission), given.domain) {
                (Domains::All, _) => true,
                (domains, Some(domain)) => domains.contain(domain),
                (Domains::Only(_), None) => false,
            };
            if !caller.has(*permission) || !is_theirs {
                let word = permission.as_str();
                return Err(Problem::new(Code::Forbidden).detail(
                    format!("you do not have {word} yourself, and cannot give it"),
                    format!("vous n'avez pas {word} vous-même, et ne pouvez le donner"),
                ));
            }
        }
    }
    Ok(())
}
