//! What a message is called in paths: folder, validity of its UIDs, UID. To clients it is one opaque word.

use crate::problem::{Code, Problem};
use mail_types::{FolderId, Uid, UidValidity};
use std::fmt;
use std::str::FromStr;

/// Where a message is. It changes when the message moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageId {
    pub(crate) folder: FolderId,
    pub(crate) uid_validity: UidValidity,
    pub(crate) uid: Uid,
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.folder, self.uid_validity.0, self.uid.0)
    }
}

impl FromStr for MessageId {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        fn number<T: FromStr>(piece: Option<&str>) -> Option<T> {
            let digits = piece.filter(|piece| piece.bytes().all(|b| b.is_ascii_digit()))?;
            digits.parse().ok()
        }
        let mut pieces = text.split('-');
        let (folder, validity, uid) = (number(pieces.next()), number(pieces.next()), number(pieces.next()));
        match (folder, validity, uid, pieces.next()) {
            (Some(folder), Some(validity), Some(uid), None) => {
                Ok(Self { folder: FolderId(folder), uid_validity: UidValidity(validity), uid: Uid(uid) })
            }
            _ => Err(Problem::new(Code::NotFound)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_read_as_it_was_written_and_nothing_else_is() {
        let id: MessageId = "17-1795280000-4".parse().unwrap();
        assert_eq!(id.to_string(), "17-1795280000-4");
        for bad in ["", "17", "17-1", "17-1-4-1", "17-1-x", "17-1--4", "17-+1-4", "99999999999999999999-1-1"]
        {
            assert!(bad.parse::<MessageId>().is_err(), "{bad}");
        }
    }
}
