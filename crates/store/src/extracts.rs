//! What SEARCH reads of messages: text extracts and signatures, sealed beside the body, and read a page at a time.
//!
//! What they say is not known here. A body without them was stored before there were any, or has too much text.

use crate::bodies::ContentKey;
use crate::dialect::{Conn, answered};
use crate::messages::body_id;
use crate::seal::{SideCar, SideCars, compress, decompress};
use crate::{Error, Store};
use mail_types::{BodyId, FolderId, Uid};

/// Octets of the longest extract that is opened.
const EXTRACT_MAX: usize = 16 * 1024 * 1024;

/// What a body is searched by, sealed.
#[derive(Debug)]
pub(crate) struct SealedSearch {
    pub(crate) signature: Vec<u8>,
    pub(crate) header: Vec<u8>,
    pub(crate) extract: Vec<u8>,
}

impl SealedSearch {
    pub(crate) fn seal(
        cars: &SideCars,
        signature: &[u8],
        header: &[u8],
        extract: &[u8],
    ) -> Result<Self, Error> {
        Ok(Self {
            signature: cars.seal(SideCar::Signature, signature),
            // It is short, and opened for thousands of messages at a time.
            header: cars.seal(SideCar::Header, header),
            extract: cars.seal(SideCar::Extract, &packed(extract)?),
        })
    }

    pub(crate) fn octets(&self) -> usize {
        self.signature.len() + self.header.len() + self.extract.len()
    }
}

/// The length, and the text compressed.
fn packed(extract: &[u8]) -> Result<Vec<u8>, Error> {
    let length = u32::try_from(extract.len()).map_err(|_| Error::TooBig)?;
    let mut out = length.to_le_bytes().to_vec();
    out.extend(compress(extract)?);
    Ok(out)
}

fn unpacked(packed: &[u8]) -> Result<Vec<u8>, Error> {
    let (length, packed) =
        packed.split_first_chunk::<4>().ok_or(Error::Sealed("a text extract is cut off"))?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Error::TooBig)?;
    if length > EXTRACT_MAX {
        return Err(Error::Sealed("a text extract has an impossible length"));
    }
    let mut out = vec![0; length];
    let found = decompress(packed, &mut out)?;
    out.truncate(found);
    Ok(out)
}

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Searched {
    /// Signatures.
    Signatures,
    /// Texts of headers, but long ones: one of more than 64 KiB, sealed, is left out, so that a page of them has a bound.
    Headers,
    /// Texts of headers and of bodies.
    Extracts,
}

/// What one message is searched by, sealed.
#[derive(Debug)]
pub struct SearchRow {
    /// UID.
    pub uid: Uid,
    body: BodyId,
    wrapped_key: Vec<u8>,
    signature: Option<Vec<u8>>,
    header: Option<Vec<u8>>,
    extract: Option<Vec<u8>>,
}

impl SearchRow {
    /// The body.
    pub fn body(&self) -> BodyId {
        self.body
    }

    /// Its key as wrapped for the mailbox.
    pub fn wrapped_key(&self) -> &[u8] {
        &self.wrapped_key
    }

    /// Whether anything was read.
    pub fn is_there(&self) -> bool {
        self.signature.is_some() || self.header.is_some()
    }

    /// Opens the signature; none where none was read.
    ///
    /// # Errors
    /// [`Error::Sealed`] when it does not open.
    pub fn signature(&self, key: &ContentKey) -> Result<Option<Vec<u8>>, Error> {
        self.open(key, SideCar::Signature, self.signature.as_deref())
    }

    /// Opens the text of the header; none where none was read.
    ///
    /// # Errors
    /// [`Error::Sealed`] when it does not open.
    pub fn header(&self, key: &ContentKey) -> Result<Option<Vec<u8>>, Error> {
        self.open(key, SideCar::Header, self.header.as_deref())
    }

    /// Opens the text of the body; none where none was read.
    ///
    /// # Errors
    /// [`Error::Sealed`] when it does not open.
    pub fn body_text(&self, key: &ContentKey) -> Result<Option<Vec<u8>>, Error> {
        let opened = self.open(key, SideCar::Extract, self.extract.as_deref())?;
        opened.map(|packed| unpacked(&packed)).transpose()
    }

    fn open(&self, key: &ContentKey, kind: SideCar, sealed: Option<&[u8]>) -> Result<Option<Vec<u8>>, Error> {
        let open = |sealed: &[u8]| SideCars::of(self.body, key.raw()).open(kind, sealed.to_vec());
        sealed.map(open).transpose()
    }
}

/// uid, body_id, wrapped_key, signature, header, extract
type Row = (i64, Vec<u8>, Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>);

macro_rules! search_rows {
    ($columns:literal, $among:literal) => {
        concat!(
            "SELECT m.uid, m.body_id, m.wrapped_key, ",
            $columns,
            " FROM messages m LEFT JOIN extracts e ON e.body_id = m.body_id WHERE m.folder_id = $1 AND m.uid ",
            $among,
            " ORDER BY m.uid"
        )
    };
}

impl Store {
    /// What those messages of a folder are searched by, by UID. A message that is no more is left out. The caller bounds how many it asks for.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn search_rows(
        &self,
        folder: FolderId,
        uids: &[Uid],
        kind: Searched,
    ) -> Result<Vec<SearchRow>, Error> {
        let mut reader = self.quick_reader().await?;
        let rows: Vec<Row> = match reader.conn() {
            Conn::Sqlite(c) => {
                let sql = match kind {
                    Searched::Signatures => {
                        search_rows!("e.signature, NULL, NULL", "IN (SELECT value FROM json_each($2))")
                    }
                    Searched::Headers => {
                        search_rows!(
                            "NULL, CASE WHEN LENGTH(e.header) <= 65536 THEN e.header END, NULL",
                            "IN (SELECT value FROM json_each($2))"
                        )
                    }
                    Searched::Extracts => {
                        search_rows!("NULL, e.header, e.extract", "IN (SELECT value FROM json_each($2))")
                    }
                };
                let uids: Vec<String> = uids.iter().map(|uid| uid.0.to_string()).collect();
                let uids = format!("[{}]", uids.join(","));
                sqlx::query_as(sql).bind(folder.0).bind(uids).fetch_all(c).await?
            }
            Conn::Postgres(c, is_stuck) => {
                let sql = match kind {
                    Searched::Signatures => {
                        search_rows!("e.signature, NULL::BYTEA, NULL::BYTEA", "= ANY($2)")
                    }
                    Searched::Headers => search_rows!(
                        "NULL::BYTEA, CASE WHEN LENGTH(e.header) <= 65536 THEN e.header END, NULL::BYTEA",
                        "= ANY($2)"
                    ),
                    Searched::Extracts => search_rows!("NULL::BYTEA, e.header, e.extract", "= ANY($2)"),
                };
                let uids: Vec<i64> = uids.iter().map(|uid| i64::from(uid.0)).collect();
                answered(is_stuck, sqlx::query_as(sql).bind(folder.0).bind(uids).fetch_all(c)).await?
            }
        };
        drop(reader);
        rows.into_iter()
            .map(|(uid, body, wrapped_key, signature, header, extract)| {
                let uid = Uid(u32::try_from(uid).unwrap_or(u32::MAX));
                Ok(SearchRow { uid, body: body_id(&body)?, wrapped_key, signature, header, extract })
            })
            .collect()
    }
}
