//! Encoded words in header values (RFC 2047), read leniently and written for the few fields that are ours.

use crate::text::decode_charset;
use crate::transfer::{base64, hex_pair};

/// The text of an unfolded header value: encoded words decoded, white space between two of them dropped, anything else
/// read as UTF-8, or as Windows-1252 where it is not UTF-8. Never fails: what is not a well-formed encoded word stays as written.
///
/// Neighbours of one charset are joined before decoding, because senders split characters between them.
pub fn decode_value(value: &[u8]) -> String {
    let mut out = String::new();
    let mut run: Option<(&[u8], Vec<u8>)> = None;
    let mut rest = value;
    while let Some(at) = memchr::memmem::find(rest, b"=?") {
        let (before, tail) = rest.split_at(at);
        let Some(word) = parse(tail) else {
            flush(&mut run, &mut out);
            plain(&rest[..at + 2], &mut out);
            rest = &rest[at + 2..];
            continue;
        };
        let adjacent = run.is_some() && before.iter().all(u8::is_ascii_whitespace);
        if !adjacent {
            flush(&mut run, &mut out);
            plain(before, &mut out);
        }
        match &mut run {
            Some((charset, bytes)) if charset.eq_ignore_ascii_case(word.charset) => bytes.extend(word.bytes),
            _ => {
                flush(&mut run, &mut out);
                run = Some((word.charset, word.bytes));
            }
        }
        rest = &tail[word.length..];
    }
    flush(&mut run, &mut out);
    plain(rest, &mut out);
    out
}

/// `text` as encoded words (UTF-8, Q) of at most 75 characters, separated by a fold.
pub(crate) fn encode(text: &str) -> String {
    const OPEN: &str = "=?utf-8?Q?";
    let mut out = String::from(OPEN);
    let mut width = OPEN.len();
    let mut buffer = [0; 4];
    for c in text.chars() {
        let piece: String = match c {
            ' ' => "_".to_owned(),
            c if c.is_ascii_alphanumeric() => c.to_string(),
            c => c.encode_utf8(&mut buffer).bytes().map(|b| format!("={b:02X}")).collect(),
        };
        if width + piece.len() > 73 {
            out.push_str("?=\r\n ");
            out.push_str(OPEN);
            width = OPEN.len();
        }
        out.push_str(&piece);
        width += piece.len();
    }
    out.push_str("?=");
    out
}

struct Word<'a> {
    charset: &'a [u8],
    bytes: Vec<u8>,
    length: usize,
}

/// The encoded word at the start of `bytes`, which begins with `=?`. Words are bounded at 2,000 bytes so that a run of `=?` cannot
/// cost a scan to the end each.
fn parse(bytes: &[u8]) -> Option<Word<'_>> {
    let window = &bytes[..bytes.len().min(2000)];
    let mark = |from: usize| memchr::memchr(b'?', window.get(from..)?).map(|at| from + at);
    let charset_end = mark(2)?;
    let kind_end = mark(charset_end + 1)?;
    let text_end = mark(kind_end + 1)?;
    let charset = window[2..charset_end].split(|b| *b == b'*').next()?;
    let token = !charset.is_empty() && charset.iter().all(u8::is_ascii_graphic);
    if !token || window.get(text_end + 1) != Some(&b'=') {
        return None;
    }
    let text = &window[kind_end + 1..text_end];
    let bytes = match &window[charset_end + 1..kind_end] {
        b"B" | b"b" => base64(text),
        b"Q" | b"q" => q_decode(text),
        _ => return None,
    };
    Some(Word { charset, bytes, length: text_end + 2 })
}

fn q_decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&b, tail)) = rest.split_first() {
        match (b, hex_pair(tail)) {
            (b'=', Some(byte)) => {
                out.push(byte);
                rest = &tail[2..];
                continue;
            }
            (b'_', _) => out.push(b' '),
            _ => out.push(b),
        }
        rest = tail;
    }
    out
}

fn flush(run: &mut Option<(&[u8], Vec<u8>)>, out: &mut String) {
    if let Some((charset, bytes)) = run.take() {
        out.push_str(&decode_charset(&bytes, std::str::from_utf8(charset).ok()));
    }
}

fn plain(bytes: &[u8], out: &mut String) {
    if !bytes.is_empty() {
        out.push_str(&decode_charset(bytes, None));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_decode_and_their_neighbours_join() {
        for (raw, text) in [
            (&b"=?utf-8?Q?caf=C3=A9_noir?= du matin"[..], "café noir du matin"),
            (b"=?UTF-8?B?w6k=?= =?utf-8?q?=C3=A8?=", "éè"),
            (b"=?utf-8?Q?=C3?= =?utf-8?Q?=A9?=", "é"),
            (b"=?iso-8859-1?Q?=E9?= =?utf-8?Q?=C3=A8?= x", "éè x"),
            (b"=?iso-8859-1*fr?Q?=E9?=", "é"),
            (b"a =?x", "a =?x"),
            (b"=?utf-8?X?a?=", "=?utf-8?X?a?="),
            (b"=?=?utf-8?Q?a?=", "=?a"),
            (b"caf\xe9", "café"),
            (b"", ""),
        ] {
            assert_eq!(decode_value(raw), text, "{}", String::from_utf8_lossy(raw));
        }
    }

    #[test]
    fn what_is_encoded_decodes_and_lines_stay_short() {
        let text = "Échec de remise d'un message très long à plusieurs destinataires éloignés (à relire)";
        let encoded = encode(text);
        assert!(encoded.split("\r\n").all(|line| line.len() <= 76));
        assert_eq!(decode_value(encoded.replace("\r\n", "").as_bytes()), text);
    }
}
