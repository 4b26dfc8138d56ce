//! Domains, users, mailboxes and grants.

use crate::dialect::on;
use crate::folders::DEFAULT_FOLDERS;
use crate::revisions::Revision;
use crate::writer::{Touches, WriteTx};
use crate::{AuditEntry, Category, Error, Store};
use mail_types::{
    Actor, ActorId, ActorKind, Address, Domain, FolderId, MailboxId, MailboxKind, MailboxStatus, Rights,
    Role, Timestamp, UserId,
};

/// Why a change to the directory was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// What was to be changed is not any more what was read.
    #[error("it changed meanwhile; read it again")]
    Changed,
    /// The domain is not one of ours.
    #[error("the domain is not one of this operator's; add it with `domain add`")]
    UnknownDomain,
    /// No such user.
    #[error("no such user; create it with `user create`")]
    UnknownUser,
    /// No such mailbox.
    #[error("no such mailbox")]
    UnknownMailbox,
    /// The address exists with another kind, which cannot change.
    #[error("the mailbox exists with kind `{0}`; address and kind are immutable")]
    OtherKind(MailboxKind),
    /// The address was a mailbox that is deleted.
    #[error("this address belonged to a deleted mailbox and is never given to another holder")]
    Tombstone,
    /// The address exists and belongs to another user.
    #[error("the mailbox exists and belongs to another user")]
    OtherOwner,
    /// A personal mailbox has an owner, an applicative one has none.
    #[error("a mailbox of this kind {0}")]
    Owner(&'static str),
    /// An application's name that is none.
    #[error("an application's name has 1 to 64 letters, digits, dots, hyphens or underscores")]
    ApplicationName,
    /// The rule is in force already.
    #[error("the application {0} has this rule already; remove it there first")]
    SameRule(String),
    /// An application has as many rules as it may.
    #[error("the application has as many certificate rules as it may have; remove what is no longer used")]
    TooManyRules,
}

/// A mailbox as a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecipientRow {
    /// Row.
    pub mailbox: MailboxId,
    /// Where mail for it goes.
    pub inbox: FolderId,
    /// Life cycle state.
    pub status: MailboxStatus,
    /// Quota in octets.
    pub quota_bytes: u64,
    /// Octets used.
    pub used_bytes: u64,
}

/// A mailbox as somebody logs in to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginMailbox {
    /// Row.
    pub id: MailboxId,
    /// Address.
    pub address: Address,
    /// Kind.
    pub kind: MailboxKind,
    /// Life cycle state.
    pub status: MailboxStatus,
    /// Whether `\Seen` is kept for each actor apart.
    pub private_seen: bool,
    /// Who may log in to it, the holder first.
    pub actors: Vec<LoginActor>,
}

/// An actor who may act in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginActor {
    /// Who.
    pub actor: Actor,
    /// What they may do in its folders.
    pub rights: Rights,
    /// Whether they may send with its address.
    pub may_send: bool,
}

/// A mailbox as an administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxRow {
    /// Row.
    pub id: MailboxId,
    /// Address.
    pub address: String,
    /// Kind.
    pub kind: MailboxKind,
    /// Life cycle state.
    pub status: MailboxStatus,
    /// Login of the holder.
    pub owner: Option<String>,
    /// Quota in octets.
    pub quota_bytes: u64,
    /// Octets used.
    pub used_bytes: u64,
    /// Messages held.
    pub used_messages: u64,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A user as an administrator sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    /// Row.
    pub id: UserId,
    /// The actor that credentials and grants point to.
    pub actor: ActorId,
    /// Login name.
    pub login: String,
}

/// A mailbox to be made.
#[derive(Clone, Debug)]
pub struct NewMailbox {
    /// Address, in one of our domains.
    pub address: Address,
    /// Kind.
    pub kind: MailboxKind,
    /// Login of the holder (personal, cabinet) or of the first administrator (organizational, cabinet).
    pub owner: Option<String>,
    /// Quota in octets.
    pub quota_bytes: u64,
}

/// What a change came to: done, refused, or failed.
pub(crate) type Refusable<T> = Result<Result<T, DirectoryError>, Error>;

