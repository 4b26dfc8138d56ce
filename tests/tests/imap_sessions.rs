//! Several sessions on one folder: who is told what, and when (RFC 3501 §2.3.2, §5.2, §5.5, §7.4.1; RFC 2180).

use scenarios::{Demo, Imap, Mailbox, Wire, until};
use std::sync::Arc;

fn mailbox(name: &str) -> (Arc<Demo>, Mailbox) {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox(name, "50M");
    (demo, mailbox)
}

async fn session(demo: &Demo, mailbox: &Mailbox) -> Imap {
    let mut imap = Imap::login(demo, demo.north(), mailbox).await;
    imap.ok("SELECT INBOX").await;
    imap
}

async fn fill(imap: &mut Imap, count: usize) {
    for n in 1..=count {
        let status = imap.append("INBOX", format!("Subject: {n}\r\n\r\nx\r\n").as_bytes()).await.status;
        assert!(status.starts_with("OK [APPENDUID"), "{status}");
    }
}

/// How many messages a session holds for recent.
async fn recent(imap: &mut Imap) -> usize {
    imap.ok("FETCH 1:* FLAGS").await.text().matches("\\Recent").count()
}

#[tokio::test]
async fn a_message_is_recent_in_exactly_one_of_the_sessions_that_watch() {
    let (demo, mailbox) = mailbox("recent");
    let mut one = session(&demo, &mailbox).await;
    let mut two = session(&demo, &mailbox).await;
    let mut reader = Imap::login(&demo, demo.north(), &mailbox).await;
    reader.ok("EXAMINE INBOX").await;
    let mut sender = Imap::login(&demo, demo.north(), &mailbox).await;
    for round in 1..=4 {
        fill(&mut sender, 1).await;
        let told = one.ok("NOOP").await.text() + &two.ok("NOOP").await.text();
        assert_eq!(told.matches(" EXISTS").count(), 2, "{told}");
        assert_eq!(recent(&mut one).await + recent(&mut two).await, round, "after {round} messages");
    }
    reader.ok("NOOP").await;
    assert_eq!(recent(&mut reader).await, 0, "all are told of already");
    assert!(sender.ok("STATUS INBOX (RECENT)").await.text().contains("RECENT 0"));
    // Nor is it for those who come later, in this process or the next.
    let mut later = session(&demo, &mailbox).await;
    assert_eq!(recent(&mut later).await, 0);
    drop((one, two, reader));
    later.ok("UNSELECT").await;
    until("the claims are kept for good", async || {
        let told = sender.ok("STATUS INBOX (RECENT)").await.text();
        told.contains("RECENT 0").then_some(())
    })
    .await;
    // Who only looks takes nothing away.
    fill(&mut sender, 1).await;
    let seen = sender.ok("EXAMINE INBOX").await.text();
    assert!(seen.contains("* 1 RECENT"), "{seen}");
    assert!(sender.ok("SELECT INBOX").await.text().contains("* 1 RECENT"));
    assert!(sender.ok("SELECT INBOX").await.text().contains("* 0 RECENT"));
}

