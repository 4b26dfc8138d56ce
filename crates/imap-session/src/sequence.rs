//! Sequence sets: `1:3,7,20:*` (RFC 3501 §9 `sequence-set`), of message numbers or of UIDs; and `$` (RFC 5182), which stands for one.
//!
//! A set as written keeps its `*`; [`SequenceSet::resolve`] gives it the largest number in use. A set does not know whether it
//! holds sequence numbers or UIDs.

use std::fmt;
use std::ops::RangeInclusive;

/// The most elements one set may have. A command line of 64 KiB holds about as many.
pub const ELEMENTS_MAX: usize = 32_768;

/// Why a text is not a sequence set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SequenceError {
    /// Not numbers from 1 to 4294967295, `*`, `:` and `,` in the order of the grammar.
    #[error("invalid sequence set")]
    Shape,
    /// More than [`ELEMENTS_MAX`] elements.
    #[error("too many elements in a sequence set")]
    TooMany,
}

/// A set as the client wrote it, `*` unresolved. Never empty.
#[derive(Clone, PartialEq, Eq)]
pub struct SequenceSet {
    elements: Vec<(Bound, Bound)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    Number(u32),
    Largest,
}

impl Bound {
    fn resolve(self, max: u32) -> u32 {
        match self {
            Self::Number(n) => n,
            Self::Largest => max,
        }
    }
}

impl SequenceSet {
    /// Parses the whole of `text`.
    pub fn parse(text: &[u8]) -> Result<Self, SequenceError> {
        let mut elements = Vec::new();
        for element in text.split(|b| *b == b',') {
            if elements.len() == ELEMENTS_MAX {
                return Err(SequenceError::TooMany);
            }
            elements.push(match memchr::memchr(b':', element) {
                Some(colon) => {
                    let (low, high) = element.split_at(colon);
                    (bound(low)?, bound(high.get(1..).unwrap_or_default())?)
                }
                None => {
                    let one = bound(element)?;
                    (one, one)
                }
            });
        }
        Ok(Self { elements })
    }

    /// Whether the set is one number, or `*`.
    pub(crate) fn is_one(&self) -> bool {
        matches!(self.elements.as_slice(), [(low, high)] if low == high)
    }

    /// Whether a `*` is in it.
    pub fn has_star(&self) -> bool {
        self.elements.iter().any(|(a, b)| matches!(a, Bound::Largest) || matches!(b, Bound::Largest))
    }

    /// Whether `n` is in the set when `*` means `max`. Linear in the set: resolve it once to ask often.
    pub fn contains(&self, n: u32, max: u32) -> bool {
        self.elements.iter().filter_map(|e| range(*e, max)).any(|(low, high)| low <= n && n <= high)
    }

    /// The set as sorted ranges that neither overlap nor touch, when `*` means `max`.
    ///
    /// With `max` 0 (an empty folder), elements with a `*` hold nothing: `FETCH 1:*` there is harmless and usual.
    pub fn resolve(&self, max: u32) -> Ranges {
        Ranges::from_pairs(self.elements.iter().filter_map(|e| range(*e, max)).collect())
    }
}

/// The element as (low, high), or nothing when it names `*` in an empty folder.
fn range((a, b): (Bound, Bound), max: u32) -> Option<(u32, u32)> {
    let (a, b) = (a.resolve(max), b.resolve(max));
    (a != 0 && b != 0).then(|| (a.min(b), a.max(b)))
}

/// `seq-number = nz-number / "*"`
fn bound(text: &[u8]) -> Result<Bound, SequenceError> {
    match text {
        b"*" => Ok(Bound::Largest),
        [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => text
            .iter()
            .try_fold(0_u32, |n, b| n.checked_mul(10)?.checked_add(u32::from(b - b'0')))
            .map(Bound::Number)
            .ok_or(SequenceError::Shape),
        _ => Err(SequenceError::Shape),
    }
}

impl fmt::Display for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (a, b)) in self.elements.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            write!(f, "{comma}{a}")?;
            if a != b {
                write!(f, ":{b}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => write!(f, "{n}"),
            Self::Largest => f.write_str("*"),
        }
    }
}

/// The messages that a command names (RFC 3501 `sequence-set` with `seq-last-command` of RFC 5182).
#[derive(Clone, PartialEq, Eq)]
pub enum MessageSet {
    /// By their numbers.
    Named(SequenceSet),
    /// `$`: what the last SEARCH with SAVE found.
    Saved,
}

