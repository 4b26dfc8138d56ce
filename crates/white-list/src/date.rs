//! Dates as lists write them.

use mail_types::Timestamp;
use time::{Date, Month};

/// An xsd:dateTime. Without a zone it is UTC, as the publisher states; fractions of a second are dropped.
pub(crate) fn date_time(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.trim().split_once('T')?;
    let (clock, zone_secs) = zone(rest)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let midnight = day(date)?;
    let [hours, minutes, seconds] = numbers(clock, ':', [2, 2, 2])?;
    let is_clock = hours < 24 && minutes < 60 && seconds < 60;
    is_clock.then(|| midnight.plus_secs(hours * 3_600 + minutes * 60 + seconds - zone_secs))
}

/// The first instant of `YYYY-MM-DD`.
pub(crate) fn day(text: &str) -> Option<Timestamp> {
    let [year, month, day] = numbers(text, '-', [4, 2, 2])?;
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?).ok()?;
    Some(Timestamp::from_secs(date.midnight().assume_utc().unix_timestamp()))
}

/// What precedes the zone, and the zone's distance from UTC.
fn zone(text: &str) -> Option<(&str, i64)> {
    if let Some(clock) = text.strip_suffix('Z') {
        return Some((clock, 0));
    }
    let Some(at) = text.find(['+', '-']) else { return Some((text, 0)) };
    let (clock, zone) = text.split_at(at);
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let [hours, minutes] = numbers(zone.get(1..)?, ':', [2, 2])?;
    (hours <= 14 && minutes < 60).then_some((clock, sign * (hours * 3_600 + minutes * 60)))
}

/// Unsigned numbers of these widths.
fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let digits = parts.next()?;
        if digits.len() != width || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        *number = digits.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_an_instant_whatever_its_zone() {
        let at = Timestamp::from_secs(1_793_606_400);
        for text in [
            "2026-11-02T08:00:00Z",
            " 2026-11-02T08:00:00 ",
            "2026-11-02T08:00:00.123Z",
            "2026-11-02T09:00:00+01:00",
            "2026-11-01T22:30:00-09:30",
        ] {
            assert_eq!(date_time(text), Some(at), "{text}");
        }
        assert_eq!(day("2026-11-02"), Some(at.plus_secs(-8 * 3_600)));
    }

    #[test]
    fn what_is_not_a_date_is_none() {
        for text in [
            "",
            "2026-11-02",
            "2026-13-02T08:00:00Z",
            "2026-02-30T08:00:00Z",
            "2026-11-02T24:00:00Z",
            "2026-11-02T08:00Z",
            "2026-11-02T08:00:00.Z",
            "2026-11-02T08:00:00+15:00",
            "2026-11-02T+8:00:00Z",
            "26-11-02T08:00:00Z",
            "2026-11-02T08:00:00ZZ",
            "2026-11-0٢T08:00:00Z",
        ] {
            assert_eq!(date_time(text), None, "{text}");
        }
    }
}
