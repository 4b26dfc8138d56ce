//! CATENATE (RFC 4469): octets of messages that are here already become part of one that comes.

use crate::gathering::Gathering;
use crate::place::Who;
use crate::section::{Place, clip, locate};
use crate::state::{Connection, Failure};
use imap_session::response::Code;
use imap_session::url::MessageUrl;
use mail_types::{FolderId, Uid};
use message::structure::Structure;
use store::{BodyReader, MailboxKey, WithBody};

/// Octets opened at one time.
const PIECE: u64 = 256 * 1024;
/// Octets of a header in which fields are looked for.
const HEADER_MAX: u64 = 4 * 1024 * 1024;

/// A folder that octets are taken from.
struct Source {
    who: Who,
    folder: FolderId,
    key: MailboxKey,
}

impl Connection {
    /// Takes over the octets behind a URL. One that leads nowhere, or where the client may not read, is BADURL.
    pub(crate) async fn catenate(&mut self, gathering: &mut Gathering, text: &str) -> Result<(), Failure> {
        let bad = || Failure::No(Some(Code::BadUrl(text.to_owned())), "The URL leads to nothing here");
        let url = MessageUrl::parse(text).ok_or_else(bad)?;
        let source = self.source(&url).await?.ok_or_else(bad)?;
        self.tell_opened(source.who, source.folder).await?;
        let store = self.store();
        if let Some(validity) = url.uid_validity {
            let status = store.folder_status(source.folder, None).await?;
            status.filter(|status| status.uid_validity.0 == validity).ok_or_else(bad)?;
        }
        let rows = store.messages(source.folder, Uid(url.uid), Uid(url.uid), 1, WithBody::Content).await?;
        let mut row = rows.into_iter().next().ok_or_else(bad)?;
        let key = source.key.unwrap(row.body, &row.wrapped_key)?;
        let structure = Structure::decode(&row.structure(&key)?)
            .map_err(|_| store::Error::Inconsistent("the structure is not readable"))?;
        let mut reader = store.content(&mut row, &key).await?;
        match locate(&url.section, Some(&structure), reader.size()) {
            Place::Nowhere => Err(bad()),
            Place::Octets(range) => {
                let range = clip(range, url.partial);
                gathering.admit(range.end - range.start)?;
                copy(&mut reader, range, gathering).await
            }
            Place::Fields { header, names, negate } => {
                let mut octets = Vec::new();
                let end = header.end.min(header.start.saturating_add(HEADER_MAX));
                reader.read(header.start, end, &mut octets).await?;
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let chosen = message::header::select_fields(&octets, &names, negate);
                let wanted = clip(0..chosen.len() as u64, url.partial);
                let wanted = usize::try_from(wanted.start).ok().zip(usize::try_from(wanted.end).ok());
                let octets = wanted.and_then(|(start, end)| chosen.get(start..end)).unwrap_or_default();
                gathering.admit(octets.len() as u64)?;
                gathering.write(octets).await
            }
        }
    }

    /// The folder of a URL, if the client may read it.
    async fn source(&self, url: &MessageUrl) -> Result<Option<Source>, Failure> {
        let source = match &url.folder {
            None => self.selected.as_deref().map(|selected| {
                let (who, folder, key) = (selected.who, selected.folder, selected.key.clone());
                Source { who, folder, key }
            }),
            Some(name) => match self.place(name).await {
                Ok(place) => Some(Source { who: place.who, folder: place.id(), key: place.key }),
                Err(Failure::No(..)) => None,
                Err(failure) => return Err(failure),
            },
        };
        Ok(source.filter(|source| source.who.may("r")))
    }
}

async fn copy(
    reader: &mut BodyReader,
    range: std::ops::Range<u64>,
    gathering: &mut Gathering,
) -> Result<(), Failure> {
    let mut piece = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let to = range.end.min(at + PIECE);
        piece.clear();
        reader.read(at, to, &mut piece).await?;
        gathering.write(&piece).await?;
        at = to;
    }
    Ok(())
}
