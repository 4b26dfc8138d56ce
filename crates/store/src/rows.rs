//! Body and message rows, written many at a time: `UNNEST` on PostgreSQL, `VALUES` on SQLite, where every statement crosses a thread.

use crate::dialect::{Conn, answered};
use crate::extracts::SealedSearch;
use crate::sqlite::{Sqlite, SqliteConn};
use crate::writer::WriteTx;
use crate::{Error, SealedBody};
use mail_types::{FolderId, MailboxId, SystemFlags, Timestamp, UidValidity};
use sqlx::{PgConnection, QueryBuilder};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Rows of one SQLite statement: far below its bound on parameters, and few enough texts for the statement cache.
pub(crate) const ROWS_MAX: usize = 64;
/// Octets of the bodies of one PostgreSQL statement, which its protocol bounds at 1 GiB and which is held twice while it is sent.
const OCTETS_MAX: usize = 16 * 1024 * 1024;

/// A body about to be written.
pub(crate) struct BodyRow<'a> {
    body: &'a SealedBody,
    size: i64,
}

impl<'a> BodyRow<'a> {
    pub(crate) fn of(body: &'a SealedBody) -> Self {
        Self { body, size: i64::try_from(body.size()).unwrap_or(i64::MAX) }
    }

    /// As many of the first as one statement takes: one at least.
    fn part(bodies: &[Self]) -> usize {
        let mut octets = 0;
        let fits = bodies.iter().take_while(|row| {
            octets += row.body.held();
            octets <= OCTETS_MAX
        });
        fits.count().max(1).min(bodies.len())
    }
}

/// A message row about to be written; UID and MODSEQ are reserved first.
pub(crate) struct MessageEntry<'a> {
    pub(crate) mailbox: MailboxId,
    pub(crate) folder: FolderId,
    pub(crate) body: &'a [u8],
    pub(crate) wrapped_key: Cow<'a, [u8]>,
    pub(crate) size: i64,
    pub(crate) internal_date: Timestamp,
    pub(crate) flags: SystemFlags,
    pub(crate) keywords: i64,
    pub(crate) uid: i64,
    pub(crate) modseq: i64,
}

/// What messages add to one folder or mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Added {
    messages: i64,
    bytes: i64,
    seen: i64,
    deleted: i64,
}

impl Added {
    fn count(&mut self, entry: &MessageEntry<'_>) {
        self.messages += 1;
        self.bytes += entry.size;
        self.seen += i64::from(entry.flags.contains(SystemFlags::SEEN));
        self.deleted += i64::from(entry.flags.contains(SystemFlags::DELETED));
    }
}

/// What a batch adds, by folder and by mailbox.
#[derive(Default)]
struct Growth {
    folders: BTreeMap<i64, Added>,
    mailboxes: BTreeMap<i64, Added>,
}

