//! The stored form of a [`Structure`]: a version octet, then LEB128 numbers and length-prefixed texts.
//!
//! Reading checks every length and every relation between nodes; corrupt input gives an error, never a panic, and
//! never more memory than a small multiple of its length.

use super::{DEPTH_MAX, Kind, Node, PARTS_MAX, Structure, without};
use mail_types::Timestamp;
use std::ops::Range;

/// Since 2, References are in it.
const VERSION: u8 = 2;
const VERSION_FIRST: u8 = 1;

/// The bytes are not a stored structure of a version known here: they are damaged, or of another program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a stored message structure of a known version")]
pub struct DecodeError;

impl Structure {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let texts = self.envelope.len() + self.bodystructure.len();
        let mut out = Vec::with_capacity(texts + 64 + self.nodes.len() * 32);
        out.push(VERSION);
        number(self.total, &mut out);
        bytes(&self.envelope, &mut out);
        bytes(&self.bodystructure, &mut out);
        optional(self.message_id.as_deref(), &mut out);
        optional(self.references.as_deref(), &mut out);
        signed(self.date.map(|date| date.0), &mut out);
        signed(self.sent_day, &mut out);
        number(self.nodes.len() as u64, &mut out);
        for node in &self.nodes {
            write_node(node, &mut out);
        }
        let mut at = 0;
        for span in &self.extensions {
            number((span.start - at) as u64, &mut out);
            number((span.end - span.start) as u64, &mut out);
            at = span.end;
        }
        out
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are not exactly one stored structure.
    pub fn decode(stored: &[u8]) -> Result<Self, DecodeError> {
        Reader { rest: stored }.structure().ok_or(DecodeError)
    }
}

/// ENVELOPE and BODYSTRUCTURE of a stored structure, as they stand in it. The rest is not looked at.
pub struct Shown {
    stored: Vec<u8>,
    envelope: Range<usize>,
    bodystructure: Range<usize>,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[stored structure of {} octets]", self.stored.len())
    }
}

impl Shown {
    /// Finds them in the stored form.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes do not begin as a stored structure does.
    pub fn find(stored: Vec<u8>) -> Result<Self, DecodeError> {
        let (envelope, bodystructure) = Reader { rest: &stored }.shown(stored.len()).ok_or(DecodeError)?;
        Ok(Self { stored, envelope, bodystructure })
    }

    /// As [`Structure::envelope`].
    pub fn envelope(&self) -> &[u8] {
        self.stored.get(self.envelope.clone()).unwrap_or_default()
    }

    /// As [`Structure::bodystructure`].
    pub fn bodystructure(&self) -> &[u8] {
        self.stored.get(self.bodystructure.clone()).unwrap_or_default()
    }
}

fn write_node(node: &Node, out: &mut Vec<u8>) {
    out.push(match node.kind {
        Kind::Leaf => 0,
        Kind::Multipart => 1,
        Kind::Message => 2,
        Kind::Opaque => 3,
    });
    out.push(node.depth);
    number(node.header.start, out);
    number(node.header.end - node.header.start, out);
    number(node.body.end - node.body.start, out);
    bytes(node.media_type.as_bytes(), out);
    bytes(node.subtype.as_bytes(), out);
    optional(node.charset.as_deref().map(str::as_bytes), out);
    bytes(node.encoding.as_bytes(), out);
}

fn number(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn bytes(value: &[u8], out: &mut Vec<u8>) {
    number(value.len() as u64, out);
    out.extend_from_slice(value);
}

fn optional(value: Option<&[u8]>, out: &mut Vec<u8>) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        bytes(value, out);
    }
}

