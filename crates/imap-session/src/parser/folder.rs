//! Folder names, and the commands that take one (RFC 3501 `mailbox`).

use super::cursor::is_list_char;
use super::{Cursor, Parsed, select};
use crate::command::{CommandBody, SelectParameters, SpecialUse, StatusItem};
use crate::mutf7;
use unicode_normalization::UnicodeNormalization;

/// The hierarchy delimiter of every folder name on the wire.
const DELIMITER: char = '/';
/// A pattern that no name matches: names hold no control character.
const MATCHES_NOTHING: &str = "\0";

/// `SP mailbox`
pub(super) fn spaced_name(cursor: &mut Cursor<'_>) -> Parsed<String> {
    cursor.space()?;
    name(cursor)
}

/// `SP mailbox` for a folder to be made, where a final delimiter only says that children will follow (RFC 3501 §6.3.3).
pub(super) fn spaced_new_name(cursor: &mut Cursor<'_>) -> Parsed<String> {
    Ok(new_name(spaced_name(cursor)?))
}

fn new_name(mut name: String) -> String {
    if name.ends_with(DELIMITER) && name.len() > 1 {
        name.pop();
    }
    name
}

/// `SP mailbox`, and as it was written where that is another spelling (RFC 9051 §6.3.9.8).
fn spaced_spelling(cursor: &mut Cursor<'_>) -> Parsed<(String, Option<String>)> {
    cursor.space()?;
    let written = decoded(cursor.astring()?, cursor.utf8)?;
    let name = canonical(written.clone());
    let spelling = (written != name).then_some(written);
    Ok((name, spelling))
}

/// `mailbox = "INBOX" / astring`
pub(super) fn name(cursor: &mut Cursor<'_>) -> Parsed<String> {
    let written = cursor.astring()?;
    decode(written, cursor.utf8)
}

/// `list-mailbox = 1*list-char / string`
pub(super) fn pattern(cursor: &mut Cursor<'_>) -> Parsed<String> {
    let written = match cursor.peek() {
        Some(b'"' | b'{') => cursor.string()?,
        _ => cursor.take_while(is_list_char).to_vec(),
    };
    // A wildcard may cut a shift in two: no name is written so, and none matches.
    let is_ascii = written.is_ascii();
    decode(written, cursor.utf8)
        .or_else(|fault| if is_ascii { Ok(MATCHES_NOTHING.to_owned()) } else { Err(fault) })
}

/// A name in 8-bit octets where modified UTF-7 is due is taken as UTF-8: some clients send that, and it can mean nothing else.
fn decode(written: Vec<u8>, utf8: bool) -> Parsed<String> {
    decoded(written, utf8).map(canonical)
}

fn decoded(written: Vec<u8>, utf8: bool) -> Parsed<String> {
    let name = if utf8 || !written.is_ascii() {
        String::from_utf8(written).map_err(|_| "A folder name is not UTF-8")?
    } else {
        mutf7::decode(&written).map_err(|_| "A folder name is not modified UTF-7")?
    };
    if name.chars().any(char::is_control) {
        return Err("Control character in a folder name");
    }
    Ok(name)
}

/// The one spelling of a name: INBOX in upper case, and letters composed with their accents (NFC; RFC 6855 §3, RFC 9051 §5.1), so that what two
/// clients write in two ways is one folder.
pub(super) fn canonical(name: String) -> String {
    let mut name = if name.is_ascii() { name } else { name.nfc().collect() };
    let first = name.split(DELIMITER).next().unwrap_or_default();
    if first.eq_ignore_ascii_case("INBOX") {
        name.replace_range(..5, "INBOX");
    }
    name
}

/// `SP mailbox [SP "(" select-param *(SP select-param) ")"]`
pub(super) fn select(cursor: &mut Cursor<'_>, read_only: bool) -> Parsed<CommandBody> {
    let (folder, spelling) = spaced_spelling(cursor)?;
    let parameters = if cursor.eat(b' ') { select::parameters(cursor)? } else { SelectParameters::default() };
    Ok(if read_only {
        CommandBody::Examine { folder, spelling, parameters }
    } else {
        CommandBody::Select { folder, spelling, parameters }
    })
}

/// `SP mailbox [SP "(" "USE" SP "(" [use-attr *(SP use-attr)] ")" ")"]`
pub(super) fn create(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    let (folder, spelling) = spaced_spelling(cursor)?;
    let folder = new_name(folder);
    let mut special_use = Vec::new();
    if cursor.eat(b' ') {
        cursor.expect(b'(', "Expected (USE (...))")?;
        if !cursor.eat_word("USE") {
            return Err("Unknown parameter");
        }
        cursor.space()?;
        special_use = cursor.list(use_attribute)?;
        cursor.expect(b')', "Unclosed list")?;
    }
    Ok(CommandBody::Create { folder, spelling, special_use })
}

fn use_attribute(cursor: &mut Cursor<'_>) -> Parsed<SpecialUse> {
    cursor.expect(b'\\', "Expected a special use")?;
    // RFC 6154 §3: grammatical, and refused with a code of its own.
    Ok(SpecialUse::named(&format!("\\{}", cursor.atom()?)).unwrap_or(SpecialUse::Unknown))
}

/// `SP mailbox SP "(" status-att *(SP status-att) ")"`
pub(super) fn status(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    let folder = spaced_name(cursor)?;
    cursor.space()?;
    Ok(CommandBody::Status { folder, items: status_items(cursor)? })
}

pub(super) fn status_items(cursor: &mut Cursor<'_>) -> Parsed<Vec<StatusItem>> {
    let mut items = Vec::new();
    for item in cursor.list(|cursor| StatusItem::named(cursor.atom()?).ok_or("Unknown status item"))? {
        if !items.contains(&item) {
            items.push(item);
        }
    }
    if items.is_empty() { Err("Missing argument") } else { Ok(items) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], utf8: bool) -> Option<String> {
        name(&mut Cursor::new(text, utf8)).ok()
    }

    #[test]
    fn names_are_decoded_and_inbox_has_one_spelling() {
        assert_eq!(read(b"inbox", false).as_deref(), Some("INBOX"));
        assert_eq!(read(b"\"iNbOx/Foo\"", false).as_deref(), Some("INBOX/Foo"));
        assert_eq!(read(b"Inboxes", false).as_deref(), Some("Inboxes"));
        assert_eq!(read(b"Envoy&AOk-s", false).as_deref(), Some("Envoyés"));
        assert_eq!(read(b"Envoy&AOk-s", true).as_deref(), Some("Envoy&AOk-s"));
        assert_eq!(read("\"Envoyés\"".as_bytes(), false).as_deref(), Some("Envoyés"));
    }

    #[test]
    fn a_letter_and_its_accent_are_one_however_they_are_written() {
        for (text, utf8) in [
            ("E&AwE-te&AwE-", false),
            ("&AMk-t&AOk-", false),
            ("\"E\u{301}te\u{301}\"", true),
            ("\"Ét\u{e9}\"", true),
            ("\"Ét\u{e9}\"", false),
        ] {
            assert_eq!(read(text.as_bytes(), utf8).as_deref(), Some("Été"), "{text}");
        }
    }

    #[test]
    fn names_that_cannot_be_written_back_are_refused() {
        assert_eq!(read(b"A&B", false), None);
        assert_eq!(read(b"\"\xff\"", false), None);
        assert_eq!(read(b"{3}\r\na\nb", true), None);
        assert_eq!(read(b"&AAA-", false), None);
    }
}
