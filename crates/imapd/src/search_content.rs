//! A message as SEARCH reads it: decoded and folded, within bounds. Nothing of it is kept.

use crate::search_key::{HeaderField, Texts, folded, spaced};
use message::header::{decode_value, fields};
use message::structure::{Leaf, Structure};
use message::text::{Encoding, decode_body, strip_html};
use std::ops::Range;
use store::{BodyReader, Error};

/// Octets of a header that are searched.
const HEADER_MAX: u64 = 4 * 1024 * 1024;
/// Octets of one text part that are searched.
const PART_MAX: u64 = 4 * 1024 * 1024;
/// Octets of all text parts of a message that are searched.
const PARTS_MAX: u64 = 16 * 1024 * 1024;
/// A part larger than this is decoded off the async threads.
const INLINE_MAX: usize = 64 * 1024;

/// A message being read.
pub(crate) struct Content<'m> {
    reader: BodyReader,
    structure: &'m Structure,
}

impl<'m> Content<'m> {
    pub(crate) fn new(reader: BodyReader, structure: &'m Structure) -> Self {
        Self { reader, structure }
    }

    /// The fields of the message's header.
    pub(crate) async fn header(&mut self) -> Result<Vec<HeaderField>, Error> {
        let raw = self.octets(self.structure.header(), HEADER_MAX).await?;
        Ok(decoded_fields(&raw))
    }

    /// Texts of the parts, headers of parts and of embedded messages.
    pub(crate) async fn texts(&mut self) -> Result<Texts, Error> {
        let mut texts = Texts::default();
        let mut left = PARTS_MAX;
        let structure = self.structure;
        // The headers of parts and of embedded messages are body: names of attachments are found there.
        let parts = structure.leaves().map(|leaf| leaf.header).filter(|header| *header != structure.header());
        for header in structure.embedded_headers().chain(parts) {
            let raw = self.octets(header, HEADER_MAX.min(left)).await?;
            left -= raw.len() as u64;
            let fields = decoded_fields(&raw).into_iter();
            texts.body.extend(fields.map(|field| format!("{}: {}", field.name, field.value)));
        }
        for leaf in structure.leaves().filter(is_read) {
            let raw = self.octets(leaf.body.clone(), PART_MAX.min(left)).await?;
            left -= raw.len() as u64;
            texts.body.push(decoded_part(raw, &leaf).await?);
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

/// Text, and reports of delivery and the like, which are text too.
fn is_read(leaf: &Leaf<'_>) -> bool {
    ["text", "message"].iter().any(|read| leaf.media_type.eq_ignore_ascii_case(read))
}

fn decoded_fields(raw: &[u8]) -> Vec<HeaderField> {
    let decoded = |field: message::header::Field<'_>| HeaderField {
        name: String::from_utf8_lossy(field.name).to_ascii_lowercase(),
        value: spaced(&folded(&decode_value(&field.value()))),
    };
    fields(raw).map(decoded).collect()
}

async fn decoded_part(raw: Vec<u8>, leaf: &Leaf<'_>) -> Result<String, Error> {
    let encoding = Encoding::named(leaf.encoding);
    let charset = leaf.charset.map(ToOwned::to_owned);
    let is_html = leaf.subtype.eq_ignore_ascii_case("html");
    let is_large = raw.len() > INLINE_MAX;
    let decode = move || {
        let text = decode_body(&raw, encoding, charset.as_deref());
        folded(&if is_html { strip_html(&text) } else { text })
    };
    if is_large {
        return tokio::task::spawn_blocking(decode).await.map_err(|_| Error::Closing);
    }
    Ok(decode())
}
