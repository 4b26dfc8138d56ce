//! The structure of a message: where its parts lie and what IMAP says of them.
//!
//! [`StructureScanner`] reads the message once, as a stream, at delivery; [`Structure`] is what is kept. It holds ENVELOPE and
//! BODYSTRUCTURE ready to send and a tree of byte ranges, never the content itself.
//!
//! Deviations, each chosen so that BODYSTRUCTURE stays grammatical and the text stays readable:
//! * a multipart without a boundary parameter or in which no delimiter is found is a `text/plain` leaf (RFC 2045 §5.2);
//! * `message/rfc822` under a transfer encoding, and containers beyond [`DEPTH_MAX`] or [`PARTS_MAX`], are leaves shown as
//!   `application/octet-stream`, their ids, parameters and other facts kept;
//! * from [`PARTS_MAX`] on, the last part keeps what would be further parts, so that every octet can be fetched;
//! * `text/plain` without a charset parameter is shown with `us-ascii` (RFC 2046 §4.1.2);
//! * line counts are counts of line ends, as other servers count them.
//!
//! Standards: RFC 2046 §5.1, RFC 9051 §6.4.5 and §7.5.2, RFC 3501 §7.4.2.

mod codec;
pub mod downgrade;
mod envelope;
mod heading;
mod imap_text;
mod letterhead;
mod parts;
mod render;
mod scanner;
mod section;
mod value;

use mail_types::Timestamp;
use std::ops::Range;

pub use codec::{DecodeError, Shown};
pub use heading::{Heading, HeadingAddress};
pub use letterhead::{Correspondent, Letterhead};
pub use parts::{Part, PartRole};
pub use scanner::StructureScanner;
pub use section::SectionKind;

/// Containers (multiparts and embedded messages together) may nest this deep.
pub const DEPTH_MAX: usize = 64;
/// A message is split in at most this many parts, itself included.
pub const PARTS_MAX: usize = 10_000;
/// At most this many header octets of one entity are looked at; offsets stay right beyond it.
pub const HEADER_BYTES_MAX: usize = 256 * 1024;
/// At most this many header octets of all entities of a message together are looked at.
pub const HEADER_BYTES_TOTAL_MAX: usize = 2 * 1024 * 1024;
/// At most this many addresses of a message's ENVELOPEs together are shown (and 1,000 of one field).
pub const ADDRESSES_MAX: usize = 10_000;

/// Byte offsets into the whole message.
pub type SectionRange = Range<u64>;

/// What is kept of a scanned message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    total: u64,
    /// In document order: a container comes before what it contains. Never empty.
    nodes: Vec<Node>,
    envelope: Vec<u8>,
    bodystructure: Vec<u8>,
    /// The spans of `bodystructure` that `body` leaves out, in order.
    extensions: Vec<Range<usize>>,
    body: Vec<u8>,
    message_id: Option<Vec<u8>>,
    /// Message-IDs of its ancestors, the nearest last, separated by spaces; none in what was stored by a first version.
    references: Option<Vec<u8>>,
    date: Option<Timestamp>,
    sent_day: Option<i64>,
}

/// One entity: the message, a body part, or an embedded message.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    kind: Kind,
    depth: u8,
    header: Range<u64>,
    /// Starts where the header ends.
    body: Range<u64>,
    media_type: String,
    subtype: String,
    charset: Option<String>,
    encoding: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Leaf,
    Multipart,
    /// `message/rfc822` or `message/global`; its one child is the embedded message.
    Message,
    /// A container that is not descended into.
    Opaque,
}

/// A part without parts, as search reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf<'a> {
    /// Type as written; `text` when the header does not say.
    pub media_type: &'a str,
    /// Subtype as written; `plain` when the header does not say.
    pub subtype: &'a str,
    /// The charset parameter, as written.
    pub charset: Option<&'a str>,
    /// Content-Transfer-Encoding as written, `7bit` when absent.
    pub encoding: &'a str,
    /// The part's own header, blank line included; the message's header when the message has no parts.
    pub header: SectionRange,
    /// The body, still encoded.
    pub body: SectionRange,
}

impl Structure {
    /// The ENVELOPE data item, `(…)`, ready to send. It may hold literals.
    pub fn envelope(&self) -> &[u8] {
        &self.envelope
    }

    /// The BODYSTRUCTURE data item, `(…)`, with extension data. It may hold literals.
    pub fn bodystructure(&self) -> &[u8] {
        &self.bodystructure
    }

    /// The BODY data item: BODYSTRUCTURE without extension data.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Length of the message in octets.
    pub fn size(&self) -> u64 {
        self.total
    }

    /// The message's header, its blank line included.
    pub fn header(&self) -> SectionRange {
        self.nodes.first().map_or(0..0, |root| root.header.clone())
    }

    /// The value of Message-ID, unfolded, as written.
    pub fn message_id(&self) -> Option<&[u8]> {
        self.message_id.as_deref()
    }

    /// The instant of the Date field, if it can be read.
    pub fn date(&self) -> Option<Timestamp> {
        self.date
    }

    /// The day of the Date field as written, time and zone disregarded: days since 1970-01-01, comparable with
    /// [`crate::date::day_number`].
    pub fn sent_date(&self) -> Option<i64> {
        self.sent_day
    }

    /// The parts without parts, in order. Opaque containers are among them.
    pub fn leaves(&self) -> impl Iterator<Item = Leaf<'_>> {
        let childless = |node: &&Node| matches!(node.kind, Kind::Leaf | Kind::Opaque);
        self.nodes.iter().filter(childless).map(|node| Leaf {
            media_type: &node.media_type,
            subtype: &node.subtype,
            charset: node.charset.as_deref(),
            encoding: &node.encoding,
            header: node.header.clone(),
            body: node.body.clone(),
        })
    }

    /// The headers of embedded messages, in order.
    pub fn embedded_headers(&self) -> impl Iterator<Item = SectionRange> {
        let pairs = self.nodes.iter().zip(self.nodes.iter().skip(1));
        pairs.filter(|(outer, _)| outer.kind == Kind::Message).map(|(_, inner)| inner.header.clone())
    }
}

/// BODYSTRUCTURE without its extension data.
fn without(bodystructure: &[u8], extensions: &[Range<usize>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bodystructure.len());
    let mut at = 0;
    for span in extensions {
        out.extend_from_slice(bodystructure.get(at..span.start).unwrap_or_default());
        at = span.end;
    }
    out.extend_from_slice(bodystructure.get(at..).unwrap_or_default());
    out
}
