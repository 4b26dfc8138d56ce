//! Dates of SEARCH and APPEND (RFC 3501 `date`, `date-time`).

use super::{Cursor, Parsed};
use crate::command::Date;
use mail_types::Timestamp;

const INVALID: &str = "Invalid date";

/// `date = date-text / DQUOTE date-text DQUOTE`, where `date-text = 1*2DIGIT "-" month "-" 4DIGIT`
pub(super) fn date(cursor: &mut Cursor<'_>) -> Parsed<Date> {
    let quoted = cursor.eat(b'"');
    let day = cursor.take_while(|b| b.is_ascii_digit());
    let date = month_and_year(cursor, decimal(day, 1, 2)?)?;
    if quoted {
        cursor.expect(b'"', INVALID)?;
    }
    let found = Date { year: date.year() as u16, month: date.month().into(), day: date.day() };
    Ok(found)
}

/// `date-time = DQUOTE date-day-fixed "-" month "-" 4DIGIT SP time SP zone DQUOTE`; the day may be padded with a space.
pub(super) fn date_time(cursor: &mut Cursor<'_>) -> Parsed<Timestamp> {
    cursor.expect(b'"', INVALID)?;
    let padded = cursor.eat(b' ');
    let day = cursor.take_while(|b| b.is_ascii_digit());
    let day = if padded { decimal(day, 1, 1)? } else { decimal(day, 1, 2)? };
    let date = month_and_year(cursor, day)?;
    cursor.expect(b' ', INVALID)?;
    let clock = time_of_day(cursor)?;
    cursor.expect(b' ', INVALID)?;
    let offset = zone(cursor)?;
    cursor.expect(b'"', INVALID)?;
    let local = date.with_time(clock).assume_utc().unix_timestamp();
    Ok(Timestamp::from_secs(local).plus_secs(-offset))
}

fn month_and_year(cursor: &mut Cursor<'_>, day: u16) -> Parsed<time::Date> {
    cursor.expect(b'-', INVALID)?;
    let name = cursor.take_while(|b| b.is_ascii_alphabetic());
    let month = crate::response::MONTHS.iter().position(|each| each.as_bytes().eq_ignore_ascii_case(name));
    let month = month.and_then(|at| time::Month::try_from(at as u8 + 1).ok()).ok_or(INVALID)?;
    cursor.expect(b'-', INVALID)?;
    let year = decimal(cursor.take_while(|b| b.is_ascii_digit()), 4, 4)?;
    time::Date::from_calendar_date(year.into(), month, day as u8).map_err(|_| INVALID)
}

/// `time = 2DIGIT ":" 2DIGIT ":" 2DIGIT`; a leap second counts as the second before it.
fn time_of_day(cursor: &mut Cursor<'_>) -> Parsed<time::Time> {
    let mut fields = [0_u8; 3];
    for (i, field) in fields.iter_mut().enumerate() {
        if i > 0 {
            cursor.expect(b':', INVALID)?;
        }
        *field = decimal(cursor.take_while(|b| b.is_ascii_digit()), 2, 2)? as u8;
    }
    let [hour, minute, second] = fields;
    let second = if second == 60 { 59 } else { second };
    time::Time::from_hms(hour, minute, second).map_err(|_| INVALID)
}

/// `zone = ("+" / "-") 4DIGIT`, in seconds.
fn zone(cursor: &mut Cursor<'_>) -> Parsed<i64> {
    let sign = if cursor.eat(b'+') {
        1
    } else {
        cursor.expect(b'-', INVALID)?;
        -1
    };
    let digits = i64::from(decimal(cursor.take_while(|b| b.is_ascii_digit()), 4, 4)?);
    let (hours, minutes) = (digits / 100, digits % 100);
    if hours > 23 || minutes > 59 { Err(INVALID) } else { Ok(sign * (hours * 3600 + minutes * 60)) }
}

fn decimal(digits: &[u8], least: usize, most: usize) -> Parsed<u16> {
    if digits.len() < least || digits.len() > most {
        return Err(INVALID);
    }
    Ok(digits.iter().fold(0, |number, b| number * 10 + u16::from(b - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> Option<i64> {
        let mut cursor = Cursor::new(text.as_bytes(), false);
        date_time(&mut cursor).ok().filter(|_| cursor.at_end()).map(Timestamp::secs)
    }

    #[test]
    fn the_zone_of_a_date_time_is_applied() {
        assert_eq!(instant("\"17-Jul-1996 02:44:25 -0700\""), Some(837_596_665));
        assert_eq!(instant("\" 1-jan-1970 01:00:00 +0100\""), Some(0));
        assert_eq!(instant("\"31-Dec-1998 23:59:60 +0000\""), Some(915_148_799));
    }

    #[test]
    fn days_that_do_not_exist_and_other_forms_are_refused() {
        for bad in [
            "\"30-Feb-2000 00:00:00 +0000\"",
            "\"1-Jan-70 00:00:00 +0000\"",
            "\"01-Jan-1970 24:00:00 +0000\"",
            "\"01-Jan-1970 00:00:00 0000\"",
            "\"01-Jan-1970 00:00:00 +9999\"",
            "\"01-Jan-1970 00:00:00 +0000",
            "\" 10-Jan-1970 00:00:00 +0000\"",
            "\"01-Foo-1970 00:00:00 +0000\"",
        ] {
            assert_eq!(instant(bad), None, "{bad}");
        }
    }
}