impl Growth {
    fn of(entries: &[MessageEntry<'_>]) -> Self {
        let mut growth = Self::default();
        for entry in entries {
            growth.folders.entry(entry.folder.0).or_default().count(entry);
            growth.mailboxes.entry(entry.mailbox.0).or_default().count(entry);
        }
        growth
    }
}

impl WriteTx {
    /// Writes messages with the bodies that are new, gives each its UID and MODSEQ in the order given within a folder, and counts folders and
    /// mailboxes. UIDVALIDITY of each folder.
    pub(crate) async fn enter(
        &mut self,
        bodies: &[BodyRow<'_>],
        entries: &mut [MessageEntry<'_>],
    ) -> Result<BTreeMap<i64, UidValidity>, Error> {
        let growth = Growth::of(entries);
        let now = self.now.0;
        let reserved = match self.conn() {
            Conn::Postgres(c, is_stuck) => {
                answered(is_stuck, reserve_postgres(c, bodies, &growth, now)).await?
            }
            Conn::Sqlite(c) => reserve_sqlite(c, bodies, &growth, now).await?,
        };
        self.claims.extend(bodies.iter().filter_map(|row| row.body.claim().cloned()));
        number(entries, &reserved)?;
        self.insert_messages(entries).await?;
        growth.folders.keys().for_each(|id| self.changed(FolderId(*id)));
        let validity = |validity: i64| UidValidity(u32::try_from(validity).unwrap_or(u32::MAX));
        Ok(reserved.into_iter().map(|(id, given, ..)| (id, validity(given))).collect())
    }

    async fn insert_messages(&mut self, entries: &[MessageEntry<'_>]) -> Result<(), Error> {
        if entries.is_empty() {
            return Ok(());
        }
        let now = self.now.0;
        match self.conn() {
            Conn::Postgres(c, is_stuck) => {
                answered(is_stuck, insert_messages_postgres(c, entries, now)).await?;
            }
            Conn::Sqlite(c) => insert_messages_sqlite(c, entries, now).await?,
        }
        Ok(())
    }
}

/// A folder, its UIDVALIDITY, the first UID and the first MODSEQ reserved in it.
type Reserved = (i64, i64, i64, i64);

fn number(entries: &mut [MessageEntry<'_>], reserved: &[Reserved]) -> Result<(), Error> {
    let mut next: BTreeMap<i64, (i64, i64)> =
        reserved.iter().map(|&(id, _, uid, modseq)| (id, (uid, modseq))).collect();
    for entry in entries {
        let (uid, modseq) = next.get_mut(&entry.folder.0).ok_or(Error::Inconsistent("the folder is gone"))?;
        if *uid > i64::from(u32::MAX) {
            return Err(Error::Inconsistent("the folder has no UID left"));
        }
        (entry.uid, entry.modseq) = (*uid, *modseq);
        *uid += 1;
        *modseq += 1;
    }
    Ok(())
}

async fn reserve_sqlite(
    c: &mut SqliteConn,
    bodies: &[BodyRow<'_>],
    growth: &Growth,
    now: i64,
) -> Result<Vec<Reserved>, sqlx::Error> {
    for bodies in bodies.chunks(ROWS_MAX) {
        insert_bodies_sqlite(c, bodies, now).await?;
    }
    if growth.folders.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = QueryBuilder::<Sqlite>::new(
        "UPDATE mailboxes SET used_bytes = used_bytes + d.column3, used_messages = used_messages + d.column2 FROM (",
    );
    push_growth(&mut sql, &growth.mailboxes);
    sql.push(") AS d WHERE mailboxes.id = d.column1").build().execute(&mut *c).await?;
    let mut sql = QueryBuilder::<Sqlite>::new(
        "UPDATE folders SET uid_next = uid_next + d.column2, modseq = modseq + d.column2, message_count = message_count + d.column2, \
         size_bytes = size_bytes + d.column3, seen_count = seen_count + d.column4, deleted_count = deleted_count + d.column5 FROM (",
    );
    push_growth(&mut sql, &growth.folders);
    // RETURNING sees the updated table only, so the first UID is reckoned by the caller's count.
    sql.push(") AS d WHERE folders.id = d.column1 RETURNING id, uid_validity, uid_next, modseq");
    let after: Vec<Reserved> = sql.build_query_as().fetch_all(c).await?;
    Ok(after
        .into_iter()
        .map(|(id, validity, uid, modseq)| {
            let added = growth.folders.get(&id).map_or(0, |added| added.messages);
            (id, validity, uid - added, modseq - added + 1)
        })
        .collect())
}

/// Bodies with their structures and what they are searched by.
async fn insert_bodies_sqlite(
    c: &mut SqliteConn,
    bodies: &[BodyRow<'_>],
    now: i64,
) -> Result<(), sqlx::Error> {
    let mut sql =
        QueryBuilder::<Sqlite>::new("INSERT INTO bodies (id, size_bytes, place, created_at_ms, container) ");
    sql.push_values(bodies, |mut values, BodyRow { body, size }| {
        values.push_bind(body.id.0.as_slice()).push_bind(size).push_bind(body.place.as_str());
        values.push_bind(now).push_bind(body.place.container());
    });
    sql.build().execute(&mut *c).await?;
    let mut sql = QueryBuilder::<Sqlite>::new("INSERT INTO structures (body_id, structure) ");
    sql.push_values(bodies, |mut values, BodyRow { body, .. }| {
        values.push_bind(body.id.0.as_slice()).push_bind(body.structure.as_slice());
    });
    sql.build().execute(&mut *c).await?;
    let searched = bodies.iter().filter_map(|BodyRow { body, .. }| Some((body.id, body.search.as_ref()?)));
    let searched: Vec<_> = searched.collect();
    if searched.is_empty() {
        return Ok(());
    }
    let mut sql = QueryBuilder::<Sqlite>::new("INSERT INTO extracts (body_id, signature, header, extract) ");
    sql.push_values(&searched, |mut values, (id, search)| {
        values.push_bind(id.0.as_slice()).push_bind(search.signature.as_slice());
        values.push_bind(search.header.as_slice()).push_bind(search.extract.as_slice());
    });
    sql.build().execute(&mut *c).await?;
    Ok(())
}

/// `VALUES (id, messages, bytes, seen, deleted), …`, whose columns SQLite names column1 and so on.
fn push_growth(sql: &mut QueryBuilder<Sqlite>, growth: &BTreeMap<i64, Added>) {
    sql.push_values(growth, |mut values, (id, added)| {
        values.push_bind(*id).push_bind(added.messages).push_bind(added.bytes);
        values.push_bind(added.seen).push_bind(added.deleted);
    });
}

async fn reserve_postgres(
    c: &mut PgConnection,
    bodies: &[BodyRow<'_>],
    growth: &Growth,
    now: i64,
) -> Result<Vec<Reserved>, sqlx::Error> {
    let mut rest = bodies;
    while !rest.is_empty() {
        let (part, later) = rest.split_at(BodyRow::part(rest));
        insert_bodies_postgres(c, part, now).await?;
        rest = later;
    }
    if growth.folders.is_empty() {
        return Ok(Vec::new());
    }
    count_mailboxes_postgres(c, growth).await?;
    count_folders_postgres(c, growth).await
}

async fn insert_bodies_postgres(
    c: &mut PgConnection,
    bodies: &[BodyRow<'_>],
    now: i64,
) -> Result<(), sqlx::Error> {
    let search = |part: fn(&SealedSearch) -> &[u8]| {
        bodies.iter().map(|row| row.body.search.as_ref().map(part)).collect::<Vec<_>>()
    };
    // A reference into `bodies` is checked at the end of the statement, when all inserts are done.
    sqlx::query(
        "WITH new AS (SELECT * FROM UNNEST($1::BYTEA[], $2::BIGINT[], $3::TEXT[], $4::BYTEA[], $5::BYTEA[], $7::BYTEA[], $8::BYTEA[], $9::BYTEA[]) AS r (i, s, p, t, c, g, h, e)), \
         kept AS (INSERT INTO bodies (id, size_bytes, place, created_at_ms, container) SELECT i, s, p, $6, c FROM new), \
         searched AS (INSERT INTO extracts (body_id, signature, header, extract) SELECT i, g, h, e FROM new WHERE g IS NOT NULL) \
         INSERT INTO structures (body_id, structure) SELECT i, t FROM new",
    )
    .bind(bodies.iter().map(|row| row.body.id.0.as_slice()).collect::<Vec<_>>())
    .bind(bodies.iter().map(|row| row.size).collect::<Vec<_>>())
    .bind(bodies.iter().map(|row| row.body.place.as_str()).collect::<Vec<_>>())
    .bind(bodies.iter().map(|row| row.body.structure.as_slice()).collect::<Vec<_>>())
    .bind(bodies.iter().map(|row| row.body.place.container()).collect::<Vec<_>>())
    .bind(now)
    .bind(search(|search| &search.signature))
    .bind(search(|search| &search.header))
    .bind(search(|search| &search.extract))
    .execute(c)
    .await?;
    Ok(())
}

async fn count_mailboxes_postgres(c: &mut PgConnection, growth: &Growth) -> Result<(), sqlx::Error> {
    let added = || growth.mailboxes.values();
    sqlx::query(
        "UPDATE mailboxes m SET used_bytes = m.used_bytes + d.s, used_messages = m.used_messages + d.n \
         FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[]) AS d (id, n, s) WHERE m.id = d.id",
    )
    .bind(growth.mailboxes.keys().copied().collect::<Vec<_>>())
    .bind(added().map(|added| added.messages).collect::<Vec<_>>())
    .bind(added().map(|added| added.bytes).collect::<Vec<_>>())
    .execute(c)
    .await?;
    Ok(())
}

async fn count_folders_postgres(c: &mut PgConnection, growth: &Growth) -> Result<Vec<Reserved>, sqlx::Error> {
    let added = || growth.folders.values();
    sqlx::query_as(
        "UPDATE folders f SET uid_next = f.uid_next + d.n, modseq = f.modseq + d.n, message_count = f.message_count + d.n, size_bytes = f.size_bytes + d.s, \
         seen_count = f.seen_count + d.e, deleted_count = f.deleted_count + d.g \
         FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[], $5::BIGINT[]) AS d (id, n, s, e, g) WHERE f.id = d.id \
         RETURNING f.id, f.uid_validity, f.uid_next - d.n, f.modseq - d.n + 1",
    )
    .bind(growth.folders.keys().copied().collect::<Vec<_>>())
    .bind(added().map(|added| added.messages).collect::<Vec<_>>())
    .bind(added().map(|added| added.bytes).collect::<Vec<_>>())
    .bind(added().map(|added| added.seen).collect::<Vec<_>>())
    .bind(added().map(|added| added.deleted).collect::<Vec<_>>())
    .fetch_all(c)
    .await
}

const MESSAGE_COLUMNS: &str = "folder_id, uid, mailbox_id, body_id, wrapped_key, size_bytes, internal_date_ms, saved_at_ms, flags, keywords, modseq";

async fn insert_messages_sqlite(
    c: &mut SqliteConn,
    entries: &[MessageEntry<'_>],
    now: i64,
) -> Result<(), sqlx::Error> {
    for entries in entries.chunks(ROWS_MAX) {
        let mut sql = QueryBuilder::<Sqlite>::new("INSERT INTO messages (");
        sql.push(MESSAGE_COLUMNS).push(") ");
        sql.push_values(entries, |mut values, entry| {
            values.push_bind(entry.folder.0).push_bind(entry.uid).push_bind(entry.mailbox.0);
            values.push_bind(entry.body).push_bind(&*entry.wrapped_key).push_bind(entry.size);
            values.push_bind(entry.internal_date.0).push_bind(now).push_bind(i64::from(entry.flags.0));
            values.push_bind(entry.keywords).push_bind(entry.modseq);
        });
        sql.build().execute(&mut *c).await?;
    }
    Ok(())
}

async fn insert_messages_postgres(
    c: &mut PgConnection,
    entries: &[MessageEntry<'_>],
    now: i64,
) -> Result<(), sqlx::Error> {
    let ints = |value: fn(&MessageEntry<'_>) -> i64| entries.iter().map(value).collect::<Vec<i64>>();
    let mut sql = String::from("INSERT INTO messages (");
    sql.push_str(MESSAGE_COLUMNS);
    sql.push_str(
        ") SELECT f, u, m, b, k, s, i, $11, g, w, q FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BYTEA[], $5::BYTEA[], $6::BIGINT[], \
         $7::BIGINT[], $8::BIGINT[], $9::BIGINT[], $10::BIGINT[]) AS r (f, u, m, b, k, s, i, g, w, q)",
    );
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(ints(|entry| entry.folder.0))
        .bind(ints(|entry| entry.uid))
        .bind(ints(|entry| entry.mailbox.0))
        .bind(entries.iter().map(|entry| entry.body).collect::<Vec<_>>())
        .bind(entries.iter().map(|entry| &*entry.wrapped_key).collect::<Vec<_>>())
        .bind(ints(|entry| entry.size))
        .bind(ints(|entry| entry.internal_date.0))
        .bind(ints(|entry| i64::from(entry.flags.0)))
        .bind(ints(|entry| entry.keywords))
        .bind(ints(|entry| entry.modseq))
        .bind(now)
        .execute(c)
        .await?;
    Ok(())
}
