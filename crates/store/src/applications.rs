//! Applications: actors that log in with a certificate. [Rules](crate::CertificateRule) say with which, grants say which mailboxes they open.

use crate::dialect::{Conn, on};
use crate::directory::{DirectoryError, Refusable, admin, word};
use crate::holders::is_own;
use crate::revisions::Concern;
use crate::seen_mode::APART;
use crate::writer::{Touches, WriteTx};
use crate::{Error, KeyError, LoginActor, LoginMailbox, Store};
use mail_types::{
    Actor, ActorId, ActorKind, Address, FolderFacts, Grant, MailboxId, MailboxStatus, Rights, Role, Timestamp,
};
use std::collections::BTreeSet;

/// Octets of an application's name.
const NAME_MAX: usize = 64;

/// An application in service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationRow {
    /// The actor that rules and grants point to.
    pub actor: ActorId,
    /// Its name, unique among those in service.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Another one after each change of its name.
    pub revision: i64,
}

/// A mailbox that an application may open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationGrant {
    /// Row of the mailbox.
    pub mailbox: MailboxId,
    /// Its address.
    pub address: String,
    /// What the application may do in it.
    pub role: Option<Role>,
    /// Until when.
    pub expires_at: Option<Timestamp>,
}

/// The mailboxes that an application opens, of which this is true.
macro_rules! opened {
    ($condition:literal) => {
        concat!(
            "SELECT m.id, m.address, m.kind, m.status, m.private_seen, g.rights, g.role, g.expires_at_ms, ",
            is_own!("$2"),
            " FROM grants g JOIN mailboxes m ON m.id = g.mailbox_id JOIN actors a ON a.id = g.actor_id \
             WHERE g.actor_id = $1 AND a.kind = 'application' AND a.disabled_at_ms IS NULL AND g.folder_id IS NULL AND $5 LIKE '%' || m.status || '%' \
             AND (g.expires_at_ms IS NULL OR g.expires_at_ms > $2) AND ",
            $condition,
            " ORDER BY m.address LIMIT $4"
        )
    };
}

impl Store {
    /// Makes an application; fine twice. True when it is new.
    pub async fn create_application(&self, name: &str) -> Refusable<(ActorId, bool)> {
        let Some(name) = application_name(name) else { return Ok(Err(DirectoryError::ApplicationName)) };
        self.write(Touches::nothing(), move |tx| {
            let name = name.clone();
            Box::pin(async move { tx.create_application(&name).await.map(Ok) })
        })
        .await
    }

    /// The application of that name.
    pub async fn application(&self, name: &str) -> Result<Option<ApplicationRow>, Error> {
        let Some(name) = application_name(name) else { return Ok(None) };
        let mut reader = self.reader().await?;
        find(reader.conn(), &name).await
    }

    /// The application in service that is this actor.
    pub async fn application_of(&self, actor: ActorId) -> Result<Option<ApplicationRow>, Error> {
        let mut reader = self.reader().await?;
        of(reader.conn(), actor).await
    }

    /// Gives an application in service another name. What hangs on it, hangs on its row. `expected` is the revision that it must have.
    pub async fn rename_application(
        &self,
        actor: ActorId,
        expected: Option<i64>,
        name: &str,
    ) -> Refusable<()> {
        let Some(name) = application_name(name) else { return Ok(Err(DirectoryError::ApplicationName)) };
        self.write(Touches::nothing(), move |tx| {
            let name = name.clone();
            Box::pin(async move { tx.rename_application(actor, expected, &name).await })
        })
        .await
    }

