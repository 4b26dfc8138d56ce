//! The text forms of a distinguished name, cut into attributes. What an attribute means is not known here.

use super::DnError;

/// The separators of RFC 4514 and of its predecessors. A `+` between two attributes of one RDN counts as a comma: RDNs are not told apart.
const SEPARATORS: [char; 3] = [',', ';', '+'];

/// The (type, value) pairs of a text that has at least one, quotes and escapes resolved.
pub(super) fn attributes(text: &str) -> Result<Vec<(String, String)>, DnError> {
    let text = text.trim();
    match text.strip_prefix('/') {
        Some(rest) => slashed(rest),
        None => separated(text),
    }
}

fn separated(text: &str) -> Result<Vec<(String, String)>, DnError> {
    let (mut attributes, mut rest) = (Vec::new(), text);
    loop {
        let (kind, after) = rest.split_once('=').ok_or(DnError::Attribute)?;
        let kind = kind.trim();
        if !is_type(kind) {
            return Err(DnError::Attribute);
        }
        let (value, after) = value(after.trim_start())?;
        attributes.push((kind.to_owned(), value));
        match after {
            Some(after) => rest = after,
            None => return Ok(attributes),
        }
    }
}

/// A value, and what follows its separator.
fn value(text: &str) -> Result<(String, Option<&str>), DnError> {
    if let Some((inner, after)) = text.strip_prefix('"').and_then(quoted) {
        return Ok((unescape(inner)?, after));
    }
    match find_unescaped(text, |c| SEPARATORS.contains(&c)) {
        Some(at) => Ok((unescape(&text[..at])?, Some(&text[at + 1..]))),
        None => Ok((unescape(text)?, None)),
    }
}

/// The inside of a quoted value whose opening quote was taken, and what follows its separator. The closing quote is the first that a separator or the end follows:
/// a value may hold quotes that its printer did not escape. `None` when there is none, and then the quote belongs to the value.
fn quoted(text: &str) -> Option<(&str, Option<&str>)> {
    let mut from = 0;
    loop {
        let at = from + find_unescaped(&text[from..], |c| c == '"')?;
        let after = text[at + 1..].trim_start();
        let mut following = after.chars();
        match following.next() {
            None => return Some((&text[..at], None)),
            Some(c) if SEPARATORS.contains(&c) => return Some((&text[..at], Some(following.as_str()))),
            Some(_) => from = at + 1,
        }
    }
}

/// OpenSSL's one-line form. A value may itself hold a slash: only one that an attribute follows separates.
fn slashed(text: &str) -> Result<Vec<(String, String)>, DnError> {
    let mut attributes: Vec<(String, String)> = Vec::new();
    for part in text.split('/') {
        match (part.split_once('=').filter(|(kind, _)| is_type(kind.trim())), attributes.last_mut()) {
            (Some((kind, value)), _) => attributes.push((kind.trim().to_owned(), value.to_owned())),
            (None, Some((_, value))) => *value = format!("{value}/{part}"),
            (None, None) => return Err(DnError::Attribute),
        }
    }
    let resolve = |(kind, value): (String, String)| Ok((kind, unescape(&value.replace("\\x", "\\"))?));
    attributes.into_iter().map(resolve).collect()
}

/// A short name or an OID (RFC 4512 §1.4 `descr` and `numericoid`).
fn is_type(kind: &str) -> bool {
    let is_letter = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
    kind.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && kind.bytes().last().is_some_and(|last| last.is_ascii_alphanumeric())
        && kind.bytes().all(is_letter)
}

fn find_unescaped(text: &str, is_sought: impl Fn(char) -> bool) -> Option<usize> {
    let mut is_escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let found = !is_escaped && is_sought(c);
        is_escaped = !is_escaped && c == '\\';
        found.then_some(at)
    })
}

/// Resolves `\,` and `\C3\B4` (RFC 4514 §3).
fn unescape(value: &str) -> Result<String, DnError> {
    let (mut out, mut bytes) = (Vec::with_capacity(value.len()), value.bytes());
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let escaped = bytes.next().ok_or(DnError::Escape)?;
        match hex_digit(escaped).zip(bytes.clone().next().and_then(hex_digit)) {
            Some((high, low)) => {
                bytes.next();
                out.push(high * 16 + low);
            }
            None => out.push(escaped),
        }
    }
    String::from_utf8(out).map_err(|_| DnError::Escape)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
