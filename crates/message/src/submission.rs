//! What a submission server adds to and takes from a header (RFC 6409 §8), and nothing else.

use crate::date;
use crate::header::{Blocks, parse_field};
use mail_types::Timestamp;

pub use crate::header::header_split;

/// What [`complete_header`] may put in.
#[derive(Clone, Copy, Debug)]
pub struct Completion<'a> {
    /// The Date of a message that has none.
    pub now: Timestamp,
    /// The Message-ID of a message that has none, `<unique@domain>`; angle brackets are added when absent.
    pub message_id: &'a str,
}

/// The header without its Bcc and Resent-Bcc fields, and with Date and Message-ID added at its end when absent. All other
/// bytes stay as they are, in their order.
///
/// `header` is what [`header_split`] delimits; its blank line may be missing. The result always ends with a blank line, so a message
/// without a header gets one that its body cannot be mistaken for.
pub fn complete_header(header: &[u8], completion: &Completion<'_>) -> Vec<u8> {
    let (mut out, mut dated, mut identified) = (Vec::with_capacity(header.len() + 128), false, false);
    for block in Blocks::new(header) {
        let field = parse_field(block);
        let is = |name: &str| field.is_some_and(|field| field.is(name));
        if is("Bcc") || is("Resent-Bcc") {
            continue;
        }
        dated |= is("Date");
        identified |= is("Message-ID");
        out.extend_from_slice(block);
    }
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.extend_from_slice(b"\r\n");
    }
    if !dated {
        out.extend_from_slice(format!("Date: {}\r\n", date::rfc5322(completion.now)).as_bytes());
    }
    if !identified {
        out.extend_from_slice(format!("Message-ID: {}\r\n", bracketed(completion.message_id)).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// A message identifier in angle brackets, without characters that could end the field.
pub(crate) fn bracketed(message_id: &str) -> String {
    let id: String =
        message_id.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '<' | '>')).take(250).collect();
    format!("<{id}>")
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPLETION: Completion<'_> =
        Completion { now: Timestamp(1_795_248_240_000), message_id: "<i@d.fr>" };

    #[test]
    fn what_is_missing_is_added_before_the_blank_line() {
        let out = complete_header(b"From: a@b\r\nSubject: x\r\n\ty\r\n\r\n", &COMPLETION);
        let expected = "From: a@b\r\nSubject: x\r\n\ty\r\nDate: Sat, 21 Nov 2026 08:04:00 +0000\r\nMessage-ID: <i@d.fr>\r\n\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_complete_header_keeps_every_byte_but_bcc() {
        let kept = b"date : \xff\r\nX:  y \r\njunk\r\nMESSAGE-ID: z\r\nFrom: q\r\n\r\n";
        assert_eq!(complete_header(kept, &COMPLETION), kept);
        let with_bcc = b"date : \xff\r\nBCC: a@b,\r\n c@d\r\nX:  y \r\njunk\r\nbcc : e\r\nMESSAGE-ID: z\r\nResent-Bcc: f\r\nFrom: q\r\n\r\n";
        assert_eq!(complete_header(with_bcc, &COMPLETION), kept);
    }

    #[test]
    fn a_message_without_header_gets_one() {
        let out = complete_header(b"", &COMPLETION);
        assert!(out.starts_with(b"Date: ") && out.ends_with(b"<i@d.fr>\r\n\r\n"));
        let out = complete_header(b"A: b", &COMPLETION);
        assert!(out.starts_with(b"A: b\r\nDate: "));
    }
}
