//! UIDs of messages that are gone, for clients that come back.

use crate::support::{Fixture, Holder, on_both_engines};
use mail_types::{FolderId, ModSeq, SystemFlags, Uid};

on_both_engines!(
    what_went_since_is_told_to_who_asks,
    what_went_long_ago_is_forgotten_and_who_asks_for_it_hears_so,
    a_folder_that_is_gone_tells_nothing,
);

const DAY_MS: i64 = 24 * 3600 * 1000;
const DELETED: SystemFlags = SystemFlags::DELETED;

async fn with_messages(store: &Fixture, count: u32) -> Holder {
    let marie = store.personal("marie").await;
    for _ in 0..count {
        store.append_with(&marie, marie.inbox, b"x", DELETED, &[]).await.unwrap();
    }
    marie
}

async fn gone(store: &Fixture, folder: FolderId, since: ModSeq) -> Option<Vec<u32>> {
    let uids = store.vanished(folder, since).await.unwrap();
    uids.map(|uids| uids.into_iter().map(|Uid(uid)| uid).collect())
}

async fn expunge(store: &Fixture, marie: &Holder, range: (u32, u32)) -> ModSeq {
    store.expunge(marie.mailbox, marie.inbox, Some(vec![range])).await.unwrap();
    store.status(marie.inbox).await.modseq
}

async fn what_went_since_is_told_to_who_asks(store: &Fixture) {
    let marie = with_messages(store, 5).await;
    let before = store.status(marie.inbox).await.modseq;
    let first = expunge(store, &marie, (4, 5)).await;
    let second = expunge(store, &marie, (1, 2)).await;
    assert_eq!(gone(store, marie.inbox, ModSeq(0)).await, Some(vec![1, 2, 4, 5]));
    assert_eq!(gone(store, marie.inbox, before).await, Some(vec![1, 2, 4, 5]));
    assert_eq!(gone(store, marie.inbox, first).await, Some(vec![1, 2]));
    assert_eq!(gone(store, marie.inbox, second).await, Some(vec![]));
}

async fn what_went_long_ago_is_forgotten_and_who_asks_for_it_hears_so(store: &Fixture) {
    let marie = with_messages(store, 600).await;
    let old = expunge(store, &marie, (1, 510)).await;
    store.pass(60 * DAY_MS);
    let recent = expunge(store, &marie, (511, 520)).await;
    store.pass(31 * DAY_MS);
    assert_eq!(store.prune_expunged(90).await.unwrap(), 500, "a bounded part at a time");
    assert_eq!(gone(store, marie.inbox, ModSeq(old.0 - 1)).await, None, "what is half forgotten is not told");
    assert_eq!(store.prune_expunged(90).await.unwrap(), 10);
    assert_eq!(store.prune_expunged(90).await.unwrap(), 0);
    assert_eq!(gone(store, marie.inbox, ModSeq(old.0 - 1)).await, None);
    assert_eq!(gone(store, marie.inbox, old).await, Some((511..=520).collect()));
    assert_eq!(gone(store, marie.inbox, recent).await, Some(vec![]));
    store.pass(90 * DAY_MS);
    assert_eq!(store.prune_expunged(90).await.unwrap(), 10);
    assert_eq!(gone(store, marie.inbox, recent).await, Some(vec![]), "who knows all misses nothing");
    store.assert_sound().await;
}

async fn a_folder_that_is_gone_tells_nothing(store: &Fixture) {
    assert_eq!(gone(store, FolderId(4711), ModSeq(1)).await, None);
}