impl Store {
    /// Whether a domain is one of ours.
    pub async fn is_local_domain(&self, domain: &Domain) -> Result<bool, Error> {
        let mut reader = self.reader().await?;
        let row: Option<(i64,)> = on!(reader.conn(), c => sqlx::query_as("SELECT id FROM domains WHERE name = $1")
            .bind(domain.as_str()).fetch_optional(&mut *c).await)?;
        Ok(row.is_some())
    }

    /// The mailbox of an address, as a recipient.
    pub async fn recipient(&self, address: &Address) -> Result<Option<RecipientRow>, Error> {
        let mut reader = self.reader().await?;
        let row: Option<(i64, i64, String, i64, i64)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT m.id, f.id, m.status, m.quota_bytes, m.used_bytes FROM mailboxes m \
             JOIN folders f ON f.mailbox_id = m.id AND f.name = 'INBOX' WHERE m.address = $1")
            .bind(address.canonical()).fetch_optional(&mut *c).await)?;
        row.map(|(mailbox, inbox, status, quota, used)| {
            Ok(RecipientRow {
                mailbox: MailboxId(mailbox),
                inbox: FolderId(inbox),
                status: word(&status)?,
                quota_bytes: quota.unsigned_abs(),
                used_bytes: used.max(0).unsigned_abs(),
            })
        })
        .transpose()
    }

    /// The mailbox that a SASL name selects, with those who may log in to it: an address names its mailbox; a user's login names the mailbox
    /// that they hold or, failing one, the first that they administer.
    pub async fn login_mailbox(&self, name: &str, now: Timestamp) -> Result<Option<LoginMailbox>, Error> {
        if let Ok(address) = name.parse::<Address>()
            && let Some(mailbox) = self.login_by_address(&address, now).await?
        {
            return Ok(Some(mailbox));
        }
        self.login_by_user(name, now).await
    }

    async fn login_by_address(
        &self,
        address: &Address,
        now: Timestamp,
    ) -> Result<Option<LoginMailbox>, Error> {
        let mut reader = self.reader().await?;
        let row: Option<(i64, String, String, String, i64)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT id, address, kind, status, private_seen FROM mailboxes WHERE address = $1")
            .bind(address.canonical()).fetch_optional(&mut *c).await)?;
        let Some((id, address, kind, status, private_seen)) = row else { return Ok(None) };
        let mut actors = Vec::new();
        let holders: Vec<(i64, i64)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT a.id, a.user_id FROM mailboxes m JOIN actors a ON a.user_id = m.owner_user_id JOIN users u ON u.id = a.user_id \
             WHERE m.id = $1 AND u.disabled_at_ms IS NULL").bind(id).fetch_all(&mut *c).await)?;
        actors.extend(holders.into_iter().map(|(actor, user)| LoginActor {
            actor: Actor { id: ActorId(actor), kind: ActorKind::User(UserId(user)) },
            rights: Rights::ALL,
            may_send: true,
        }));
        let grants: Vec<(i64, i64, String, Option<String>)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT a.id, a.user_id, g.rights, g.role FROM grants g JOIN actors a ON a.id = g.actor_id JOIN users u ON u.id = a.user_id \
             WHERE g.mailbox_id = $1 AND g.folder_id IS NULL AND (g.expires_at_ms IS NULL OR g.expires_at_ms > $2) AND u.disabled_at_ms IS NULL ORDER BY g.id")
            .bind(id).bind(now.0).fetch_all(&mut *c).await)?;
        for (actor, user, rights, role) in grants {
            if actors.iter().any(|known| known.actor.id == ActorId(actor)) {
                continue;
            }
            let role = role.map(|role| word::<Role>(&role)).transpose()?;
            actors.push(LoginActor {
                actor: Actor { id: ActorId(actor), kind: ActorKind::User(UserId(user)) },
                rights: Rights::from_letters(&rights),
                may_send: role.is_some_and(Role::may_send_as),
            });
        }
        Ok(Some(LoginMailbox {
            id: MailboxId(id),
            address: address.parse().map_err(|_| Error::Inconsistent("a mailbox has a malformed address"))?,
            kind: word(&kind)?,
            status: word(&status)?,
            private_seen: private_seen != 0,
            actors,
        }))
    }

    async fn login_by_user(&self, login: &str, now: Timestamp) -> Result<Option<LoginMailbox>, Error> {
        let mut reader = self.reader().await?;
        let row: Option<(i64, i64)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT u.id, a.id FROM users u JOIN actors a ON a.user_id = u.id WHERE u.login = $1")
            .bind(login.to_ascii_lowercase()).fetch_optional(&mut *c).await)?;
        let Some((user, actor)) = row else { return Ok(None) };
        let address: Option<(String,)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT address FROM (SELECT m.address AS address, 0 AS rank, m.id AS id FROM mailboxes m WHERE m.owner_user_id = $1 AND m.status <> 'deleted' \
             UNION ALL SELECT m.address, 1, m.id FROM grants g JOIN mailboxes m ON m.id = g.mailbox_id \
             WHERE g.actor_id = $2 AND g.folder_id IS NULL AND g.role = 'admin' AND (g.expires_at_ms IS NULL OR g.expires_at_ms > $3) \
             AND m.status <> 'deleted') AS candidates ORDER BY rank, id LIMIT 1")
            .bind(user).bind(actor).bind(now.0).fetch_optional(&mut *c).await)?;
        drop(reader);
        let Some((address,)) = address else { return Ok(None) };
        let address: Address =
            address.parse().map_err(|_| Error::Inconsistent("a mailbox has a malformed address"))?;
        let Some(mut mailbox) = self.login_by_address(&address, now).await? else { return Ok(None) };
        mailbox.actors.retain(|candidate| candidate.actor.id == ActorId(actor));
        Ok(Some(mailbox))
    }

    /// Adds a domain of ours; fine twice. True when it is new.
    pub async fn add_domain(&self, domain: Domain) -> Result<bool, Error> {
        self.write(Touches::nothing(), move |tx| {
            let domain = domain.clone();
            Box::pin(async move {
                let now = tx.now.0;
                let added = on!(tx.conn(), c => sqlx::query("INSERT INTO domains (name, created_at_ms) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                    .bind(domain.as_str()).bind(now).execute(&mut *c).await.map(|r| r.rows_affected()))?;
                if added > 0 {
                    tx.audit(&admin("domain.added", None, format!("domain={domain}"))).await?;
                }
                Ok(added > 0)
            })
        })
        .await
    }

    /// Names of our domains.
    pub async fn domains(&self) -> Result<Vec<String>, Error> {
        let mut reader = self.reader().await?;
        let rows: Vec<(String,)> = on!(reader.conn(), c => sqlx::query_as("SELECT name FROM domains ORDER BY name").fetch_all(&mut *c).await)?;
        Ok(rows.into_iter().map(|(name,)| name).collect())
    }

    /// Makes a user; fine twice.
    pub async fn create_user(
        &self,
        login: &str,
        display_name: &str,
        rpps: Option<&str>,
    ) -> Result<UserRow, Error> {
        let (login, display_name, rpps) =
            (login.to_ascii_lowercase(), display_name.to_owned(), rpps.map(str::to_owned));
        self.write(Touches::nothing(), move |tx| {
            let (login, display_name, rpps) = (login.clone(), display_name.clone(), rpps.clone());
            Box::pin(async move { tx.create_user(&login, &display_name, rpps.as_deref()).await })
        })
        .await
    }

    /// The user of that login.
    pub async fn user(&self, login: &str) -> Result<Option<UserRow>, Error> {
        let mut reader = self.reader().await?;
        let row: Option<(i64, i64, String)> = on!(reader.conn(), c => sqlx::query_as(USER).bind(login.to_ascii_lowercase()).fetch_optional(&mut *c).await)?;
        Ok(row.map(user_row))
    }

    /// Makes a mailbox with its key and its default folders. Fine twice with the same kind and owner. True when it is new.
    pub async fn create_mailbox(&self, new: NewMailbox) -> Refusable<(MailboxId, bool)> {
        self.write(Touches::nothing(), move |tx| {
            let new = new.clone();
            Box::pin(async move { tx.create_mailbox(&new).await })
        })
        .await
    }

    /// Gives an actor a role in a mailbox, in place of what they had.
    pub async fn grant(&self, mailbox: MailboxId, actor: ActorId, role: Role) -> Result<(), Error> {
        self.write(Touches::from(mailbox), move |tx| {
            Box::pin(async move { tx.grant(mailbox, actor, role).await })
        })
        .await
    }

    /// Every mailbox by address, after `after`, at most `limit`.
    pub async fn mailboxes(&self, after: &str, limit: u32) -> Result<Vec<MailboxRow>, Error> {
        let mut reader = self.reader().await?;
        let rows: Vec<MailboxTuple> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT m.id, m.address, m.kind, m.status, u.login, m.quota_bytes, m.used_bytes, m.used_messages, m.created_at_ms FROM mailboxes m \
             LEFT JOIN users u ON u.id = m.owner_user_id WHERE m.address > $1 ORDER BY m.address LIMIT $2")
            .bind(after).bind(i64::from(limit)).fetch_all(&mut *c).await)?;
        rows.into_iter().map(mailbox_row).collect()
    }

    /// The mailbox of that address, deleted or not.
    pub async fn mailbox(&self, address: &Address) -> Result<Option<MailboxRow>, Error> {
        let mut reader = self.reader().await?;
        let row: Option<MailboxTuple> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT m.id, m.address, m.kind, m.status, u.login, m.quota_bytes, m.used_bytes, m.used_messages, m.created_at_ms FROM mailboxes m \
             LEFT JOIN users u ON u.id = m.owner_user_id WHERE m.address = $1")
            .bind(address.canonical()).fetch_optional(&mut *c).await)?;
        row.map(mailbox_row).transpose()
    }

    /// Sets a quota in octets.
    pub async fn set_quota(&self, mailbox: MailboxId, quota_bytes: u64) -> Result<(), Error> {
        let quota = i64::try_from(quota_bytes).unwrap_or(i64::MAX);
        self.write(Touches::from(mailbox), move |tx| {
            Box::pin(async move {
                on!(tx.conn(), c => sqlx::query("UPDATE mailboxes SET quota_bytes = $2 WHERE id = $1").bind(mailbox.0).bind(quota).execute(&mut *c).await.map(|_| ()))?;
                tx.audit(&admin("mailbox.quota_set", Some(mailbox), format!("bytes={quota}"))).await
            })
        })
        .await
    }

    /// Marks a mailbox deleted: it receives nothing and nobody logs in. The row stays as a tombstone. False when it was so already.
    pub async fn delete_mailbox(&self, mailbox: MailboxId) -> Result<bool, Error> {
        self.write(Touches::from(mailbox), move |tx| {
            Box::pin(async move {
                let now = tx.now.0;
                let changed = on!(tx.conn(), c => sqlx::query("UPDATE mailboxes SET status = 'deleted', status_at_ms = $2 WHERE id = $1 AND status <> 'deleted'")
                    .bind(mailbox.0).bind(now).execute(&mut *c).await.map(|r| r.rows_affected()))?;
                if changed > 0 {
                    tx.audit(&admin("mailbox.deleted", Some(mailbox), String::new())).await?;
                    tx.revised(Revision::Directory).await?;
                }
                Ok(changed > 0)
            })
        })
        .await
    }
}

