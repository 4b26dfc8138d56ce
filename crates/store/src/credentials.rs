//! Application passwords and API keys, as hashes.

use crate::dialect::on;
use crate::directory::word;
use crate::revisions::Concern;
use crate::writer::{Touches, WriteTx};
use crate::{AuditEntry, Category, Error, HashedPassword, Store};
use mail_types::{ActorId, AdminRole, DomainId, MailboxId, Protocols, Timestamp};

/// An application password, hashed (PHC string).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationPassword {
    /// Row.
    pub id: i64,
    /// Argon2id, PHC string format.
    pub hash: String,
    /// The one mailbox that it opens; `None` for all that its actor may.
    pub mailbox: Option<MailboxId>,
    /// The protocols by which it lets in.
    pub protocols: Protocols,
    /// Until when it is in force.
    pub expires_at: Option<Timestamp>,
}

/// A row as it is read: actor, row, hash, mailbox, protocols, end.
pub(crate) type PasswordTuple = (i64, i64, String, Option<i64>, String, Option<i64>);

pub(crate) fn password(
    (actor, id, hash, mailbox, protocols, expires_at): PasswordTuple,
) -> (ActorId, ApplicationPassword) {
    let (mailbox, expires_at) = (mailbox.map(MailboxId), expires_at.map(Timestamp));
    let protocols = Protocols::of_words(&protocols);
    (ActorId(actor), ApplicationPassword { id, hash, mailbox, protocols, expires_at })
}

/// An API key in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Row.
    pub id: i64,
    /// The actor that it is.
    pub actor: ActorId,
    /// Its name.
    pub name: String,
    /// Words between spaces; none means all that its roles may do.
    pub scopes: String,
    /// When it was used last, as far as that was written down.
    pub last_used_at: Option<Timestamp>,
}

/// SHA-256 of an API key. Keys have 256 random bits: a slow hash would add nothing.
pub fn hash_token(token: &str) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes()).as_ref().to_vec()
}

