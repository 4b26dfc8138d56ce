//! Messages that a client brings to a folder: APPEND of any number of them (RFC 3501, RFC 3502), and REPLACE (RFC 8508). One unit of work: all are
//! there, and what they replace is gone, or nothing was done.
//!
//! It does not know how their octets came.

use crate::dialect::on;
use crate::rows::{BodyRow, MessageEntry};
use crate::seen_mode::SeenMode;
use crate::told_changes::Touched;
use crate::transfer::{Refusable, uid};
use crate::writer::{Touches, WriteTx};
use crate::{Appended, Error, MailboxKey, Refusal, SealedBody, Store};
use mail_types::{ActorId, FolderId, MailboxId, ModSeq, SystemFlags, Timestamp, Uid};
use std::collections::HashMap;
use std::sync::Arc;

/// Messages for one folder.
#[derive(Debug)]
pub struct Append {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The folder.
    pub folder: FolderId,
    /// The opened key of the mailbox.
    pub key: MailboxKey,
    /// What it is to hold, in this order.
    pub messages: Vec<NewMessage>,
    /// Who brings them: they have seen what comes with `\Seen`, alone where the mailbox keeps it apart.
    pub actor: Option<ActorId>,
    /// The message that gives way to them.
    pub replaced: Option<Replaced>,
}

/// A message of an [`Append`].
#[derive(Debug)]
pub struct NewMessage {
    /// The body.
    pub body: SealedBody,
    /// System flags.
    pub flags: SystemFlags,
    /// Keywords.
    pub keywords: Vec<String>,
    /// INTERNALDATE; now, when it is not given.
    pub internal_date: Option<Timestamp>,
}

impl NewMessage {
    /// A message with no flags, that comes now.
    pub fn new(body: SealedBody) -> Self {
        Self { body, flags: SystemFlags::default(), keywords: Vec::new(), internal_date: None }
    }
}

/// A message that gives way to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The folder.
    pub folder: FolderId,
    /// Which message of it.
    pub uid: Uid,
}

impl Store {
    /// Stores the messages, and answers where each went after the commit. A message to be replaced that is gone is [`Refusal::Incomplete`].
    pub async fn append(&self, append: Append) -> Refusable<Vec<Appended>> {
        let (target, replaced) = (append.mailbox, append.replaced);
        let touches = match replaced {
            Some(replaced) if replaced.mailbox != target => Touches::from([target, replaced.mailbox]),
            _ => Touches::from(target),
        };
        let kib = append.messages.iter().map(|message| message.body.held_kib()).sum();
        let append = Arc::new(append);
        self.write_weighing(kib, touches, move |tx| {
            let append = append.clone();
            Box::pin(async move { tx.append(&append).await })
        })
        .await
    }
}

impl WriteTx {
    async fn append(&mut self, append: &Append) -> Refusable<Vec<Appended>> {
        if !self.folder_is_there(append.folder).await? {
            return Ok(Err(Refusal::NoFolder));
        }
        let mut freed = 0;
        if let Some(replaced) = append.replaced {
            let Some(size) = self.size_of(replaced).await? else { return Ok(Err(Refusal::Incomplete)) };
            freed = if replaced.mailbox == append.mailbox { size } else { 0 };
        }
        let size: u64 = append.messages.iter().map(|message| message.body.size()).sum();
        let size = i64::try_from(size).map_err(|_| Error::TooBig)?;
        if !self.fits(append.mailbox, append.messages.len() - usize::from(freed > 0), size - freed).await? {
            return Ok(Err(Refusal::OverQuota));
        }
        let Some(keywords) = self.keywords_of(append).await? else {
            return Ok(Err(Refusal::TooManyKeywords));
        };
        let is_apart = self.seen_mode(append.folder).await? == SeenMode::Apart;
        let seen_by = append.actor.filter(|_| is_apart);
        let mut entries = self.appended_entries(append, &keywords, seen_by.is_some())?;
        let bodies: Vec<_> = append.messages.iter().map(|message| BodyRow::of(&message.body)).collect();
        let uid_validity = self.place(&bodies, &mut entries).await?;
        if let Some(actor) = seen_by {
            self.note_private_seen(append, actor, &entries).await?;
        }
        let added = entries.iter().map(|entry| uid(entry.uid).0).collect();
        self.tell_messages(append.mailbox, append.folder, "message.added", &added, "").await?;
        if let Some(replaced) = append.replaced {
            self.give_way(replaced).await?;
        }
        let appended = entries.iter().map(|entry| Appended {
            uid_validity,
            uid: uid(entry.uid),
            modseq: ModSeq(entry.modseq.unsigned_abs()),
        });
        Ok(Ok(appended.collect()))
    }

