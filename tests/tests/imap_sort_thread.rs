//! SORT (RFC 5256 §3, RFC 5267 §3, RFC 5957) and THREAD (RFC 5256 §3).

use scenarios::{Demo, Imap, Mailbox};
use std::sync::Arc;

/// Header, internal date; the body is so many octets long.
const LETTERS: [(&str, &str, usize); 5] = [
    (
        "Date: Mon, 12 Jan 2026 10:00:00 +0100\r\nFrom: Zoe <anne@a.example>\r\nTo: \"Éric\" <e@a.example>\r\nCc: c@a.example\r\n\
         Subject: Bilan\r\n",
        "05-Jan-2026 00:00:00 +0000",
        50,
    ),
    (
        "Date: Mon, 12 Jan 2026 08:30:00 +0000\r\nFrom: bruno@a.example\r\nTo: eric@a.example\r\nSubject: =?utf-8?Q?=C3=A9chographie?=\r\n",
        "04-Jan-2026 00:00:00 +0000",
        40,
    ),
    (
        "Date: Sat, 10 Jan 2026 10:00:00 +0000\r\nFrom: =?utf-8?Q?=C3=89lodie?= <zoe@a.example>\r\nTo: equipe: x@a.example;\r\nCc: B@a.example\r\n\
         Subject: Re: [service] BILAN (fwd)\r\n",
        "03-Jan-2026 00:00:00 +0000",
        30,
    ),
    ("From: ANNE@b.example\r\nSubject: avis\r\n", "11-Jan-2026 12:00:00 +0000", 20),
    ("Date: not a date\r\nSubject:\r\n", "01-Jan-2026 00:00:00 +0000", 10),
];

async fn filled(name: &str) -> (Arc<Demo>, Mailbox, Imap) {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox(name, "10M");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    for (header, date, length) in LETTERS {
        let content = format!("{header}\r\n{}\r\n", "x".repeat(length * 100));
        let status = imap.append(&format!("INBOX \"{date}\""), content.as_bytes()).await.status;
        assert!(status.starts_with("OK"), "{status}");
    }
    imap.ok("SELECT INBOX").await;
    (demo, mailbox, imap)
}

async fn told(imap: &mut Imap, command: &str) -> String {
    imap.ok(command).await.text().trim_end().to_owned()
}

#[tokio::test]
async fn messages_are_sorted_by_every_key() {
    let (_demo, _mailbox, mut imap) = filled("tri").await;
    for (keys, expected) in [
        ("ARRIVAL", "5 3 2 1 4"),
        ("REVERSE ARRIVAL", "4 1 2 3 5"),
        // In UTC; a date that is missing or cannot be read is the internal one.
        ("DATE", "5 3 4 2 1"),
        ("SIZE", "5 4 3 2 1"),
        ("REVERSE SIZE", "1 2 3 4 5"),
        // Base subjects, in capitals and decomposed: "", AVIS, BILAN, BILAN, E + accent.
        ("SUBJECT", "5 4 1 3 2"),
        ("SUBJECT REVERSE DATE", "5 4 1 3 2"),
        ("SUBJECT DATE", "5 4 3 1 2"),
        ("REVERSE SUBJECT ARRIVAL", "2 3 1 4 5"),
        // The local part of the first address; a group has its name.
        ("FROM", "5 1 4 2 3"),
        ("TO", "4 5 1 3 2"),
        ("CC", "2 4 5 3 1"),
        // The name, or else the address.
        ("DISPLAYFROM", "5 4 2 3 1"),
        ("DISPLAYTO", "4 5 3 2 1"),
        ("SUBJECT REVERSE SUBJECT", "5 4 1 3 2"),
    ] {
        assert_eq!(
            told(&mut imap, &format!("SORT ({keys}) UTF-8 ALL")).await,
            format!("* SORT {expected}"),
            "{keys}"
        );
    }
}

#[tokio::test]
async fn a_sort_takes_the_criteria_and_the_return_options_of_a_search() {
    let (_demo, _mailbox, mut imap) = filled("tri-retours").await;
    imap.ok("STORE 1,3,5 +FLAGS.SILENT (\\Flagged)").await;
    assert_eq!(told(&mut imap, "SORT (SIZE) US-ASCII FLAGGED").await, "* SORT 5 3 1");
    assert_eq!(told(&mut imap, "UID SORT (REVERSE SIZE) UTF-8 UID 2:4").await, "* SORT 2 3 4");
    assert_eq!(told(&mut imap, "SORT (SUBJECT) UTF-8 TEXT \"not in mailbox\"").await, "* SORT");
    let returned = told(&mut imap, "SORT RETURN (MIN MAX COUNT ALL) (SIZE) UTF-8 FLAGGED").await;
    assert!(returned.ends_with("\") MIN 5 MAX 1 COUNT 3 ALL 5,3,1"), "{returned}");
    let returned = told(&mut imap, "UID SORT RETURN (PARTIAL 2:3) (SIZE) UTF-8 ALL").await;
    assert!(returned.ends_with("\") UID PARTIAL (2:3 4,3)"), "{returned}");
    let returned = told(&mut imap, "SORT RETURN (SAVE MIN) (SIZE) UTF-8 FLAGGED").await;
    assert!(returned.ends_with("\") MIN 5"), "{returned}");
    assert_eq!(told(&mut imap, "SEARCH $").await, "* SEARCH 5");
    let refused = imap.command("SORT RETURN (SAVE) (SIZE) X-NONE ALL").await.status;
    assert!(refused.starts_with("NO [BADCHARSET"), "{refused}");
    assert_eq!(told(&mut imap, "SEARCH $").await, "* SEARCH");
    for bad in [
        "SORT () UTF-8 ALL",
        "SORT (NOTHING) UTF-8 ALL",
        "SORT (REVERSE) UTF-8 ALL",
        "SORT (REVERSE REVERSE SIZE) UTF-8 ALL",
        "SORT (SIZE) ALL",
        "SORT (SIZE) UTF-8",
        "SORT SIZE UTF-8 ALL",
        "THREAD REFERENCES UTF-8",
        "THREAD NONSENSE UTF-8 ALL",
    ] {
        let status = imap.command(bad).await.status;
        assert!(status.starts_with("BAD"), "{bad}: {status}");
    }
}

