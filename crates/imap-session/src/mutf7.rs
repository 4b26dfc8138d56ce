//! Modified UTF-7: how RFC 3501 §5.1.3 writes folder names in ASCII.
//!
//! The encoding of a name is unique, and only that one is accepted: base64 of printable ASCII, two shifts in a row, padding bits
//! that are not zero, unpaired surrogates and 8-bit octets are errors. Two spellings of one folder would be two folders to
//! some client.

/// Why a text is not modified UTF-7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mutf7Error {
    /// An octet that is not printable ASCII stands outside base64.
    #[error("a folder name in modified UTF-7 is printable ASCII")]
    NotAscii,
    /// A shift is not closed, holds something else than base64, or leaves bits that are not zero.
    #[error("invalid base64 in a folder name")]
    Base64,
    /// The shifted octets are not UTF-16.
    #[error("unpaired surrogate in a folder name")]
    Surrogate,
    /// Base64 where plain ASCII is due, or two shifts where one would do.
    #[error("superfluous shift in a folder name")]
    Superfluous,
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// The modified UTF-7 form of `name`.
pub fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut shifted: Vec<u16> = Vec::new();
    for c in name.chars() {
        if !is_direct(c) {
            shifted.extend_from_slice(c.encode_utf16(&mut [0; 2]));
            continue;
        }
        close_shift(&mut out, &mut shifted);
        out.push(c);
        if c == '&' {
            out.push('-');
        }
    }
    close_shift(&mut out, &mut shifted);
    out
}

/// The name written as `text`.
pub fn decode(text: &[u8]) -> Result<String, Mutf7Error> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut after_shift = false;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'&' => {
                let end = memchr::memchr(b'-', rest).ok_or(Mutf7Error::Base64)?;
                let (base64, tail) = rest.split_at(end);
                rest = tail.get(1..).unwrap_or_default();
                match base64 {
                    [] => out.push('&'),
                    _ if after_shift => return Err(Mutf7Error::Superfluous),
                    _ => decode_shift(base64, &mut out)?,
                }
                after_shift = !base64.is_empty();
            }
            b' '..=b'~' => {
                out.push(char::from(byte));
                after_shift = false;
            }
            _ => return Err(Mutf7Error::NotAscii),
        }
    }
    Ok(out)
}

fn is_direct(c: char) -> bool {
    matches!(c, ' '..='~')
}

/// Writes the pending UTF-16 units as `&…-`, if there are any.
fn close_shift(out: &mut String, units: &mut Vec<u16>) {
    if units.is_empty() {
        return;
    }
    out.push('&');
    let (mut bits, mut count) = (0_u32, 0);
    for unit in units.drain(..) {
        bits = (bits << 16) | u32::from(unit);
        count += 16;
        while count >= 6 {
            count -= 6;
            push_sextet(out, bits >> count);
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        push_sextet(out, bits << (6 - count));
    }
    out.push('-');
}

fn push_sextet(out: &mut String, value: u32) {
    out.push(char::from(ALPHABET[(value & 63) as usize]));
}

fn decode_shift(base64: &[u8], out: &mut String) -> Result<(), Mutf7Error> {
    let units = decode_units(base64)?;
    for c in char::decode_utf16(units) {
        let c = c.map_err(|_| Mutf7Error::Surrogate)?;
        if is_direct(c) {
            return Err(Mutf7Error::Superfluous);
        }
        out.push(c);
    }
    Ok(())
}

fn decode_units(base64: &[u8]) -> Result<Vec<u16>, Mutf7Error> {
    let mut units = Vec::with_capacity(base64.len() * 6 / 16);
    let (mut bits, mut count) = (0_u32, 0);
    for &byte in base64 {
        bits = (bits << 6) | u32::from(sextet(byte).ok_or(Mutf7Error::Base64)?);
        count += 6;
        if count >= 16 {
            count -= 16;
            units.push((bits >> count) as u16);
            bits &= (1 << count) - 1;
        }
    }
    // What is left must be padding: fewer bits than a sextet, all zero.
    if count >= 6 || bits != 0 { Err(Mutf7Error::Base64) } else { Ok(units) }
}

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b',' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_the_examples_of_the_rfc() {
        for (name, text) in [
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("☺!", "&Jjo-!"),
            ("A & B", "A &- B"),
            ("&", "&-"),
            ("Éléments envoyés", "&AMk-l&AOk-ments envoy&AOk-s"),
            ("😀", "&2D3eAA-"),
            ("a\tb", "a&AAk-b"),
            ("", ""),
        ] {
            assert_eq!(encode(name), text);
            assert_eq!(decode(text.as_bytes()).as_deref(), Ok(name));
        }
    }

    #[test]
    fn refuses_every_other_spelling() {
        for (text, error) in [
            ("&Jjo!", Mutf7Error::Base64),
            ("&Jjo", Mutf7Error::Base64),
            ("&", Mutf7Error::Base64),
            ("&U,BTFw-&ZeVnLIqe-", Mutf7Error::Superfluous),
            ("&AGE-", Mutf7Error::Superfluous),
            ("&ACY-", Mutf7Error::Superfluous),
            ("&2D0-", Mutf7Error::Surrogate),
            ("&3gA-", Mutf7Error::Surrogate),
            ("&AOl-", Mutf7Error::Base64),
            ("&AOkA-", Mutf7Error::Base64),
            ("&A-", Mutf7Error::Base64),
            ("&AO/-", Mutf7Error::Base64),
            ("é", Mutf7Error::NotAscii),
            ("a\r\nb", Mutf7Error::NotAscii),
        ] {
            assert_eq!(decode(text.as_bytes()), Err(error), "{text}");
        }
    }
}
