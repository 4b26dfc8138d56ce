//! Faults of the host that a start or a stop meets: keys that are wrong or gone, a schema from the future, SIGTERM under load; and bodies that rot.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{Finished, Imap, Letter, Load, Mailbox, Operator, Route, Wire, noise_letter, until};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

const DOMAIN: &str = "ville.example";

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

async fn send(operator: &Operator, from: &Mailbox, to: &Mailbox, content: &[u8]) {
    let mut wire = operator.submission(from).await;
    let reply = wire.letter(&from.address, &[&to.address], content).await;
    assert!(reply.text().starts_with("250"), "{wire:?}");
}

fn letter(name: &str, from: &Mailbox) -> Letter {
    Letter::new(name, b"a\r\n").by(&from.address)
}

fn assert_refused(finished: &Finished, words: &[&str]) {
    assert!(!finished.is_success, "{finished:?}");
    for word in words {
        assert!(finished.stderr.contains(word), "`{word}` is not said: {finished:?}");
    }
}

#[tokio::test]
async fn serve_refuses_a_wrong_or_missing_key_file_by_name_and_reads_old_mail_with_the_right_one() {
    let mut operator = Operator::init(DOMAIN);
    operator.serve();
    let anne = operator.new_mailbox("anne");
    let old = letter("ancienne", &anne);
    send(&operator, &anne, &anne, &old.content).await;
    operator.process().terminate();
    let keys = files(&operator.file("keys"));
    let [key] = keys.as_slice() else { panic!("one key file, not {keys:?}") };
    let right = std::fs::read(key).unwrap();
    let name = key.to_str().unwrap();
    std::fs::write(key, "0123456789abcdef".repeat(4)).unwrap();
    assert_refused(&operator.cli(&["serve"]), &[name, "is not the key", "put the right file back"]);
    assert_refused(&operator.cli(&["mailbox", "list"]), &[name]);
    std::fs::write(key, "not a key\n").unwrap();
    assert_refused(&operator.cli(&["serve"]), &[name]);
    std::fs::remove_file(key).unwrap();
    assert_refused(&operator.cli(&["serve"]), &[name, "restore it from the key backup"]);
    assert!(!key.exists(), "a key was made in place of the missing one");
    std::fs::write(key, right).unwrap();
    operator.serve();
    operator.imap(&anne).await.letter(&old.marker).await;
}

#[test]
fn serve_refuses_a_lost_key_file_that_wraps_keys_of_mailboxes_or_of_the_audit_trail_only() {
    let mut operator = Operator::init(DOMAIN);
    operator.new_mailbox("anne");
    let lost = operator.file("keys").join("2020-01.key");
    for table in ["mailbox_keys", "audit_subjects"] {
        operator.sql(&format!("UPDATE {table} SET generation = '2020-01'"));
        let refused = operator.cli(&["serve"]);
        assert_refused(&refused, &[lost.to_str().unwrap(), "is missing", "restore it from the key backup"]);
        assert!(!lost.exists(), "a key was made in place of the missing one");
        operator.sql(&format!(
            "UPDATE {table} SET generation = (SELECT generation FROM operator_keys WHERE name = 'queue')"
        ));
    }
    operator.serve();
}

#[tokio::test]
async fn every_command_refuses_a_schema_from_the_future_and_changes_nothing() {
    let mut operator = Operator::init(DOMAIN);
    operator.serve();
    let anne = operator.new_mailbox("anne");
    let old = letter("avant", &anne);
    send(&operator, &anne, &anne, &old.content).await;
    operator.process().terminate();
    operator.sql("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9001, 'future', TRUE, '', 1)");
    let commands: [&[&str]; 8] = [
        &["serve"],
        &["migrate"],
        &["fsck"],
        &["fsck", "--repair"],
        &["mailbox", "list"],
        &["mailbox", "create", "intrus@ville.example", "--kind", "personal"],
        &["domain", "add", "intrus.example"],
        &["queue", "list"],
    ];
    for command in commands {
        assert_refused(
            &operator.cli(command),
            &["schema version 9001", "run the program version that wrote it"],
        );
    }
    operator.sql("DELETE FROM _sqlx_migrations WHERE version = 9001");
    let listed =
        operator.cli(&["mailbox", "list", "--json"]).ok() + &operator.cli(&["domain", "list", "--json"]).ok();
    assert!(listed.contains("anne") && !listed.contains("intrus"), "{listed}");
    operator.serve();
    operator.imap(&anne).await.letter(&old.marker).await;
}

