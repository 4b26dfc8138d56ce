//! What keys and applications administer: the whole operator, or certain domains.

use crate::dialect::on;
use crate::directory::{admin, word};
use crate::revisions::Concern;
use crate::writer::{Touches, WriteTx};
use crate::{Error, KeyError, Store};
use mail_types::{ActorId, AdminRole, DomainId};

/// A number that moves with every change of an actor's roles.
const REVISION: &str = "SELECT 1 + COUNT(*) + COUNT(revoked_at_ms) FROM admin_roles WHERE actor_id = $1";

/// A role in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminRoleRow {
    /// Which.
    pub role: AdminRole,
    /// The domain that it is limited to, with its name.
    pub domain: Option<(DomainId, String)>,
}

/// A role to be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenAdminRole {
    /// Which.
    pub role: AdminRole,
    /// The domain that it is limited to: of [`AdminRole::Domain`], and of no other.
    pub domain: Option<DomainId>,
}

impl Store {
    /// The roles of an actor in force, in the order in which they were given.
    pub async fn admin_role_rows(&self, actor: ActorId) -> Result<Vec<AdminRoleRow>, Error> {
        let now = self.now();
        let mut reader = self.reader().await?;
        let rows: Vec<(String, Option<i64>, Option<String>)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT r.role, r.domain_id, d.name FROM admin_roles r LEFT JOIN domains d ON d.id = r.domain_id WHERE r.actor_id = $1 \
             AND r.revoked_at_ms IS NULL AND (r.expires_at_ms IS NULL OR r.expires_at_ms > $2) ORDER BY r.id")
            .bind(actor.0).bind(now.0).fetch_all(&mut *c).await)?;
        rows.into_iter()
            .map(|(role, domain, name)| {
                Ok(AdminRoleRow { role: word(&role)?, domain: domain.map(DomainId).zip(name) })
            })
            .collect()
    }

    /// A number that moves with every change of an actor's roles.
    pub async fn admin_roles_revision(&self, actor: ActorId) -> Result<i64, Error> {
        let mut reader = self.reader().await?;
        let (revision,): (i64,) = on!(reader.conn(), c => sqlx::query_as(REVISION)
            .bind(actor.0).fetch_one(&mut *c).await)?;
        Ok(revision)
    }

    /// Gives an application these roles in place of those that it has. `expected` is the revision that these must have; with `force`, also when
    /// nobody is left who administers the operator.
    pub async fn set_admin_roles(
        &self,
        actor: ActorId,
        roles: Vec<GivenAdminRole>,
        expected: Option<i64>,
        force: bool,
    ) -> Result<Result<(), KeyError>, Error> {
        self.write(Touches::nothing(), move |tx| {
            let roles = roles.clone();
            Box::pin(async move { tx.set_admin_roles(actor, &roles, expected, force).await })
        })
        .await
    }
}

impl GivenAdminRole {
    /// For the audit trail.
    pub(crate) fn told(&self) -> String {
        let domain = self.domain.map_or_else(String::new, |domain| format!(":{domain}"));
        format!("{}{domain}", self.role)
    }
}

impl WriteTx {
    async fn set_admin_roles(
        &mut self,
        actor: ActorId,
        roles: &[GivenAdminRole],
        expected: Option<i64>,
        force: bool,
    ) -> Result<Result<(), KeyError>, Error> {
        // One change of roles at a time: what is read here is what is changed.
        self.directory_moved(Concern::Actor(actor)).await?;
        let (revision,): (i64,) =
            on!(self.conn(), c => sqlx::query_as(REVISION).bind(actor.0).fetch_one(&mut *c).await)?;
        if expected.is_some_and(|expected| expected != revision) {
            return Ok(Err(KeyError::Changed));
        }
        let stays = roles.iter().any(|given| given.role == AdminRole::Operator);
        if !stays && !force && self.is_last_operator(actor).await? {
            return Ok(Err(KeyError::LastOperator));
        }
        let now = self.now.0;
        let before: Vec<(String, Option<i64>)> = on!(self.conn(), c => sqlx::query_as(
            "SELECT role, domain_id FROM admin_roles WHERE actor_id = $1 AND revoked_at_ms IS NULL AND (expires_at_ms IS NULL OR expires_at_ms > $2) ORDER BY id")
            .bind(actor.0).bind(now).fetch_all(&mut *c).await)?;
        let before = before.into_iter().map(|(role, domain)| {
            Ok(GivenAdminRole { role: word(&role)?, domain: domain.map(DomainId) }.told())
        });
        let before: Vec<String> = before.collect::<Result<_, Error>>()?;
        self.replace_admin_roles(actor, roles).await?;
        let after: Vec<String> = roles.iter().map(GivenAdminRole::told).collect();
        let entry = admin("roles.changed", None, String::new()).on("actor", actor);
        self.audit(&entry.before(before).after(after)).await?;
        Ok(Ok(()))
    }

    /// Ends the roles of an actor, and gives these.
    pub(crate) async fn replace_admin_roles(
        &mut self,
        actor: ActorId,
        roles: &[GivenAdminRole],
    ) -> Result<(), Error> {
        let now = self.now.0;
        let ended = on!(self.conn(), c => sqlx::query("UPDATE admin_roles SET revoked_at_ms = $2 WHERE actor_id = $1 AND revoked_at_ms IS NULL")
            .bind(actor.0).bind(now).execute(&mut *c).await.map(|r| r.rows_affected()))?;
        if ended > 0 {
            self.directory_moved(Concern::Actor(actor)).await?;
        }
        let by = self.act.as_ref().and_then(|act| act.actor);
        for given in roles {
            on!(self.conn(), c => sqlx::query("INSERT INTO admin_roles (actor_id, role, domain_id, granted_by_actor_id, granted_at_ms) VALUES ($1, $2, $3, $4, $5)")
                .bind(actor.0).bind(given.role.as_str()).bind(given.domain.map(|id| id.0)).bind(by.map(|by| by.0)).bind(now).execute(&mut *c).await.map(|_| ()))?;
        }
        Ok(())
    }
}
