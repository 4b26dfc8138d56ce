//! STORE (RFC 3501 `store-att-flags`, RFC 7162 `store-modifier`).

use super::{Cursor, Parsed, flags, spaced_set};
use crate::command::{CommandBody, StoreAction, StoreArguments};

/// `SP sequence-set [SP "(" "UNCHANGEDSINCE" SP mod-sequence ")"] SP store-att-flags`
pub(super) fn arguments(cursor: &mut Cursor<'_>, by_uid: bool) -> Parsed<CommandBody> {
    let set = spaced_set(cursor)?;
    cursor.space()?;
    let unchanged_since = unchanged_since(cursor)?;
    let (action, silent) = data_item(cursor)?;
    cursor.space()?;
    let flags =
        if cursor.peek() == Some(b'(') { flags::parenthesised(cursor)? } else { flags::bare(cursor)? };
    Ok(CommandBody::Store(StoreArguments { by_uid, set, action, silent, flags, unchanged_since }))
}

fn unchanged_since(cursor: &mut Cursor<'_>) -> Parsed<Option<u64>> {
    if cursor.peek() != Some(b'(') {
        return Ok(None);
    }
    let mut since = None;
    cursor.list(|cursor| {
        if !cursor.eat_word("UNCHANGEDSINCE") {
            return Err("Unknown modifier");
        }
        cursor.space()?;
        since = Some(cursor.number()?);
        Ok(())
    })?;
    if since.is_none() {
        return Err("Missing modifier");
    }
    cursor.space()?;
    Ok(since)
}

fn data_item(cursor: &mut Cursor<'_>) -> Parsed<(StoreAction, bool)> {
    let item = cursor.keyword()?;
    let (action, name) = match item.as_bytes().first() {
        Some(b'+') => (StoreAction::Add, item.get(1..)),
        Some(b'-') => (StoreAction::Remove, item.get(1..)),
        _ => (StoreAction::Replace, Some(item.as_str())),
    };
    match name {
        Some("FLAGS") => Ok((action, false)),
        Some("FLAGS.SILENT") => Ok((action, true)),
        _ => Err("Expected FLAGS, +FLAGS or -FLAGS"),
    }
}
