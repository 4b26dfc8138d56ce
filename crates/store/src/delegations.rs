//! Delegations: who may do what in a mailbox of somebody else's, since when, until when, and by whom they were given.
//!
//! A delegation is the grant of a whole mailbox. One that is past its end date is none, whoever asks, whether or not it was swept already.

use crate::dialect::{Conn, on};
use crate::directory::{admin, word};
use crate::revisions::Concern;
use crate::writer::{Touches, WriteTx};
use crate::{Acceptance, Error, Store};
use mail_types::{ActorId, DomainId, MailboxId, MailboxKind, MailboxStatus, Rights, Role, Timestamp, UserId};
use std::sync::Arc;

/// Delegations that one unit of the sweep ends.
const SWEEP_BATCH: i64 = 200;

/// Why a change to the delegations of a mailbox was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DelegationError {
    /// It is not any more what was read.
    #[error("it changed meanwhile; read it again")]
    Changed,
    /// There is no such mailbox, or it is deleted.
    #[error("there is no such mailbox")]
    UnknownMailbox,
    /// The person has none in this mailbox.
    #[error("there is no such delegation")]
    UnknownDelegation,
    /// The person may not log in at all.
    #[error("the person is disabled")]
    Disabled,
    /// The person has one already.
    #[error("the person has a delegation of this mailbox already; change it")]
    Given,
    /// The mailbox is the person's own.
    #[error("the mailbox is the person's own")]
    Own,
    /// Whoever does it has a delegation that ends, and it would last longer or is their own.
    #[error("it would last longer than the delegation of whoever gives it")]
    BeyondOwn,
    /// Nobody would administer the mailbox any more, or nobody after some day.
    #[error("the mailbox would be left without an administrator")]
    LastAdministrator,
}

/// What a change came to: done, refused, or failed.
type Changed<T> = Result<Result<T, DelegationError>, Error>;

/// Who a delegation was given to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grantee {
    /// A person.
    Person {
        /// Row.
        user: UserId,
        /// Login name.
        login: String,
        /// National number.
        rpps: Option<String>,
        /// First name.
        first_name: String,
        /// Last name.
        last_name: String,
    },
    /// An application, which logs in with its certificate.
    Application {
        /// Its name.
        name: String,
    },
}

impl Grantee {
    /// How people call them: first and last name, else the login; the name of an application.
    pub fn name(&self) -> String {
        match self {
            Self::Application { name } => name.clone(),
            Self::Person { login, first_name, last_name, .. } => {
                let name = format!("{first_name} {last_name}").trim().to_owned();
                if name.is_empty() { login.clone() } else { name }
            }
        }
    }
}

/// A delegation in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelegationRow {
    /// Row.
    pub id: i64,
    /// The mailbox that is opened.
    pub mailbox: MailboxId,
    /// Its address.
    pub address: String,
    /// Its domain.
    pub domain: DomainId,
    /// The actor that may open it.
    pub actor: ActorId,
    /// Who that is.
    pub grantee: Grantee,
    /// What they may do in its folders.
    pub rights: Rights,
    /// The role that the rights come from; none when they were chosen one by one.
    pub role: Option<Role>,
    /// Until when.
    pub expires_at: Option<Timestamp>,
    /// Login of the person, or name of the key or application, that gave it.
    pub granted_by: Option<String>,
    /// When it was given or last changed.
    pub granted_at: Timestamp,
    /// Folders of the mailbox in which something else was given to them, and holds whatever was given here.
    pub folders_apart: u64,
    /// Moves with every change.
    pub revision: i64,
}

/// What somebody may do in a mailbox, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What they may do in its folders.
    pub rights: Rights,
    /// The role that the rights come from, if they do.
    pub role: Option<Role>,
    /// Until when; none for as long as nobody changes it.
    pub expires_at: Option<Timestamp>,
}

/// A change to the delegation of one actor in one mailbox.
#[derive(Clone, Debug)]
pub struct DelegationChange {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Who may open it.
    pub actor: ActorId,
    /// The revision that there must be; none for whatever there is.
    pub expected: Option<i64>,
    /// Whether the mailbox may be left without an administrator.
    pub force: bool,
    /// Whoever does it by a delegation of their own: what they give ends no later than it.
    pub within: Option<ActorId>,
    /// Letters that tell those concerned, delivered in the same transaction.
    pub letters: Vec<Arc<Acceptance>>,
}

impl DelegationChange {
    /// A change that nobody is told of, to whatever there is.
    pub const fn of(mailbox: MailboxId, actor: ActorId) -> Self {
        Self { mailbox, actor, expected: None, force: false, within: None, letters: Vec::new() }
    }

