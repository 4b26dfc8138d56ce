//! API keys: made, changed, given another secret, revoked. Only their hashes are kept.

use crate::admin_roles::{AdminRoleRow, GivenAdminRole};
use crate::dialect::on;
use crate::directory::admin;
use crate::revisions::Concern;
use crate::writer::{Touches, WriteTx};
use crate::{Error, Store};
use mail_types::{ActorId, Timestamp};

/// Why a change to the API keys was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not any more what was read.
    #[error("it changed meanwhile; read it again")]
    Changed,
    /// There is none of that row in force.
    #[error("there is no such key")]
    UnknownKey,
    /// Another key in force has the name.
    #[error("a key of that name is in force already")]
    Name,
    /// No key and no application would administer the operator any more, or none after some day.
    #[error("no key or application would administer the operator any more")]
    LastOperator,
}

/// A key that was not revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// Row.
    pub id: i64,
    /// The actor that it is.
    pub actor: ActorId,
    /// Its name.
    pub name: String,
    /// Its first characters, by which its holder recognises it.
    pub prefix: String,
    /// Words between spaces; none means all that its roles may do.
    pub scopes: String,
    /// What it may administer.
    pub roles: Vec<AdminRoleRow>,
    /// Login or name of whoever made it; none on the machine itself.
    pub created_by: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it is in force.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, as far as that was written down.
    pub last_used_at: Option<Timestamp>,
    /// Moves with every change.
    pub revision: i64,
}

/// What a key is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyTerms {
    /// Its name.
    pub name: String,
    /// Words between spaces; none means all that its roles may do.
    pub scopes: String,
    /// What it may administer.
    pub roles: Vec<GivenAdminRole>,
    /// Until when it is in force.
    pub expires_at: Option<Timestamp>,
}

/// A secret as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySecret {
    /// Of the whole secret, see [`hash_token`](crate::hash_token).
    pub hash: Vec<u8>,
    /// Its first characters.
    pub prefix: String,
}

impl KeyTerms {
    /// Whether the key administers the operator for good.
    fn is_lasting_operator(&self) -> bool {
        self.expires_at.is_none()
            && self.scopes.is_empty()
            && self.roles.iter().any(|role| role.role == mail_types::AdminRole::Operator)
    }

    fn told(&self) -> serde_json::Value {
        let roles: Vec<String> = self.roles.iter().map(GivenAdminRole::told).collect();
        serde_json::json!({
            "name": self.name, "scopes": self.scopes, "roles": roles, "expiresAtMs": self.expires_at.map(|at| at.0),
        })
    }
}

type Tuple = (i64, i64, String, String, String, Option<String>, i64, Option<i64>, Option<i64>, i64);

const SELECT: &str = "SELECT k.id, k.actor_id, k.name, k.prefix, k.scopes, COALESCE(bu.login, b.label), k.created_at_ms, k.expires_at_ms, \
     k.last_used_at_ms, k.revision FROM api_keys k LEFT JOIN actors b ON b.id = k.created_by_actor_id LEFT JOIN users bu ON bu.id = b.user_id \
     WHERE k.revoked_at_ms IS NULL";

