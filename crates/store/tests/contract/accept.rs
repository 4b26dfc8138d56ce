//! Responsibility accepted.

use crate::support::{DAY_MS, Fixture, noise, on_both_engines};
use mail_types::{ModSeq, SystemFlags, Uid};
use store::{Accepted, LocalDelivery, SentCopy, SpecialUse, WithBody};

on_both_engines!(
    messages_get_uids_from_one_and_are_counted,
    a_message_sent_again_within_the_window_is_stored_once,
    a_duplicate_leaves_no_file,
    messages_without_a_fingerprint_are_never_duplicates,
    one_body_serves_every_mailbox,
    local_and_remote_recipients_are_accepted_together,
    the_copy_of_a_sender_is_filed_once_and_seen,
    a_copy_is_seen_by_the_actor_who_sent_where_each_has_their_own,
);

async fn messages_get_uids_from_one_and_are_counted(store: &Fixture) {
    let marie = store.personal("marie").await;
    for content in [b"one".as_slice(), b"three", b"seventeen"] {
        store.pass(1);
        store.deliver(&marie, content).await;
    }
    let selected = store.select(marie.inbox, None, false).await.unwrap().unwrap();
    let rows: Vec<_> =
        selected.rows.iter().map(|row| (row.uid, row.modseq, row.flags, row.keywords)).collect();
    let none = SystemFlags::default();
    assert_eq!(
        rows,
        [(Uid(1), ModSeq(2), none, 0), (Uid(2), ModSeq(3), none, 0), (Uid(3), ModSeq(4), none, 0)]
    );
    let status = selected.status;
    assert_eq!(
        (status.messages, status.uid_next, status.modseq, status.unseen, status.recent),
        (3, 4, ModSeq(4), 3, 3)
    );
    assert_eq!((status.deleted, status.size_bytes), (0, 17));
    let usage = store.usage(&marie).await;
    assert_eq!((usage.used_bytes, usage.used_messages), (17, 3));
    let rows = store.messages(marie.inbox, Uid(2), Uid(3), 10, WithBody::No).await.unwrap();
    assert_eq!(rows.iter().map(|row| (row.uid.0, row.size)).collect::<Vec<_>>(), [(2, 5), (3, 9)]);
    assert_eq!(rows[1].internal_date, store.now());
    assert_eq!(store.messages(marie.inbox, Uid(1), Uid(3), 2, WithBody::No).await.unwrap().len(), 2);
    store.assert_sound().await;
}

async fn a_message_sent_again_within_the_window_is_stored_once(store: &Fixture) {
    let marie = store.personal("marie").await;
    let fingerprint = store.fingerprint(&[b"peer", b"envelope", b"content"]);
    assert_ne!(fingerprint, store.fingerprint(&[b"peere", b"nvelope", b"content"]));
    let mut outcomes = Vec::new();
    for wait in [0, DAY_MS - 1, 1, 1, DAY_MS] {
        store.pass(wait);
        let mut acceptance = store.acceptance(b"again", &[&marie]).await;
        acceptance.fingerprint = Some(fingerprint);
        outcomes.push(store.accept(acceptance).await.unwrap());
    }
    let (stored, duplicate) = (Accepted::Stored, Accepted::Duplicate);
    assert_eq!(outcomes, [stored, duplicate, duplicate, stored, duplicate]);
    assert_eq!(store.uids(marie.inbox).await, [1, 2]);
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM audit_rows WHERE outcome = 'duplicate'").await, 3);
    store.assert_sound().await;
}

async fn a_duplicate_leaves_no_file(store: &Fixture) {
    let marie = store.personal("marie").await;
    for outcome in [Accepted::Stored, Accepted::Duplicate] {
        let mut acceptance = store.acceptance(&noise(400_000), &[&marie]).await;
        acceptance.fingerprint = Some([7; 32]);
        assert_eq!(store.accept(acceptance).await.unwrap(), outcome);
    }
    assert_eq!(store.body_files().len(), 1);
    store.assert_sound().await;
}

