//! Mailboxes: how they are made, listed, changed and deleted.

use crate::dialect::on;
use crate::directory::{DirectoryError, Refusable, admin, word};
use crate::folders::DEFAULT_FOLDERS;
use crate::revisions::Revision;
use crate::users::{USER, UserRow, user_row};
use crate::writer::{Touches, WriteTx};
use crate::{Error, Store};
use mail_types::{Address, MailboxId, MailboxKind, MailboxStatus, Role, Timestamp};

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

type MailboxTuple = (i64, String, String, String, Option<String>, i64, i64, i64, i64);

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
}
