//! STORE: flags, keywords and the `\Seen` that each actor has apart. One unit of work; the folder's counters change with it.

use crate::dialect::{Conn, answered, on};
use crate::writer::{Touches, WriteTx};
use crate::{Error, Store};
use mail_types::{ActorId, FolderId, ModSeq, SystemFlags, Uid};
use std::collections::BTreeMap;

/// Keywords that one folder may have; a message that would bring more is refused.
pub const KEYWORDS_MAX: usize = 63;
const SEEN: i64 = SystemFlags::SEEN.0 as i64;
pub(crate) const DELETED: i64 = SystemFlags::DELETED.0 as i64;

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
    /// Only what one reader alone has seen of it changed.
    pub is_private: bool,
}

/// What STORE asks of the messages that it names.
#[derive(Clone, Debug)]
pub struct FlagStore {
    /// What to do with the flags.
    pub action: FlagAction,
    /// System flags.
    pub flags: SystemFlags,
    /// Keywords.
    pub keywords: Vec<String>,
    /// The system flags that may change; others stay as they are, also when replacing.
    pub changeable: SystemFlags,
    /// Whether keywords may change.
    pub changes_keywords: bool,
    /// Messages with a larger modification sequence are left alone (RFC 7162 §3.1.3 UNCHANGEDSINCE).
    pub unchanged_since: Option<ModSeq>,
}

/// What became of a STORE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlagsStored {
    /// Messages that were changed.
    pub changes: Vec<FlagChange>,
    /// Messages that were left alone because they had changed since, by UID.
    pub modified: Vec<Uid>,
}

/// A UID with its flags, keywords and modification sequence.
type FlagRow = (i64, i64, i64, i64);
/// A UID with its (flags, keywords) before and after.
type PlannedFlags = (i64, (i64, i64), (i64, i64));
/// Closed ranges of UIDs, sorted, not overlapping.
pub(crate) type Ranges = Vec<(u32, u32)>;

impl Store {
    /// Changes flags of the messages in `ranges`; messages that already have them are not touched and not returned. `\Seen` is the actor's alone where the
    /// mailbox keeps it apart, as it does when it is written.
    pub async fn store_flags(
        &self,
        folder: FolderId,
        actor: Option<ActorId>,
        ranges: Vec<(u32, u32)>,
        action: FlagAction,
        flags: SystemFlags,
        keywords: Vec<String>,
    ) -> Result<Option<Vec<FlagChange>>, Error> {
        let asked = FlagStore::any(action, flags, keywords);
        let stored = self.store_flags_if(folder, actor, ranges, asked).await?;
        Ok(stored.map(|stored| stored.changes))
    }

    /// The same, within what may change and of messages that did not change since. Whether one did is decided where it is written. `None` when
    /// the folder has no room for the keywords.
    pub async fn store_flags_if(
        &self,
        folder: FolderId,
        actor: Option<ActorId>,
        ranges: Vec<(u32, u32)>,
        asked: FlagStore,
    ) -> Result<Option<FlagsStored>, Error> {
        self.write(Touches::from(folder), move |tx| {
            let (ranges, asked) = (ranges.clone(), asked.clone());
            Box::pin(async move {
                let stored = tx.store_flags(folder, actor, &ranges, &asked).await?;
                if let Some(stored) = &stored {
                    tx.tell_flags(folder, &stored.changes, &asked).await?;
                }
                Ok(stored)
            })
        })
        .await
    }
}

impl FlagStore {
    /// Any flag and keyword, whatever changed before.
    pub fn any(action: FlagAction, flags: SystemFlags, keywords: Vec<String>) -> Self {
        let changeable =
            SystemFlags::NAMES.into_iter().fold(SystemFlags::default(), |all, (flag, _)| all.union(flag));
        Self { action, flags, keywords, changeable, changes_keywords: true, unchanged_since: None }
    }

    /// What flags and keywords become; `named` are the bits of the keywords named.
    pub fn applied(&self, (flags, keywords): (SystemFlags, u64), named: u64) -> (SystemFlags, u64) {
        let within = if self.changes_keywords { u64::MAX } else { 0 };
        let (wanted, named) = (SystemFlags(self.flags.0 & self.changeable.0), named & within);
        match self.action {
            FlagAction::Replace => {
                (flags.without(self.changeable).union(wanted), (keywords & !within) | named)
            }
            FlagAction::Add => (flags.union(wanted), keywords | named),
            FlagAction::Remove => (flags.without(wanted), keywords & !named),
        }
    }

    fn planned(&self, (flags, keywords): (i64, i64), named: i64) -> (i64, i64) {
        let old = (SystemFlags(u32::try_from(flags).unwrap_or(0)), keywords.unsigned_abs());
        let (flags, keywords) = self.applied(old, named.unsigned_abs());
        (i64::from(flags.0), i64::try_from(keywords).unwrap_or(i64::MAX))
    }
}

