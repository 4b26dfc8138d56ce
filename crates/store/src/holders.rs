//! Whose mailbox it is: whoever else opens it is told of in the audit trail.

use crate::dialect::on;
use crate::{Error, Store};
use mail_types::{ActorId, MailboxId};

impl Store {
    /// Whether the mailbox is the actor's own: the person's whom it belongs to, or the application's that an applicative mailbox serves:
    /// the one with role `admin` there, or the only one. An organizational mailbox is nobody's own.
    pub async fn is_holder(&self, mailbox: MailboxId, actor: ActorId) -> Result<bool, Error> {
        let mut reader = self.reader().await?;
        let (is_own,): (bool,) = on!(reader.conn(), c => sqlx::query_as(
            "SELECT EXISTS (SELECT 1 FROM mailboxes m JOIN actors a ON a.id = $2 WHERE m.id = $1 AND m.kind <> 'organizational' \
             AND (m.owner_user_id = a.user_id OR (m.kind = 'applicative' AND a.kind = 'application' AND (\
             EXISTS (SELECT 1 FROM grants g WHERE g.mailbox_id = m.id AND g.actor_id = a.id AND g.folder_id IS NULL AND g.role = 'admin') \
             OR NOT EXISTS (SELECT 1 FROM grants g JOIN actors o ON o.id = g.actor_id \
             WHERE g.mailbox_id = m.id AND g.folder_id IS NULL AND g.actor_id <> a.id AND o.kind = 'application')))))")
            .bind(mailbox.0).bind(actor.0).fetch_one(&mut *c).await)?;
        Ok(is_own)
    }
}