impl Store {
    /// Keys that were not revoked by row, after `after`, at most `limit`.
    pub async fn keys(&self, after: i64, limit: u32) -> Result<Vec<KeyRow>, Error> {
        let mut reader = self.reader().await?;
        let sql = format!("{SELECT} AND k.id > $1 ORDER BY k.id LIMIT $2");
        let rows: Vec<Tuple> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(after).bind(i64::from(limit)).fetch_all(&mut *c).await)?;
        drop(reader);
        let mut keys = Vec::with_capacity(rows.len());
        for tuple in rows {
            keys.push(self.with_roles(tuple).await?);
        }
        Ok(keys)
    }

    /// A key that was not revoked.
    pub async fn key(&self, id: i64) -> Result<Option<KeyRow>, Error> {
        let mut reader = self.reader().await?;
        let sql = format!("{SELECT} AND k.id = $1");
        let row: Option<Tuple> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&mut *c).await)?;
        drop(reader);
        match row {
            Some(tuple) => self.with_roles(tuple).await.map(Some),
            None => Ok(None),
        }
    }

    async fn with_roles(&self, tuple: Tuple) -> Result<KeyRow, Error> {
        let (id, actor, name, prefix, scopes, created_by, created_at, expires_at, last_used_at, revision) =
            tuple;
        let actor = ActorId(actor);
        Ok(KeyRow {
            id,
            actor,
            name,
            prefix,
            scopes,
            roles: self.admin_role_rows(actor).await?,
            created_by,
            created_at: Timestamp(created_at),
            expires_at: expires_at.map(Timestamp),
            last_used_at: last_used_at.map(Timestamp),
            revision,
        })
    }

    /// Makes a key.
    pub async fn create_key(
        &self,
        terms: KeyTerms,
        secret: KeySecret,
    ) -> Result<Result<i64, KeyError>, Error> {
        self.write(Touches::nothing(), move |tx| {
            let (terms, secret) = (terms.clone(), secret.clone());
            Box::pin(async move { tx.create_key(&terms, &secret).await })
        })
        .await
    }

    /// Changes what a key may do. `before` is what it was read as, and still must be; with `force`, also when no lasting key of the operator is
    /// left.
    pub async fn change_key(
        &self,
        before: KeyRow,
        terms: KeyTerms,
        force: bool,
    ) -> Result<Result<(), KeyError>, Error> {
        self.write(Touches::nothing(), move |tx| {
            let (before, terms) = (before.clone(), terms.clone());
            Box::pin(async move { tx.change_key(&before, Some(&terms), force).await })
        })
        .await
    }

    /// Revokes a key, for good. `before` and `force` are as for a change.
    pub async fn revoke_key(&self, before: KeyRow, force: bool) -> Result<Result<(), KeyError>, Error> {
        self.write(Touches::nothing(), move |tx| {
            let before = before.clone();
            Box::pin(async move { tx.change_key(&before, None, force).await })
        })
        .await
    }

    /// Gives a key another secret; the one before is worth nothing any more. False when there is no such key.
    pub async fn rotate_key(&self, id: i64, secret: KeySecret) -> Result<bool, Error> {
        self.write(Touches::nothing(), move |tx| {
            let secret = secret.clone();
            Box::pin(async move {
                let changed: Option<(i64,)> = on!(tx.conn(), c => sqlx::query_as("UPDATE api_keys SET hash = $2, prefix = $3, revision = revision + 1 WHERE id = $1 AND revoked_at_ms IS NULL RETURNING actor_id")
                    .bind(id).bind(secret.hash.as_slice()).bind(&secret.prefix).fetch_optional(&mut *c).await)?;
                if let Some((actor,)) = changed {
                    tx.directory_moved(Concern::Actor(ActorId(actor))).await?;
                    tx.audit(&admin("key.rotated", None, String::new()).on("key", id)).await?;
                }
                Ok(changed.is_some())
            })
        })
        .await
    }
}

impl KeyRow {
    /// What it is now, to be changed.
    pub fn terms(&self) -> KeyTerms {
        let roles = self.roles.iter();
        KeyTerms {
            name: self.name.clone(),
            scopes: self.scopes.clone(),
            roles: roles
                .map(|row| GivenAdminRole { role: row.role, domain: row.domain.as_ref().map(|(id, _)| *id) })
                .collect(),
            expires_at: self.expires_at,
        }
    }
}

