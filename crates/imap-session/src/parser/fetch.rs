//! FETCH (RFC 3501 `fetch`, RFC 7162 and RFC 9394 `fetch-modifier`).

use super::{Cursor, Parsed, search, spaced_set};
use crate::command::{CommandBody, FetchArguments, FetchItem, Partial, PartialRange, Section, SectionText};

/// Each item may cost the whole message in the answer.
const ITEMS_MAX: usize = 256;
/// `message` opens 64 containers at most; what the last one holds is one deeper.
const PART_DEPTH_MAX: usize = 65;

/// `SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")") [SP modifiers]`
pub(super) fn arguments(cursor: &mut Cursor<'_>, by_uid: bool) -> Parsed<CommandBody> {
    let set = spaced_set(cursor)?;
    cursor.space()?;
    let items = if cursor.peek() == Some(b'(') {
        cursor.list(item)?
    } else if let Some(items) = macro_items(cursor) {
        items
    } else {
        vec![item(cursor)?]
    };
    if items.is_empty() || items.len() > ITEMS_MAX {
        return Err("Too few or too many items");
    }
    let items = each_once(items);
    let Modifiers { changed_since, partial, vanished } = modifiers(cursor)?;
    if vanished && !(by_uid && changed_since.is_some()) {
        return Err("VANISHED needs UID FETCH and CHANGEDSINCE");
    }
    Ok(CommandBody::Fetch(FetchArguments { by_uid, set, items, changed_since, partial, vanished }))
}

/// A client that asks twice hears once; what sets `\\Seen` in one of both places sets it.
fn each_once(items: Vec<FetchItem>) -> Vec<FetchItem> {
    let mut once: Vec<FetchItem> = Vec::with_capacity(items.len());
    for item in items {
        match once.iter_mut().find(|known| known.is_answered_as(&item)) {
            Some(known) if item.sets_seen() || item == (FetchItem::Preview { lazy: false }) => *known = item,
            Some(_) => {}
            None => once.push(item),
        }
    }
    once
}

fn macro_items(cursor: &mut Cursor<'_>) -> Option<Vec<FetchItem>> {
    use FetchItem::{Body, Envelope, Flags, InternalDate, Rfc822Size};
    if cursor.eat_word("ALL") {
        Some(vec![Flags, InternalDate, Rfc822Size, Envelope])
    } else if cursor.eat_word("FAST") {
        Some(vec![Flags, InternalDate, Rfc822Size])
    } else if cursor.eat_word("FULL") {
        Some(vec![Flags, InternalDate, Rfc822Size, Envelope, Body])
    } else {
        None
    }
}

#[derive(Default)]
struct Modifiers {
    changed_since: Option<u64>,
    partial: Option<PartialRange>,
    vanished: bool,
}

/// `[SP "(" fetch-modifier *(SP fetch-modifier) ")"]`
fn modifiers(cursor: &mut Cursor<'_>) -> Parsed<Modifiers> {
    let mut modifiers = Modifiers::default();
    if cursor.eat(b' ') {
        cursor.list(|cursor| {
            match cursor.keyword()?.as_str() {
                "CHANGEDSINCE" => {
                    cursor.space()?;
                    modifiers.changed_since = Some(cursor.number()?);
                }
                "PARTIAL" if modifiers.partial.is_some() => return Err("PARTIAL may be given once"),
                "PARTIAL" => {
                    cursor.space()?;
                    modifiers.partial = Some(search::partial_range(cursor)?);
                }
                "VANISHED" => modifiers.vanished = true,
                _ => return Err("Unknown modifier"),
            }
            Ok(())
        })?;
        if modifiers.changed_since.is_none() && modifiers.partial.is_none() && !modifiers.vanished {
            return Err("Missing modifier");
        }
    }
    Ok(modifiers)
}

