//! Whatever the bytes, nothing panics and every answer stays inside the message and inside the grammar.

mod grammar;

use message::structure::{SectionKind, Structure, StructureScanner};
use message::{date, header, originator, submission, text};
use proptest::prelude::*;
use std::ops::Range;

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
        b"; name*0=a; name*1*=b",
        b"--b\r\n\r\n",
        b"--b\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\n",
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

/// Each part lies in what holds it, after the part before it; its header ends where its body begins.
fn assert_nested(structure: &Structure, path: &[u32], outer: &Range<u64>) {
    let mut from = outer.start;
    for number in 1..=20 {
        let inner = [path, &[number]].concat();
        let Some(body) = structure.section(&inner, SectionKind::Content) else { return };
        let mime = structure.section(&inner, SectionKind::Mime).expect("a part has a header");
        assert!(mime.start <= mime.end && mime.end == body.start && body.start <= body.end, "{inner:?}");
        // The one part of a message that is no multipart has the header of the message.
        let holds_it = mime.start >= from || path.is_empty() || number == 1;
        assert!(
            holds_it && body.start >= from && body.end <= outer.end,
            "{inner:?}: {mime:?} {body:?} in {outer:?}"
        );
        from = body.end;
        if path.len() < 3 {
            assert_nested(structure, &inner, &body);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn structures_are_sound(message in pieces(), cut in 1usize..30) {
        let structure = scan(std::iter::once(message.as_slice()));
        prop_assert_eq!(scan(message.chunks(cut)).encode(), structure.encode());
        prop_assert_eq!(Structure::decode(&structure.encode()), Ok(structure.clone()));
        let items = [
            (grammar::envelope(structure.envelope()), structure.envelope()),
            (grammar::body(structure.bodystructure(), true), structure.bodystructure()),
            (grammar::body(structure.body(), false), structure.body()),
        ];
        for (read, item) in items {
            if let Err(grammar::Fault(at)) = read {
                prop_assert!(false, "at octet {at} of {}", String::from_utf8_lossy(item));
            }
        }
        assert_nested(&structure, &[], &(0..message.len() as u64));
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
        originator::Originators::of(&bytes);
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
