//! Access control lists of folders (RFC 4314): the grants of a mailbox as they come out in one folder, and the rows that override them there.
//!
//! A person is known by the address of a mailbox that belongs to them, else by their login. Whether somebody may ask or change is not known here.

use crate::dialect::{Conn, on};
use crate::directory::{admin, word};
use crate::revisions::Concern;
use crate::seen_mode::APART;
use crate::writer::{Touches, WriteTx};
use crate::{Acceptance, Error, Store};
use mail_types::{
    ActorId, Address, FolderFacts, FolderId, Grant, MailboxId, MailboxKind, Rights, RightsChange, Role,
    Timestamp,
};
use std::sync::Arc;

/// Persons whose rights are told.
const ENTRIES_MAX: i64 = 2_000;

/// What somebody may do in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclEntry {
    /// Who.
    pub actor: ActorId,
    /// How they are called.
    pub identifier: String,
    /// What they may do.
    pub rights: Rights,
    /// Whether the mailbox belongs to them.
    pub is_owner: bool,
}

/// A change to what one actor may do in one folder.
#[derive(Clone, Debug)]
pub struct AclChange {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The folder.
    pub folder: FolderId,
    /// Whose rights.
    pub actor: ActorId,
    /// What becomes of them.
    pub change: RightsChange,
    /// What whoever gives them may do there: no more is given.
    pub within: Rights,
    /// When the rights of whoever gives them end: what is given ends no later.
    pub until: Option<Timestamp>,
    /// Letters that tell those concerned, delivered in the same transaction.
    pub letters: Vec<Arc<Acceptance>>,
}

/// Why a change was refused; nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AclError {
    /// The folder is gone.
    #[error("there is no such folder")]
    NoFolder,
    /// The mailbox belongs to the person.
    #[error("the mailbox is the person's own")]
    Owner,
    /// The person may not log in at all.
    #[error("the person is disabled")]
    Disabled,
    /// Whoever gives them does not have these rights.
    #[error("nobody gives more than they have")]
    Beyond,
    /// Nobody would administer the mailbox any more.
    #[error("the mailbox would be left without an administrator")]
    LastAdministrator,
}

/// How a person `a` is called.
macro_rules! identifier {
    () => {
        "COALESCE((SELECT MIN(o.address) FROM mailboxes o WHERE o.owner_user_id = a.user_id AND o.kind = 'personal' AND o.status <> 'deleted'), u.login, a.label)"
    };
}

/// actor, identifier, folder, rights, role
type GrantTuple = (i64, String, Option<i64>, String, Option<String>);

impl Store {
    /// Who may do what in a folder: the owner first. None when there is no such folder.
    pub async fn acl(&self, mailbox: MailboxId, folder: FolderId) -> Result<Option<Vec<AclEntry>>, Error> {
        let now = self.now();
        let mut reader = self.quick_reader().await?;
        let Some(facts) = Facts::find(reader.conn(), mailbox, folder).await? else { return Ok(None) };
        let owners: Vec<(i64, String)> = on!(reader.conn(), c => sqlx::query_as(concat!("SELECT a.id, ", identifier!(),
            " FROM mailboxes m JOIN actors a ON a.user_id = m.owner_user_id JOIN users u ON u.id = a.user_id WHERE m.id = $1"))
            .bind(mailbox.0).fetch_all(&mut *c).await)?;
        let rows: Vec<GrantTuple> = on!(reader.conn(), c => sqlx::query_as(concat!("SELECT a.id, ", identifier!(),
            ", g.folder_id, g.rights, g.role FROM grants g JOIN actors a ON a.id = g.actor_id LEFT JOIN users u ON u.id = a.user_id \
             WHERE g.mailbox_id = $1 AND (g.folder_id IS NULL OR g.folder_id = $2) AND (g.expires_at_ms IS NULL OR g.expires_at_ms > $3) \
             AND a.disabled_at_ms IS NULL AND u.disabled_at_ms IS NULL ORDER BY a.id LIMIT $4"))
            .bind(mailbox.0).bind(folder.0).bind(now.0).bind(2 * ENTRIES_MAX).fetch_all(&mut *c).await)?;
        drop(reader);
        let owner = |(actor, identifier): (i64, String)| AclEntry {
            actor: ActorId(actor),
            identifier,
            rights: Rights::ALL,
            is_owner: true,
        };
        let mut entries: Vec<AclEntry> = owners.into_iter().map(owner).collect();
        for of_one in rows.chunk_by(|one, other| one.0 == other.0) {
            let Some(first) = of_one.first() else { continue };
            if entries.iter().any(|known| known.is_owner && known.actor.0 == first.0) {
                continue;
            }
            let given = Given::of(of_one.iter().map(|row| (row.2.is_some(), &row.3, &row.4)))?;
            let rights = given.rights(facts.folder);
            let (actor, identifier) = (ActorId(first.0), first.1.clone());
            entries.push(AclEntry { actor, identifier, rights, is_owner: false });
        }
        Ok(Some(entries))
    }

