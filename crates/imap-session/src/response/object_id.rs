//! Object identifiers (RFC 8474).

use super::strings::nil;
use std::fmt;

/// An identifier that means one thing for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectId {
    /// MAILBOXID: the number of a folder.
    Folder(u64),
    /// EMAILID: of the content of a message.
    Message(u128),
    /// THREADID
    Thread(u128),
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(number) => write!(f, "F{number}"),
            Self::Message(number) => write!(f, "M{number:032x}"),
            Self::Thread(number) => write!(f, "T{number:032x}"),
        }
    }
}

impl ObjectId {
    /// Whether a client means this one; the case of letters counts.
    fn is(self, text: &str) -> bool {
        self.to_string() == text
    }

    /// The number of a message of which a client was told so; none when it never was.
    pub fn message(text: &str) -> Option<u128> {
        number(text).filter(|number| Self::Message(*number).is(text))
    }

    /// The number of a thread, in the same way.
    pub fn thread(text: &str) -> Option<u128> {
        number(text).filter(|number| Self::Thread(*number).is(text))
    }
}

fn number(text: &str) -> Option<u128> {
    u128::from_str_radix(text.get(1..)?, 16).ok()
}

/// `EMAILID (…)`
pub fn email_id(out: &mut Vec<u8>, number: u128) {
    out.extend_from_slice(format!("EMAILID ({})", ObjectId::Message(number)).as_bytes());
}

/// `THREADID (…)`, or NIL of a message that belongs to none.
pub fn thread_id(out: &mut Vec<u8>, number: Option<u128>) {
    out.extend_from_slice(b"THREADID ");
    match number {
        Some(number) => out.extend_from_slice(format!("({})", ObjectId::Thread(number)).as_bytes()),
        None => nil(out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_recognised_as_it_was_told() {
        let told = ObjectId::Message(0xab).to_string();
        assert_eq!(told, "M000000000000000000000000000000ab");
        assert_eq!(ObjectId::message(&told), Some(0xab));
        for other in [
            "",
            "M",
            "Mab",
            "T000000000000000000000000000000ab",
            "M000000000000000000000000000000AB",
            "M+00000000000000000000000000000ab",
        ] {
            assert_eq!(ObjectId::message(other), None, "{other}");
        }
    }
}
