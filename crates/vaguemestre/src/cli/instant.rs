//! Dates on the command line.

use mail_types::Timestamp;
use serde_json::Value;

/// An end, as the API has it (RFC 3339); null for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Until(pub(super) Value);

impl Until {
    /// The instant, unless there is no end.
    pub(super) fn at(&self) -> Option<Timestamp> {
        self.0.as_str().and_then(read)
    }
}

/// What [`parse`] takes, or `none`.
pub(super) fn until(text: &str) -> Result<Until, String> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(Until(Value::Null));
    }
    parse(text)?;
    // The last second of a day belongs to it.
    Ok(Until(if text.contains('T') { text.into() } else { format!("{text}T23:59:59Z").into() }))
}

/// `YYYY-MM-DD`, which is the end of that day, or `YYYY-MM-DDTHH:MM:SSZ`; both in UTC.
pub(super) fn parse(text: &str) -> Result<Timestamp, String> {
    read(text).ok_or_else(|| format!("`{text}` is not a date; write 2027-01-31 or 2027-01-31T18:00:00Z"))
}

/// As the API has it (RFC 3339), to the second.
pub(super) fn rfc3339(at: Timestamp) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(at.secs()).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let (hour, minute, second) = at.to_hms();
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

fn read(text: &str) -> Option<Timestamp> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time.strip_suffix('Z')?)),
        None => (text, None),
    };
    let day = {
        let [year, month, day] = numbers(date, '-', &[4, 2, 2])?;
        message::date::day_number(year, month, day)?
    };
    let secs = match time {
        None => 86_400,
        Some(time) => {
            let [hour, minute, second] = numbers(time, ':', &[2, 2, 2])?;
            let is_time = hour < 24 && minute < 60 && second < 60;
            is_time.then_some(i64::from(hour * 3600 + minute * 60 + second))?
        }
    };
    Some(Timestamp::from_secs(day * 86_400 + secs))
}

fn numbers(text: &str, separator: char, lengths: &[usize; 3]) -> Option<[u32; 3]> {
    let parts: Vec<&str> = text.split(separator).collect();
    let is_shaped = parts.len() == 3
        && parts.iter().zip(lengths).all(|(p, n)| p.len() == *n && p.bytes().all(|b| b.is_ascii_digit()));
    let numbers: Vec<u32> =
        if is_shaped { parts.iter().filter_map(|part| part.parse().ok()).collect() } else { Vec::new() };
    numbers.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_meant_to_its_end_and_an_instant_to_the_second() {
        assert_eq!(parse("1970-01-01").map(Timestamp::secs), Ok(86_400));
        assert_eq!(parse("2027-01-31T18:00:01Z").map(Timestamp::secs), Ok(1_801_418_401));
        for text in [
            "",
            "2027-1-31",
            "2027-02-30",
            "2027-01-31T24:00:00Z",
            "2027-01-31T18:00:00",
            "tomorrow",
            "+027-01-31",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
