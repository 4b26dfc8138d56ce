//! COPY, MOVE and quotas.

use crate::support::{Fixture, on_both_engines};
use mail_types::{SystemFlags, Uid};

on_both_engines!(
    a_copy_keeps_flags_keywords_and_shares_the_body,
    a_copy_to_another_mailbox_is_readable_there,
    a_copy_over_quota_does_nothing,
    an_append_over_quota_stores_nothing,
    a_move_takes_messages_away_and_asks_no_quota,
    a_move_within_one_folder_loses_nothing,
    a_copy_of_nothing_is_empty,
);

async fn a_copy_keeps_flags_keywords_and_shares_the_body(store: &Fixture) {
    let marie = store.personal("marie").await;
    let archive = store.folder_id(marie.mailbox, "Archive").await;
    store.append_with(&marie, archive, b"other", SystemFlags::default(), &["other"]).await.unwrap();
    let flags = SystemFlags::SEEN.union(SystemFlags::ANSWERED);
    store.append_with(&marie, marie.inbox, b"first", flags, &["a", "b"]).await.unwrap();
    store.append_with(&marie, marie.inbox, b"second", SystemFlags::default(), &["b"]).await.unwrap();
    store.append_with(&marie, marie.inbox, b"third", SystemFlags::default(), &[]).await.unwrap();
    let copied = store
        .copy((marie.mailbox, marie.inbox), (marie.mailbox, archive), vec![(1, 1), (3, 9)], None, None)
        .await
        .unwrap();
    assert_eq!(copied.as_ref().unwrap().uids, [(Uid(1), Uid(2)), (Uid(3), Uid(3))]);
    assert_eq!(copied.unwrap().uid_validity, store.status(archive).await.uid_validity.0);
    let selected = store.select(archive, None, false).await.unwrap().unwrap();
    assert_eq!(selected.keywords, ["other", "a", "b"]);
    let rows: Vec<_> = selected.rows.iter().map(|row| (row.flags, row.keywords)).collect();
    assert_eq!(rows[1..], [(flags, 0b110), (SystemFlags::default(), 0)]);
    assert_eq!(store.read_all(&marie, archive, 2).await, b"first");
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM bodies").await, 4);
    assert_eq!(store.usage(&marie).await.used_bytes, 5 + 5 + 6 + 5 + 5 + 5);
    assert_eq!(store.uids(marie.inbox).await, [1, 2, 3]);
    store.assert_sound().await;
}

async fn a_copy_to_another_mailbox_is_readable_there(store: &Fixture) {
    let (marie, pierre) = (store.personal("marie").await, store.personal("pierre").await);
    store.deliver(&marie, b"shared").await;
    let keys = Some((marie.key.clone(), pierre.key.clone()));
    let copied = store
        .copy((marie.mailbox, marie.inbox), (pierre.mailbox, pierre.inbox), vec![(1, 1)], None, keys)
        .await
        .unwrap();
    assert_eq!(copied.as_ref().unwrap().uids, [(Uid(1), Uid(1))]);
    assert_eq!(store.read_all(&pierre, pierre.inbox, 1).await, b"shared");
    assert_eq!((store.usage(&marie).await.used_bytes, store.usage(&pierre).await.used_bytes), (6, 6));
    store.assert_sound().await;
}

async fn a_copy_over_quota_does_nothing(store: &Fixture) {
    let marie = store.personal("marie").await;
    let archive = store.folder_id(marie.mailbox, "Archive").await;
    store.deliver(&marie, b"12345").await;
    store.deliver(&marie, b"12345").await;
    store.set_quota(marie.mailbox, 19).await.unwrap();
    let refused = store
        .copy((marie.mailbox, marie.inbox), (marie.mailbox, archive), vec![(1, 2)], None, None)
        .await
        .unwrap();
    assert_eq!(refused, Err(store::Refusal::OverQuota));
    assert_eq!(store.status(archive).await.messages, 0);
    store.set_quota(marie.mailbox, 20).await.unwrap();
    let allowed = store
        .copy((marie.mailbox, marie.inbox), (marie.mailbox, archive), vec![(1, 2)], None, None)
        .await
        .unwrap();
    assert_eq!(allowed.unwrap().uids.len(), 2);
    store.assert_sound().await;
}

async fn an_append_over_quota_stores_nothing(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.set_quota(marie.mailbox, 6).await.unwrap();
    let none = SystemFlags::default();
    assert!(store.append_with(&marie, marie.inbox, b"1234567", none, &["k"]).await.is_none());
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM bodies").await, 0);
    assert!(store.keywords(marie.inbox).await.unwrap().is_empty());
    assert!(store.append_with(&marie, marie.inbox, b"123456", none, &[]).await.is_some());
    store.assert_sound().await;
}

async fn a_move_takes_messages_away_and_asks_no_quota(store: &Fixture) {
    let marie = store.personal("marie").await;
    let archive = store.folder_id(marie.mailbox, "Archive").await;
    for content in [b"one".as_slice(), b"two", b"three"] {
        store.deliver(&marie, content).await;
    }
    store.set_quota(marie.mailbox, 1).await.unwrap();
    let since = store.status(marie.inbox).await.modseq;
    let moved = store.move_to(marie.mailbox, marie.inbox, archive, vec![(2, u32::MAX)], None).await.unwrap();
    assert_eq!(moved.unwrap().uids, [(Uid(2), Uid(1)), (Uid(3), Uid(2))]);
    assert_eq!((store.uids(marie.inbox).await, store.uids(archive).await), (vec![1], vec![1, 2]));
    assert_eq!(store.read_all(&marie, archive, 2).await, b"three");
    let changes = store.changes(marie.inbox, None, since).await.unwrap().unwrap();
    assert_eq!(changes.expunged, [Uid(2), Uid(3)]);
    let usage = store.usage(&marie).await;
    assert_eq!((usage.used_bytes, usage.used_messages), (11, 3));
    while store.sweep_later().await > 0 {}
    assert_eq!(store.read_all(&marie, archive, 1).await, b"two");
    store.assert_sound().await;
}

async fn a_move_within_one_folder_loses_nothing(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.deliver(&marie, b"one").await;
    store.deliver(&marie, b"two").await;
    let moved =
        store.move_to(marie.mailbox, marie.inbox, marie.inbox, vec![(1, u32::MAX)], None).await.unwrap();
    assert_eq!(moved.unwrap().uids, [(Uid(1), Uid(3)), (Uid(2), Uid(4))]);
    assert_eq!(store.uids(marie.inbox).await, [3, 4]);
    assert_eq!(store.read_all(&marie, marie.inbox, 4).await, b"two");
    store.assert_sound().await;
}

async fn a_copy_of_nothing_is_empty(store: &Fixture) {
    let marie = store.personal("marie").await;
    let archive = store.folder_id(marie.mailbox, "Archive").await;
    let copied = store
        .copy((marie.mailbox, marie.inbox), (marie.mailbox, archive), vec![(1, 9)], None, None)
        .await
        .unwrap();
    assert!(copied.unwrap().uids.is_empty());
    let moved = store.move_to(marie.mailbox, marie.inbox, archive, vec![(1, 9)], None).await.unwrap();
    assert!(moved.unwrap().uids.is_empty());
}
