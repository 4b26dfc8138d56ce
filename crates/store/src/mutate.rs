//! Changing a folder: STORE, EXPUNGE, COPY, MOVE, APPEND. Each is one unit of work; its counters change with it.

use crate::accept::Placement;
use crate::dialect::on;
use crate::messages::body_id;
use crate::writer::WriteTx;
use crate::{Appended, Error, MailboxKey, SealedBody, Store};
use mail_types::{ActorId, FolderId, MailboxId, ModSeq, SystemFlags, Timestamp, Uid};
use std::sync::Arc;

/// Keywords that one folder may have. More are refused by STORE and left out by COPY and APPEND: callers ask first.
pub const KEYWORDS_MAX: usize = 63;
const SEEN: i64 = SystemFlags::SEEN.0 as i64;
const DELETED: i64 = SystemFlags::DELETED.0 as i64;

/// What STORE does with the flags named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagAction {
    /// `FLAGS`
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

/// A message after STORE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlagChange {
    /// UID.
    pub uid: Uid,
    /// System flags.
    pub flags: SystemFlags,
    /// Keywords.
    pub keywords: u64,
    /// Modification sequence.
    pub modseq: ModSeq,
}

/// Pairs of (source UID, new UID), by source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Validity of the target folder's UIDs.
    pub uid_validity: u32,
    /// Source and new UID of each message.
    pub uids: Vec<(Uid, Uid)>,
    /// The quota of the target mailbox does not allow it; nothing was done.
    pub is_over_quota: bool,
    /// Not as many messages were there as the caller asked for; nothing was done.
    pub is_incomplete: bool,
}

/// A UID with its (flags, keywords) before and after.
type PlannedFlags = (i64, (i64, i64), (i64, i64));
/// uid, body_id, wrapped_key, size_bytes, internal_date_ms, flags, keywords
type SourceTuple = (i64, Vec<u8>, Vec<u8>, i64, i64, i64, i64);
/// Closed ranges of UIDs, sorted, not overlapping.
type Ranges = Vec<(u32, u32)>;

impl Store {
    /// Changes flags of the messages in `ranges`; messages that already have them are not touched and not returned.
    pub async fn store_flags(
        &self,
        folder: FolderId,
        private_seen_of: Option<ActorId>,
        ranges: Vec<(u32, u32)>,
        action: FlagAction,
        flags: SystemFlags,
        keywords: Vec<String>,
    ) -> Result<Option<Vec<FlagChange>>, Error> {
        self.write(move |tx| {
            let (ranges, keywords) = (ranges.clone(), keywords.clone());
            Box::pin(async move {
                tx.store_flags(folder, private_seen_of, &ranges, action, flags, &keywords).await
            })
        })
        .await
    }

    /// Removes messages marked `\Deleted`, all or those in `ranges`.
    pub async fn expunge(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        ranges: Option<Vec<(u32, u32)>>,
    ) -> Result<(), Error> {
        self.write(move |tx| {
            let ranges = ranges.clone();
            Box::pin(async move {
                let ranges = ranges.unwrap_or_else(|| vec![(1, u32::MAX)]);
                tx.remove(mailbox, folder, &ranges, true).await
            })
        })
        .await
    }

    /// Copies messages to a folder, of another mailbox where keys are given for both. With `count`, exactly so many or none.
    pub async fn copy(
        &self,
        from: (MailboxId, FolderId),
        to: (MailboxId, FolderId),
        ranges: Vec<(u32, u32)>,
        count: Option<usize>,
        keys: Option<(MailboxKey, MailboxKey)>,
    ) -> Result<Moved, Error> {
        self.write(move |tx| {
            let (ranges, keys) = (ranges.clone(), keys.clone());
            Box::pin(async move { tx.copy(from, to, &ranges, count, keys.as_ref()).await })
        })
        .await
    }

    /// Moves messages to another folder of the same mailbox. With `count`, exactly so many or none.
    pub async fn move_to(
        &self,
        mailbox: MailboxId,
        from: FolderId,
        to: FolderId,
        ranges: Vec<(u32, u32)>,
        count: Option<usize>,
    ) -> Result<Moved, Error> {
        self.write(move |tx| {
            let ranges = ranges.clone();
            Box::pin(async move { tx.move_messages(mailbox, from, to, Some(&ranges), count).await })
        })
        .await
    }

