//! Applications: actors that log in with a certificate. Which certificates are theirs is said by rules, which mailboxes by grants.
//!
//! A rule is looked up by what it names (key, issuer and serial, issuer and subject, issuer and alternative name), each under an index of its
//! own; that everything it names matches is decided by [`CertificateCriteria::match_peer`]. Names are kept in the printed form of
//! [`DistinguishedName`], which is the same for every spelling of one name.

use crate::dialect::{Conn, on};
use crate::directory::{DirectoryError, Refusable, admin, word};
use crate::revisions::Revision;
use crate::writer::{Touches, WriteTx};
use crate::{Error, LoginActor, LoginMailbox, Store};
use mail_types::{
    Actor, ActorId, ActorKind, Address, CertificateCriteria, DistinguishedName, MailboxId, PeerIdentity,
    Rights, Role, Timestamp,
};

/// Rules in force that one application may have.
pub const CERTIFICATE_RULES_MAX: usize = 64;
/// Alternative names of one certificate that are looked up.
const ALTERNATIVE_NAMES_MAX: usize = 100;
/// Octets of an application's name.
const NAME_MAX: usize = 64;

/// An application in service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationRow {
    /// The actor that rules and grants point to.
    pub actor: ActorId,
    /// Its name, unique among those in service.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A rule in force: with which certificates an application logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRule {
    /// Row.
    pub id: i64,
    /// The application.
    pub actor: ActorId,
    /// Its name.
    pub application: String,
    /// What the certificate must show.
    pub criteria: CertificateCriteria,
    /// Until when it is in force; `None` for as long as nobody removes it.
    pub expires_at: Option<Timestamp>,
}

/// A mailbox that an application may open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationGrant {
    /// Row of the mailbox.
    pub mailbox: MailboxId,
    /// Its address.
    pub address: String,
    /// What the application may do in it.
    pub role: Option<Role>,
    /// Until when.
    pub expires_at: Option<Timestamp>,
}

impl Store {
    /// Makes an application; fine twice. True when it is new.
    pub async fn create_application(&self, name: &str) -> Refusable<(ActorId, bool)> {
        let Some(name) = application_name(name) else { return Ok(Err(DirectoryError::ApplicationName)) };
        self.write(Touches::nothing(), move |tx| {
            let name = name.clone();
            Box::pin(async move { tx.create_application(&name).await.map(Ok) })
        })
        .await
    }

    /// The application of that name.
    pub async fn application(&self, name: &str) -> Result<Option<ApplicationRow>, Error> {
        let Some(name) = application_name(name) else { return Ok(None) };
        let mut reader = self.reader().await?;
        find(reader.conn(), &name).await
    }

