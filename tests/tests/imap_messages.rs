//! Messages: every item and section of FETCH, STORE, APPEND, COPY, CLOSE (RFC 3501 §6.3.11, §6.4).

use scenarios::{Demo, Imap, Mailbox};
use std::sync::Arc;

const NESTED: &[u8] = b"Date: Fri, 9 Jan 2026 23:30:00 -0500\r\nFrom: \"A, B\" <a@nord.example>\r\nSubject: outer\r\nthis line is no field\r\nX-One: 1\r\nx-one: 2\r\n\
MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n\
--b\r\nContent-Type: text/plain\r\nContent-ID: <one@x>\r\n\r\nfirst\r\n\
--b\r\nContent-Type: message/rfc822\r\nContent-Description: enclosed\r\n\r\n\
Subject: inner\r\nTo: c@sud.example\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n\
--i\r\nContent-Type: text/plain\r\n\r\nplain\r\n--i\r\nContent-Type: text/html\r\n\r\n<p>html</p>\r\n--i--\r\n\
--b--\r\nepilogue\r\n";

fn mailbox(name: &str) -> (Arc<Demo>, Mailbox) {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox(name, "50M");
    (demo, mailbox)
}

async fn holding(name: &str, contents: &[&[u8]]) -> (Arc<Demo>, Imap) {
    let (demo, mailbox) = mailbox(name);
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    for content in contents {
        let status = imap.append("INBOX", content).await.status;
        assert!(status.starts_with("OK [APPENDUID"), "{status}");
    }
    imap.ok("SELECT INBOX").await;
    (demo, imap)
}

/// What a section holds; a string that is quoted counts as empty.
async fn section(imap: &mut Imap, section: &str) -> String {
    let response = imap.ok(&format!("FETCH 1 BODY.PEEK[{section}]")).await;
    let told = response.text();
    let label = section.split('<').next().unwrap_or(section);
    assert!(told.contains(&format!("BODY[{label}]")), "{section} is not named as asked: {told}");
    assert!(response.literals.len() == 1 || told.contains("\"\""), "{section}: {told}");
    String::from_utf8_lossy(&response.literals.concat()).into_owned()
}

#[tokio::test]
async fn every_section_holds_the_octets_that_it_names() {
    let (_demo, mut imap) = holding("sections", &[NESTED]).await;
    let whole = String::from_utf8_lossy(NESTED).into_owned();
    let (header, text) = whole.split_once("\r\n\r\n").expect("a blank line");
    let inner = &whole[whole.find("Subject: inner").expect("there")..whole.find("\r\n--b--").expect("there")];
    let (inner_header, inner_text) = inner.split_once("\r\n\r\n").expect("a blank line");
    for (name, expected) in [
        ("", whole.clone()),
        ("HEADER", format!("{header}\r\n\r\n")),
        ("TEXT", text.to_owned()),
        ("1", "first".to_owned()),
        ("1.MIME", "Content-Type: text/plain\r\nContent-ID: <one@x>\r\n\r\n".to_owned()),
        ("2", inner.to_owned()),
        ("2.MIME", "Content-Type: message/rfc822\r\nContent-Description: enclosed\r\n\r\n".to_owned()),
        ("2.HEADER", format!("{inner_header}\r\n\r\n")),
        ("2.TEXT", inner_text.to_owned()),
        ("2.HEADER.FIELDS (to nothing)", "To: c@sud.example\r\n\r\n".to_owned()),
        ("2.1", "plain".to_owned()),
        ("2.2", "<p>html</p>".to_owned()),
        ("2.2.MIME", "Content-Type: text/html\r\n\r\n".to_owned()),
        ("HEADER.FIELDS (X-ONE Subject)", "Subject: outer\r\nX-One: 1\r\nx-one: 2\r\n\r\n".to_owned()),
        // What is no field has none of the names: it is not left out.
        (
            "HEADER.FIELDS.NOT (Date From Subject MIME-Version Content-Type)",
            "this line is no field\r\nX-One: 1\r\nx-one: 2\r\n\r\n".to_owned(),
        ),
        ("HEADER.FIELDS (No-Such)", "\r\n".to_owned()),
        ("3", String::new()),
        ("1.2", String::new()),
        ("1.HEADER", String::new()),
        ("9.9.9.MIME", String::new()),
    ] {
        assert_eq!(section(&mut imap, name).await, expected, "{name}");
    }
    for (name, full) in
        [("", whole.as_str()), ("2", inner), ("TEXT", text), ("2.TEXT", inner_text), ("1", "first")]
    {
        for (from, count) in [(0, 1), (2, 3), (full.len() - 1, 100), (full.len(), 5), (full.len() + 10, 5)] {
            let response = imap.ok(&format!("FETCH 1 BODY.PEEK[{name}]<{from}.{count}>")).await;
            let expected = full.get(from.min(full.len())..(from + count).min(full.len())).expect("ASCII");
            assert!(response.text().contains(&format!("BODY[{name}]<{from}>")), "{}", response.text());
            assert_eq!(
                String::from_utf8_lossy(&response.literals.concat()),
                expected,
                "[{name}]<{from}.{count}>"
            );
        }
    }
    let part = imap.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (Subject)]<3.6>").await;
    assert_eq!(part.literals.concat(), b"ject: ");
    for bad in [
        "0",
        "1.0",
        "MIME",
        "HEADER.FIELDS",
        "HEADER.FIELDS ()",
        "TEXT.1",
        "1.TEXT.1",
        "X",
        "1.",
        "99999999999",
    ] {
        let status = imap.command(&format!("FETCH 1 BODY[{bad}]")).await.status;
        assert!(status.starts_with("BAD"), "{bad}: {status}");
    }
}

