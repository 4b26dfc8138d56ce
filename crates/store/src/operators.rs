//! Who administers the operator for good: a key without scopes or end date, or an application that a certificate lets in. Somebody always does,
//! unless whoever ends it insists.

use crate::Error;
use crate::dialect::on;
use crate::writer::WriteTx;
use mail_types::ActorId;

/// Something that lets an application in, and is about to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// A rule.
    Rule(i64),
    /// A certificate of the inventory, and the rules made from it.
    Certificate(i64),
}

/// A rule `l`, made from the certificate `c`, that has no end date and lets somebody in. One for a single certificate does until that expires.
macro_rules! lets_in {
    ($now:literal) => {
        concat!(
            "l.revoked_at_ms IS NULL AND l.expires_at_ms IS NULL AND c.withdrawn_at_ms IS NULL \
             AND (l.serial IS NULL OR c.not_after_ms IS NULL OR c.not_after_ms > ",
            $now,
            ")"
        )
    };
}

impl WriteTx {
    /// Whether a key or an application but this one administers the operator for good.
    pub(crate) async fn has_other_operator(&mut self, but: ActorId) -> Result<bool, Error> {
        let (_, others) = self.operators(but).await?;
        Ok(others > 0)
    }

    /// Whether this actor, and nobody else, administers the operator for good.
    pub(crate) async fn is_last_operator(&mut self, actor: ActorId) -> Result<bool, Error> {
        let (own, others) = self.operators(actor).await?;
        Ok(own > 0 && others == 0)
    }

    /// Whether nobody administers the operator for good once this no longer lets the application in.
    pub(crate) async fn lets_in_last_operator(
        &mut self,
        application: ActorId,
        ending: Ending,
    ) -> Result<bool, Error> {
        if !self.is_last_operator(application).await? {
            return Ok(false);
        }
        let now = self.now.0;
        let (rule, certificate) = match ending {
            Ending::Rule(rule) => (Some(rule), None),
            Ending::Certificate(certificate) => (None, Some(certificate)),
        };
        let (is_let_in,): (bool,) = on!(self.conn(), c => sqlx::query_as(concat!(
            "SELECT EXISTS (SELECT 1 FROM certificate_rules l LEFT JOIN certificates c ON c.id = l.certificate_id WHERE l.actor_id = $1 \
             AND l.id <> COALESCE($3, 0) AND COALESCE(l.certificate_id, 0) <> COALESCE($4, -1) AND ", lets_in!("$2"), ")"))
            .bind(application.0).bind(now).bind(rule).bind(certificate).fetch_one(&mut *c).await)?;
        Ok(!is_let_in)
    }

    /// Roles over the operator that can be used for good: of an actor, and of all others.
    async fn operators(&mut self, actor: ActorId) -> Result<(i64, i64), Error> {
        let now = self.now.0;
        Ok(on!(self.conn(), c => sqlx::query_as(concat!(
            "SELECT CAST(COALESCE(SUM(CASE WHEN r.actor_id = $1 THEN 1 ELSE 0 END), 0) AS BIGINT), \
             CAST(COALESCE(SUM(CASE WHEN r.actor_id = $1 THEN 0 ELSE 1 END), 0) AS BIGINT) \
             FROM admin_roles r JOIN actors a ON a.id = r.actor_id LEFT JOIN api_keys k ON k.actor_id = a.id \
             WHERE r.role = 'operator' AND r.revoked_at_ms IS NULL AND r.expires_at_ms IS NULL AND a.disabled_at_ms IS NULL \
             AND ((a.kind = 'key' AND k.revoked_at_ms IS NULL AND k.expires_at_ms IS NULL AND k.scopes = '') \
             OR (a.kind = 'application' AND EXISTS (SELECT 1 FROM certificate_rules l LEFT JOIN certificates c ON c.id = l.certificate_id \
             WHERE l.actor_id = a.id AND ", lets_in!("$2"), ")))"))
            .bind(actor.0).bind(now).fetch_one(&mut *c).await)?)
    }
}
