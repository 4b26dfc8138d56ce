//! The searchable text of a message, and the filter before it.
//!
//! An [`Extract`] holds what a person reads of a message: the fields of its header, decoded; the fields of the headers of its parts and of embedded messages, and
//! the names of attachments; its text parts, decoded, tags of HTML left out. All is casemapped, so that searching is looking for octets. It is
//! made at delivery by a [`TextScanner`], kept sealed, and opened for those messages that their [`Signature`] does not rule out.
//!
//! A message with more than [`KEPT_MAX`] octets of headers and text has none: a [`Reading`] looks for the same texts in it while it is read, piece by piece.
//!
//! Deviations: a text part under a charset that is not known is read as [`decode_body`] reads it; of attachments only the names are searched.
//!
//! Standards: RFC 5051, RFC 9051 §6.4.4.

mod folding;
mod needle;
mod reading;
mod scanner;
mod signature;

use crate::header::{decode_value, fields};
use crate::structure::{Leaf, SectionRange, Structure};
use crate::text::{Encoding, decode_body, strip_html};
use folding::{casemapped, is_unaccented, spaced, unaccented};

pub use folding::{Folding, casemap};
pub use needle::Needle;
pub use reading::{Reading, Sought};
pub use scanner::{Gathered, KEPT_MAX, TextScanner};
pub use signature::Signature;

const VERSION: u8 = 2;

/// The fields that SEARCH has keys of their own for.
const HEADLINE: [&str; 5] = ["subject", "from", "to", "cc", "bcc"];

/// Whether an [`Extract::headline`] tells of fields of that name.
pub fn is_in_headline(name: &str) -> bool {
    HEADLINE.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// The octets are not of a version known here, or they are damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a stored text extract or signature of a known version")]
pub struct DecodeError;

/// A run of a message's octets that SEARCH reads, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it lies.
    pub range: SectionRange,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// The header of the message.
    Header,
    /// The header of a part or of an embedded message: it is body.
    Fields,
    Text {
        encoding: Encoding,
        charset: Option<String>,
        is_html: bool,
    },
}

impl Structure {
    /// What SEARCH reads of the message, its header first.
    pub fn pieces(&self) -> impl Iterator<Item = Piece> {
        let header = Piece { range: self.header(), kind: Kind::Header };
        let own = header.range.clone();
        let parts = self.leaves().map(|leaf| leaf.header).filter(move |part| *part != own);
        let fields = self.embedded_headers().chain(parts).map(|range| Piece { range, kind: Kind::Fields });
        let texts = self.leaves().filter(is_text).map(|leaf| {
            let kind = Kind::Text {
                encoding: Encoding::named(leaf.encoding),
                charset: leaf.charset.map(ToOwned::to_owned),
                is_html: leaf.subtype.eq_ignore_ascii_case("html"),
            };
            Piece { range: leaf.body, kind }
        });
        std::iter::once(header).chain(fields).chain(texts)
    }

    /// The names of attachments, decoded.
    pub fn attachment_names(&self) -> Vec<String> {
        if self.leaves().all(|leaf| is_text(&leaf)) {
            return Vec::new();
        }
        self.parts().into_iter().filter_map(|part| part.name).collect()
    }
}

/// Text, and reports of delivery and the like, which are text too.
fn is_text(leaf: &Leaf<'_>) -> bool {
    is_text_type(leaf.media_type)
}

pub(crate) fn is_text_type(media_type: &str) -> bool {
    ["text", "message"].iter().any(|read| media_type.eq_ignore_ascii_case(read))
}

/// Makes an [`Extract`] of the pieces of a message. NUL parts one text from the next, and each field from the next.
#[derive(Clone, Default)]
pub struct ExtractBuilder {
    /// `NAME: VALUE` of each field, NUL before each.
    header: String,
    /// Every other text, NUL before each.
    body: String,
}

impl std::fmt::Debug for ExtractBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[text extract of {} octets]", self.octets())
    }
}

impl ExtractBuilder {
    /// Takes the octets of a piece.
    pub fn push(&mut self, piece: &Piece, raw: &[u8]) {
        match &piece.kind {
            Kind::Header => push_fields(raw, &mut self.header),
            Kind::Fields => push_fields(raw, &mut self.body),
            Kind::Text { encoding, charset, is_html } => {
                let text = decode_body(raw, *encoding, charset.as_deref());
                self.push_text(&if *is_html { strip_html(&text) } else { text });
            }
        }
    }

    /// Takes a text of the body.
    pub fn push_text(&mut self, text: &str) {
        self.body.push('\0');
        casemapped(text, &mut self.body);
    }

    /// Octets so far.
    pub fn octets(&self) -> usize {
        self.header.len() + self.body.len()
    }

