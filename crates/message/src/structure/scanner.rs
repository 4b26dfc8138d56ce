//! The streaming scanner: lines in, a tree of parts out.
//!
//! It looks at line starts only. While any boundary is awaited, a line that begins with `--` is compared with those of the open multiparts,
//! innermost first: `--boundary` or `--boundary--`, then spaces and tabs, then the line end (RFC 2046 §5.1.1). The line
//! end before a delimiter belongs to the delimiter. A delimiter closes all that is open inside its multipart; the end of the
//! message closes everything. A header ends at an empty line, at a delimiter or at the end of the message.
//!
//! Invariant: the outcome does not depend on how the message was cut into pushes.

use super::envelope::EnvelopeFields;
use super::{
    ADDRESSES_MAX, DEPTH_MAX, HEADER_BYTES_MAX, HEADER_BYTES_TOTAL_MAX, Kind, PARTS_MAX, Structure, render,
};
use crate::date;
use crate::header;
use crate::message_id::kept_ids;
use crate::mime_fields::{ContentType, MimeFields};
use mail_types::Timestamp;
use memchr::memchr;
use std::ops::Range;

/// Longer lines, line end included, are never delimiters: room for a boundary of 70 characters and its padding.
const DELIMITER_LINE_MAX: usize = 512;

/// An entity while the message is read, and what [`render`] needs of it.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) kind: Kind,
    pub(super) depth: u8,
    pub(super) header: Range<u64>,
    pub(super) body: Range<u64>,
    pub(super) lines: u64,
    pub(super) content_type: ContentType,
    pub(super) fields: MimeFields,
    /// Of the message and of embedded ones.
    pub(super) envelope: Option<Vec<u8>>,
    role: Role,
    children: usize,
}

/// What an entity is to the one that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Message,
    BodyPart,
    /// Of a multipart/digest.
    DigestPart,
}

/// An entity whose end is not reached.
#[derive(Debug)]
struct Open {
    part: usize,
    /// Of a multipart that is not closed.
    boundary: Option<Vec<u8>>,
    lines_before: u64,
}

/// The line being read.
#[derive(Debug, Default)]
struct Line {
    /// Its first octets, no more than [`DELIMITER_LINE_MAX`].
    start: Vec<u8>,
    length: u64,
    last: u8,
    /// Octets of its own line end, 0 while it has none.
    broken: u64,
    /// Octets of the line end before it: 0 at the start of the message, 1 or 2.
    break_before: u64,
}

/// Facts of the message's own header.
#[derive(Debug, Default)]
pub(super) struct TopFacts {
    pub(super) message_id: Option<Vec<u8>>,
    pub(super) references: Vec<u8>,
    pub(super) date: Option<Timestamp>,
    pub(super) sent_day: Option<i64>,
}

/// Reads a message in pieces of any size and tells its structure.
///
/// Lines end with CRLF; a bare LF is taken for a line end too. Memory is bounded by the constants of
/// [the module](super), whatever the message.
#[derive(Debug)]
pub struct StructureScanner {
    offset: u64,
    line_ends: u64,
    line: Line,
    reading_header: bool,
    header: Vec<u8>,
    header_bytes_left: usize,
    addresses_left: usize,
    parts: Vec<Part>,
    open: Vec<Open>,
    /// How many of `open` await a delimiter.
    awaited: usize,
    top: TopFacts,
    /// From which offsets on there is something to read, header or text, or nothing. See [`StructureScanner::take_turns`].
    turns: Vec<(u64, bool)>,
}

impl Default for StructureScanner {
    fn default() -> Self {
        Self::new()
    }
}

impl StructureScanner {
    /// A scanner at the start of a message.
    pub fn new() -> Self {
        let mut scanner = Self {
            offset: 0,
            line_ends: 0,
            line: Line::default(),
            reading_header: false,
            header: Vec::new(),
            header_bytes_left: HEADER_BYTES_TOTAL_MAX,
            addresses_left: ADDRESSES_MAX,
            parts: Vec::new(),
            open: Vec::new(),
            awaited: 0,
            top: TopFacts::default(),
            turns: Vec::new(),
        };
        scanner.open_part(0, Role::Message);
        scanner
    }

