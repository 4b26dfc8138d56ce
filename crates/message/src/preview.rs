//! The first words of a message, as a list of messages shows them (RFC 8970).
//!
//! They are those of its first text to be read, plain text before HTML unless it is blank: tags left out, white space made one space, and what nobody sees left out.
//! What is quoted or a greeting is not told apart.

use crate::structure::{Part, PartRole, Structure};
use crate::text::{declared_charset, decode_charset, strip_html};
use crate::transfer::decode;

/// Characters of a preview (RFC 8970 §3.1).
pub const PREVIEW_MAX: usize = 200;

impl Structure {
    /// The parts of which one's beginning is the preview: the first in which there is something to be read. None of a message without text.
    pub fn preview_parts(&self) -> Vec<Part> {
        let mut parts = self.parts();
        parts.retain(|part| part.role != PartRole::Attachment && !part.body.is_empty());
        let plain = parts.iter().position(|part| part.role == PartRole::Text);
        // What follows a blank text is nearer to it than what stands before.
        parts.rotate_left(plain.unwrap_or(0));
        parts
    }
}

/// The preview, from the first octets of its part, still encoded. Shorter than [`PREVIEW_MAX`] characters it may be longer when more of the part is given,
/// unless that is the whole.
pub fn preview(part: &Part, raw: &[u8]) -> String {
    let octets = decode(raw, part.encoding);
    let is_cut = (raw.len() as u64) < part.body.end.saturating_sub(part.body.start);
    let text = match declared_charset(part.charset.as_deref()) {
        None if is_cut => decode_charset(without_cut_character(&octets), None),
        _ => decode_charset(&octets, part.charset.as_deref()),
    };
    let text = if part.role == PartRole::Html { strip_html(&text) } else { text };
    let text = if is_cut { text.trim_end_matches('\u{fffd}') } else { &text };
    first_words(text)
}

/// Without the beginning of a UTF-8 character at the end, that would make all of it no UTF-8.
fn without_cut_character(octets: &[u8]) -> &[u8] {
    match std::str::from_utf8(octets) {
        Err(error) if error.error_len().is_none() => octets.get(..error.valid_up_to()).unwrap_or(octets),
        _ => octets,
    }
}

fn first_words(text: &str) -> String {
    let is_unseen = |c: char| {
        c.is_control()
            || matches!(c, '\u{34f}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
    };
    let (mut out, mut count, mut is_apart) = (String::new(), 0, false);
    for c in text.chars() {
        if c.is_whitespace() {
            is_apart = count > 0;
        } else if !is_unseen(c) {
            let more = 1 + usize::from(is_apart);
            if count + more > PREVIEW_MAX {
                break;
            }
            out.extend(is_apart.then_some(' '));
            out.push(c);
            (count, is_apart) = (count + more, false);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::StructureScanner;

    fn of(message: &[u8], given: usize) -> Option<String> {
        let mut scanner = StructureScanner::new();
        scanner.push(message);
        let of_part = |part: &Part| {
            let body = &message[part.body.start as usize..part.body.end as usize];
            preview(part, &body[..body.len().min(given)])
        };
        let shown: Vec<String> = scanner.finish().preview_parts().iter().map(of_part).collect();
        shown.iter().find(|words| !words.is_empty()).or(shown.first()).cloned()
    }

    #[test]
    fn the_first_words_are_those_that_are_read() {
        for (message, expected) in [
            (
                "A: b\r\n\r\n Bonjour,\r\n\r\n  \tvoici  le\u{200b} bilan.\r\n",
                Some("Bonjour, voici le bilan."),
            ),
            (
                "Content-Type: text/html\r\n\r\n<style>p{}</style><p>Un <b>m</b>ot&nbsp;ici</p>",
                Some("Un mot ici"),
            ),
            ("Content-Type: image/png\r\n\r\nxx", None),
            ("A: b\r\n\r\n", None),
            (
                "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\nbalises\r\n--b\r\nContent-Type: text/plain\r\n\r\nsimple\r\n--b--\r\n",
                Some("simple"),
            ),
            (
                "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>balises</p>\r\n--b--\r\n--a\r\nContent-Type: text/plain\r\n\r\npied\r\n--a--\r\n",
                Some("balises"),
            ),
            ("A: b\r\n\r\n \r\n", Some("")),
            (
                "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\njoint\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\nw6l0w6k=\r\n--b--\r\n",
                Some("été"),
            ),
        ] {
            assert_eq!(of(message.as_bytes(), 4096).as_deref(), expected, "{message}");
        }
    }

    #[test]
    fn a_preview_is_bounded_and_no_character_is_cut() {
        let long = format!("A: b\r\n\r\n{}", "été à ".repeat(1000));
        let shown = of(long.as_bytes(), usize::MAX).unwrap();
        assert_eq!(shown.chars().count(), PREVIEW_MAX);
        assert!(shown.starts_with("été à été"));
        for given in 1..40 {
            let shown = of(long.as_bytes(), given).unwrap();
            assert!("été à ".repeat(8).starts_with(&shown), "{given}: {shown}");
        }
    }
}
