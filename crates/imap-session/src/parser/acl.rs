//! The commands of RFC 4314.

use super::{Cursor, Parsed, folder};
use crate::command::CommandBody;
use mail_types::{Rights, RightsChange};

/// `SP mailbox SP identifier SP mod-rights`
pub(super) fn set(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    let folder = folder::spaced_name(cursor)?;
    let identifier = spaced_identifier(cursor)?;
    cursor.space()?;
    let written = cursor.astring_utf8()?;
    let change = match written.strip_prefix('+') {
        Some(letters) => RightsChange::Add(rights(letters)?),
        None => match written.strip_prefix('-') {
            Some(letters) => RightsChange::Remove(rights(letters)?),
            None => RightsChange::Replace(rights(&written)?),
        },
    };
    Ok(CommandBody::SetAcl { folder, identifier, change })
}

/// `SP mailbox SP identifier`
pub(super) fn delete(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    Ok(CommandBody::DeleteAcl {
        folder: folder::spaced_name(cursor)?,
        identifier: spaced_identifier(cursor)?,
    })
}

/// `SP mailbox SP identifier`
pub(super) fn list_rights(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    Ok(CommandBody::ListRights {
        folder: folder::spaced_name(cursor)?,
        identifier: spaced_identifier(cursor)?,
    })
}

fn spaced_identifier(cursor: &mut Cursor<'_>) -> Parsed<String> {
    cursor.space()?;
    cursor.astring_utf8()
}

/// The rights of these letters. The two of RFC 2086 mean what they were split into: `c` is `kx`, `d` is `te` (§2.1.1).
fn rights(letters: &str) -> Parsed<Rights> {
    letters.chars().try_fold(Rights::default(), |rights, letter| {
        let right = match letter {
            'c' => Some(Rights::from_letters("kx")),
            'd' => Some(Rights::from_letters("te")),
            letter => Rights::parse(letter.encode_utf8(&mut [0; 4])),
        };
        right.map(|right| rights.with(right)).ok_or("Unknown right")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(written: &[u8]) -> Option<RightsChange> {
        match set(&mut Cursor::new(written, false)).ok()? {
            CommandBody::SetAcl { change, .. } => Some(change),
            _ => None,
        }
    }

    #[test]
    fn rights_are_set_added_and_taken_away() {
        let rights = Rights::from_letters;
        for (written, wanted) in [
            (&b" INBOX marie@ch.example lrs"[..], RightsChange::Replace(rights("lrs"))),
            (b" INBOX marie@ch.example +w", RightsChange::Add(rights("w"))),
            (b" INBOX marie@ch.example -cd", RightsChange::Remove(rights("kxte"))),
            (b" INBOX marie@ch.example \"\"", RightsChange::Replace(rights(""))),
        ] {
            assert_eq!(change(written), Some(wanted), "{}", written.escape_ascii());
        }
        for wrong in [&b" INBOX marie@ch.example lrZ"[..], b" INBOX marie@ch.example 0", b" INBOX lr"] {
            assert_eq!(change(wrong), None, "{}", wrong.escape_ascii());
        }
    }
}