#[tokio::test]
async fn a_message_is_told_by_its_items_and_macros() {
    let (_demo, mut imap) = holding("elements", &[NESTED]).await;
    let told = imap.ok("FETCH 1 FULL").await.text();
    for item in ["FLAGS (", "INTERNALDATE \"", "RFC822.SIZE ", "ENVELOPE (", "BODY ("] {
        assert!(told.contains(item), "{item}: {told}");
    }
    assert!(imap.ok("FETCH 1 ALL").await.text().contains("ENVELOPE ("));
    assert!(!imap.ok("FETCH 1 FAST").await.text().contains("ENVELOPE"));
    assert!(told.contains("((\"A, B\" NIL \"a\" \"nord.example\"))"), "{told}");
    assert!(told.contains("\"message\" \"rfc822\" NIL NIL \"enclosed\" \"7bit\""), "{told}");
    assert!(
        told.contains("(NIL \"inner\" NIL NIL NIL ((NIL NIL \"c\" \"sud.example\")) NIL NIL NIL NIL)"),
        "{told}"
    );
    let response = imap.ok("FETCH 1 (RFC822.HEADER RFC822.SIZE UID)").await;
    assert!(response.text().contains(&format!("RFC822.SIZE {} UID 1", NESTED.len())), "{}", response.text());
    assert!(!imap.ok("FETCH 1 FLAGS").await.text().contains("\\Seen"), "a header does not set it");
    let response = imap.ok("FETCH 1 RFC822.TEXT").await;
    assert!(response.text().contains("FLAGS (\\Seen"), "what fetching changed is told: {}", response.text());
    assert!(response.literals.concat().starts_with(b"preamble"));
    assert_eq!(imap.ok("FETCH 1 RFC822").await.literals.concat(), NESTED);
    assert!(imap.ok("UID FETCH 1 FLAGS").await.text().contains("UID 1"));
    assert_eq!(imap.ok("UID FETCH 7,99 FLAGS").await.text(), "", "UIDs of nothing are no error");
    for bad in [
        "FETCH 2 FLAGS",
        "FETCH 1:2 FLAGS",
        "FETCH 0 FLAGS",
        "FETCH 1 (FLAGS",
        "FETCH 1 ()",
        "FETCH 1 NOTHING",
        "FETCH 1",
        "FETCH 1 (ALL)",
        "FETCH x FLAGS",
        "FETCH 1 BODY[]<1>",
        "FETCH 1 BODY.PEEK",
    ] {
        let status = imap.command(bad).await.status;
        assert!(status.starts_with("BAD"), "{bad}: {status}");
    }
}

