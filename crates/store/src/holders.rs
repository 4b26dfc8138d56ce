//! Whose mailbox it is: whoever else opens it is told of in the audit trail.

use crate::dialect::on;
use crate::{Error, Store};
use mail_types::{ActorId, MailboxId};

impl Store {
    /// Whether the mailbox is the actor's own: the person's whom it belongs to, or the application's that an applicative mailbox serves. An
    /// organizational mailbox is nobody's own.
    pub async fn is_holder(&self, mailbox: MailboxId, actor: ActorId) -> Result<bool, Error> {
        let mut reader = self.reader().await?;
        let (is_own,): (bool,) = on!(reader.conn(), c => sqlx::query_as(
            "SELECT EXISTS (SELECT 1 FROM mailboxes m JOIN actors a ON a.id = $2 WHERE m.id = $1 AND m.kind <> 'organizational' \
             AND (m.owner_user_id = a.user_id OR (m.kind = 'applicative' AND a.kind = 'application')))")
            .bind(mailbox.0).bind(actor.0).fetch_one(&mut *c).await)?;
        Ok(is_own)
    }
}