    /// Applications in service by name, after `after`, at most `limit`.
    pub async fn applications(&self, after: &str, limit: u32) -> Result<Vec<ApplicationRow>, Error> {
        let mut reader = self.reader().await?;
        let rows: Vec<ApplicationTuple> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT id, label, created_at_ms, revision FROM actors WHERE kind = 'application' AND disabled_at_ms IS NULL AND label > $1 ORDER BY label LIMIT $2")
            .bind(after).bind(i64::from(limit)).fetch_all(&mut *c).await)?;
        Ok(rows.into_iter().map(application_row).collect())
    }

    /// Takes an application out of service: its rules and grants end, its name is free. False when it was so already. With `force`, also when
    /// nobody is left who administers the operator.
    pub async fn delete_application(
        &self,
        actor: ActorId,
        force: bool,
    ) -> Result<Result<bool, KeyError>, Error> {
        self.write(Touches::nothing(), move |tx| Box::pin(tx.delete_application(actor, force))).await
    }

    /// The mailboxes in one of `states` that an application may open, each with this one actor in it: the one of `address`, or all of them,
    /// at most `limit`.
    pub async fn application_mailboxes(
        &self,
        actor: ActorId,
        address: Option<&Address>,
        states: &[MailboxStatus],
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<LoginMailbox>, Error> {
        let address = address.map(Address::canonical);
        let states = states.iter().map(|status| status.as_str()).collect::<Vec<_>>().join(" ");
        let mut reader = self.reader().await?;
        // An index leads to the one that is named, among thousands that the application opens.
        let sql =
            if address.is_some() { opened!("m.address = $3") } else { opened!("CAST($3 AS TEXT) IS NULL") };
        let rows: Vec<OpenedTuple> = on!(reader.conn(), c => sqlx::query_as(sql)
            .bind(actor.0).bind(now.0).bind(address).bind(i64::from(limit)).bind(&states).fetch_all(&mut *c).await)?;
        rows.into_iter()
            .map(|(id, address, kind, status, private_seen, rights, role, until, is_holder)| {
                let role = role.map(|role| word::<Role>(&role)).transpose()?;
                let facts = FolderFacts { private_seen: private_seen == APART, is_drafts: false };
                Ok(LoginMailbox {
                    id: MailboxId(id),
                    address: address
                        .parse()
                        .map_err(|_| Error::Inconsistent("a mailbox has a malformed address"))?,
                    kind: word(&kind)?,
                    status: word(&status)?,
                    private_seen: private_seen == APART,
                    actors: vec![LoginActor {
                        actor: Actor { id: actor, kind: ActorKind::Application },
                        rights: Grant::of(role, Rights::from_letters(&rights)).rights_in(facts),
                        may_send: role.is_some_and(Role::may_send_as),
                        is_holder,
                        until: until.map(Timestamp),
                    }],
                })
            })
            .collect()
    }

    /// The grants of an application, of mailboxes in whatever state that still have a holder, by address.
    pub async fn application_grants(&self, actor: ActorId) -> Result<Vec<ApplicationGrant>, Error> {
        let mut reader = self.reader().await?;
        let rows: Vec<(i64, String, Option<String>, Option<i64>)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT m.id, m.address, g.role, g.expires_at_ms FROM grants g JOIN mailboxes m ON m.id = g.mailbox_id \
             WHERE g.actor_id = $1 AND g.folder_id IS NULL AND m.status <> 'deleted' ORDER BY m.address")
            .bind(actor.0).fetch_all(&mut *c).await)?;
        rows.into_iter()
            .map(|(id, address, role, expires_at)| {
                Ok(ApplicationGrant {
                    mailbox: MailboxId(id),
                    address,
                    role: role.map(|role| word(&role)).transpose()?,
                    expires_at: expires_at.map(Timestamp),
                })
            })
            .collect()
    }

    /// Takes the role of an actor in a mailbox away. False when they had none.
    pub async fn revoke_grant(&self, mailbox: MailboxId, actor: ActorId) -> Result<bool, Error> {
        self.write(Touches::from(mailbox), move |tx| {
            Box::pin(async move {
                let ended = on!(tx.conn(), c => sqlx::query("DELETE FROM grants WHERE mailbox_id = $1 AND folder_id IS NULL AND actor_id = $2")
                    .bind(mailbox.0).bind(actor.0).execute(&mut *c).await.map(|r| r.rows_affected()))?;
                if ended > 0 {
                    tx.audit(&admin("grant.revoked", Some(mailbox), String::new()).on("actor", actor)).await?;
                    tx.directory_moved(Concern::Mailbox(mailbox)).await?;
                }
                Ok(ended > 0)
            })
        })
        .await
    }
}

impl WriteTx {
    pub(crate) async fn create_application(&mut self, name: &str) -> Result<(ActorId, bool), Error> {
        if let Some(known) = find(self.conn(), name).await? {
            return Ok((known.actor, false));
        }
        let now = self.now.0;
        let (actor,): (i64,) = on!(self.conn(), c => sqlx::query_as(
            "INSERT INTO actors (kind, label, created_at_ms) VALUES ('application', $1, $2) RETURNING id").bind(name).bind(now).fetch_one(&mut *c).await)?;
        self.tell_of("application.created", ActorId(actor), format!("name={name}")).await?;
        Ok((ActorId(actor), true))
    }

    /// Why no application can be made of that name, if none can.
    pub(crate) async fn name_refusal(&mut self, name: &str) -> Result<Option<DirectoryError>, Error> {
        let Some(name) = application_name(name) else { return Ok(Some(DirectoryError::ApplicationName)) };
        Ok(find(self.conn(), &name).await?.map(|_| DirectoryError::ApplicationTaken))
    }

