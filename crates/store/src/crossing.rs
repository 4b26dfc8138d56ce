//! Messages that go to another mailbox, or to a folder where whoever copies may not set every flag: COPY and MOVE, each one unit of work.

use crate::dialect::on;
use crate::flags::Ranges;
use crate::seen_mode::SeenMode;
use crate::transfer::{Refusable, Source};
use crate::writer::{Touches, WriteTx};
use crate::{Error, MailboxKey, Moved, Refusal, Store};
use mail_types::{ActorId, FolderId, MailboxId, SystemFlags};
use std::collections::HashSet;

/// From where to where messages go, and what of them goes along.
#[derive(Clone, Debug)]
pub struct Crossing {
    /// Where they are.
    pub from: (MailboxId, FolderId),
    /// Where they go.
    pub to: (MailboxId, FolderId),
    /// The keys of both mailboxes, when they are two: content keys are wrapped anew.
    pub keys: Option<(MailboxKey, MailboxKey)>,
    /// Flags that go along; others are left out (RFC 4314 §4).
    pub flags: SystemFlags,
    /// Whether keywords go along.
    pub keywords: bool,
    /// Who copies: what they have seen is theirs alone in a mailbox that keeps it apart.
    pub actor: ActorId,
}

impl Crossing {
    fn is_across(&self) -> bool {
        self.from.0 != self.to.0
    }
}

impl Store {
    /// Copies messages. With `count`, exactly so many or none.
    pub async fn copy_across(
        &self,
        crossing: Crossing,
        ranges: Vec<(u32, u32)>,
        count: Option<usize>,
    ) -> Refusable<Moved> {
        self.write(Touches::from([crossing.to.0, crossing.from.0]), move |tx| {
            let (crossing, ranges) = (crossing.clone(), ranges.clone());
            Box::pin(async move {
                let copied = tx.copy_across(&crossing, &ranges, count).await?;
                if let Ok(copied) = &copied {
                    tx.tell_copied(&crossing, copied).await?;
                }
                Ok(copied)
            })
        })
        .await
    }

    /// Moves messages to another mailbox, whose quota is asked. With `count`, exactly so many or none.
    pub async fn move_across(
        &self,
        crossing: Crossing,
        ranges: Vec<(u32, u32)>,
        count: Option<usize>,
    ) -> Refusable<Moved> {
        self.write(Touches::from([crossing.to.0, crossing.from.0]), move |tx| {
            let (crossing, ranges) = (crossing.clone(), ranges.clone());
            Box::pin(async move {
                let moved = tx.copy_across(&crossing, &ranges, count).await?;
                if let Ok(moved) = &moved {
                    let (mailbox, folder) = crossing.from;
                    // The same that were copied: nobody else writes in the folder meanwhile.
                    tx.remove(mailbox, folder, &ranges, false).await?;
                    let touched = moved.uids.iter().map(|(uid, _)| uid.0).collect();
                    let facts = format!(" to={}", crossing.to.1);
                    tx.tell_messages(mailbox, folder, "message.changed", &touched, &facts).await?;
                    if crossing.is_across() {
                        tx.tell_added(&crossing, moved).await?;
                    }
                }
                Ok(moved)
            })
        })
        .await
    }
}

impl WriteTx {
    /// What was copied out of a mailbox, and into one.
    async fn tell_copied(&mut self, crossing: &Crossing, copied: &Moved) -> Result<(), Error> {
        if crossing.is_across() {
            let (mailbox, folder) = crossing.from;
            let touched = copied.uids.iter().map(|(from, _)| from.0).collect();
            let facts = format!(" to={}", crossing.to.1);
            self.tell_messages(mailbox, folder, "message.copied", &touched, &facts).await?;
        }
        self.tell_added(crossing, copied).await
    }

    async fn tell_added(&mut self, crossing: &Crossing, added: &Moved) -> Result<(), Error> {
        let (mailbox, folder) = crossing.to;
        let touched = added.uids.iter().map(|(_, to)| to.0).collect();
        self.tell_messages(mailbox, folder, "message.added", &touched, &format!(" from={}", crossing.from.1))
            .await
    }

