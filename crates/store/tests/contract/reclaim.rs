//! Space given back.

use crate::support::{DAY_MS, Fixture, noise, on_both_engines};
use mail_types::SystemFlags;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};
use store::{AttemptOutcome, FlagAction};

on_both_engines!(
    a_body_goes_when_nothing_refers_to_it,
    a_body_in_the_queue_outlives_its_message,
    a_large_backlog_is_swept_in_batches,
    old_files_without_a_row_are_orphans,
    a_clock_that_jumps_takes_no_body_away,
    finished_queue_entries_are_forgotten_after_their_time,
    pages_that_nothing_uses_are_given_back,
    a_writer_that_rested_for_a_day_is_forgotten_and_goes_on,
);

async fn expunge_all(store: &Fixture, holder: &crate::support::Holder) {
    let flagged = store
        .store_flags(
            holder.inbox,
            None,
            vec![(1, u32::MAX)],
            FlagAction::Add,
            SystemFlags::DELETED,
            Vec::new(),
        )
        .await
        .unwrap();
    assert!(flagged.is_some());
    store.expunge(holder.mailbox, holder.inbox, None).await.unwrap();
}

async fn a_body_goes_when_nothing_refers_to_it(store: &Fixture) {
    let (marie, pierre) = (store.personal("marie").await, store.personal("pierre").await);
    let acceptance = store.acceptance(&noise(400_000), &[&marie, &pierre]).await;
    store.accept(acceptance).await.unwrap();
    expunge_all(store, &marie).await;
    assert_eq!(store.sweep_later().await, 1);
    assert_eq!(store.body_files().len(), 1);
    assert_eq!(store.read_all(&pierre, pierre.inbox, 1).await.len(), 400_000);
    expunge_all(store, &pierre).await;
    assert_eq!(store.sweep_later().await, 1);
    assert_eq!(store.body_files().len(), 0);
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM bodies").await, 0);
    assert_eq!(store.sweep_later().await, 0);
    store.assert_sound().await;
}

async fn a_body_in_the_queue_outlives_its_message(store: &Fixture) {
    let marie = store.personal("marie").await;
    let mut acceptance = store.submission(&marie, &noise(400_000), &["a@far.example"]).await;
    acceptance.local.push(marie.delivery());
    store.accept(acceptance).await.unwrap();
    expunge_all(store, &marie).await;
    assert_eq!(store.sweep_later().await, 1);
    let entry = store.claim_due(1, 1000).await.unwrap().remove(0);
    let mut out = Vec::new();
    store.queued_content(&entry).await.unwrap().read(0, u64::MAX, &mut out).await.unwrap();
    assert_eq!(out, noise(400_000));
    store.assert_sound().await;
}

async fn a_large_backlog_is_swept_in_batches(store: &Fixture) {
    let marie = store.personal("marie").await;
    let deliveries = (0..205).map(|_| store.deliver(&marie, b"x"));
    for delivery in deliveries {
        delivery.await;
    }
    expunge_all(store, &marie).await;
    assert_eq!(
        [store.sweep_later().await, store.sweep_later().await, store.sweep_later().await],
        [200, 5, 0]
    );
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM bodies").await, 0);
}

/// Dates a file by the store's clock.
fn date(store: &Fixture, file: &Path, age_ms: i64) {
    let at = UNIX_EPOCH + Duration::from_millis(store.now().plus_millis(-age_ms).0.unsigned_abs());
    std::fs::File::options().write(true).open(file).unwrap().set_modified(at).unwrap();
}