impl WriteTx {
    pub(crate) async fn store_flags(
        &mut self,
        folder: FolderId,
        actor: Option<ActorId>,
        ranges: &Ranges,
        asked: &FlagStore,
    ) -> Result<Option<FlagsStored>, Error> {
        let private_seen_of = self.seen_apart_of(folder, actor, ranges).await?;
        let Some(bits) = (match asked.action {
            FlagAction::Remove => Some(self.known_keyword_bits(folder, &asked.keywords).await?),
            FlagAction::Replace | FlagAction::Add => self.keyword_bits(folder, &asked.keywords).await?,
        }) else {
            return Ok(None);
        };
        let limit =
            asked.unchanged_since.map_or(i64::MAX, |since| i64::try_from(since.0).unwrap_or(i64::MAX));
        let mut plan = Vec::new();
        let mut stored = FlagsStored::default();
        for &(first, last) in ranges {
            for (uid, old_flags, old_keywords, modseq) in
                self.flag_rows(folder, private_seen_of, first, last).await?
            {
                let old = (old_flags, old_keywords);
                let new = asked.planned(old, bits);
                if modseq > limit {
                    stored.modified.push(Uid(u32::try_from(uid).unwrap_or(u32::MAX)));
                } else if new != old {
                    plan.push((uid, old, new));
                }
            }
        }
        if !plan.is_empty() {
            stored.changes = self.write_flags(folder, private_seen_of, &plan).await?;
        }
        Ok(Some(stored))
    }