    async fn copy_across(
        &mut self,
        crossing: &Crossing,
        ranges: &Ranges,
        count: Option<usize>,
    ) -> Refusable<Moved> {
        let modes = if crossing.is_across() {
            (self.seen_mode(crossing.from.1).await?, self.seen_mode(crossing.to.1).await?)
        } else {
            let mode = self.settle_seen(crossing.from.1, ranges).await?;
            (mode, mode)
        };
        let mut sources = self.sources(crossing.from.1, ranges).await?;
        if count.is_some_and(|count| count != sources.len()) {
            return Ok(Err(Refusal::Incomplete));
        }
        let size: i64 = sources.iter().map(|source| source.size).sum();
        if !self.fits(crossing.to.0, sources.len(), size).await? {
            return Ok(Err(Refusal::OverQuota));
        }
        let seen = self.pack(crossing, modes, &mut sources).await?;
        let moved = self.place_copies(crossing.from, crossing.to, &sources, crossing.keys.as_ref()).await?;
        if let Ok(moved) = &moved
            && crossing.is_across()
            && modes.1 == SeenMode::Apart
        {
            let copies = moved.uids.iter().filter(|(from, _)| seen.contains(&i64::from(from.0)));
            let copies: Vec<i64> = copies.map(|(_, to)| i64::from(to.0)).collect();
            self.set_private_seen(crossing.to.1, crossing.actor, &copies, true, None).await?;
        }
        Ok(moved)
    }

    /// Takes off what does not go along. Returns which of the messages whoever copies has seen, when the mailboxes are two.
    async fn pack(
        &mut self,
        crossing: &Crossing,
        (from, to): (SeenMode, SeenMode),
        sources: &mut [Source],
    ) -> Result<HashSet<i64>, Error> {
        let seen_bit = i64::from(SystemFlags::SEEN.0);
        let private = if crossing.is_across() && from != SeenMode::Shared {
            Some(self.seen_by(crossing.from.1, crossing.actor, sources).await?)
        } else {
            None
        };
        // What all had seen before each had their own stays so in the copy, whoever makes it.
        let kept = if from == SeenMode::Apart && !crossing.is_across() { seen_bit } else { 0 };
        let mut seen = HashSet::new();
        for source in sources {
            if let Some(private) = &private {
                let is_seen = private.contains(&source.uid);
                source.flags = if is_seen { source.flags | seen_bit } else { source.flags & !seen_bit };
            }
            source.flags &= i64::from(crossing.flags.0) | kept;
            if !crossing.keywords {
                source.keywords = 0;
            }
            if crossing.is_across() && source.flags & seen_bit != 0 {
                seen.insert(source.uid);
                // Seen by one reader is not seen by all.
                if to == SeenMode::Apart {
                    source.flags &= !seen_bit;
                }
            }
        }
        Ok(seen)
    }

    async fn seen_by(
        &mut self,
        folder: FolderId,
        actor: ActorId,
        sources: &[Source],
    ) -> Result<HashSet<i64>, Error> {
        let (Some(first), Some(last)) = (sources.first(), sources.last()) else { return Ok(HashSet::new()) };
        let rows: Vec<(i64,)> = on!(self.conn(), c => sqlx::query_as(
            "SELECT m.uid FROM messages m LEFT JOIN seen s ON s.folder_id = m.folder_id AND s.actor_id = $2 AND s.uid = m.uid \
             WHERE m.folder_id = $1 AND m.uid BETWEEN $3 AND $4 AND COALESCE(s.is_set, m.flags & 1) = 1")
            .bind(folder.0).bind(actor.0).bind(first.uid.min(last.uid)).bind(last.uid.max(first.uid)).fetch_all(&mut *c).await)?;
        Ok(rows.into_iter().map(|(uid,)| uid).collect())
    }
}
