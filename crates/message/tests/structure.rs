//! The scanner on whole messages: what it renders, what the sections are, and that the cuts do not matter.

use message::structure::{PARTS_MAX, SectionKind, Structure, StructureScanner};
use std::time::{Duration, Instant};

fn scan(message: &[u8]) -> Structure {
    let mut scanner = StructureScanner::new();
    scanner.push(message);
    let whole = scanner.finish();
    assert_eq!(Structure::decode(&whole.encode()).as_ref(), Ok(&whole));
    whole
}

/// Scans in one block, byte by byte and at pseudo-random cuts; all must agree.
fn scan_in_all_ways(message: &[u8]) -> Structure {
    let whole = scan(message);
    let mut bytewise = StructureScanner::new();
    message.iter().for_each(|b| bytewise.push(&[*b]));
    assert_eq!(bytewise.finish().encode(), whole.encode());
    let mut seed = 1u64;
    for _ in 0..20 {
        let (mut scanner, mut rest) = (StructureScanner::new(), message);
        while !rest.is_empty() {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (piece, after) = rest.split_at((seed >> 33) as usize % rest.len().min(40) + 1);
            scanner.push(piece);
            rest = after;
        }
        assert_eq!(scanner.finish().encode(), whole.encode());
    }
    whole
}

fn bodystructure(message: &str) -> String {
    String::from_utf8_lossy(scan_in_all_ways(message.as_bytes()).bodystructure()).into_owned()
}

fn body(message: &str) -> String {
    String::from_utf8_lossy(scan_in_all_ways(message.as_bytes()).body()).into_owned()
}

fn envelope(header: &str) -> String {
    String::from_utf8_lossy(scan_in_all_ways(header.as_bytes()).envelope()).into_owned()
}

fn content<'a>(message: &'a str, path: &[u32], kind: SectionKind) -> Option<&'a str> {
    let range = scan(message.as_bytes()).section(path, kind)?;
    Some(&message[range.start as usize..range.end as usize])
}

#[test]
fn simple_messages_render() {
    let plain = "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" ";
    for (message, expected) in [
        ("Subject: x\r\n\r\na\r\nb\r\n", format!("{plain}6 2)")),
        ("Subject: x\n\na\nb\n", format!("{plain}4 2)")),
        ("", format!("{plain}0 0)")),
        ("Subject: x", format!("{plain}0 0)")),
        ("Subject: x\r\n", format!("{plain}0 0)")),
        ("\r\na", format!("{plain}1 0)")),
        ("Content-Type: nonsense\r\n\r\na\r\n", format!("{plain}3 1)")),
        ("Content-Type: multipart/mixed\r\n\r\na\r\n", format!("{plain}3 1)")),
        ("Content-Type: multipart/mixed; boundary=b\r\n\r\na\r\n", format!("{plain}3 1)")),
        (
            "Content-Type: TEXT/Html;\r\n\tcharset=utf-8\r\nContent-Transfer-Encoding: BASE64\r\n\r\nYQ==\r\n",
            "(\"TEXT\" \"Html\" (\"charset\" \"utf-8\") NIL NIL \"BASE64\" 6 1)".to_owned(),
        ),
        (
            "Content-Type: image/png; name=\"a\\\"b\"\r\nContent-ID: <i>\r\nContent-Description: d\r\n\r\nx",
            "(\"image\" \"png\" (\"name\" \"a\\\"b\") \"<i>\" \"d\" \"7bit\" 1)".to_owned(),
        ),
    ] {
        assert_eq!(body(message), expected, "{message}");
    }
}

#[test]
fn extension_data_follow_only_in_bodystructure() {
    let message = "Content-Type: multipart/mixed; boundary=b\r\nContent-Language: fr, en\r\n\r\npre\r\n--b\r\n\
        Content-Type: a/b\r\nContent-MD5: m\r\nContent-Disposition: attachment; filename=f\r\n\
        Content-Language: fr\r\nContent-Location: l\r\n\r\nx\r\n--b \t\r\n\r\ny\r\n\r\n--b--\r\nepilogue\r\n--b\r\n";
    assert_eq!(
        bodystructure(message),
        "((\"a\" \"b\" NIL NIL NIL \"7bit\" 1 \"m\" (\"attachment\" (\"filename\" \"f\")) (\"fr\") \"l\")\
         (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1 NIL NIL NIL NIL) \
         \"mixed\" (\"boundary\" \"b\") NIL (\"fr\" \"en\") NIL)"
    );
    assert_eq!(
        body(message),
        "((\"a\" \"b\" NIL NIL NIL \"7bit\" 1)\
         (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1) \"mixed\")"
    );
}