    fn touches(&self) -> Touches {
        Touches::from(self.mailbox).and(&self.letters)
    }
}

impl Terms {
    /// The terms of a role.
    pub fn of(role: Role, expires_at: Option<Timestamp>) -> Self {
        Self { rights: role.rights(), role: Some(role), expires_at }
    }

    fn is_administrator(&self) -> bool {
        self.role == Some(Role::Administrator)
    }

    fn ends_before(&self, other: &Self) -> bool {
        let end = |terms: &Self| terms.expires_at.map_or(i64::MAX, |at| at.0);
        end(self) < end(other)
    }

    /// For the audit trail.
    pub(crate) fn told(&self) -> serde_json::Value {
        serde_json::json!({
            "role": self.role.map_or("custom", Role::as_str),
            "rights": self.rights.to_string(),
            "expiresAtMs": self.expires_at.map(|at| at.0),
        })
    }
}

impl Store {
    /// Delegations of a mailbox in the order in which they were first given, after the row `after`, at most `limit`.
    pub async fn delegations(
        &self,
        mailbox: MailboxId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<DelegationRow>, Error> {
        let now = self.now();
        let mut reader = self.reader().await?;
        let sql =
            format!("{SELECT} WHERE {IN_FORCE} AND g.mailbox_id = $2 AND g.id > $3 ORDER BY g.id LIMIT $4");
        let rows: Vec<Columns> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(now.0).bind(mailbox.0).bind(after).bind(i64::from(limit)).fetch_all(&mut *c).await)?;
        rows.into_iter().map(Columns::row).collect()
    }

    /// What an actor may open that is not their own, in the order in which it was first given, after the row `after`, at most `limit`.
    /// With `domains`, only mailboxes of these.
    pub async fn delegations_of(
        &self,
        actor: ActorId,
        domains: Option<&[DomainId]>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<DelegationRow>, Error> {
        let now = self.now();
        let among = domains.map(|domains| {
            let ids: Vec<String> = domains.iter().map(|domain| domain.0.to_string()).collect();
            format!(
                "AND m.domain_id IN ({}) ",
                if ids.is_empty() { "NULL".to_owned() } else { ids.join(", ") }
            )
        });
        let among = among.unwrap_or_default();
        let mut reader = self.reader().await?;
        let sql = format!(
            "{SELECT} WHERE {IN_FORCE} AND g.actor_id = $2 AND g.id > $3 {among}ORDER BY g.id LIMIT $4"
        );
        let rows: Vec<Columns> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(now.0).bind(actor.0).bind(after).bind(i64::from(limit)).fetch_all(&mut *c).await)?;
        rows.into_iter().map(Columns::row).collect()
    }

    /// The delegation of one actor in one mailbox.
    pub async fn delegation(
        &self,
        mailbox: MailboxId,
        actor: ActorId,
    ) -> Result<Option<DelegationRow>, Error> {
        let now = self.now();
        let mut reader = self.reader().await?;
        find(reader.conn(), mailbox, actor, now).await
    }

    /// Gives a delegation to somebody who has none in this mailbox.
    pub async fn give_delegation(&self, change: DelegationChange, terms: Terms) -> Changed<()> {
        self.write(change.touches(), move |tx| {
            let change = change.clone();
            Box::pin(async move { tx.give_delegation(&change, terms).await })
        })
        .await
    }

    /// Changes the terms of a delegation.
    pub async fn change_delegation(&self, change: DelegationChange, terms: Terms) -> Changed<()> {
        self.write(change.touches(), move |tx| {
            let change = change.clone();
            Box::pin(async move { tx.change_delegation(&change, Some(terms)).await })
        })
        .await
    }

    /// Takes a delegation away.
    pub async fn take_delegation(&self, change: DelegationChange) -> Changed<()> {
        self.write(change.touches(), move |tx| {
            let change = change.clone();
            Box::pin(async move { tx.change_delegation(&change, None).await })
        })
        .await
    }

    /// Tells the audit trail of grants that came to their end, and forgets them, a batch of them. How many there were: at zero there is nothing
    /// left to do. They opened nothing since their date.
    pub async fn sweep_grants(&self) -> Result<usize, Error> {
        let now = self.now();
        let mut reader = self.reader().await?;
        let ended: Vec<(i64, i64)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT id, mailbox_id FROM grants WHERE expires_at_ms <= $1 ORDER BY id LIMIT $2")
            .bind(now.0).bind(SWEEP_BATCH).fetch_all(&mut *c).await)?;
        drop(reader);
        for (grant, mailbox) in &ended {
            let (grant, mailbox) = (*grant, MailboxId(*mailbox));
            self.write(Touches::from(mailbox), move |tx| Box::pin(tx.end_grant(grant, mailbox))).await?;
        }
        Ok(ended.len())
    }
}

