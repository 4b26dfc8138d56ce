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
    let size =
        digits.iter().fold(0_u64, |size, b| size.saturating_mul(10).saturating_add(u64::from(b - b'0')));
    Some(Announced { size, synchronising, at })
}

#[cfg(test)]
mod tests {
    use super::{Announced, announced};

    #[test]
    fn only_the_end_of_a_line_announces() {
        let sync = |size, at| Some(Announced { size, synchronising: true, at });
        assert_eq!(announced(b"a LOGIN {11}"), sync(11, 8));
        assert_eq!(announced(b"{0+}"), Some(Announced { size: 0, synchronising: false, at: 0 }));
        assert_eq!(announced(b"{99999999999999999999999}"), sync(u64::MAX, 0));
        for none in [&b"{}"[..], b"{1} ", b"{-1}", b"{1++}", b"{+}", b"1}", b"{1-}", b"{ 1}", b""] {
            assert_eq!(announced(none), None);
        }
    }
}
