//! How many messages one command may be about, where the operator says so (RFC 9738).

use scenarios::{Imap, Mailbox, Operator};

/// A server where a command may be about a thousand messages, and a mailbox with 1,003 of them.
async fn limited() -> (Operator, Mailbox, Imap) {
    with("imap_message_limit = 1000", 1003).await
}

/// A server with that limit, and a mailbox with so many messages.
async fn with(limit: &str, messages: usize) -> (Operator, Mailbox, Imap) {
    let mut operator = Operator::init("bornes.mssante.test");
    operator.edit("[routes]\n", &format!("[limits]\n{limit}\n\n[routes]\n"));
    let mailbox = operator.new_mailbox("marie");
    operator.serve();
    let mut imap = operator.imap(&mailbox).await;
    for letters in letters(messages).chunks(1000) {
        imap.append_all("INBOX", letters).await;
    }
    imap.ok("SELECT INBOX").await;
    (operator, mailbox, imap)
}

fn letters(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("Subject: {n}\r\n\r\nx\r\n")).collect()
}

const CUT: &str = "OK [MESSAGELIMIT 1000 4]";

async fn count(imap: &mut Imap, folder: &str) -> String {
    let told = imap.ok(&format!("STATUS {folder} (MESSAGES)")).await.text();
    told.split("MESSAGES ")
        .nth(1)
        .map(|rest| rest.trim_end().trim_end_matches(')').to_owned())
        .expect("a count")
}