    /// Octets of a message that is to give way, if it is still there.
    async fn size_of(&mut self, replaced: Replaced) -> Result<Option<i64>, Error> {
        let row: Option<(i64,)> = on!(self.conn(), c => sqlx::query_as(
            "SELECT size_bytes FROM messages WHERE folder_id = $1 AND uid = $2")
            .bind(replaced.folder.0).bind(i64::from(replaced.uid.0)).fetch_optional(&mut *c).await)?;
        Ok(row.map(|(size,)| size))
    }

    async fn give_way(&mut self, replaced: Replaced) -> Result<(), Error> {
        let Replaced { mailbox, folder, uid } = replaced;
        let count = self.remove(mailbox, folder, &vec![(uid.0, uid.0)], false).await?;
        let touched = Touched::counted(count, vec![uid.0]);
        self.tell_messages(mailbox, folder, "message.removed", &touched, " replaced=1").await
    }

    /// The bits of each set of keywords; `None` when the folder has no room for them.
    async fn keywords_of<'a>(
        &mut self,
        append: &'a Append,
    ) -> Result<Option<HashMap<&'a [String], i64>>, Error> {
        let mut bits = HashMap::from([(&[] as &[String], 0)]);
        // All at once first: a refusal must come before the first new keyword is written.
        let mut all: Vec<String> =
            append.messages.iter().flat_map(|message| message.keywords.clone()).collect();
        all.sort_by_key(|word| word.to_ascii_lowercase());
        all.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
        if all.is_empty() {
            return Ok(Some(bits));
        }
        if self.keyword_bits(append.folder, &all).await?.is_none() {
            return Ok(None);
        }
        for message in &append.messages {
            if !bits.contains_key(message.keywords.as_slice()) {
                let Some(found) = self.keyword_bits(append.folder, &message.keywords).await? else {
                    return Ok(None);
                };
                bits.insert(&message.keywords, found);
            }
        }
        Ok(Some(bits))
    }

    fn appended_entries<'a>(
        &self,
        append: &'a Append,
        keywords: &HashMap<&[String], i64>,
        is_private: bool,
    ) -> Result<Vec<MessageEntry<'a>>, Error> {
        let entry = |message: &'a NewMessage| {
            let body = &message.body;
            let flags = if is_private { message.flags.without(SystemFlags::SEEN) } else { message.flags };
            Ok(MessageEntry {
                mailbox: append.mailbox,
                folder: append.folder,
                body: &body.id.0,
                wrapped_key: append.key.wrap(body.id(), body.key()).into(),
                size: i64::try_from(body.size()).map_err(|_| Error::TooBig)?,
                internal_date: message.internal_date.unwrap_or(self.now),
                flags,
                keywords: keywords.get(message.keywords.as_slice()).copied().unwrap_or(0),
                uid: 0,
                modseq: 0,
            })
        };
        append.messages.iter().map(entry).collect()
    }

    async fn note_private_seen(
        &mut self,
        append: &Append,
        actor: ActorId,
        entries: &[MessageEntry<'_>],
    ) -> Result<(), Error> {
        let seen = append.messages.iter().zip(entries);
        let seen = seen.filter(|(message, _)| message.flags.contains(SystemFlags::SEEN));
        let uids: Vec<i64> = seen.map(|(_, entry)| entry.uid).collect();
        if uids.is_empty() {
            return Ok(());
        }
        self.set_private_seen(append.folder, actor, &uids, true, None).await
    }
}
