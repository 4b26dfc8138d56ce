//! Key files that are not there, or not the right ones.

use crate::support::{Fixture, START, on_both_engines};
use mail_types::{MailboxId, MailboxKind, UserId};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use store::{AuditEntry, Category, Error, NewMailbox, Store, Subject};

on_both_engines!(
    a_key_file_is_for_its_owner_only,
    a_missing_key_file_is_named,
    a_wrong_key_file_is_named,
    a_key_file_that_was_lost_is_not_made_anew,
    a_lost_key_file_is_not_made_anew_whichever_table_it_wraps_keys_of,
    every_lost_or_wrong_key_file_is_named_before_anything_is_served,
    a_key_file_that_is_lost_for_good_is_no_longer_asked_for,
    nodes_that_do_not_share_their_key_folder_are_found_out,
    nodes_that_begin_a_month_at_the_same_moment_wrap_with_one_key,
    nothing_is_wrapped_with_a_key_file_that_is_not_the_right_one,
    a_month_has_a_key_of_its_own,
    processes_that_start_together_agree_on_the_keys,
);

/// The text of a key error.
fn key_error<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    match outcome {
        Err(Error::Key(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn mailbox(name: &str) -> NewMailbox {
    NewMailbox {
        address: format!("{name}@ch.example").parse().unwrap(),
        kind: MailboxKind::Personal,
        owner: None,
        quota_bytes: 1000,
    }
}

async fn a_key_file_is_for_its_owner_only(store: &Fixture) {
    assert_eq!(std::fs::metadata(store.key_file()).unwrap().permissions().mode() & 0o777, 0o600);
    let name = store.key_file().file_name().unwrap().to_owned();
    assert_eq!(name, "2030-03.key");
}

async fn a_missing_key_file_is_named(store: &Fixture) {
    store.personal("marie").await;
    let file = store.key_file();
    std::fs::remove_file(&file).unwrap();
    let text = key_error(store.open_again().await);
    assert!(
        text.contains(file.to_str().unwrap()) && text.contains("restore it from the key backup"),
        "{text}"
    );
    assert!(!file.exists());
}

async fn a_wrong_key_file_is_named(store: &Fixture) {
    store.personal("marie").await;
    let file = store.key_file();
    let right = std::fs::read_to_string(&file).unwrap();
    for (content, complaint) in [
        ("ab".repeat(32), "put the right file back"),
        ("xy".repeat(32), "not 64 hexadecimal digits"),
        (String::new(), "not 64 hexadecimal digits"),
    ] {
        std::fs::write(&file, content).unwrap();
        let text = key_error(store.open_again().await);
        assert!(text.contains(file.to_str().unwrap()) && text.contains(complaint), "{text}");
    }
    std::fs::write(&file, right).unwrap();
    store.open_again().await.unwrap().close().await;
}

async fn a_key_file_that_was_lost_is_not_made_anew(store: &Fixture) {
    store.personal("marie").await;
    let operator_file = store.key_file();
    // Another month's key wraps only mailboxes, so that the store opens without it.
    store.clock.set(START.plus_secs(40 * 86_400));
    store.personal("pierre").await;
    let later_file = store.options.key_dir.join("2030-04.key");
    let saved = std::fs::read(&later_file).unwrap();
    std::fs::remove_file(&later_file).unwrap();
    // While it is in memory, the running process needs no file, and makes none.
    store.create_mailbox(mailbox("irene")).await.unwrap().unwrap();
    assert!(!later_file.exists());
    let again = store.open_again().await.unwrap();
    let error = again.create_mailbox(mailbox("eve")).await.unwrap_err();
    assert!(error.to_string().contains("2030-04.key"), "{error}");
    assert!(!later_file.exists() && operator_file.exists());
    std::fs::write(&later_file, saved).unwrap();
    again.create_mailbox(mailbox("eve")).await.unwrap().unwrap();
    for name in ["marie", "pierre", "irene", "eve"] {
        let row = again.mailbox(&format!("{name}@ch.example").parse().unwrap()).await.unwrap().unwrap();
        again.mailbox_key(row.id).await.unwrap();
    }
    again.close().await;
}

/// A store whose keys of mailboxes, of subjects and of the operator were wrapped in three months; the file of each.
async fn three_months(store: &Fixture) -> [PathBuf; 3] {
    store.clock.set(START.plus_secs(40 * 86_400));
    let of_subjects = AuditEntry::new(Category::Access, "login").subject(Subject::User(UserId(1)));
    store.record_audit(vec![of_subjects.why("sealed")]).await.unwrap();
    store.clock.set(START.plus_secs(70 * 86_400));
    store.personal("pierre").await;
    store.raw.execute("DELETE FROM audit_subjects WHERE generation = '2030-05'").await;
    ["2030-03", "2030-04", "2030-05"].map(|month| store.options.key_dir.join(format!("{month}.key")))
}

async fn a_lost_key_file_is_not_made_anew_whichever_table_it_wraps_keys_of(store: &Fixture) {
    let [_, of_subjects, of_mailboxes] = three_months(store).await;
    for (file, days) in [(of_subjects, 40), (of_mailboxes, 70)] {
        let saved = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        store.clock.set(START.plus_secs(days * 86_400));
        let again = store.open_again().await.unwrap();
        // Neither the key of a mailbox nor that of a subject is wrapped with another key of the same name.
        let text = again.create_mailbox(mailbox("eve")).await.unwrap_err().to_string();
        assert!(text.contains(file.to_str().unwrap()) && text.contains("is missing"), "{text}");
        let entry =
            AuditEntry::new(Category::Access, "login").subject(Subject::User(UserId(2))).why("sealed");
        let text = again.record_audit(vec![entry]).await.unwrap_err().to_string();
        assert!(text.contains(file.to_str().unwrap()) && text.contains("restore it"), "{text}");
        again.close().await;
        // Nor is a key that the operator lacks.
        store
            .raw
            .execute("CREATE TABLE kept AS SELECT * FROM operator_keys WHERE name = 'fingerprint'")
            .await;
        store.raw.execute("DELETE FROM operator_keys WHERE name = 'fingerprint'").await;
        let text = key_error(store.open_again().await);
        assert!(text.contains(file.to_str().unwrap()), "{text}");
        assert!(!file.exists());
        std::fs::write(&file, saved).unwrap();
        store.raw.execute("INSERT INTO operator_keys SELECT * FROM kept").await;
        store.raw.execute("DROP TABLE kept").await;
    }
}

async fn every_lost_or_wrong_key_file_is_named_before_anything_is_served(store: &Fixture) {
    let [of_operator, of_subjects, of_mailboxes] = three_months(store).await;
    let again = store.open_again().await.unwrap();
    again.check_keys(&[]).await.unwrap();
    again.close().await;
    let saved = [&of_subjects, &of_mailboxes].map(|file| std::fs::read(file).unwrap());
    std::fs::remove_file(&of_subjects).unwrap();
    std::fs::write(&of_mailboxes, "ab".repeat(32)).unwrap();
    let again = store.open_again().await.unwrap();
    let text = key_error(again.check_keys(&[]).await);
    let lost = format!("{} is missing", of_subjects.display());
    let wrong = format!("{} is not the key", of_mailboxes.display());
    assert!(text.contains(&lost) && text.contains("restore it from the key backup"), "{text}");
    assert!(text.contains(&wrong) && text.contains("put the right file back"), "{text}");
    assert!(!text.contains(of_operator.to_str().unwrap()) && !of_subjects.exists(), "{text}");
    for (file, content) in [&of_subjects, &of_mailboxes].into_iter().zip(saved) {
        std::fs::write(file, content).unwrap();
    }
    again.check_keys(&[]).await.unwrap();
    again.close().await;
}

async fn a_key_file_that_is_lost_for_good_is_no_longer_asked_for(store: &Fixture) {
    let [_, of_subjects, of_mailboxes] = three_months(store).await;
    let sealed = store.raw.int("SELECT mailbox_id FROM mailbox_keys WHERE generation = '2030-05'").await;
    std::fs::remove_file(&of_subjects).unwrap();
    std::fs::remove_file(&of_mailboxes).unwrap();
    let again = store.open_again().await.unwrap();
    let text = key_error(again.check_keys(&["2030-04".to_owned()]).await);
    assert!(text.contains(of_mailboxes.to_str().unwrap()) && text.contains("lost_key_generations"), "{text}");
    assert!(!text.contains(of_subjects.to_str().unwrap()), "{text}");
    again.check_keys(&["2030-04".to_owned(), "2030-05".to_owned()]).await.unwrap();
    // What it sealed stays sealed.
    key_error(again.mailbox_key(MailboxId(sealed)).await);
    again.close().await;
}

async fn nodes_that_do_not_share_their_key_folder_are_found_out(store: &Fixture) {
    store.clock.set(START.plus_secs(40 * 86_400));
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::copy(store.key_file(), elsewhere.path().join("2030-03.key")).unwrap();
    let mut options = store.options.clone();
    options.key_dir = elsewhere.path().to_owned();
    let other = Store::open(&options).await.unwrap();
    store.personal("marie").await;
    // The key of the new month was made here: one that the other node makes may wrap nothing.
    for _ in 0..2 {
        let text = other.create_mailbox(mailbox("eve")).await.unwrap_err().to_string();
        assert!(text.contains("2030-04.key"), "{text}");
    }
    std::fs::copy(store.options.key_dir.join("2030-04.key"), elsewhere.path().join("2030-04.key")).unwrap();
    other.create_mailbox(mailbox("eve")).await.unwrap().unwrap();
    other.close().await;
}

async fn nodes_that_begin_a_month_at_the_same_moment_wrap_with_one_key(store: &Fixture) {
    store.personal("marie").await;
    store.clock.set(START.plus_secs(40 * 86_400));
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::copy(store.key_file(), elsewhere.path().join("2030-03.key")).unwrap();
    let mut options = store.options.clone();
    options.key_dir = elsewhere.path().to_owned();
    let other = Store::open(&options).await.unwrap();
    let (ours, theirs) =
        tokio::join!(store.create_mailbox(mailbox("eve")), other.create_mailbox(mailbox("ada")));
    let made = [ours, theirs].into_iter().filter(|made| matches!(made, Ok(Ok(_)))).count();
    assert_eq!(made, 1, "both wrapped, each with a key of its own");
    other.close().await;
}

async fn nothing_is_wrapped_with_a_key_file_that_is_not_the_right_one(store: &Fixture) {
    let [_, _, of_mailboxes] = three_months(store).await;
    let saved = std::fs::read(&of_mailboxes).unwrap();
    std::fs::write(&of_mailboxes, "ab".repeat(32)).unwrap();
    let again = store.open_again().await.unwrap();
    for _ in 0..2 {
        let text = again.create_mailbox(mailbox("eve")).await.unwrap_err().to_string();
        assert!(text.contains("put the right file back"), "{text}");
    }
    std::fs::write(&of_mailboxes, saved).unwrap();
    again.create_mailbox(mailbox("eve")).await.unwrap().unwrap();
    again.check_keys(&[]).await.unwrap();
    again.close().await;
}

async fn a_month_has_a_key_of_its_own(store: &Fixture) {
    store.personal("marie").await;
    store.clock.set(START.plus_secs(40 * 86_400));
    store.personal("pierre").await;
    let generations = store.raw.texts("SELECT generation FROM mailbox_keys ORDER BY mailbox_id").await;
    assert_eq!(generations, ["2030-03", "2030-04"]);
    store.open_again().await.unwrap().close().await;
}

async fn processes_that_start_together_agree_on_the_keys(store: &Fixture) {
    store.raw.execute("DELETE FROM operator_keys").await;
    std::fs::remove_file(store.key_file()).unwrap();
    let mut starting = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let options = store.options.clone();
        starting.spawn(async move { Store::open(&options).await.unwrap() });
    }
    let mut fingerprints = Vec::new();
    for process in starting.join_all().await {
        fingerprints.push(process.fingerprint(&[b"content"]));
        process.close().await;
    }
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), 1);
    assert_eq!(std::fs::read_dir(&store.options.key_dir).unwrap().count(), 1);
}
