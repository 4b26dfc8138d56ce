//! Content transfer encodings (RFC 2045 §6), decoded without ever failing: what is not code is passed over.

use crate::text::Encoding;

/// The octets behind an encoding.
pub(crate) fn decode(raw: &[u8], encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Identity => raw.to_vec(),
        Encoding::Base64 => base64(raw),
        Encoding::QuotedPrintable => quoted_printable(raw),
    }
}

/// Base64, skipping bytes outside the alphabet; padding ends a quantum, so that concatenated encodings are read through.
pub(crate) fn base64(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0u32, 0u32);
    for &b in raw {
        let Some(value) = sextet(b) else {
            if b == b'=' {
                (bits, count) = (0, 0);
            }
            continue;
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    out
}

pub(crate) fn sextet(b: u8) -> Option<u8> {
    match b {
        b'A'..=b'Z' => Some(b - b'A'),
        b'a'..=b'z' => Some(b - b'a' + 26),
        b'0'..=b'9' => Some(b - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

/// Quoted-printable; an `=` that starts nothing is kept as it is.
pub(crate) fn quoted_printable(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'=', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(byte) = hex_pair(rest) {
            out.push(byte);
            rest = &rest[2..];
        } else if let Some(length) = soft_break(rest) {
            rest = &rest[length..];
        } else {
            out.push(b'=');
        }
    }
    out.extend_from_slice(rest);
    out
}

/// The byte written as two hexadecimal digits at the start of `bytes`.
pub(crate) fn hex_pair(bytes: &[u8]) -> Option<u8> {
    let digit = |at: usize| bytes.get(at).and_then(|b| (*b as char).to_digit(16));
    Some((digit(0)? * 16 + digit(1)?) as u8)
}

/// The length of a line end after an `=`, trailing white space included. The look-ahead is bounded: a run of
/// `= = =` must not cost a scan each.
pub(crate) fn soft_break(bytes: &[u8]) -> Option<usize> {
    let blanks = bytes.iter().take(80).take_while(|b| matches!(b, b' ' | b'\t' | b'\r')).count();
    match bytes.get(blanks) {
        Some(b'\n') => Some(blanks + 1),
        None => Some(blanks),
        _ => None,
    }
}

/// Quoted-printable of a text with `\n` line ends, in CRLF lines of at most 76 characters. Every `=` and every byte outside
/// printable ASCII is encoded.
pub(crate) fn quoted_printable_lines(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 8);
    for line in text.split_inclusive(|b| *b == b'\n') {
        let ended = line.strip_suffix(b"\n");
        let content = ended.unwrap_or(line);
        quoted_printable_line(content.strip_suffix(b"\r").unwrap_or(content), &mut out);
        if ended.is_some() {
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

fn quoted_printable_line(line: &[u8], out: &mut Vec<u8>) {
    let mut column = 0;
    for (at, &b) in line.iter().enumerate() {
        let last = at + 1 == line.len();
        let plain = matches!(b, b'!'..=b'<' | b'>'..=b'~') || matches!(b, b' ' | b'\t') && !last;
        // A line made of one dot, or starting with "From ", is safe with every transport once encoded.
        let plain = plain && !(column == 0 && matches!(b, b'.' | b'F'));
        let width = if plain { 1 } else { 3 };
        if column + width > 75 {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        if plain {
            out.push(b);
        } else {
            out.extend_from_slice(format!("={b:02X}").as_bytes());
        }
        column += width;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_passes_over_garbage_and_inner_padding() {
        assert_eq!(base64(b"Ym9u\r\nam91cg=="), b"bonjour");
        assert_eq!(base64(b"Ym9u-am9*1cg"), b"bonjour");
        assert_eq!(base64(b"YQ==Yg=="), b"ab");
        assert_eq!(base64(b"Y"), b"");
    }

    #[test]
    fn quoted_printable_keeps_what_it_cannot_read() {
        assert_eq!(quoted_printable(b"=C3=a9t=\r\n\xe9 =ZZ = \t\r\nx="), b"\xc3\xa9t\xe9 =ZZ x");
    }

    #[test]
    fn quoted_printable_lines_survive_a_round_trip_and_stay_short() {
        let text = format!("{}\nFrom \u{e9}\n.\nend = \n", "\u{e9}a".repeat(100));
        let encoded = quoted_printable_lines(text.as_bytes());
        assert!(encoded.split(|b| *b == b'\n').all(|line| line.len() <= 77 && line.is_ascii()));
        assert_eq!(quoted_printable(&encoded), text.replace('\n', "\r\n").as_bytes());
    }
}