/// What a session hears of a folder with a damaged message in the middle.
async fn only_the_damaged_one_is_missing(imap: &mut Imap) {
    imap.ok("EXAMINE INBOX").await;
    let answer = imap.command("FETCH 1:3 BODY.PEEK[]").await;
    assert!(answer.status.starts_with("NO [CONTACTADMIN]"), "{imap:?}");
    assert_eq!(answer.literals.len(), 2, "{imap:?}");
    let alone = imap.command("FETCH 2 BODY.PEEK[]").await;
    assert!(alone.status.starts_with("NO [CONTACTADMIN]") && alone.literals.is_empty(), "{imap:?}");
    let others = imap.ok("FETCH 1,3 BODY.PEEK[]").await;
    assert_eq!(others.literals.len(), 2, "{imap:?}");
}

#[tokio::test]
async fn a_body_that_rots_on_disk_costs_no_other_message_and_is_named_in_the_log() {
    let mut operator = Operator::init(DOMAIN);
    operator.serve();
    let anne = operator.new_mailbox("anne");
    let (first, large, last) =
        (letter("une", &anne), noise_letter("SujetSecret.", 900_000), letter("trois", &anne));
    for content in [&first.content, &large, &last.content] {
        send(&operator, &anne, &anne, content).await;
    }
    let (mut one, mut two) = (operator.imap(&anne).await, operator.imap(&anne).await);
    one.ok("EXAMINE INBOX").await;
    let whole = one.ok("FETCH 2 BODY.PEEK[]").await.literals;
    let bodies = files(&operator.file("bodies"));
    let [body] = bodies.as_slice() else { panic!("one body file, not {bodies:?}") };
    let sound = std::fs::read(body).unwrap();
    let flip = |at: usize| {
        let mut octets = sound.clone();
        octets[at] ^= 0x55;
        std::fs::write(body, octets).unwrap();
    };
    flip(100_000);
    only_the_damaged_one_is_missing(&mut one).await;
    only_the_damaged_one_is_missing(&mut two).await;
    // The damage shows when most of the message is sent: that connection ends, and no other.
    flip(sound.len() - 5_000);
    let mut cut = Wire::implicit(operator.ports["imaps"], &operator.anonymous()).await;
    cut.line().await;
    let (user, password) = (anne.username.as_deref().unwrap(), anne.password.as_deref().unwrap());
    cut.send(&format!("a LOGIN {user} {password}")).await;
    cut.until("a OK").await;
    cut.send("b EXAMINE INBOX").await;
    cut.until("b OK").await;
    cut.send("c FETCH 2 BODY.PEEK[]").await;
    let (octets, text) = everything(&mut cut).await;
    assert!(octets < large.len() && !text.contains("c OK"), "{octets} octets");
    two.ok("FETCH 1,3 BODY.PEEK[]").await;
    let log = operator.process().log();
    let id = body.file_name().unwrap().to_str().unwrap();
    for word in [id, "could not be read", "backup"] {
        assert!(log.contains(word), "`{word}` is not in\n{log}");
    }
    assert!(!log.contains("SujetSecret"), "content in the log");
    std::fs::write(body, &sound).unwrap();
    assert_eq!(one.ok("FETCH 2 BODY.PEEK[]").await.literals, whole);
    send(&operator, &anne, &anne, &letter("quatre", &anne).content).await;
}

/// How much a server says until it closes, and the end of it.
async fn everything(wire: &mut Wire) -> (usize, String) {
    let octets = wire.rest().await;
    let end = octets.len().saturating_sub(200);
    (octets.len(), String::from_utf8_lossy(&octets[end..]).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_ends_well_and_loses_nothing_acknowledged() {
    let mut operator = Operator::init(DOMAIN);
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
    let loads = [Load::begin("petites", &route(2_000), 2), Load::begin("grandes", &route(400_000), 1)];
    until("messages under way", async || loads.iter().all(|load| load.acknowledged() > 5).then_some(()))
        .await;
    let took = operator.process().terminate();
    assert!(took < Duration::from_secs(10), "took {took:?}");
    let mut acknowledged = Vec::new();
    for load in loads {
        acknowledged.extend(load.end().await.acknowledged);
    }
    operator.serve();
    assert_each_once(&mut operator.imap(&bob).await, &acknowledged).await;
    operator.cli(&["fsck"]).ok();
}

/// Each acknowledged message is in INBOX exactly once.
async fn assert_each_once(imap: &mut Imap, acknowledged: &[String]) {
    let mut stored: HashMap<String, u32> = HashMap::new();
    for message in imap.messages("INBOX").await {
        let text = String::from_utf8_lossy(&message);
        let subject = text.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap_or_default();
        *stored.entry(subject.to_owned()).or_default() += 1;
    }
    for marker in acknowledged {
        assert_eq!(stored.get(marker), Some(&1), "{marker}");
    }
}
