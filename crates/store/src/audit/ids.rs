//! The names of chains and of places in them.

use mail_types::UnknownWord;
use std::fmt;

/// A chain of the audit trail.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainId(pub [u8; 16]);

impl fmt::Display for ChainId {
    /// 32 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for ChainId {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        octets(text)
            .map(Self)
            .ok_or_else(|| UnknownWord { word: text.to_owned(), expected: "32 hexadecimal digits" })
    }
}

/// Where a row stands among all, by time: its instant, its chain, its number. Printed and parsed as a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditPlace {
    /// When it was written, milliseconds since 1970.
    pub at_ms: i64,
    /// Its chain.
    pub chain: ChainId,
    /// Its number in the chain, from 1.
    pub seq: i64,
}

impl fmt::Display for AuditPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.at_ms, self.chain, self.seq)
    }
}

impl std::str::FromStr for AuditPlace {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let mut words = text.splitn(3, '.');
        let mut read = || {
            let at_ms = words.next()?.parse().ok()?;
            let chain = words.next()?.parse().ok()?;
            Some(Self { at_ms, chain, seq: words.next()?.parse().ok()? })
        };
        read().ok_or_else(|| UnknownWord { word: text.to_owned(), expected: "the place of an audit row" })
    }
}

/// Octets written in lower or upper case hexadecimal.
pub(super) fn octets<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    let mut octets = [0; N];
    for (i, octet) in octets.iter_mut().enumerate() {
        *octet = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(octets)
}

/// The octets of a column that has a fixed length.
pub(super) fn fixed<const N: usize>(octets: &[u8]) -> Option<[u8; N]> {
    octets.try_into().ok()
}

/// Octets in lower case hexadecimal.
pub fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(2 * octets.len()), |mut text, octet| {
        // Writing to a String does not fail.
        let _ = fmt::Write::write_fmt(&mut text, format_args!("{octet:02x}"));
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_back_and_nothing_else_is() {
        let place = AuditPlace { at_ms: 5, chain: ChainId([0xab; 16]), seq: 7 };
        assert_eq!(place.to_string().parse(), Ok(place));
        for text in ["", "5", "5.ab.7", "x.abababababababababababababababab.7", "5.éééééééééééééééé.7"]
        {
            assert!(text.parse::<AuditPlace>().is_err(), "{text}");
        }
    }
}
