//! A full disk. On PostgreSQL it is the one of bodies and spool; on SQLite of the rows too.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{Engine, Load, Mailbox, Operator, PATIENCE, Route, Wire, noise_letter, until};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Octets of a message whose body lies in a file.
const LARGE: usize = 500_000;

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Files of bodies, and of messages on their way in.
fn bodies(operator: &Operator) -> (usize, usize) {
    (files(&operator.file("bodies")).len(), files(&operator.file("spool")).len())
}

/// What the server says to a message; a fresh connection, as after a refusal.
async fn offer(operator: &Operator, from: &Mailbox, to: &Mailbox, name: &str, size: usize) -> String {
    let mut wire: Wire = operator.submission(from).await;
    wire.wait_for_replies(PATIENCE);
    wire.letter(&from.address, &[&to.address], &noise_letter(name, size)).await.text()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_puts_mail_off_loses_nothing_and_feeds_on_nothing() {
    let mut operator = Operator::init_on_small_disk("ville.example", 64);
    operator.serve();
    let (anne, bob) = (operator.new_mailbox("anne"), operator.new_mailbox("bob"));
    let route = |size| Route {
        port: operator.ports["submissions"],
        tls: operator.anonymous(),
        login: Some(anne.clone()),
        from: anne.address.clone(),
        to: vec![bob.address.clone()],
        size,
    };
    let mut reader = operator.imap(&bob).await;
    let loads = [Load::begin("grandes", &route(LARGE), 2), Load::begin("petites", &route(3_000), 1)];
    until("messages under way", async || loads.iter().all(|load| load.acknowledged() > 3).then_some(()))
        .await;
    operator.disk().fill();
    until("a refusal", async || {
        let said = offer(&operator, &anne, &bob, "essai.", LARGE).await;
        assert!(said.starts_with("250") || said.starts_with("452 4.3.1"), "{said}");
        said.starts_with("452").then_some(())
    })
    .await;
    let (mut acknowledged, mut refusals) = (Vec::new(), Vec::new());
    for load in loads {
        let heard = load.end().await;
        acknowledged.extend(heard.acknowledged);
        refusals.extend(heard.refusals);
    }
    assert!(refusals.iter().all(|said| said.starts_with("452 4.3.1")), "{refusals:?}");
    // Refused messages leave nothing behind.
    until("an empty spool", async || (bodies(&operator).1 == 0).then_some(())).await;
    let before = bodies(&operator);
    for number in 0..5 {
        let said = offer(&operator, &anne, &bob, &format!("refus-{number}."), LARGE).await;
        assert!(said.starts_with("452 4.3.1"), "{said}");
    }
    until("no file of a refused message", async || (bodies(&operator) == before).then_some(())).await;
    // Who was there goes on reading, and who comes may.
    assert_each_once(&reader.messages("INBOX").await, &acknowledged);
    assert_each_once(&operator.imap(&bob).await.messages("INBOX").await, &acknowledged);
    // Most clients ask so that the message becomes seen, too; they get it even where that cannot be noted.
    let mut client = operator.imap(&bob).await;
    client.ok("SELECT INBOX").await;
    let read = client.ok("FETCH 1:3 BODY[]").await;
    assert_eq!(read.literals.len(), 3, "{client:?}");
    let kept = client.append("INBOX", &noise_letter("garde.", LARGE)).await;
    assert!(kept.status.starts_with("NO [UNAVAILABLE]"), "{kept:?}");
    let log = operator.process().log();
    for word in ["the disk is full", "free space where [store] data_dir and the database lie"] {
        assert!(log.contains(word), "`{word}` is not in\n{log}");
    }
    assert!(!log.contains("panicked"), "{log}");
    if Engine::of_this_run() == Engine::Sqlite {
        operator.process().terminate();
        let refused = operator.cli(&["serve"]);
        assert!(!refused.is_success && refused.stderr.contains("the disk is full"), "{refused:?}");
        operator.disk().empty();
        operator.serve();
        reader = operator.imap(&bob).await;
    } else {
        operator.disk().empty();
    }
    for (name, size) in [("reprise-grande.", LARGE), ("reprise-petite.", 3_000)] {
        let said = offer(&operator, &anne, &bob, name, size).await;
        assert!(said.starts_with("250"), "there is room again, and the server says {said}");
        acknowledged.push(name.to_owned());
    }
    reader.ok("NOOP").await;
    assert_each_once(&reader.messages("INBOX").await, &acknowledged);
    operator.cli(&["fsck"]).ok();
    operator.process().terminate();
    operator.serve();
    assert_each_once(&operator.imap(&bob).await.messages("INBOX").await, &acknowledged);
}

/// Each acknowledged message is there exactly once.
fn assert_each_once(messages: &[Vec<u8>], acknowledged: &[String]) {
    let mut stored: HashMap<String, u32> = HashMap::new();
    for message in messages {
        let text = String::from_utf8_lossy(message);
        let subject = text.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap_or_default();
        *stored.entry(subject.to_owned()).or_default() += 1;
    }
    for marker in acknowledged {
        assert_eq!(stored.get(marker), Some(&1), "{marker}");
    }
}
