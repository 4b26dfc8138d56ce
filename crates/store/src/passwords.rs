//! Application passwords as their holders and administrators see them: labels and dates, never the hashes.

use crate::dialect::on;
use crate::directory::admin;
use crate::revisions::Concern;
use crate::writer::{Touches, WriteTx};
use crate::{Error, HashedPassword, Store};
use mail_types::{ActorId, DomainId, MailboxId, Protocols, Timestamp};

/// Passwords in force of one actor.
pub const PASSWORDS_MAX: u32 = 16;

/// Why a password was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NewPasswordError {
    /// Another one in force has the label.
    #[error("a password of that label is in force already; revoke it or choose another label")]
    Label,
    /// There are as many as there may be.
    #[error("there are {PASSWORDS_MAX} passwords in force already; revoke one that is no longer used")]
    TooMany,
}

/// A password in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordRow {
    /// Row.
    pub id: i64,
    /// What its holder calls it.
    pub label: String,
    /// The one mailbox that it opens, with its address; without one, all that its actor may open.
    pub mailbox: Option<(MailboxId, String)>,
    /// The protocols by which it lets in.
    pub protocols: Protocols,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it is in force.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, as far as that was written down.
    pub last_used_at: Option<Timestamp>,
}

/// A password to be made.
#[derive(Clone, Debug)]
pub struct NewPassword {
    /// Whose it is.
    pub actor: ActorId,
    /// What its holder calls it.
    pub label: String,
    /// The secret and its slow hash.
    pub password: HashedPassword,
    /// The one mailbox that it opens.
    pub mailbox: Option<MailboxId>,
    /// The protocols by which it lets in.
    pub protocols: Protocols,
    /// Until when it is in force.
    pub expires_at: Option<Timestamp>,
}

/// Which passwords of an actor somebody deals with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordScope {
    /// All of them.
    All,
    /// Those that open this mailbox alone.
    Mailbox(MailboxId),
    /// Those that open a single mailbox, of these domains.
    Domains(Vec<DomainId>),
}

impl PasswordScope {
    /// A condition on the row `p` of the passwords.
    fn condition(&self) -> String {
        match self {
            Self::All => String::new(),
            Self::Mailbox(mailbox) => format!(" AND p.mailbox_id = {}", mailbox.0),
            Self::Domains(domains) => {
                let ids: Vec<String> = domains.iter().map(|domain| domain.0.to_string()).collect();
                let ids = if ids.is_empty() { "NULL".to_owned() } else { ids.join(", ") };
                format!(" AND p.mailbox_id IN (SELECT o.id FROM mailboxes o WHERE o.domain_id IN ({ids}))")
            }
        }
    }
}

type Tuple = (i64, String, Option<i64>, Option<String>, String, i64, Option<i64>, Option<i64>);

fn row((id, label, mailbox, address, protocols, created_at, expires_at, last_used_at): Tuple) -> PasswordRow {
    PasswordRow {
        id,
        label,
        mailbox: mailbox.map(MailboxId).zip(address),
        protocols: Protocols::of_words(&protocols),
        created_at: Timestamp(created_at),
        expires_at: expires_at.map(Timestamp),
        last_used_at: last_used_at.map(Timestamp),
    }
}

