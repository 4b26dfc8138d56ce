//! IMAP data items in the making (RFC 9051 §4): strings, lists of addresses and of parameters.

use crate::address_list::{Entry, Mailbox};
use crate::mime_fields::Parameter;

/// Longer texts go out as literals: some clients bound the length of a quoted string.
const QUOTED_MAX: usize = 1000;

// Dovecot's markers: NIL would make a group of an address that has no local part or no domain (RFC 9051 §7.5.2).
pub(super) const MISSING_LOCAL_PART: &[u8] = b"MISSING_MAILBOX";
pub(super) const MISSING_DOMAIN: &[u8] = b"MISSING_DOMAIN";

/// A text or NIL.
pub(super) fn nstring(text: Option<&[u8]>, out: &mut Vec<u8>) {
    match text {
        Some(text) => string(text, out),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// A quoted string, or a literal where quoting cannot serve. NUL, which IMAP cannot carry, is dropped.
pub(super) fn string(text: &[u8], out: &mut Vec<u8>) {
    let quotable = |b: &u8| b.is_ascii() && !matches!(b, b'\r' | b'\n' | 0);
    if text.len() > QUOTED_MAX || !text.iter().all(quotable) {
        literal(text, out);
        return;
    }
    out.push(b'"');
    for &b in text {
        if matches!(b, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(b);
    }
    out.push(b'"');
}

fn literal(text: &[u8], out: &mut Vec<u8>) {
    let length = text.iter().filter(|b| **b != 0).count();
    out.extend_from_slice(format!("{{{length}}}\r\n").as_bytes());
    out.extend(text.iter().filter(|b| **b != 0));
}

/// A decimal number.
pub(super) fn number(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(value.to_string().as_bytes());
}

/// `("name" "value" ...)` or NIL.
pub(super) fn parameters(list: &[Parameter], out: &mut Vec<u8>) {
    if list.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    for (i, (name, value)) in list.iter().enumerate() {
        out.push(if i == 0 { b'(' } else { b' ' });
        string(name, out);
        out.push(b' ');
        string(value, out);
    }
    out.push(b')');
}

/// A list of addresses, or NIL when empty.
pub(super) fn addresses(list: &[Entry], out: &mut Vec<u8>) {
    if list.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    out.push(b'(');
    for entry in list {
        match entry {
            Entry::Mailbox(mailbox) => address(mailbox, out),
            Entry::GroupStart(name) => {
                out.extend_from_slice(b"(NIL NIL ");
                string(name, out);
                out.extend_from_slice(b" NIL)");
            }
            Entry::GroupEnd => out.extend_from_slice(b"(NIL NIL NIL NIL)"),
        }
    }
    out.push(b')');
}

fn address(mailbox: &Mailbox, out: &mut Vec<u8>) {
    out.push(b'(');
    nstring(mailbox.name.as_deref(), out);
    out.push(b' ');
    nstring(mailbox.route.as_deref(), out);
    out.push(b' ');
    string(mailbox.local_part.as_deref().unwrap_or(MISSING_LOCAL_PART), out);
    out.push(b' ');
    string(mailbox.domain.as_deref().unwrap_or(MISSING_DOMAIN), out);
    out.push(b')');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_when_they_can_be() {
        for (text, expected) in [
            (&b"a \"b\\"[..], &b"\"a \\\"b\\\\\""[..]),
            (b"", b"\"\""),
            (b"\xe9\0\xe8", b"{2}\r\n\xe9\xe8"),
            (b"a\rb", b"{3}\r\na\rb"),
        ] {
            let mut out = Vec::new();
            string(text, &mut out);
            assert_eq!(out, expected);
        }
        let mut out = Vec::new();
        string(&[b'x'; 1001], &mut out);
        assert!(out.starts_with(b"{1001}\r\nx"));
    }
}