impl WriteTx {
    async fn give_delegation(&mut self, change: &DelegationChange, terms: Terms) -> Changed<()> {
        let Some(mailbox) = self.delegable(change.mailbox).await? else {
            return Ok(Err(DelegationError::UnknownMailbox));
        };
        if let Err(refusal) = self.grantee(change.actor, &mailbox).await? {
            return Ok(Err(refusal));
        }
        let now = self.now;
        if find(self.conn(), change.mailbox, change.actor, now).await?.is_some() {
            return Ok(Err(DelegationError::Given));
        }
        if self.is_beyond(change, &terms).await? {
            return Ok(Err(DelegationError::BeyondOwn));
        }
        // One that came to its end and was not swept yet.
        let ended: Option<(i64,)> = on!(self.conn(), c => sqlx::query_as("SELECT id FROM grants WHERE mailbox_id = $1 AND folder_id IS NULL AND actor_id = $2")
            .bind(change.mailbox.0).bind(change.actor.0).fetch_optional(&mut *c).await)?;
        if let Some((ended,)) = ended {
            self.end_grant(ended, change.mailbox).await?;
        }
        let by = self.act.as_ref().and_then(|act| act.actor);
        // A revision that no earlier delegation of the same person had.
        on!(self.conn(), c => sqlx::query(
            "INSERT INTO grants (mailbox_id, actor_id, rights, role, expires_at_ms, granted_by_actor_id, granted_at_ms, revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $7)")
            .bind(change.mailbox.0).bind(change.actor.0).bind(terms.rights.to_string()).bind(terms.role.map(Role::as_str))
            .bind(terms.expires_at.map(|at| at.0)).bind(by.map(|by| by.0)).bind(now.0).execute(&mut *c).await.map(|_| ()))?;
        self.told("grant.given", change, None, Some(terms)).await?;
        Ok(Ok(()))
    }

    /// Changes the terms, or takes everything away when there are none.
    async fn change_delegation(&mut self, change: &DelegationChange, terms: Option<Terms>) -> Changed<()> {
        let Some(mailbox) = self.delegable(change.mailbox).await? else {
            return Ok(Err(DelegationError::UnknownMailbox));
        };
        let now = self.now;
        let Some(known) = find(self.conn(), change.mailbox, change.actor, now).await? else {
            return Ok(Err(DelegationError::UnknownDelegation));
        };
        if change.expected.is_some_and(|expected| expected != known.revision) {
            return Ok(Err(DelegationError::Changed));
        }
        if let Some(terms) = &terms
            && self.is_beyond(change, terms).await?
        {
            return Ok(Err(DelegationError::BeyondOwn));
        }
        let before = Terms { rights: known.rights, role: known.role, expires_at: known.expires_at };
        let keeps = terms.is_some_and(|terms| terms.is_administrator() && !terms.ends_before(&before));
        let is_administered = matches!(mailbox.kind, MailboxKind::Organizational | MailboxKind::Cabinet);
        if is_administered && before.is_administrator() && !keeps && !change.force {
            // One such change at a time: the last two are not both taken away.
            self.directory_moved(Concern::Mailbox(change.mailbox)).await?;
            let (others,): (i64,) = on!(self.conn(), c => sqlx::query_as(OTHER_ADMINISTRATORS)
                .bind(change.mailbox.0).bind(change.actor.0).fetch_one(&mut *c).await)?;
            if others == 0 {
                return Ok(Err(DelegationError::LastAdministrator));
            }
        }
        let by = self.act.as_ref().and_then(|act| act.actor);
        let action = match terms {
            Some(terms) => {
                on!(self.conn(), c => sqlx::query(
                    "UPDATE grants SET rights = $2, role = $3, expires_at_ms = $4, granted_by_actor_id = $5, granted_at_ms = $6, end_told = 0, revision = revision + 1 WHERE id = $1")
                    .bind(known.id).bind(terms.rights.to_string()).bind(terms.role.map(Role::as_str)).bind(terms.expires_at.map(|at| at.0))
                    .bind(by.map(|by| by.0)).bind(now.0).execute(&mut *c).await.map(|_| ()))?;
                "grant.changed"
            }
            None => {
                // What folders say of their own goes with it.
                on!(self.conn(), c => sqlx::query("DELETE FROM grants WHERE mailbox_id = $1 AND actor_id = $2")
                    .bind(change.mailbox.0).bind(change.actor.0).execute(&mut *c).await.map(|_| ()))?;
                "grant.revoked"
            }
        };
        self.directory_moved(Concern::Mailbox(change.mailbox)).await?;
        self.told(action, change, Some(before), terms).await?;
        Ok(Ok(()))
    }

