//! SEARCH (RFC 3501 §6.4.4): every key, on headers and bodies as a person reads them.

use scenarios::{Demo, Imap, Wire};
use std::sync::Arc;

/// Letters with what each is there for.
fn letters() -> Vec<(&'static str, String)> {
    let text = |fields: &str, body: &str| format!("{fields}\r\n{body}");
    vec![
        (
            "INBOX (\\Seen \\Answered) \"10-Jan-2026 12:00:00 +0000\"",
            text(
                "Date: Fri, 9 Jan 2026 23:30:00 -0500\r\nFrom: =?iso-8859-1?Q?H=E9l=E8ne?= Durand <helene@nord.example>\r\n\
                To: Marc <marc@sud.example>\r\nCc: copie@sud.example\r\nBcc: cache@sud.example\r\nSubject: =?utf-8?B?w4ljaG9ncmFwaGll?=\r\n =?utf-8?Q?_r=C3=A9nale?=\r\n\
                MIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-15\r\nContent-Transfer-Encoding: quoted-printable\r\n",
                "Le co=FBt est de 30 =A4 et la l=E9sion m=\r\nesure 3 mm.\r\n",
            ),
        ),
        (
            "INBOX (\\Flagged \\Draft $Urgent) \"11-Jan-2026 00:30:00 +0000\"",
            text(
                "Date: Sun, 11 Jan 2026 08:00:00 +0100\r\nFrom: robot@labo.example\r\nTo: helene@nord.example\r\nSubject: avis de\r\n\tpassage\r\n\
                X-Empty:\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n",
                "--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n\
                PHA+UsOpc3VsdGF0cyAmZWFjdXRlOyZuYnNwOyYjMjMzOyBkdSA8Yj5ow6ltbzwvYj5ncmFtbWU8L3A+\r\n\
                --b\r\nContent-Type: application/pdf; name=\"compte-rendu.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\naGVtb2dsb2JpbmU=\r\n--b--\r\n",
            ),
        ),
        (
            "INBOX (\\Deleted) \"12-Jan-2026 23:59:59 +0000\"",
            text(
                "From: sans-date@nord.example\r\nSubject: forward\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n",
                "Subject: =?utf-8?Q?dedans_=C3=A0_lire?=\r\nContent-Type: text/plain; charset=windows-1252\r\nContent-Transfer-Encoding: 8bit\r\n\r\nl'oubli\u{e9}\r\n",
            ),
        ),
    ]
}

async fn filled() -> (Arc<Demo>, Imap) {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox("chercheur", "10M");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    for (arguments, content) in letters() {
        let status = imap.append(arguments, content.as_bytes()).await.status;
        assert!(status.starts_with("OK"), "{status}");
    }
    imap.ok("SELECT INBOX").await;
    (demo, imap)
}

async fn found(imap: &mut Imap, keys: &str) -> String {
    let told = imap.ok(&format!("SEARCH {keys}")).await.text();
    told.strip_prefix("* SEARCH").unwrap_or(&told).trim().to_owned()
}

#[tokio::test]
async fn every_key_finds_what_it_names_and_nothing_else() {
    let (_demo, mut imap) = filled().await;
    for (keys, expected) in [
        ("ALL", "1 2 3"),
        ("2:*", "2 3"),
        ("UID 1,3", "1 3"),
        ("*", "3"),
        ("ANSWERED", "1"),
        ("UNANSWERED", "2 3"),
        ("DELETED", "3"),
        ("UNDELETED", "1 2"),
        ("DRAFT", "2"),
        ("UNDRAFT", "1 3"),
        ("FLAGGED", "2"),
        ("UNFLAGGED", "1 3"),
        ("SEEN", "1"),
        ("UNSEEN", "2 3"),
        ("KEYWORD $urgent", "2"),
        ("UNKEYWORD $Urgent", "1 3"),
        ("KEYWORD unknown", ""),
        ("UNKEYWORD unknown", "1 2 3"),
        ("RECENT", "1 2 3"),
        ("NEW", "2 3"),
        ("OLD", ""),
        ("BEFORE 11-Jan-2026", "1"),
        ("ON 11-Jan-2026", "2"),
        ("SINCE 11-Jan-2026", "2 3"),
        ("ON \"12-Jan-2026\"", "3"),
        // The Date field as it is written, whatever its zone; a message without one is on no day.
        ("SENTON 9-Jan-2026", "1"),
        ("SENTBEFORE 11-Jan-2026", "1"),
        ("SENTSINCE 10-Jan-2026", "2"),
        ("NOT SENTSINCE 1-Jan-1990", "3"),
        ("FROM durand", "1"),
        ("FROM \"Hélène\"", "1"),
        ("FROM helene@nord", "1"),
        ("TO HELENE", "2"),
        ("CC copie", "1"),
        ("BCC cache", "1"),
        ("SUBJECT \"échographie rénale\"", "1"),
        ("SUBJECT \"ÉCHO\"", "1"),
        ("SUBJECT \"avis de passage\"", "2"),
        ("SUBJECT dedans", ""),
        ("HEADER X-Empty \"\"", "2"),
        ("HEADER x-none \"\"", ""),
        ("HEADER Subject FORWARD", "3"),
        ("BODY \"coût est de 30 €\"", "1"),
        ("BODY \"mesure 3 mm\"", "1"),
        ("BODY \"=FBt\"", ""),
        ("BODY \"Résultats é\"", "2"),
        ("BODY \"hémogramme\"", "2"),
        ("BODY eacute", ""),
        ("BODY hemoglobine", ""),
        ("BODY compte-rendu", "2"),
        ("BODY \"dedans à lire\"", "3"),
        ("BODY \"échographie\"", ""),
        ("TEXT \"échographie\"", "1"),
        ("TEXT \"lésion\"", "1"),
        ("TEXT \"dedans à\"", "3"),
        ("BODY \"\"", "1 2 3"),
        ("TEXT \"\"", "1 2 3"),
        ("SMALLER 100000 LARGER 10", "1 2 3"),
        ("LARGER 100000", ""),
        ("OR FLAGGED DELETED", "2 3"),
        ("NOT (OR FLAGGED DELETED)", "1"),
        ("NOT NOT SEEN", "1"),
        ("SEEN UNSEEN", ""),
        ("(SEEN) (ANSWERED TEXT \"lésion\")", "1"),
    ] {
        assert_eq!(found(&mut imap, keys).await, expected, "{keys}");
    }
    let size: u64 = letters()[0].1.len() as u64;
    for (keys, expected) in [
        (format!("1 LARGER {}", size - 1), "1"),
        (format!("1 LARGER {size}"), ""),
        (format!("1 SMALLER {size}"), ""),
        (format!("1 SMALLER {}", size + 1), "1"),
    ] {
        assert_eq!(found(&mut imap, &keys).await, expected, "{keys}");
    }
    let told = imap.ok("UID SEARCH 2:3").await.text();
    assert_eq!(told, "* SEARCH 2 3\n");
}