    /// Applications in service by name, after `after`, at most `limit`.
    pub async fn applications(&self, after: &str, limit: u32) -> Result<Vec<ApplicationRow>, Error> {
        let mut reader = self.reader().await?;
        let rows: Vec<ApplicationTuple> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT id, label, created_at_ms FROM actors WHERE kind = 'application' AND disabled_at_ms IS NULL AND label > $1 ORDER BY label LIMIT $2")
            .bind(after).bind(i64::from(limit)).fetch_all(&mut *c).await)?;
        Ok(rows.into_iter().map(application_row).collect())
    }

    /// Takes an application out of service: its rules and grants end, its name is free. False when it was so already.
    pub async fn delete_application(&self, actor: ActorId) -> Result<bool, Error> {
        self.write(Touches::nothing(), move |tx| Box::pin(tx.delete_application(actor))).await
    }

    /// Lets an application log in with the certificates that match `criteria`. The same rule for another application is refused: a certificate
    /// stands for one of them.
    pub async fn add_certificate_rule(
        &self,
        actor: ActorId,
        criteria: &CertificateCriteria,
        certificate: Option<i64>,
        expires_at: Option<Timestamp>,
    ) -> Refusable<i64> {
        let criteria = criteria.clone();
        self.write(Touches::nothing(), move |tx| {
            let criteria = criteria.clone();
            Box::pin(async move { tx.add_certificate_rule(actor, &criteria, certificate, expires_at).await })
        })
        .await
    }

    /// Ends a rule of an application. False when it has no such rule in force.
    pub async fn remove_certificate_rule(&self, actor: ActorId, rule: i64) -> Result<bool, Error> {
        self.write(Touches::nothing(), move |tx| {
            Box::pin(async move {
                let now = tx.now.0;
                let ended = on!(tx.conn(), c => sqlx::query(
                    "UPDATE certificate_rules SET revoked_at_ms = $3 WHERE id = $1 AND actor_id = $2 AND revoked_at_ms IS NULL")
                    .bind(rule).bind(actor.0).bind(now).execute(&mut *c).await.map(|r| r.rows_affected()))?;
                if ended > 0 {
                    tx.tell_of("rule.removed", actor, format!("rule={rule}")).await?;
                    tx.revised(Revision::Directory).await?;
                }
                Ok(ended > 0)
            })
        })
        .await
    }

    /// The rules of an application that are in force, the oldest first.
    pub async fn certificate_rules(
        &self,
        actor: ActorId,
        now: Timestamp,
    ) -> Result<Vec<CertificateRule>, Error> {
        let mut reader = self.reader().await?;
        let rows: Vec<RuleTuple> = on!(reader.conn(), c => {
            let mut sql = sqlx::QueryBuilder::new(RULES);
            in_force(&mut sql, now.0);
            sql.push(" AND r.actor_id = ").push_bind(actor.0).push(" ORDER BY r.id");
            sql.build_query_as().fetch_all(&mut *c).await
        })?;
        rows.into_iter().map(rule).collect()
    }

    /// The rules in force that a certificate matches, of whatever application.
    pub async fn certificate_rules_for(
        &self,
        peer: &PeerIdentity,
        now: Timestamp,
    ) -> Result<Vec<CertificateRule>, Error> {
        let (issuer, subject) = (peer.issuer.to_string(), peer.subject.to_string());
        let names: Vec<String> =
            peer.alternative_names().take(ALTERNATIVE_NAMES_MAX).map(|name| name.to_string()).collect();
        let mut reader = self.reader().await?;
        let rows: Vec<RuleTuple> = on!(reader.conn(), c => {
            let mut sql = sqlx::QueryBuilder::new(RULES);
            in_force(&mut sql, now.0);
            sql.push(" AND r.key_pin = ").push_bind(peer.key_pin.to_vec());
            sql.push(UNION_ALL).push(RULES);
            in_force(&mut sql, now.0);
            sql.push(" AND r.key_pin IS NULL AND r.issuer = ").push_bind(issuer.clone());
            sql.push(" AND r.serial = ").push_bind(peer.serial.clone());
            sql.push(UNION_ALL).push(RULES);
            in_force(&mut sql, now.0);
            sql.push(" AND r.key_pin IS NULL AND r.serial IS NULL AND r.issuer = ").push_bind(issuer.clone());
            sql.push(" AND r.subject = ").push_bind(subject);
            if !names.is_empty() {
                sql.push(UNION_ALL).push(RULES);
                in_force(&mut sql, now.0);
                sql.push(" AND r.key_pin IS NULL AND r.serial IS NULL AND r.subject IS NULL AND r.issuer = ").push_bind(issuer);
                sql.push(" AND r.san IN (");
                let mut list = sql.separated(", ");
                names.into_iter().for_each(|name| {
                    list.push_bind(name);
                });
                sql.push(")");
            }
            sql.build_query_as().fetch_all(&mut *c).await
        })?;
        let rules = rows.into_iter().map(rule).collect::<Result<Vec<_>, _>>()?;
        Ok(rules.into_iter().filter(|rule| rule.criteria.match_peer(peer)).collect())
    }

    /// The mailboxes in service that an application may open, each with this one actor in it: the one of `address`, or all of them,
    /// at most `limit`.
    pub async fn application_mailboxes(
        &self,
        actor: ActorId,
        address: Option<&Address>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<LoginMailbox>, Error> {
        let address = address.map(Address::canonical);
        let mut reader = self.reader().await?;
        let rows: Vec<(i64, String, String, String, i64, String, Option<String>)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT m.id, m.address, m.kind, m.status, m.private_seen, g.rights, g.role FROM grants g \
             JOIN mailboxes m ON m.id = g.mailbox_id JOIN actors a ON a.id = g.actor_id \
             WHERE g.actor_id = $1 AND a.kind = 'application' AND a.disabled_at_ms IS NULL AND g.folder_id IS NULL AND m.status = 'active' \
             AND (g.expires_at_ms IS NULL OR g.expires_at_ms > $2) AND m.address = COALESCE($3, m.address) ORDER BY m.address LIMIT $4")
            .bind(actor.0).bind(now.0).bind(address).bind(i64::from(limit)).fetch_all(&mut *c).await)?;
        rows.into_iter()
            .map(|(id, address, kind, status, private_seen, rights, role)| {
                let role = role.map(|role| word::<Role>(&role)).transpose()?;
                Ok(LoginMailbox {
                    id: MailboxId(id),
                    address: address
                        .parse()
                        .map_err(|_| Error::Inconsistent("a mailbox has a malformed address"))?,
                    kind: word(&kind)?,
                    status: word(&status)?,
                    private_seen: private_seen != 0,
                    actors: vec![LoginActor {
                        actor: Actor { id: actor, kind: ActorKind::Application },
                        rights: Rights::from_letters(&rights),
                        may_send: role.is_some_and(Role::may_send_as),
                    }],
                })
            })
            .collect()
    }

    /// The grants of an application, of mailboxes in whatever state that still have a holder, by address.
    pub async fn application_grants(&self, actor: ActorId) -> Result<Vec<ApplicationGrant>, Error> {
        let mut reader = self.reader().await?;
        let rows: Vec<(i64, String, Option<String>, Option<i64>)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT m.id, m.address, g.role, g.expires_at_ms FROM grants g JOIN mailboxes m ON m.id = g.mailbox_id \
             WHERE g.actor_id = $1 AND g.folder_id IS NULL AND m.status <> 'deleted' ORDER BY m.address")
            .bind(actor.0).fetch_all(&mut *c).await)?;
        rows.into_iter()
            .map(|(id, address, role, expires_at)| {
                Ok(ApplicationGrant {
                    mailbox: MailboxId(id),
                    address,
                    role: role.map(|role| word(&role)).transpose()?,
                    expires_at: expires_at.map(Timestamp),
                })
            })
            .collect()
    }

    /// Takes the role of an actor in a mailbox away. False when they had none.
    pub async fn revoke_grant(&self, mailbox: MailboxId, actor: ActorId) -> Result<bool, Error> {
        self.write(Touches::from(mailbox), move |tx| {
            Box::pin(async move {
                let ended = on!(tx.conn(), c => sqlx::query("DELETE FROM grants WHERE mailbox_id = $1 AND folder_id IS NULL AND actor_id = $2")
                    .bind(mailbox.0).bind(actor.0).execute(&mut *c).await.map(|r| r.rows_affected()))?;
                if ended > 0 {
                    let entry = admin("grant.revoked", Some(mailbox), String::new());
                    tx.audit(&crate::AuditEntry { actor: Some(actor), ..entry }).await?;
                    tx.revised(Revision::Directory).await?;
                }
                Ok(ended > 0)
            })
        })
        .await
    }
}

