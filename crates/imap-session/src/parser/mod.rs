//! The grammar of RFC 3501 §9 and of the extensions: one complete command, as [`crate::decoder`] framed it, to its AST.
//!
//! Each file reads the arguments of one family of commands. Nothing recurses but search keys, to a bounded depth. No memory is taken
//! but for what was sent.

mod acl;
mod append;
mod cursor;
mod dates;
mod fetch;
mod flags;
mod folder;
mod list;
mod metadata;
mod notify;
mod quota;
mod search;
mod select;
mod session;
mod sort;
mod store;

use crate::command::{Command, CommandBody, Section};
use crate::sequence::{MessageSet, SequenceError, SequenceSet};
pub(crate) use append::{
    Place as AppendPlace, Stretch as AppendStretch, Then as AppendThen, stretch as append_stretch,
};
use cursor::{Cursor, Parsed, is_astring_char};

const TAG_MAX: usize = 255;
const UNKNOWN_NAME_MAX: usize = 32;

/// A command that is not grammatical.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) tag: Option<String>,
    pub(crate) text: &'static str,
}

/// Reads `bytes`: lines with their CRLF and literals in place, but for the last CRLF. `utf8`: how folder names are written.
pub(crate) fn command(bytes: &[u8], utf8: bool) -> Result<Command, Failure> {
    let mut cursor = Cursor::new(bytes, utf8);
    let tag = tag(&mut cursor).map_err(|text| Failure { tag: None, text })?;
    match body(&mut cursor) {
        Ok(body) => Ok(Command { tag, body }),
        Err(text) => Err(Failure { tag: Some(tag), text }),
    }
}

/// RFC 3501 `section`, all of `bytes`.
pub(crate) fn section(bytes: &[u8]) -> Option<Section> {
    let mut cursor = Cursor::new(bytes, false);
    let section = fetch::section(&mut cursor).ok()?;
    cursor.at_end().then_some(section)
}

/// A folder name in UTF-8, as everything behind the parser spells it.
pub(crate) fn folder_name(name: String) -> Option<String> {
    let is_name = !name.is_empty() && !name.chars().any(char::is_control);
    is_name.then(|| folder::canonical(name))
}

/// The tag that begins `bytes`, if it ends there or at a space.
pub(crate) fn tag_of(bytes: &[u8]) -> Option<String> {
    let mut cursor = Cursor::new(bytes, false);
    let tag = tag(&mut cursor).ok()?;
    (cursor.at_end() || cursor.eat(b' ')).then_some(tag)
}

/// Whether `bytes` begin an AUTHENTICATE command.
pub(crate) fn is_authenticate(bytes: &[u8]) -> bool {
    let mut cursor = Cursor::new(bytes, false);
    tag(&mut cursor).is_ok() && cursor.eat(b' ') && cursor.eat_word("AUTHENTICATE")
}

/// `tag = 1*<any ASTRING-CHAR except "+">`
fn tag(cursor: &mut Cursor<'_>) -> Parsed<String> {
    let tag = cursor.take_while(|b| is_astring_char(b) && b != b'+');
    if tag.is_empty() || tag.len() > TAG_MAX {
        return Err("Invalid tag");
    }
    Ok(String::from_utf8_lossy(tag).into_owned())
}

fn body(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.expect(b' ', "Missing command")?;
    let mut name = cursor.keyword().map_err(|_| "Missing command")?;
    let by_uid = name == "UID";
    if by_uid {
        cursor.space()?;
        name = cursor.keyword()?;
    }
    let known = if by_uid { uid_command(&name, cursor)? } else { plain_command(&name, cursor)? };
    let Some(body) = known else {
        name.truncate(UNKNOWN_NAME_MAX);
        return Ok(CommandBody::Unknown(if by_uid { format!("UID {name}") } else { name }));
    };
    cursor.end()?;
    Ok(body)
}

fn uid_command(name: &str, cursor: &mut Cursor<'_>) -> Parsed<Option<CommandBody>> {
    Ok(Some(match name {
        "EXPUNGE" => CommandBody::UidExpunge { uids: spaced_set(cursor)? },
        "SEARCH" => search::arguments(cursor, true)?,
        "SORT" => sort::sort(cursor, true)?,
        "THREAD" => sort::thread(cursor, true)?,
        "FETCH" => fetch::arguments(cursor, true)?,
        "STORE" => store::arguments(cursor, true)?,
        "COPY" => copy(cursor, true)?,
        "MOVE" => moving(cursor, true)?,
        _ => return Ok(None),
    }))
}

