//! Who may do what in whose mailbox.

use crate::dialect::on;
use crate::directory::admin;
use crate::revisions::Concern;
use crate::writer::{Touches, WriteTx};
use crate::{Error, Store, Terms};
use mail_types::{ActorId, MailboxId, MailboxKind, Role, Timestamp};

impl Store {
    /// Gives an actor a role in a mailbox, in place of what they had.
    pub async fn grant(&self, mailbox: MailboxId, actor: ActorId, role: Role) -> Result<(), Error> {
        self.grant_until(mailbox, actor, role, None).await
    }

    /// Gives an actor a role in a mailbox until then, in place of what they had; without a date, for as long as nobody takes it away.
    pub async fn grant_until(
        &self,
        mailbox: MailboxId,
        actor: ActorId,
        role: Role,
        until: Option<Timestamp>,
    ) -> Result<(), Error> {
        let terms = Terms::of(role, until);
        self.write(Touches::from(mailbox), move |tx| Box::pin(tx.grant_terms(mailbox, actor, terms))).await
    }
}

impl WriteTx {
    pub(crate) async fn grant(
        &mut self,
        mailbox: MailboxId,
        actor: ActorId,
        role: Role,
    ) -> Result<(), Error> {
        self.grant_terms(mailbox, actor, Terms::of(role, None)).await
    }

    async fn is_applicative(&mut self, mailbox: MailboxId) -> Result<bool, Error> {
        let row: Option<(String,)> = on!(self.conn(), c => sqlx::query_as("SELECT kind FROM mailboxes WHERE id = $1")
            .bind(mailbox.0).fetch_optional(&mut *c).await)?;
        Ok(row.is_some_and(|(kind,)| kind == MailboxKind::Applicative.as_str()))
    }

    async fn grant_terms(&mut self, mailbox: MailboxId, actor: ActorId, terms: Terms) -> Result<(), Error> {
        let now = self.now.0;
        let by = self.act.as_ref().and_then(|act| act.actor);
        let replaced = on!(self.conn(), c => sqlx::query("DELETE FROM grants WHERE mailbox_id = $1 AND folder_id IS NULL AND actor_id = $2")
            .bind(mailbox.0).bind(actor.0).execute(&mut *c).await.map(|r| r.rows_affected()))?;
        // Whoever else opens an applicative mailbox may hold it no longer.
        if replaced > 0 || self.is_applicative(mailbox).await? {
            self.directory_moved(Concern::Mailbox(mailbox)).await?;
        }
        // A revision that no earlier grant of the same actor had.
        on!(self.conn(), c => sqlx::query(
            "INSERT INTO grants (mailbox_id, actor_id, rights, role, expires_at_ms, granted_by_actor_id, granted_at_ms, revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $7)")
            .bind(mailbox.0).bind(actor.0).bind(terms.rights.to_string()).bind(terms.role.map(Role::as_str))
            .bind(terms.expires_at.map(|at| at.0)).bind(by.map(|by| by.0)).bind(now).execute(&mut *c).await.map(|_| ()))?;
        let role = terms.role.map_or("custom", Role::as_str);
        let entry = admin("grant.given", Some(mailbox), format!("role={role}"));
        self.audit(&entry.on("actor", actor).after(terms.told())).await
    }
}