impl WriteTx {
    async fn create_application(&mut self, name: &str) -> Result<(ActorId, bool), Error> {
        if let Some(known) = find(self.conn(), name).await? {
            return Ok((known.actor, false));
        }
        let now = self.now.0;
        let (actor,): (i64,) = on!(self.conn(), c => sqlx::query_as(
            "INSERT INTO actors (kind, label, created_at_ms) VALUES ('application', $1, $2) RETURNING id").bind(name).bind(now).fetch_one(&mut *c).await)?;
        self.tell_of("application.created", ActorId(actor), format!("name={name}")).await?;
        Ok((ActorId(actor), true))
    }

    async fn delete_application(&mut self, actor: ActorId) -> Result<bool, Error> {
        let now = self.now.0;
        let ended = on!(self.conn(), c => sqlx::query("UPDATE actors SET disabled_at_ms = $2 WHERE id = $1 AND kind = 'application' AND disabled_at_ms IS NULL")
            .bind(actor.0).bind(now).execute(&mut *c).await.map(|r| r.rows_affected()))?;
        if ended == 0 {
            return Ok(false);
        }
        on!(self.conn(), c => sqlx::query("UPDATE certificate_rules SET revoked_at_ms = $2 WHERE actor_id = $1 AND revoked_at_ms IS NULL")
            .bind(actor.0).bind(now).execute(&mut *c).await.map(|_| ()))?;
        on!(self.conn(), c => sqlx::query("DELETE FROM grants WHERE actor_id = $1").bind(actor.0).execute(&mut *c).await.map(|_| ()))?;
        self.tell_of("application.deleted", actor, String::new()).await?;
        self.revised(Revision::Directory).await?;
        Ok(true)
    }

