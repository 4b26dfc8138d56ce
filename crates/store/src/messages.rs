//! Reading a folder: the picture that SELECT takes, the changes since, the rows that FETCH needs.
//!
//! No read transaction is held between calls. A picture is taken with the folder's MODSEQ read *before* the rows: rows may be newer than
//! it, never older, and the next look at the change log repeats at worst what is known already. The folder's MODSEQ is taken under a lock
//! that is held to the end of the transaction, so that transactions become visible in the order of their MODSEQs: what one statement saw
//! is complete up to the largest MODSEQ among it, and that is where the next look begins.

use crate::bodies::BodyReader;
use crate::dialect::on;
use crate::seal::{SideCar, open_side_car};
use crate::writer::Touches;
use crate::{ContentKey, Error, FolderStatus, Store};
use body_store::Place;
use mail_types::{ActorId, BodyId, FolderId, ModSeq, SystemFlags, Timestamp, Uid};

/// A message as a session's view holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewRow {
    /// UID.
    pub uid: Uid,
    /// System flags, `\Seen` as this reader has it.
    pub flags: SystemFlags,
    /// Keywords, one bit for each of the folder's.
    pub keywords: u64,
    /// Modification sequence.
    pub modseq: ModSeq,
}

/// A folder as SELECT finds it.
#[derive(Clone, Debug)]
pub struct Selected {
    /// Counters.
    pub status: FolderStatus,
    /// Messages with a UID from here on are recent for this session.
    pub recent_from: u32,
    /// Keyword of each bit.
    pub keywords: Vec<String>,
    /// Every message by UID.
    pub rows: Vec<ViewRow>,
}

/// What changed in a folder since a modification sequence.
#[derive(Clone, Debug)]
pub struct FolderChanges {
    /// Look from here next time.
    pub modseq: ModSeq,
    /// Keyword of each bit.
    pub keywords: Vec<String>,
    /// New or changed messages by UID.
    pub rows: Vec<ViewRow>,
    /// Messages that are gone.
    pub expunged: Vec<Uid>,
}

/// What else of the body FETCH needs beside its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithBody {
    /// Only the row.
    No,
    /// The sealed structure.
    Structure,
    /// Structure and, where inline, the container.
    Content,
}

/// A message with what FETCH shows of it.
#[derive(Debug)]
pub struct MessageRow {
    /// UID.
    pub uid: Uid,
    /// Modification sequence.
    pub modseq: ModSeq,
    /// Octets (RFC822.SIZE).
    pub size: u32,
    /// INTERNALDATE.
    pub internal_date: Timestamp,
    /// When it was put in this folder (RFC 8514 SAVEDATE).
    pub saved_at: Timestamp,
    /// The body.
    pub body: BodyId,
    /// Its key as wrapped for the mailbox.
    pub wrapped_key: Vec<u8>,
    pub(crate) structure: Option<Vec<u8>>,
    pub(crate) place: Option<String>,
    pub(crate) container: Option<Vec<u8>>,
}

impl MessageRow {
    /// Whether the content can be read without asking another machine for it.
    pub fn is_at_hand(&self) -> bool {
        self.place.as_deref().is_some_and(|place| place != "object")
    }

    /// Opens the structure; the row must have been read with it.
    pub fn structure(&self, key: &ContentKey) -> Result<Vec<u8>, Error> {
        let sealed = self.structure.as_deref().ok_or(Error::Inconsistent("the body has no structure"))?;
        open_side_car(self.body, key.raw(), SideCar::Structure, sealed)
    }
}

impl Store {
    /// Takes the picture of a folder. With `claim_recent` (SELECT, not EXAMINE) later sessions no longer see these messages as recent.
    pub async fn select(
        &self,
        folder: FolderId,
        private_seen_of: Option<ActorId>,
        claim_recent: bool,
    ) -> Result<Option<Selected>, Error> {
        let Some(mut status) = self.folder_status(folder, private_seen_of).await? else { return Ok(None) };
        let rows = self.view_rows(folder, private_seen_of).await?;
        status.modseq = complete_up_to(status.modseq, &rows);
        let mut recent_from = status.uid_next;
        if status.recent > 0 {
            let claimed =
                if claim_recent { Some(self.claim_recent(folder, status.uid_next).await) } else { None };
            recent_from = match claimed {
                Some(Ok(from)) => from,
                // Messages that stay recent for one more session harm nobody; a folder that cannot be read does.
                None | Some(Err(Error::Full(_))) => self.recent_uid(folder).await?,
                Some(Err(error)) => return Err(error),
            };
        }
        let keywords = self.keywords(folder).await?;
        Ok(Some(Selected { status, recent_from, keywords, rows }))
    }

