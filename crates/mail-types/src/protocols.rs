//! Protocols by which a credential lets somebody in.

use crate::UnknownWord;
use std::fmt;
use std::str::FromStr;

/// A protocol that somebody logs in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// IMAP.
    Imap,
    /// SMTP submission.
    Submission,
    /// The REST API.
    Rest,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Imap, Self::Submission, Self::Rest];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Submission => "submission",
            Self::Rest => "rest",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl FromStr for Protocol {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let known = Self::ALL.into_iter().find(|protocol| protocol.as_str() == word);
        known.ok_or_else(|| UnknownWord { word: word.to_owned(), expected: "imap, submission, rest" })
    }
}

/// A set of protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Protocols(u8);

impl Protocols {
    /// Every protocol, also those that are yet to come: a credential that is not narrowed.
    pub const ALL: Self = Self(u8::MAX);

    /// The set of these.
    pub fn of(protocols: impl IntoIterator<Item = Protocol>) -> Self {
        let set = protocols.into_iter().fold(0, |set, protocol| set | protocol.bit());
        let every = Protocol::ALL.into_iter().fold(0, |set, protocol| set | protocol.bit());
        if set == every { Self::ALL } else { Self(set) }
    }

    /// The set of these words between spaces, as [`Protocols::words`] writes them: no word means all. A word that is not known adds nothing.
    pub fn of_words(words: &str) -> Self {
        if words.is_empty() {
            return Self::ALL;
        }
        Self(
            words
                .split(' ')
                .filter_map(|word| word.parse::<Protocol>().ok())
                .fold(0, |set, protocol| set | protocol.bit()),
        )
    }

    /// The words between spaces; none for all.
    pub fn words(self) -> String {
        if self == Self::ALL { String::new() } else { self.to_string() }
    }

    /// Those of the set.
    pub fn iter(self) -> impl Iterator<Item = Protocol> {
        Protocol::ALL.into_iter().filter(move |protocol| self.contain(*protocol))
    }

    /// Whether it is one of them.
    pub const fn contain(self, protocol: Protocol) -> bool {
        self.0 & protocol.bit() != 0
    }

    /// Whether every one of this set is in the other one.
    pub const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}

impl fmt::Display for Protocols {
    /// The words between spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.iter().map(Protocol::as_str).collect();
        f.write_str(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_was_meant() {
        let mail = Protocols::of([Protocol::Submission, Protocol::Imap]);
        assert_eq!(mail.words(), "imap submission");
        assert_eq!(Protocols::of_words(&mail.words()), mail);
        assert_eq!(Protocols::of_words(""), Protocols::ALL);
        assert_eq!(Protocols::of(Protocol::ALL), Protocols::ALL);
        assert_eq!(
            (Protocols::ALL.words().as_str(), Protocols::ALL.to_string().as_str()),
            ("", "imap submission rest")
        );
        assert!(mail.contain(Protocol::Imap) && !mail.contain(Protocol::Rest));
        assert!(mail.is_within(Protocols::ALL) && !Protocols::ALL.is_within(mail));
    }

    #[test]
    fn a_word_of_tomorrow_opens_nothing_today() {
        let unknown = Protocols::of_words("carrier-pigeon");
        assert!(Protocol::ALL.into_iter().all(|protocol| !unknown.contain(protocol)));
    }
}
