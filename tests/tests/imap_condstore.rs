//! Modification sequences (RFC 7162 §3.1): conditional STORE, what changed since, and what makes a session tell of them.

use scenarios::{Demo, Imap, Mailbox, Response};
use std::sync::Arc;

fn mailbox(name: &str) -> (Arc<Demo>, Mailbox) {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox(name, "50M");
    (demo, mailbox)
}

async fn session(demo: &Demo, mailbox: &Mailbox, command: &str) -> Imap {
    let mut imap = Imap::login(demo, demo.north(), mailbox).await;
    imap.ok(command).await;
    imap
}

async fn fill(imap: &mut Imap, count: usize) {
    for n in 1..=count {
        let status = imap.append("INBOX", format!("Subject: {n}\r\n\r\nx\r\n").as_bytes()).await.status;
        assert!(status.starts_with("OK [APPENDUID"), "{status}");
    }
    imap.ok("NOOP").await;
}

/// The number after `word`.
fn after(text: &str, word: &str) -> u64 {
    let rest = text.split(word).nth(1).unwrap_or_else(|| panic!("no {word} in {text}"));
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number after {word} in {text}"))
}

/// The modification sequence that a response tells of message `seq`.
fn modseq(response: &Response, seq: u32) -> u64 {
    let text = response.text();
    let line = text.lines().rfind(|line| line.starts_with(&format!("* {seq} FETCH")));
    after(line.unwrap_or_else(|| panic!("nothing of {seq} in {text}")), "MODSEQ (")
}

#[tokio::test]
async fn every_select_says_where_modification_sequences_stand() {
    let (demo, mailbox) = mailbox("modseq-select");
    let mut imap = session(&demo, &mailbox, "SELECT INBOX").await;
    fill(&mut imap, 2).await;
    let told = imap.ok("SELECT INBOX").await.text();
    let highest = after(&told, "[HIGHESTMODSEQ ");
    let status = imap.ok("STATUS INBOX (HIGHESTMODSEQ)").await.text();
    assert!(status.contains(&format!("* STATUS \"INBOX\" (HIGHESTMODSEQ {highest})")), "{status}");
    imap.ok("STORE 1 +FLAGS (\\Flagged)").await;
    let later = after(&imap.ok("EXAMINE INBOX (CONDSTORE)").await.text(), "[HIGHESTMODSEQ ");
    assert!(later > highest, "{later} after {highest}");
    assert_eq!(modseq(&imap.ok("FETCH 1 (FLAGS)").await, 1), later, "EXAMINE with CONDSTORE enables it too");
}

#[tokio::test]
async fn what_asks_for_modification_sequences_makes_the_session_tell_of_them_from_then_on() {
    let (demo, mailbox) = mailbox("modseq-actes");
    let mut other = session(&demo, &mailbox, "SELECT INBOX").await;
    fill(&mut other, 2).await;
    for enabling in [
        "ENABLE CONDSTORE",
        "SELECT INBOX (CONDSTORE)",
        "STATUS INBOX (HIGHESTMODSEQ)",
        "FETCH 1 (MODSEQ)",
        "FETCH 1 (FLAGS) (CHANGEDSINCE 1)",
        "SEARCH MODSEQ 1",
        "STORE 1 (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\Seen)",
    ] {
        let mut imap = session(&demo, &mailbox, "SELECT INBOX").await;
        assert!(!imap.ok("FETCH 1 FLAGS").await.text().contains("MODSEQ"), "before {enabling}");
        imap.ok(enabling).await;
        other.ok("STORE 2 FLAGS (\\Answered)").await;
        other.ok("STORE 2 FLAGS (\\Draft)").await;
        let told = imap.ok("NOOP").await;
        assert!(modseq(&told, 2) > 1, "after {enabling}: {}", told.text());
        assert!(imap.ok("FETCH 1 (UID)").await.text().contains("MODSEQ ("), "after {enabling}");
    }
}

#[tokio::test]
async fn enable_names_what_is_in_force_and_passes_over_what_is_unknown() {
    let (demo, mailbox) = mailbox("modseq-enable");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    assert_eq!(imap.ok("ENABLE X-UNKNOWN").await.text(), "* ENABLED\n");
    assert_eq!(imap.ok("ENABLE condstore X-UNKNOWN CONDSTORE").await.text(), "* ENABLED CONDSTORE\n");
    assert_eq!(imap.ok("ENABLE CONDSTORE").await.text(), "* ENABLED CONDSTORE\n");
    assert!(imap.ok("CAPABILITY").await.text().contains(" CONDSTORE QRESYNC"));
    // Within a folder the client has to hear where they stand.
    let mut late = session(&demo, &mailbox, "SELECT INBOX").await;
    let told = late.ok("ENABLE CONDSTORE").await.text();
    assert!(after(&told, "* OK [HIGHESTMODSEQ ") >= 1, "{told}");
}