#[tokio::test]
async fn strings_come_in_the_charset_that_is_named() {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox("jeux", "10M");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    imap.append("INBOX", letters()[0].1.as_bytes()).await;
    let mut wire = Wire::imap(&demo, demo.north(), &mailbox).await;
    wire.send("s SELECT INBOX").await;
    wire.until("s OK").await;
    for (charset, octets) in [
        ("UTF-8", "€ et la lé".as_bytes()),
        ("US-ASCII", b"30"),
        ("iso-8859-15", b"\xa4 et la l\xe9"),
        ("ISO-8859-1", b"l\xe9sion"),
        ("Windows-1252", b"\x80 et la l\xe9"),
    ] {
        wire.send_raw(format!("a SEARCH CHARSET {charset} BODY {{{}}}\r\n", octets.len()).as_bytes()).await;
        assert!(wire.line().await.starts_with('+'), "{wire:?}");
        wire.send_raw(&[octets, b" ALL\r\n"].concat()).await;
        assert!(wire.until("a OK").await.contains(&"* SEARCH 1".to_owned()), "{charset}: {wire:?}");
    }
    for unknown in ["X-UNKNOWN", "UTF-7", "UTF-16"] {
        wire.send(&format!("b SEARCH CHARSET {unknown} SUBJECT x")).await;
        let answer = wire.line().await;
        assert!(answer.starts_with("b NO [BADCHARSET (US-ASCII UTF-8 ISO-8859-1"), "{answer}");
    }
    wire.send_raw(b"c SEARCH CHARSET UTF-8 SUBJECT {2+}\r\n\xe9t\r\n").await;
    assert!(wire.line().await.starts_with("c BAD"), "{wire:?}");
}

#[tokio::test]
async fn what_is_no_search_is_bad_and_a_huge_one_is_bounded() {
    let (_demo, mut imap) = filled_small().await;
    for bad in [
        "SEARCH",
        "SEARCH NOTHING",
        "SEARCH ()",
        "SEARCH OR SEEN",
        "SEARCH NOT",
        "SEARCH (SEEN",
        "SEARCH SEEN)",
        "SEARCH SINCE 31-Feb-2026",
        "SEARCH LARGER -1",
        "SEARCH KEYWORD \\Seen",
        "SEARCH UID",
        "SEARCH 0",
        "SEARCH CHARSET",
    ] {
        let status = imap.command(bad).await.status;
        assert!(status.starts_with("BAD"), "{bad}: {status}");
    }
    let deep = format!("SEARCH {}ALL{}", "(".repeat(20), ")".repeat(20));
    assert_eq!(imap.ok(&deep).await.text(), "* SEARCH 1\n");
    for hostile in [
        format!("SEARCH {}ALL{}", "(".repeat(5000), ")".repeat(5000)),
        format!("SEARCH {}ALL", "NOT ".repeat(10_000)),
        format!("SEARCH {}ALL", "OR SEEN ".repeat(5000)),
        format!("SEARCH{}", " ALL".repeat(10_000)),
    ] {
        let status = imap.command(&hostile).await.status;
        assert!(status.starts_with("BAD"), "{status}");
    }
    let many = format!("SEARCH OR SUBJECT \"{}\" (1:*{})", "x".repeat(10_000), " ALL".repeat(900));
    assert_eq!(imap.ok(&many).await.text(), "* SEARCH 1\n");
}

async fn filled_small() -> (Arc<Demo>, Imap) {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox("petit", "10M");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    imap.append("INBOX", b"Subject: one\r\n\r\nx\r\n").await;
    imap.ok("SELECT INBOX").await;
    (demo, imap)
}
