//! `* METADATA` (RFC 5464 §4.4).

use super::{astring, astring_folder_name, line_end, literal_header, nil, quoted_or_literal};

/// `* METADATA folder (`: [`metadata_entry`] follows, and [`metadata_end`].
pub fn metadata_begin(out: &mut Vec<u8>, folder: &str, utf8: bool) {
    out.extend_from_slice(b"* METADATA ");
    astring_folder_name(out, folder, utf8);
    out.extend_from_slice(b" (");
}

/// An entry with its value, or NIL. Every one but the first is preceded by a space.
pub fn metadata_entry(out: &mut Vec<u8>, is_first: bool, name: &str, value: Option<&[u8]>) {
    if !is_first {
        out.push(b' ');
    }
    astring(out, name.as_bytes());
    out.push(b' ');
    match value {
        None => nil(out),
        // NUL has a place only in a literal8.
        Some(value) if value.contains(&0) => {
            out.push(b'~');
            literal_header(out, value.len() as u64);
            out.extend_from_slice(value);
        }
        Some(value) => quoted_or_literal(out, value),
    }
}

/// `)`
pub fn metadata_end(out: &mut Vec<u8>) {
    out.push(b')');
    line_end(out);
}

/// `* METADATA folder entry`: an annotation changed; its value is not told.
pub fn metadata_changed(out: &mut Vec<u8>, folder: &str, utf8: bool, name: &str) {
    out.extend_from_slice(b"* METADATA ");
    astring_folder_name(out, folder, utf8);
    out.push(b' ');
    astring(out, name.as_bytes());
    line_end(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_what_they_can_be() {
        let mut out = Vec::new();
        metadata_begin(&mut out, "", false);
        let values: [(&str, Option<&[u8]>); 4] = [
            ("/shared/comment", Some(b"Shared \"comment\"")),
            ("/private/two words", None),
            ("/private/a", Some("é".as_bytes())),
            ("/private/b", Some(b"\0")),
        ];
        for (at, (name, value)) in values.into_iter().enumerate() {
            metadata_entry(&mut out, at == 0, name, value);
        }
        metadata_end(&mut out);
        let wanted = "* METADATA \"\" (/shared/comment \"Shared \\\"comment\\\"\" \"/private/two words\" NIL /private/a {2}\r\né /private/b ~{1}\r\n\0)\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
    }
}
