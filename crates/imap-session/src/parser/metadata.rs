//! GETMETADATA and SETMETADATA (RFC 5464 §5).

use super::{Cursor, Parsed, folder};
use crate::command::{CommandBody, Depth, EntryName, GetMetadata, SetMetadata};

/// Entries of one command.
const ENTRIES_MAX: usize = 200;

/// `[SP getmetadata-options] SP mailbox SP entries`. The examples of §4.2 have the options behind the folder, and entries without parentheses; both
/// are read.
pub(super) fn get(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    let mut command =
        GetMetadata { folder: String::new(), entries: Vec::new(), max_size: None, depth: Depth::Zero };
    cursor.space()?;
    if cursor.peek() == Some(b'(') {
        options(cursor, &mut command)?;
        cursor.space()?;
    }
    command.folder = folder::name(cursor)?;
    cursor.space()?;
    if begins_options(cursor) {
        options(cursor, &mut command)?;
        cursor.space()?;
    }
    if cursor.peek() == Some(b'(') {
        command.entries = cursor.list(entry)?;
    } else {
        command.entries.push(entry(cursor)?);
        while cursor.eat(b' ') {
            command.entries.push(entry(cursor)?);
        }
    }
    must_be_some(command.entries.len())?;
    Ok(CommandBody::GetMetadata(command))
}

/// `SP mailbox SP entry-values`
pub(super) fn set(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    let folder = folder::spaced_name(cursor)?;
    cursor.space()?;
    let values = cursor.list(|cursor| {
        let name = entry(cursor)?;
        if !name.is_entry() {
            return Err("An entry stands below /private/ or /shared/");
        }
        cursor.space()?;
        Ok((name, value(cursor)?))
    })?;
    must_be_some(values.len())?;
    Ok(CommandBody::SetMetadata(SetMetadata { folder, values }))
}

fn must_be_some(count: usize) -> Parsed<()> {
    if count == 0 || count > ENTRIES_MAX { Err("Too few or too many entries") } else { Ok(()) }
}

/// Options begin with a word, entries with `/` or a string.
fn begins_options(cursor: &Cursor<'_>) -> bool {
    let mut ahead = cursor.clone();
    ahead.eat(b'(') && ahead.peek().is_some_and(|b| b.is_ascii_alphabetic())
}

fn options(cursor: &mut Cursor<'_>, command: &mut GetMetadata) -> Parsed<()> {
    cursor.list(|cursor| {
        match cursor.keyword()?.as_str() {
            "MAXSIZE" => {
                cursor.space()?;
                command.max_size = Some(cursor.number()?);
            }
            "DEPTH" => {
                cursor.space()?;
                command.depth = match cursor.keyword()?.as_str() {
                    "0" => Depth::Zero,
                    "1" => Depth::One,
                    "INFINITY" => Depth::Infinity,
                    _ => return Err("DEPTH is 0, 1 or infinity"),
                };
            }
            _ => return Err("Unknown option"),
        }
        Ok(())
    })?;
    Ok(())
}

fn entry(cursor: &mut Cursor<'_>) -> Parsed<EntryName> {
    let name = cursor.astring_utf8()?;
    EntryName::new(&name).ok_or(
        "Entries are /private/… or /shared/…, without *, %, empty levels or other than printable ASCII",
    )
}

/// `value = nstring / literal8`
fn value(cursor: &mut Cursor<'_>) -> Parsed<Option<Vec<u8>>> {
    if cursor.eat(b'~') { cursor.literal8().map(Some) } else { cursor.nstring() }
}