fn signed(value: Option<i64>, out: &mut Vec<u8>) {
    optional(value.map(i64::to_le_bytes).as_ref().map(|octets| &octets[..]), out);
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Where ENVELOPE and BODYSTRUCTURE lie in so many octets.
    fn shown(mut self, length: usize) -> Option<(Range<usize>, Range<usize>)> {
        self.version()?;
        self.number()?;
        let mut next = || {
            let octets = self.bytes()?.len();
            let end = length - self.rest.len();
            Some(end - octets..end)
        };
        Some((next()?, next()?))
    }

    fn version(&mut self) -> Option<u8> {
        self.octet().filter(|version| [VERSION_FIRST, VERSION].contains(version))
    }

    fn structure(mut self) -> Option<Structure> {
        let version = self.version()?;
        let total = self.number()?;
        let (envelope, bodystructure) = (self.bytes()?.to_vec(), self.bytes()?.to_vec());
        let message_id = self.optional()?.map(<[u8]>::to_vec);
        let references = if version == VERSION_FIRST { None } else { self.optional()?.map(<[u8]>::to_vec) };
        let (date, sent_day) = (self.signed()?.map(Timestamp), self.signed()?);
        let nodes = self.nodes(total)?;
        let extensions = self.spans(bodystructure.len(), nodes.len())?;
        let body = without(&bodystructure, &extensions);
        let whole = self.rest.is_empty();
        whole.then_some(Structure {
            total,
            nodes,
            envelope,
            bodystructure,
            extensions,
            body,
            message_id,
            references,
            date,
            sent_day,
        })
    }

    fn nodes(&mut self, total: u64) -> Option<Vec<Node>> {
        let count = self.length()?;
        if count == 0 || count > PARTS_MAX {
            return None;
        }
        let mut nodes: Vec<Node> = Vec::new();
        for _ in 0..count {
            let node = self.node(total)?;
            let placed = match nodes.last() {
                None => node.depth == 0,
                Some(before) => {
                    let holds = matches!(before.kind, Kind::Multipart | Kind::Message);
                    node.depth > 0 && node.depth <= before.depth + u8::from(holds)
                }
            };
            if !placed {
                return None;
            }
            nodes.push(node);
        }
        Some(nodes)
    }

    fn node(&mut self, total: u64) -> Option<Node> {
        let kind = match self.octet()? {
            0 => Kind::Leaf,
            1 => Kind::Multipart,
            2 => Kind::Message,
            3 => Kind::Opaque,
            _ => return None,
        };
        let depth = self.octet().filter(|depth| usize::from(*depth) <= DEPTH_MAX)?;
        let start = self.number()?;
        let middle = start.checked_add(self.number()?)?;
        let end = middle.checked_add(self.number()?).filter(|end| *end <= total)?;
        let (media_type, subtype) = (self.text()?, self.text()?);
        let charset = match self.optional()? {
            Some(value) => Some(text(value)?),
            None => None,
        };
        let encoding = self.text()?;
        Some(Node {
            kind,
            depth,
            header: start..middle,
            body: middle..end,
            media_type,
            subtype,
            charset,
            encoding,
        })
    }

    fn spans(&mut self, limit: usize, count: usize) -> Option<Vec<Range<usize>>> {
        let (mut spans, mut at) = (Vec::new(), 0usize);
        for _ in 0..count {
            let start = at.checked_add(self.length()?)?;
            let end = start.checked_add(self.length()?).filter(|end| *end <= limit)?;
            spans.push(start..end);
            at = end;
        }
        Some(spans)
    }

    fn octet(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let octet = self.octet()?;
            let bits = u64::from(octet & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if octet < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        let (value, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(value)
    }

    fn text(&mut self) -> Option<String> {
        text(self.bytes()?)
    }

    fn optional(&mut self) -> Option<Option<&'a [u8]>> {
        match self.octet()? {
            0 => Some(None),
            1 => self.bytes().map(Some),
            _ => None,
        }
    }

    fn signed(&mut self) -> Option<Option<i64>> {
        match self.optional()? {
            None => Some(None),
            Some(octets) => octets.try_into().ok().map(|octets| Some(i64::from_le_bytes(octets))),
        }
    }
}

fn text(value: &[u8]) -> Option<String> {
    std::str::from_utf8(value).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::StructureScanner;

    fn stored() -> (Structure, Vec<u8>) {
        let mut scanner = StructureScanner::new();
        scanner.push(b"Date: Sat, 21 Nov 2026 08:04:00 +0000\r\nMessage-ID: <a@b>\r\n");
        scanner.push(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=x\r\n\r\n");
        scanner.push(b"a\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nb\r\n--b--\r\n");
        let structure = scanner.finish();
        let stored = structure.encode();
        (structure, stored)
    }

    #[test]
    fn a_structure_survives_a_round_trip() {
        let (structure, stored) = stored();
        let shown = Shown::find(stored.clone()).unwrap();
        assert_eq!(
            (shown.envelope(), shown.bodystructure()),
            (structure.envelope(), structure.bodystructure())
        );
        assert_eq!(Structure::decode(&stored), Ok(structure));
    }

    #[test]
    fn what_the_first_version_stored_is_read_and_has_no_references() {
        let (mut structure, _) = stored();
        structure.references = None;
        let mut first = structure.encode();
        first[0] = VERSION_FIRST;
        let absent = first.windows(5).rposition(|octets| octets == b"<a@b>").unwrap() + 5;
        assert_eq!(first.remove(absent), 0);
        assert_eq!(Structure::decode(&first), Ok(structure));
    }

    #[test]
    fn damage_is_an_error_or_another_structure_but_never_a_panic() {
        let (structure, stored) = stored();
        assert!(Shown::find(Vec::new()).is_err() && Shown::find(vec![9; 9]).is_err());
        for at in 0..stored.len() {
            assert_eq!(Structure::decode(&stored[..at]), Err(DecodeError));
            if let Ok(shown) = Shown::find(stored[..at].to_vec()) {
                assert_eq!(
                    (shown.envelope(), shown.bodystructure()),
                    (structure.envelope(), structure.bodystructure())
                );
            }
            for flip in [1, 0x40, 0x80, 0xff] {
                let mut damaged = stored.clone();
                damaged[at] ^= flip;
                let _ = Shown::find(damaged.clone());
                if let Ok(structure) = Structure::decode(&damaged) {
                    structure.section(&[2, 1], crate::structure::SectionKind::Content);
                }
            }
        }
        assert_eq!(Structure::decode(&[stored, vec![0]].concat()), Err(DecodeError));
    }
}
