//! A folder read by somebody who knows it as it was.

use crate::support::{Fixture, Holder, on_both_engines};
use mail_types::{ActorId, MailboxKind, ModSeq, SystemFlags, Uid, UidValidity};
use store::{FlagAction, FolderReading, KnownFolder};

on_both_engines!(
    who_knows_a_folder_reads_what_changed_since,
    who_knows_too_little_or_something_else_reads_all,
    who_was_away_for_longer_than_the_log_reaches_reads_all,
    what_an_actor_has_seen_is_part_of_what_changed,
);

const DAY_MS: i64 = 24 * 3600 * 1000;
const NONE: SystemFlags = SystemFlags(0);

async fn with_messages(store: &Fixture, count: u32) -> Holder {
    let marie = store.personal("marie").await;
    for _ in 0..count {
        store.append_with(&marie, marie.inbox, b"x", NONE, &[]).await.unwrap();
    }
    marie
}

async fn read(store: &Fixture, marie: &Holder, known: Option<KnownFolder>) -> FolderReading {
    store.read_folder(marie.inbox, None, known).await.unwrap().unwrap()
}

/// What a reader of all of it knows then.
fn known(reading: &FolderReading) -> KnownFolder {
    assert!(reading.is_whole);
    let status = reading.status;
    KnownFolder { uid_validity: status.uid_validity, modseq: status.modseq, messages: reading.rows.len() }
}

fn uids(reading: &FolderReading) -> Vec<u32> {
    reading.rows.iter().map(|row| row.uid.0).collect()
}

async fn flag(store: &Fixture, marie: &Holder, uid: u32, private: Option<ActorId>, flags: SystemFlags) {
    let ranges = vec![(uid, uid)];
    store.store_flags(marie.inbox, private, ranges, FlagAction::Add, flags, Vec::new()).await.unwrap();
}

async fn expunge(store: &Fixture, marie: &Holder, uid: u32) {
    flag(store, marie, uid, None, SystemFlags::DELETED).await;
    store.expunge(marie.mailbox, marie.inbox, Some(vec![(uid, uid)])).await.unwrap();
}

async fn who_knows_a_folder_reads_what_changed_since(store: &Fixture) {
    let marie = with_messages(store, 5).await;
    let first = read(store, &marie, None).await;
    assert_eq!(uids(&first), [1, 2, 3, 4, 5]);
    let same = read(store, &marie, Some(known(&first))).await;
    assert!(!same.is_whole && same.rows.is_empty() && same.expunged.is_empty());
    assert_eq!(same.status, first.status);

    flag(store, &marie, 4, None, SystemFlags::FLAGGED).await;
    expunge(store, &marie, 2).await;
    store.deliver(&marie, b"new").await;
    let since = read(store, &marie, Some(known(&first))).await;
    assert_eq!((uids(&since), &since.expunged, since.is_whole), (vec![4, 6], &vec![Uid(2)], false));
    assert_eq!(since.status, store.status(marie.inbox).await);
}

async fn who_knows_too_little_or_something_else_reads_all(store: &Fixture) {
    let marie = with_messages(store, 3).await;
    let known = known(&read(store, &marie, None).await);
    for wrong in [
        KnownFolder { uid_validity: UidValidity(known.uid_validity.0 + 1), ..known },
        KnownFolder { modseq: ModSeq(known.modseq.0 + 1), ..known },
        KnownFolder { messages: 2, ..known },
    ] {
        let reading = read(store, &marie, Some(wrong)).await;
        assert!(reading.is_whole, "{wrong:?}");
        assert_eq!((uids(&reading), reading.status.modseq), (vec![1, 2, 3], known.modseq));
    }
}

async fn who_was_away_for_longer_than_the_log_reaches_reads_all(store: &Fixture) {
    let marie = with_messages(store, 4).await;
    let first = read(store, &marie, None).await;
    expunge(store, &marie, 1).await;
    let second = read(store, &marie, None).await;
    store.pass(91 * DAY_MS);
    assert_eq!(store.prune_expunged(90).await.unwrap(), 1);
    flag(store, &marie, 3, None, SystemFlags::FLAGGED).await;

    let reading = read(store, &marie, Some(known(&first))).await;
    assert_eq!((uids(&reading), reading.is_whole), (vec![2, 3, 4], true));
    let changes = store.changes(marie.inbox, None, first.status.modseq).await.unwrap().unwrap();
    assert_eq!((changes.rows, changes.is_whole), (reading.rows, true));
    let reading = read(store, &marie, Some(known(&second))).await;
    assert_eq!((uids(&reading), reading.is_whole), (vec![3], false), "nothing went that is not known");
}

async fn what_an_actor_has_seen_is_part_of_what_changed(store: &Fixture) {
    store.create_user("chief", "", None).await.unwrap();
    let nurse = store.create_user("nurse", "", None).await.unwrap().actor;
    let ward = store.holder("ward", MailboxKind::Organizational, Some("chief")).await;
    for _ in 0..3 {
        store.append_with(&ward, ward.inbox, b"x", NONE, &[]).await.unwrap();
    }
    let read = |actor, known| async move {
        store.read_folder(ward.inbox, Some(actor), known).await.unwrap().unwrap()
    };
    let chief = ward.actor;
    let (of_nurse, of_chief) = (known(&read(nurse, None).await), known(&read(chief, None).await));
    flag(store, &ward, 2, Some(nurse), SystemFlags::SEEN).await;
    let since = read(nurse, Some(of_nurse)).await;
    assert_eq!((uids(&since), since.rows[0].flags, since.is_whole), (vec![2], SystemFlags::SEEN, false));
    let since = read(chief, Some(of_chief)).await;
    assert_eq!((uids(&since), since.is_whole), (vec![], false));
    assert_eq!(since.status.modseq, store.status(ward.inbox).await.modseq);
}
