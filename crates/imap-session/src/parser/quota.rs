//! GETQUOTA and SETQUOTA (RFC 9208 §7).

use super::{Cursor, Parsed};
use crate::command::CommandBody;

/// `SP quota-root-name`
pub(super) fn get(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.space()?;
    Ok(CommandBody::GetQuota { root: cursor.astring_utf8()? })
}

/// `SP quota-root-name SP "(" [resource-name SP number *(SP resource-name SP number)] ")"`
pub(super) fn set(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.space()?;
    cursor.astring_utf8()?;
    cursor.space()?;
    cursor.list(|cursor| {
        cursor.atom()?;
        cursor.space()?;
        cursor.number()
    })?;
    Ok(CommandBody::SetQuota)
}