impl fmt::Display for MessageSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(set) => set.fmt(f),
            Self::Saved => f.write_str("$"),
        }
    }
}

impl fmt::Debug for MessageSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Sorted ranges that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<RangeInclusive<u32>>);

impl Ranges {
    /// These closed ranges, in whatever order they come.
    pub fn from_pairs(mut pairs: Vec<(u32, u32)>) -> Self {
        pairs.sort_unstable();
        Self::merged(pairs)
    }

    fn merged(sorted: Vec<(u32, u32)>) -> Self {
        let mut merged: Vec<RangeInclusive<u32>> = Vec::with_capacity(sorted.len());
        for (low, high) in sorted {
            match merged.last_mut() {
                Some(last) if low <= last.end().saturating_add(1) => {
                    *last = *last.start()..=high.max(*last.end());
                }
                _ => merged.push(low..=high),
            }
        }
        Self(merged)
    }

    /// The ranges, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = &RangeInclusive<u32>> {
        self.0.iter()
    }

    /// The ranges, in ascending order.
    pub fn as_slice(&self) -> &[RangeInclusive<u32>] {
        &self.0
    }

    /// The largest number of the set, if it has any.
    pub fn largest(&self) -> Option<u32> {
        self.0.last().map(|range| *range.end())
    }

    /// Whether `n` is in one of them, by binary search.
    pub fn contains(&self, n: u32) -> bool {
        let after = self.0.partition_point(|range| *range.start() <= n);
        after.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|range| range.contains(&n))
    }
}

/// `uids` as a `uid-set` in which runs of consecutive numbers are ranges: `1:3,5`. The order is kept, as RFC 4315 §3 asks of
/// `COPYUID`, where the sets correspond number by number.
pub fn format_uids(uids: &[u32]) -> String {
    use fmt::Write as _;
    let mut out = String::new();
    for run in uids.chunk_by(|a, b| a.checked_add(1) == Some(*b)) {
        let comma = if out.is_empty() { "" } else { "," };
        let written = match run {
            [one] => write!(out, "{comma}{one}"),
            [first, .., last] => write!(out, "{comma}{first}:{last}"),
            [] => Ok(()),
        };
        written.expect("writing to a String cannot fail");
    }
    out
}

/// Runs of consecutive numbers in `uids`, which ascend.
pub fn runs(uids: &[u32]) -> Vec<RangeInclusive<u32>> {
    let runs = uids.chunk_by(|a, b| a.checked_add(1) == Some(*b));
    runs.filter_map(|run| Some(*run.first()?..=*run.last()?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str, max: u32) -> Vec<RangeInclusive<u32>> {
        SequenceSet::parse(text.as_bytes()).unwrap().resolve(max).as_slice().to_vec()
    }

    #[test]
    fn ranges_are_read_in_any_order_and_merged() {
        assert_eq!(resolved("5:3,2,9,8,4", 100), [2..=5, 8..=9]);
        assert_eq!(resolved("2,4:7,9,12:*", 15), [2..=2, 4..=7, 9..=9, 12..=15]);
        assert_eq!(resolved("20:*", 15), [15..=20]);
        assert_eq!(resolved("*", 15), [15..=15]);
        assert_eq!(resolved("*:*,4294967295", u32::MAX), [u32::MAX..=u32::MAX]);
    }

    #[test]
    fn star_names_nothing_in_an_empty_folder() {
        assert_eq!(resolved("1:*,*", 0), []);
        assert_eq!(resolved("1:*,3", 0), [3..=3]);
    }

    #[test]
    fn zero_overflow_and_bad_shapes_are_refused() {
        for bad in
            ["", "0", "1:0", "01", "4294967296", "1,", ",1", "1::2", "1:2:3", "-1", "a", "1 ", "**", "+1"]
        {
            assert_eq!(SequenceSet::parse(bad.as_bytes()), Err(SequenceError::Shape), "{bad}");
        }
        let many = "1,".repeat(ELEMENTS_MAX) + "1";
        assert_eq!(SequenceSet::parse(many.as_bytes()), Err(SequenceError::TooMany));
    }

    #[test]
    fn runs_of_uids_are_written_as_ranges() {
        assert_eq!(format_uids(&[1, 2, 3, 5]), "1:3,5");
        assert_eq!(format_uids(&[7]), "7");
        assert_eq!(format_uids(&[9, 8, u32::MAX]), "9,8,4294967295");
        assert_eq!(format_uids(&[]), "");
    }
}
