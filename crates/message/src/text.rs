//! The text of a leaf part as SEARCH reads it: transfer encoding and charset undone, garbage tolerated.
//!
//! Callers pass bounded slices; the result is about as large as the input.
//!
//! Standards: RFC 2045 §6, RFC 2046 §4.1.2; charset labels after the WHATWG Encoding Standard.

use encoding_rs::{Encoding as Charset, UTF_8, WINDOWS_1252};
use std::borrow::Cow;

pub use crate::body_decoder::BodyDecoder;
pub use crate::html::{HtmlText, strip_html};

/// How a body is encoded for transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `7bit`, `8bit`, `binary`, and any word that is not known.
    Identity,
    /// `base64`.
    Base64,
    /// `quoted-printable`.
    QuotedPrintable,
}

impl Encoding {
    /// The encoding of that name, whatever its case.
    pub fn named(name: &str) -> Self {
        let name = name.trim();
        if name.eq_ignore_ascii_case("base64") {
            Self::Base64
        } else if name.eq_ignore_ascii_case("quoted-printable") {
            Self::QuotedPrintable
        } else {
            Self::Identity
        }
    }
}

/// The text of a body. Without a charset, or with one that is unknown or US-ASCII, bytes are read as UTF-8, and as Windows-1252 where they
/// are not UTF-8. Never fails; malformed sequences become U+FFFD.
pub fn decode_body(raw: &[u8], encoding: Encoding, charset: Option<&str>) -> String {
    decode_charset(&crate::transfer::decode(raw, encoding), charset)
}

const QUOTES: [char; 4] = [' ', '\t', '\'', '"'];

/// The charset of that label; none where bytes are read as what they look like.
pub(crate) fn declared_charset(charset: Option<&str>) -> Option<&'static Charset> {
    // Some senders quote the label with apostrophes. A charset that is known only to be refused is read as an unknown one, so that
    // its ASCII is found.
    let named =
        charset.and_then(|label| Charset::for_label_no_replacement(label.trim_matches(QUOTES).as_bytes()));
    // The WHATWG table makes us-ascii a label of Windows-1252, but senders that write it often send UTF-8.
    named.filter(|found| *found != WINDOWS_1252 || !is_ascii_label(charset))
}

pub(crate) fn decode_charset(bytes: &[u8], charset: Option<&str>) -> String {
    let decoded: Cow<'_, str> = match declared_charset(charset) {
        Some(charset) => charset.decode(bytes).0,
        None => UTF_8
            .decode_without_bom_handling_and_without_replacement(bytes)
            .unwrap_or_else(|| WINDOWS_1252.decode_without_bom_handling(bytes).0),
    };
    decoded.into_owned()
}

fn is_ascii_label(charset: Option<&str>) -> bool {
    charset.is_some_and(|label| {
        ["us-ascii", "ascii", "ansi_x3.4-1968"]
            .iter()
            .any(|known| label.trim_matches(QUOTES).eq_ignore_ascii_case(known))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_decode_through_encoding_and_charset() {
        for (raw, encoding, charset, text) in [
            (&b"w6k="[..], "BASE64", Some("utf-8"), "é"),
            (b"=E9", "Quoted-Printable", Some("iso-8859-1"), "é"),
            (b"\xa4", "8bit", Some("iso-8859-15"), "€"),
            (b"\xc3\xa9", "7bit", None, "é"),
            (b"\xc3\xa9", "7bit", Some("us-ascii"), "é"),
            (b"\xe9", "x-unknown", Some("no-such"), "é"),
            (b"\xa4", "8bit", Some("'iso-8859-15'"), "€"),
            (b"abc ~{<:Ky2;~}", "7bit", Some("hz-gb-2312"), "abc ~{<:Ky2;~}"),
            (b"a\xffb", "8bit", Some("utf-8"), "a\u{fffd}b"),
        ] {
            assert_eq!(decode_body(raw, Encoding::named(encoding), charset), text);
        }
    }
}