async fn messages_without_a_fingerprint_are_never_duplicates(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.deliver(&marie, b"same").await;
    store.deliver(&marie, b"same").await;
    assert_eq!(store.uids(marie.inbox).await, [1, 2]);
}

async fn one_body_serves_every_mailbox(store: &Fixture) {
    let (marie, pierre) = (store.personal("marie").await, store.personal("pierre").await);
    let acceptance = store.acceptance(b"for both", &[&marie, &pierre]).await;
    store.accept(acceptance).await.unwrap();
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM bodies").await, 1);
    for holder in [&marie, &pierre] {
        assert_eq!(store.read_all(holder, holder.inbox, 1).await, b"for both");
        assert_eq!(store.usage(holder).await.used_bytes, 8);
    }
    let row = store.messages(marie.inbox, Uid(1), Uid(1), 1, WithBody::No).await.unwrap().remove(0);
    assert!(pierre.key.unwrap(row.body, &row.wrapped_key).is_err());
    store.assert_sound().await;
}

async fn local_and_remote_recipients_are_accepted_together(store: &Fixture) {
    let (marie, pierre) = (store.personal("marie").await, store.personal("pierre").await);
    let mut acceptance = store.submission(&marie, b"to all", &["a@far.example", "b@far.example"]).await;
    acceptance.local.push(pierre.delivery());
    assert_eq!(store.accept(acceptance).await.unwrap(), Accepted::Stored);
    assert_eq!(store.uids(pierre.inbox).await, [1]);
    assert_eq!(store.queue_depth().await.unwrap(), [("queued".to_owned(), 2)]);
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM bodies").await, 1);
    store.assert_sound().await;
}

async fn the_copy_of_a_sender_is_filed_once_and_seen(store: &Fixture) {
    let (marie, pierre) = (store.personal("marie").await, store.personal("pierre").await);
    let sent = store.folder_with_use(marie.mailbox, SpecialUse::SENT).await.unwrap().unwrap().id;
    for _ in 0..2 {
        let mut acceptance = store.submission(&marie, b"kept", &["a@far.example"]).await;
        acceptance.fingerprint = Some([7; 32]);
        acceptance.local = vec![pierre.delivery(), marie.delivery()];
        acceptance.sent_copy =
            Some(SentCopy { to: LocalDelivery { folder: sent, ..marie.delivery() }, seen_by: None });
        let outcome = store.accept(acceptance).await.unwrap();
        assert!(
            matches!(outcome, Accepted::Filed(copy) if copy.uid == Uid(1)) || outcome == Accepted::Duplicate
        );
    }
    for (folder, unseen) in [(sent, 0), (marie.inbox, 1), (pierre.inbox, 1)] {
        let status = store.status(folder).await;
        assert_eq!((status.messages, status.unseen), (1, unseen));
    }
    assert_eq!(store.read_all(&marie, sent, 1).await, b"kept");
    assert_eq!(store.usage(&marie).await.used_bytes, 8);
    store.assert_sound().await;
}

async fn a_copy_is_seen_by_the_actor_who_sent_where_each_has_their_own(store: &Fixture) {
    let (marie, pierre) = (store.personal("marie").await, store.personal("pierre").await);
    store.keep_seen_apart(&marie, true).await;
    let sent = store.folder_with_use(marie.mailbox, SpecialUse::SENT).await.unwrap().unwrap().id;
    let mut acceptance = store.acceptance(b"kept", &[&pierre]).await;
    let to = LocalDelivery { folder: sent, ..marie.delivery() };
    acceptance.sent_copy = Some(SentCopy { to, seen_by: Some(marie.actor) });
    assert!(matches!(store.accept(acceptance).await.unwrap(), Accepted::Filed(_)));
    let unseen_by = async |actor| store.folder_status(sent, Some(actor)).await.unwrap().unwrap().unseen;
    assert_eq!((unseen_by(marie.actor).await, unseen_by(pierre.actor).await), (0, 1));
    store.assert_sound().await;
}
