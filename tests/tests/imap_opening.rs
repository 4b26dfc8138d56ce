//! A large folder that many sessions have open: it is read once and in memory once, also after changes, and is right for each.

use scenarios::{Imap, Mailbox, Operator};

/// Messages of the folder; as much as 24 octets each are in memory.
const MESSAGES: usize = 100_000;
const SESSIONS: usize = 40;
/// What the folder takes in memory, KiB.
const FOLDER_KIB: u64 = (MESSAGES as u64 * 24) / 1024;

/// A folder with one message, made many behind the program's back.
async fn filled(operator: &Operator, mailbox: &Mailbox) {
    let mut imap = operator.imap(mailbox).await;
    assert!(imap.append("INBOX", b"Subject: x\r\n\r\nx\r\n").await.status.starts_with("OK"));
    imap.ok("LOGOUT").await;
    operator.sql(&format!(
        "INSERT INTO messages (folder_id, uid, mailbox_id, body_id, wrapped_key, size_bytes, internal_date_ms, saved_at_ms, flags, keywords, modseq) \
         WITH RECURSIVE numbers (uid) AS (SELECT CAST(2 AS BIGINT) UNION ALL SELECT uid + 1 FROM numbers WHERE uid < {MESSAGES}) \
         SELECT m.folder_id, n.uid, m.mailbox_id, m.body_id, m.wrapped_key, m.size_bytes, m.internal_date_ms, m.saved_at_ms, m.flags, m.keywords, m.modseq \
         FROM messages m, numbers n WHERE m.uid = 1"
    ));
    operator.sql(&format!(
        "UPDATE folders SET message_count = {MESSAGES}, uid_next = {MESSAGES} + 1, recent_uid = {MESSAGES} + 1, size_bytes = size_bytes * {MESSAGES} \
         WHERE message_count = 1"
    ));
}

/// KiB more than before.
fn growth(operator: &Operator, before: u64) -> u64 {
    operator.resident_kib().saturating_sub(before)
}

#[tokio::test]
async fn a_folder_that_many_have_open_is_in_memory_once() {
    let mut operator = Operator::init("ouvert.example");
    let mailbox = operator.new_mailbox("secretariat");
    operator.serve();
    filled(&operator, &mailbox).await;
    let mut sessions: Vec<Imap> = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(operator.imap(&mailbox).await);
    }
    let (first, others) = sessions.split_first_mut().expect("some");
    let before = operator.resident_kib();
    let told = first.ok("SELECT INBOX").await.text();
    assert!(told.contains(&format!("* {MESSAGES} EXISTS")), "{told}");
    let grown = growth(&operator, before);
    assert!(grown < 20 * 1024, "the first who opens it costs {grown} KiB");

    let before = operator.resident_kib();
    for other in &mut *others {
        assert_eq!(other.ok("SELECT INBOX").await.text(), told);
    }
    let apart = FOLDER_KIB * (SESSIONS as u64 - 1);
    let grown = growth(&operator, before);
    assert!(grown < apart / 4, "{grown} KiB for the others, {apart} if each had it alone");

    // A change in every part of it, told to all.
    let before = operator.resident_kib();
    let changed: Vec<String> = (1..=MESSAGES).step_by(500).map(|uid| uid.to_string()).collect();
    first.ok(&format!("UID STORE {} +FLAGS.SILENT (\\Flagged)", changed.join(","))).await;
    for other in &mut *others {
        let told = other.ok("NOOP").await.text();
        assert_eq!(told.matches("FETCH (FLAGS (\\Flagged").count(), changed.len(), "{told}");
    }
    let grown = growth(&operator, before);
    assert!(grown < apart / 4, "{grown} KiB after a change, {apart} if each had it alone");

    // Who comes now finds the same, and so does who goes on.
    first.ok("UID STORE 3,70000 +FLAGS.SILENT (\\Deleted)").await;
    first.ok("EXPUNGE").await;
    for other in &mut *others {
        let told = other.ok("NOOP").await.text();
        assert_eq!(told.matches(" EXPUNGE").count(), 2, "{told}");
    }
    let mut newcomer = operator.imap(&mailbox).await;
    let told = newcomer.ok("SELECT INBOX").await.text();
    assert!(told.contains(&format!("* {} EXISTS", MESSAGES - 2)), "{told}");
    let uids = "UID FETCH 1:5,69999:70001 (FLAGS)";
    assert_eq!(newcomer.ok(uids).await.text(), others[0].ok(uids).await.text());
}
