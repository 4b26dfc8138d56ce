//! Commands on the session itself: LOGIN, AUTHENTICATE, ID, ENABLE.

use super::{Cursor, Parsed};
use crate::command::CommandBody;
use crate::sasl;
use mail_types::Secret;

/// RFC 2971 §3.3
const ID_FIELDS_MAX: usize = 30;

/// `SP userid SP password`
pub(super) fn login(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.space()?;
    let username = cursor.astring_utf8()?;
    cursor.space()?;
    let password = Secret::new(cursor.astring_utf8()?);
    Ok(CommandBody::Login { username, password })
}

/// `SP auth-type [SP (base64 / "=")]`
pub(super) fn authenticate(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.space()?;
    let mechanism = cursor.keyword()?;
    let mut initial_response = None;
    if cursor.eat(b' ') {
        let word = cursor.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='));
        initial_response = Some(sasl::read_initial_response(word).ok_or("Invalid base64")?);
    }
    Ok(CommandBody::Authenticate { mechanism, initial_response })
}

/// `SP ("(" [string SP nstring *(SP string SP nstring)] ")" / nil)`
pub(super) fn id(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.space()?;
    if cursor.eat_word("NIL") {
        return Ok(CommandBody::Id(None));
    }
    let lossy = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
    let fields = cursor.list(|cursor| {
        let field = lossy(cursor.string()?);
        cursor.space()?;
        Ok((field, cursor.nstring()?.map(lossy)))
    })?;
    if fields.len() > ID_FIELDS_MAX { Err("Too many fields") } else { Ok(CommandBody::Id(Some(fields))) }
}

/// `1*(SP capability)`
pub(super) fn enable(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.space()?;
    let mut names = vec![cursor.keyword()?];
    while cursor.eat(b' ') {
        names.push(cursor.keyword()?);
    }
    Ok(CommandBody::Enable(names))
}