impl Store {
    /// The passwords of an actor that are in force, the latest first, at most sixteen.
    pub async fn application_passwords(
        &self,
        actor: ActorId,
        now: Timestamp,
    ) -> Result<Vec<ApplicationPassword>, Error> {
        let mut reader = self.reader().await?;
        let rows: Vec<PasswordTuple> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT actor_id, id, hash, mailbox_id, protocols, expires_at_ms FROM application_passwords WHERE actor_id = $1 AND revoked_at_ms IS NULL \
             AND (expires_at_ms IS NULL OR expires_at_ms > $2) ORDER BY id DESC LIMIT 16")
            .bind(actor.0).bind(now.0).fetch_all(&mut *c).await)?;
        Ok(rows.into_iter().map(|row| password(row).1).collect())
    }

    /// Gives an actor one more password, or replaces the one of that label.
    pub async fn set_application_password(
        &self,
        actor: ActorId,
        label: &str,
        password: &HashedPassword,
    ) -> Result<(), Error> {
        let (label, hash) = (label.to_owned(), password.hash().to_owned());
        let tag = password.tag(&self.keyring().password_tag_key(), actor);
        self.write(Touches::nothing(), move |tx| {
            let (label, hash) = (label.clone(), hash.clone());
            Box::pin(async move {
                let now = tx.now.0;
                let replaced = on!(tx.conn(), c => sqlx::query("UPDATE application_passwords SET revoked_at_ms = $3 WHERE actor_id = $1 AND label = $2 AND revoked_at_ms IS NULL")
                    .bind(actor.0).bind(&label).bind(now).execute(&mut *c).await.map(|r| r.rows_affected()))?;
                if replaced > 0 {
                    tx.directory_moved(Concern::Actor(actor)).await?;
                }
                on!(tx.conn(), c => sqlx::query("INSERT INTO application_passwords (actor_id, label, hash, tag, created_at_ms) VALUES ($1, $2, $3, $4, $5)")
                    .bind(actor.0).bind(&label).bind(&hash).bind(tag).bind(now).execute(&mut *c).await.map(|_| ()))?;
                tx.audit(&AuditEntry::new(Category::Admin, "password.set").on("actor", actor)).await
            })
        })
        .await
    }

    /// Registers an API key by its hash, with a role over the whole operator; the one of that name is replaced.
    pub async fn set_api_key(&self, name: &str, hash: Vec<u8>, role: AdminRole) -> Result<ActorId, Error> {
        let name = name.to_owned();
        self.write(Touches::nothing(), move |tx| {
            let (name, hash) = (name.clone(), hash.clone());
            Box::pin(async move { tx.set_api_key(&name, &hash, role).await })
        })
        .await
    }

    /// The API key with that hash, if it is in force.
    pub async fn api_key(&self, hash: &[u8], now: Timestamp) -> Result<Option<ApiKey>, Error> {
        let mut reader = self.reader().await?;
        let row: Option<(i64, i64, String, String, Option<i64>)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT k.id, k.actor_id, k.name, k.scopes, k.last_used_at_ms FROM api_keys k JOIN actors a ON a.id = k.actor_id \
             WHERE k.hash = $1 AND k.revoked_at_ms IS NULL AND (k.expires_at_ms IS NULL OR k.expires_at_ms > $2) AND a.disabled_at_ms IS NULL")
            .bind(hash).bind(now.0).fetch_optional(&mut *c).await)?;
        Ok(row.map(|(id, actor, name, scopes, last_used)| ApiKey {
            id,
            actor: ActorId(actor),
            name,
            scopes,
            last_used_at: last_used.map(Timestamp),
        }))
    }

    /// The hashes of the API keys that are in force; `None` when there are more than so many.
    pub async fn api_key_hashes(&self, now: Timestamp, max: u32) -> Result<Option<Vec<Vec<u8>>>, Error> {
        let mut reader = self.reader().await?;
        let rows: Vec<(Vec<u8>,)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT hash FROM api_keys WHERE revoked_at_ms IS NULL AND (expires_at_ms IS NULL OR expires_at_ms > $1) LIMIT $2")
            .bind(now.0).bind(i64::from(max) + 1).fetch_all(&mut *c).await)?;
        let are_all = rows.len() <= max as usize;
        Ok(are_all.then(|| rows.into_iter().map(|(hash,)| hash).collect()))
    }

    /// Writes down that an API key was used now.
    pub async fn note_api_key_used(&self, key: i64) -> Result<(), Error> {
        self.write(Touches::nothing(), move |tx| {
            Box::pin(async move {
                let now = tx.now.0;
                on!(tx.conn(), c => sqlx::query("UPDATE api_keys SET last_used_at_ms = $2 WHERE id = $1").bind(key).bind(now).execute(&mut *c).await.map(|_| ()))?;
                Ok(())
            })
        })
        .await
    }

    /// The admin roles of an actor who is in service that are in force, with the domain of each that has one.
    pub async fn admin_roles(
        &self,
        actor: ActorId,
        now: Timestamp,
    ) -> Result<Vec<(AdminRole, Option<DomainId>)>, Error> {
        let mut reader = self.reader().await?;
        let rows: Vec<(String, Option<i64>)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT r.role, r.domain_id FROM admin_roles r JOIN actors a ON a.id = r.actor_id LEFT JOIN users u ON u.id = a.user_id \
             WHERE r.actor_id = $1 AND r.revoked_at_ms IS NULL AND (r.expires_at_ms IS NULL OR r.expires_at_ms > $2) \
             AND a.disabled_at_ms IS NULL AND u.disabled_at_ms IS NULL ORDER BY r.id")
            .bind(actor.0).bind(now.0).fetch_all(&mut *c).await)?;
        rows.into_iter().map(|(role, domain)| Ok((word(&role)?, domain.map(DomainId)))).collect()
    }
}

impl WriteTx {
    async fn set_api_key(&mut self, name: &str, hash: &[u8], role: AdminRole) -> Result<ActorId, Error> {
        let now = self.now.0;
        on!(self.conn(), c => sqlx::query("UPDATE api_keys SET revoked_at_ms = $2 WHERE name = $1 AND revoked_at_ms IS NULL")
            .bind(name).bind(now).execute(&mut *c).await.map(|_| ()))?;
        let (actor,): (i64,) = on!(self.conn(), c => sqlx::query_as(
            "INSERT INTO actors (kind, label, created_at_ms) VALUES ('key', $1, $2) RETURNING id").bind(name).bind(now).fetch_one(&mut *c).await)?;
        let (key,): (i64,) = on!(self.conn(), c => sqlx::query_as(
            "INSERT INTO api_keys (actor_id, name, hash, prefix, scopes, created_at_ms) VALUES ($1, $2, $3, '', '', $4) RETURNING id")
            .bind(actor).bind(name).bind(hash).bind(now).fetch_one(&mut *c).await)?;
        on!(self.conn(), c => sqlx::query("INSERT INTO admin_roles (actor_id, role, granted_at_ms) VALUES ($1, $2, $3)")
            .bind(actor).bind(role.as_str()).bind(now).execute(&mut *c).await.map(|_| ()))?;
        let entry = AuditEntry::new(Category::Admin, "key.created");
        self.audit(&AuditEntry { detail: format!("role={role}"), ..entry }.on("key", key).after(name))
            .await?;
        Ok(ActorId(actor))
    }
}