/// A folder of letters with these Message-IDs, subjects and further fields, sent a minute after one another.
async fn correspondence(name: &str, letters: &[(&str, &str, String)]) -> (Arc<Demo>, Imap) {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox(name, "10M");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    for (minute, (id, subject, fields)) in letters.iter().enumerate() {
        let message_id =
            if id.is_empty() { String::new() } else { format!("Message-ID: <{id}@a.example>\r\n") };
        let header = format!(
            "Date: Mon, 12 Jan 2026 10:{minute:02}:00 +0000\r\nSubject: {subject}\r\n{fields}{message_id}"
        );
        let status = imap.append("INBOX", format!("{header}\r\nx\r\n").as_bytes()).await.status;
        assert!(status.starts_with("OK"), "{status}");
    }
    imap.ok("SELECT INBOX").await;
    (demo, imap)
}

fn references(ids: &[&str]) -> String {
    let ids: Vec<String> = ids.iter().map(|id| format!("<{id}@a.example>")).collect();
    format!("References: {}\r\n", ids.join("\r\n "))
}

#[tokio::test]
async fn letters_are_threaded_by_what_they_answer() {
    let letters = [
        ("1", "Bilan", String::new()),
        ("2", "Re: Bilan", references(&["1"])),
        ("\"3\"", "Re: Bilan", references(&["1", "2"])),
        ("4", "Autre", "In-Reply-To: letter of today <3@a.example>\r\n".to_owned()),
        ("5", "Sans parent", references(&["absent"])),
        ("6", "Sans parent non plus", references(&["absent"])),
        ("7", "Re: Bilan", String::new()),
        ("", "avis", String::new()),
        ("1", "Avis", String::new()),
    ];
    let (_demo, mut imap) = correspondence("fils", &letters).await;
    let by_references = "(1 (2 3 4)(7))((5)(6))((8)(9))";
    assert_eq!(told(&mut imap, "THREAD REFERENCES UTF-8 ALL").await, format!("* THREAD {by_references}"));
    assert_eq!(told(&mut imap, "UID THREAD REFERENCES UTF-8 2:4").await, "* THREAD (2 3 4)");
    let by_subject = "(1 (2)(3)(7))(4)(5)(6)(8 9)";
    assert_eq!(told(&mut imap, "THREAD ORDEREDSUBJECT UTF-8 ALL").await, format!("* THREAD {by_subject}"));
    assert_eq!(told(&mut imap, "THREAD ORDEREDSUBJECT US-ASCII TEXT \"gewp\"").await, "* THREAD");
    imap.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    imap.ok("EXPUNGE").await;
    assert_eq!(told(&mut imap, "UID THREAD REFERENCES US-ASCII UID 1:4").await, "* THREAD (2 3 4)");
    let refused = imap.command("THREAD REFERENCES X-NONE ALL").await.status;
    assert!(refused.starts_with("NO [BADCHARSET"), "{refused}");
}

#[tokio::test]
async fn hostile_references_are_threaded_all_the_same() {
    let long: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    let letters = [
        ("9999", "longue", String::new()),
        ("z", "Re: longue", references(&long)),
        ("a", "boucle", references(&["b"])),
        ("b", "boucle bis", references(&["a", "a"])),
        ("c", "lui-même", references(&["c"])),
        ("d", "rien", "References: <<<<>>>> <\"> <@> no\r\n".to_owned()),
    ];
    let (_demo, mut imap) = correspondence("pieges", &letters).await;
    assert_eq!(told(&mut imap, "THREAD REFERENCES UTF-8 ALL").await, "* THREAD (1 2)(4 3)(5)(6)");
}

#[tokio::test]
async fn sorting_and_threading_tell_no_expunge_but_by_uid() {
    let (demo, mailbox, mut imap) = filled("tri-ailleurs").await;
    let mut other = Imap::login(&demo, demo.north(), &mailbox).await;
    other.ok("SELECT INBOX").await;
    other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    let sorted = told(&mut imap, "SORT (SUBJECT) UTF-8 ALL").await;
    assert!(!sorted.contains("EXPUNGE"), "{sorted}");
    let threaded = told(&mut imap, "THREAD REFERENCES UTF-8 ALL").await;
    assert!(!threaded.contains("EXPUNGE"), "{threaded}");
    let sorted = told(&mut imap, "UID SORT (SUBJECT) UTF-8 ALL").await;
    assert_eq!(sorted, "* SORT 5 4 1 3\n* 2 EXPUNGE");
}
