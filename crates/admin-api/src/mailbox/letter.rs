//! One message, opened.

use super::{Holder, MessageId};
use crate::problem::{Code, Problem};
use mail_types::Uid;
use message::header::{decode_value, fields};
use message::structure::{Letterhead, Part, PartRole, Structure};
use message::text::decode_body;
use std::ops::Range;
use store::{BodyReader, Error, ListedMessage, WithBody};

/// Octets of the header that are shown.
const HEADER_MAX: u64 = 256 * 1024;
/// Octets of one kind of text, as they are encoded, that are shown.
const TEXT_MAX: u64 = 1024 * 1024;

/// A message whose octets are at hand.
pub(crate) struct Letter {
    pub(crate) listed: ListedMessage,
    pub(crate) structure: Structure,
    pub(crate) reader: BodyReader,
}

/// Texts of a message that stand to be read.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    pub(crate) plain: Option<String>,
    pub(crate) html: Option<String>,
    /// Whether there is more than is shown.
    pub(crate) is_cut: bool,
}

impl Letter {
    /// Opens a message of the mailbox.
    pub(crate) async fn open(holder: &Holder, id: MessageId) -> Result<Self, Problem> {
        let store = &holder.store;
        let listed = store.listed_message(id.folder, holder.reader(), id.uid).await?;
        let listed = listed.ok_or_else(|| Problem::new(Code::NotFound))?;
        let (first, last) = (id.uid, Uid(id.uid.0));
        let row = store.messages(id.folder, first, last, 1, WithBody::Content).await?.pop();
        let mut row = row.ok_or_else(|| Problem::new(Code::NotFound))?;
        let key = store.mailbox_key(holder.mailbox()).await?.unwrap(row.body, &row.wrapped_key)?;
        let structure = structure(&row.structure(&key)?)?;
        let reader = store.content(&mut row, &key).await?;
        Ok(Self { listed, structure, reader })
    }

    /// The fields of the header, decoded, as far as they are shown.
    pub(crate) async fn fields(&mut self) -> Result<Vec<(String, String)>, Problem> {
        let raw = self.octets(self.structure.header(), HEADER_MAX).await?;
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        Ok(fields(&raw).map(|field| (text(field.name), decode_value(&field.value()))).collect())
    }

    /// The texts to be read: those of a kind one after the other.
    pub(crate) async fn texts(&mut self, parts: &[Part]) -> Result<Texts, Problem> {
        let mut texts = Texts::default();
        let mut left = [TEXT_MAX; 2];
        for part in parts {
            let (text, left) = match part.role {
                PartRole::Text => (&mut texts.plain, &mut left[0]),
                PartRole::Html => (&mut texts.html, &mut left[1]),
                PartRole::Attachment => continue,
            };
            let size = part.body.end - part.body.start;
            texts.is_cut |= size > *left;
            let raw = self.octets(part.body.clone(), *left).await?;
            *left -= raw.len() as u64;
            let (encoding, charset) = (part.encoding, part.charset.clone());
            let decode = move || decode_body(&raw, encoding, charset.as_deref());
            let decoded = tokio::task::spawn_blocking(decode).await.map_err(|_| Error::Closing)?;
            text.get_or_insert_default().push_str(&decoded);
        }
        Ok(texts)
    }

    async fn octets(&mut self, range: Range<u64>, max: u64) -> Result<Vec<u8>, Error> {
        let mut raw = Vec::new();
        let end = range.end.min(range.start.saturating_add(max));
        self.reader.read(range.start, end, &mut raw).await?;
        Ok(raw)
    }
}

/// What a list shows of a message beside its row.
pub(crate) fn head(
    listed: &ListedMessage,
    key: &store::MailboxKey,
) -> Result<(Letterhead, Structure), Error> {
    let key = key.unwrap(listed.row.body, &listed.row.wrapped_key)?;
    let stored = listed.row.structure(&key)?;
    let structure = structure(&stored)?;
    Ok((structure.letterhead(), structure))
}

fn structure(stored: &[u8]) -> Result<Structure, Error> {
    Structure::decode(stored).map_err(|_| Error::Inconsistent("the structure is not readable"))
}
