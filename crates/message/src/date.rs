//! Dates as mail writes them: RFC 5322 §3.3 (with §4.3 read leniently) and IMAP's INTERNALDATE (RFC 9051 §9 `date-time`).
//!
//! Everything is written in UTC. There is no clock here.

use mail_types::Timestamp;
use time::{Date, Month, OffsetDateTime};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const DAY_SECS: i64 = 86_400;

/// `Sat, 21 Nov 2026 08:04:00 +0000`.
pub fn rfc5322(at: Timestamp) -> String {
    let t = civil(at);
    let weekday = DAYS[usize::from(t.weekday().number_days_from_monday())];
    let (month, year) = (month_name(t), t.year());
    format!(
        "{weekday}, {} {month} {year:04} {:02}:{:02}:{:02} +0000",
        t.day(),
        t.hour(),
        t.minute(),
        t.second()
    )
}

/// `21-Nov-2026 08:04:00 +0000`, the day padded with a space to two characters.
pub fn imap_internal(at: Timestamp) -> String {
    let t = civil(at);
    let (month, year) = (month_name(t), t.year());
    format!("{:>2}-{month}-{year:04} {:02}:{:02}:{:02} +0000", t.day(), t.hour(), t.minute(), t.second())
}

/// Reads IMAP's `date-time` without its quotes; the first digit of the day may be a space. `None` when it is anything else.
pub fn parse_imap_internal(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.trim_start_matches(' ').split_once(' ')?;
    let (clock, zone) = rest.split_once(' ')?;
    let mut parts = date.split('-');
    let (day, month, year) = (number(parts.next()?, 2)?, month_number(parts.next()?)?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 || clock.len() != 8 || !is_numeric_zone(zone) {
        return None;
    }
    let days = day_number(number(year, 4)?, month, day)?;
    instant(days, clock_secs(clock)?, zone_secs(zone)?)
}

/// The instant of an RFC 5322 date, its obsolete forms and the usual faults included: missing weekday, missing seconds,
/// two-digit year, missing or unknown zone (read as UTC), comments. `None` when no date can be read.
pub fn parse_rfc5322(value: &[u8]) -> Option<Timestamp> {
    let written = Written::parse(value)?;
    instant(written.day, written.secs, written.zone)
}

/// The day of an RFC 5322 date as written, whatever its time and zone: days since 1970-01-01. IMAP's SENTBEFORE,
/// SENTON and SENTSINCE compare it (RFC 9051 §6.4.4).
pub fn parse_rfc5322_day(value: &[u8]) -> Option<i64> {
    Written::parse(value).map(|written| written.day)
}

/// Days from 1970-01-01 to a day of the proleptic Gregorian calendar, months counted from 1; `None` when there is no such day.
pub fn day_number(year: u32, month: u32, day: u32) -> Option<i64> {
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?).ok()?;
    Some(i64::from(date.to_julian_day()) - i64::from(OffsetDateTime::UNIX_EPOCH.to_julian_day()))
}

struct Written {
    day: i64,
    secs: i64,
    zone: i64,
}

impl Written {
    fn parse(value: &[u8]) -> Option<Self> {
        let text = without_comments(value);
        let mut words = text.split([' ', '\t', ',', '-']).filter(|word| !word.is_empty()).peekable();
        // A hyphen separates in `21-Nov-2026` but signs a zone, so the zone is read from the whole text.
        words.next_if(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()));
        let day = number(words.next()?, 2)?;
        let month = month_number(words.next()?)?;
        let year = full_year(words.next()?)?;
        let day = day_number(year, month, day)?;
        let secs = words.next().and_then(clock_secs).unwrap_or(0);
        let zone = text.split([' ', '\t']).rfind(|word| !word.is_empty()).and_then(zone_secs).unwrap_or(0);
        Some(Self { day, secs, zone })
    }
}

fn without_comments(value: &[u8]) -> String {
    let mut depth = 0u32;
    let mut out = String::new();
    // A date is short; the rest of a long value is not one.
    for &b in value.iter().take(200) {
        match b {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b' '..=b'~' | b'\t' if depth == 0 => out.push(b as char),
            _ => {}
        }
    }
    out
}

fn full_year(word: &str) -> Option<u32> {
    let year = number(word, 4)?;
    Some(match word.len() {
        1 | 2 if year < 50 => year + 2000,
        1..=3 => year + 1900,
        _ => year,
    })
}

fn clock_secs(clock: &str) -> Option<i64> {
    let mut parts = clock.split([':', '.']);
    let (hour, minute) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let second = parts.next().map_or(Some(0), |word| number(word, 2))?;
    let valid = hour < 24 && minute < 60 && second <= 60;
    valid.then(|| i64::from(hour * 3600 + minute * 60 + second.min(59)))
}