const USER: &str =
    "SELECT u.id, a.id, u.login FROM users u JOIN actors a ON a.user_id = u.id WHERE u.login = $1";

type MailboxTuple = (i64, String, String, String, Option<String>, i64, i64, i64, i64);

fn user_row((id, actor, login): (i64, i64, String)) -> UserRow {
    UserRow { id: UserId(id), actor: ActorId(actor), login }
}

fn mailbox_row(
    (id, address, kind, status, owner, quota, used, messages, created): MailboxTuple,
) -> Result<MailboxRow, Error> {
    Ok(MailboxRow {
        id: MailboxId(id),
        address,
        kind: word(&kind)?,
        status: word(&status)?,
        owner,
        quota_bytes: quota.unsigned_abs(),
        used_bytes: used.max(0).unsigned_abs(),
        used_messages: messages.max(0).unsigned_abs(),
        created_at: Timestamp(created),
    })
}

pub(crate) fn word<T: std::str::FromStr>(text: &str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::Inconsistent("a row holds a word that this program does not know"))
}

pub(crate) fn admin(action: &'static str, mailbox: Option<MailboxId>, detail: String) -> AuditEntry {
    AuditEntry { mailbox, detail, ..AuditEntry::new(Category::Admin, action) }
}

impl WriteTx {
    async fn create_user(
        &mut self,
        login: &str,
        display_name: &str,
        rpps: Option<&str>,
    ) -> Result<UserRow, Error> {
        let known: Option<(i64, i64, String)> =
            on!(self.conn(), c => sqlx::query_as(USER).bind(login).fetch_optional(&mut *c).await)?;
        if let Some(row) = known {
            return Ok(user_row(row));
        }
        let now = self.now.0;
        let (user,): (i64,) = on!(self.conn(), c => sqlx::query_as(
            "INSERT INTO users (login, display_name, rpps, created_at_ms) VALUES ($1, $2, $3, $4) RETURNING id")
            .bind(login).bind(display_name).bind(rpps).bind(now).fetch_one(&mut *c).await)?;
        let (actor,): (i64,) = on!(self.conn(), c => sqlx::query_as(
            "INSERT INTO actors (kind, user_id, created_at_ms) VALUES ('user', $1, $2) RETURNING id").bind(user).bind(now).fetch_one(&mut *c).await)?;
        self.audit(&admin("user.created", None, format!("user={user}"))).await?;
        Ok(UserRow { id: UserId(user), actor: ActorId(actor), login: login.to_owned() })
    }