#[tokio::test]
async fn what_is_read_is_cut_to_the_messages_of_the_highest_uids() {
    let (operator, mailbox, mut imap) = limited().await;
    assert!(imap.ok("CAPABILITY").await.text().contains(" MESSAGELIMIT=1000"));
    for (command, lines, status) in [
        ("UID FETCH 1:* (UID)", 1000, CUT),
        ("UID FETCH 1:* (FLAGS RFC822.SIZE)", 1000, CUT),
        ("UID FETCH 1:3,5:* (UID)", 1000, "OK [MESSAGELIMIT 1000 3]"),
        ("FETCH 1:1000 (UID)", 1000, "OK FETCH completed"),
        ("UID FETCH 1:* (UID) (PARTIAL -1:-1001)", 0, "NO [MESSAGELIMIT 1000] "),
        ("UID FETCH 1:* (UID) (PARTIAL 1:1000)", 1000, "OK FETCH completed"),
    ] {
        let response = imap.command(command).await;
        assert!(response.status.starts_with(status), "{command}: {}", response.status);
        assert_eq!(response.untagged.len(), lines, "{command}");
        let first = response.untagged.first().map(|line| String::from_utf8_lossy(line).into_owned());
        if status == CUT {
            assert!(first.is_some_and(|line| line.starts_with("* 4 FETCH ")), "{command}");
        }
    }
    for (command, told, status) in [
        ("UID SEARCH RETURN (MIN MAX COUNT) ALL", "MIN 4 MAX 1003 COUNT 1000", CUT),
        // Searched, not found.
        ("UID SEARCH RETURN (MIN COUNT) OR SUBJECT 1003 SUBJECT 1002", "MIN 1002 COUNT 2", CUT),
        ("UID SEARCH RETURN (COUNT) NOT UID 2:3", "COUNT 1000", "OK [MESSAGELIMIT 1000 4]"),
        ("SEARCH RETURN (COUNT) UID 1:1000 SUBJECT x", "COUNT 0", "OK SEARCH completed"),
        ("SEARCH RETURN (COUNT) UIDAFTER 3 UIDBEFORE 1003", "COUNT 999", "OK SEARCH completed"),
        ("SEARCH RETURN (COUNT) UIDBEFORE 1", "COUNT 0", "OK SEARCH completed"),
        ("SEARCH RETURN (COUNT) UIDAFTER 4294967295", "COUNT 0", "OK SEARCH completed"),
        ("SEARCH RETURN (SAVE) ALL", "", CUT),
        ("SEARCH RETURN (MIN COUNT) $", "MIN 4 COUNT 1000", "OK SEARCH completed"),
        ("SORT (REVERSE ARRIVAL) UTF-8 ALL", "", "NO [MESSAGELIMIT 1000] "),
        ("THREAD REFERENCES UTF-8 ALL", "", "NO [MESSAGELIMIT 1000] "),
        ("SORT (REVERSE SUBJECT) UTF-8 UID 1:2", "* SORT 2 1", "OK SORT completed"),
    ] {
        let response = imap.command(command).await;
        assert!(response.status.starts_with(status), "{command}: {}", response.status);
        assert!(response.text().contains(told), "{command}: {}", response.text());
        assert_eq!(response.untagged.is_empty(), told.is_empty(), "{command}: {}", response.text());
    }
    // RFC 9738 §3.1: of two codes, that of what is gone has the tagged answer.
    let mut other = operator.imap(&mailbox).await;
    other.ok("SELECT INBOX").await;
    other.ok("UID STORE 1003 +FLAGS.SILENT (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    let response = imap.command("FETCH 1:* (RFC822.SIZE)").await;
    assert!(response.text().contains("* NO [MESSAGELIMIT 1000 4] "), "{}", response.status);
    assert!(response.status.starts_with("OK [EXPUNGEISSUED] "), "{}", response.status);
}

#[tokio::test]
async fn what_is_changed_is_cut_and_what_is_whole_or_nothing_is_refused() {
    let (_operator, _mailbox, mut imap) = limited().await;
    let copied = imap.command("UID COPY 1:* Archive").await.status;
    assert!(copied.starts_with("NO [MESSAGELIMIT 1000 4] "), "{copied}");
    assert_eq!(count(&mut imap, "Archive").await, "0");
    let appended = imap.append_many("Archive", &letters(1001)).await.status;
    assert!(appended.starts_with("NO [MESSAGELIMIT 1000] "), "{appended}");
    assert_eq!(count(&mut imap, "Archive").await, "0");

    let stored = imap.command("UID STORE 1:* +FLAGS.SILENT (\\Deleted)").await.status;
    assert!(stored.starts_with(CUT), "{stored}");
    let deleted = imap.ok("UID SEARCH RETURN (COUNT) UID 1:1000 DELETED").await.text();
    assert!(deleted.contains("COUNT 997"), "{deleted}");
    // Only what is marked counts: a thousand of 1,003.
    imap.ok("UID STORE 4,5 -FLAGS.SILENT (\\Deleted)").await;
    imap.ok("UID STORE 1:3 +FLAGS.SILENT (\\Deleted)").await;
    imap.ok("ENABLE QRESYNC").await;
    let response = imap.command("UID EXPUNGE 1:*").await;
    assert!(response.status.starts_with("OK [MESSAGELIMIT 1000 2] "), "{}", response.status);
    let told = response.text();
    assert!(told.contains("* VANISHED 2:3,6:1003\n") && told.contains("* OK [HIGHESTMODSEQ "), "{told}");
    let expunged = imap.ok("UID EXPUNGE 1:*").await.status;
    assert!(expunged.starts_with("OK [HIGHESTMODSEQ "), "{expunged}");
    assert_eq!(count(&mut imap, "INBOX").await, "2");
}

#[tokio::test]
async fn a_move_takes_what_it_may_and_is_sent_again_for_the_rest() {
    let (_operator, _mailbox, mut imap) = limited().await;
    let response = imap.command("UID MOVE 1:* Archive").await;
    assert!(response.status.starts_with(CUT), "{}", response.status);
    assert!(response.text().contains("[COPYUID ") && response.text().contains(" 4:1003 1:1000] "));
    let moved = imap.ok("UID MOVE 1:* Archive").await.status;
    assert_eq!(moved, "OK MOVE completed");
    assert_eq!(count(&mut imap, "Archive").await, "1003");
    // EXPUNGE, unlike UID EXPUNGE, has no limit (RFC 9738 §3.1).
    imap.ok("SELECT Archive").await;
    imap.ok("STORE 4:* +FLAGS.SILENT (\\Deleted)").await;
    imap.ok("STORE 1:3 +FLAGS.SILENT (\\Deleted)").await;
    assert_eq!(imap.ok("EXPUNGE").await.status, "OK EXPUNGE completed");
    assert_eq!(count(&mut imap, "Archive").await, "0");
}

#[tokio::test]
async fn where_only_saving_has_a_limit_nothing_else_is_cut() {
    let (_operator, _mailbox, mut imap) = with("imap_save_limit = 1000", 1003).await;
    let told = imap.ok("CAPABILITY").await.text();
    assert!(told.contains(" SAVELIMIT=1000") && !told.contains("MESSAGELIMIT"), "{told}");
    let copied = imap.command("COPY 1:1001 Archive").await.status;
    assert!(copied.starts_with("NO [MESSAGELIMIT 1000 2] "), "{copied}");
    let appended = imap.append_many("Archive", &letters(1001)).await.status;
    assert!(appended.starts_with("NO [MESSAGELIMIT 1000] "), "{appended}");
    assert_eq!(count(&mut imap, "Archive").await, "0");
    let copied = imap.ok("COPY 1:1000 Archive").await.status;
    assert!(copied.ends_with(" 1:1000 1:1000] COPY completed"), "{copied}");
    imap.ok("UID STORE 1:* +FLAGS.SILENT (\\Flagged)").await;
    let told = imap.ok("SEARCH RETURN (COUNT) FLAGGED").await;
    assert!(told.text().contains("COUNT 1003") && told.status == "OK SEARCH completed", "{}", told.text());
    assert_eq!(imap.ok("UID FETCH 1:* (UID)").await.untagged.len(), 1003);
    assert_eq!(imap.ok("UID MOVE 1:* Archive").await.status, "OK MOVE completed");
    assert_eq!(count(&mut imap, "Archive").await, "2003");
}

#[tokio::test]
async fn a_long_move_is_told_in_pieces_and_a_crash_within_it_leaves_each_message_in_one_folder() {
    const MESSAGES: u64 = 6000;
    let (mut operator, mailbox, mut imap) = with("imap_save_limit = 10000", 6000).await;
    imap.ok("UID COPY 1:* Sent").await;
    let told = imap.ok("UID MOVE 1:2500 Trash").await.text();
    let copied: Vec<&str> = told.lines().filter_map(|line| line.split("[COPYUID ").nth(1)).collect();
    assert_eq!(copied.len(), 3, "{told}");
    assert!(copied[0].contains(" 1:1000 1:1000]") && copied[2].contains(" 2001:2500 2001:2500]"), "{told}");
    imap.ok("SELECT Sent").await;
    imap.begin("m UID MOVE 1:* Archive").await;
    imap.until_line("* OK [COPYUID ").await;
    operator.process().kill();
    operator.serve();
    let mut imap = operator.imap(&mailbox).await;
    let here: u64 = count(&mut imap, "Sent").await.parse().expect("a number");
    let there: u64 = count(&mut imap, "Archive").await.parse().expect("a number");
    assert_eq!(here + there, MESSAGES);
    assert_eq!(there % 1000, 0);
    // Sent again, it takes the rest.
    imap.ok("SELECT Sent").await;
    imap.ok("UID MOVE 1:* Archive").await;
    assert_eq!(count(&mut imap, "Archive").await, MESSAGES.to_string());
}
