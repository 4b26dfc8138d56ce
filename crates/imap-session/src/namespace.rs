//! Where the mailboxes of others stand among folder names (RFC 2342): `Other Users/<address>/…` and `Shared/<address>/…`.
//!
//! In the level that is an address, what a folder name cannot hold or would take for its own is percent-encoded. Nothing here says who may go there.

use mail_types::{OTHER_USERS, SHARED};
use std::borrow::Cow;

/// The hierarchy delimiter of every folder name on the wire.
pub const DELIMITER: char = '/';

/// Where a mailbox stands that is not the one that was logged in to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// Mailboxes of other persons.
    OtherUsers,
    /// All others.
    Shared,
}

impl Namespace {
    /// Its name, which is the first level.
    pub const fn root(self) -> &'static str {
        match self {
            Self::OtherUsers => OTHER_USERS,
            Self::Shared => SHARED,
        }
    }

    /// The name of a mailbox, of which its folders stand below. `address` in its one spelling.
    pub fn mailbox(self, address: &str) -> String {
        let mut name = format!("{}{DELIMITER}", self.root());
        for c in address.chars() {
            if c.is_ascii_control() || matches!(c, '/' | '%' | '*' | '"' | '\\') {
                name.push_str(&format!("%{:02X}", u32::from(c)));
            } else {
                name.push(c);
            }
        }
        name
    }
}

/// What a folder name names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Located<'n> {
    /// A folder of the mailbox that was logged in to.
    Own(&'n str),
    /// A level above other mailboxes.
    Root(Namespace),
    /// Another mailbox, as a level above its folders.
    Mailbox(Namespace, String),
    /// A folder of another mailbox, by its name there.
    Folder(Namespace, String, Cow<'n, str>),
}

/// Reads a decoded name. An address is what stands in its level, whether or not it is one. INBOX has one spelling in every mailbox.
pub fn locate(name: &str) -> Located<'_> {
    let (root, rest) = match name.split_once(DELIMITER) {
        Some((root, rest)) => (root, Some(rest)),
        None => (name, None),
    };
    let namespace = match root {
        OTHER_USERS => Namespace::OtherUsers,
        SHARED => Namespace::Shared,
        _ => return Located::Own(name),
    };
    match rest
        .map(|rest| rest.split_once(DELIMITER).map_or((rest, None), |(level, local)| (level, Some(local))))
    {
        None => Located::Root(namespace),
        Some((level, None)) => Located::Mailbox(namespace, decoded(level)),
        Some((level, Some(local))) => Located::Folder(namespace, decoded(level), with_inbox(local)),
    }
}

/// The address that a level stands for. What is no octet in hexadecimal is left as it is.
fn decoded(level: &str) -> String {
    let mut address = String::with_capacity(level.len());
    let mut rest = level;
    while let Some((before, after)) = rest.split_once('%') {
        address.push_str(before);
        let octet = after
            .get(..2)
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .filter(u8::is_ascii);
        match (octet, after.get(2..)) {
            (Some(octet), Some(after)) => {
                address.push(char::from(octet));
                rest = after;
            }
            _ => {
                address.push('%');
                rest = after;
            }
        }
    }
    address.push_str(rest);
    address
}

fn with_inbox(local: &str) -> Cow<'_, str> {
    let first = local.split(DELIMITER).next().unwrap_or_default();
    if !first.eq_ignore_ascii_case("INBOX") || first == "INBOX" {
        return Cow::Borrowed(local);
    }
    Cow::Owned(format!("INBOX{}", local.get(first.len()..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whose_folder_it_is() {
        let folder = |namespace, address: &str, local| {
            Located::Folder(namespace, address.to_owned(), Cow::Borrowed(local))
        };
        for (name, located) in [
            ("INBOX", Located::Own("INBOX")),
            ("Patients/Shared/x", Located::Own("Patients/Shared/x")),
            ("shared/x", Located::Own("shared/x")),
            ("Shared", Located::Root(Namespace::Shared)),
            ("Other Users", Located::Root(Namespace::OtherUsers)),
            ("Shared/labo@ch.example", Located::Mailbox(Namespace::Shared, "labo@ch.example".to_owned())),
            ("Shared/labo@ch.example/inbox", folder(Namespace::Shared, "labo@ch.example", "INBOX")),
            ("Shared/labo@ch.example/inbox/2026", folder(Namespace::Shared, "labo@ch.example", "INBOX/2026")),
            ("Other Users/a@b.example/Été/2026", folder(Namespace::OtherUsers, "a@b.example", "Été/2026")),
        ] {
            assert_eq!(locate(name), located, "{name}");
        }
    }

    #[test]
    fn an_address_that_holds_a_delimiter_or_a_wildcard_is_one_level() {
        let odd = "a/b%*c@ch.example";
        let name = Namespace::Shared.mailbox(odd);
        assert_eq!(name, "Shared/a%2Fb%25%2Ac@ch.example");
        assert_eq!(locate(&name), Located::Mailbox(Namespace::Shared, odd.to_owned()));
        // What was never written so is read as it stands.
        for odd in ["100%", "%zz@x", "%é", "%80x"] {
            assert_eq!(locate(&format!("Shared/{odd}")), Located::Mailbox(Namespace::Shared, odd.to_owned()));
        }
    }
}