    /// Stores a message that a client brings. `None` when the quota does not allow it.
    pub async fn append(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        key: MailboxKey,
        body: SealedBody,
        flags: SystemFlags,
        keywords: Vec<String>,
        internal_date: Option<Timestamp>,
        private_seen_of: Option<ActorId>,
    ) -> Result<Option<Appended>, Error> {
        let body = Arc::new(body);
        self.write(move |tx| {
            let (body, key, keywords) = (body.clone(), key.clone(), keywords.clone());
            Box::pin(async move {
                let size = i64::try_from(body.size()).map_err(|_| Error::TooBig)?;
                if !tx.fits(mailbox, size).await? {
                    return Ok(None);
                }
                let keywords = tx.keyword_bits(folder, &keywords).await?.unwrap_or(0);
                let (shared, private) = match private_seen_of {
                    Some(actor) if flags.contains(SystemFlags::SEEN) => {
                        (flags.without(SystemFlags::SEEN), Some(actor))
                    }
                    _ => (flags, None),
                };
                tx.insert_body(&body).await?;
                let internal_date = internal_date.unwrap_or(tx.now);
                let wrapped_key = key.wrap(body.id(), body.key());
                let placement = Placement {
                    mailbox,
                    folder,
                    body: body.id(),
                    wrapped_key,
                    size,
                    internal_date,
                    flags: shared,
                    keywords,
                };
                let appended = tx.place(&placement).await?;
                if let Some(actor) = private {
                    let uid = i64::from(appended.uid.0);
                    let modseq = i64::try_from(appended.modseq.0).unwrap_or(i64::MAX);
                    tx.set_private_seen(folder, actor, &[uid], true, modseq).await?;
                }
                Ok(Some(appended))
            })
        })
        .await
    }
}

impl WriteTx {
    async fn store_flags(
        &mut self,
        folder: FolderId,
        private_seen_of: Option<ActorId>,
        ranges: &Ranges,
        action: FlagAction,
        flags: SystemFlags,
        keywords: &[String],
    ) -> Result<Option<Vec<FlagChange>>, Error> {
        let Some(bits) = (match action {
            FlagAction::Remove => Some(self.known_keyword_bits(folder, keywords).await?),
            FlagAction::Replace | FlagAction::Add => self.keyword_bits(folder, keywords).await?,
        }) else {
            return Ok(None);
        };
        let wanted = (i64::from(flags.0), bits);
        let mut plan = Vec::new();
        for &(first, last) in ranges {
            for (uid, old_flags, old_keywords) in self.flag_rows(folder, private_seen_of, first, last).await?
            {
                let new = apply(action, (old_flags, old_keywords), wanted);
                if new != (old_flags, old_keywords) {
                    plan.push((uid, (old_flags, old_keywords), new));
                }
            }
        }
        if plan.is_empty() {
            return Ok(Some(Vec::new()));
        }
        self.write_flags(folder, private_seen_of, &plan).await.map(Some)
    }

    async fn flag_rows(
        &mut self,
        folder: FolderId,
        private_seen_of: Option<ActorId>,
        first: u32,
        last: u32,
    ) -> Result<Vec<(i64, i64, i64)>, Error> {
        let (first, last) = (i64::from(first), i64::from(last));
        let rows = match private_seen_of {
            None => on!(self.conn(), c => sqlx::query_as(
                "SELECT uid, flags, keywords FROM messages WHERE folder_id = $1 AND uid BETWEEN $2 AND $3 ORDER BY uid")
                .bind(folder.0).bind(first).bind(last).fetch_all(&mut *c).await)?,
            Some(actor) => on!(self.conn(), c => sqlx::query_as(
                "SELECT m.uid, (m.flags & ~1) | COALESCE(s.is_set, 0), m.keywords FROM messages m \
                 LEFT JOIN seen s ON s.folder_id = m.folder_id AND s.actor_id = $4 AND s.uid = m.uid \
                 WHERE m.folder_id = $1 AND m.uid BETWEEN $2 AND $3 ORDER BY m.uid")
                .bind(folder.0).bind(first).bind(last).bind(actor.0).fetch_all(&mut *c).await)?,
        };
        Ok(rows)
    }