    /// Takes the next octets of the message.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if !self.reading_header && self.awaited == 0 {
                // No line can change anything any more.
                self.line_ends += memchr::memchr_iter(b'\n', rest).count() as u64;
                self.offset += rest.len() as u64;
                return;
            }
            rest = &rest[self.skip_plain_lines(rest)..];
            let Some(at) = memchr(b'\n', rest) else {
                self.take(rest);
                return;
            };
            let (piece, after) = rest.split_at(at + 1);
            self.take(piece);
            self.end_line();
            rest = after;
        }
    }

    /// Octets taken so far.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Where, since this was last asked, headers or text began (true), or something else (false); what comes first is a header. A text may turn out to be
    /// shorter than its turn says, and what is no text but in the end of a message is not among them.
    pub(crate) fn take_turns(&mut self) -> Vec<(u64, bool)> {
        std::mem::take(&mut self.turns)
    }

    /// Closes what is open and renders.
    pub fn finish(mut self) -> Structure {
        if self.line.length > 0 {
            self.end_line();
        }
        self.close_above(0, self.offset, self.line_ends);
        render::structure(self.offset, self.parts, self.top)
    }

    /// Passes over whole body lines that do not begin with a hyphen; tells how many octets.
    fn skip_plain_lines(&mut self, bytes: &[u8]) -> usize {
        if self.reading_header || self.line.length > 0 {
            return 0;
        }
        let (mut at, mut lines) = (0, 0);
        while bytes.get(at) != Some(&b'-') {
            let Some(end) = memchr(b'\n', &bytes[at..]) else { break };
            at += end + 1;
            lines += 1;
        }
        if at > 0 {
            let after_cr = at >= 2 && bytes[at - 2] == b'\r';
            self.line.break_before = if after_cr { 2 } else { 1 };
            self.offset += at as u64;
            self.line_ends += lines;
        }
        at
    }

    /// Takes a piece of the current line, at most to its end.
    fn take(&mut self, piece: &[u8]) {
        let before = if self.line.length > 0 { self.line.last } else { 0 };
        if let Some((&last, head)) = piece.split_last() {
            self.line.broken = match (last, head.last().copied().unwrap_or(before)) {
                (b'\n', b'\r') => 2,
                (b'\n', _) => 1,
                _ => 0,
            };
            self.line.last = last;
        }
        let room = DELIMITER_LINE_MAX - self.line.start.len();
        self.line.start.extend_from_slice(&piece[..piece.len().min(room)]);
        self.line.length += piece.len() as u64;
        self.offset += piece.len() as u64;
        if self.reading_header {
            let room = HEADER_BYTES_MAX.min(self.header_bytes_left).saturating_sub(self.header.len());
            self.header.extend_from_slice(&piece[..piece.len().min(room)]);
        }
    }

    fn end_line(&mut self) {
        let whole = self.line.length <= DELIMITER_LINE_MAX as u64;
        let broken = self.line.broken;
        self.line_ends += u64::from(broken > 0);
        let content = &self.line.start[..self.line.start.len().saturating_sub(broken as usize)];
        let full = self.parts.len() >= PARTS_MAX;
        // Past the bound the last part keeps the rest, so that nothing of the message is out of reach.
        let hit = delimiter(content, &self.open).filter(|hit| whole && (hit.closes || !full));
        if let Some(hit) = hit {
            self.cut(hit, broken);
        } else if self.reading_header && self.line.length == broken {
            self.end_header(self.offset, self.line_ends);
        }
        self.line.start.clear();
        self.line.length = 0;
        self.line.break_before = broken;
    }

    /// Closes what a delimiter closes, and opens the part it opens. A header that it cuts has retained the delimiter's line too,
    /// which is never a field that counts: all such lines begin with a hyphen.
    fn cut(&mut self, hit: Hit, broken: u64) {
        let line_start = self.offset - self.line.length;
        let lines_before = self.line_ends - u64::from(broken > 0);
        let end = line_start - self.line.break_before;
        self.close_above(hit.index + 1, end, lines_before - u64::from(self.line.break_before > 0));
        let role = self.digest_or_body(hit.index);
        if hit.closes {
            self.open[hit.index].boundary = None;
            self.awaited -= 1;
            self.turns.push((self.offset, false));
        } else {
            self.open_part(self.offset, role);
        }
    }

    fn digest_or_body(&self, index: usize) -> Role {
        let digest = self.parts[self.open[index].part].content_type.is("multipart", "digest");
        if digest { Role::DigestPart } else { Role::BodyPart }
    }

    fn open_part(&mut self, start: u64, role: Role) {
        if let Some(holder) = self.open.last() {
            self.parts[holder.part].children += 1;
        }
        // At most DEPTH_MAX containers are ever open around a part.
        let depth = u8::try_from(self.open.len()).unwrap_or(u8::MAX);
        self.open.push(Open { part: self.parts.len(), boundary: None, lines_before: self.line_ends });
        self.parts.push(Part {
            kind: Kind::Leaf,
            depth,
            header: start..start,
            body: start..start,
            lines: 0,
            content_type: ContentType::plain(),
            fields: MimeFields::default(),
            envelope: None,
            role,
            children: 0,
        });
        self.header.clear();
        self.reading_header = true;
        self.turns.push((start, true));
    }

    /// Ends all open entities but the outermost `keep`, at `end`, before which there are `lines` line ends.
    fn close_above(&mut self, keep: usize, end: u64, lines: u64) {
        loop {
            if self.reading_header {
                // This may open an embedded message, which the next turn ends in the same place.
                self.end_header(end, lines);
            } else if self.open.len() > keep {
                self.close_last(end, lines);
            } else {
                return;
            }
        }
    }

    fn close_last(&mut self, end: u64, lines: u64) {
        let Some(closed) = self.open.pop() else { return };
        self.awaited -= usize::from(closed.boundary.is_some());
        let part = &mut self.parts[closed.part];
        // The line end before a delimiter is the delimiter's, even where it ends a header or another delimiter.
        for edge in [&mut part.header.start, &mut part.header.end, &mut part.body.start] {
            *edge = end.min(*edge);
        }
        part.body.end = end;
        part.lines = lines.saturating_sub(closed.lines_before);
        if part.kind == Kind::Multipart && part.children == 0 {
            part.kind = Kind::Leaf;
            part.content_type = ContentType::plain();
        }
    }

    /// Ends the header of the last open entity and decides what its body is.
    fn end_header(&mut self, end: u64, line_ends: u64) {
        self.reading_header = false;
        let header = std::mem::take(&mut self.header);
        self.header_bytes_left = self.header_bytes_left.saturating_sub(header.len());
        let Some(open) = self.open.last_mut() else { return };
        let part = &mut self.parts[open.part];
        let end = end.max(part.header.start);
        part.header.end = end;
        part.body = end..end;
        part.read_header(&header, &mut self.addresses_left, (open.part == 0).then_some(&mut self.top));
        self.header = header;
        self.header.clear();
        let index = open.part;
        let boundary = part.boundary();
        open.lines_before = line_ends;
        let room = self.open.len() <= DEPTH_MAX && self.parts.len() < PARTS_MAX;
        self.enter_body(index, boundary, room, end);
    }

    fn enter_body(&mut self, index: usize, boundary: Option<Vec<u8>>, room: bool, start: u64) {
        let part = &mut self.parts[index];
        if part.is_message() {
            if room && part.is_identity_encoded() {
                part.kind = Kind::Message;
                self.open_part(start, Role::Message);
            } else {
                part.kind = Kind::Opaque;
                self.turns.push((start, false));
            }
            return;
        }
        let is_opaque = boundary.is_some() && !room;
        match boundary {
            Some(_) if !room => part.kind = Kind::Opaque,
            Some(boundary) => {
                part.kind = Kind::Multipart;
                self.awaited += 1;
                if let Some(open) = self.open.last_mut() {
                    open.boundary = Some(boundary);
                }
            }
            None if part.content_type.media_type.eq_ignore_ascii_case("multipart") => {
                part.content_type = ContentType::plain();
            }
            None => {}
        }
        // What stands before the first part of a multipart is text if no part follows.
        let is_text =
            part.kind == Kind::Multipart || crate::extract::is_text_type(&part.content_type.media_type);
        self.turns.push((start, is_text && !is_opaque));
    }
}