    /// What was taken.
    pub fn finish(self) -> Extract {
        Extract { header: self.header.into_bytes(), body: self.body.into_bytes() }
    }
}

fn push_fields(raw: &[u8], out: &mut String) {
    let mut mapped = String::new();
    for field in fields(raw) {
        out.push('\0');
        casemapped(&String::from_utf8_lossy(field.name), out);
        out.push_str(": ");
        mapped.clear();
        casemapped(&decode_value(&field.value()), &mut mapped);
        out.push_str(&spaced(&mapped));
    }
}

/// The searchable text of a message in UTF-8, casemapped or, once [opened](Extract::opened) so, unaccented.
#[derive(Clone, PartialEq, Eq)]
pub struct Extract {
    header: Vec<u8>,
    body: Vec<u8>,
}

impl std::fmt::Debug for Extract {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[text extract of {} octets]", self.header.len() + self.body.len())
    }
}

impl Extract {
    /// The stored forms of the header's text and of the body's: each a version octet and the text.
    pub fn encode(&self) -> (Vec<u8>, Vec<u8>) {
        let stored = |text: &[u8]| [&[VERSION], text].concat();
        (stored(&self.header), stored(&self.body))
    }

    /// Reads the stored forms. Their octets are taken as they are.
    ///
    /// # Errors
    /// [`DecodeError`] when they are not of a version known here.
    pub fn decode(header: Vec<u8>, body: Vec<u8>) -> Result<Self, DecodeError> {
        Ok(Self { header: stored(header)?, body: stored(body)? })
    }

    /// Reads the header's text alone. Nothing is known of the body then.
    ///
    /// # Errors
    /// [`DecodeError`] when the octets are not of a version known here.
    pub fn decode_header(header: Vec<u8>) -> Result<Self, DecodeError> {
        Ok(Self { header: stored(header)?, body: Vec::new() })
    }

    /// The extract as texts are compared with it under that folding.
    pub fn opened(self, folding: Folding) -> Self {
        Self { header: opened(self.header, folding), body: opened(self.body, folding) }
    }

    /// What there is of Subject, From, To, Cc and Bcc, and nothing else.
    pub fn headline(&self) -> Self {
        let is_wanted =
            |field: &&[u8]| HEADLINE.iter().any(|name| value_of(field, name.as_bytes()).is_some());
        let fields = self.header.split(|octet| *octet == 0).filter(is_wanted);
        let mut header = Vec::new();
        for field in fields {
            header.push(0);
            header.extend_from_slice(field);
        }
        header.shrink_to_fit();
        Self { header, body: Vec::new() }
    }

    /// Octets that it takes in memory.
    pub fn octets(&self) -> usize {
        self.header.len() + self.body.len() + size_of::<Self>()
    }

    /// The signature of a casemapped extract.
    pub fn signature(&self) -> Signature {
        let mut plain = Vec::with_capacity(self.header.len() + self.body.len());
        unaccented(&self.header, &mut plain);
        unaccented(&self.body, &mut plain);
        Signature::of(&plain)
    }

    /// Whether a field of the message's header has that name, whatever the case, and holds `value`.
    pub fn field_holds(&self, name: &str, value: &Needle) -> bool {
        let mut rest = self.header.as_slice();
        while !rest.is_empty() {
            let end = memchr::memchr(0, rest).unwrap_or(rest.len());
            let (field, after) = rest.split_at(end);
            if value_of(field, name.as_bytes()).is_some_and(|held| value.is_in(held)) {
                return true;
            }
            rest = after.get(1..).unwrap_or_default();
        }
        false
    }

    /// Whether a field of the message's header holds it, its name counted in.
    pub fn header_holds(&self, text: &Needle) -> bool {
        text.is_in(&self.header)
    }

    /// Whether a text of the body holds it.
    pub fn body_holds(&self, text: &Needle) -> bool {
        text.is_in(&self.body)
    }
}

/// The value of a field, if it is of that name.
fn value_of<'f>(field: &'f [u8], name: &[u8]) -> Option<&'f [u8]> {
    let (start, rest) = field.split_at_checked(name.len())?;
    rest.strip_prefix(b": ").filter(|_| start.eq_ignore_ascii_case(name))
}

/// The text of a stored form.
fn stored(mut stored: Vec<u8>) -> Result<Vec<u8>, DecodeError> {
    if stored.first() != Some(&VERSION) {
        return Err(DecodeError);
    }
    stored.drain(..1);
    Ok(stored)
}

fn opened(text: Vec<u8>, folding: Folding) -> Vec<u8> {
    if folding == Folding::Casemap || is_unaccented(&text) {
        return text;
    }
    let mut plain = Vec::new();
    unaccented(&text, &mut plain);
    plain
}

#[cfg(test)]
mod tests;