    async fn write_flags(
        &mut self,
        folder: FolderId,
        private_seen_of: Option<ActorId>,
        plan: &[PlannedFlags],
    ) -> Result<Vec<FlagChange>, Error> {
        let modseq = self.next_modseq(folder).await?;
        let delta = |bit: i64| {
            plan.iter()
                .map(|(_, old, new)| i64::from(new.0 & bit != 0) - i64::from(old.0 & bit != 0))
                .sum::<i64>()
        };
        let seen_delta = if private_seen_of.is_some() { 0 } else { delta(SEEN) };
        on!(self.conn(), c => sqlx::query("UPDATE folders SET seen_count = seen_count + $2, deleted_count = deleted_count + $3 WHERE id = $1")
            .bind(folder.0).bind(seen_delta).bind(delta(DELETED)).execute(&mut *c).await.map(|_| ()))?;
        // A shared `\Seen` that came with the message stays as it is, and stays counted, where actors have their own.
        let kept = if private_seen_of.is_some() { SEEN } else { 0 };
        for &(uid, old, new) in plan {
            if private_seen_of.is_some() && (old.0 & !SEEN, old.1) == (new.0 & !SEEN, new.1) {
                continue;
            }
            on!(self.conn(), c => sqlx::query("UPDATE messages SET flags = (flags & $6) | $3, keywords = $4, modseq = $5 WHERE folder_id = $1 AND uid = $2")
                .bind(folder.0).bind(uid).bind(new.0 & !kept).bind(new.1).bind(modseq).bind(kept).execute(&mut *c).await.map(|_| ()))?;
        }
        if let Some(actor) = private_seen_of {
            for is_set in [true, false] {
                let uids: Vec<i64> = plan
                    .iter()
                    .filter(|(_, old, new)| (old.0 ^ new.0) & SEEN != 0 && (new.0 & SEEN != 0) == is_set)
                    .map(|(uid, ..)| *uid)
                    .collect();
                self.set_private_seen(folder, actor, &uids, is_set, modseq).await?;
            }
        }
        self.changed(folder);
        Ok(plan
            .iter()
            .map(|&(uid, _, new)| FlagChange {
                uid: Uid(u32::try_from(uid).unwrap_or(u32::MAX)),
                flags: SystemFlags(u32::try_from(new.0).unwrap_or(0)),
                keywords: new.1.unsigned_abs(),
                modseq: ModSeq(modseq.unsigned_abs()),
            })
            .collect())
    }

    async fn set_private_seen(
        &mut self,
        folder: FolderId,
        actor: ActorId,
        uids: &[i64],
        is_set: bool,
        modseq: i64,
    ) -> Result<(), Error> {
        for uid in uids {
            on!(self.conn(), c => sqlx::query(
                "INSERT INTO seen (folder_id, actor_id, uid, is_set, modseq) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT (folder_id, actor_id, uid) DO UPDATE SET is_set = excluded.is_set, modseq = excluded.modseq")
                .bind(folder.0).bind(actor.0).bind(uid).bind(i64::from(is_set)).bind(modseq).execute(&mut *c).await.map(|_| ()))?;
        }
        if !uids.is_empty() {
            let count = i64::try_from(uids.len()).unwrap_or(i64::MAX);
            let delta = if is_set { count } else { -count };
            on!(self.conn(), c => sqlx::query(
                "INSERT INTO seen_counts (folder_id, actor_id, seen_count) VALUES ($1, $2, $3) \
                 ON CONFLICT (folder_id, actor_id) DO UPDATE SET seen_count = seen_counts.seen_count + excluded.seen_count")
                .bind(folder.0).bind(actor.0).bind(delta).execute(&mut *c).await.map(|_| ()))?;
        }
        Ok(())
    }

    async fn next_modseq(&mut self, folder: FolderId) -> Result<i64, Error> {
        let row: Option<(i64,)> = on!(self.conn(), c => sqlx::query_as("UPDATE folders SET modseq = modseq + 1 WHERE id = $1 RETURNING modseq")
            .bind(folder.0).fetch_optional(&mut *c).await)?;
        row.map(|(modseq,)| modseq).ok_or(Error::Inconsistent("the folder is gone"))
    }

