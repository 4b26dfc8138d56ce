//! Searches that take long: they end with their client, with its right, and tell that they go on; and what they cannot read they do not pass over in silence.

use scenarios::{Api, Demo, Imap, Mailbox, Operator, now, within};
use serde_json::json;
use std::time::{Duration, Instant};

/// A text that has no extract: a search reads it anew each time.
fn large(mib: usize) -> String {
    let head = "From: a@nord.example\r\nSubject: grand\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";
    let line = "ligne assez longue pour compter, et un côté accentué\r\n";
    format!("{head}{}au bout: xanthochromique\r\n", line.repeat(mib * 1024 * 1024 / line.len()))
}

async fn appended(imap: &mut Imap, letter: &str) {
    let status = imap.append("INBOX", letter.as_bytes()).await.status;
    assert!(status.starts_with("OK"), "{status}");
}

/// A folder of which a search reads far more than it can in the time of a scenario.
async fn filled(imap: &mut Imap) {
    appended(imap, &large(4)).await;
    imap.ok("SELECT INBOX").await;
    for _ in 0..9 {
        imap.ok("COPY 1:* INBOX").await;
        imap.ok("NOOP").await;
    }
}

/// How often a folder is doubled of which a search takes a few seconds.
const DOUBLED: usize = 6;

fn mailbox(demo: &Demo, name: &str) -> Mailbox {
    demo.north().new_mailbox(name, "4G")
}

#[tokio::test]
async fn what_stands_past_every_bound_of_an_extract_is_found() {
    let demo = Demo::shared();
    let mailbox = mailbox(&demo, "lointain");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    appended(&mut imap, &large(6)).await;
    imap.ok("SELECT INBOX").await;
    for (keys, expected) in [
        ("BODY xanthochromique", "* SEARCH 1"),
        ("BODY xanthochromie", "* SEARCH"),
        ("OR SUBJECT absent BODY \"au bout: XANTHO\"", "* SEARCH 1"),
        ("NOT BODY xanthochromique", "* SEARCH"),
        ("SUBJECT grand", "* SEARCH 1"),
    ] {
        let told = imap.ok(&format!("SEARCH {keys}")).await.text();
        // On a busy machine it takes its time.
        let found: String = told.lines().filter(|line| !line.contains("[INPROGRESS ")).collect();
        assert_eq!(found, expected, "{keys}");
    }
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_told_and_the_others_are_found() {
    let mut operator = Operator::init("nord.mssante.test");
    let mailbox = operator.new_mailbox("marie");
    operator.serve();
    let mut imap = operator.imap(&mailbox).await;
    for n in 1..=3 {
        appended(&mut imap, &format!("Subject: lettre {n}\r\n\r\nun mot rare\r\n")).await;
    }
    operator.process().terminate();
    operator.sql("UPDATE extracts SET extract = signature WHERE body_id IN (SELECT body_id FROM messages WHERE uid = 2)");
    operator.serve();
    let mut imap = operator.imap(&mailbox).await;
    imap.ok("SELECT INBOX").await;
    imap.ok("SEARCH RETURN (SAVE) 1").await;
    for (command, told) in [
        ("SEARCH BODY \"mot rare\"", "* SEARCH 1 3\n"),
        ("SORT (ARRIVAL) UTF-8 BODY \"mot rare\"", "* SORT 1 3\n"),
        ("THREAD REFERENCES UTF-8 BODY \"mot rare\"", "* THREAD (1 3)\n"),
        ("SEARCH RETURN (SAVE) BODY \"mot rare\"", ""),
    ] {
        let response = imap.command(command).await;
        assert!(response.status.starts_with("NO [CONTACTADMIN]"), "{command}: {}", response.status);
        if !command.starts_with("THREAD") {
            assert_eq!(response.text(), told, "{command}");
        }
    }
    assert_eq!(imap.ok("SEARCH RETURN (COUNT) $").await.text().matches("COUNT 0").count(), 1);
    // What need not be read is as before.
    assert_eq!(imap.ok("SEARCH 1:3").await.text(), "* SEARCH 1 2 3\n");
}

#[tokio::test]
async fn a_long_search_says_that_it_goes_on_and_ends_with_its_client() {
    let demo = Demo::shared();
    let mailbox = mailbox(&demo, "patient");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    filled(&mut imap).await;
    imap.begin("long SEARCH BODY introuvable").await;
    imap.wait_for_line("* OK [INPROGRESS (\"long\" ", Duration::from_secs(30)).await;
    drop(imap);
    // It gave its turns back: another one that reads a message is soon done.
    let mut other = Imap::login(&demo, demo.north(), &mailbox).await;
    other.ok("SELECT INBOX").await;
    let begin = Instant::now();
    within("an answer", other.ok("SEARCH 1 BODY xanthochromique")).await;
    assert!(begin.elapsed() < Duration::from_secs(10), "after {:?}", begin.elapsed());
}

#[tokio::test]
async fn a_right_that_is_taken_away_ends_a_search_under_way() {
    let demo = Demo::shared();
    let (chief, nurse) = (mailbox(&demo, "longue.chief"), mailbox(&demo, "longue.nurse"));
    filled(&mut Imap::login(&demo, demo.north(), &chief).await).await;
    let api = Api::admin(&demo, demo.north());
    let path = format!("/mailboxes/{}/delegations", chief.address);
    api.post(&path, &json!({"login": nurse.address, "role": "read"})).await.expect(201);
    let mut imap = Imap::login(&demo, demo.north(), &nurse).await;
    imap.ok(&format!("SELECT \"Other Users/{}/INBOX\"", chief.address)).await;
    imap.begin("long SEARCH BODY introuvable").await;
    let path = format!("{path}/{}", nurse.address);
    let etag = api.get(&path).await.expect(200).etag().to_owned();
    api.delete(&path, &etag).await.expect(204);
    // Of this the nurse hears nothing any more.
    let mut own = Imap::login(&demo, demo.north(), &chief).await;
    own.ok("SELECT INBOX").await;
    own.ok("STORE 1 +FLAGS (\\Flagged)").await;
    let begin = now();
    imap.until_line("* BYE").await;
    imap.expect_closed().await;
    assert!(now().secs() - begin.secs() < 6);
}

#[tokio::test]
async fn commands_sent_ahead_are_done_for_a_client_that_says_nothing_more() {
    let demo = Demo::shared();
    let mailbox = mailbox(&demo, "longue.avance");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    appended(&mut imap, &large(4)).await;
    imap.ok("SELECT INBOX").await;
    for _ in 0..DOUBLED {
        imap.ok("COPY 1:* INBOX").await;
        imap.ok("NOOP").await;
    }
    let begin = Instant::now();
    imap.begin("a SEARCH BODY introuvable\r\nb UID STORE 1 +FLAGS (\\Flagged)\r\nc LOGOUT").await;
    imap.end_of_speech().await;
    imap.wait_for_line("a OK", Duration::from_secs(120)).await;
    assert!(begin.elapsed() > Duration::from_secs(3), "too soon to tell: {:?}", begin.elapsed());
    for line in ["* 1 FETCH (UID 1 FLAGS (\\Flagged", "b OK", "* BYE", "c OK"] {
        imap.until_line(line).await;
    }
    imap.expect_closed().await;
}
