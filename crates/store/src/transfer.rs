//! Messages that enter a folder from another: COPY, MOVE. Each is one unit of work, whatever the number of messages. What comes from outside is
//! in [`append`](crate::append).

use crate::dialect::{Conn, answered, on};
use crate::flags::Ranges;
use crate::mailboxes::MAILBOX_MESSAGES_MAX;
use crate::messages::body_id;
use crate::rows::{BodyRow, MessageEntry};
use crate::writer::{Touches, WriteTx};
use crate::{Error, MailboxKey, Store};
use mail_types::{ActorId, FolderId, MailboxId, SystemFlags, Timestamp, Uid, UidValidity};
use std::collections::{BTreeMap, HashMap};

/// Ranges of one statement.
const RANGES_MAX: usize = 1000;

/// Each range is looked up by the key of the table: the join begins with the ranges.
macro_rules! sources {
    ($ranges:literal, $within:literal) => {
        concat!(
            "SELECT m.uid, m.body_id AS body, m.wrapped_key, m.size_bytes AS size, m.internal_date_ms AS internal_date, m.flags, m.keywords FROM ",
            $ranges,
            " CROSS JOIN messages m WHERE m.folder_id = $1 AND m.uid BETWEEN ",
            $within,
            " ORDER BY m.uid"
        )
    };
}

/// Why messages were not let in; nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The mailbox has no room for them (RFC 9208 OVERQUOTA).
    #[error("the mailbox is full")]
    OverQuota,
    /// The folder has as many keywords as it may have (RFC 5530 LIMIT).
    #[error("the folder has too many keywords")]
    TooManyKeywords,
    /// The folder is gone (RFC 3501 TRYCREATE).
    #[error("no such folder")]
    NoFolder,
    /// Not as many messages were there as the caller asked for.
    #[error("some of the messages are gone")]
    Incomplete,
}

/// Pairs of (source UID, new UID), by source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Validity of the target folder's UIDs; zero when there were no messages.
    pub uid_validity: u32,
    /// Source and new UID of each message.
    pub uids: Vec<(Uid, Uid)>,
}

pub(crate) type Refusable<T> = Result<Result<T, Refusal>, Error>;

