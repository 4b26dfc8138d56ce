//! Flags (RFC 3501 `flag-list`).

use super::cursor::is_atom_char;
use super::{Cursor, Parsed};
use crate::command::FlagList;
use mail_types::{SystemFlags, is_keyword};

/// `flag-list = "(" [flag *(SP flag)] ")"`
pub(super) fn parenthesised(cursor: &mut Cursor<'_>) -> Parsed<FlagList> {
    cursor.list(flag).and_then(collect)
}

/// `flag *(SP flag)`
pub(super) fn bare(cursor: &mut Cursor<'_>) -> Parsed<FlagList> {
    let mut flags = vec![flag(cursor)?];
    while cursor.eat(b' ') {
        flags.push(flag(cursor)?);
    }
    collect(flags)
}

enum Flag {
    System(SystemFlags),
    Keyword(String),
}

fn flag(cursor: &mut Cursor<'_>) -> Parsed<Flag> {
    if cursor.eat(b'\\') {
        let name = String::from_utf8_lossy(cursor.take_while(is_atom_char));
        return SystemFlags::named(&format!("\\{name}"))
            .map(Flag::System)
            .ok_or("A client cannot set this flag");
    }
    let word = cursor.atom()?;
    if is_keyword(word) { Ok(Flag::Keyword(word.to_owned())) } else { Err("Invalid keyword") }
}

fn collect(flags: Vec<Flag>) -> Parsed<FlagList> {
    let mut list = FlagList::default();
    for flag in flags {
        match flag {
            Flag::System(flag) => list.system = list.system.union(flag),
            Flag::Keyword(word) => list.keywords.push(word),
        }
    }
    // Sorted to find duplicates in less than quadratic time; the order of keywords means nothing.
    list.keywords.sort_by_key(|word| word.to_ascii_lowercase());
    list.keywords.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
    Ok(list)
}