#[tokio::test]
async fn flags_are_stored_loudly_silently_and_within_bounds() {
    let (_demo, mut imap) =
        holding("drapeaux", &[b"Subject: 1\r\n\r\nx\r\n", b"Subject: 2\r\n\r\nx\r\n"]).await;
    assert_eq!(imap.ok("STORE 1:2 FLAGS (\\Seen)").await.untagged.len(), 2);
    let told = imap.ok("STORE 1 +FLAGS (\\flagged MonMot)").await.text();
    assert!(
        told.contains("* FLAGS (") && told.contains("[PERMANENTFLAGS (") && told.contains("MonMot"),
        "{told}"
    );
    assert!(told.contains("FETCH (FLAGS (\\Flagged \\Seen \\Recent MonMot))"), "{told}");
    let told = imap.ok("STORE 1 -FLAGS \\Seen").await.text();
    assert!(told.contains("(\\Flagged \\Recent MonMot)"), "{told}");
    assert_eq!(imap.ok("STORE 1:2 FLAGS.SILENT (\\Draft monmot)").await.text(), "");
    assert_eq!(imap.ok("FETCH 1:2 FLAGS").await.text().matches("(\\Draft \\Recent MonMot)").count(), 2);
    imap.ok("STORE 1 FLAGS ()").await;
    assert!(imap.ok("FETCH 1 FLAGS").await.text().contains("FLAGS (\\Recent)"));
    for bad in [
        "STORE 1 +FLAGS (\\Recent)",
        "STORE 1 +FLAGS (\\Nothing)",
        "STORE 3 +FLAGS (\\Seen)",
        "STORE 1 FLAG (\\Seen)",
        "STORE 1 FLAGS",
        "STORE 1 +FLAGS (a b",
        "STORE 1 +FLAGS.LOUD (a)",
    ] {
        let status = imap.command(bad).await.status;
        assert!(status.starts_with("BAD"), "{bad}: {status}");
    }
}

#[tokio::test]
async fn keywords_past_the_bound_are_refused_and_never_dropped() {
    let (_demo, mut imap) = holding("motscles", &[b"Subject: 1\r\n\r\nx\r\n"]).await;
    let names: Vec<String> = (1..63).map(|n| format!("k{n}")).collect();
    imap.ok(&format!("STORE 1 +FLAGS.SILENT ({})", names.join(" "))).await;
    assert!(imap.ok("SELECT INBOX").await.text().contains(" \\*)]"));
    let told = imap.ok("STORE 1 +FLAGS.SILENT (last)").await.text();
    assert!(told.contains("[PERMANENTFLAGS (") && !told.contains("\\*"), "no more can be made: {told}");
    assert!(!imap.ok("SELECT INBOX").await.text().contains("\\*"));
    for command in ["STORE 1 +FLAGS (more)", "STORE 1 FLAGS (k1 more)"] {
        let status = imap.command(command).await.status;
        assert!(status.starts_with("NO [LIMIT]"), "{command}: {status}");
    }
    let status = imap.append("INBOX (more)", b"Subject: 2\r\n\r\nx\r\n").await.status;
    assert!(status.starts_with("NO [LIMIT]"), "{status}");
    assert!(imap.append("INBOX (K1 LAST)", b"Subject: 2\r\n\r\nx\r\n").await.status.starts_with("OK"));
    // A folder that has others has no room for these.
    assert!(imap.append("Archive (other)", b"Subject: 3\r\n\r\nx\r\n").await.status.starts_with("OK"));
    for command in ["COPY 1 Archive", "MOVE 1 Archive", "UID COPY 1 Archive"] {
        let status = imap.command(command).await.status;
        assert!(status.starts_with("NO [LIMIT]"), "{command}: {status}");
    }
    imap.ok("COPY 2 Archive").await;
    imap.ok("EXAMINE Archive").await;
    let told = imap.ok("FETCH 2 FLAGS").await.text();
    assert!(told.to_lowercase().contains("k1 last"), "{told}");
}

