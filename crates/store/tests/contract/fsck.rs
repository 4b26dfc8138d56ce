//! What `fsck` finds and sets right.

use crate::support::{Fixture, noise, on_both_engines};
use mail_types::{MailboxKind, SystemFlags};
use store::{FlagAction, FsckReport};

on_both_engines!(
    tampered_counters_are_found_and_repaired,
    a_body_that_nothing_refers_to_is_found_and_released,
    missing_and_orphan_files_are_counted,
    a_body_that_is_about_to_get_its_row_is_no_orphan,
    a_next_uid_that_was_given_already_is_found_and_repaired,
    what_an_actor_has_seen_is_counted_again,
);

async fn tampered_counters_are_found_and_repaired(store: &Fixture) {
    let (marie, pierre) = (store.personal("marie").await, store.personal("pierre").await);
    let both = SystemFlags::SEEN.union(SystemFlags::DELETED);
    for flags in [both, SystemFlags::SEEN, SystemFlags::default()] {
        store.append_with(&marie, marie.inbox, b"12345", flags, &[]).await.unwrap();
    }
    store.deliver(&pierre, b"sound").await;
    store.assert_sound().await;
    let truth = store.status(marie.inbox).await;
    for column in ["message_count", "seen_count", "deleted_count", "size_bytes"] {
        store
            .raw
            .execute(&format!("UPDATE folders SET {column} = {column} + 1 WHERE id = {}", marie.inbox))
            .await;
        let report = store.fsck(false).await.unwrap();
        assert_eq!(report, FsckReport { folder_counters: 1, ..FsckReport::default() }, "{column}");
        let report = store.fsck(true).await.unwrap();
        assert!(report.is_repaired && report.folder_counters == 1, "{column}");
        assert_eq!(store.status(marie.inbox).await, truth, "{column}");
    }
    for column in ["used_bytes", "used_messages"] {
        store.raw.execute(&format!("UPDATE mailboxes SET {column} = 0 WHERE id = {}", marie.mailbox)).await;
        assert_eq!(store.fsck(true).await.unwrap().mailbox_counters, 1, "{column}");
        store.assert_sound().await;
    }
    assert_eq!(store.usage(&marie).await.used_bytes, 15);
}

async fn a_body_that_nothing_refers_to_is_found_and_released(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.deliver(&marie, b"content").await;
    store.raw.execute("DELETE FROM messages").await;
    let report = store.fsck(true).await.unwrap();
    assert_eq!((report.unreferenced_bodies, report.folder_counters, report.mailbox_counters), (1, 1, 1));
    store.assert_sound().await;
    assert_eq!(store.sweep_later().await, 1);
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM bodies").await, 0);
}

async fn missing_and_orphan_files_are_counted(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.deliver(&marie, &noise(400_000)).await;
    let file = store.body_files().remove(0);
    let name = file.file_name().unwrap().to_str().unwrap();
    std::fs::rename(&file, file.with_file_name(format!("ffff{}", &name[4..]))).unwrap();
    let report = store.fsck(true).await.unwrap();
    assert_eq!((report.missing_files, report.orphan_files), (1, 1));
    assert_eq!(store.uids(marie.inbox).await, [1], "fsck never touches a message");
}

async fn a_body_that_is_about_to_get_its_row_is_no_orphan(store: &Fixture) {
    let marie = store.personal("marie").await;
    let acceptance = store.acceptance(&noise(400_000), &[&marie]).await;
    assert_eq!(store.body_files().len(), 1);
    store.assert_sound().await;
    store.accept(acceptance).await.unwrap();
    store.assert_sound().await;
}

async fn a_next_uid_that_was_given_already_is_found_and_repaired(store: &Fixture) {
    let marie = store.personal("marie").await;
    for flags in [SystemFlags::default(), SystemFlags::DELETED] {
        store.append_with(&marie, marie.inbox, b"12345", flags, &[]).await.unwrap();
    }
    store.expunge(marie.mailbox, marie.inbox, None).await.unwrap();
    let modseq = store.status(marie.inbox).await.modseq;
    store.raw.execute("UPDATE folders SET uid_next = 2, modseq = 1").await;
    let report = store.fsck(true).await.unwrap();
    assert!(report.is_repaired && report.folder_counters >= 1, "{report:?}");
    let status = store.status(marie.inbox).await;
    assert_eq!(
        (status.uid_next, status.modseq),
        (3, modseq),
        "the UID of an expunged message is not given again"
    );
    store.assert_sound().await;
}

async fn what_an_actor_has_seen_is_counted_again(store: &Fixture) {
    store.create_user("chief", "", None).await.unwrap();
    let ward = store.holder("ward", MailboxKind::Organizational, Some("chief")).await;
    for _ in 0..3 {
        store.deliver(&ward, b"message").await;
    }
    let (folder, actor) = (ward.inbox, ward.actor);
    let ranges = vec![(1, 2)];
    store
        .store_flags(folder, Some(actor), ranges, FlagAction::Add, SystemFlags::SEEN, Vec::new())
        .await
        .unwrap();
    store.assert_sound().await;
    let gone = format!(
        "INSERT INTO seen (folder_id, actor_id, uid, is_set, modseq) VALUES ({folder}, {actor}, 99, 1, 1)"
    );
    for fault in ["UPDATE seen_counts SET seen_count = 7", "DELETE FROM seen_counts", &gone] {
        store.raw.execute(fault).await;
        let report = store.fsck(true).await.unwrap();
        assert_eq!(
            report,
            FsckReport { private_seen: 1, is_repaired: true, ..FsckReport::default() },
            "{fault}"
        );
        store.assert_sound().await;
        assert_eq!(store.raw.int("SELECT seen_count FROM seen_counts").await, 2, "{fault}");
    }
}
