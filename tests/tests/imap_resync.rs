//! A client that comes back (RFC 7162 §3.2).

use scenarios::{Demo, Imap, Mailbox};
use std::sync::Arc;

fn mailbox(name: &str) -> (Arc<Demo>, Mailbox) {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox(name, "50M");
    (demo, mailbox)
}

async fn login(demo: &Demo, mailbox: &Mailbox) -> Imap {
    Imap::login(demo, demo.north(), mailbox).await
}

async fn fill(imap: &mut Imap, count: usize) {
    for n in 1..=count {
        let status = imap.append("INBOX", format!("Subject: {n}\r\n\r\nx\r\n").as_bytes()).await.status;
        assert!(status.starts_with("OK [APPENDUID"), "{status}");
    }
}

/// The number after `word`.
fn after(text: &str, word: &str) -> u64 {
    let rest = text.split(word).nth(1).unwrap_or_else(|| panic!("no {word} in {text}"));
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number after {word} in {text}"))
}

/// As the examples of RFC 7162 §3.2.5 do.
#[tokio::test]
async fn a_client_that_comes_back_hears_what_went_and_what_changed() {
    let (demo, mailbox) = mailbox("retour");
    let mut other = login(&demo, &mailbox).await;
    fill(&mut other, 8).await;
    let told = other.ok("SELECT INBOX").await.text();
    let (validity, modseq) = (after(&told, "[UIDVALIDITY "), after(&told, "[HIGHESTMODSEQ "));
    other.ok("STORE 2,3,6 +FLAGS (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    other.ok("UID STORE 5 +FLAGS (\\Answered)").await;
    fill(&mut other, 1).await;

    let mut imap = login(&demo, &mailbox).await;
    let refused = imap.command(&format!("SELECT INBOX (QRESYNC ({validity} {modseq}))")).await.status;
    assert!(refused.starts_with("BAD"), "not before it is enabled: {refused}");
    assert_eq!(imap.ok("ENABLE QRESYNC").await.text(), "* ENABLED QRESYNC\n");
    let told = imap.ok(&format!("SELECT INBOX (QRESYNC ({validity} {modseq}))")).await.text();
    assert!(told.contains("\n* VANISHED (EARLIER) 2:3,6\n"), "{told}");
    assert!(told.contains("\n* 3 FETCH (UID 5 FLAGS (\\Answered) MODSEQ ("), "{told}");
    assert!(told.contains("\n* 6 FETCH (UID 9 FLAGS ("), "{told}");
    assert_eq!(told.matches(" FETCH ").count(), 2, "{told}");
    assert!(!told.contains("CLOSED"), "nothing was selected before: {told}");

    // Only of what it knows.
    let told = imap.ok(&format!("EXAMINE INBOX (QRESYNC ({validity} {modseq} 1:2,7:8))")).await.text();
    assert!(told.contains("* OK [CLOSED]") && told.contains("\n* VANISHED (EARLIER) 2\n"), "{told}");
    assert!(!told.contains(" FETCH "), "{told}");
    // What it knows of another folder of that name means nothing.
    let told = imap.ok(&format!("EXAMINE INBOX (QRESYNC ({} {modseq}))", validity + 1)).await.text();
    assert!(!told.contains("VANISHED") && !told.contains(" FETCH "), "{told}");

    let told = imap.ok(&format!("UID FETCH 1:6 (FLAGS) (CHANGEDSINCE {modseq} VANISHED)")).await.text();
    assert!(told.starts_with("* VANISHED (EARLIER) 2:3,6\n* 3 FETCH (UID 5 FLAGS"), "{told}");
    assert_eq!(told.matches(" FETCH ").count(), 1, "{told}");
    for bad in ["FETCH 1:6 (FLAGS) (CHANGEDSINCE 1 VANISHED)", "UID FETCH 1:6 (FLAGS) (VANISHED)"] {
        assert!(imap.command(bad).await.status.starts_with("BAD"), "{bad}");
    }
    let refused = other.command("UID FETCH 1:6 (FLAGS) (CHANGEDSINCE 1 VANISHED)").await.status;
    assert!(refused.starts_with("BAD"), "not before QRESYNC is enabled: {refused}");
}

#[tokio::test]
async fn what_goes_is_told_by_uid_and_the_end_says_how_far_all_is_known() {
    let (demo, mailbox) = mailbox("disparus");
    let mut imap = login(&demo, &mailbox).await;
    imap.ok("ENABLE QRESYNC").await;
    fill(&mut imap, 6).await;
    imap.ok("SELECT INBOX").await;
    let mut other = login(&demo, &mailbox).await;
    other.ok("SELECT INBOX").await;
    other.ok("STORE 2:3 +FLAGS (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    let told = imap.ok("FETCH 1 (FLAGS)").await.text();
    assert!(!told.contains("VANISHED") && told.contains("* 1 FETCH (UID 1 "), "numbers stand still: {told}");
    let told = imap.ok("NOOP").await.text();
    assert!(told.contains("* VANISHED 2:3\n") && !told.contains("EXPUNGE"), "{told}");
    imap.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)").await;
    let told = imap.ok("EXPUNGE").await;
    assert_eq!(told.text(), "* VANISHED 1,4\n");
    let status = imap.ok("STATUS INBOX (HIGHESTMODSEQ)").await.text();
    assert_eq!(after(&told.status, "OK [HIGHESTMODSEQ "), after(&status, "(HIGHESTMODSEQ "));
    let told = imap.ok("UID MOVE 5 Archive").await;
    assert!(told.text().contains("[COPYUID ") && told.text().contains("\n* VANISHED 5\n"), "{}", told.text());
    assert!(told.status.starts_with("OK [HIGHESTMODSEQ "), "{}", told.status);
}
