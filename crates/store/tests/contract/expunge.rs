//! Messages that go, and what they leave.

use crate::support::{Fixture, on_both_engines};
use mail_types::{SystemFlags, Uid};

on_both_engines!(only_messages_marked_deleted_go, ranges_limit_what_goes, nothing_to_expunge_changes_nothing,);

const DELETED: SystemFlags = SystemFlags::DELETED;

async fn only_messages_marked_deleted_go(store: &Fixture) {
    let marie = store.personal("marie").await;
    for flags in [SystemFlags::SEEN, DELETED, DELETED.union(SystemFlags::SEEN), SystemFlags::default()] {
        store.append_with(&marie, marie.inbox, b"12345", flags, &[]).await.unwrap();
    }
    let before = store.status(marie.inbox).await;
    store.expunge(marie.mailbox, marie.inbox, None).await.unwrap();
    assert_eq!(store.uids(marie.inbox).await, [1, 4]);
    let after = store.status(marie.inbox).await;
    assert_eq!((after.messages, after.unseen, after.deleted, after.size_bytes), (2, 1, 0, 10));
    assert_eq!((after.uid_next, after.modseq.0), (5, before.modseq.0 + 1));
    let usage = store.usage(&marie).await;
    assert_eq!((usage.used_bytes, usage.used_messages), (10, 2));
    let changes = store.changes(marie.inbox, None, before.modseq).await.unwrap().unwrap();
    assert_eq!(changes.expunged, [Uid(2), Uid(3)]);
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM released_bodies").await, 2);
    store.assert_sound().await;
}

async fn ranges_limit_what_goes(store: &Fixture) {
    let marie = store.personal("marie").await;
    for _ in 0..6 {
        store.append_with(&marie, marie.inbox, b"x", DELETED, &[]).await.unwrap();
    }
    let before = store.status(marie.inbox).await.modseq;
    store.expunge(marie.mailbox, marie.inbox, Some(vec![(1, 2), (5, 5), (40, 50)])).await.unwrap();
    assert_eq!(store.uids(marie.inbox).await, [3, 4, 6]);
    let status = store.status(marie.inbox).await;
    assert_eq!((status.messages, status.deleted, status.modseq.0), (3, 3, before.0 + 1));
    let changes = store.changes(marie.inbox, None, before).await.unwrap().unwrap();
    assert_eq!(changes.expunged, [Uid(1), Uid(2), Uid(5)]);
    store.assert_sound().await;
}

async fn nothing_to_expunge_changes_nothing(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.deliver(&marie, b"stays").await;
    let before = store.status(marie.inbox).await;
    store.expunge(marie.mailbox, marie.inbox, None).await.unwrap();
    store.expunge(marie.mailbox, marie.inbox, Some(Vec::new())).await.unwrap();
    assert_eq!(store.status(marie.inbox).await, before);
}
