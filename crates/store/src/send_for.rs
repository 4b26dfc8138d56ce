//! For which mailboxes of others' an actor may send.

use crate::dialect::on;
use crate::directory::word;
use crate::{Error, Store};
use mail_types::{ActorId, Address, MailboxId, MailboxStatus, Role, Timestamp};

/// A mailbox for which an actor may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendFor {
    /// Row.
    pub mailbox: MailboxId,
    /// Its address.
    pub address: Address,
    /// Life cycle state.
    pub status: MailboxStatus,
    /// Whether what is sent for it is filed among its own sent messages.
    pub files_sent: bool,
}

type Columns = (i64, String, String, i64, i64, Option<String>);

impl Store {
    /// The mailbox of an address, if the actor holds it or has a grant in force that lets them send for it, whatever its state.
    pub async fn send_for(
        &self,
        actor: ActorId,
        address: &Address,
        now: Timestamp,
    ) -> Result<Option<SendFor>, Error> {
        let mut reader = self.reader().await?;
        let row: Option<Columns> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT m.id, m.address, m.status, m.files_sent, CAST(CASE WHEN m.owner_user_id = a.user_id THEN 1 ELSE 0 END AS BIGINT), g.role \
             FROM mailboxes m JOIN actors a ON a.id = $2 LEFT JOIN users u ON u.id = a.user_id \
             LEFT JOIN grants g ON g.mailbox_id = m.id AND g.actor_id = a.id AND g.folder_id IS NULL AND (g.expires_at_ms IS NULL OR g.expires_at_ms > $3) \
             WHERE m.address = $1 AND a.disabled_at_ms IS NULL AND u.disabled_at_ms IS NULL")
            .bind(address.canonical()).bind(actor.0).bind(now.0).fetch_optional(&mut *c).await)?;
        let Some((mailbox, address, status, files_sent, holds, role)) = row else {
            return Ok(None);
        };
        let role = role.map(|role| word::<Role>(&role)).transpose()?;
        if holds == 0 && !role.is_some_and(Role::may_send_as) {
            return Ok(None);
        }
        Ok(Some(SendFor {
            mailbox: MailboxId(mailbox),
            address: address.parse().map_err(|_| Error::Inconsistent("a mailbox has a malformed address"))?,
            status: word(&status)?,
            files_sent: files_sent != 0,
        }))
    }
}