#[tokio::test]
async fn an_appended_message_keeps_its_flags_and_date_and_what_cannot_be_kept_is_refused() {
    let (demo, mailbox) = mailbox("ajouts");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    let content = b"Subject: x\r\n\r\nbody \xe9 8-bit\r\n";
    let status =
        imap.append("Drafts (\\Draft \\seen mot) \" 9-Jan-2026 23:30:00 -0500\"", content).await.status;
    assert!(status.starts_with("OK [APPENDUID ") && status.contains(" 1]"), "{status}");
    imap.ok("SELECT Drafts").await;
    let told = imap.ok("FETCH 1 (FLAGS INTERNALDATE)").await.text();
    assert!(told.contains("\\Seen") && told.contains("\\Draft") && told.contains("mot"), "{told}");
    assert!(told.contains("INTERNALDATE \"10-Jan-2026 04:30:00 +0000\""), "{told}");
    assert_eq!(imap.ok("FETCH 1 BODY.PEEK[]").await.literals.concat(), content);
    // What is appended to the selected folder is told at once.
    let told = imap.append("Drafts", b"Subject: y\r\n\r\nx\r\n").await.text();
    assert!(told.contains("* 2 EXISTS"), "{told}");
    for (arguments, content, answer) in [
        ("nowhere", &b"x"[..], "NO [TRYCREATE]"),
        ("INBOX", b"", "NO"),
        ("INBOX", b"Subject: x\r\n\r\nnul \0 nul\r\n", "NO"),
        ("INBOX (\\Recent)", b"x", "BAD"),
        ("INBOX \"31-Feb-2026 00:00:00 +0000\"", b"x", "BAD"),
        ("INBOX (\\Seen", b"x", "BAD"),
    ] {
        let status = imap.append(arguments, content).await.status;
        assert!(status.starts_with(answer), "{arguments}: {status}");
    }
    assert!(imap.command("APPEND INBOX \"quoted\"").await.status.starts_with("BAD"));
    assert!(imap.ok("STATUS INBOX (MESSAGES)").await.text().contains("MESSAGES 0"));
    let small = demo.north().new_mailbox("etroit", "20000");
    let mut imap = Imap::login(&demo, demo.north(), &small).await;
    assert!(imap.append("INBOX", &[b'x'; 9000]).await.status.starts_with("OK"));
    imap.ok("SELECT INBOX").await;
    imap.ok("COPY 1 INBOX").await;
    for status in
        [imap.append("INBOX", &[b'x'; 9000]).await.status, imap.command("COPY 1 Archive").await.status]
    {
        assert!(status.starts_with("NO [OVERQUOTA]"), "{status}");
    }
    // A move needs no room.
    imap.ok("MOVE 1 Archive").await;
}

#[tokio::test]
async fn a_folder_open_to_be_read_is_changed_by_nothing() {
    let (_demo, mut imap) = holding("lecture", &[b"Subject: 1\r\n\r\nx\r\n"]).await;
    imap.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    let opened = imap.ok("EXAMINE INBOX").await;
    assert!(opened.status.starts_with("OK [READ-ONLY]"), "{opened:?}");
    assert!(opened.text().contains("[PERMANENTFLAGS ()]"), "{opened:?}");
    imap.ok("FETCH 1 BODY[]").await;
    for command in ["STORE 1 +FLAGS (\\Seen)", "EXPUNGE", "UID EXPUNGE 1", "MOVE 1 Archive"] {
        let status = imap.command(command).await.status;
        assert!(status.starts_with("NO [READ-ONLY]"), "{command}: {status}");
    }
    imap.ok("COPY 1 Archive").await;
    imap.ok("CLOSE").await;
    let opened = imap.ok("SELECT INBOX").await;
    assert!(
        opened.status.starts_with("OK [READ-WRITE]") && opened.text().contains("* 1 EXISTS"),
        "{opened:?}"
    );
    assert!(opened.text().contains("[UNSEEN 1]") && opened.text().contains("[UIDNEXT 2]"), "{opened:?}");
    assert!(!imap.ok("FETCH 1 FLAGS").await.text().contains("\\Seen"));
    imap.ok("CHECK").await;
    assert_eq!(imap.ok("CLOSE").await.text(), "", "CLOSE tells of no EXPUNGE");
    assert!(imap.ok("SELECT INBOX").await.text().contains("* 0 EXISTS"));
    assert!(imap.command("SELECT nowhere").await.status.starts_with("NO [NONEXISTENT]"));
    assert!(
        imap.command("CHECK").await.status.starts_with("BAD"),
        "a SELECT that fails leaves nothing selected"
    );
}

#[tokio::test]
async fn a_copy_to_a_missing_folder_says_that_it_could_be_made() {
    let (_demo, mut imap) = holding("copie", &[b"Subject: 1\r\n\r\nx\r\n"]).await;
    for command in ["COPY 1 nowhere", "UID COPY 1 nowhere", "MOVE 1 nowhere"] {
        let status = imap.command(command).await.status;
        assert!(status.starts_with("NO [TRYCREATE]"), "{command}: {status}");
    }
    imap.ok("STORE 1 +FLAGS.SILENT (\\Flagged mot)").await;
    let status = imap.ok("COPY 1 Archive").await.status;
    assert!(status.starts_with("OK [COPYUID ") && status.contains(" 1 1]"), "{status}");
    imap.ok("SELECT Archive").await;
    let told = imap.ok("FETCH 1 FLAGS").await.text();
    assert!(told.contains("\\Flagged") && told.contains("mot") && told.contains("\\Recent"), "{told}");
}