    /// The person whom an identifier names: the address of a mailbox that belongs to them, or their login.
    pub async fn identified(&self, identifier: &str) -> Result<Option<ActorId>, Error> {
        let mut reader = self.quick_reader().await?;
        let mut found: Option<(i64,)> = None;
        if let Ok(address) = identifier.parse::<Address>() {
            found = on!(reader.conn(), c => sqlx::query_as(
                "SELECT a.id FROM mailboxes m JOIN actors a ON a.user_id = m.owner_user_id WHERE m.address = $1 AND m.status <> 'deleted'")
                .bind(address.canonical()).fetch_optional(&mut *c).await)?;
        }
        if found.is_none() {
            found = on!(reader.conn(), c => sqlx::query_as("SELECT a.id FROM users u JOIN actors a ON a.user_id = u.id WHERE u.login = $1")
                .bind(identifier.to_ascii_lowercase()).fetch_optional(&mut *c).await)?;
        }
        Ok(found.map(|(actor,)| ActorId(actor)))
    }

    /// Changes what one actor may do in one folder; what they may do there then.
    pub async fn change_acl(&self, change: AclChange) -> Result<Result<Rights, AclError>, Error> {
        self.write(Touches::from(change.mailbox).and(&change.letters), move |tx| {
            let change = change.clone();
            Box::pin(async move { tx.change_acl(&change).await })
        })
        .await
    }
}

/// Persons who administer a mailbox without an end date, and one folder of it, but for one.
const OTHERS_WHO_ADMINISTER: &str = "SELECT COUNT(*) FROM grants g JOIN actors a ON a.id = g.actor_id JOIN users u ON u.id = a.user_id \
     WHERE g.mailbox_id = $1 AND g.actor_id <> $2 AND g.folder_id IS NULL AND g.role = 'admin' AND g.expires_at_ms IS NULL AND u.disabled_at_ms IS NULL \
     AND NOT EXISTS (SELECT 1 FROM grants f WHERE f.mailbox_id = g.mailbox_id AND f.folder_id = $3 AND f.actor_id = g.actor_id \
     AND f.role IS NULL AND NOT (f.rights LIKE '%a%' AND f.rights LIKE '%l%'))";

/// What the rights in a folder depend on, beside grants.
struct Facts {
    kind: MailboxKind,
    owner: Option<i64>,
    folder: FolderFacts,
}

impl Facts {
    async fn find(conn: Conn<'_>, mailbox: MailboxId, folder: FolderId) -> Result<Option<Self>, Error> {
        let row: Option<(String, Option<i64>, i64, Option<String>)> = on!(conn, c => sqlx::query_as(
            "SELECT m.kind, m.owner_user_id, m.private_seen, f.special_use FROM folders f JOIN mailboxes m ON m.id = f.mailbox_id \
             WHERE f.id = $1 AND m.id = $2 AND m.status <> 'deleted'").bind(folder.0).bind(mailbox.0).fetch_optional(&mut *c).await)?;
        let Some((kind, owner, private_seen, special_use)) = row else { return Ok(None) };
        let is_drafts = special_use.as_deref() == Some("\\Drafts");
        let folder = FolderFacts { private_seen: private_seen == APART, is_drafts };
        Ok(Some(Self { kind: word(&kind)?, owner, folder }))
    }
}

/// What one actor was given.
#[derive(Default)]
struct Given {
    in_folder: Option<Grant>,
    in_mailbox: Option<Grant>,
    /// When the rights in the folder end: with the folder's row, else with the mailbox's.
    until: Option<Timestamp>,
}

/// folder, rights, role, end
type GivenTuple = (Option<i64>, String, Option<String>, Option<i64>);

/// No end is later than any.
fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Given {
    /// Of rows: whether it is the folder's, rights, role.
    fn of<'r>(rows: impl Iterator<Item = (bool, &'r String, &'r Option<String>)>) -> Result<Self, Error> {
        let mut given = Self::default();
        for (is_folder, rights, role) in rows {
            let role = role.as_deref().map(word::<Role>).transpose()?;
            let grant = Some(Grant::of(role, Rights::from_letters(rights)));
            *(if is_folder { &mut given.in_folder } else { &mut given.in_mailbox }) = grant;
        }
        Ok(given)
    }

    fn rights(&self, folder: FolderFacts) -> Rights {
        Grant::resolve(self.in_folder, self.in_mailbox, folder)
    }
}