    /// Bits of keywords that the folder already has; others are left out.
    async fn known_keyword_bits(&mut self, folder: FolderId, names: &[String]) -> Result<i64, Error> {
        let known = self.keyword_names(folder).await?;
        Ok(names
            .iter()
            .filter_map(|name| known.iter().position(|k| k.eq_ignore_ascii_case(name)))
            .fold(0, |bits, bit| bits | 1 << bit))
    }

    async fn keyword_names(&mut self, folder: FolderId) -> Result<Vec<String>, Error> {
        let rows: Vec<(i64, String)> = on!(self.conn(), c => sqlx::query_as(
            "SELECT bit, name FROM folder_keywords WHERE folder_id = $1 ORDER BY bit").bind(folder.0).fetch_all(&mut *c).await)?;
        Ok(rows.into_iter().map(|(_, name)| name).collect())
    }

    /// Bits of keywords, new ones added to the folder; `None` when it has no room for them.
    async fn keyword_bits(&mut self, folder: FolderId, names: &[String]) -> Result<Option<i64>, Error> {
        if names.is_empty() {
            return Ok(Some(0));
        }
        let mut known = self.keyword_names(folder).await?;
        let first_new = known.len();
        let mut bits = 0i64;
        for name in names {
            let bit = known.iter().position(|k| k.eq_ignore_ascii_case(name)).unwrap_or(known.len());
            if bit >= KEYWORDS_MAX {
                return Ok(None);
            }
            if bit == known.len() {
                known.push(name.clone());
            }
            bits |= 1 << bit;
        }
        for (bit, name) in known.iter().enumerate().skip(first_new) {
            on!(self.conn(), c => sqlx::query("INSERT INTO folder_keywords (folder_id, bit, name) VALUES ($1, $2, $3)")
                .bind(folder.0).bind(i64::try_from(bit).unwrap_or(0)).bind(name).execute(&mut *c).await.map(|_| ()))?;
        }
        Ok(Some(bits))
    }

    /// Removes every message of a folder.
    pub(crate) async fn empty_folder(&mut self, mailbox: MailboxId, folder: FolderId) -> Result<(), Error> {
        self.remove(mailbox, folder, &vec![(1, u32::MAX)], false).await
    }

    /// Removes messages in `ranges`, all or only those marked `\Deleted`, and leaves their UIDs in the expunged log.
    async fn remove(
        &mut self,
        mailbox: MailboxId,
        folder: FolderId,
        ranges: &Ranges,
        only_deleted: bool,
    ) -> Result<(), Error> {
        let mask = if only_deleted { DELETED } else { 0 };
        let mut modseq = None;
        for &(first, last) in ranges {
            let (first, last) = (i64::from(first), i64::from(last));
            let (count, size, seen, deleted): (i64, i64, i64, i64) = on!(self.conn(), c => sqlx::query_as(
                "SELECT COUNT(*), CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT), CAST(COALESCE(SUM(flags & 1), 0) AS BIGINT), \
                 CAST(COALESCE(SUM((flags & 8) / 8), 0) AS BIGINT) FROM messages \
                 WHERE folder_id = $1 AND uid BETWEEN $2 AND $3 AND (flags & $4) = $4")
                .bind(folder.0).bind(first).bind(last).bind(mask).fetch_one(&mut *c).await)?;
            if count == 0 {
                continue;
            }
            let modseq = match modseq {
                Some(modseq) => modseq,
                None => *modseq.insert(self.next_modseq(folder).await?),
            };
            let now = self.now.0;
            on!(self.conn(), c => sqlx::query(
                "INSERT INTO expunged (folder_id, modseq, uid) SELECT folder_id, $5, uid FROM messages WHERE folder_id = $1 AND uid BETWEEN $2 AND $3 AND (flags & $4) = $4")
                .bind(folder.0).bind(first).bind(last).bind(mask).bind(modseq).execute(&mut *c).await.map(|_| ()))?;
            on!(self.conn(), c => sqlx::query(
                "INSERT INTO released_bodies (body_id, released_at_ms) SELECT DISTINCT body_id, $5 FROM messages \
                 WHERE folder_id = $1 AND uid BETWEEN $2 AND $3 AND (flags & $4) = $4 ON CONFLICT DO NOTHING")
                .bind(folder.0).bind(first).bind(last).bind(mask).bind(now).execute(&mut *c).await.map(|_| ()))?;
            on!(self.conn(), c => sqlx::query("DELETE FROM messages WHERE folder_id = $1 AND uid BETWEEN $2 AND $3 AND (flags & $4) = $4")
                .bind(folder.0).bind(first).bind(last).bind(mask).execute(&mut *c).await.map(|_| ()))?;
            on!(self.conn(), c => sqlx::query(
                "UPDATE folders SET message_count = message_count - $2, size_bytes = size_bytes - $3, seen_count = seen_count - $4, deleted_count = deleted_count - $5 WHERE id = $1")
                .bind(folder.0).bind(count).bind(size).bind(seen).bind(deleted).execute(&mut *c).await.map(|_| ()))?;
            self.count_usage(mailbox, -size, -count).await?;
        }
        if modseq.is_some() {
            self.forget_private_seen(folder).await?;
            self.changed(folder);
        }
        Ok(())
    }