    async fn view_rows(
        &self,
        folder: FolderId,
        private_seen_of: Option<ActorId>,
    ) -> Result<Vec<ViewRow>, Error> {
        let mut reader = self.reader().await?;
        let rows: Vec<(i64, i64, i64, i64)> = match private_seen_of {
            None => on!(reader.conn(), c => sqlx::query_as(
                "SELECT uid, flags, keywords, modseq FROM messages WHERE folder_id = $1 ORDER BY uid")
                .bind(folder.0).fetch_all(&mut *c).await)?,
            Some(actor) => on!(reader.conn(), c => sqlx::query_as(
                "SELECT m.uid, (m.flags & ~1) | COALESCE(s.is_set, m.flags & 1), m.keywords, CASE WHEN s.modseq > m.modseq THEN s.modseq ELSE m.modseq END FROM messages m \
                 LEFT JOIN seen s ON s.folder_id = m.folder_id AND s.actor_id = $2 AND s.uid = m.uid WHERE m.folder_id = $1 ORDER BY m.uid")
                .bind(folder.0).bind(actor.0).fetch_all(&mut *c).await)?,
        };
        Ok(rows.into_iter().map(view_row).collect())
    }

    async fn recent_uid(&self, folder: FolderId) -> Result<u32, Error> {
        let mut reader = self.reader().await?;
        let (uid,): (i64,) = on!(reader.conn(), c => sqlx::query_as("SELECT recent_uid FROM folders WHERE id = $1").bind(folder.0).fetch_one(&mut *c).await)?;
        Ok(u32::try_from(uid).unwrap_or(u32::MAX))
    }

    /// Later sessions no longer see messages with a UID below `up_to` as recent. Returns the UID from which on they were recent until now.
    pub async fn claim_recent(&self, folder: FolderId, up_to: u32) -> Result<u32, Error> {
        self.write(Touches::from(folder), move |tx| {
            Box::pin(async move {
                let (from,): (i64,) = on!(tx.conn(), c => sqlx::query_as("SELECT recent_uid FROM folders WHERE id = $1").bind(folder.0).fetch_one(&mut *c).await)?;
                on!(tx.conn(), c => sqlx::query("UPDATE folders SET recent_uid = $2 WHERE id = $1 AND recent_uid < $2")
                    .bind(folder.0).bind(i64::from(up_to)).execute(&mut *c).await.map(|_| ()))?;
                Ok(u32::try_from(from).unwrap_or(u32::MAX))
            })
        })
        .await
    }

    /// The keyword of each bit of a folder.
    pub async fn keywords(&self, folder: FolderId) -> Result<Vec<String>, Error> {
        let mut reader = self.reader().await?;
        let rows: Vec<(i64, String)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT bit, name FROM folder_keywords WHERE folder_id = $1 ORDER BY bit").bind(folder.0).fetch_all(&mut *c).await)?;
        Ok(rows.into_iter().map(|(_, name)| name).collect())
    }

    /// What changed since `since`; `None` when the folder is gone.
    pub async fn changes(
        &self,
        folder: FolderId,
        private_seen_of: Option<ActorId>,
        since: ModSeq,
    ) -> Result<Option<FolderChanges>, Error> {
        let mut reader = self.reader().await?;
        let now: Option<(i64,)> = on!(reader.conn(), c => sqlx::query_as("SELECT modseq FROM folders WHERE id = $1").bind(folder.0).fetch_optional(&mut *c).await)?;
        let Some((modseq,)) = now else { return Ok(None) };
        let since = i64::try_from(since.0).unwrap_or(i64::MAX);
        if modseq <= since {
            return Ok(Some(FolderChanges {
                modseq: ModSeq(since.unsigned_abs()),
                keywords: Vec::new(),
                rows: Vec::new(),
                expunged: Vec::new(),
            }));
        }
        let rows: Vec<(i64, i64, i64, i64)> = match private_seen_of {
            None => on!(reader.conn(), c => sqlx::query_as(
                "SELECT uid, flags, keywords, modseq FROM messages WHERE folder_id = $1 AND modseq > $2 ORDER BY uid")
                .bind(folder.0).bind(since).fetch_all(&mut *c).await)?,
            Some(actor) => on!(reader.conn(), c => sqlx::query_as(
                "SELECT m.uid, (m.flags & ~1) | COALESCE(s.is_set, m.flags & 1), m.keywords, CASE WHEN s.modseq > m.modseq THEN s.modseq ELSE m.modseq END FROM messages m \
                 LEFT JOIN seen s ON s.folder_id = m.folder_id AND s.actor_id = $3 AND s.uid = m.uid \
                 WHERE m.folder_id = $1 AND (m.modseq > $2 OR m.uid IN (SELECT uid FROM seen WHERE folder_id = $1 AND actor_id = $3 AND modseq > $2)) ORDER BY m.uid")
                .bind(folder.0).bind(since).bind(actor.0).fetch_all(&mut *c).await)?,
        };
        let expunged: Vec<(i64,)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT uid FROM expunged WHERE folder_id = $1 AND modseq > $2 ORDER BY uid").bind(folder.0).bind(since).fetch_all(&mut *c).await)?;
        drop(reader);
        let keywords = self.keywords(folder).await?;
        let rows: Vec<ViewRow> = rows.into_iter().map(view_row).collect();
        Ok(Some(FolderChanges {
            modseq: complete_up_to(ModSeq(modseq.unsigned_abs()), &rows),
            keywords,
            rows,
            expunged: expunged
                .into_iter()
                .map(|(uid,)| Uid(u32::try_from(uid).unwrap_or(u32::MAX)))
                .collect(),
        }))
    }

