//! Mailboxes as somebody logs in to them, and as mail comes for them.

use crate::dialect::on;
use crate::directory::word;
use crate::mailboxes::MAILBOX_MESSAGES_MAX;
use crate::seen_mode::APART;
use crate::{Error, Store};
use mail_types::{
    Actor, ActorId, ActorKind, Address, FolderFacts, FolderId, Grant, MailboxId, MailboxKind, MailboxStatus,
    Rights, Role, Timestamp, UserId,
};

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
    /// What they may do in folders of which nothing else is said.
    pub rights: Rights,
    /// Whether they may send with its address.
    pub may_send: bool,
    /// Whether they hold it, rather than were given access by its holder.
    pub is_holder: bool,
    /// When the grant ends that this rests on.
    pub until: Option<Timestamp>,
}

type GrantTuple = (i64, i64, String, Option<String>, Option<i64>);

impl Store {
    /// The mailbox of an address, as a recipient.
    pub async fn recipient(&self, address: &Address) -> Result<Option<RecipientRow>, Error> {
        let mut reader = self.quick_reader().await?;
        let row: Option<(i64, i64, String, i64, i64, i64)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT m.id, f.id, m.status, m.quota_bytes, m.used_bytes, m.used_messages FROM mailboxes m \
             JOIN folders f ON f.mailbox_id = m.id AND f.name = 'INBOX' WHERE m.address = $1")
            .bind(address.canonical()).fetch_optional(&mut *c).await)?;
        row.map(|(mailbox, inbox, status, quota, used, messages)| {
            let is_crowded = messages.max(0).unsigned_abs() >= MAILBOX_MESSAGES_MAX;
            Ok(RecipientRow {
                mailbox: MailboxId(mailbox),
                inbox: FolderId(inbox),
                status: word(&status)?,
                quota_bytes: quota.unsigned_abs(),
                // With as many messages as it may hold it is as full as with so many octets.
                used_bytes: if is_crowded { quota.max(used) } else { used }.max(0).unsigned_abs(),
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
        let mut reader = self.quick_reader().await?;
        let row: Option<(i64, String, String, String, i64)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT id, address, kind, status, private_seen FROM mailboxes WHERE address = $1")
            .bind(address.canonical()).fetch_optional(&mut *c).await)?;
        let Some((id, address, kind, status, private_seen)) = row else { return Ok(None) };
        let mut actors = Vec::new();
        let holders: Vec<(i64, i64)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT a.id, a.user_id FROM mailboxes m JOIN actors a ON a.user_id = m.owner_user_id JOIN users u ON u.id = a.user_id \
             WHERE m.id = $1 AND u.disabled_at_ms IS NULL AND a.disabled_at_ms IS NULL").bind(id).fetch_all(&mut *c).await)?;
        actors.extend(holders.into_iter().map(|(actor, user)| LoginActor {
            actor: Actor { id: ActorId(actor), kind: ActorKind::User(UserId(user)) },
            rights: Rights::ALL,
            may_send: true,
            is_holder: true,
            until: None,
        }));
        let grants: Vec<GrantTuple> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT a.id, a.user_id, g.rights, g.role, g.expires_at_ms FROM grants g JOIN actors a ON a.id = g.actor_id JOIN users u ON u.id = a.user_id \
             WHERE g.mailbox_id = $1 AND g.folder_id IS NULL AND (g.expires_at_ms IS NULL OR g.expires_at_ms > $2) AND u.disabled_at_ms IS NULL AND a.disabled_at_ms IS NULL ORDER BY g.id")
            .bind(id).bind(now.0).fetch_all(&mut *c).await)?;
        let facts = FolderFacts { private_seen: private_seen == APART, is_drafts: false };
        for (actor, user, rights, role, until) in grants {
            if actors.iter().any(|known| known.actor.id == ActorId(actor)) {
                continue;
            }
            let role = role.map(|role| word::<Role>(&role)).transpose()?;
            actors.push(LoginActor {
                actor: Actor { id: ActorId(actor), kind: ActorKind::User(UserId(user)) },
                rights: Grant::of(role, Rights::from_letters(&rights)).rights_in(facts),
                may_send: role.is_some_and(Role::may_send_as),
                is_holder: false,
                until: until.map(Timestamp),
            });
        }
        Ok(Some(LoginMailbox {
            id: MailboxId(id),
            address: address.parse().map_err(|_| Error::Inconsistent("a mailbox has a malformed address"))?,
            kind: word(&kind)?,
            status: word(&status)?,
            private_seen: private_seen == APART,
            actors,
        }))
    }

    async fn login_by_user(&self, login: &str, now: Timestamp) -> Result<Option<LoginMailbox>, Error> {
        let mut reader = self.quick_reader().await?;
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
}