    async fn rename_application(
        &mut self,
        actor: ActorId,
        expected: Option<i64>,
        name: &str,
    ) -> Refusable<()> {
        let known = of(self.conn(), actor).await?;
        let known = known.filter(|known| expected.is_none_or(|expected| expected == known.revision));
        let Some(known) = known else { return Ok(Err(DirectoryError::Changed)) };
        if known.name == name {
            return Ok(Ok(()));
        }
        if find(self.conn(), name).await?.is_some() {
            return Ok(Err(DirectoryError::ApplicationTaken));
        }
        let renamed = on!(self.conn(), c => sqlx::query(
            "UPDATE actors SET label = $2, revision = revision + 1 WHERE id = $1 AND revision = $3 AND disabled_at_ms IS NULL")
            .bind(actor.0).bind(name).bind(known.revision).execute(&mut *c).await.map(|r| r.rows_affected()))?;
        if renamed == 0 {
            return Ok(Err(DirectoryError::Changed));
        }
        let entry = admin("application.changed", None, String::new()).on("actor", actor);
        self.audit(&entry.before(known.name).after(name)).await?;
        Ok(Ok(()))
    }

    async fn delete_application(
        &mut self,
        actor: ActorId,
        force: bool,
    ) -> Result<Result<bool, KeyError>, Error> {
        let now = self.now.0;
        // One such change at a time: the last two that administer the operator do not both go.
        self.directory_moved(Concern::Actor(actor)).await?;
        if !force && self.is_last_operator(actor).await? {
            return Ok(Err(KeyError::LastOperator));
        }
        let ended = on!(self.conn(), c => sqlx::query("UPDATE actors SET disabled_at_ms = $2 WHERE id = $1 AND kind = 'application' AND disabled_at_ms IS NULL")
            .bind(actor.0).bind(now).execute(&mut *c).await.map(|r| r.rows_affected()))?;
        if ended == 0 {
            return Ok(Ok(false));
        }
        on!(self.conn(), c => sqlx::query("UPDATE certificate_rules SET revoked_at_ms = $2 WHERE actor_id = $1 AND revoked_at_ms IS NULL")
            .bind(actor.0).bind(now).execute(&mut *c).await.map(|_| ()))?;
        let opened: Vec<(i64,)> = on!(self.conn(), c => sqlx::query_as("DELETE FROM grants WHERE actor_id = $1 RETURNING mailbox_id")
            .bind(actor.0).fetch_all(&mut *c).await)?;
        let opened: BTreeSet<i64> = opened.into_iter().map(|(mailbox,)| mailbox).collect();
        for mailbox in opened {
            let entry = admin("grant.revoked", Some(MailboxId(mailbox)), String::new());
            self.audit(&entry.on("actor", actor)).await?;
            self.directory_moved(Concern::Mailbox(MailboxId(mailbox))).await?;
        }
        self.tell_of("application.deleted", actor, String::new()).await?;
        Ok(Ok(true))
    }

    /// Tells the audit trail what was done to an application.
    pub(crate) async fn tell_of(
        &mut self,
        action: &'static str,
        actor: ActorId,
        detail: String,
    ) -> Result<(), Error> {
        self.audit(&admin(action, None, detail).on("actor", actor)).await
    }
}

type OpenedTuple = (i64, String, String, String, i64, String, Option<String>, Option<i64>, bool);
type ApplicationTuple = (i64, String, i64, i64);

async fn of(conn: Conn<'_>, actor: ActorId) -> Result<Option<ApplicationRow>, Error> {
    let row: Option<ApplicationTuple> = on!(conn, c => sqlx::query_as(
        "SELECT id, label, created_at_ms, revision FROM actors WHERE kind = 'application' AND disabled_at_ms IS NULL AND id = $1")
        .bind(actor.0).fetch_optional(&mut *c).await)?;
    Ok(row.map(application_row))
}

async fn find(conn: Conn<'_>, name: &str) -> Result<Option<ApplicationRow>, Error> {
    let row: Option<ApplicationTuple> = on!(conn, c => sqlx::query_as(
        "SELECT id, label, created_at_ms, revision FROM actors WHERE kind = 'application' AND disabled_at_ms IS NULL AND label = $1")
        .bind(name).fetch_optional(&mut *c).await)?;
    Ok(row.map(application_row))
}

fn application_row((id, name, created_at, revision): ApplicationTuple) -> ApplicationRow {
    ApplicationRow { actor: ActorId(id), name, created_at: Timestamp(created_at), revision }
}

/// In lower case; `None` when it cannot be one.
fn application_name(text: &str) -> Option<String> {
    let name = text.to_ascii_lowercase();
    let is_plain = name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b".-_".contains(&octet));
    (is_plain && (1..=NAME_MAX).contains(&name.len())).then_some(name)
}