    /// Octets of the messages of a folder that are marked to be removed.
    pub async fn deleted_bytes(&self, folder: FolderId) -> Result<u64, Error> {
        let mut reader = self.reader().await?;
        let (octets,): (i64,) = on!(reader.conn(), c => sqlx::query_as(
            "SELECT CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) FROM messages WHERE folder_id = $1 AND (flags & 8) <> 0")
            .bind(folder.0).fetch_one(&mut *c).await)?;
        Ok(octets.unsigned_abs())
    }

    /// Rows of the messages with a UID in `first..=last`, by UID, at most `limit` of them.
    pub async fn messages(
        &self,
        folder: FolderId,
        first: Uid,
        last: Uid,
        limit: u32,
        with: WithBody,
    ) -> Result<Vec<MessageRow>, Error> {
        type Row =
            (i64, i64, i64, i64, i64, Vec<u8>, Vec<u8>, Option<Vec<u8>>, Option<String>, Option<Vec<u8>>);
        let sql = match with {
            WithBody::No => {
                "SELECT uid, modseq, size_bytes, internal_date_ms, saved_at_ms, body_id, wrapped_key, NULL, NULL, NULL FROM messages \
                 WHERE folder_id = $1 AND uid BETWEEN $2 AND $3 ORDER BY uid LIMIT $4"
            }
            WithBody::Structure => {
                "SELECT m.uid, m.modseq, m.size_bytes, m.internal_date_ms, m.saved_at_ms, m.body_id, m.wrapped_key, s.structure, NULL, NULL FROM messages m \
                 JOIN structures s ON s.body_id = m.body_id WHERE m.folder_id = $1 AND m.uid BETWEEN $2 AND $3 ORDER BY m.uid LIMIT $4"
            }
            WithBody::Content => {
                "SELECT m.uid, m.modseq, m.size_bytes, m.internal_date_ms, m.saved_at_ms, m.body_id, m.wrapped_key, s.structure, b.place, b.container FROM messages m \
                 JOIN bodies b ON b.id = m.body_id JOIN structures s ON s.body_id = m.body_id WHERE m.folder_id = $1 AND m.uid BETWEEN $2 AND $3 ORDER BY m.uid LIMIT $4"
            }
        };
        let mut reader = self.reader().await?;
        let rows: Vec<Row> = on!(reader.conn(), c => sqlx::query_as(sql)
            .bind(folder.0).bind(i64::from(first.0)).bind(i64::from(last.0)).bind(i64::from(limit)).fetch_all(&mut *c).await)?;
        rows.into_iter()
            .map(|(uid, modseq, size, date, saved_at, body, wrapped_key, structure, place, container)| {
                Ok(MessageRow {
                    uid: Uid(u32::try_from(uid).unwrap_or(u32::MAX)),
                    modseq: ModSeq(modseq.unsigned_abs()),
                    size: u32::try_from(size).unwrap_or(u32::MAX),
                    internal_date: Timestamp(date),
                    saved_at: Timestamp(saved_at),
                    body: body_id(&body)?,
                    wrapped_key,
                    structure,
                    place,
                    container,
                })
            })
            .collect()
    }

    /// A reader of the content of a message, whose row was read with it. Takes the container out of the row.
    pub async fn content(&self, row: &mut MessageRow, key: &ContentKey) -> Result<BodyReader, Error> {
        let place = row.place.clone().ok_or(Error::Inconsistent("the row was read without its content"))?;
        self.open_container(row.body, key, u64::from(row.size), &place, row.container.take()).await
    }

    pub(crate) async fn open_container(
        &self,
        id: BodyId,
        key: &ContentKey,
        size: u64,
        place: &str,
        container: Option<Vec<u8>>,
    ) -> Result<BodyReader, Error> {
        match (place, container) {
            ("inline", Some(container)) => BodyReader::inline(id, key, size, container),
            ("file", _) => BodyReader::outside(id, key, size, self.bodies(), Place::File).await,
            ("object", _) => BodyReader::outside(id, key, size, self.bodies(), Place::Object).await,
            _ => Err(Error::Inconsistent("the body is in a place that this program does not know")),
        }
    }
}

/// See the module.
fn complete_up_to(read_before: ModSeq, rows: &[ViewRow]) -> ModSeq {
    rows.iter().map(|row| row.modseq).max().map_or(read_before, |largest| largest.max(read_before))
}

pub(crate) fn body_id(bytes: &[u8]) -> Result<BodyId, Error> {
    bytes.try_into().map(BodyId).map_err(|_| Error::Inconsistent("a body id does not have 16 octets"))
}

fn view_row((uid, flags, keywords, modseq): (i64, i64, i64, i64)) -> ViewRow {
    ViewRow {
        uid: Uid(u32::try_from(uid).unwrap_or(u32::MAX)),
        flags: SystemFlags(u32::try_from(flags).unwrap_or(0)),
        keywords: keywords.unsigned_abs(),
        modseq: ModSeq(modseq.unsigned_abs()),
    }
}
