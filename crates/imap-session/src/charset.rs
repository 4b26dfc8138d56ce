//! The charsets in which the strings of SEARCH may come (RFC 3501 §6.4.4).
//!
//! Names are those of the WHATWG Encoding Standard, with its aliases. Strings in US-ASCII are read as UTF-8: clients that name it, or name
//! nothing, send UTF-8 all the same, and it can mean nothing else.

use encoding_rs::{Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE, X_USER_DEFINED};

/// What BADCHARSET lists: charsets that mail clients have been seen to use. Others are read too.
pub const LISTED: [&str; 12] = [
    "US-ASCII",
    "UTF-8",
    "ISO-8859-1",
    "ISO-8859-2",
    "ISO-8859-15",
    "WINDOWS-1250",
    "WINDOWS-1252",
    "KOI8-R",
    "ISO-2022-JP",
    "SHIFT_JIS",
    "EUC-KR",
    "GB18030",
];

/// Whether strings in the charset of that name can be read.
pub fn is_known(name: &str) -> bool {
    named(name).is_some()
}

/// The charset of that name. Those whose octets may hold NUL have no place in a string of IMAP.
pub(crate) fn named(name: &str) -> Option<&'static Encoding> {
    if name.eq_ignore_ascii_case("US-ASCII") {
        return Some(UTF_8);
    }
    let found = Encoding::for_label(name.as_bytes())?;
    let is_fit = ![UTF_16BE, UTF_16LE, REPLACEMENT, X_USER_DEFINED].contains(&found);
    is_fit.then_some(found)
}

/// The text of `octets`; `None` when they are not of that charset.
pub(crate) fn decode(charset: &'static Encoding, octets: &[u8]) -> Option<String> {
    let text = charset.decode_without_bom_handling_and_without_replacement(octets)?;
    Some(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_charset_is_known_and_reads_ascii() {
        for name in LISTED {
            assert_eq!(decode(named(name).unwrap(), b"fracture").as_deref(), Some("fracture"), "{name}");
        }
    }

    #[test]
    fn an_accent_has_other_octets_in_each_charset() {
        for (name, octets) in [
            ("utf-8", &b"\xc3\xa9"[..]),
            ("US-ASCII", b"\xc3\xa9"),
            ("iso-8859-1", b"\xe9"),
            ("latin1", b"\xe9"),
            ("Windows-1252", b"\xe9"),
            ("IBM866", b"\xe9"),
        ] {
            let expected = if name == "IBM866" { "щ" } else { "é" };
            assert_eq!(decode(named(name).unwrap(), octets).as_deref(), Some(expected), "{name}");
        }
        assert_eq!(decode(named("iso-8859-15").unwrap(), b"\xa4").as_deref(), Some("€"));
        assert_eq!(decode(named("utf-8").unwrap(), b"\xe9"), None);
    }

    #[test]
    fn charsets_with_nul_in_their_octets_and_unknown_ones_are_refused() {
        for name in ["utf-16", "utf-16le", "utf-7", "x-user-defined", "iso-2022-cn", "", "no-such"] {
            assert!(!is_known(name), "{name}");
        }
    }
}
