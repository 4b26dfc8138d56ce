//! Notifications, read back with the scanner.

use super::*;
use crate::structure::{SectionKind, Structure, StructureScanner};
use crate::text::{Encoding, decode_body};

fn recipient<'a>(address: &'a Address, action: Action, diagnostic: Option<&'a str>) -> RecipientReport<'a> {
    RecipientReport {
        final_recipient: address,
        original_recipient: Some("rfc822;jean+2Bx@d.fr"),
        action,
        status: EnhancedCode(5, 1, 1),
        remote_mta: Some("mx.d.fr"),
        diagnostic,
        last_attempt: Some(Timestamp(1_795_248_240_000)),
        retry_until: Some(Timestamp(1_795_248_240_000)),
    }
}

fn built(action: Action, diagnostic: Option<&str>, returned: Returned<'_>) -> Vec<u8> {
    let (address, to, mta): (Address, Address, Domain) =
        ("jean@d.fr".parse().unwrap(), "marie@o.fr".parse().unwrap(), "mx.o.fr".parse().unwrap());
    let dsn = build(&Report {
        reporting_mta: &mta,
        to: &to,
        message_id: "4f2a@mx.o.fr",
        at: Timestamp(1_795_248_240_000),
        arrival: Some(Timestamp(1_795_248_240_000)),
        envelope_id: Some("QQ+3D1"),
        recipients: &[recipient(&address, action, diagnostic)],
        returned,
    });
    for line in dsn.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        assert!(line.ends_with(b"\r") && line.len() <= 999);
    }
    dsn
}

fn scanned(dsn: &[u8]) -> Structure {
    let mut scanner = StructureScanner::new();
    scanner.push(dsn);
    scanner.finish()
}

fn part(dsn: &[u8], number: u32) -> &[u8] {
    let range = scanned(dsn).section(&[number], SectionKind::Content).unwrap();
    &dsn[range.start as usize..range.end as usize]
}

#[test]
fn a_failure_has_three_parts_a_person_a_program_and_the_original() {
    let dsn =
        built(Action::Failed, Some("550 5.1.1 No such mailbox"), Returned::Header(b"Subject: x\r\n\r\nbody"));
    let shape = String::from_utf8(scanned(&dsn).body().to_vec()).unwrap();
    assert!(
        shape.contains("\"message\" \"delivery-status\"") && shape.contains("\"text\" \"rfc822-headers\""),
        "{shape}"
    );
    assert!(shape.ends_with("\"report\")") && dsn.is_ascii());
    let text = decode_body(part(&dsn, 1), Encoding::QuotedPrintable, Some("utf-8"));
    assert!(text.find("n'a pas pu être remis").unwrap() < text.find("could not be delivered").unwrap());
    assert_eq!(
        String::from_utf8_lossy(part(&dsn, 2)),
        "Reporting-MTA: dns; mx.o.fr\r\nOriginal-Envelope-Id: QQ=1\r\n\
         Arrival-Date: Sat, 21 Nov 2026 08:04:00 +0000\r\n\r\n\
         Original-Recipient: rfc822; jean+x@d.fr\r\nFinal-Recipient: rfc822; jean@d.fr\r\nAction: failed\r\n\
         Status: 5.1.1\r\nRemote-MTA: dns; mx.d.fr\r\nDiagnostic-Code: smtp; 550 5.1.1 No such mailbox\r\n\
         Last-Attempt-Date: Sat, 21 Nov 2026 08:04:00 +0000\r\n"
    );
    assert_eq!(part(&dsn, 3), b"Subject: x\r\n\r\n");
}

#[test]
fn only_a_delay_says_until_when() {
    let until = |action| {
        let dsn = built(action, None, Returned::Header(b"A: b\r\n\r\n"));
        String::from_utf8_lossy(part(&dsn, 2)).contains("Will-Retry-Until")
    };
    assert!(until(Action::Delayed) && !until(Action::Failed));
}

#[test]
fn a_peer_can_inject_nothing() {
    let long = "é\u{85}x".repeat(3000);
    for said in ["550 a\r\nAction: delivered\r\n\r\nx", "a\nb\u{0}\u{2028}c", &long] {
        let dsn = built(Action::Failed, Some(said), Returned::Header(b"A: b\r\n\r\n"));
        let status = String::from_utf8_lossy(part(&dsn, 2)).into_owned();
        assert_eq!(status.lines().filter(|line| line.starts_with("Action: ")).count(), 1);
        assert_eq!(status.matches("\r\n\r\n").count(), 1);
    }
}

#[test]
fn a_whole_original_comes_back_byte_for_byte() {
    let original = "Subject: x\r\n\r\n--=_dsn_0_4f2amxofr\r\né\r\n".as_bytes();
    let dsn = built(Action::Failed, None, Returned::Full(original));
    assert_eq!(part(&dsn, 3), original);
    assert!(
        String::from_utf8_lossy(scanned(&dsn).body()).contains("\"message\" \"rfc822\" NIL NIL NIL \"8bit\"")
    );
}

#[test]
fn an_original_that_smtp_cannot_carry_comes_back_as_its_header() {
    let long = [b"Subject: \xe9\r\n\r\n".as_slice(), &[b'x'; 2000]].concat();
    for original in [&long[..], b"Subject: \xe9\n\nx", b"Subject: \xe9\r\n\r\n\0"] {
        let dsn = built(Action::Failed, None, Returned::Full(original));
        assert!(dsn.is_ascii());
        assert_eq!(part(&dsn, 3), b"Subject: =E9\r\n\r\n");
    }
}