fn is_numeric_zone(zone: &str) -> bool {
    zone.len() == 5 && zone.starts_with(['+', '-']) && zone.bytes().skip(1).all(|b| b.is_ascii_digit())
}

fn zone_secs(zone: &str) -> Option<i64> {
    if is_numeric_zone(zone) {
        let (hours, minutes) = (number(zone.get(1..3)?, 2)?, number(zone.get(3..5)?, 2)?);
        let secs = i64::from(hours * 3600 + minutes * 60);
        return Some(if zone.starts_with('-') { -secs } else { secs });
    }
    let hours = match zone.to_ascii_uppercase().as_str() {
        "UT" | "UTC" | "GMT" | "Z" => 0,
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        _ => return None,
    };
    Some(hours * 3600)
}

fn instant(day: i64, secs: i64, zone: i64) -> Option<Timestamp> {
    Some(Timestamp::from_secs(day.checked_mul(DAY_SECS)?.checked_add(secs)?.checked_sub(zone)?))
}

fn number(word: &str, digits: usize) -> Option<u32> {
    let fits = !word.is_empty() && word.len() <= digits && word.bytes().all(|b| b.is_ascii_digit());
    if fits { word.parse().ok() } else { None }
}

fn month_number(word: &str) -> Option<u32> {
    let short = word.get(..3)?;
    (1..).zip(MONTHS).find(|(_, name)| name.eq_ignore_ascii_case(short)).map(|(number, _)| number)
}

fn month_name(t: OffsetDateTime) -> &'static str {
    MONTHS[usize::from(u8::from(t.month())) - 1]
}

/// The calendar holds years up to 9999; an instant beyond it is a fault elsewhere, shown as the epoch.
fn civil(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.secs())
        .ok()
        .filter(|t| t.year() >= 0)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp(1_795_248_240_000);

    #[test]
    fn dates_are_written_in_utc() {
        assert_eq!(rfc5322(AT), "Sat, 21 Nov 2026 08:04:00 +0000");
        assert_eq!(imap_internal(AT), "21-Nov-2026 08:04:00 +0000");
        assert_eq!(imap_internal(AT.plus_secs(-20 * DAY_SECS)), " 1-Nov-2026 08:04:00 +0000");
        assert_eq!(rfc5322(Timestamp(i64::MAX)), "Thu, 1 Jan 1970 00:00:00 +0000");
    }

    #[test]
    fn lenient_dates_are_read() {
        for text in [
            "Sat, 21 Nov 2026 08:04:00 +0000",
            "21 Nov 2026 08:04 GMT",
            "Sat,21 nov 26 09:04:00 +0100 (CET)",
            "Sat, 21 November 2026 08:04:00",
            "Sat, (saturday) 21 Nov 2026\t00:04:00 PST",
            "21-Nov-2026 07:34:00 -0030",
        ] {
            assert_eq!(parse_rfc5322(text.as_bytes()), Some(AT), "{text}");
        }
        for bad in ["", "Sat", "Sat, 31 Feb 2026 08:04:00 +0000", "21/11/2026", "\u{e9}\u{e9} Nov 2026"] {
            assert_eq!(parse_rfc5322(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn the_day_is_the_one_written_whatever_the_zone() {
        let day = day_number(2026, 11, 21);
        assert_eq!(parse_rfc5322_day(b"Sat, 21 Nov 2026 23:59:00 -1200"), day);
        assert_eq!(day_number(1970, 1, 1), Some(0));
        assert_eq!(day_number(1970, 2, 29), None);
    }

    #[test]
    fn internal_dates_survive_a_round_trip_and_faults_are_refused() {
        assert_eq!(parse_imap_internal(&imap_internal(AT)), Some(AT));
        assert_eq!(parse_imap_internal("21-Nov-2026 10:04:00 +0200"), Some(AT));
        assert_eq!(parse_imap_internal(" 1-Jan-1970 00:00:00 +0000"), Some(Timestamp(0)));
        for bad in [
            "",
            "21-Nov-2026",
            "21-Nov-26 08:04:00 +0000",
            "21-Nov-2026 08:04 +0000",
            "32-Nov-2026 08:04:00 +0000",
            "21-Nov-2026 24:04:00 +0000",
            "21-Nov-2026 08:04:00 GMT",
            "é-Nov-2026 08:04:00 +0000",
        ] {
            assert_eq!(parse_imap_internal(bad), None, "{bad}");
        }
    }
}