    /// Whether the terms are more than whoever gives them may give: theirs end, and these later, or these are theirs.
    async fn is_beyond(&mut self, change: &DelegationChange, terms: &Terms) -> Result<bool, Error> {
        let Some(giver) = change.within else { return Ok(false) };
        let now = self.now;
        let own = find(self.conn(), change.mailbox, giver, now).await?;
        let Some(end) = own.and_then(|own| own.expires_at) else { return Ok(false) };
        Ok(giver == change.actor || terms.expires_at.is_none_or(|at| at.0 > end.0))
    }

    /// Tells the audit trail and those concerned.
    async fn told(
        &mut self,
        action: &'static str,
        change: &DelegationChange,
        before: Option<Terms>,
        after: Option<Terms>,
    ) -> Result<(), Error> {
        let entry = admin(action, Some(change.mailbox), String::new()).on("actor", change.actor);
        let told = |terms: Option<Terms>| terms.map_or(serde_json::Value::Null, |terms| terms.told());
        self.audit(&entry.before(told(before)).after(told(after))).await?;
        self.deliver_letters(&change.letters).await
    }

    async fn end_grant(&mut self, grant: i64, mailbox: MailboxId) -> Result<(), Error> {
        let now = self.now.0;
        let ended: Option<(i64, Option<i64>, String, Option<String>)> = on!(self.conn(), c => sqlx::query_as(
            "DELETE FROM grants WHERE id = $1 AND expires_at_ms <= $2 RETURNING actor_id, folder_id, rights, role").bind(grant).bind(now).fetch_optional(&mut *c).await)?;
        let Some((actor, folder, rights, role)) = ended else { return Ok(()) };
        // As when it is taken away: what was said of single folders goes with what it was said beside.
        if folder.is_none() {
            on!(self.conn(), c => sqlx::query("DELETE FROM grants WHERE mailbox_id = $1 AND actor_id = $2")
                .bind(mailbox.0).bind(actor).execute(&mut *c).await.map(|_| ()))?;
        }
        self.directory_moved(Concern::Mailbox(mailbox)).await?;
        let detail = format!("role={} rights={rights}", role.as_deref().unwrap_or("custom"));
        self.audit(&admin("grant.ended", Some(mailbox), detail).on("actor", actor)).await
    }

    /// Whether nobody but this actor administers one of their organizational or cabinet mailboxes for good.
    pub(crate) async fn is_last_administrator(&mut self, actor: ActorId) -> Result<bool, Error> {
        let only: Option<(i64,)> = on!(self.conn(), c => sqlx::query_as(ONLY_ADMINISTRATED).bind(actor.0).fetch_optional(&mut *c).await)?;
        Ok(only.is_some())
    }

    /// The mailbox, unless it is deleted.
    async fn delegable(&mut self, mailbox: MailboxId) -> Result<Option<Delegable>, Error> {
        let row: Option<(String, String, Option<i64>)> = on!(self.conn(), c => sqlx::query_as(
            "SELECT kind, status, owner_user_id FROM mailboxes WHERE id = $1").bind(mailbox.0).fetch_optional(&mut *c).await)?;
        let Some((kind, status, holder)) = row else { return Ok(None) };
        let is_there = word::<MailboxStatus>(&status)? != MailboxStatus::Deleted;
        let kind = word(&kind)?;
        Ok(is_there.then_some(Delegable { kind, holder }))
    }

    /// Whether somebody can be given something in this mailbox.
    async fn grantee(&mut self, actor: ActorId, mailbox: &Delegable) -> Changed<()> {
        let row: Option<(Option<i64>, Option<i64>, Option<i64>)> = on!(self.conn(), c => sqlx::query_as(
            "SELECT a.user_id, a.disabled_at_ms, u.disabled_at_ms FROM actors a LEFT JOIN users u ON u.id = a.user_id WHERE a.id = $1")
            .bind(actor.0).fetch_optional(&mut *c).await)?;
        Ok(match row {
            Some((_, None, None)) if mailbox.kind != MailboxKind::Personal => Ok(()),
            Some((user, None, None)) if user.is_none() || user != mailbox.holder => Ok(()),
            Some((_, None, None)) => Err(DelegationError::Own),
            _ => Err(DelegationError::Disabled),
        })
    }
}