    async fn create_mailbox(&mut self, new: &NewMailbox) -> Refusable<(MailboxId, bool)> {
        let domain: Option<(i64,)> = on!(self.conn(), c => sqlx::query_as("SELECT id FROM domains WHERE name = $1")
            .bind(new.address.domain().as_str()).fetch_optional(&mut *c).await)?;
        let Some((domain,)) = domain else { return Ok(Err(DirectoryError::UnknownDomain)) };
        let owner = match self.owner_for(new).await? {
            Ok(owner) => owner,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Some(known) = self.known_mailbox(new, owner.as_ref()).await? {
            return Ok(known.map(|id| (id, false)));
        }
        let holder = owner.as_ref().filter(|_| new.kind != MailboxKind::Organizational).map(|user| user.id.0);
        let private_seen = i64::from(matches!(new.kind, MailboxKind::Organizational | MailboxKind::Cabinet));
        let now = self.now;
        let (id,): (i64,) = on!(self.conn(), c => sqlx::query_as(
            "INSERT INTO mailboxes (domain_id, address, kind, status, owner_user_id, quota_bytes, private_seen, next_uid_validity, created_at_ms, status_at_ms) \
             VALUES ($1, $2, $3, 'active', $4, $5, $6, $7, $8, $8) RETURNING id")
            .bind(domain).bind(new.address.canonical()).bind(new.kind.as_str()).bind(holder)
            .bind(i64::try_from(new.quota_bytes).unwrap_or(i64::MAX)).bind(private_seen).bind(now.secs().clamp(1, i64::from(u32::MAX / 2))).bind(now.0)
            .fetch_one(&mut *c).await)?;
        let mailbox = MailboxId(id);
        self.furnish(mailbox, owner.as_ref()).await?;
        if let (Some(owner), MailboxKind::Organizational | MailboxKind::Cabinet) = (&owner, new.kind) {
            self.grant(mailbox, owner.actor, Role::Administrator).await?;
        }
        self.audit(&admin("mailbox.created", Some(mailbox), format!("kind={}", new.kind))).await?;
        Ok(Ok((mailbox, true)))
    }

    /// The user named as owner. A personal mailbox without one gets a user whose login is its address.
    async fn owner_for(&mut self, new: &NewMailbox) -> Refusable<Option<UserRow>> {
        match (&new.owner, new.kind) {
            (Some(_), MailboxKind::Applicative) => {
                Ok(Err(DirectoryError::Owner("has no owner: applications log in by certificate")))
            }
            (Some(login), _) => {
                let login = login.to_ascii_lowercase();
                let row: Option<(i64, i64, String)> =
                    on!(self.conn(), c => sqlx::query_as(USER).bind(&login).fetch_optional(&mut *c).await)?;
                Ok(row.map(user_row).map(Some).ok_or(DirectoryError::UnknownUser))
            }
            (None, MailboxKind::Personal) => {
                Ok(Ok(Some(self.create_user(&new.address.canonical(), "", None).await?)))
            }
            (None, _) => Ok(Ok(None)),
        }
    }

    /// The mailbox that has the address already: the same one asked for, or a refusal.
    async fn known_mailbox(
        &mut self,
        new: &NewMailbox,
        owner: Option<&UserRow>,
    ) -> Result<Option<Result<MailboxId, DirectoryError>>, Error> {
        let row: Option<(i64, String, String, Option<i64>)> = on!(self.conn(), c => sqlx::query_as(
            "SELECT id, kind, status, owner_user_id FROM mailboxes WHERE address = $1").bind(new.address.canonical()).fetch_optional(&mut *c).await)?;
        let Some((id, kind, status, holder)) = row else { return Ok(None) };
        let kind: MailboxKind = word(&kind)?;
        let other_holder = holder.zip(owner).is_some_and(|(holder, owner)| holder != owner.id.0);
        Ok(Some(match word(&status)? {
            MailboxStatus::Deleted => Err(DirectoryError::Tombstone),
            _ if kind != new.kind => Err(DirectoryError::OtherKind(kind)),
            _ if other_holder => Err(DirectoryError::OtherOwner),
            _ => Ok(MailboxId(id)),
        }))
    }

    /// Key and default folders of a new mailbox.
    async fn furnish(&mut self, mailbox: MailboxId, owner: Option<&UserRow>) -> Result<(), Error> {
        let now = self.now;
        if let Some(absent) = self.keyring.absent_generation(now) {
            let (wrapped,): (i64,) = on!(self.conn(), c => sqlx::query_as("SELECT COUNT(*) FROM mailbox_keys WHERE generation = $1")
                .bind(&absent).fetch_one(&mut *c).await)?;
            if wrapped > 0 {
                return Err(self.keyring.lost_generation(&absent));
            }
        }
        let (generation, wrapped) = self.keyring.wrap_new_mailbox(mailbox, now)?;
        on!(self.conn(), c => sqlx::query("INSERT INTO mailbox_keys (mailbox_id, generation, wrapped, created_at_ms) VALUES ($1, $2, $3, $4)")
            .bind(mailbox.0).bind(&generation).bind(&wrapped).bind(now.0).execute(&mut *c).await.map(|_| ()))?;
        for (name, special_use) in DEFAULT_FOLDERS {
            self.insert_folder(mailbox, name, special_use).await?;
            if let Some(owner) = owner {
                self.subscribe(mailbox, owner.actor, name).await?;
            }
        }
        Ok(())
    }

    async fn grant(&mut self, mailbox: MailboxId, actor: ActorId, role: Role) -> Result<(), Error> {
        let now = self.now.0;
        let replaced = on!(self.conn(), c => sqlx::query("DELETE FROM grants WHERE mailbox_id = $1 AND folder_id IS NULL AND actor_id = $2")
            .bind(mailbox.0).bind(actor.0).execute(&mut *c).await.map(|r| r.rows_affected()))?;
        if replaced > 0 {
            self.revised(Revision::Directory).await?;
        }
        on!(self.conn(), c => sqlx::query("INSERT INTO grants (mailbox_id, actor_id, rights, role, granted_at_ms) VALUES ($1, $2, $3, $4, $5)")
            .bind(mailbox.0).bind(actor.0).bind(role.rights().to_string()).bind(role.as_str()).bind(now).execute(&mut *c).await.map(|_| ()))?;
        self.audit(&AuditEntry {
            actor: Some(actor),
            ..admin("grant.given", Some(mailbox), format!("role={}", role.as_str()))
        })
        .await
    }
}