    async fn add_certificate_rule(
        &mut self,
        actor: ActorId,
        criteria: &CertificateCriteria,
        certificate: Option<i64>,
        expires_at: Option<Timestamp>,
    ) -> Refusable<i64> {
        if let Some(refusal) = self.rule_refusal(actor, criteria).await? {
            return Ok(Err(refusal));
        }
        let columns = Columns::of(criteria);
        let now = self.now.0;
        let (rule,): (i64,) = on!(self.conn(), c => sqlx::query_as(
            "INSERT INTO certificate_rules (actor_id, certificate_id, issuer, subject, san, serial, key_pin, created_at_ms, expires_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id")
            .bind(actor.0).bind(certificate).bind(columns.issuer).bind(columns.subject).bind(columns.san).bind(columns.serial)
            .bind(columns.key_pin).bind(now).bind(expires_at.map(|at| at.0)).fetch_one(&mut *c).await)?;
        // The row says what it matches and stays; a name in it may be an address.
        self.tell_of("rule.added", actor, format!("rule={rule}")).await?;
        Ok(Ok(rule))
    }

    /// Why an application may not have this rule, if it may not.
    async fn rule_refusal(
        &mut self,
        actor: ActorId,
        criteria: &CertificateCriteria,
    ) -> Result<Option<DirectoryError>, Error> {
        let now = self.now.0;
        let (count,): (i64,) = on!(self.conn(), c => sqlx::query_as(
            "SELECT COUNT(*) FROM certificate_rules WHERE actor_id = $1 AND revoked_at_ms IS NULL AND (expires_at_ms IS NULL OR expires_at_ms > $2)")
            .bind(actor.0).bind(now).fetch_one(&mut *c).await)?;
        if usize::try_from(count).is_ok_and(|count| count >= CERTIFICATE_RULES_MAX) {
            return Ok(Some(DirectoryError::TooManyRules));
        }
        let columns = Columns::of(criteria);
        let same: Option<(i64, String)> = on!(self.conn(), c => sqlx::query_as(
            "SELECT r.actor_id, a.label FROM certificate_rules r JOIN actors a ON a.id = r.actor_id WHERE r.revoked_at_ms IS NULL \
             AND (r.expires_at_ms IS NULL OR r.expires_at_ms > $1) AND COALESCE(r.issuer, '') = $2 AND COALESCE(r.subject, '') = $3 \
             AND COALESCE(r.san, '') = $4 AND COALESCE(r.serial, $7) = $5 AND COALESCE(r.key_pin, $7) = $6 LIMIT 1")
            .bind(now).bind(columns.issuer.unwrap_or_default()).bind(columns.subject.unwrap_or_default()).bind(columns.san.unwrap_or_default())
            .bind(columns.serial.unwrap_or_default()).bind(columns.key_pin.unwrap_or_default()).bind(Vec::<u8>::new())
            .fetch_optional(&mut *c).await)?;
        Ok(same.map(|(_, application)| DirectoryError::SameRule(application)))
    }

