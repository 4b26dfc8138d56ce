//! With which certificates an application logs in.
//!
//! A rule is looked up by what it names (key, issuer and serial, issuer and subject, issuer and alternative name), each under an index of its
//! own; that everything it names matches is decided by [`CertificateCriteria::match_peer`]. Names are kept in the printed form of
//! [`DistinguishedName`], which is the same for every spelling of one name.

use crate::dialect::on;
use crate::directory::{DirectoryError, Refusable};
use crate::operators::Ending;
use crate::revisions::Concern;
use crate::writer::{Touches, WriteTx};
use crate::{Error, KeyError, Store};
use mail_types::{ActorId, CertificateCriteria, DistinguishedName, PeerIdentity, Timestamp};

/// Rules in force that one application may have.
pub const CERTIFICATE_RULES_MAX: usize = 64;
/// Alternative names of one certificate that are looked up.
const ALTERNATIVE_NAMES_MAX: usize = 100;
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

impl Store {
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

    /// Ends a rule of an application. False when it has no such rule in force. With `force`, also when nobody is left who administers the
    /// operator.
    pub async fn remove_certificate_rule(
        &self,
        actor: ActorId,
        rule: i64,
        force: bool,
    ) -> Result<Result<bool, KeyError>, Error> {
        self.write(Touches::nothing(), move |tx| Box::pin(tx.remove_certificate_rule(actor, rule, force)))
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
}

impl WriteTx {
    pub(crate) async fn add_certificate_rule(
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

    /// The application in service that logs in with the certificate of that issuer and serial number, by a rule that names both.
    pub(crate) async fn application_with(
        &mut self,
        criteria: &CertificateCriteria,
    ) -> Result<Option<ActorId>, Error> {
        let (columns, now) = (Columns::of(criteria), self.now.0);
        let row: Option<(i64,)> = on!(self.conn(), c => sqlx::query_as(
            "SELECT r.actor_id FROM certificate_rules r JOIN actors a ON a.id = r.actor_id LEFT JOIN certificates c ON c.id = r.certificate_id \
             WHERE a.disabled_at_ms IS NULL AND c.withdrawn_at_ms IS NULL AND r.revoked_at_ms IS NULL \
             AND (r.expires_at_ms IS NULL OR r.expires_at_ms > $1) AND r.issuer = $2 AND r.serial = $3 ORDER BY r.id LIMIT 1")
            .bind(now).bind(columns.issuer).bind(columns.serial).fetch_optional(&mut *c).await)?;
        Ok(row.map(|(actor,)| ActorId(actor)))
    }

    async fn remove_certificate_rule(
        &mut self,
        actor: ActorId,
        rule: i64,
        force: bool,
    ) -> Result<Result<bool, KeyError>, Error> {
        let now = self.now.0;
        // One such change at a time: the last two rules that let an administrator in do not both end.
        self.directory_moved(Concern::Actor(actor)).await?;
        if !force && self.lets_in_last_operator(actor, Ending::Rule(rule)).await? {
            return Ok(Err(KeyError::LastOperator));
        }
        let ended = on!(self.conn(), c => sqlx::query(
            "UPDATE certificate_rules SET revoked_at_ms = $3 WHERE id = $1 AND actor_id = $2 AND revoked_at_ms IS NULL")
            .bind(rule).bind(actor.0).bind(now).execute(&mut *c).await.map(|r| r.rows_affected()))?;
        if ended > 0 {
            self.tell_of("rule.removed", actor, format!("rule={rule}")).await?;
        }
        Ok(Ok(ended > 0))
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
}

const RULES: &str = "SELECT r.id, r.actor_id, a.label, r.issuer, r.subject, r.san, r.serial, r.key_pin, r.expires_at_ms \
                     FROM certificate_rules r JOIN actors a ON a.id = r.actor_id LEFT JOIN certificates c ON c.id = r.certificate_id \
                     WHERE a.disabled_at_ms IS NULL AND c.withdrawn_at_ms IS NULL";
const UNION_ALL: &str = " UNION ALL ";

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
