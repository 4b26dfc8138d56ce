//! Conversions octet for octet, and what cannot be converted.

use super::*;
use crate::structure::StructureScanner;
use crate::text::Encoding as Coding;
use crate::transfer::decode;

fn converted_in(message: &[u8], piece: usize) -> Result<Vec<u8>, Obstacle> {
    let mut scanner = StructureScanner::new();
    scanner.push(message);
    let structure = scanner.finish();
    let mut survey = Survey::new(&structure);
    message.chunks(piece).for_each(|chunk| survey.push(chunk));
    let downgrade = survey.finish()?;
    let mut converter = downgrade.converter();
    let mut out = Vec::new();
    message.chunks(piece).for_each(|chunk| converter.push(chunk, &mut out));
    converter.finish(&mut out);
    Ok(out)
}

/// At once and octet by octet, which must agree; without an octet over 127 and with short lines in its bodies.
fn converted(message: &[u8]) -> Result<String, Obstacle> {
    let whole = converted_in(message, message.len().max(1))?;
    assert_eq!(whole, converted_in(message, 1).unwrap());
    assert!(whole.is_ascii(), "{}", whole.escape_ascii());
    Ok(String::from_utf8(whole).unwrap())
}

#[test]
fn text_becomes_quoted_printable_and_the_rest_base64() {
    let message = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\nSubject: x\r\n\r\n\
        --b\r\nContent-Type: text/plain; charset=utf-8\r\ncontent-transfer-encoding: 8bit\r\n\r\n\u{c9}t\u{e9} = \r\n.\r\n\
        --b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n\u{e9}\u{e9}\r\n\r\n\
        --b\r\nContent-Type: text/plain\r\n\r\nseven = bits \r\n--b--\r\n";
    let expected = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nSubject: x\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
        --b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=89t=C3=A9 =3D=20\r\n.\r\n\
        --b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nw6nDqQ0K\r\n\
        --b\r\nContent-Type: text/plain\r\n\r\nseven = bits \r\n--b--\r\n";
    assert_eq!(converted(message.as_bytes()).unwrap(), expected);
}

#[test]
fn a_message_that_says_nothing_of_itself_is_labelled() {
    let out = converted("Subject: x\r\n\r\n\u{e9}\r\n".as_bytes()).unwrap();
    assert_eq!(
        out,
        "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9\r\n"
    );
}

#[test]
fn an_embedded_message_is_converted_inside() {
    let message = "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: in\r\n\r\n\u{e9}\r\n";
    let out = converted(message.as_bytes()).unwrap();
    let expected = "Content-Type: message/rfc822\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: in\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9\r\n";
    assert_eq!(out, expected);
}

#[test]
fn what_is_signed_is_never_touched() {
    let signed = |text: &str| {
        format!(
            "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/signed; boundary=s\r\n\r\n--s\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}\r\n--s\r\nContent-Type: application/pkcs7-signature\r\n\r\nMII=\r\n--s--\r\n--o\r\nContent-Type: text/plain\r\n\r\n\u{e9}\r\n--o--\r\n"
        )
    };
    assert_eq!(converted(signed("\u{e9}").as_bytes()), Err(Obstacle::Signed));
    let out = converted(signed("e").as_bytes()).unwrap();
    let untouched = signed("e").split("\r\n--s--").next().unwrap().to_owned();
    assert!(out.starts_with(&untouched), "{out}");
    assert!(out.contains("=C3=A9"), "what stands beside it is converted: {out}");
}

#[test]
fn what_cannot_be_encoded_is_told() {
    for (message, obstacle) in [
        ("Content-Transfer-Encoding: base64\r\n\r\n\u{e9}\r\n", Obstacle::Part),
        ("Content-Transfer-Encoding: x-uuencode\r\n\r\n\u{e9}\r\n", Obstacle::Part),
        ("Content-Type: message/partial\r\n\r\n\u{e9}\r\n", Obstacle::Part),
        (
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n\u{e9}\r\n--b\r\n\r\nx\r\n--b--\r\n",
            Obstacle::BetweenParts,
        ),
        (
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n\u{e9}",
            Obstacle::BetweenParts,
        ),
    ] {
        assert_eq!(converted(message.as_bytes()), Err(obstacle), "{message}");
    }
}

#[test]
fn header_fields_pass_as_they_are() {
    let message = "Subject: \u{e9}\r\nContent-Transfer-Encoding: 7bit\r\n\r\nx\r\n".as_bytes();
    assert_eq!(converted_in(message, 3).unwrap(), message);
}

#[test]
fn every_text_comes_back_and_no_line_is_long() {
    let all: Vec<u8> = (0..=255).collect();
    let long = "\u{e9} x-".repeat(700);
    let dashes = "-".repeat(400) + "\u{e9}";
    for text in [
        all.as_slice(),
        long.as_bytes(),
        dashes.as_bytes(),
        b"\x80 \t\r\n \r\n\t",
        b"\x80\r\r\n\n ",
        b"\xff",
        b"\xff\xfe",
        b"\xff\xfe\xfd",
    ] {
        for (fields, coding) in [("text/plain", Coding::QuotedPrintable), ("a/b", Coding::Base64)] {
            let message = [format!("Content-Type: {fields}\r\n\r\n").as_bytes(), text].concat();
            let out = converted(&message).unwrap();
            let body = out.split_once("\r\n\r\n").unwrap().1;
            assert!(body.split("\r\n").all(|line| line.len() <= 76), "{body}");
            assert_eq!(decode(body.as_bytes(), coding), text, "{fields}");
        }
    }
}

#[test]
fn a_delimiter_never_arises_where_a_line_is_broken() {
    // 75 columns, then what would be a line of its own.
    for shift in 60..80 {
        let text = format!("\u{e9}{}--b{}", "x".repeat(shift), "y".repeat(90));
        let message =
            format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n{text}\r\n--b--\r\n");
        let out = converted(message.as_bytes()).unwrap();
        assert!(out.split("\r\n").filter(|line| line.starts_with("--")).count() == 2, "{out}");
    }
}