#[test]
fn embedded_messages_render_their_envelope() {
    let message = "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: in\r\n\r\nx\r\n--b\r\n\
        Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ==\r\n--b\r\n\
        Content-Type: message/global\r\n\r\nSubject: cut\r\n--b--";
    let empty = "NIL NIL NIL NIL NIL NIL NIL NIL";
    let text =
        |octets| format!("(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" {octets} 0)");
    assert_eq!(
        body(message),
        format!(
            "((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 16 (NIL \"in\" {empty}) {} 2)\
             (\"application\" \"octet-stream\" NIL NIL NIL \"base64\" 4)\
             (\"message\" \"global\" NIL NIL NIL \"7bit\" 12 (NIL \"cut\" {empty}) {} 0) \"digest\")",
            text(1),
            text(0)
        )
    );
}

#[test]
fn delimiters_are_exact() {
    let count = |message: &str| scan_in_all_ways(message.as_bytes()).leaves().count();
    let head = "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n";
    for (line, parts) in [
        ("--a", 2),
        ("--a \t ", 2),
        ("--a--", 1),
        ("--ab", 1),
        ("--a b", 1),
        (" --a", 1),
        ("-a", 1),
        ("--A", 1),
        ("--a-", 1),
    ] {
        assert_eq!(count(&format!("{head}{line}\r\n\r\ny\r\n")), parts, "{line}");
        assert_eq!(count(&format!("{head}{line}\n\ny\n")), parts, "{line}");
    }
    assert_eq!(count(&format!("{head}--a{}\r\n\r\ny\r\n", " ".repeat(5000))), 1);
    assert_eq!(count(&format!("{head}{}\r\n--a\r\n\r\ny", "x".repeat(5000))), 2);
}

#[test]
fn a_boundary_may_begin_with_another() {
    let message = "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=ab\
        \r\n\r\n--ab\r\n\r\none\r\n--ab\r\n\r\ntwo\r\n--a\r\n\r\nthree\r\n--ab\r\nstill three\r\n--a--\r\n";
    assert_eq!(content(message, &[1, 1], SectionKind::Content), Some("one"));
    assert_eq!(content(message, &[1, 2], SectionKind::Content), Some("two"));
    assert_eq!(content(message, &[2], SectionKind::Content), Some("three\r\n--ab\r\nstill three"));
    scan_in_all_ways(message.as_bytes());
}

#[test]
fn a_part_ends_before_the_line_end_of_its_delimiter() {
    let message = "Content-Type: multipart/mixed; boundary=b\n\n--b\nA: b\n\nx\n\n--b\n\n--b\nA: b\n--b--\n";
    for (number, text, mime) in [(1, "x\n", "A: b\n\n"), (2, "", ""), (3, "", "A: b")] {
        assert_eq!(content(message, &[number], SectionKind::Content), Some(text));
        assert_eq!(content(message, &[number], SectionKind::Mime), Some(mime));
    }
    scan_in_all_ways(message.as_bytes());
}

#[test]
fn envelopes_render_as_other_servers_do() {
    let from = "((NIL NIL \"a\" \"b\"))";
    for (header, expected) in [
        ("\r\n", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)".to_owned()),
        (
            "To: a@b\r\nSubject: 1\r\nTo: (c\r\nsubject: 2\r\nTO: c@d\r\n\r\n",
            "(NIL \"1\" NIL NIL NIL ((NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")) NIL NIL NIL NIL)".to_owned(),
        ),
        (
            "Date: d\r\nSubject: =?utf-8?Q?x?=\r\n\ty\r\nFrom: a@b\r\nIn-Reply-To: <r>\r\nMessage-ID: <m>\r\n\r\n",
            format!("(\"d\" \"=?utf-8?Q?x?=\ty\" {from} {from} {from} NIL NIL NIL \"<r>\" \"<m>\")"),
        ),
        (
            "From: a@b\r\nSender: S <s@t>\r\nReply-To:\r\nTo: g: c@d, e;\r\nCc: <@h:i@j>\r\nBcc: k (K)\r\n\r\n",
            format!(
                "(NIL NIL {from} ((\"S\" NIL \"s\" \"t\")) {from} \
                 ((NIL NIL \"g\" NIL)(NIL NIL \"c\" \"d\")(NIL NIL \"e\" \"MISSING_DOMAIN\")(NIL NIL NIL NIL)) \
                 ((NIL \"@h\" \"i\" \"j\")) ((\"K\" NIL \"k\" \"MISSING_DOMAIN\")) NIL NIL)"
            ),
        ),
        ("Subject:\r\n\r\n", "(NIL \"\" NIL NIL NIL NIL NIL NIL NIL NIL)".to_owned()),
        ("Subject: caf\u{e9}\r\n\r\n", "(NIL {5}\r\ncaf\u{e9} NIL NIL NIL NIL NIL NIL NIL NIL)".to_owned()),
    ] {
        assert_eq!(envelope(header), expected, "{header}");
    }
}

