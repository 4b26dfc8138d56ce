//! The messages of a folder, a page at a time, by what their rows say of them.

use crate::dialect::on;
use crate::messages::body_id;
use crate::{Error, MessageRow, Store};
use mail_types::{ActorId, FolderId, ModSeq, SystemFlags, Timestamp, Uid};

/// Which messages are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageFilter {
    /// Flags that are looked at.
    pub mask: SystemFlags,
    /// Those of them that must be set; the others must not be.
    pub set: SystemFlags,
    /// That came at this instant or later.
    pub since: Timestamp,
    /// That came before this instant.
    pub before: Timestamp,
    /// Of at least so many octets.
    pub size_min: u64,
    /// Of at most so many octets.
    pub size_max: u64,
}

impl Default for MessageFilter {
    /// All of them.
    fn default() -> Self {
        Self {
            mask: SystemFlags::default(),
            set: SystemFlags::default(),
            since: Timestamp(i64::MIN),
            before: Timestamp(i64::MAX),
            size_min: 0,
            size_max: u64::MAX,
        }
    }
}

/// A message with what a list shows of it.
#[derive(Debug)]
pub struct ListedMessage {
    /// Its row, read with its structure, which may be missing. The modification sequence is what this reader sees.
    pub row: MessageRow,
    /// System flags, `\Seen` as this reader has it.
    pub flags: SystemFlags,
    /// Keywords, one bit for each of the folder's.
    pub keywords: u64,
}

/// uid, modseq, size_bytes, internal_date_ms, saved_at_ms, body_id, wrapped_key, structure, flags, keywords
type Tuple = (i64, i64, i64, i64, i64, Vec<u8>, Vec<u8>, Option<Vec<u8>>, i64, i64);

macro_rules! listed {
    ($order:literal) => {
        concat!(
            "SELECT * FROM (SELECT m.uid AS uid, CASE WHEN s.modseq > m.modseq THEN s.modseq ELSE m.modseq END AS modseq, m.size_bytes AS size_bytes, \
             m.internal_date_ms AS at_ms, m.saved_at_ms AS saved_at_ms, m.body_id AS body_id, m.wrapped_key AS wrapped_key, t.structure AS structure, \
             CASE WHEN $2 < 0 THEN m.flags ELSE (m.flags & ~1) | COALESCE(s.is_set, m.flags & 1) END AS flags, m.keywords AS keywords FROM messages m \
             LEFT JOIN structures t ON t.body_id = m.body_id LEFT JOIN seen s ON s.folder_id = m.folder_id AND s.actor_id = $2 AND s.uid = m.uid \
             WHERE m.folder_id = $1 AND m.uid > $3 AND m.uid < $4 AND m.internal_date_ms >= $5 AND m.internal_date_ms < $6 \
             AND m.size_bytes >= $7 AND m.size_bytes <= $8) AS listed WHERE (flags & $9) = $10 ORDER BY uid ",
            $order,
            " LIMIT $11"
        )
    };
}

impl Store {
    /// Messages of a folder with a UID above `after` and below `before`, in the order in which they came or the newest first, at most `limit`.
    pub async fn listed_messages(
        &self,
        folder: FolderId,
        private_seen_of: Option<ActorId>,
        filter: &MessageFilter,
        (after, before): (u32, u64),
        is_newest_first: bool,
        limit: u32,
    ) -> Result<Vec<ListedMessage>, Error> {
        let sql = if is_newest_first { listed!("DESC") } else { listed!("ASC") };
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let mut reader = self.reader().await?;
        let rows: Vec<Tuple> = on!(reader.conn(), c => sqlx::query_as(sql)
            .bind(folder.0).bind(private_seen_of.map_or(-1, |actor| actor.0)).bind(i64::from(after)).bind(number(before))
            .bind(filter.since.0).bind(filter.before.0).bind(number(filter.size_min)).bind(number(filter.size_max))
            .bind(i64::from(filter.mask.0)).bind(i64::from(filter.set.0)).bind(i64::from(limit)).fetch_all(&mut *c).await)?;
        rows.into_iter().map(listed).collect()
    }

    /// One message of a folder.
    pub async fn listed_message(
        &self,
        folder: FolderId,
        private_seen_of: Option<ActorId>,
        uid: Uid,
    ) -> Result<Option<ListedMessage>, Error> {
        let Some(after) = uid.0.checked_sub(1) else { return Ok(None) };
        let (filter, bounds) = (MessageFilter::default(), (after, u64::from(uid.0) + 1));
        let mut found = self.listed_messages(folder, private_seen_of, &filter, bounds, false, 1).await?;
        Ok(found.pop())
    }
}

fn listed(
    (uid, modseq, size, date, saved_at, body, wrapped_key, structure, flags, keywords): Tuple,
) -> Result<ListedMessage, Error> {
    let row = MessageRow {
        uid: Uid(u32::try_from(uid).unwrap_or(u32::MAX)),
        modseq: ModSeq(modseq.unsigned_abs()),
        size: u32::try_from(size).unwrap_or(u32::MAX),
        internal_date: Timestamp(date),
        saved_at: Timestamp(saved_at),
        body: body_id(&body)?,
        wrapped_key,
        structure,
        place: None,
        container: None,
    };
    Ok(ListedMessage {
        row,
        flags: SystemFlags(u32::try_from(flags).unwrap_or(0)),
        keywords: keywords.unsigned_abs(),
    })
}