    async fn forget_private_seen(&mut self, folder: FolderId) -> Result<(), Error> {
        let gone = on!(self.conn(), c => sqlx::query(
            "DELETE FROM seen WHERE folder_id = $1 AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.folder_id = seen.folder_id AND m.uid = seen.uid)")
            .bind(folder.0).execute(&mut *c).await.map(|r| r.rows_affected()))?;
        if gone > 0 {
            on!(self.conn(), c => sqlx::query(
                "UPDATE seen_counts SET seen_count = (SELECT COUNT(*) FROM seen s WHERE s.folder_id = seen_counts.folder_id \
                 AND s.actor_id = seen_counts.actor_id AND s.is_set = 1) WHERE folder_id = $1")
                .bind(folder.0).execute(&mut *c).await.map(|_| ()))?;
        }
        Ok(())
    }

    /// Whether `bytes` more fit the quota of a mailbox.
    async fn fits(&mut self, mailbox: MailboxId, bytes: i64) -> Result<bool, Error> {
        let (quota, used): (i64, i64) = on!(self.conn(), c => sqlx::query_as("SELECT quota_bytes, used_bytes FROM mailboxes WHERE id = $1")
            .bind(mailbox.0).fetch_one(&mut *c).await)?;
        Ok(used.saturating_add(bytes) <= quota)
    }

    async fn copy(
        &mut self,
        from: (MailboxId, FolderId),
        to: (MailboxId, FolderId),
        ranges: &Ranges,
        count: Option<usize>,
        keys: Option<&(MailboxKey, MailboxKey)>,
    ) -> Result<Moved, Error> {
        let sources = self.copy_sources(from.1, ranges).await?;
        if count.is_some_and(|count| count != sources.len()) {
            return Ok(Moved { is_incomplete: true, ..Moved::default() });
        }
        let size: i64 = sources.iter().map(|source| source.size).sum();
        if !self.fits(to.0, size).await? {
            return Ok(Moved { is_over_quota: true, ..Moved::default() });
        }
        self.place_copies(from, to, sources, keys).await
    }

    async fn place_copies(
        &mut self,
        from: (MailboxId, FolderId),
        to: (MailboxId, FolderId),
        sources: Vec<CopySource>,
        keys: Option<&(MailboxKey, MailboxKey)>,
    ) -> Result<Moved, Error> {
        let names = self.keyword_names(from.1).await?;
        // Another mailbox has other actors.
        let seen_by = if from.0 == to.0 { self.seen_by(from.1, &sources).await? } else { Vec::new() };
        let mut moved = Moved::default();
        for source in sources {
            let body = body_id(&source.body)?;
            let wrapped_key = match keys {
                Some((from_key, to_key)) => to_key.wrap(body, &from_key.unwrap(body, &source.wrapped_key)?),
                None => source.wrapped_key,
            };
            let carried: Vec<String> = names
                .iter()
                .enumerate()
                .filter(|(bit, _)| source.keywords & (1 << bit) != 0)
                .map(|(_, name)| name.clone())
                .collect();
            let keywords = self.keyword_bits(to.1, &carried).await?.unwrap_or(0);
            let placement = Placement {
                mailbox: to.0,
                folder: to.1,
                body,
                wrapped_key,
                size: source.size,
                internal_date: Timestamp(source.internal_date),
                flags: SystemFlags(u32::try_from(source.flags).unwrap_or(0)),
                keywords,
            };
            let placed = self.place(&placement).await?;
            let modseq = i64::try_from(placed.modseq.0).unwrap_or(i64::MAX);
            let first = seen_by.partition_point(|(uid, _)| *uid < source.uid);
            for &(_, actor) in seen_by.iter().skip(first).take_while(|(uid, _)| *uid == source.uid) {
                self.set_private_seen(to.1, ActorId(actor), &[i64::from(placed.uid.0)], true, modseq).await?;
            }
            moved.uid_validity = placed.uid_validity.0;
            moved.uids.push((Uid(u32::try_from(source.uid).unwrap_or(u32::MAX)), placed.uid));
        }
        Ok(moved)
    }

