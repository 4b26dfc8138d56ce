//! Instants that a caller gives, as RFC 3339 writes them.

use mail_types::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An instant of a body, in whatever zone it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instant(pub(crate) Timestamp);

impl Instant {
    /// Reads an instant; what is finer than a millisecond is dropped.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok().map(|at| Self(Timestamp(at)))
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let text = String::deserialize(reader)?;
        Self::parse(&text)
            .ok_or_else(|| D::Error::custom("not an instant of RFC 3339, such as 2027-01-31T23:59:59Z"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_the_same_in_every_zone() {
        let at = Some(Instant(Timestamp(1_795_248_240_500)));
        assert_eq!(Instant::parse("2026-11-21T08:04:00.5Z"), at);
        assert_eq!(Instant::parse("2026-11-21T09:04:00.500+01:00"), at);
        assert_eq!(crate::json::instant(Timestamp(1_795_248_240_500)), "2026-11-21T08:04:00.500Z");
        for text in ["2026-11-21", "2026-11-21T08:04:00", "tomorrow", "2026-13-21T08:04:00Z", ""] {
            assert_eq!(Instant::parse(text), None, "{text}");
        }
    }
}