fn plain_command(name: &str, cursor: &mut Cursor<'_>) -> Parsed<Option<CommandBody>> {
    Ok(Some(match name {
        "CAPABILITY" => CommandBody::Capability,
        "NOOP" => CommandBody::Noop,
        "LOGOUT" => CommandBody::Logout,
        "STARTTLS" => CommandBody::StartTls,
        "UNAUTHENTICATE" => CommandBody::Unauthenticate,
        "NAMESPACE" => CommandBody::Namespace,
        "GETQUOTA" => quota::get(cursor)?,
        "GETQUOTAROOT" => CommandBody::GetQuotaRoot { folder: folder::spaced_name(cursor)? },
        "SETQUOTA" => quota::set(cursor)?,
        "CHECK" => CommandBody::Check,
        "CLOSE" => CommandBody::Close,
        "UNSELECT" => CommandBody::Unselect,
        "EXPUNGE" => CommandBody::Expunge,
        "IDLE" => CommandBody::Idle,
        "COMPRESS" => {
            cursor.space()?;
            CommandBody::Compress(cursor.keyword()?)
        }
        "LOGIN" => session::login(cursor)?,
        "AUTHENTICATE" => session::authenticate(cursor)?,
        "ID" => session::id(cursor)?,
        "ENABLE" => session::enable(cursor)?,
        "SELECT" => folder::select(cursor, false)?,
        "EXAMINE" => folder::select(cursor, true)?,
        "CREATE" => folder::create(cursor)?,
        "DELETE" => CommandBody::Delete { folder: folder::spaced_name(cursor)? },
        "RENAME" => {
            let from = folder::spaced_name(cursor)?;
            CommandBody::Rename { from, to: folder::spaced_new_name(cursor)? }
        }
        "SUBSCRIBE" => CommandBody::Subscribe { folder: folder::spaced_name(cursor)? },
        "UNSUBSCRIBE" => CommandBody::Unsubscribe { folder: folder::spaced_name(cursor)? },
        "STATUS" => folder::status(cursor)?,
        "SETACL" => acl::set(cursor)?,
        "DELETEACL" => acl::delete(cursor)?,
        "GETACL" => CommandBody::GetAcl { folder: folder::spaced_name(cursor)? },
        "LISTRIGHTS" => acl::list_rights(cursor)?,
        "MYRIGHTS" => CommandBody::MyRights { folder: folder::spaced_name(cursor)? },
        "NOTIFY" => notify::notify(cursor)?,
        "GETMETADATA" => metadata::get(cursor)?,
        "SETMETADATA" => metadata::set(cursor)?,
        "LIST" => list::list(cursor)?,
        "LSUB" => list::lsub(cursor)?,
        "SEARCH" => search::arguments(cursor, false)?,
        "SORT" => sort::sort(cursor, false)?,
        "THREAD" => sort::thread(cursor, false)?,
        "FETCH" => fetch::arguments(cursor, false)?,
        "STORE" => store::arguments(cursor, false)?,
        "COPY" => copy(cursor, false)?,
        "MOVE" => moving(cursor, false)?,
        _ => return Ok(None),
    }))
}

fn copy(cursor: &mut Cursor<'_>, by_uid: bool) -> Parsed<CommandBody> {
    let set = spaced_set(cursor)?;
    Ok(CommandBody::Copy { by_uid, set, folder: folder::spaced_name(cursor)? })
}

fn moving(cursor: &mut Cursor<'_>, by_uid: bool) -> Parsed<CommandBody> {
    let set = spaced_set(cursor)?;
    Ok(CommandBody::Move { by_uid, set, folder: folder::spaced_name(cursor)? })
}

/// `SP sequence-set`
fn spaced_set(cursor: &mut Cursor<'_>) -> Parsed<MessageSet> {
    cursor.space()?;
    message_set(cursor)
}

/// `sequence-set`, with the `$` of RFC 5182
fn message_set(cursor: &mut Cursor<'_>) -> Parsed<MessageSet> {
    if cursor.eat(b'$') { Ok(MessageSet::Saved) } else { sequence_set(cursor).map(MessageSet::Named) }
}

fn sequence_set(cursor: &mut Cursor<'_>) -> Parsed<SequenceSet> {
    let text = cursor.take_while(|b| b.is_ascii_digit() || matches!(b, b'*' | b':' | b','));
    SequenceSet::parse(text).map_err(|error| match error {
        SequenceError::Shape => "Invalid message set",
        SequenceError::TooMany => "Too many messages named in a set",
    })
}