impl WriteTx {
    async fn change_acl(&mut self, change: &AclChange) -> Result<Result<Rights, AclError>, Error> {
        let Some(facts) = Facts::find(self.conn(), change.mailbox, change.folder).await? else {
            return Ok(Err(AclError::NoFolder));
        };
        let standing = self.may_be_given(change.actor, &facts).await?;
        if standing == Err(AclError::Owner) {
            return Ok(standing.map(|()| Rights::default()));
        }
        // One such change at a time, and open sessions follow.
        self.directory_moved(Concern::Mailbox(change.mailbox)).await?;
        let given = self.given(change).await?;
        let before = given.rights(facts.folder);
        let after = change.change.applied(before);
        let gained = after.without(before);
        if !gained.is_within(change.within) {
            return Ok(Err(AclError::Beyond));
        }
        // Whoever is disabled is given nothing; what they have can be taken.
        if let Err(refusal) = standing
            && !gained.is_empty()
        {
            return Ok(Err(refusal));
        }
        // An administrator who cannot see the folder administers nothing there.
        let administers = after.has('a') && after.has('l');
        if !administers && self.is_last(change, &facts, &given).await? {
            return Ok(Err(AclError::LastAdministrator));
        }
        on!(self.conn(), c => sqlx::query("DELETE FROM grants WHERE mailbox_id = $1 AND folder_id = $2 AND actor_id = $3")
            .bind(change.mailbox.0).bind(change.folder.0).bind(change.actor.0).execute(&mut *c).await.map(|_| ()))?;
        let inherited = Grant::resolve(None, given.in_mailbox, facts.folder);
        // What the mailbox gives already needs no row, and ends with it.
        if after != inherited {
            let until = if gained.is_empty() { given.until } else { earlier(given.until, change.until) };
            self.insert_acl(change, after, until).await?;
        }
        self.tell_acl(change, before, after).await?;
        Ok(Ok(after))
    }

    async fn insert_acl(
        &mut self,
        change: &AclChange,
        rights: Rights,
        until: Option<Timestamp>,
    ) -> Result<(), Error> {
        let by = self.act.as_ref().and_then(|act| act.actor);
        let now = self.now.0;
        on!(self.conn(), c => sqlx::query(
            "INSERT INTO grants (mailbox_id, folder_id, actor_id, rights, expires_at_ms, granted_by_actor_id, granted_at_ms, revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $7)")
            .bind(change.mailbox.0).bind(change.folder.0).bind(change.actor.0).bind(rights.to_string())
            .bind(until.map(|at| at.0)).bind(by.map(|by| by.0)).bind(now).execute(&mut *c).await.map(|_| ()))?;
        Ok(())
    }

    async fn tell_acl(&mut self, change: &AclChange, before: Rights, after: Rights) -> Result<(), Error> {
        let action = match (before.is_empty(), after.is_empty()) {
            (true, false) => "grant.given",
            (_, true) => "grant.revoked",
            (false, false) => "grant.changed",
        };
        let told = |rights: Rights| serde_json::json!({"role": "custom", "rights": rights.to_string()});
        let entry = admin(action, Some(change.mailbox), format!("folder={}", change.folder));
        self.audit(&entry.on("actor", change.actor).before(told(before)).after(told(after))).await?;
        self.deliver_letters(&change.letters).await
    }

    async fn given(&mut self, change: &AclChange) -> Result<Given, Error> {
        let now = self.now.0;
        let rows: Vec<GivenTuple> = on!(self.conn(), c => sqlx::query_as(
            "SELECT folder_id, rights, role, expires_at_ms FROM grants WHERE mailbox_id = $1 AND actor_id = $2 AND (folder_id IS NULL OR folder_id = $3) \
             AND (expires_at_ms IS NULL OR expires_at_ms > $4)")
            .bind(change.mailbox.0).bind(change.actor.0).bind(change.folder.0).bind(now).fetch_all(&mut *c).await)?;
        let given = Given::of(rows.iter().map(|row| (row.0.is_some(), &row.1, &row.2)))?;
        let decides = rows.iter().find(|row| row.0.is_some()).or(rows.first());
        let until = decides.and_then(|row| row.3).map(Timestamp);
        Ok(Given { until, ..given })
    }

    /// Whether nobody but this actor administers the mailbox for good.
    async fn is_last(&mut self, change: &AclChange, facts: &Facts, given: &Given) -> Result<bool, Error> {
        let is_administered = matches!(facts.kind, MailboxKind::Organizational | MailboxKind::Cabinet);
        if !is_administered || given.in_mailbox != Some(Grant::Role(Role::Administrator)) {
            return Ok(false);
        }
        let (others,): (i64,) = on!(self.conn(), c => sqlx::query_as(OTHERS_WHO_ADMINISTER)
            .bind(change.mailbox.0).bind(change.actor.0).bind(change.folder.0).fetch_one(&mut *c).await)?;
        Ok(others == 0)
    }

    async fn may_be_given(&mut self, actor: ActorId, facts: &Facts) -> Result<Result<(), AclError>, Error> {
        let row: Option<(Option<i64>, Option<i64>, Option<i64>)> = on!(self.conn(), c => sqlx::query_as(
            "SELECT a.user_id, a.disabled_at_ms, u.disabled_at_ms FROM actors a LEFT JOIN users u ON u.id = a.user_id WHERE a.id = $1")
            .bind(actor.0).fetch_optional(&mut *c).await)?;
        Ok(match row {
            Some((user, None, None)) if user.is_some() && user == facts.owner => Err(AclError::Owner),
            Some((_, None, None)) => Ok(()),
            _ => Err(AclError::Disabled),
        })
    }
}
