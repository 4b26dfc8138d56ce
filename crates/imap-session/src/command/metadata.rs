//! GETMETADATA and SETMETADATA (RFC 5464).

use std::fmt;

/// The longest name that is taken.
const NAME_MAX: usize = 255;

/// The name of an annotation, in lower case: names have no case (RFC 5464 §3.2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryName(String);

impl EntryName {
    /// Reads a name: levels of printable ASCII below `/private` or `/shared`, or one of these themselves.
    pub fn new(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let mut levels = name.strip_prefix('/')?.split('/');
        let is_of_either = matches!(levels.next(), Some("private" | "shared"));
        let is_level = |level: &str| {
            !level.is_empty() && level.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'*' && b != b'%')
        };
        (is_of_either && name.len() <= NAME_MAX && levels.all(is_level)).then_some(Self(name))
    }

    /// As it is kept.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is of one person, or of everybody who may see the folder.
    pub fn is_private(&self) -> bool {
        self.0 == "/private" || self.0.starts_with("/private/")
    }

    /// Whether it stands for an annotation: the two tops only hold others.
    pub fn is_entry(&self) -> bool {
        self.0.matches('/').count() > 1
    }

    /// Whether `name` is this entry, or one below it that `depth` reaches.
    pub fn reaches(&self, name: &str, depth: Depth) -> bool {
        let Some(below) = name.strip_prefix(&self.0) else { return false };
        match (below.strip_prefix('/'), depth) {
            _ if below.is_empty() => true,
            (None, _) | (_, Depth::Zero) => false,
            (Some(below), Depth::One) => !below.contains('/'),
            (Some(_), Depth::Infinity) => true,
        }
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far below an entry others are asked for (RFC 5464 §4.2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// None.
    #[default]
    Zero,
    /// Those directly below.
    One,
    /// All.
    Infinity,
}

/// GETMETADATA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetMetadata {
    /// Of which folder; empty for the server.
    pub folder: String,
    /// At least one.
    pub entries: Vec<EntryName>,
    /// Octets of a value; larger ones are only told of.
    pub max_size: Option<u64>,
    /// How far below the entries.
    pub depth: Depth,
}

/// SETMETADATA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetMetadata {
    /// Of which folder; empty for the server.
    pub folder: String,
    /// At least one; without a value, it goes.
    pub values: Vec<(EntryName, Option<Vec<u8>>)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_spelling_and_stand_below_one_of_two_tops() {
        assert_eq!(EntryName::new("/Private/Comment").unwrap().as_str(), "/private/comment");
        assert!(EntryName::new("/shared").is_some_and(|name| !name.is_entry() && !name.is_private()));
        let long = format!("/shared/{}", "x".repeat(248));
        for bad in [
            "",
            "/",
            "private/x",
            "/other/x",
            "/sharedx",
            "/shared/",
            "/shared//x",
            "/shared/é",
            "/private/a*",
            "/private/%",
            "/shared/\t",
            &long,
        ] {
            assert_eq!(EntryName::new(bad), None, "{bad}");
        }
    }

    #[test]
    fn depth_says_what_is_reached_below_an_entry() {
        let entry = EntryName::new("/private/filters").unwrap();
        for (name, depths) in [
            ("/private/filters", [true, true, true]),
            ("/private/filters/values", [false, true, true]),
            ("/private/filters/values/small", [false, false, true]),
            ("/private/filters2", [false, false, false]),
            ("/private", [false, false, false]),
        ] {
            let reached = [Depth::Zero, Depth::One, Depth::Infinity].map(|depth| entry.reaches(name, depth));
            assert_eq!(reached, depths, "{name}");
        }
    }
}
