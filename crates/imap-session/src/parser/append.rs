//! APPEND up to its message (RFC 3501 §6.3.11).

use super::{Cursor, Parsed, dates, flags, folder, tag};
use crate::command::{AppendBegin, FlagList};

/// What an announced literal is.
pub(crate) enum AppendPrefix {
    /// An argument of a command, the folder of an APPEND included.
    Other,
    /// The message of an APPEND. Size and kind of the literal are for the caller to set.
    Message(Box<AppendBegin>),
    /// It comes where APPEND wants something else; the text is for the client.
    Malformed(&'static str),
}

/// Reads `prefix`: a command up to the `{` of a literal.
pub(crate) fn append_prefix(prefix: &[u8], utf8: bool) -> AppendPrefix {
    let mut cursor = Cursor::new(prefix, utf8);
    let Ok(tag) = tag(&mut cursor) else { return AppendPrefix::Other };
    if !(cursor.eat(b' ') && cursor.eat_word("APPEND") && cursor.eat(b' ')) || cursor.at_end() {
        return AppendPrefix::Other;
    }
    match message(&mut cursor, tag) {
        Ok(begin) => AppendPrefix::Message(Box::new(begin)),
        Err(text) => AppendPrefix::Malformed(text),
    }
}

/// `mailbox [SP flag-list] [SP date-time] SP`
fn message(cursor: &mut Cursor<'_>, tag: String) -> Parsed<AppendBegin> {
    let folder = folder::name(cursor)?;
    cursor.space()?;
    let mut flags = FlagList::default();
    if cursor.peek() == Some(b'(') {
        flags = flags::parenthesised(cursor)?;
        cursor.space()?;
    }
    let mut internal_date = None;
    if cursor.peek() == Some(b'"') {
        internal_date = Some(dates::date_time(cursor)?);
        cursor.space()?;
    }
    cursor.end()?;
    Ok(AppendBegin { tag, folder, flags, internal_date, size: 0, synchronising: false })
}
