//! Who may do what in whose mailbox.

use crate::dialect::on;
use crate::directory::admin;
use crate::revisions::Revision;
use crate::writer::{Touches, WriteTx};
use crate::{Error, Store};
use mail_types::{ActorId, MailboxId, Role};

impl Store {
    /// Gives an actor a role in a mailbox, in place of what they had.
    pub async fn grant(&self, mailbox: MailboxId, actor: ActorId, role: Role) -> Result<(), Error> {
        self.write(Touches::from(mailbox), move |tx| {
            Box::pin(async move { tx.grant(mailbox, actor, role).await })
        })
        .await
    }
}

impl WriteTx {
    pub(crate) async fn grant(
        &mut self,
        mailbox: MailboxId,
        actor: ActorId,
        role: Role,
    ) -> Result<(), Error> {
        let now = self.now.0;
        let replaced = on!(self.conn(), c => sqlx::query("DELETE FROM grants WHERE mailbox_id = $1 AND folder_id IS NULL AND actor_id = $2")
            .bind(mailbox.0).bind(actor.0).execute(&mut *c).await.map(|r| r.rows_affected()))?;
        if replaced > 0 {
            self.revised(Revision::Directory).await?;
        }
        on!(self.conn(), c => sqlx::query("INSERT INTO grants (mailbox_id, actor_id, rights, role, granted_at_ms) VALUES ($1, $2, $3, $4, $5)")
            .bind(mailbox.0).bind(actor.0).bind(role.rights().to_string()).bind(role.as_str()).bind(now).execute(&mut *c).await.map(|_| ()))?;
        let entry = admin("grant.given", Some(mailbox), format!("role={}", role.as_str()));
        self.audit(&entry.on("actor", actor)).await
    }
}