impl WriteTx {
    async fn create_key(
        &mut self,
        terms: &KeyTerms,
        secret: &KeySecret,
    ) -> Result<Result<i64, KeyError>, Error> {
        let now = self.now.0;
        if self.is_named(&terms.name, 0).await? {
            return Ok(Err(KeyError::Name));
        }
        let (actor,): (i64,) = on!(self.conn(), c => sqlx::query_as(
            "INSERT INTO actors (kind, label, created_at_ms) VALUES ('key', $1, $2) RETURNING id").bind(&terms.name).bind(now).fetch_one(&mut *c).await)?;
        let by = self.act.as_ref().and_then(|act| act.actor);
        let (id,): (i64,) = on!(self.conn(), c => sqlx::query_as(
            "INSERT INTO api_keys (actor_id, name, hash, prefix, scopes, created_by_actor_id, created_at_ms, expires_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id")
            .bind(actor).bind(&terms.name).bind(secret.hash.as_slice()).bind(&secret.prefix).bind(&terms.scopes).bind(by.map(|by| by.0)).bind(now)
            .bind(terms.expires_at.map(|at| at.0)).fetch_one(&mut *c).await)?;
        self.replace_admin_roles(ActorId(actor), &terms.roles).await?;
        self.audit(&admin("key.created", None, String::new()).on("key", id).after(terms.told())).await?;
        Ok(Ok(id))
    }

    /// Changes a key, or revokes it when there are no terms.
    async fn change_key(
        &mut self,
        before: &KeyRow,
        terms: Option<&KeyTerms>,
        force: bool,
    ) -> Result<Result<(), KeyError>, Error> {
        let (id, now) = (before.id, self.now.0);
        // One change of keys at a time: the last two operator keys are not both taken away.
        self.directory_moved(Concern::Actor(before.actor)).await?;
        if let Err(refusal) = self.is_key_as_read(before).await? {
            return Ok(Err(refusal));
        }
        if let Some(terms) = terms
            && self.is_named(&terms.name, id).await?
        {
            return Ok(Err(KeyError::Name));
        }
        let was = before.terms();
        let stays = terms.is_some_and(KeyTerms::is_lasting_operator);
        if was.is_lasting_operator() && !stays && !force && !self.has_other_operator(before.actor).await? {
            return Ok(Err(KeyError::LastOperator));
        }
        let revoked_at = terms.is_none().then_some(now);
        let is = terms.unwrap_or(&was);
        on!(self.conn(), c => sqlx::query(
            "UPDATE api_keys SET name = $2, scopes = $3, expires_at_ms = $4, revoked_at_ms = $5, revision = revision + 1 WHERE id = $1")
            .bind(id).bind(&is.name).bind(&is.scopes).bind(is.expires_at.map(|at| at.0)).bind(revoked_at)
            .execute(&mut *c).await.map(|_| ()))?;
        if is.roles != was.roles || terms.is_none() {
            self.replace_admin_roles(before.actor, if terms.is_some() { &is.roles } else { &[] }).await?;
        }
        let entry = admin(if terms.is_some() { "key.changed" } else { "key.revoked" }, None, String::new());
        let after = terms.map_or(serde_json::Value::Null, KeyTerms::told);
        self.audit(&entry.on("key", id).before(was.told()).after(after)).await?;
        Ok(Ok(()))
    }

    /// Whether the key is what it was read as. Its roles change with it alone.
    async fn is_key_as_read(&mut self, read: &KeyRow) -> Result<Result<(), KeyError>, Error> {
        let is: Option<(i64,)> = on!(self.conn(), c => sqlx::query_as("SELECT revision FROM api_keys WHERE id = $1 AND revoked_at_ms IS NULL")
            .bind(read.id).fetch_optional(&mut *c).await)?;
        Ok(match is {
            None => Err(KeyError::UnknownKey),
            Some((revision,)) if revision == read.revision => Ok(()),
            Some(_) => Err(KeyError::Changed),
        })
    }

    async fn is_named(&mut self, name: &str, but: i64) -> Result<bool, Error> {
        let named: Option<(i64,)> = on!(self.conn(), c => sqlx::query_as("SELECT id FROM api_keys WHERE name = $1 AND revoked_at_ms IS NULL AND id <> $2")
            .bind(name).bind(but).fetch_optional(&mut *c).await)?;
        Ok(named.is_some())
    }
}