    /// (UID, actor) of each private `\Seen` among `sources`, by UID.
    async fn seen_by(&mut self, folder: FolderId, sources: &[CopySource]) -> Result<Vec<(i64, i64)>, Error> {
        let (Some(first), Some(last)) = (sources.first(), sources.last()) else { return Ok(Vec::new()) };
        Ok(on!(self.conn(), c => sqlx::query_as(
            "SELECT uid, actor_id FROM seen WHERE folder_id = $1 AND uid BETWEEN $2 AND $3 AND is_set = 1 ORDER BY uid, actor_id")
            .bind(folder.0).bind(first.uid).bind(last.uid).fetch_all(&mut *c).await)?)
    }

    async fn copy_sources(&mut self, folder: FolderId, ranges: &Ranges) -> Result<Vec<CopySource>, Error> {
        let mut sources = Vec::new();
        for &(first, last) in ranges {
            let rows: Vec<SourceTuple> = on!(self.conn(), c => sqlx::query_as(
                "SELECT uid, body_id, wrapped_key, size_bytes, internal_date_ms, flags, keywords FROM messages \
                 WHERE folder_id = $1 AND uid BETWEEN $2 AND $3 ORDER BY uid")
                .bind(folder.0).bind(i64::from(first)).bind(i64::from(last)).fetch_all(&mut *c).await)?;
            sources.extend(rows.into_iter().map(
                |(uid, body, wrapped_key, size, internal_date, flags, keywords)| CopySource {
                    uid,
                    body,
                    wrapped_key,
                    size,
                    internal_date,
                    flags,
                    keywords,
                },
            ));
        }
        Ok(sources)
    }

    /// Moves messages (all of them without `ranges`) between folders of one mailbox: no quota is asked, nothing grows.
    pub(crate) async fn move_messages(
        &mut self,
        mailbox: MailboxId,
        from: FolderId,
        to: FolderId,
        ranges: Option<&Ranges>,
        count: Option<usize>,
    ) -> Result<Moved, Error> {
        let all = vec![(1, u32::MAX)];
        let ranges = ranges.unwrap_or(&all);
        let sources = self.copy_sources(from, ranges).await?;
        if count.is_some_and(|count| count != sources.len()) {
            return Ok(Moved { is_incomplete: true, ..Moved::default() });
        }
        let moved = self.place_copies((mailbox, from), (mailbox, to), sources, None).await?;
        // A range that ends in `*` must not reach the new copies when the target is the folder itself.
        let last = moved.uids.iter().map(|(uid, _)| uid.0).max().unwrap_or(0);
        let gone =
            ranges.iter().filter(|range| range.0 <= last).map(|range| (range.0, range.1.min(last))).collect();
        self.remove(mailbox, from, &gone, false).await?;
        Ok(moved)
    }
}

/// A message about to be copied.
struct CopySource {
    uid: i64,
    body: Vec<u8>,
    wrapped_key: Vec<u8>,
    size: i64,
    internal_date: i64,
    flags: i64,
    keywords: i64,
}

fn apply(action: FlagAction, old: (i64, i64), wanted: (i64, i64)) -> (i64, i64) {
    match action {
        FlagAction::Replace => wanted,
        FlagAction::Add => (old.0 | wanted.0, old.1 | wanted.1),
        FlagAction::Remove => (old.0 & !wanted.0, old.1 & !wanted.1),
    }
}