pub(super) fn item(cursor: &mut Cursor<'_>) -> Parsed<FetchItem> {
    let name = cursor.take_while(|b| b.is_ascii_alphanumeric() || b == b'.').to_ascii_uppercase();
    Ok(match name.as_slice() {
        b"ENVELOPE" => FetchItem::Envelope,
        b"FLAGS" => FetchItem::Flags,
        b"INTERNALDATE" => FetchItem::InternalDate,
        b"SAVEDATE" => FetchItem::SaveDate,
        b"RFC822" => FetchItem::Rfc822,
        b"RFC822.HEADER" => FetchItem::Rfc822Header,
        b"RFC822.SIZE" => FetchItem::Rfc822Size,
        b"RFC822.TEXT" => FetchItem::Rfc822Text,
        b"BODYSTRUCTURE" => FetchItem::BodyStructure,
        b"UID" => FetchItem::Uid,
        b"MODSEQ" => FetchItem::ModSeq,
        b"PREVIEW" => FetchItem::Preview { lazy: is_lazy(cursor) },
        b"EMAILID" => FetchItem::EmailId,
        b"THREADID" => FetchItem::ThreadId,
        b"BODY" if cursor.eat(b'[') => body_section(cursor, false)?,
        b"BODY" => FetchItem::Body,
        b"BODY.PEEK" => {
            cursor.expect(b'[', "Expected a section")?;
            body_section(cursor, true)?
        }
        b"BINARY" => binary(cursor, false)?,
        b"BINARY.PEEK" => binary(cursor, true)?,
        b"BINARY.SIZE" => FetchItem::BinarySize { part: binary_part(cursor)? },
        _ => return Err("Unknown item"),
    })
}

/// `[SP "(" "LAZY" ")"]`; what else is in parentheses there are modifiers of the command.
fn is_lazy(cursor: &mut Cursor<'_>) -> bool {
    let mut ahead = cursor.clone();
    let is_lazy = ahead.eat(b' ') && ahead.eat(b'(') && ahead.eat_word("LAZY") && ahead.eat(b')');
    if is_lazy {
        *cursor = ahead;
    }
    is_lazy
}

/// The rest of `BODY[`: `section "]" ["<" number "." nz-number ">"]`
fn body_section(cursor: &mut Cursor<'_>, peek: bool) -> Parsed<FetchItem> {
    let section = section(cursor)?;
    cursor.expect(b']', "Invalid section")?;
    let partial = if cursor.eat(b'<') { Some(partial(cursor)?) } else { None };
    Ok(FetchItem::BodySection { section, peek, partial })
}

/// `section-binary ["<" number "." nz-number ">"]`
fn binary(cursor: &mut Cursor<'_>, peek: bool) -> Parsed<FetchItem> {
    let part = binary_part(cursor)?;
    let partial = if cursor.eat(b'<') { Some(partial(cursor)?) } else { None };
    Ok(FetchItem::Binary { part, peek, partial })
}

/// `section-binary = "[" [section-part] "]"`
fn binary_part(cursor: &mut Cursor<'_>) -> Parsed<Vec<u32>> {
    cursor.expect(b'[', "Expected a section")?;
    let section = section(cursor)?;
    cursor.expect(b']', "Invalid section")?;
    if section.text == SectionText::Whole { Ok(section.part) } else { Err("BINARY takes a part") }
}

fn partial(cursor: &mut Cursor<'_>) -> Parsed<Partial> {
    let origin = cursor.number()?;
    cursor.expect(b'.', "Invalid partial")?;
    let length = cursor.number()?;
    cursor.expect(b'>', "Invalid partial")?;
    if length == 0 { Err("Invalid partial") } else { Ok(Partial { origin, length }) }
}

/// `[section-part ["." section-text] / section-msgtext]`
pub(super) fn section(cursor: &mut Cursor<'_>) -> Parsed<Section> {
    let mut part = Vec::new();
    while cursor.peek().is_some_and(|b| b.is_ascii_digit()) {
        if part.len() == PART_DEPTH_MAX {
            return Err("Section too deep");
        }
        part.push(cursor.nz_number()?);
        if !cursor.eat(b'.') {
            return Ok(Section { part, text: SectionText::Whole });
        }
    }
    if part.is_empty() && cursor.peek() == Some(b']') {
        return Ok(Section::default());
    }
    let name = cursor.keyword()?;
    let text = match name.as_str() {
        "HEADER" => SectionText::Header,
        "TEXT" => SectionText::Text,
        "MIME" if !part.is_empty() => SectionText::Mime,
        "HEADER.FIELDS" => SectionText::HeaderFields(field_names(cursor)?),
        "HEADER.FIELDS.NOT" => SectionText::HeaderFieldsNot(field_names(cursor)?),
        _ => return Err("Invalid section"),
    };
    Ok(Section { part, text })
}

/// `SP "(" header-fld-name *(SP header-fld-name) ")"`
fn field_names(cursor: &mut Cursor<'_>) -> Parsed<Vec<String>> {
    cursor.space()?;
    let names = cursor.list(|cursor| {
        let name = cursor.astring_utf8()?;
        // RFC 5322 §3.6.8 ftext. The response repeats the name, so nothing else may be in it.
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
        if is_name { Ok(name) } else { Err("Invalid field name") }
    })?;
    if names.is_empty() { Err("Missing argument") } else { Ok(names) }
}