impl Part {
    fn read_header(&mut self, header: &[u8], addresses_left: &mut usize, top: Option<&mut TopFacts>) {
        let mut envelope = (self.role == Role::Message).then(EnvelopeFields::default);
        for field in header::fields(header) {
            self.fields.note(&field);
            if let Some(envelope) = &mut envelope {
                envelope.note(&field);
            }
        }
        let default = if self.role == Role::DigestPart {
            ContentType::new("message", "rfc822")
        } else {
            ContentType::plain()
        };
        self.content_type = self.fields.content_type.take().unwrap_or(default);
        self.envelope = envelope.as_ref().map(|envelope| envelope.render(addresses_left));
        if let (Some(top), Some(envelope)) = (top, envelope) {
            top.date = envelope.date.as_deref().and_then(date::parse_rfc5322);
            top.sent_day = envelope.date.as_deref().and_then(date::parse_rfc5322_day);
            top.message_id = envelope.message_id;
            top.references = envelope.references.as_deref().map(kept_ids).unwrap_or_default();
        }
    }

    /// The boundary of a multipart, if it has one that can occur.
    fn boundary(&self) -> Option<Vec<u8>> {
        let multipart = self.content_type.media_type.eq_ignore_ascii_case("multipart");
        let value = self.content_type.parameter("boundary").filter(|_| multipart)?.trim_ascii_end();
        // RFC 2046 allows 70 characters; a little more is seen in the wild and costs nothing.
        (!value.is_empty() && value.len() <= DELIMITER_LINE_MAX / 2).then(|| value.to_vec())
    }

    fn is_message(&self) -> bool {
        self.content_type.is("message", "rfc822") || self.content_type.is("message", "global")
    }

    fn is_identity_encoded(&self) -> bool {
        let encoding = self.fields.encoding.as_deref().unwrap_or(b"7bit");
        [&b"7bit"[..], b"8bit", b"binary"].iter().any(|known| encoding.eq_ignore_ascii_case(known))
    }
}

/// A delimiter line of the multipart at `index` of the open entities.
struct Hit {
    index: usize,
    closes: bool,
}

/// Whose delimiter a line (without its end) is, innermost first.
fn delimiter(line: &[u8], open: &[Open]) -> Option<Hit> {
    let line = line.strip_prefix(b"--")?;
    let padding = line.iter().rev().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let line = &line[..line.len() - padding];
    let closing = line.strip_suffix(b"--");
    open.iter().enumerate().rev().find_map(|(index, entity)| {
        let boundary = entity.boundary.as_deref()?;
        if line == boundary {
            Some(Hit { index, closes: false })
        } else {
            (closing == Some(boundary)).then_some(Hit { index, closes: true })
        }
    })
}