    async fn flag_rows(
        &mut self,
        folder: FolderId,
        private_seen_of: Option<ActorId>,
        first: u32,
        last: u32,
    ) -> Result<Vec<FlagRow>, Error> {
        let (first, last) = (i64::from(first), i64::from(last));
        let rows = match private_seen_of {
            None => on!(self.conn(), c => sqlx::query_as(
                "SELECT uid, flags, keywords, modseq FROM messages WHERE folder_id = $1 AND uid BETWEEN $2 AND $3 ORDER BY uid")
                .bind(folder.0).bind(first).bind(last).fetch_all(&mut *c).await)?,
            Some(actor) => on!(self.conn(), c => sqlx::query_as(
                "SELECT m.uid, (m.flags & ~1) | COALESCE(s.is_set, m.flags & 1), m.keywords, CASE WHEN s.modseq > m.modseq THEN s.modseq ELSE m.modseq END FROM messages m \
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
        let delta = |bit: i64| {
            plan.iter()
                .map(|(_, old, new)| i64::from(new.0 & bit != 0) - i64::from(old.0 & bit != 0))
                .sum::<i64>()
        };
        let seen_delta = if private_seen_of.is_some() { 0 } else { delta(SEEN) };
        let modseq = self.next_modseq_counting(folder, seen_delta, delta(DELETED)).await?;
        self.update_flags(folder, private_seen_of.is_some(), plan, modseq).await?;
        if let Some(actor) = private_seen_of {
            for is_set in [true, false] {
                let uids: Vec<i64> = plan
                    .iter()
                    .filter(|(_, old, new)| (old.0 ^ new.0) & SEEN != 0 && (new.0 & SEEN != 0) == is_set)
                    .map(|(uid, ..)| *uid)
                    .collect();
                self.set_private_seen(folder, actor, &uids, is_set, Some(modseq)).await?;
            }
        }
        self.changed(folder);
        Ok(plan
            .iter()
            .map(|&(uid, old, new)| FlagChange {
                uid: Uid(u32::try_from(uid).unwrap_or(u32::MAX)),
                flags: SystemFlags(u32::try_from(new.0).unwrap_or(0)),
                keywords: new.1.unsigned_abs(),
                modseq: ModSeq(modseq.unsigned_abs()),
                is_private: private_seen_of.is_some() && is_only_seen(old, new),
            })
            .collect())
    }

    /// One statement for each set of flags that messages come to have. A shared `\Seen` that came with a message stays as it is, and stays
    /// counted, where actors have their own.
    async fn update_flags(
        &mut self,
        folder: FolderId,
        is_seen_private: bool,
        plan: &[PlannedFlags],
        modseq: i64,
    ) -> Result<(), Error> {
        let kept = if is_seen_private { SEEN } else { 0 };
        let mut by_flags: BTreeMap<(i64, i64), Vec<i64>> = BTreeMap::new();
        for &(uid, old, new) in plan {
            if !(is_seen_private && is_only_seen(old, new)) {
                by_flags.entry((new.0 & !kept, new.1)).or_default().push(uid);
            }
        }
        for ((flags, keywords), uids) in by_flags {
            match self.conn() {
                Conn::Sqlite(c) => sqlx::query(
                    "UPDATE messages SET flags = (flags & $4) | $2, keywords = $3, modseq = $5 WHERE folder_id = $1 AND uid IN (SELECT value FROM json_each($6))")
                    .bind(folder.0).bind(flags).bind(keywords).bind(kept).bind(modseq).bind(json_list(&uids)).execute(c).await.map(|_| ())?,
                Conn::Postgres(c, is_stuck) => answered(is_stuck, sqlx::query(
                    "UPDATE messages SET flags = (flags & $4) | $2, keywords = $3, modseq = $5 WHERE folder_id = $1 AND uid = ANY($6)")
                    .bind(folder.0).bind(flags).bind(keywords).bind(kept).bind(modseq).bind(uids).execute(c)).await.map(|_| ())?,
            }
        }
        Ok(())
    }

    /// Notes what an actor has seen of messages whose state was the other one, under `modseq` or each message's own.
    pub(crate) async fn set_private_seen(
        &mut self,
        folder: FolderId,
        actor: ActorId,
        uids: &[i64],
        is_set: bool,
        modseq: Option<i64>,
    ) -> Result<(), Error> {
        if uids.is_empty() {
            return Ok(());
        }
        let (is_set, count) = (i64::from(is_set), i64::try_from(uids.len()).unwrap_or(i64::MAX));
        match self.conn() {
            Conn::Sqlite(c) => sqlx::query(
                "INSERT INTO seen (folder_id, actor_id, uid, is_set, modseq) SELECT folder_id, $2, uid, $3, COALESCE($4, modseq) FROM messages \
                 WHERE folder_id = $1 AND uid IN (SELECT value FROM json_each($5)) \
                 ON CONFLICT (folder_id, actor_id, uid) DO UPDATE SET is_set = excluded.is_set, modseq = excluded.modseq")
                .bind(folder.0).bind(actor.0).bind(is_set).bind(modseq).bind(json_list(uids)).execute(c).await.map(|_| ())?,
            Conn::Postgres(c, is_stuck) => answered(is_stuck, sqlx::query(
                "INSERT INTO seen (folder_id, actor_id, uid, is_set, modseq) SELECT folder_id, $2, uid, $3, COALESCE($4, modseq) FROM messages \
                 WHERE folder_id = $1 AND uid = ANY($5) \
                 ON CONFLICT (folder_id, actor_id, uid) DO UPDATE SET is_set = excluded.is_set, modseq = excluded.modseq")
                .bind(folder.0).bind(actor.0).bind(is_set).bind(modseq).bind(uids).execute(c)).await.map(|_| ())?,
        }
        let delta = if is_set == 1 { count } else { -count };
        on!(self.conn(), c => sqlx::query(
            "INSERT INTO seen_counts (folder_id, actor_id, seen_count) VALUES ($1, $2, $3) \
             ON CONFLICT (folder_id, actor_id) DO UPDATE SET seen_count = seen_counts.seen_count + excluded.seen_count")
            .bind(folder.0).bind(actor.0).bind(delta).execute(&mut *c).await.map(|_| ()))?;
        Ok(())
    }

    pub(crate) async fn next_modseq(&mut self, folder: FolderId) -> Result<i64, Error> {
        self.next_modseq_counting(folder, 0, 0).await
    }

    /// The next modification sequence; so many messages more are `\Seen` and `\Deleted` under it.
    async fn next_modseq_counting(
        &mut self,
        folder: FolderId,
        seen: i64,
        deleted: i64,
    ) -> Result<i64, Error> {
        let row: Option<(i64,)> = on!(self.conn(), c => sqlx::query_as(
            "UPDATE folders SET modseq = modseq + 1, seen_count = seen_count + $2, deleted_count = deleted_count + $3 WHERE id = $1 RETURNING modseq")
            .bind(folder.0).bind(seen).bind(deleted).fetch_optional(&mut *c).await)?;
        row.map(|(modseq,)| modseq).ok_or(Error::Inconsistent("the folder is gone"))
    }

    /// Bits of keywords that the folder already has; others are left out.
    async fn known_keyword_bits(&mut self, folder: FolderId, names: &[String]) -> Result<i64, Error> {
        if names.is_empty() {
            return Ok(0);
        }
        let known = self.keyword_names(folder).await?;
        Ok(names
            .iter()
            .filter_map(|name| known.iter().position(|k| k.eq_ignore_ascii_case(name)))
            .fold(0, |bits, bit| bits | 1 << bit))
    }

    pub(crate) async fn keyword_names(&mut self, folder: FolderId) -> Result<Vec<String>, Error> {
        let rows: Vec<(i64, String)> = on!(self.conn(), c => sqlx::query_as(
            "SELECT bit, name FROM folder_keywords WHERE folder_id = $1 ORDER BY bit").bind(folder.0).fetch_all(&mut *c).await)?;
        Ok(rows.into_iter().map(|(_, name)| name).collect())
    }

    /// Bits of keywords, new ones added to the folder; `None` when it has no room for them.
    pub(crate) async fn keyword_bits(
        &mut self,
        folder: FolderId,
        names: &[String],
    ) -> Result<Option<i64>, Error> {
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
}

/// Whether only `\Seen` differs.
fn is_only_seen(old: (i64, i64), new: (i64, i64)) -> bool {
    (old.0 & !SEEN, old.1) == (new.0 & !SEEN, new.1)
}

/// The text of a JSON array, for SQLite's `json_each`: a list of any length is one parameter.
pub(crate) fn json_list(uids: &[i64]) -> String {
    let mut text = String::with_capacity(uids.len() * 8 + 2);
    text.push('[');
    for (i, uid) in uids.iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        text.push_str(&uid.to_string());
    }
    text.push(']');
    text
}