async fn old_files_without_a_row_are_orphans(store: &Fixture) {
    let marie = store.personal("marie").await;
    let mut acceptance = store.acceptance(&noise(400_000), &[&marie]).await;
    acceptance.fingerprint = Some([1; 32]);
    store.accept(acceptance).await.unwrap();
    let known = store.body_files().remove(0);
    let (bodies, spool) = (store.options.data_dir.join("bodies/00"), store.options.data_dir.join("spool"));
    let (old, old_spool) = (bodies.join("00".repeat(16)), spool.join("11".repeat(16)));
    let (young, young_spool) = (bodies.join(format!("01{}", "00".repeat(15))), spool.join("22".repeat(16)));
    for (file, age) in
        [(&old, DAY_MS + 1), (&old_spool, DAY_MS + 1), (&young, DAY_MS - 1), (&young_spool, DAY_MS - 1)]
    {
        std::fs::write(file, b"left by a crash").unwrap();
        date(store, file, age);
    }
    date(store, &known, DAY_MS + 1);
    assert_eq!(store.fsck(false).await.unwrap().orphan_files, 2);
    assert_eq!(store.sweep_orphans().await.unwrap(), 2);
    assert!(known.exists() && young.exists() && young_spool.exists() && !old.exists() && !old_spool.exists());
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM accepted_recipients").await, 1);
    store.pass(DAY_MS + 1);
    date(store, &known, DAY_MS * 3);
    assert_eq!(store.sweep_orphans().await.unwrap(), 2);
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM accepted_recipients").await, 0);
    assert_eq!(store.body_files(), [known]);
    store.assert_sound().await;
}

async fn a_clock_that_jumps_takes_no_body_away(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.deliver(&marie, &noise(400_000)).await;
    let in_flight = store.acceptance(&noise(500_000), &[&marie]).await;
    for jump in [-3_600_000, 2 * 3_600_000, 40 * DAY_MS] {
        store.pass(jump);
        assert_eq!(store.sweep_orphans().await.unwrap(), 0, "{jump}");
        assert_eq!(store.body_files().len(), 2, "{jump}");
    }
    store.accept(in_flight).await.unwrap();
    assert_eq!(store.sweep_orphans().await.unwrap(), 0);
    assert_eq!(store.read_all(&marie, marie.inbox, 1).await, noise(400_000));
    assert_eq!(store.read_all(&marie, marie.inbox, 2).await, noise(500_000));
    drop(store.acceptance(&noise(600_000), &[&marie]).await);
    assert_eq!(store.body_files().len(), 2, "what was never committed goes at once");
}

async fn finished_queue_entries_are_forgotten_after_their_time(store: &Fixture) {
    let marie = store.personal("marie").await;
    let acceptance = store.submission(&marie, b"content", &["a@far.example", "b@far.example"]).await;
    store.accept(acceptance).await.unwrap();
    let entry = store.claim_due(1, 1000).await.unwrap().remove(0);
    let relayed = AttemptOutcome::Relayed { reply: "250 ok".to_owned() };
    assert!(store.conclude(&entry, relayed, None).await.unwrap());
    store.pass(30 * DAY_MS);
    assert_eq!(store.prune_queue(30).await.unwrap(), 0);
    store.pass(1);
    assert_eq!(store.prune_queue(30).await.unwrap(), 1);
    assert_eq!(store.prune_queue(30).await.unwrap(), 0);
    assert_eq!(
        store.raw.int("SELECT COUNT(*) FROM queue_entries WHERE state = 'queued'").await,
        1,
        "the waiting one stays"
    );
}

async fn pages_that_nothing_uses_are_given_back(store: &Fixture) {
    let marie = store.personal("marie").await;
    for _ in 0..100 {
        store.deliver(&marie, &noise(200_000)).await;
    }
    expunge_all(store, &marie).await;
    assert_eq!(store.sweep_later().await, 100);
    let mut left = Vec::new();
    while left.last() != Some(&0) {
        left.push(store.shrink().await.unwrap());
    }
    assert!(left.is_sorted_by(|earlier, later| earlier > later) && left.len() < 20, "{left:?}");
    if store.options.url.starts_with("sqlite") {
        assert!(left.len() > 2, "in steps: {left:?}");
        assert!(store.raw.int("PRAGMA freelist_count").await <= 1024);
    }
}

async fn a_writer_that_rested_for_a_day_is_forgotten_and_goes_on(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.deliver(&marie, b"one").await;
    store.raw.execute("INSERT INTO writers (id, batch, at_ms) VALUES ('old', 7, 5)").await;
    store.pass(DAY_MS + 1);
    store.sweep_orphans().await.unwrap();
    // On PostgreSQL the sweep itself was a batch of one of them.
    assert!(store.raw.int("SELECT COUNT(*) FROM writers").await <= 1);
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM writers WHERE batch = 7").await, 0);
    store.deliver(&marie, b"two").await;
    assert_eq!(store.uids(marie.inbox).await, [1, 2]);
}
