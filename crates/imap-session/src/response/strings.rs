//! Strings, numbers and flags as responses write them.

use crate::mutf7;
use mail_types::SystemFlags;
use std::io::Write as _;

/// A longer quoted string would strain the line buffer of a client.
const QUOTED_MAX: usize = 1024;

/// `number`
pub fn number(out: &mut Vec<u8>, value: u64) {
    write!(out, "{value}").expect("writing to a Vec cannot fail");
}

/// `NIL`
pub fn nil(out: &mut Vec<u8>) {
    out.extend_from_slice(b"NIL");
}

/// `nstring`
pub fn nstring(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(value) => quoted_or_literal(out, value),
        None => nil(out),
    }
}

/// `string`: quoted when it is printable ASCII and not long, else a literal. NUL has no place in either (RFC 3501 §4.3) and must not
/// be in `value`.
pub fn quoted_or_literal(out: &mut Vec<u8>, value: &[u8]) {
    if value.len() <= QUOTED_MAX && value.iter().all(|b| (b' '..=b'~').contains(b)) {
        quoted(out, value);
    } else {
        literal(out, value);
    }
}

/// `astring`: bare when it is an atom and not NIL, else a string.
pub fn astring(out: &mut Vec<u8>, value: &[u8]) {
    let special = |b: &u8| *b <= b' ' || *b >= 0x7f || b"(){%*\"\\]".contains(b);
    if value.is_empty()
        || value.len() > QUOTED_MAX
        || value.iter().any(special)
        || value.eq_ignore_ascii_case(b"NIL")
    {
        quoted_or_literal(out, value);
    } else {
        out.extend_from_slice(value);
    }
}

/// `literal`
pub fn literal(out: &mut Vec<u8>, value: &[u8]) {
    literal_header(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// `{size}` and its line end; exactly `size` octets must follow.
pub fn literal_header(out: &mut Vec<u8>, size: u64) {
    out.push(b'{');
    number(out, size);
    out.extend_from_slice(b"}\r\n");
}

/// A folder name, quoted: in modified UTF-7, or in UTF-8 to a client that asked for it.
pub fn astring_folder_name(out: &mut Vec<u8>, name: &str, utf8: bool) {
    if !utf8 {
        return quoted_or_literal(out, mutf7::encode(name).as_bytes());
    }
    if name.len() <= QUOTED_MAX && !name.contains(|c: char| c.is_ascii_control()) {
        quoted(out, name.as_bytes());
    } else {
        literal(out, name.as_bytes());
    }
}

/// `flag-list`: system flags, `\Recent` if `recent`, and keywords.
pub fn flags<'a>(
    out: &mut Vec<u8>,
    system: SystemFlags,
    keywords: impl IntoIterator<Item = &'a str>,
    recent: bool,
) {
    let named =
        SystemFlags::NAMES.into_iter().filter(|(flag, _)| system.contains(*flag)).map(|(_, name)| name);
    let names: Vec<&str> = named.chain(recent.then_some("\\Recent")).chain(keywords).collect();
    list(out, &names, |out, name| text(out, name));
}

/// `"(" [item *(SP item)] ")"`
pub(super) fn list<T>(out: &mut Vec<u8>, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'(');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        write(out, item);
    }
    out.push(b')');
}

/// Human text, or words of ours, with what RFC 3501 `TEXT-CHAR` forbids made harmless.
pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    out.extend(text.bytes().map(|b| match b {
        b'\r' | b'\n' | 0 => b' ',
        0x80.. => b'?',
        b => b,
    }));
}

fn quoted(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    for b in value {
        if matches!(b, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*b);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_string_is_quoted_only_when_it_can_be() {
        assert_eq!(written(|out| quoted_or_literal(out, b"a \"b\" \\")), r#""a \"b\" \\""#);
        assert_eq!(written(|out| quoted_or_literal(out, b"")), "\"\"");
        assert_eq!(written(|out| quoted_or_literal(out, "é".as_bytes())), "{2}\r\né");
        assert_eq!(written(|out| quoted_or_literal(out, b"a\nb")), "{3}\r\na\nb");
        assert_eq!(written(|out| nstring(out, None)), "NIL");
        assert_eq!(written(|out| astring(out, b"nil")), "\"nil\"");
        assert_eq!(written(|out| astring(out, b"X-Y")), "X-Y");
    }

    #[test]
    fn flags_are_listed_with_keywords_last() {
        let system = SystemFlags::SEEN.union(SystemFlags::DELETED);
        assert_eq!(written(|out| flags(out, system, ["$Junk"], true)), "(\\Deleted \\Seen \\Recent $Junk)");
        assert_eq!(written(|out| flags(out, SystemFlags::default(), [], false)), "()");
    }
}