#[test]
fn facts_of_the_top_header_are_kept() {
    let message = "Return-Path: <>\r\nReceived: from x\r\nDate: Sat, 21 Nov 2026 23:04:00 -0500\r\nMessage-ID: <m@d>\r\n\r\nx";
    let structure = scan_in_all_ways(message.as_bytes());
    assert_eq!(structure.sent_date(), message::date::day_number(2026, 11, 21));
    assert_eq!(structure.date(), message::date::parse_rfc5322(b"22 Nov 2026 04:04 +0000"));
    assert_eq!(
        (structure.message_id(), structure.header()),
        (Some(&b"<m@d>"[..]), 0..message.len() as u64 - 1)
    );
}

/// The example of RFC 3501 §6.4.5.
fn rfc3501_example() -> String {
    let mixed = |boundary: &str, parts: &[String]| {
        let parts: String = parts.iter().map(|part| format!("--{boundary}\r\n{part}\r\n")).collect();
        format!("Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n{parts}--{boundary}--\r\n")
    };
    let leaf = |kind: &str, text: &str| format!("Content-Type: {kind}\r\n\r\n{text}");
    let of_three = mixed("b3", &[leaf("text/plain", "3.1"), leaf("application/octet-stream", "3.2")]);
    let of_four_two_two = format!(
        "Content-Type: multipart/alternative; boundary=b422\r\n\r\n--b422\r\n{}\r\n--b422\r\n{}\r\n--b422--\r\n",
        leaf("text/plain", "4.2.2.1"),
        leaf("text/richtext", "4.2.2.2")
    );
    let embedded = mixed("b42", &[leaf("text/plain", "4.2.1"), of_four_two_two]);
    let four = mixed(
        "b4",
        &[leaf("image/gif", "4.1"), leaf("message/rfc822", &format!("Subject: in42\r\n{embedded}"))],
    );
    let parts = [
        leaf("text/plain", "1"),
        leaf("application/octet-stream", "2"),
        leaf("message/rfc822", &format!("Subject: in3\r\n{of_three}")),
        four,
    ];
    format!("Subject: top\r\n{}", mixed("b0", &parts))
}

#[test]
fn sections_are_numbered_as_in_rfc_3501() {
    let message = rfc3501_example();
    scan_in_all_ways(message.as_bytes());
    for path in [&[1][..], &[2], &[3, 1], &[3, 2], &[4, 1], &[4, 2, 1], &[4, 2, 2, 1], &[4, 2, 2, 2]] {
        let named: Vec<_> = path.iter().map(ToString::to_string).collect();
        assert_eq!(content(&message, path, SectionKind::Content), Some(&*named.join(".")), "{path:?}");
        assert_eq!(content(&message, path, SectionKind::Header), None, "{path:?}");
        assert_eq!(content(&message, path, SectionKind::Text), None, "{path:?}");
        assert!(
            content(&message, path, SectionKind::Mime).unwrap().starts_with("Content-Type: "),
            "{path:?}"
        );
    }
    assert_eq!(content(&message, &[], SectionKind::Content), Some(&*message));
    assert_eq!(content(&message, &[], SectionKind::Mime), None);
    for (path, subject, text) in
        [(&[][..], "top", "--b0\r\n"), (&[3], "in3", "--b3\r\n"), (&[4, 2], "in42", "--b42\r\n")]
    {
        let header = content(&message, path, SectionKind::Header).unwrap();
        assert!(header.starts_with(&format!("Subject: {subject}\r\n")) && header.ends_with("\r\n\r\n"));
        assert!(content(&message, path, SectionKind::Text).unwrap().starts_with(text));
    }
    assert!(content(&message, &[3], SectionKind::Mime).unwrap().starts_with("Content-Type: message/rfc822"));
    assert!(content(&message, &[4, 2, 2], SectionKind::Mime).unwrap().contains("alternative"));
    assert_eq!(content(&message, &[4], SectionKind::Header), None);
    for path in [&[0][..], &[5], &[1, 1], &[3, 3], &[4, 2, 2, 3], &[u32::MAX], &[3, 0]] {
        assert_eq!(content(&message, path, SectionKind::Content), None, "{path:?}");
    }
}

