//! The header of a converted part: the fields that tell of the encoding, and no other.

use crate::header::{Blocks, parse_field};

/// What a header is to say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    /// The value of Content-Transfer-Encoding.
    pub(super) encoding: &'static str,
    /// Whether it is the header of a message, the only one with MIME-Version.
    pub(super) is_message: bool,
}

/// Appends the header with its encoding changed. A header that never ended has no body that could have been encoded: it stays.
pub(super) fn rewrite(header: &[u8], change: Change, out: &mut Vec<u8>) {
    let (mut kept, mut length) = (Vec::with_capacity(header.len() + 128), 0);
    let (mut is_mime, mut has_type) = (false, false);
    for block in Blocks::new(header) {
        length += block.len();
        let field = parse_field(block);
        let is = |name: &str| field.is_some_and(|field| field.is(name));
        is_mime |= is("MIME-Version");
        has_type |= is("Content-Type");
        if !is("Content-Transfer-Encoding") {
            kept.extend_from_slice(block);
        }
    }
    let blank_line = &header[length..];
    if blank_line.is_empty() {
        return out.extend_from_slice(header);
    }
    if change.is_message && !is_mime {
        kept.extend_from_slice(b"MIME-Version: 1.0\r\n");
    }
    if !has_type {
        // RFC 1428 §3: what nobody labelled, nobody can name.
        kept.extend_from_slice(b"Content-Type: text/plain; charset=unknown-8bit\r\n");
    }
    kept.extend_from_slice(format!("Content-Transfer-Encoding: {}\r\n", change.encoding).as_bytes());
    out.extend_from_slice(&kept);
    out.extend_from_slice(blank_line);
}
