//! A FETCH of many messages: they are read ahead of the client, and come whole, in order, each once.

use scenarios::{Demo, Imap, Wire, noise_letter};
use std::time::{Duration, Instant};

const MESSAGES: usize = 300;
/// Messages that are gone before they are fetched.
const GONE: [usize; 3] = [5, 100, 299];

/// Some are larger than a page, some than a frame, most are small.
fn letter(number: usize) -> Vec<u8> {
    let size = match number {
        n if n % 100 == 7 => 900_000,
        n if n % 10 == 3 => 90_000,
        n => n * 10,
    };
    noise_letter(&format!("page-{number}"), size)
}

#[tokio::test]
async fn messages_of_every_size_come_whole_and_in_order() {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox("pages", "100M");
    let mut other = Imap::login(&demo, demo.north(), &mailbox).await;
    for number in 1..=MESSAGES {
        assert!(other.append("INBOX", &letter(number)).await.status.starts_with("OK"));
    }
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    imap.ok("SELECT INBOX").await;
    other.ok("SELECT INBOX").await;
    other.ok(&format!("STORE {},{},{} +FLAGS.SILENT (\\Deleted)", GONE[0], GONE[1], GONE[2])).await;
    other.ok("EXPUNGE").await;

    let there: Vec<usize> = (1..=MESSAGES).filter(|number| !GONE.contains(number)).collect();
    let told = imap.command("FETCH 1:* (UID BODY.PEEK[])").await;
    assert!(told.status.starts_with("NO [EXPUNGEISSUED]"), "{}", told.status);
    assert_eq!(told.literals.len(), there.len());
    for ((number, content), line) in there.iter().zip(&told.literals).zip(&told.untagged) {
        let beginning = format!("* {number} FETCH (UID {number} BODY[] ");
        assert!(line.starts_with(beginning.as_bytes()), "{beginning}");
        assert!(*content == letter(*number), "message {number}");
    }
    // Parts of messages, of some that are far apart, marked as seen as they come.
    let told = imap.command("FETCH 1:120,200,290:* (BODY[HEADER.FIELDS (SUBJECT)] BODYSTRUCTURE)").await;
    let asked = there.iter().filter(|number| **number <= 120 || **number == 200 || **number >= 290);
    let asked: Vec<&usize> = asked.collect();
    assert_eq!(told.literals.len(), asked.len());
    for (number, line) in asked.iter().zip(&told.untagged) {
        let line = String::from_utf8_lossy(line);
        assert!(line.starts_with(&format!("* {number} FETCH (BODY[HEADER.FIELDS (SUBJECT)] ")), "{line}");
        assert!(line.contains(&format!("Subject: page-{number}\r\n")), "{line}");
        assert!(line.contains("FLAGS (\\Seen"), "{line}");
    }
    let unseen = imap.ok("SEARCH UNSEEN").await.text();
    assert!(!unseen.contains(" 120 ") && unseen.contains(" 121 "), "{unseen}");
    let told = imap.ok("UID FETCH 1:* (RFC822.SIZE INTERNALDATE)").await;
    assert_eq!(told.text().matches("RFC822.SIZE").count(), there.len());
}

#[tokio::test]
async fn a_client_that_goes_in_the_middle_of_an_answer_leaves_nothing_behind() {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox("parti", "100M");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    for number in 1..=40 {
        assert!(
            imap.append("INBOX", &noise_letter(&number.to_string(), 200_000)).await.status.starts_with("OK")
        );
    }
    for _ in 0..30 {
        let mut wire = Wire::imap(&demo, demo.north(), &mailbox).await;
        wire.send("a SELECT INBOX").await;
        wire.until("a OK").await;
        wire.send("b FETCH 1:* BODY.PEEK[]").await;
        wire.octets(100).await;
        drop(wire);
    }
    // Nobody holds a reader of the database that others need.
    imap.ok("SELECT INBOX").await;
    let begin = Instant::now();
    assert_eq!(imap.ok("FETCH 1:* BODY.PEEK[]").await.literals.len(), 40);
    assert!(begin.elapsed() < Duration::from_secs(10), "it took {:?}", begin.elapsed());
}