struct Delegable {
    kind: MailboxKind,
    holder: Option<i64>,
}

async fn find(
    conn: Conn<'_>,
    mailbox: MailboxId,
    actor: ActorId,
    now: Timestamp,
) -> Result<Option<DelegationRow>, Error> {
    let sql = format!("{SELECT} WHERE {IN_FORCE} AND g.mailbox_id = $2 AND g.actor_id = $3");
    let row: Option<Columns> = on!(conn, c => sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(now.0).bind(mailbox.0).bind(actor.0).fetch_optional(&mut *c).await)?;
    row.map(Columns::row).transpose()
}

const SELECT: &str = "SELECT g.id, g.mailbox_id, m.address, m.domain_id, g.actor_id, a.label, u.id AS user_id, u.login, u.rpps, u.first_name, u.last_name, \
     g.rights, g.role, g.expires_at_ms, COALESCE(bu.login, b.label) AS granted_by, g.granted_at_ms, \
     (SELECT COUNT(*) FROM grants f WHERE f.mailbox_id = g.mailbox_id AND f.actor_id = g.actor_id AND f.folder_id IS NOT NULL \
     AND (f.expires_at_ms IS NULL OR f.expires_at_ms > $1)) AS folders_apart, g.revision \
     FROM grants g JOIN mailboxes m ON m.id = g.mailbox_id JOIN actors a ON a.id = g.actor_id LEFT JOIN users u ON u.id = a.user_id \
     LEFT JOIN actors b ON b.id = g.granted_by_actor_id LEFT JOIN users bu ON bu.id = b.user_id";

/// `$1` is now.
const IN_FORCE: &str =
    "g.folder_id IS NULL AND m.status <> 'deleted' AND (g.expires_at_ms IS NULL OR g.expires_at_ms > $1)";

/// Persons who administer a mailbox without an end date, but for one.
const OTHER_ADMINISTRATORS: &str = "SELECT COUNT(*) FROM grants g JOIN actors a ON a.id = g.actor_id JOIN users u ON u.id = a.user_id \
     WHERE g.mailbox_id = $1 AND g.actor_id <> $2 AND g.folder_id IS NULL AND g.role = 'admin' AND g.expires_at_ms IS NULL AND u.disabled_at_ms IS NULL";

/// A mailbox that one actor administers without an end date, and no other person.
const ONLY_ADMINISTRATED: &str = "SELECT m.id FROM grants g JOIN mailboxes m ON m.id = g.mailbox_id \
     WHERE g.actor_id = $1 AND g.folder_id IS NULL AND g.role = 'admin' AND g.expires_at_ms IS NULL AND m.status <> 'deleted' \
     AND m.kind IN ('organizational', 'cabinet') AND NOT EXISTS (SELECT 1 FROM grants o JOIN actors a ON a.id = o.actor_id JOIN users u ON u.id = a.user_id \
     WHERE o.mailbox_id = g.mailbox_id AND o.actor_id <> g.actor_id AND o.folder_id IS NULL AND o.role = 'admin' AND o.expires_at_ms IS NULL \
     AND u.disabled_at_ms IS NULL) LIMIT 1";

#[derive(sqlx::FromRow)]
struct Columns {
    id: i64,
    mailbox_id: i64,
    address: String,
    domain_id: i64,
    actor_id: i64,
    label: String,
    user_id: Option<i64>,
    login: Option<String>,
    rpps: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    rights: String,
    role: Option<String>,
    expires_at_ms: Option<i64>,
    granted_by: Option<String>,
    granted_at_ms: i64,
    folders_apart: i64,
    revision: i64,
}

impl Columns {
    fn row(self) -> Result<DelegationRow, Error> {
        let grantee = match self.user_id {
            Some(user) => Grantee::Person {
                user: UserId(user),
                login: self.login.unwrap_or_default(),
                rpps: self.rpps,
                first_name: self.first_name.unwrap_or_default(),
                last_name: self.last_name.unwrap_or_default(),
            },
            None => Grantee::Application { name: self.label },
        };
        Ok(DelegationRow {
            id: self.id,
            mailbox: MailboxId(self.mailbox_id),
            address: self.address,
            domain: DomainId(self.domain_id),
            actor: ActorId(self.actor_id),
            grantee,
            rights: Rights::from_letters(&self.rights),
            role: self.role.map(|role| word(&role)).transpose()?,
            expires_at: self.expires_at_ms.map(Timestamp),
            granted_by: self.granted_by,
            granted_at: Timestamp(self.granted_at_ms),
            folders_apart: self.folders_apart.unsigned_abs(),
            revision: self.revision,
        })
    }
}
