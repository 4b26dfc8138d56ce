//! Octets as people write them.

use anyhow::{Context, Result, bail};

/// A number of octets, or no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound(pub(super) Option<u64>);

/// Octets, or `none`.
pub(super) fn bound(text: &str) -> Result<Bound> {
    match text.eq_ignore_ascii_case("none") {
        true => Ok(Bound(None)),
        false => octets(text).map(|octets| Bound(Some(octets))),
    }
}

/// Octets, with an optional suffix K, M, G or T (powers of 1024).
pub(super) fn octets(text: &str) -> Result<u64> {
    let upper = text.trim().to_ascii_uppercase();
    let upper = upper.strip_suffix('B').unwrap_or(&upper);
    let (digits, shift) = match upper.char_indices().last() {
        Some((at, 'K')) => (&upper[..at], 10),
        Some((at, 'M')) => (&upper[..at], 20),
        Some((at, 'G')) => (&upper[..at], 30),
        Some((at, 'T')) => (&upper[..at], 40),
        _ => (upper, 0),
    };
    let number: u64 = digits
        .trim()
        .parse()
        .with_context(|| format!("`{text}` is not a number of octets; write for instance 500M"))?;
    match number.checked_mul(1 << shift) {
        Some(octets) if i64::try_from(octets).is_ok() => Ok(octets),
        _ => bail!("`{text}` is too many octets"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_have_suffixes() {
        assert_eq!(octets("1000").unwrap(), 1000);
        assert_eq!(octets("2G").unwrap(), 2 << 30);
        assert_eq!(octets("500 mb").unwrap(), 500 << 20);
        assert!(octets("").is_err() && octets("-1").is_err() && octets("99999999T").is_err());
        assert_eq!(bound("none").unwrap(), Bound(None));
    }
}