impl Store {
    /// Copies messages to a folder, of another mailbox where keys are given for both. With `count`, exactly so many or none.
    pub async fn copy(
        &self,
        from: (MailboxId, FolderId),
        to: (MailboxId, FolderId),
        ranges: Vec<(u32, u32)>,
        count: Option<usize>,
        keys: Option<(MailboxKey, MailboxKey)>,
    ) -> Refusable<Moved> {
        self.write(Touches::from([to.0, from.0]), move |tx| {
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
    ) -> Refusable<Moved> {
        self.write(Touches::from(mailbox), move |tx| {
            let ranges = ranges.clone();
            Box::pin(async move {
                let moved = tx.move_messages(mailbox, from, to, Some(&ranges), count).await?;
                if let Ok(moved) = &moved {
                    let touched = moved.uids.iter().map(|(uid, _)| uid.0).collect();
                    tx.tell_messages(mailbox, from, "message.changed", &touched, &format!(" to={to}"))
                        .await?;
                }
                Ok(moved)
            })
        })
        .await
    }
}

impl WriteTx {
    /// Writes messages of one folder, with their bodies where those are new.
    pub(crate) async fn place(
        &mut self,
        bodies: &[BodyRow<'_>],
        entries: &mut [MessageEntry<'_>],
    ) -> Result<UidValidity, Error> {
        let validity = self.enter(bodies, entries).await?;
        Ok(validity.into_values().next().unwrap_or(UidValidity(0)))
    }

    pub(crate) async fn folder_is_there(&mut self, folder: FolderId) -> Result<bool, Error> {
        let row: Option<(i64,)> = on!(self.conn(), c => sqlx::query_as("SELECT id FROM folders WHERE id = $1 AND selectable = 1")
            .bind(folder.0).fetch_optional(&mut *c).await)?;
        Ok(row.is_some())
    }

    /// Whether so many messages more, of `bytes` together, fit the quotas of a mailbox.
    pub(crate) async fn fits(
        &mut self,
        mailbox: MailboxId,
        messages: usize,
        bytes: i64,
    ) -> Result<bool, Error> {
        let (quota, used, held): (i64, i64, i64) = on!(self.conn(), c => sqlx::query_as(
            "SELECT quota_bytes, used_bytes, used_messages FROM mailboxes WHERE id = $1")
            .bind(mailbox.0).fetch_one(&mut *c).await)?;
        let messages = u64::try_from(messages).unwrap_or(u64::MAX);
        let is_room = held.max(0).unsigned_abs().saturating_add(messages) <= MAILBOX_MESSAGES_MAX;
        Ok(is_room && used.saturating_add(bytes) <= quota)
    }

    async fn copy(
        &mut self,
        from: (MailboxId, FolderId),
        to: (MailboxId, FolderId),
        ranges: &Ranges,
        count: Option<usize>,
        keys: Option<&(MailboxKey, MailboxKey)>,
    ) -> Refusable<Moved> {
        self.settle_seen(from.1, ranges).await?;
        let sources = self.sources(from.1, ranges).await?;
        if count.is_some_and(|count| count != sources.len()) {
            return Ok(Err(Refusal::Incomplete));
        }
        let size: i64 = sources.iter().map(|source| source.size).sum();
        if !self.fits(to.0, sources.len(), size).await? {
            return Ok(Err(Refusal::OverQuota));
        }
        self.place_copies(from, to, &sources, keys).await
    }

    /// Moves messages (all of them without `ranges`) between folders of one mailbox: no quota is asked, nothing grows.
    pub(crate) async fn move_messages(
        &mut self,
        mailbox: MailboxId,
        from: FolderId,
        to: FolderId,
        ranges: Option<&Ranges>,
        count: Option<usize>,
    ) -> Refusable<Moved> {
        let all = vec![(1, u32::MAX)];
        let ranges = ranges.unwrap_or(&all);
        self.settle_seen(from, ranges).await?;
        let sources = self.sources(from, ranges).await?;
        if count.is_some_and(|count| count != sources.len()) {
            return Ok(Err(Refusal::Incomplete));
        }
        let moved = match self.place_copies((mailbox, from), (mailbox, to), &sources, None).await? {
            Ok(moved) => moved,
            Err(refusal) => return Ok(Err(refusal)),
        };
        // A range that ends in `*` must not reach the new copies when the target is the folder itself.
        let last = moved.uids.iter().map(|(uid, _)| uid.0).max().unwrap_or(0);
        let gone =
            ranges.iter().filter(|range| range.0 <= last).map(|range| (range.0, range.1.min(last))).collect();
        self.remove(mailbox, from, &gone, false).await?;
        Ok(Ok(moved))
    }

    pub(crate) async fn place_copies(
        &mut self,
        from: (MailboxId, FolderId),
        to: (MailboxId, FolderId),
        sources: &[Source],
        keys: Option<&(MailboxKey, MailboxKey)>,
    ) -> Refusable<Moved> {
        if sources.is_empty() {
            return Ok(Ok(Moved::default()));
        }
        if !self.folder_is_there(to.1).await? {
            return Ok(Err(Refusal::NoFolder));
        }
        let Some(keywords) = self.carry_keywords(from.1, to.1, sources).await? else {
            return Ok(Err(Refusal::TooManyKeywords));
        };
        let mut entries = Vec::with_capacity(sources.len());
        for source in sources {
            let wrapped_key = match keys {
                Some((from_key, to_key)) => {
                    let body = body_id(&source.body)?;
                    to_key.wrap(body, &from_key.unwrap(body, &source.wrapped_key)?).into()
                }
                None => source.wrapped_key.as_slice().into(),
            };
            entries.push(MessageEntry {
                mailbox: to.0,
                folder: to.1,
                body: &source.body,
                wrapped_key,
                size: source.size,
                internal_date: Timestamp(source.internal_date),
                flags: SystemFlags(u32::try_from(source.flags).unwrap_or(0)),
                keywords: keywords.get(&source.keywords).copied().unwrap_or(0),
                uid: 0,
                modseq: 0,
            });
        }
        let validity = self.place(&[], &mut entries).await?;
        let uids: Vec<(i64, i64)> =
            sources.iter().zip(&entries).map(|(source, entry)| (source.uid, entry.uid)).collect();
        // Another mailbox has other actors.
        if from.0 == to.0 {
            self.carry_private_seen(from.1, to.1, &uids).await?;
        }
        let uids = uids.into_iter().map(|(from, to)| (uid(from), uid(to))).collect();
        Ok(Ok(Moved { uid_validity: validity.0, uids }))
    }

    /// The keyword bits that each set of keyword bits among `sources` becomes in another folder; `None` when it has no room for them.
    async fn carry_keywords(
        &mut self,
        from: FolderId,
        to: FolderId,
        sources: &[Source],
    ) -> Result<Option<HashMap<i64, i64>>, Error> {
        let mut carried = HashMap::from([(0, 0)]);
        if sources.iter().all(|source| source.keywords == 0) {
            return Ok(Some(carried));
        }
        let names = self.keyword_names(from).await?;
        let any = sources.iter().fold(0, |any, source| any | source.keywords);
        let named = |bits: i64| {
            let has = move |bit: usize| bits & (1 << bit) != 0;
            let named = names.iter().enumerate().filter(move |(bit, _)| has(*bit));
            named.map(|(_, name)| name.clone()).collect::<Vec<String>>()
        };
        // All at once first: what is refused leaves no keyword behind.
        if self.keyword_bits(to, &named(any)).await?.is_none() {
            return Ok(None);
        }
        for source in sources {
            if carried.contains_key(&source.keywords) {
                continue;
            }
            let Some(bits) = self.keyword_bits(to, &named(source.keywords)).await? else { return Ok(None) };
            carried.insert(source.keywords, bits);
        }
        Ok(Some(carried))
    }

    /// What actors have seen of the sources, they have seen of the copies.
    async fn carry_private_seen(
        &mut self,
        from: FolderId,
        to: FolderId,
        uids: &[(i64, i64)],
    ) -> Result<(), Error> {
        let (Some((first, _)), Some((last, _))) = (uids.first(), uids.last()) else { return Ok(()) };
        let seen: Vec<(i64, i64, i64)> = on!(self.conn(), c => sqlx::query_as(
            "SELECT s.uid, s.actor_id, s.is_set FROM seen s JOIN messages m ON m.folder_id = s.folder_id AND m.uid = s.uid \
             WHERE s.folder_id = $1 AND s.uid BETWEEN $2 AND $3 AND s.is_set <> (m.flags & 1)")
            .bind(from.0).bind(first).bind(last).fetch_all(&mut *c).await)?;
        let copies: HashMap<i64, i64> = uids.iter().copied().collect();
        let mut by_actor: BTreeMap<(i64, bool), Vec<i64>> = BTreeMap::new();
        for (uid, actor, is_set) in seen {
            if let Some(copy) = copies.get(&uid) {
                by_actor.entry((actor, is_set != 0)).or_default().push(*copy);
            }
        }
        for ((actor, is_set), uids) in by_actor {
            self.set_private_seen(to, ActorId(actor), &uids, is_set, None).await?;
        }
        Ok(())
    }

    /// The messages in `ranges`, by UID.
    pub(crate) async fn sources(&mut self, folder: FolderId, ranges: &Ranges) -> Result<Vec<Source>, Error> {
        let mut sources = Vec::new();
        for ranges in ranges.chunks(RANGES_MAX) {
            let rows: Vec<Source> = match self.conn() {
                Conn::Sqlite(c) => {
                    let pairs: Vec<String> =
                        ranges.iter().map(|(first, last)| format!("[{first},{last}]")).collect();
                    let sql = sources!(
                        "json_each($2) AS r",
                        "json_extract(r.value, '$[0]') AND json_extract(r.value, '$[1]')"
                    );
                    sqlx::query_as(sql)
                        .bind(folder.0)
                        .bind(format!("[{}]", pairs.join(",")))
                        .fetch_all(c)
                        .await?
                }
                Conn::Postgres(c, is_stuck) => {
                    let (first, last): (Vec<i64>, Vec<i64>) =
                        ranges.iter().map(|(first, last)| (i64::from(*first), i64::from(*last))).unzip();
                    let sql = sources!(
                        "UNNEST($2::BIGINT[], $3::BIGINT[]) AS r (first, last)",
                        "r.first AND r.last"
                    );
                    answered(is_stuck, sqlx::query_as(sql).bind(folder.0).bind(first).bind(last).fetch_all(c))
                        .await?
                }
            };
            sources.extend(rows);
        }
        Ok(sources)
    }
}

/// A message about to be copied.
#[derive(sqlx::FromRow)]
pub(crate) struct Source {
    pub(crate) uid: i64,
    body: Vec<u8>,
    wrapped_key: Vec<u8>,
    pub(crate) size: i64,
    internal_date: i64,
    pub(crate) flags: i64,
    pub(crate) keywords: i64,
}

pub(crate) fn uid(uid: i64) -> Uid {
    Uid(u32::try_from(uid).unwrap_or(u32::MAX))
}
