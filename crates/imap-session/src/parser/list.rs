//! LIST, with the extended form of RFC 5258, and LSUB.

use super::{Cursor, Parsed, folder};
use crate::command::{CommandBody, ListArguments, ListReturn, ListSelection};

/// Each pattern is matched against every folder.
const PATTERNS_MAX: usize = 100;

/// `SP [list-select-opts SP] mailbox SP mbox-or-pat [SP list-return-opts]`
pub(super) fn list(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.space()?;
    let mut arguments = ListArguments::default();
    if cursor.peek() == Some(b'(') {
        arguments.selection = selection(cursor)?;
        arguments.extended = true;
        cursor.space()?;
    }
    arguments.reference = folder::name(cursor)?;
    cursor.space()?;
    if cursor.peek() == Some(b'(') {
        arguments.patterns = cursor.list(folder::pattern)?;
        arguments.extended = true;
    } else {
        arguments.patterns = vec![unquoted_pattern(cursor)?];
    }
    if arguments.patterns.is_empty() || arguments.patterns.len() > PATTERNS_MAX {
        return Err("Too few or too many patterns");
    }
    if cursor.eat(b' ') {
        if !cursor.eat_word("RETURN") {
            return Err("Expected RETURN");
        }
        cursor.space()?;
        arguments.returning = returning(cursor)?;
        arguments.extended = true;
    }
    Ok(CommandBody::List(arguments))
}

/// `SP mailbox SP list-mailbox`
pub(super) fn lsub(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    let reference = folder::spaced_name(cursor)?;
    cursor.space()?;
    Ok(CommandBody::Lsub { reference, pattern: unquoted_pattern(cursor)? })
}

/// A pattern that is empty must be quoted.
fn unquoted_pattern(cursor: &mut Cursor<'_>) -> Parsed<String> {
    if cursor.at_end() { Err("Missing argument") } else { folder::pattern(cursor) }
}

fn selection(cursor: &mut Cursor<'_>) -> Parsed<ListSelection> {
    let mut selection = ListSelection::default();
    for option in cursor.list(Cursor::keyword)? {
        *match option.as_str() {
            "SUBSCRIBED" => &mut selection.subscribed,
            "REMOTE" => &mut selection.remote,
            "RECURSIVEMATCH" => &mut selection.recursive_match,
            "SPECIAL-USE" => &mut selection.special_use,
            _ => return Err("Unknown selection option"),
        } = true;
    }
    // RFC 5258 §6: SUBSCRIBED is the only option that it can stand beside; REMOTE and SPECIAL-USE (RFC 6154 §6) are not of that kind.
    if selection.recursive_match && !selection.subscribed {
        Err("RECURSIVEMATCH needs SUBSCRIBED")
    } else {
        Ok(selection)
    }
}

fn returning(cursor: &mut Cursor<'_>) -> Parsed<ListReturn> {
    let mut returning = ListReturn::default();
    cursor.list(|cursor| {
        *match cursor.keyword()?.as_str() {
            "SUBSCRIBED" => &mut returning.subscribed,
            "CHILDREN" => &mut returning.children,
            "SPECIAL-USE" => &mut returning.special_use,
            "MYRIGHTS" => &mut returning.my_rights,
            "STATUS" => {
                cursor.space()?;
                returning.status = folder::status_items(cursor)?;
                return Ok(());
            }
            _ => return Err("Unknown return option"),
        } = true;
        Ok(())
    })?;
    Ok(returning)
}
