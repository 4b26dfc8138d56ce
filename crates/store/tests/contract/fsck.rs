//! What `fsck` finds and sets right.

use crate::support::{Fixture, noise, on_both_engines};
use mail_types::SystemFlags;
use store::FsckReport;

on_both_engines!(
    tampered_counters_are_found_and_repaired,
    a_body_that_nothing_refers_to_is_found_and_released,
    missing_and_orphan_files_are_counted,
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
    std::fs::rename(&file, file.with_file_name("ff".repeat(16))).unwrap();
    let report = store.fsck(true).await.unwrap();
    assert_eq!((report.missing_files, report.orphan_files), (1, 1));
    assert_eq!(store.uids(marie.inbox).await, [1], "fsck never touches a message");
}
