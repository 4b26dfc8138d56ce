//! Whatever the bytes, nothing panics and every answer stays inside the message and inside the grammar.

use message::structure::{SectionKind, Structure, StructureScanner};
use message::{date, header, submission, text};
use proptest::prelude::*;

/// Pieces that make interesting messages more often than chance does.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&'static [u8]> = vec![
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b"--",
        b"--b\r\n",
        b"--b--\r\n",
        b"--bb\r\n",
        b"--b-- ",
        b" ",
        b"\t",
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"Content-Type: multipart/digest; boundary=\"bb\"\r\n",
        b"Content-Type: message/rfc822\r\n",
        b"Content-Type: text/",
        b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Disposition: attachment; filename*0=",
        b"Content-Language: a,b\r\n",
        b"From: ",
        b"To: a:b@c,<@d:e@f>;",
        b"Subject: ",
        b"Date: Sat, 21 Nov 2026",
        b"(",
        b")",
        b"\"",
        b"\\",
        b"<",
        b">",
        b",",
        b";",
        b":",
        b"@",
        b"=?utf-8?Q?",
        b"?=",
        b"\0",
        b"\xff",
        b"x",
    ];
    let piece = prop_oneof![
        8 => proptest::sample::select(known).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn scan<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Structure {
    let mut scanner = StructureScanner::new();
    chunks.for_each(|chunk| scanner.push(chunk));
    scanner.finish()
}

/// One parenthesised list and nothing after it: strings and literals skipped, parentheses balanced.
fn is_one_list(item: &[u8]) -> bool {
    let (mut at, mut depth) = (0, 0usize);
    while let Some(&b) = item.get(at) {
        at += 1;
        match b {
            b'(' => depth += 1,
            b')' => {
                depth = match depth.checked_sub(1) {
                    Some(0) => return at == item.len(),
                    Some(depth) => depth,
                    None => return false,
                }
            }
            b'"' => loop {
                match item.get(at) {
                    Some(b'\\') => at += 2,
                    Some(b'"') => break at += 1,
                    Some(0 | b'\r' | b'\n' | 0x80..) | None => return false,
                    Some(_) => at += 1,
                }
            },
            b'{' => {
                let digits: String =
                    item[at..].iter().take_while(|b| b.is_ascii_digit()).map(|b| *b as char).collect();
                let Ok(length) = digits.parse::<usize>() else { return false };
                at += digits.len();
                if !item[at..].starts_with(b"}\r\n") {
                    return false;
                }
                at += 3 + length;
            }
            b' ' | b'0'..=b'9' | b'N' | b'I' | b'L' => {}
            _ => return false,
        }
        if depth == 0 {
            return false;
        }
    }
    false
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn structures_are_sound(message in pieces(), cut in 1usize..30) {
        let structure = scan(std::iter::once(message.as_slice()));
        prop_assert_eq!(scan(message.chunks(cut)).encode(), structure.encode());
        prop_assert_eq!(Structure::decode(&structure.encode()), Ok(structure.clone()));
        for item in [structure.envelope(), structure.bodystructure(), structure.body()] {
            prop_assert!(is_one_list(item), "{}", String::from_utf8_lossy(item));
        }
        let size = message.len() as u64;
        prop_assert_eq!(structure.size(), size);
        for leaf in structure.leaves() {
            prop_assert!(leaf.header.start <= leaf.header.end && leaf.header.end == leaf.body.start);
            prop_assert!(leaf.body.start <= leaf.body.end && leaf.body.end <= size);
        }
        for path in [&[][..], &[1], &[2], &[1, 1], &[1, 2], &[2, 1], &[1, 1, 1]] {
            for kind in [SectionKind::Content, SectionKind::Header, SectionKind::Text, SectionKind::Mime] {
                if let Some(range) = structure.section(path, kind) {
                    prop_assert!(range.start <= range.end && range.end <= size);
                }
            }
        }
    }

    #[test]
    fn decoding_a_structure_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Structure::decode(&[vec![1], bytes].concat());
    }

    #[test]
    fn headers_and_texts_never_panic(bytes in pieces()) {
        let split = header::header_split(&bytes).unwrap_or(bytes.len());
        prop_assert!(split <= bytes.len());
        header::fields(&bytes).for_each(|field| { header::decode_value(&field.value()); });
        let both = [false, true].map(|negate| header::select_fields(&bytes, &["subject", "from"], negate).len());
        prop_assert!(both.iter().sum::<usize>() <= bytes.len() + 8);
        submission::from_addresses(&bytes);
        date::parse_rfc5322(&bytes);
        for name in ["base64", "quoted-printable", "7bit"] {
            text::strip_html(&text::decode_body(&bytes, text::Encoding::named(name), Some("utf-8")));
        }
        let completion = submission::Completion { now: mail_types::Timestamp(0), message_id: "a@b" };
        let whole = header::header_split(&bytes).is_some();
        prop_assume!(whole);
        let once = submission::complete_header(&bytes[..split], &completion);
        prop_assert_eq!(header::header_split(&once), Some(once.len()));
        prop_assert_eq!(submission::complete_header(&once, &completion), once.clone());
        let hidden = header::fields(&once).any(|field| field.is("Bcc") || field.is("Resent-Bcc"));
        prop_assert!(!hidden);
    }
}
