//! Roles and the RFC 4314 rights they compile to.

use crate::UnknownWord;
use std::fmt;
use std::str::FromStr;

/// What a delegate may do in a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// `read`: lecteur.
    Reader,
    /// `write`: rédacteur; may send as the mailbox.
    Editor,
    /// `manage`: gestionnaire.
    Manager,
    /// `admin`: administrateur.
    Administrator,
}

impl Role {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "read",
            Self::Editor => "write",
            Self::Manager => "manage",
            Self::Administrator => "admin",
        }
    }

    /// The rights of the role in a folder of no particular use, in a mailbox whose `\Seen` all readers share.
    pub fn rights(self) -> Rights {
        let letters = match self {
            Self::Reader => "lr",
            Self::Editor => "lrswip",
            Self::Manager => "lrswipkte",
            Self::Administrator => "lrswipkxtea",
        };
        Rights::from_letters(letters)
    }

    /// The rights of the role in a folder. A reader may mark as read what only they see marked; an editor replaces drafts.
    pub fn rights_in(self, folder: FolderFacts) -> Rights {
        let more = match self {
            Self::Reader if folder.private_seen => "s",
            Self::Editor if folder.is_drafts => "te",
            _ => "",
        };
        self.rights().with(Rights::from_letters(more))
    }

    /// The role that has exactly these rights.
    pub fn of_rights(rights: Rights) -> Option<Self> {
        [Self::Reader, Self::Editor, Self::Manager, Self::Administrator]
            .into_iter()
            .find(|role| role.rights() == rights)
    }

    /// Whether the role may submit mail with the mailbox's address.
    pub fn may_send_as(self) -> bool {
        self >= Self::Editor
    }
}

impl FromStr for Role {
    type Err = UnknownWord;

    /// Accepts the wire words and the design names.
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "read" | "reader" => Ok(Self::Reader),
            "write" | "editor" => Ok(Self::Editor),
            "manage" | "manager" => Ok(Self::Manager),
            "admin" | "administrator" => Ok(Self::Administrator),
            _ => Err(UnknownWord { word: word.to_owned(), expected: "read, write, manage, admin" }),
        }
    }
}

/// RFC 4314 §2.1 rights, a set of letters.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Rights(u16);

const LETTERS: &str = "lrswipkxtea";

impl Rights {
    /// Every right: what the holder of a mailbox has.
    pub const ALL: Self = Self((1 << LETTERS.len()) - 1);

    /// The set of the known letters in `letters`; others are ignored.
    pub fn from_letters(letters: &str) -> Self {
        Self(letters.chars().filter_map(|c| LETTERS.find(c)).fold(0, |set, bit| set | 1 << bit))
    }

    /// The set of these letters, if each is known and stands once.
    pub fn parse(letters: &str) -> Option<Self> {
        let set = Self::from_letters(letters);
        (set.0.count_ones() as usize == letters.chars().count()).then_some(set)
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set without the other one.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether every right of this set is in the other one.
    pub const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the right of that letter is in the set.
    pub fn has(self, letter: char) -> bool {
        LETTERS.find(letter).is_some_and(|bit| self.0 & (1 << bit) != 0)
    }
}

/// What the rights of a role in a folder depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FolderFacts {
    /// `\Seen` is kept for each actor apart in the mailbox.
    pub private_seen: bool,
    /// The folder has the use `\Drafts` (RFC 6154).
    pub is_drafts: bool,
}

/// What somebody was given, in a mailbox or in one folder of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// What a role comes to.
    Role(Role),
    /// Rights chosen one by one, as they stand.
    Custom(Rights),
}

impl Grant {
    /// The grant of a row.
    pub fn of(role: Option<Role>, rights: Rights) -> Self {
        role.map_or(Self::Custom(rights), Self::Role)
    }

    /// What it comes to in a folder.
    pub fn rights_in(self, folder: FolderFacts) -> Rights {
        match self {
            Self::Role(role) => role.rights_in(folder),
            Self::Custom(rights) => rights,
        }
    }

    /// What somebody may do in a folder: what was given there, else what was given in the mailbox, else nothing.
    pub fn resolve(in_folder: Option<Self>, in_mailbox: Option<Self>, folder: FolderFacts) -> Rights {
        in_folder.or(in_mailbox).map_or(Rights::default(), |grant| grant.rights_in(folder))
    }
}

/// What is to become of somebody's rights (RFC 4314 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RightsChange {
    /// These and no others.
    Replace(Rights),
    /// These too.
    Add(Rights),
    /// Not these any more.
    Remove(Rights),
}

impl RightsChange {
    /// The rights after it.
    #[must_use]
    pub const fn applied(self, before: Rights) -> Rights {
        match self {
            Self::Replace(rights) => rights,
            Self::Add(rights) => before.with(rights),
            Self::Remove(rights) => before.without(rights),
        }
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        LETTERS.chars().filter(|c| self.has(*c)).try_for_each(|c| write!(f, "{c}"))
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_editor_writes_and_a_reader_does_not() {
        assert!(Role::Editor.rights().has('i') && Role::Editor.may_send_as());
        assert!(!Role::Reader.rights().has('i') && !Role::Reader.may_send_as());
        assert_eq!(Role::Administrator.rights(), Rights::ALL);
    }

    #[test]
    fn letters_that_are_none_or_stand_twice_are_no_rights() {
        assert_eq!(Rights::parse("rl"), Some(Role::Reader.rights()));
        assert_eq!((Rights::parse("lrz"), Rights::parse("llr")), (None, None));
        assert_eq!(Role::of_rights(Rights::from_letters("piwsrl")), Some(Role::Editor));
        assert_eq!(Role::of_rights(Rights::from_letters("lrs")), None);
        assert!(Role::Reader.rights().is_within(Role::Editor.rights()));
        assert!(!Role::Editor.rights().is_within(Role::Reader.rights()));
    }

    #[test]
    fn a_role_comes_to_exactly_its_rights_in_each_kind_of_folder() {
        let rights = |role: Role, private_seen, is_drafts| {
            role.rights_in(FolderFacts { private_seen, is_drafts }).to_string()
        };
        for (role, plain, private, drafts) in [
            (Role::Reader, "lr", "lrs", "lr"),
            (Role::Editor, "lrswip", "lrswip", "lrswipte"),
            (Role::Manager, "lrswipkte", "lrswipkte", "lrswipkte"),
            (Role::Administrator, "lrswipkxtea", "lrswipkxtea", "lrswipkxtea"),
        ] {
            let found = [rights(role, false, false), rights(role, true, false), rights(role, false, true)];
            assert_eq!(found, [plain, private, drafts], "{role:?}");
        }
    }

    #[test]
    fn what_was_given_in_a_folder_overrides_what_was_given_in_the_mailbox() {
        let (reader, nothing) = (Grant::Role(Role::Reader), Grant::Custom(Rights::default()));
        let plain = FolderFacts::default();
        assert_eq!(Grant::resolve(None, Some(reader), plain), Role::Reader.rights());
        assert_eq!(Grant::resolve(Some(nothing), Some(reader), plain), Rights::default());
        assert_eq!(Grant::resolve(Some(reader), None, plain), Role::Reader.rights());
        assert_eq!(Grant::resolve(None, None, plain), Rights::default());
    }
}
