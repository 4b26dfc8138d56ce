//! Header blocks: raw fields, selection for IMAP, decoded values.
//!
//! A header ends at its first empty line. A line that starts with a space or a tab continues the line before it. Lines that
//! are neither fields nor continuations are kept in place by whoever copies a header, and are invisible to [`fields`].
//! What a field means is not known here.
//!
//! Standards: RFC 5322 §2.2, §3.6.8, §4.5.8 (space before the colon is tolerated); RFC 9051 §6.4.5.

use memchr::memchr;

pub use crate::encoded_word::decode_value;

/// One field as it stands in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name, as written, without the colon.
    pub name: &'a [u8],
    /// The whole field: name, colon, folding and final line end.
    pub raw: &'a [u8],
    body: &'a [u8],
}

impl<'a> Field<'a> {
    /// Whether the field has that name, whatever the case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value unfolded: line ends removed, white space of the folds kept, both ends trimmed. Not decoded.
    pub fn value(&self) -> Vec<u8> {
        unfold(self.body)
    }
}

/// The fields of a header block, in order, up to its blank line.
pub fn fields(header: &[u8]) -> impl Iterator<Item = Field<'_>> {
    Blocks { rest: header }.filter_map(parse_field)
}

/// The answer to `BODY[HEADER.FIELDS (names)]`, or to `HEADER.FIELDS.NOT` when `negate` is set: the fields chosen, raw and in their
/// order, then an empty line. A line that is no field has none of the names: only the negation keeps it.
pub fn select_fields(header: &[u8], names: &[&str], negate: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for raw in Blocks::new(header) {
        let is_named = parse_field(raw).is_some_and(|field| names.iter().any(|name| field.is(name)));
        if is_named != negate {
            out.extend_from_slice(raw);
            if !raw.ends_with(b"\n") {
                out.extend_from_slice(b"\r\n");
            }
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// Where the header ends, just after its blank line, in a buffer that may still grow; `None` while it cannot be told.
///
/// `Some(0)` means that the first line is not a field: the message has no header, and whoever puts fields before it must
/// also put the blank line. When the message ends while it is `None`, all of it is header. Each call reads the buffer anew: callers bound the header's size.
pub fn header_split(buffer: &[u8]) -> Option<usize> {
    let first_end = memchr(b'\n', buffer)? + 1;
    let first = &buffer[..first_end];
    if !is_blank(first) && parse_field(first).is_none() {
        return Some(0);
    }
    let mut start = 0;
    loop {
        let rest = buffer.get(start..)?;
        let end = start + memchr(b'\n', rest)? + 1;
        if is_blank(&buffer[start..end]) {
            return Some(end);
        }
        start = end;
    }
}

/// Logical lines of a header: each with its continuations, fields or not, up to the blank line.
pub(crate) struct Blocks<'a> {
    rest: &'a [u8],
}

impl<'a> Blocks<'a> {
    pub(crate) fn new(header: &'a [u8]) -> Self {
        Self { rest: header }
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mut end = line_length(self.rest);
        if end == 0 || is_blank(&self.rest[..end]) {
            return None;
        }
        while matches!(self.rest.get(end), Some(b' ' | b'\t')) {
            end += line_length(&self.rest[end..]);
        }
        let (block, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(block)
    }
}

/// The field in a logical line, unless it is not one.
pub(crate) fn parse_field(raw: &[u8]) -> Option<Field<'_>> {
    let colon = memchr(b':', raw)?;
    let name = raw[..colon].trim_ascii_end();
    let named = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    named.then(|| Field { name, raw, body: &raw[colon + 1..] })
}

fn line_length(bytes: &[u8]) -> usize {
    memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1)
}

fn is_blank(line: &[u8]) -> bool {
    matches!(line, b"\n" | b"\r\n")
}

fn unfold(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = memchr(b'\n', rest) {
        let line = &rest[..at];
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let start = out.iter().position(|b| !blank(b)).unwrap_or(out.len());
    out.drain(..start);
    let end = out.iter().rposition(|b| !blank(b)).map_or(0, |at| at + 1);
    out.truncate(end);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] =
        b"From: a\r\nSubject: one\r\n\ttwo \r\njunk\r\n more\r\nTO : b\r\nfrom: c\r\n\r\nBody: no\r\n";

    #[test]
    fn fields_keep_their_folds_raw_and_lose_them_in_the_value() {
        let all: Vec<_> = fields(HEADER).collect();
        assert_eq!(
            all.iter().map(|f| f.name).collect::<Vec<_>>(),
            [&b"From"[..], b"Subject", b"TO", b"from"]
        );
        assert_eq!(all[1].raw, b"Subject: one\r\n\ttwo \r\n");
        assert_eq!(all[1].value(), b"one\ttwo");
    }

    #[test]
    fn selection_keeps_order_and_bytes_and_ends_with_an_empty_line() {
        assert_eq!(select_fields(HEADER, &["FROM"], false), b"From: a\r\nfrom: c\r\n\r\n");
        assert_eq!(select_fields(HEADER, &["from", "Subject"], true), b"junk\r\n more\r\nTO : b\r\n\r\n");
        assert_eq!(select_fields(b"A: b", &["a"], false), b"A: b\r\n\r\n");
        assert_eq!(select_fields(b"", &["a"], false), b"\r\n");
    }

    #[test]
    fn the_split_waits_for_the_blank_line() {
        assert_eq!(header_split(b"A: b\r\n"), None);
        assert_eq!(header_split(b"A: b\r\n\r"), None);
        assert_eq!(header_split(b"A: b\r\n\r\nbody"), Some(8));
        assert_eq!(header_split(b"A: b\n\nbody"), Some(6));
        assert_eq!(header_split(b"\r\nbody"), Some(2));
    }

    #[test]
    fn a_message_that_does_not_start_with_a_field_has_no_header() {
        assert_eq!(header_split(b"Hello"), None);
        assert_eq!(header_split(b"Hello world\r\n\r\n"), Some(0));
        assert_eq!(header_split(b"From a@b Sat Nov 21 08:04:00 2026\r\nA: b\r\n\r\n"), Some(0));
    }
}
