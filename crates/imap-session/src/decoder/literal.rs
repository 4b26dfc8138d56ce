//! Literal announcements: `{n}` and `{n+}` at the end of a line (RFC 3501 §4.3, RFC 7888).

/// An announcement found at the end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Announced {
    /// Octets to come; saturated, so that a number past any bound stays past it.
    pub(super) size: u64,
    /// The client waits for `+ ` before it sends them.
    pub(super) synchronising: bool,
    /// Where the `{` stands in the line.
    pub(super) at: usize,
}

/// Digits of a number that is read; a longer one is past any bound, whatever it begins with.
const DIGITS_MAX: usize = 20;

/// The announcement that ends `line`, if one does.
pub(super) fn announced(line: &[u8]) -> Option<Announced> {
    let inner = line.strip_suffix(b"}")?;
    let (inner, synchronising) = match inner.strip_suffix(b"+") {
        Some(inner) => (inner, false),
        None => (inner, true),
    };
    let at = memchr::memrchr(b'{', inner)?;
    let digits = inner.get(at + 1..)?;
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |size: u64, b: &u8| size.saturating_mul(10).saturating_add(u64::from(b - b'0'));
    let size = if digits.len() > DIGITS_MAX { u64::MAX } else { digits.iter().fold(0, add) };
    Some(Announced { size, synchronising, at })
}

/// The same, of a line of which only the last octets are known: a number that begins before them is past any bound. They are more than
/// [`DIGITS_MAX`].
pub(super) fn announced_at_end(tail: &[u8]) -> Option<Announced> {
    announced(tail).or_else(|| {
        let inner = tail.strip_suffix(b"}")?;
        let digits = inner.strip_suffix(b"+").unwrap_or(inner);
        let is_cut = digits.len() > DIGITS_MAX && digits.iter().all(u8::is_ascii_digit);
        is_cut.then_some(Announced { size: u64::MAX, synchronising: digits.len() == inner.len(), at: 0 })
    })
}

#[cfg(test)]
mod tests {
    use super::{Announced, announced, announced_at_end};

    #[test]
    fn only_the_end_of_a_line_announces() {
        let sync = |size, at| Some(Announced { size, synchronising: true, at });
        assert_eq!(announced(b"a LOGIN {11}"), sync(11, 8));
        assert_eq!(announced(b"{0+}"), Some(Announced { size: 0, synchronising: false, at: 0 }));
        assert_eq!(announced(b"{99999999999999999999999}"), sync(u64::MAX, 0));
        assert_eq!(announced(b"a {000000000000000000001}"), sync(u64::MAX, 2));
        for none in [&b"{}"[..], b"{1} ", b"{-1}", b"{1++}", b"{+}", b"1}", b"{1-}", b"{ 1}", b""] {
            assert_eq!(announced(none), None);
        }
    }

    #[test]
    fn a_number_whose_beginning_is_not_known_is_past_any_bound() {
        let at_end = |tail: &[u8]| announced_at_end(tail).map(|found| (found.size, found.synchronising));
        assert_eq!(at_end(b"000000000000000000000000000005+}"), Some((u64::MAX, false)));
        assert_eq!(at_end(b"0000000000000000000000000000005}"), Some((u64::MAX, true)));
        assert_eq!(at_end(b"00000000000000000000 LOGIN {5+}"), Some((5, false)));
        assert_eq!(at_end(b"a 5+}"), None);
        assert_eq!(at_end(b"x00000000000000000000000000005+}"), None);
    }
}
