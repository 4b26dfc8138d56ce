//! What an actor was given in mailboxes, whole or folder by folder: one look at the grants for whoever opens more than one mailbox at a time.
//!
//! It does not know which credential was shown nor what the state of a mailbox lets it be used for.

use crate::dialect::on;
use crate::directory::word;
use crate::holders::is_own;
use crate::seen_mode::APART;
use crate::{Error, Store};
use mail_types::{
    ActorId, Address, FolderId, Grant, MailboxId, MailboxKind, MailboxStatus, Rights, Role, Timestamp,
};

/// Grants of one actor that are looked at; those of further mailboxes lead nowhere.
const GRANTS_MAX: i64 = 20_000;

/// What an actor was given in one mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenMailbox {
    /// Row.
    pub mailbox: MailboxId,
    /// Its address.
    pub address: Address,
    /// Its kind.
    pub kind: MailboxKind,
    /// Its state of life; never deleted.
    pub status: MailboxStatus,
    /// Whether `\Seen` is kept for each actor apart.
    pub private_seen: bool,
    /// Whether it belongs to the actor, who may do everything then.
    pub belongs: bool,
    /// Whether it is the actor's own: what others do there is told of.
    pub is_holder: bool,
    /// What was given in the whole of it.
    pub grant: Option<Grant>,
    /// What was given in single folders, ascending.
    pub folders: Vec<(FolderId, Grant)>,
    /// The first date at which any of that ends.
    pub until: Option<Timestamp>,
}

/// Which mailboxes are looked at.
#[derive(Clone, Copy, Debug)]
pub enum Reaching<'a> {
    /// Every one in which anything was given.
    All,
    /// The one of this address.
    Address(&'a Address),
    /// The one of this row.
    Mailbox(MailboxId),
}

/// id, address, kind, status, private_seen, belongs, is_holder, folder_id, rights, role, expires_at_ms
type Tuple = (i64, String, String, String, i64, bool, bool, Option<i64>, String, Option<String>, Option<i64>);

macro_rules! given {
    ($condition:literal) => {
        concat!(
            "SELECT m.id, m.address, m.kind, m.status, m.private_seen, EXISTS (SELECT 1 WHERE m.owner_user_id = a.user_id), ",
            is_own!("$2"),
            ", g.folder_id, g.rights, g.role, g.expires_at_ms FROM grants g JOIN mailboxes m ON m.id = g.mailbox_id JOIN actors a ON a.id = g.actor_id \
             LEFT JOIN users u ON u.id = a.user_id WHERE g.actor_id = $1 AND (g.expires_at_ms IS NULL OR g.expires_at_ms > $2) \
             AND a.disabled_at_ms IS NULL AND u.disabled_at_ms IS NULL AND m.status <> 'deleted' AND ",
            $condition,
            " ORDER BY m.address, g.folder_id LIMIT $4"
        )
    };
}

impl Store {
    /// The mailboxes in which an actor was given something that is in force, by address.
    pub async fn given_mailboxes(
        &self,
        actor: ActorId,
        which: Reaching<'_>,
        now: Timestamp,
    ) -> Result<Vec<GivenMailbox>, Error> {
        let mut reader = self.quick_reader().await?;
        let rows: Vec<Tuple> = match which {
            Reaching::All => on!(reader.conn(), c => sqlx::query_as(given!("CAST($3 AS TEXT) IS NULL"))
                .bind(actor.0).bind(now.0).bind(None::<String>).bind(GRANTS_MAX).fetch_all(&mut *c).await)?,
            Reaching::Address(address) => on!(reader.conn(), c => sqlx::query_as(given!("m.address = $3"))
                .bind(actor.0).bind(now.0).bind(address.canonical()).bind(GRANTS_MAX).fetch_all(&mut *c).await)?,
            Reaching::Mailbox(mailbox) => on!(reader.conn(), c => sqlx::query_as(given!("m.id = $3"))
                .bind(actor.0).bind(now.0).bind(mailbox.0).bind(GRANTS_MAX).fetch_all(&mut *c).await)?,
        };
        drop(reader);
        let mut given: Vec<GivenMailbox> = Vec::new();
        for row in rows {
            let (folder, grant, until) = (row.7.map(FolderId), grant(&row)?, row.10.map(Timestamp));
            if given.last().is_none_or(|last| last.mailbox.0 != row.0) {
                given.push(mailbox(&row)?);
            }
            let Some(last) = given.last_mut() else { continue };
            last.until = [last.until, until].into_iter().flatten().min();
            match folder {
                Some(folder) => last.folders.push((folder, grant)),
                None => last.grant = Some(grant),
            }
        }
        given.iter_mut().for_each(|given| given.folders.sort_unstable_by_key(|(folder, _)| *folder));
        Ok(given)
    }
}

fn grant(row: &Tuple) -> Result<Grant, Error> {
    let role = row.9.as_deref().map(word::<Role>).transpose()?;
    Ok(Grant::of(role, Rights::from_letters(&row.8)))
}

fn mailbox(row: &Tuple) -> Result<GivenMailbox, Error> {
    Ok(GivenMailbox {
        mailbox: MailboxId(row.0),
        address: row.1.parse().map_err(|_| Error::Inconsistent("a mailbox has a malformed address"))?,
        kind: word(&row.2)?,
        status: word(&row.3)?,
        private_seen: row.4 == APART,
        belongs: row.5,
        is_holder: row.6,
        grant: None,
        folders: Vec::new(),
        until: None,
    })
}
