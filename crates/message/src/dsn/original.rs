//! The third part of a notification: what comes back of the original, in a form every transport carries.

use super::Returned;
use crate::{header, transfer};
use memchr::memmem;
use std::borrow::Cow;

const LINE_MAX: usize = 998;

/// The part and how it is declared.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) content_type: &'static str,
    pub(super) encoding: &'static str,
    pub(super) body: Cow<'a, [u8]>,
}

/// The part, and a boundary that occurs nowhere in it. `seed` is unpredictable to whoever wrote the original.
pub(super) fn part<'a>(returned: Returned<'a>, seed: &str) -> (Part<'a>, String) {
    if let Returned::Full(message) = returned {
        for attempt in 0..4 {
            let boundary = format!("=_dsn_{attempt}_{seed}");
            if is_carriable(message) && memmem::find(message, boundary.as_bytes()).is_none() {
                let encoding = if message.is_ascii() { "7bit" } else { "8bit" };
                let body = Cow::Borrowed(message);
                return (Part { content_type: "message/rfc822", encoding, body }, boundary);
            }
        }
    }
    let (Returned::Header(block) | Returned::Full(block)) = returned;
    (header_part(block), format!("=_dsn_h_{seed}"))
}

/// The header alone. Unless it is short lines of ASCII it is encoded, and then `=_` occurs nowhere in it.
fn header_part(block: &[u8]) -> Part<'_> {
    let end = header::header_split(block).unwrap_or(block.len());
    let block = &block[..end];
    let content_type = "text/rfc822-headers";
    if is_carriable(block) && block.is_ascii() && memmem::find(block, b"=_dsn_").is_none() {
        return Part { content_type, encoding: "7bit", body: Cow::Borrowed(block) };
    }
    let body = Cow::Owned(transfer::quoted_printable_lines(block));
    Part { content_type, encoding: "quoted-printable", body }
}

/// Whether SMTP carries the octets as they are (RFC 5321 §4.5.3.1.6, RFC 6152): CRLF lines of bounded length without NUL.
fn is_carriable(octets: &[u8]) -> bool {
    let lines_fit = octets.split(|b| *b == b'\n').all(|line| line.len() <= LINE_MAX + 1);
    let feeds = memchr::memchr_iter(b'\n', octets).count();
    let returns = memchr::memchr_iter(b'\r', octets).count();
    let pairs = memmem::find_iter(octets, b"\r\n").count();
    lines_fit && feeds == pairs && returns == pairs && memchr::memchr(0, octets).is_none()
}