    async fn tell_of(&mut self, action: &'static str, actor: ActorId, detail: String) -> Result<(), Error> {
        self.audit(&crate::AuditEntry { actor: Some(actor), ..admin(action, None, detail) }).await
    }
}

const RULES: &str = "SELECT r.id, r.actor_id, a.label, r.issuer, r.subject, r.san, r.serial, r.key_pin, r.expires_at_ms \
                     FROM certificate_rules r JOIN actors a ON a.id = r.actor_id WHERE a.disabled_at_ms IS NULL";
const UNION_ALL: &str = " UNION ALL ";

type ApplicationTuple = (i64, String, i64);
type RuleTuple = (
    i64,
    i64,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Option<i64>,
);

/// The columns of criteria.
struct Columns {
    issuer: Option<String>,
    subject: Option<String>,
    san: Option<String>,
    serial: Option<Vec<u8>>,
    key_pin: Option<Vec<u8>>,
}

impl Columns {
    fn of(criteria: &CertificateCriteria) -> Self {
        Self {
            issuer: criteria.issuer().map(ToString::to_string),
            subject: criteria.subject().map(ToString::to_string),
            san: criteria.alternative_name().map(ToString::to_string),
            serial: criteria.serial().map(<[u8]>::to_vec),
            key_pin: criteria.key_pin().map(|pin| pin.to_vec()),
        }
    }
}

fn in_force<DB>(sql: &mut sqlx::QueryBuilder<DB>, now: i64)
where
    DB: sqlx::Database,
    i64: for<'q> sqlx::Encode<'q, DB> + sqlx::Type<DB>,
{
    sql.push(" AND r.revoked_at_ms IS NULL AND (r.expires_at_ms IS NULL OR r.expires_at_ms > ");
    sql.push_bind(now).push(")");
}

async fn find(conn: Conn<'_>, name: &str) -> Result<Option<ApplicationRow>, Error> {
    let row: Option<ApplicationTuple> = on!(conn, c => sqlx::query_as(
        "SELECT id, label, created_at_ms FROM actors WHERE kind = 'application' AND disabled_at_ms IS NULL AND label = $1")
        .bind(name).fetch_optional(&mut *c).await)?;
    Ok(row.map(application_row))
}

fn application_row((id, name, created_at): ApplicationTuple) -> ApplicationRow {
    ApplicationRow { actor: ActorId(id), name, created_at: Timestamp(created_at) }
}

fn rule(
    (id, actor, application, issuer, subject, san, serial, key_pin, expires_at): RuleTuple,
) -> Result<CertificateRule, Error> {
    const MALFORMED: Error = Error::Inconsistent("a certificate rule holds what this program does not write");
    let name = |text: Option<String>| {
        text.map(|text| text.parse::<DistinguishedName>()).transpose().map_err(|_| MALFORMED)
    };
    let alternative_name = san.map(|text| text.parse()).transpose().map_err(|_| MALFORMED)?;
    let key_pin = key_pin.map(<[u8; 32]>::try_from).transpose().map_err(|_| MALFORMED)?;
    let criteria = CertificateCriteria::new(name(issuer)?, name(subject)?, alternative_name, serial, key_pin)
        .map_err(|_| MALFORMED)?;
    Ok(CertificateRule {
        id,
        actor: ActorId(actor),
        application,
        criteria,
        expires_at: expires_at.map(Timestamp),
    })
}

/// In lower case; `None` when it cannot be one.
fn application_name(text: &str) -> Option<String> {
    let name = text.to_ascii_lowercase();
    let is_plain = name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b".-_".contains(&octet));
    (is_plain && (1..=NAME_MAX).contains(&name.len())).then_some(name)
}