/// As the examples of RFC 7162 §3.1.3 do.
#[tokio::test]
async fn a_conditional_store_leaves_alone_what_changed_and_names_it() {
    let (demo, mailbox) = mailbox("modseq-store");
    let mut imap = session(&demo, &mailbox, "SELECT INBOX (CONDSTORE)").await;
    fill(&mut imap, 5).await;
    let before = after(&imap.ok("SELECT INBOX").await.text(), "[HIGHESTMODSEQ ");
    let mut other = session(&demo, &mailbox, "SELECT INBOX").await;
    other.ok("STORE 2,4 +FLAGS (\\Answered)").await;

    let told = imap.ok(&format!("STORE 1:5 (UNCHANGEDSINCE {before}) +FLAGS.SILENT (\\Deleted)")).await;
    assert!(told.status.starts_with("OK [MODIFIED 2,4]"), "{}", told.status);
    for changed in [1, 3, 5] {
        assert!(
            modseq(&told, changed) > before,
            "silence is not about modification sequences: {}",
            told.text()
        );
    }
    assert!(told.text().contains("* 2 FETCH (FLAGS (\\Answered"), "what others did is told: {}", told.text());
    assert!(!told.text().contains("* 1 FETCH (FLAGS"), "{}", told.text());
    let flags = imap.ok("FETCH 1:5 (FLAGS)").await.text();
    assert_eq!(flags.matches("\\Deleted").count(), 3, "{flags}");

    let told = imap.ok(&format!("UID STORE 1:4 (UNCHANGEDSINCE {before}) +FLAGS (\\Flagged)")).await;
    assert!(told.status.starts_with("OK [MODIFIED 1:4]"), "by UID: {}", told.status);
    let now = modseq(&told, 2);
    let told = imap.ok(&format!("UID STORE 2 (UNCHANGEDSINCE {now}) +FLAGS (\\Flagged)")).await;
    assert!(told.status.starts_with("OK STORE") && modseq(&told, 2) > now, "{}", told.status);
    let told = imap.ok("STORE 3 (UNCHANGEDSINCE 0) +FLAGS (\\Flagged)").await;
    assert!(
        told.status.starts_with("OK [MODIFIED 3]"),
        "nothing that exists is older than 0: {}",
        told.status
    );

    // What changes nothing takes no modification sequence.
    let now = modseq(&imap.ok("FETCH 2 MODSEQ").await, 2);
    assert_eq!(modseq(&imap.ok("STORE 2 +FLAGS.SILENT (\\Flagged)").await, 2), now);
}

#[tokio::test]
async fn a_message_that_is_gone_is_told_apart_from_one_that_changed() {
    let (demo, mailbox) = mailbox("modseq-parti");
    let mut imap = session(&demo, &mailbox, "SELECT INBOX (CONDSTORE)").await;
    fill(&mut imap, 3).await;
    let before = after(&imap.ok("SELECT INBOX").await.text(), "[HIGHESTMODSEQ ");
    let mut other = session(&demo, &mailbox, "SELECT INBOX").await;
    other.ok("STORE 1 +FLAGS (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    other.ok("UID STORE 2 +FLAGS (\\Seen)").await;
    let told = imap.command(&format!("STORE 1:3 (UNCHANGEDSINCE {before}) +FLAGS (\\Flagged)")).await;
    assert!(told.status.starts_with("NO [MODIFIED 2]"), "{}", told.status);
    assert!(told.text().contains("* 3 FETCH (FLAGS (\\Flagged"), "{}", told.text());
}

#[tokio::test]
async fn only_what_changed_since_is_fetched_and_found() {
    let (demo, mailbox) = mailbox("modseq-depuis");
    let mut imap = session(&demo, &mailbox, "SELECT INBOX (CONDSTORE)").await;
    fill(&mut imap, 4).await;
    let before = after(&imap.ok("SELECT INBOX").await.text(), "[HIGHESTMODSEQ ");
    let mut other = session(&demo, &mailbox, "SELECT INBOX").await;
    other.ok("STORE 3 +FLAGS (\\Flagged)").await;
    other.ok("STORE 2 +FLAGS (\\Flagged)").await;
    // The session itself has not heard of it yet.
    let told = imap.ok(&format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {before})")).await;
    let (second, third) = (modseq(&told, 2), modseq(&told, 3));
    assert!(third > before && second > third, "{}", told.text());
    assert!(!told.text().contains("* 1 FETCH") && !told.text().contains("* 4 FETCH"), "{}", told.text());
    let told = imap.ok(&format!("FETCH 1:* (FLAGS) (CHANGEDSINCE {third})")).await.text();
    assert_eq!(told.matches(" FETCH ").count(), 1, "{told}");
    let found = |answer: Response| answer.text();
    let asked = format!("SEARCH MODSEQ {third}");
    assert_eq!(found(imap.ok(&asked).await), format!("* SEARCH 2 3 (MODSEQ {second})\n"));
    let asked = format!("SEARCH MODSEQ \"/flags/\\\\draft\" all {} NOT 2", before + 1);
    assert_eq!(found(imap.ok(&asked).await), format!("* SEARCH 3 (MODSEQ {third})\n"));
    assert_eq!(found(imap.ok(&format!("SEARCH MODSEQ {}", second + 1)).await), "* SEARCH\n");
    assert_eq!(found(imap.ok("SEARCH FLAGGED").await), "* SEARCH 2 3\n");
}