#[tokio::test]
async fn expunges_wait_while_numbers_are_in_use() {
    let (demo, mailbox) = mailbox("numeros");
    let mut one = session(&demo, &mailbox).await;
    fill(&mut one, 4).await;
    let mut two = session(&demo, &mailbox).await;
    one.ok("STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    let told = one.ok("EXPUNGE").await.text();
    assert!(told.contains("* 2 EXPUNGE"), "{told}");
    for command in ["FETCH 1 UID", "SEARCH ALL", "STORE 4 +FLAGS (\\Flagged)", "FETCH 4 (UID FLAGS)"] {
        let told = two.ok(command).await.text();
        assert!(!told.contains("EXPUNGE"), "{command}: {told}");
    }
    assert!(two.ok("FETCH 4 UID").await.text().contains("* 4 FETCH (UID 4)"), "numbers stand still");
    for command in ["FETCH 2 UID", "FETCH 1:3 BODY.PEEK[]", "COPY 1:3 Archive"] {
        let answer = two.command(command).await;
        assert!(answer.status.starts_with("NO [EXPUNGEISSUED]"), "{command}: {}", answer.status);
        assert_eq!(
            answer.text().contains("* 2 EXPUNGE"),
            command.starts_with("COPY"),
            "{command}: {answer:?}"
        );
    }
    assert!(two.ok("STATUS Archive (MESSAGES)").await.text().contains("MESSAGES 0"), "all or nothing");
    assert!(two.ok("FETCH 3 UID").await.text().contains("* 3 FETCH (UID 4)"));
    // A UID command may tell, and passes over what is gone.
    one.ok("UID STORE 3 +FLAGS.SILENT (\\Deleted)").await;
    one.ok("EXPUNGE").await;
    let told = two.ok("UID FETCH 3,4 (FLAGS RFC822.SIZE)").await.text();
    assert!(told.contains("UID 4") && !told.contains("UID 3 "), "{told}");
    assert!(told.contains("* 2 EXPUNGE"), "{told}");
    one.ok("UID STORE 4 +FLAGS.SILENT (\\Deleted)").await;
    one.ok("EXPUNGE").await;
    let answer = two.command("MOVE 1:2 Archive").await;
    assert!(answer.status.starts_with("NO [EXPUNGEISSUED]"), "{answer:?}");
}

#[tokio::test]
async fn a_store_on_a_message_that_another_session_removed_is_told() {
    let (demo, mailbox) = mailbox("perdu");
    let mut one = session(&demo, &mailbox).await;
    fill(&mut one, 3).await;
    let mut two = session(&demo, &mailbox).await;
    one.ok("UID STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    one.ok("UID EXPUNGE 2").await;
    // RFC 2180 §4.2.2: only what is gone.
    let answer = two.command("STORE 2 +FLAGS (\\Flagged)").await;
    assert!(answer.status.starts_with("NO [EXPUNGEISSUED]"), "{answer:?}");
    // §4.2.3: the others are changed and told.
    let answer = two.command("STORE 1:3 +FLAGS (\\Flagged)").await;
    assert!(answer.status.starts_with("NO [EXPUNGEISSUED]"), "{answer:?}");
    let told = answer.text();
    assert!(
        told.contains("* 1 FETCH (FLAGS (\\Flagged") && told.contains("* 3 FETCH (FLAGS (\\Flagged"),
        "{told}"
    );
    assert!(!told.contains("* 2 FETCH"), "{told}");
    // §4.2.1: silence is kept.
    two.ok("STORE 1:3 +FLAGS.SILENT (\\Answered)").await;
    two.ok("UID STORE 2:3 +FLAGS (\\Draft)").await;
    assert_eq!(two.ok("FETCH 1:* FLAGS").await.text().matches("\\Answered").count(), 2);
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_their_order_also_around_idle() {
    let (demo, mailbox) = mailbox("pipeline");
    let mut filler = session(&demo, &mailbox).await;
    fill(&mut filler, 2).await;
    let mut wire = Wire::imap(&demo, demo.north(), &mailbox).await;
    // RFC 3501 §5.5: what a FETCH shows depends on the STOREs before it, and on no later one.
    wire.send_raw(
        b"a SELECT INBOX\r\nb FETCH 1 FLAGS\r\nc STORE 1 +FLAGS (\\Seen)\r\nd FETCH 1 FLAGS\r\ne STORE 1 -FLAGS (\\Seen)\r\nf FETCH 1 FLAGS\r\n\
        g IDLE\r\nDONE\r\nh STORE 2 +FLAGS.SILENT (\\Deleted)\r\ni EXPUNGE\r\nj FETCH 1:* UID\r\nk IDLE\r\nDONE\r\nl NOOP\r\n",
    )
    .await;
    wire.until("a OK").await;
    let seen = async |wire: &mut Wire, tag: &str| wire.until(tag).await.concat().contains("\\Seen");
    assert!(!seen(&mut wire, "b OK").await);
    assert!(seen(&mut wire, "c OK").await);
    assert!(seen(&mut wire, "d OK").await);
    assert!(!seen(&mut wire, "e OK").await);
    assert!(!seen(&mut wire, "f OK").await);
    assert_eq!(wire.until("g OK").await.len(), 2, "{wire:?}");
    wire.until("h OK").await;
    assert!(wire.until("i OK").await.contains(&"* 2 EXPUNGE".to_owned()), "{wire:?}");
    assert!(wire.until("j OK").await.contains(&"* 1 FETCH (UID 1)".to_owned()), "{wire:?}");
    wire.until("k OK").await;
    wire.until("l OK").await;
    // What is no DONE ends the IDLE with BAD, and what follows is heard.
    wire.send_raw(b"m IDLE\r\nn NOOP\r\no NOOP\r\n").await;
    assert!(wire.until("m BAD").await.iter().any(|line| line.starts_with('+')), "{wire:?}");
    wire.until("o OK").await;
}

#[tokio::test]
async fn thousands_of_changes_reach_a_session_that_idles_and_one_that_asks() {
    let (demo, mailbox) = mailbox("milliers");
    let mut one = session(&demo, &mailbox).await;
    fill(&mut one, 16).await;
    one.ok("NOOP").await;
    // A folder doubled again and again: 16 to 4096 messages.
    for _ in 0..8 {
        one.ok("COPY 1:* INBOX").await;
        one.ok("NOOP").await;
    }
    let mut idler = session(&demo, &mailbox).await;
    let mut asker = session(&demo, &mailbox).await;
    idler.idle().await;
    one.ok("STORE 1:* +FLAGS.SILENT (\\Flagged $Urgent)").await;
    idler.until_line("* 4096 FETCH (FLAGS (\\Flagged").await;
    one.ok("STORE 1:4000 +FLAGS.SILENT (\\Deleted)").await;
    one.ok("EXPUNGE").await;
    idler.until_line("* 1 EXPUNGE").await;
    idler.done().await;
    assert!(idler.ok("STATUS INBOX (MESSAGES)").await.text().contains("MESSAGES 96"));
    let told = asker.ok("NOOP").await.text();
    assert_eq!(told.matches(" EXPUNGE").count(), 4000);
    assert!(told.contains("[PERMANENTFLAGS (") && told.contains("$Urgent"), "the new keyword is told");
    assert_eq!(asker.ok("FETCH 1:* UID").await.untagged.len(), 96);
    assert_eq!(idler.ok("UID SEARCH ALL").await.text(), asker.ok("UID SEARCH ALL").await.text());
}

#[tokio::test]
async fn a_folder_deleted_under_a_session_ends_it_and_its_own_delete_does_not() {
    let (demo, mailbox) = mailbox("efface");
    let mut owner = Imap::login(&demo, demo.north(), &mailbox).await;
    owner.ok("CREATE gone").await;
    let mut wire = Wire::imap(&demo, demo.north(), &mailbox).await;
    wire.send("a SELECT gone").await;
    wire.until("a OK").await;
    owner.ok("SELECT gone").await;
    let told = owner.ok("DELETE gone").await.text();
    assert!(told.contains("[CLOSED]"), "{told}");
    assert!(owner.command("FETCH 1 FLAGS").await.status.starts_with("BAD"));
    wire.send("b NOOP").await;
    assert!(wire.line().await.starts_with("* BYE"), "{wire:?}");
    wire.expect_closed().await;
}