impl Store {
    /// The passwords of an actor that are in force, in the order in which they were made, after the row `after`, at most `limit`.
    pub async fn passwords(
        &self,
        actor: ActorId,
        scope: &PasswordScope,
        after: i64,
        limit: u32,
    ) -> Result<Vec<PasswordRow>, Error> {
        let now = self.now();
        let mut reader = self.quick_reader().await?;
        let among = scope.condition();
        let sql = format!(
            "SELECT p.id, p.label, p.mailbox_id, m.address, p.protocols, p.created_at_ms, p.expires_at_ms, p.last_used_at_ms FROM application_passwords p \
             LEFT JOIN mailboxes m ON m.id = p.mailbox_id WHERE p.actor_id = $1 AND p.revoked_at_ms IS NULL \
             AND (p.expires_at_ms IS NULL OR p.expires_at_ms > $2) AND p.id > $3{among} ORDER BY p.id LIMIT $4"
        );
        let rows: Vec<Tuple> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(actor.0).bind(now.0).bind(after).bind(i64::from(limit)).fetch_all(&mut *c).await)?;
        Ok(rows.into_iter().map(row).collect())
    }

    /// Makes a password.
    pub async fn create_password(&self, new: NewPassword) -> Result<Result<i64, NewPasswordError>, Error> {
        let tag = new.password.tag(&self.keyring().password_tag_key(), new.actor);
        self.write(Touches::nothing(), move |tx| {
            let new = new.clone();
            Box::pin(async move { tx.create_password(&new, tag).await })
        })
        .await
    }

    /// Ends a password; sessions that rest on it end within seconds. False when the actor has none of that row in force, in the scope.
    pub async fn revoke_password(
        &self,
        actor: ActorId,
        scope: &PasswordScope,
        id: i64,
    ) -> Result<bool, Error> {
        let among = scope.condition();
        self.write(Touches::nothing(), move |tx| {
            let among = among.clone();
            Box::pin(async move { tx.revoke_password(actor, &among, id).await })
        })
        .await
    }
}

impl WriteTx {
    async fn create_password(
        &mut self,
        new: &NewPassword,
        tag: i64,
    ) -> Result<Result<i64, NewPasswordError>, Error> {
        let now = self.now.0;
        // What an actor has is counted under a lock of the actor: two writers do not both make the last one.
        on!(self.conn(), c => sqlx::query("UPDATE actors SET label = label WHERE id = $1").bind(new.actor.0).execute(&mut *c).await.map(|_| ()))?;
        let (in_force, same): (i64, i64) = on!(self.conn(), c => sqlx::query_as(
            "SELECT COUNT(*), COUNT(CASE WHEN label = $2 THEN 1 END) FROM application_passwords \
             WHERE actor_id = $1 AND revoked_at_ms IS NULL AND (expires_at_ms IS NULL OR expires_at_ms > $3)")
            .bind(new.actor.0).bind(&new.label).bind(now).fetch_one(&mut *c).await)?;
        if same > 0 {
            return Ok(Err(NewPasswordError::Label));
        }
        if in_force >= i64::from(PASSWORDS_MAX) {
            return Ok(Err(NewPasswordError::TooMany));
        }
        let by = self.act.as_ref().and_then(|act| act.actor);
        let (id,): (i64,) = on!(self.conn(), c => sqlx::query_as(
            "INSERT INTO application_passwords (actor_id, label, hash, tag, mailbox_id, created_by_actor_id, created_at_ms, expires_at_ms, protocols) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id")
            .bind(new.actor.0).bind(&new.label).bind(new.password.hash()).bind(tag).bind(new.mailbox.map(|id| id.0)).bind(by.map(|by| by.0)).bind(now)
            .bind(new.expires_at.map(|at| at.0)).bind(new.protocols.words()).fetch_one(&mut *c).await)?;
        let until = new.expires_at.map_or_else(|| "none".to_owned(), |at| at.0.to_string());
        let protocols = new.protocols.to_string().replace(' ', ",");
        let detail = format!("of=actor:{} until_ms={until} protocols={protocols}", new.actor);
        let entry = admin("password.created", new.mailbox, detail);
        self.audit(&entry.on("password", id).personal("label", new.label.as_str())).await?;
        Ok(Ok(id))
    }

    async fn revoke_password(&mut self, actor: ActorId, among: &str, id: i64) -> Result<bool, Error> {
        let now = self.now.0;
        let sql = format!(
            "UPDATE application_passwords AS p SET revoked_at_ms = $3 WHERE p.id = $1 AND p.actor_id = $2 AND p.revoked_at_ms IS NULL{among}"
        );
        let revoked = on!(self.conn(), c => sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id).bind(actor.0).bind(now).execute(&mut *c).await.map(|r| r.rows_affected()))?;
        if revoked == 0 {
            return Ok(false);
        }
        self.directory_moved(Concern::Actor(actor)).await?;
        self.audit(&admin("password.revoked", None, format!("of=actor:{actor}")).on("password", id)).await?;
        Ok(true)
    }
}
