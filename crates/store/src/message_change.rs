//! One message changed or removed by whoever read it: nothing is done when it is no longer as it was read.

use crate::dialect::on;
use crate::told_changes::flag_facts;
use crate::writer::{Touches, WriteTx};
use crate::{Error, FlagAction, FlagStore, FlagsStored, Refusal, Store};
use mail_types::{ActorId, FolderId, MailboxId, ModSeq, SystemFlags, Uid, UidValidity};

/// What is to become of one message.
#[derive(Clone, Debug)]
pub struct MessageChange {
    /// The mailbox that it is in.
    pub mailbox: MailboxId,
    /// The folder that it is in.
    pub folder: FolderId,
    /// Its UID there.
    pub uid: Uid,
    /// Who changes it: `\Seen` is theirs alone where the mailbox keeps it apart.
    pub actor: Option<ActorId>,
    /// The modification sequence that was read; none for whatever there is.
    pub expected: Option<ModSeq>,
    /// Flags and keywords to be set.
    pub add: (SystemFlags, Vec<String>),
    /// Flags and keywords to be taken away.
    pub remove: (SystemFlags, Vec<String>),
    /// Where it goes. Keywords do not change with a move.
    pub move_to: Option<FolderId>,
}

/// Why a message was not changed; nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageRefusal {
    /// It is not there.
    #[error("no such message")]
    Gone,
    /// It is not as it was read.
    #[error("the message changed meanwhile")]
    Changed,
    /// The folder that it should go to is not there, or takes no more keywords.
    #[error(transparent)]
    Target(#[from] Refusal),
}

/// Where a message is after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The folder.
    pub folder: FolderId,
    /// The validity of its UIDs, when it is another one than before.
    pub uid_validity: Option<UidValidity>,
    /// The UID there.
    pub uid: Uid,
}

type Refusable<T> = Result<Result<T, MessageRefusal>, Error>;

impl Store {
    /// Changes one message: flags, keywords, folder.
    pub async fn change_message(&self, change: MessageChange) -> Refusable<Placed> {
        self.write(Touches::from(change.mailbox), move |tx| {
            let change = change.clone();
            Box::pin(async move { tx.change_message(&change).await })
        })
        .await
    }

    /// Removes one message for good.
    pub async fn remove_message(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        uid: Uid,
        actor: Option<ActorId>,
        expected: Option<ModSeq>,
    ) -> Refusable<()> {
        self.write(Touches::from(mailbox), move |tx| {
            Box::pin(async move {
                if let Err(refusal) = tx.is_as_read(folder, uid, actor, expected).await? {
                    return Ok(Err(refusal));
                }
                tx.remove_told(mailbox, folder, &vec![(uid.0, uid.0)], false).await.map(Ok)
            })
        })
        .await
    }
}

impl WriteTx {
    async fn change_message(&mut self, change: &MessageChange) -> Refusable<Placed> {
        let MessageChange { mailbox, folder, uid, actor, .. } = *change;
        if let Err(refusal) = self.is_as_read(folder, uid, actor, change.expected).await? {
            return Ok(Err(refusal));
        }
        let placed = match change.move_to.filter(|target| *target != folder) {
            None => Placed { folder, uid_validity: None, uid },
            Some(target) => {
                let range = vec![(uid.0, uid.0)];
                let moved = self.move_messages(mailbox, folder, target, Some(&range), Some(1)).await?;
                let moved = match moved {
                    Ok(moved) => moved,
                    Err(refusal) => return Ok(Err(refusal.into())),
                };
                let uid = moved.uids.first().map_or(uid, |(_, to)| *to);
                Placed { folder: target, uid_validity: Some(UidValidity(moved.uid_validity)), uid }
            }
        };
        let is_moved = placed.folder != folder;
        let mut facts = if is_moved { format!(" to={}", placed.folder) } else { String::new() };
        let range = vec![(placed.uid.0, placed.uid.0)];
        for (action, word, (flags, keywords)) in
            [(FlagAction::Add, "set", &change.add), (FlagAction::Remove, "cleared", &change.remove)]
        {
            let asked = FlagStore::any(action, *flags, keywords.clone());
            let stored = self.store_flags(placed.folder, actor, &range, &asked).await?;
            let Some(FlagsStored { changes: changed, .. }) = stored else {
                return Ok(Err(Refusal::TooManyKeywords.into()));
            };
            if changed.iter().any(|change| !change.is_private) {
                facts.push_str(&flag_facts(word, *flags, keywords.len()));
            }
        }
        if !facts.is_empty() {
            let touched = [uid.0].into_iter().collect();
            self.tell_messages(mailbox, folder, "message.changed", &touched, &facts).await?;
        }
        Ok(Ok(placed))
    }

    /// Whether a message is there, and as it was read.
    async fn is_as_read(
        &mut self,
        folder: FolderId,
        uid: Uid,
        actor: Option<ActorId>,
        expected: Option<ModSeq>,
    ) -> Refusable<()> {
        let row: Option<(i64,)> = on!(self.conn(), c => sqlx::query_as(
            "SELECT CASE WHEN s.modseq > m.modseq THEN s.modseq ELSE m.modseq END FROM messages m \
             LEFT JOIN seen s ON s.folder_id = m.folder_id AND s.actor_id = $3 AND s.uid = m.uid WHERE m.folder_id = $1 AND m.uid = $2")
            .bind(folder.0).bind(i64::from(uid.0)).bind(actor.map_or(-1, |actor| actor.0)).fetch_optional(&mut *c).await)?;
        Ok(match row {
            None => Err(MessageRefusal::Gone),
            Some((modseq,)) if expected.is_some_and(|expected| expected.0 != modseq.unsigned_abs()) => {
                Err(MessageRefusal::Changed)
            }
            Some(_) => Ok(()),
        })
    }
}
