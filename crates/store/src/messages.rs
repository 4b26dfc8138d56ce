//! The rows that FETCH needs, and what opens them. No reader is held while a client takes its octets.

use crate::bodies::BodyReader;
use crate::dialect::on;
use crate::seal::{SideCar, SideCars};
use crate::{ContentKey, Error, Store};
use body_store::Place;
use mail_types::{BodyId, FolderId, ModSeq, Timestamp, Uid};

/// What else of the body FETCH needs beside its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithBody {
    /// Only the row.
    No,
    /// The sealed structure.
    Structure,
    /// Structure and, where inline, the container.
    Content,
    /// Where inline, the container, without the structure.
    OnlyContent,
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

    /// Opens the structure, and takes it out of the row.
    ///
    /// # Errors
    /// Those of [`structure`](Self::structure).
    pub fn take_structure(&mut self, key: &ContentKey) -> Result<Vec<u8>, Error> {
        let sealed = self.structure.take().ok_or(Error::Inconsistent("the body has no structure"))?;
        SideCars::of(self.body, key.raw()).open(SideCar::Structure, sealed)
    }

    /// Opens the structure; the row must have been read with it.
    pub fn structure(&self, key: &ContentKey) -> Result<Vec<u8>, Error> {
        let sealed = self.structure.clone().ok_or(Error::Inconsistent("the body has no structure"))?;
        SideCars::of(self.body, key.raw()).open(SideCar::Structure, sealed)
    }

    /// A reader of the content where it stands in the row, opened as far as its first frame goes; `None` where it lies elsewhere. It takes processor
    /// time and waits for nothing. Takes the container out of the row.
    pub fn inline_content(&mut self, key: &ContentKey) -> Result<Option<BodyReader>, Error> {
        if self.place.as_deref() != Some("inline") {
            return Ok(None);
        }
        let container = self.container.take().ok_or(Error::Inconsistent("a body in its row is not there"))?;
        let mut reader = BodyReader::inline(self.body, key, u64::from(self.size), container)?;
        reader.open_first()?;
        Ok(Some(reader))
    }
}

impl Store {
    /// Octets of the messages of a folder that are marked to be removed.
    pub async fn deleted_bytes(&self, folder: FolderId) -> Result<u64, Error> {
        let mut reader = self.quick_reader().await?;
        let (octets,): (i64,) = on!(reader.conn(), c => sqlx::query_as(
            "SELECT CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) FROM messages WHERE folder_id = $1 AND (flags & 8) <> 0")
            .bind(folder.0).fetch_one(&mut *c).await)?;
        Ok(octets.unsigned_abs())
    }

    /// Whether a message is still in its folder.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn is_there(&self, folder: FolderId, uid: Uid) -> Result<bool, Error> {
        let mut reader = self.quick_reader().await?;
        let row: Option<(i64,)> = on!(reader.conn(), c => sqlx::query_as("SELECT uid FROM messages WHERE folder_id = $1 AND uid = $2")
            .bind(folder.0).bind(i64::from(uid.0)).fetch_optional(&mut *c).await)?;
        Ok(row.is_some())
    }

    /// UIDs and octets of the messages with a UID in `first..=last`, by UID, at most `limit` of them.
    pub async fn message_sizes(
        &self,
        folder: FolderId,
        first: Uid,
        last: Uid,
        limit: u32,
    ) -> Result<Vec<(Uid, u32)>, Error> {
        let mut reader = self.quick_reader().await?;
        let rows: Vec<(i64, i64)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT uid, size_bytes FROM messages WHERE folder_id = $1 AND uid BETWEEN $2 AND $3 ORDER BY uid LIMIT $4")
            .bind(folder.0).bind(i64::from(first.0)).bind(i64::from(last.0)).bind(i64::from(limit)).fetch_all(&mut *c).await)?;
        let number = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(rows.into_iter().map(|(uid, size)| (Uid(number(uid)), number(size))).collect())
    }

    /// Rows of the messages with a UID in `first..=last`, by UID, at most `limit` of them. One of which a part is missing in the store is among them: it does
    /// not open, and is not taken for one that is gone.
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
                 LEFT JOIN structures s ON s.body_id = m.body_id WHERE m.folder_id = $1 AND m.uid BETWEEN $2 AND $3 ORDER BY m.uid LIMIT $4"
            }
            WithBody::OnlyContent => {
                "SELECT m.uid, m.modseq, m.size_bytes, m.internal_date_ms, m.saved_at_ms, m.body_id, m.wrapped_key, NULL, b.place, b.container FROM messages m \
                 LEFT JOIN bodies b ON b.id = m.body_id WHERE m.folder_id = $1 AND m.uid BETWEEN $2 AND $3 ORDER BY m.uid LIMIT $4"
            }
            WithBody::Content => {
                "SELECT m.uid, m.modseq, m.size_bytes, m.internal_date_ms, m.saved_at_ms, m.body_id, m.wrapped_key, s.structure, b.place, b.container FROM messages m \
                 LEFT JOIN bodies b ON b.id = m.body_id LEFT JOIN structures s ON s.body_id = m.body_id WHERE m.folder_id = $1 AND m.uid BETWEEN $2 AND $3 ORDER BY m.uid LIMIT $4"
            }
        };
        let mut reader = self.quick_reader().await?;
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

pub(crate) fn body_id(bytes: &[u8]) -> Result<BodyId, Error> {
    bytes.try_into().map(BodyId).map_err(|_| Error::Inconsistent("a body id does not have 16 octets"))
}
