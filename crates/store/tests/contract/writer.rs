//! Units that share a transaction, and the notices after it.

use crate::support::{Engine, Fixture, Holder, on_both_engines, run};
use mail_types::FolderId;
use std::time::Duration;
use store::Accepted;
use tokio::task::JoinSet;
use tokio::time::timeout;

on_both_engines!(
    a_failing_unit_does_not_fail_its_neighbours,
    two_hundred_concurrent_messages_land_exactly_once,
    two_processes_write_to_one_folder,
    two_processes_deliver_to_the_same_mailboxes_in_any_order,
    a_watcher_wakes_after_a_commit,
    a_watcher_sleeps_through_what_is_not_committed,
    a_watcher_wakes_when_its_folder_is_deleted,
);

/// A moment in which nothing is expected to happen.
const QUIET: Duration = Duration::from_millis(150);
const SOON: Duration = Duration::from_secs(20);

async fn deliver_all(
    store: &Fixture,
    marie: &Holder,
    count: usize,
    is_bad: impl Fn(usize) -> bool,
) -> Vec<bool> {
    let mut tasks = JoinSet::new();
    for i in 0..count {
        let mut acceptance = store.acceptance(format!("message {i}").as_bytes(), &[marie]).await;
        if is_bad(i) {
            acceptance.local[0].folder = FolderId(4711);
        }
        let store = store::Store::clone(store);
        tasks.spawn(async move { (i, store.accept(acceptance).await) });
    }
    let mut outcomes = vec![false; count];
    while let Some(done) = tasks.join_next().await {
        let (i, outcome) = done.unwrap();
        outcomes[i] = matches!(outcome, Ok(Accepted::Stored));
    }
    outcomes
}

async fn a_failing_unit_does_not_fail_its_neighbours(store: &Fixture) {
    let marie = store.personal("marie").await;
    let outcomes = deliver_all(store, &marie, 40, |i| i % 13 == 5).await;
    for (i, is_stored) in outcomes.into_iter().enumerate() {
        assert_eq!(is_stored, i % 13 != 5, "message {i}");
    }
    assert_eq!(store.uids(marie.inbox).await, (1..=37).collect::<Vec<_>>());
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM bodies").await, 37);
    store.assert_sound().await;
}

async fn two_hundred_concurrent_messages_land_exactly_once(store: &Fixture) {
    let marie = store.personal("marie").await;
    let outcomes = deliver_all(store, &marie, 200, |_| false).await;
    assert!(outcomes.into_iter().all(|is_stored| is_stored));
    assert_eq!(store.uids(marie.inbox).await, (1..=200).collect::<Vec<_>>());
    let mut contents = Vec::new();
    for uid in 1..=200 {
        contents.push(String::from_utf8(store.read_all(&marie, marie.inbox, uid).await).unwrap());
    }
    contents.sort();
    contents.dedup();
    assert_eq!(contents.len(), 200);
    store.assert_sound().await;
}

async fn two_processes_write_to_one_folder(store: &Fixture) {
    let marie = store.personal("marie").await;
    let other = store.open_again().await.unwrap();
    let mut tasks = JoinSet::new();
    for i in 0..60 {
        let acceptance = store.acceptance(b"both", &[&marie]).await;
        let writer = if i % 2 == 0 { store::Store::clone(store) } else { other.clone() };
        tasks.spawn(async move { writer.accept(acceptance).await });
    }
    while let Some(done) = tasks.join_next().await {
        assert_eq!(done.unwrap().unwrap(), Accepted::Stored);
    }
    assert_eq!(store.uids(marie.inbox).await, (1..=60).collect::<Vec<_>>());
    other.close().await;
    store.assert_sound().await;
}

async fn two_processes_deliver_to_the_same_mailboxes_in_any_order(store: &Fixture) {
    let mut holders = Vec::new();
    for name in ["a", "b", "c"] {
        holders.push(store.personal(name).await);
    }
    let other = store.open_again().await.unwrap();
    let mut tasks = JoinSet::new();
    for i in 0..90 {
        let mut to: Vec<_> = holders.iter().collect();
        to.rotate_left(i % 3);
        let acceptance = store.acceptance(b"to all", &to).await;
        let writer = if i % 2 == 0 { store::Store::clone(store) } else { other.clone() };
        tasks.spawn(async move { writer.accept(acceptance).await });
    }
    for outcome in tasks.join_all().await {
        assert_eq!(outcome.unwrap(), Accepted::Stored);
    }
    for holder in &holders {
        assert_eq!(store.uids(holder.inbox).await, (1..=90).collect::<Vec<_>>());
    }
    other.close().await;
    store.assert_sound().await;
}

async fn a_watcher_wakes_after_a_commit(store: &Fixture) {
    let (marie, pierre) = (store.personal("marie").await, store.personal("pierre").await);
    let mut watch = store.watch(marie.inbox);
    assert!(!watch.take());
    store.deliver(&pierre, b"not hers").await;
    assert!(timeout(QUIET, watch.changed()).await.is_err());
    let watching = tokio::spawn(async move {
        watch.changed().await;
        watch
    });
    store.deliver(&marie, b"hers").await;
    let mut watch = timeout(SOON, watching).await.unwrap().unwrap();
    assert_eq!(store.uids(marie.inbox).await, [1]);
    assert!(!watch.take());
    store.deliver(&marie, b"again").await;
    assert!(watch.take() && !watch.take());
}

async fn a_watcher_sleeps_through_what_is_not_committed(store: &Fixture) {
    let marie = store.personal("marie").await;
    let mut watch = store.watch(marie.inbox);
    let mut acceptance = store.acceptance(b"fails", &[&marie]).await;
    let mut nowhere = marie.delivery();
    nowhere.folder = FolderId(4711);
    acceptance.local.push(nowhere);
    assert!(store.accept(acceptance).await.is_err());
    assert!(timeout(QUIET, watch.changed()).await.is_err());
    assert!(store.uids(marie.inbox).await.is_empty());
    store.deliver(&marie, b"works").await;
    timeout(SOON, watch.changed()).await.unwrap();
}

async fn a_watcher_wakes_when_its_folder_is_deleted(store: &Fixture) {
    let marie = store.personal("marie").await;
    let folder = store.create_folder(marie.mailbox, "Empty", None).await.unwrap().unwrap();
    let mut watch = store.watch(folder);
    store.delete_folder(marie.mailbox, "Empty").await.unwrap().unwrap();
    timeout(SOON, watch.changed()).await.unwrap();
    assert!(store.changes(folder, None, mail_types::ModSeq(1)).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_writer_comes_back_when_postgres_drops_its_connection() {
    run(Engine::Postgres, |store| {
        Box::pin(async move {
            let marie = store.personal("marie").await;
            let others = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
            assert!(!store.raw.texts(others).await.is_empty());
            let acceptance = store.acceptance(b"lost", &[&marie]).await;
            // This unit met the dead connection; its sender tries again.
            let _ = store.accept(acceptance).await;
            for content in [b"one".as_slice(), b"two"] {
                store.deliver(&marie, content).await;
            }
            assert!(store.uids(marie.inbox).await.len() >= 2);
            store.assert_sound().await;
        })
    })
    .await;
}
