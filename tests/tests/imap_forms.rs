//! What a client enables changes how it is told of messages and folders: UIDONLY (RFC 9586) and IMAP4rev2 (RFC 9051).

use scenarios::{Demo, Imap, Mailbox, Response};
use std::sync::Arc;

fn mailbox(name: &str) -> (Arc<Demo>, Mailbox) {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox(name, "50M");
    (demo, mailbox)
}

async fn enabled(demo: &Demo, mailbox: &Mailbox, what: &str) -> Imap {
    let mut imap = Imap::login(demo, demo.north(), mailbox).await;
    assert_eq!(imap.ok(&format!("ENABLE {what}")).await.text(), format!("* ENABLED {what}\n"));
    imap
}

async fn fill(imap: &mut Imap, count: usize) {
    for n in 1..=count {
        let status = imap.append("INBOX", format!("Subject: {n}\r\n\r\nx\r\n").as_bytes()).await.status;
        assert!(status.starts_with("OK [APPENDUID"), "{status}");
    }
}

#[tokio::test]
async fn after_uidonly_messages_have_no_numbers() {
    let (demo, mailbox) = mailbox("uidonly");
    let mut imap = enabled(&demo, &mailbox, "UIDONLY").await;
    fill(&mut imap, 4).await;
    let told = imap.ok("SELECT INBOX").await.text();
    assert!(told.contains("* 4 EXISTS") && !told.contains("[UNSEEN "), "{told}");
    for numbered in [
        "FETCH 1 (FLAGS)",
        "STORE 1 +FLAGS (\\Seen)",
        "COPY 1 Archive",
        "MOVE 1 Archive",
        "SEARCH ALL",
        "UID SEARCH 1:2",
        "UID SEARCH NOT (SEEN 1)",
        "SORT (ARRIVAL) UTF-8 ALL",
        "UID SORT (ARRIVAL) UTF-8 1:2",
        "THREAD REFERENCES UTF-8 ALL",
        "UID THREAD ORDEREDSUBJECT UTF-8 NOT 1",
        "REPLACE 1 INBOX {1+}\r\nx",
    ] {
        let status = imap.command(numbered).await.status;
        assert!(status.starts_with("BAD [UIDREQUIRED]"), "{numbered}: {status}");
    }
    assert_eq!(imap.ok("UID FETCH 2 (RFC822.SIZE)").await.text(), "* 2 UIDFETCH (RFC822.SIZE 17)\n");
    let told = imap.ok("UID STORE 3:4 +FLAGS (\\Deleted)").await.text();
    assert!(told.contains("* 3 UIDFETCH (FLAGS (\\Deleted") && told.contains("* 4 UIDFETCH ("), "{told}");
    assert_eq!(imap.ok("UID SEARCH UID 2:*").await.text(), "* SEARCH 2 3 4\n");
    let mut other = Imap::login(&demo, demo.north(), &mailbox).await;
    other.ok("SELECT INBOX").await;
    other.ok("STORE 1 +FLAGS (\\Flagged)").await;
    let told = imap.ok("NOOP").await.text();
    assert!(told.contains("* 1 UIDFETCH (FLAGS (\\Flagged"), "{told}");
    assert_eq!(imap.ok("EXPUNGE").await.text(), "* VANISHED 3:4\n");
    assert_eq!(other.ok("NOOP").await.text(), "* 4 EXPUNGE\n* 3 EXPUNGE\n", "others count as before");
    let told = imap.ok("UID FETCH 1:* (FLAGS MODSEQ)").await.text();
    assert!(told.contains("* 1 UIDFETCH (FLAGS (\\Flagged") && told.contains(" MODSEQ ("), "{told}");
    imap.ok("ENABLE QRESYNC").await;
    let status = imap.command("SELECT INBOX (QRESYNC (1 1 1:3 (1 1)))").await.status;
    assert!(status.starts_with("BAD [UIDREQUIRED]"), "{status}");
    let mut late = Imap::login(&demo, demo.north(), &mailbox).await;
    assert!(late.ok("CAPABILITY").await.text().contains(" UIDONLY"));
}

#[tokio::test]
async fn a_client_that_enables_imap4rev2_hears_its_forms() {
    let (demo, mailbox) = mailbox("rev2");
    let mut imap = enabled(&demo, &mailbox, "IMAP4rev2").await;
    fill(&mut imap, 2).await;
    let told = imap.ok("SELECT inbox").await.text();
    assert!(told.contains("* LIST () \"/\" \"INBOX\"\n"), "{told}");
    assert!(told.contains("* LIST () \"/\" \"INBOX\" (\"OLDNAME\" (\"inbox\"))\n"), "{told}");
    assert!(!told.contains("RECENT") && !told.contains("[UNSEEN "), "{told}");
    assert!(!imap.ok("FETCH 1:2 (FLAGS)").await.text().contains("\\Recent"));
    fill(&mut imap, 1).await;
    let told = imap.ok("NOOP").await.text();
    assert!(!told.contains("RECENT"), "{told}");
    let found = imap.ok("UID SEARCH UNSEEN").await.text();
    assert!(found.starts_with("* ESEARCH (TAG \"") && found.ends_with(") UID ALL 1:3\n"), "{found}");
    let found = imap.ok("SEARCH SEEN").await.text();
    assert!(found.starts_with("* ESEARCH (TAG \"") && !found.contains("ALL"), "{found}");
    imap.ok("STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    assert_eq!(imap.ok("STATUS INBOX (DELETED)").await.text(), "* STATUS \"INBOX\" (DELETED 1)\n");
    // Names are UTF-8, in both directions.
    imap.ok("CREATE \"Envoyés/Été\"").await;
    assert!(imap.ok("LIST \"\" Envoy*").await.text().contains("\"/\" \"Envoyés/Été\"\n"));
    let told = imap.ok("CREATE \"Rec\u{327}us/\"").await.text();
    assert_eq!(told, "* LIST () \"/\" \"Reçus\" (\"OLDNAME\" (\"Rec\u{327}us/\"))\n");
    assert!(imap.ok("LSUB \"\" *").await.status.starts_with("OK"), "an old command is still answered");
    let told: Response = imap.ok("SELECT \"Envoyés/Été\"").await;
    assert!(
        told.text().contains("* OK [CLOSED]") && told.text().contains("\"Envoyés/Été\""),
        "{}",
        told.text()
    );
    let mut old = Imap::login(&demo, demo.north(), &mailbox).await;
    assert!(old.ok("LIST \"\" Envoy*").await.text().contains("\"Envoy&AOk-s/&AMk-t&AOk-\"\n"));
}

#[tokio::test]
async fn what_is_sent_ahead_of_and_after_idle_is_answered_in_order() {
    let (demo, mailbox) = mailbox("pipeline");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    fill(&mut imap, 2).await;
    let answers = imap
        .pipelined(&["SELECT INBOX", "STORE 1 +FLAGS (\\Flagged)", "IDLE\r\nDONE", "FETCH 1 (FLAGS)"])
        .await;
    assert!(answers.iter().all(|answer| answer.status.starts_with("OK")), "{answers:?}");
    assert!(answers[2].text().starts_with("+ idling"), "{answers:?}");
    assert!(answers[3].text().contains("\\Flagged"), "{answers:?}");
    // Beyond the end, `*` is the last message (RFC 9051 §9, seq-range).
    assert_eq!(imap.ok("UID FETCH 100:* (UID)").await.text(), "* 2 FETCH (UID 2)\n");
    imap.ok("SELECT iNbOx").await;
}
