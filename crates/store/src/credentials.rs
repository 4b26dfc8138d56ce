//! Application passwords and API keys, as hashes.

use crate::dialect::on;
use crate::revisions::Revision;
use crate::writer::Touches;
use crate::{AuditEntry, Category, Error, Store};
use mail_types::{ActorId, Timestamp};

/// An application password, hashed (PHC string).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationPassword {
    /// Row.
    pub id: i64,
    /// Argon2id, PHC string format.
    pub hash: String,
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
        let rows: Vec<(i64, String)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT id, hash FROM application_passwords WHERE actor_id = $1 AND revoked_at_ms IS NULL \
             AND (expires_at_ms IS NULL OR expires_at_ms > $2) ORDER BY id DESC LIMIT 16")
            .bind(actor.0).bind(now.0).fetch_all(&mut *c).await)?;
        Ok(rows.into_iter().map(|(id, hash)| ApplicationPassword { id, hash }).collect())
    }

    /// Gives an actor one more password, or replaces the one of that label.
    pub async fn set_application_password(
        &self,
        actor: ActorId,
        label: &str,
        hash: &str,
    ) -> Result<(), Error> {
        let (label, hash) = (label.to_owned(), hash.to_owned());
        self.write(Touches::nothing(), move |tx| {
            let (label, hash) = (label.clone(), hash.clone());
            Box::pin(async move {
                let now = tx.now.0;
                let replaced = on!(tx.conn(), c => sqlx::query("UPDATE application_passwords SET revoked_at_ms = $3 WHERE actor_id = $1 AND label = $2 AND revoked_at_ms IS NULL")
                    .bind(actor.0).bind(&label).bind(now).execute(&mut *c).await.map(|r| r.rows_affected()))?;
                if replaced > 0 {
                    tx.revised(Revision::Directory).await?;
                }
                on!(tx.conn(), c => sqlx::query("INSERT INTO application_passwords (actor_id, label, hash, created_at_ms) VALUES ($1, $2, $3, $4)")
                    .bind(actor.0).bind(&label).bind(&hash).bind(now).execute(&mut *c).await.map(|_| ()))?;
                tx.audit(&AuditEntry {
                    category: Category::Admin,
                    action: "password.set",
                    outcome: "ok",
                    actor: Some(actor),
                    mailbox: None,
                    unit: None,
                    detail: String::new(),
                })
                .await
            })
        })
        .await
    }

    /// Registers an API key by its hash; the one of that name is replaced.
    pub async fn set_api_key(&self, name: &str, hash: Vec<u8>, scopes: &str) -> Result<(), Error> {
        let (name, scopes) = (name.to_owned(), scopes.to_owned());
        self.write(Touches::nothing(), move |tx| {
            let (name, hash, scopes) = (name.clone(), hash.clone(), scopes.clone());
            Box::pin(async move {
                let now = tx.now.0;
                on!(tx.conn(), c => sqlx::query(
                    "INSERT INTO api_keys (name, hash, scopes, created_at_ms) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (name) DO UPDATE SET hash = excluded.hash, scopes = excluded.scopes, revoked_at_ms = NULL")
                    .bind(&name).bind(&hash).bind(&scopes).bind(now).execute(&mut *c).await.map(|_| ()))?;
                Ok(())
            })
        })
        .await
    }
}