#[test]
fn a_message_without_parts_is_its_own_part_one() {
    let message = "Subject: x\r\n\r\nhello";
    assert_eq!(content(message, &[1], SectionKind::Content), Some("hello"));
    assert_eq!(content(message, &[1], SectionKind::Mime), Some("Subject: x\r\n\r\n"));
    assert_eq!(content(message, &[1], SectionKind::Text), None);
    assert_eq!(content(message, &[], SectionKind::Text), Some("hello"));
    assert_eq!(content(message, &[1, 1], SectionKind::Content), None);
    let nested = "Content-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\nhello";
    assert_eq!(content(nested, &[1], SectionKind::Content), Some("Subject: y\r\n\r\nhello"));
    assert_eq!(content(nested, &[1], SectionKind::Header), Some("Subject: y\r\n\r\n"));
    assert_eq!(content(nested, &[1], SectionKind::Text), Some("hello"));
    assert_eq!(content(nested, &[1, 1], SectionKind::Content), Some("hello"));
    assert_eq!(content(nested, &[1, 1], SectionKind::Mime), Some("Subject: y\r\n\r\n"));
    assert_eq!(content(nested, &[2], SectionKind::Content), None);
}

#[test]
fn leaves_carry_what_search_needs() {
    let message = rfc3501_example();
    let structure = scan(message.as_bytes());
    let kinds: Vec<_> =
        structure.leaves().map(|leaf| format!("{}/{}", leaf.media_type, leaf.subtype)).collect();
    assert_eq!(kinds.len(), 8);
    assert_eq!((&*kinds[0], &*kinds[4]), ("text/plain", "image/gif"));
    let headers: Vec<_> =
        structure.embedded_headers().map(|range| &message[range.start as usize..][..10]).collect();
    assert_eq!(headers, ["Subject: i", "Subject: i"]);
}

#[test]
fn past_the_bound_the_last_part_keeps_the_rest() {
    let parts = |count: usize| "--b\r\n\r\nx\r\n".repeat(count);
    let head = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    let last = PARTS_MAX as u32 - 1;
    let full = format!("{head}{}--b--\r\nend\r\n", parts(PARTS_MAX - 1));
    assert_eq!(content(&full, &[last], SectionKind::Content), Some("x"));
    let over = format!("{head}{}--b--\r\nend\r\n", parts(PARTS_MAX));
    assert_eq!(content(&over, &[last], SectionKind::Content), Some("x\r\n--b\r\n\r\nx"));
    assert_eq!(content(&over, &[last + 1], SectionKind::Content), None);
}

#[test]
fn parts_between_touching_delimiters_lie_inside_what_holds_them() {
    let message = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n\
        --c\r\n--b\r\n\r\ntwo\r\n--b--\r\n";
    let outer = scan(message.as_bytes()).section(&[1], SectionKind::Content).unwrap();
    let inner = scan_in_all_ways(message.as_bytes()).section(&[1, 1], SectionKind::Content).unwrap();
    assert_eq!((outer.end, inner.clone()), (inner.start, inner.end..inner.end));
    assert_eq!(content(message, &[2], SectionKind::Content), Some("two"));
}

#[test]
fn bombs_are_cheap() {
    let start = Instant::now();
    let nest = scan("Content-Type: message/rfc822\r\n\r\n".repeat(40_000).as_bytes());
    assert_eq!(nest.leaves().count(), 1);
    assert!(nest.body().len() < 20_000);
    let parts = scan(
        format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", "--b\r\n\r\nx\r\n".repeat(20_000))
            .as_bytes(),
    );
    assert_eq!(parts.leaves().count(), PARTS_MAX - 1);
    let deep: String = (0..20_000)
        .map(|i| format!("Content-Type: multipart/mixed; boundary={i}\r\n\r\n--{i}\r\n"))
        .collect();
    assert_eq!(scan(deep.as_bytes()).leaves().count(), 1);
    let delimiters = format!("{}{}", &deep[..4000], "--x\r\n".repeat(200_000));
    scan(delimiters.as_bytes());
    let empty_parts =
        format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", "--b\r\n".repeat(800_000));
    assert_eq!(scan(empty_parts.as_bytes()).leaves().count(), PARTS_MAX - 1);
    let fields = format!("{}Subject: late\r\n\r\nbody", "Content-Language: ,\r\n".repeat(100_000));
    assert_eq!(content(&fields, &[1], SectionKind::Content), Some("body"));
    let long_header = format!("Subject: x\r\nTo: {}\r\n\r\nbody", "a@b,".repeat(500_000));
    assert_eq!(content(&long_header, &[1], SectionKind::Content), Some("body"));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn the_header_budget_is_shared_and_offsets_stay_right() {
    let filler = format!("X: {}\r\n", "x".repeat(250_000));
    let part = |i: usize| format!("--b\r\n{filler}Content-Type: image/gif\r\n\r\n{i}\r\n");
    let parts: String = (0..12).map(part).collect();
    let message = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n");
    let structure = scan(message.as_bytes());
    let kinds: Vec<_> = structure.leaves().map(|leaf| leaf.media_type.to_owned()).collect();
    assert_eq!((kinds.len(), &*kinds[0], &*kinds[11]), (12, "image", "text"));
    assert_eq!(content(&message, &[12], SectionKind::Content), Some("11"));
}
