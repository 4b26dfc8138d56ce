//! Mailboxes that the command line makes at once, and what every new mailbox is furnished with.

use crate::dialect::on;
use crate::directory::{DirectoryError, Refusable, admin, word};
use crate::folders::DEFAULT_FOLDERS;
use crate::mailbox_life::LifeStep;
use crate::mailbox_rows::find;
use crate::users::{USER, UserRow, user_row};
use crate::writer::{Touches, WriteTx};
use crate::{Error, Store};
use mail_types::{Address, MailboxId, MailboxKind, MailboxStatus, Role};

/// Messages that one mailbox may hold (RFC 9208 MESSAGE): past it, it is full.
pub const MAILBOX_MESSAGES_MAX: u64 = 10_000_000;

/// How long a deleted mailbox can be restored, unless said otherwise.
const GRACE_MS: i64 = 30 * 86_400_000;

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

impl Store {
    /// Makes a mailbox with its key and its default folders. Fine twice with the same kind and owner. True when it is new.
    pub async fn create_mailbox(&self, new: NewMailbox) -> Refusable<(MailboxId, bool)> {
        self.write(Touches::nothing(), move |tx| {
            let new = new.clone();
            Box::pin(async move { tx.create_mailbox(&new).await })
        })
        .await
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

    /// Deletes a mailbox: it receives nothing and nobody logs in. It can be restored for thirty days; [`LifeStep::Delete`] for another time. The row stays
    /// as a tombstone. False when it was deleted already.
    pub async fn delete_mailbox(&self, mailbox: MailboxId) -> Result<bool, Error> {
        let until = self.now().plus_millis(GRACE_MS);
        Ok(self.take_step(mailbox, None, LifeStep::Delete(until)).await?.is_ok())
    }
}

impl WriteTx {
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
        let owner = match owner {
            None if new.kind == MailboxKind::Personal => {
                Some(self.create_user(&new.address.canonical(), "", None).await?)
            }
            owner => owner,
        };
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
        for step in ["requested", "validated", "created", "activated"] {
            self.step(mailbox, step).await?;
        }
        let facts = find(self.conn(), mailbox).await?.map(|row| row.facts()).unwrap_or_default();
        let entry = admin("mailbox.created", Some(mailbox), format!("kind={}", new.kind));
        self.audit(&entry.after(facts)).await?;
        Ok(Ok((mailbox, true)))
    }

    /// The user named as owner. That of a personal mailbox without one is the user whose login is its address, once there is one.
    async fn owner_for(&mut self, new: &NewMailbox) -> Refusable<Option<UserRow>> {
        let login = match (&new.owner, new.kind) {
            (Some(_), MailboxKind::Applicative) => {
                return Ok(Err(DirectoryError::Owner("has no owner: applications log in by certificate")));
            }
            (Some(login), _) => login.to_ascii_lowercase(),
            (None, MailboxKind::Personal) => new.address.canonical(),
            (None, _) => return Ok(Ok(None)),
        };
        let row: Option<(i64, i64, String)> =
            on!(self.conn(), c => sqlx::query_as(USER).bind(&login).fetch_optional(&mut *c).await)?;
        let is_unknown = row.is_none() && new.owner.is_some();
        Ok(if is_unknown { Err(DirectoryError::UnknownUser) } else { Ok(row.map(user_row)) })
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
        let is_other = |holder: i64| match owner {
            Some(owner) => holder != owner.id.0,
            None => new.kind == MailboxKind::Personal,
        };
        let other_holder = holder.is_some_and(is_other);
        Ok(Some(match word(&status)? {
            MailboxStatus::Deleted => Err(DirectoryError::Tombstone),
            _ if kind != new.kind => Err(DirectoryError::OtherKind(kind)),
            _ if other_holder => Err(DirectoryError::OtherOwner),
            _ => Ok(MailboxId(id)),
        }))
    }

    /// Key and default folders of a new mailbox.
    pub(crate) async fn furnish(&mut self, mailbox: MailboxId, owner: Option<&UserRow>) -> Result<(), Error> {
        let now = self.now;
        let keyring = self.keyring.clone();
        keyring.assure_current(self.conn(), now).await?;
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
}
