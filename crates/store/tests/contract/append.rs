//! Messages that a client brings: all of them or none, and what they replace.

use crate::support::{Fixture, on_both_engines};
use mail_types::{SystemFlags, Uid};
use store::{MAILBOX_MESSAGES_MAX, NewMessage, Refusal, Replaced};

on_both_engines!(
    many_messages_come_in_one_unit_in_their_order,
    of_many_messages_that_do_not_fit_none_is_stored,
    a_message_that_is_replaced_goes_with_the_one_that_comes,
    a_message_that_is_gone_is_replaced_by_nothing,
    a_replacement_needs_room_for_what_it_adds_only,
    what_one_reader_has_seen_is_theirs_alone,
    a_mailbox_with_as_many_messages_as_it_may_hold_is_full,
);

async fn messages(store: &Fixture, contents: &[&[u8]]) -> Vec<NewMessage> {
    let mut messages = Vec::new();
    for content in contents {
        messages.push(NewMessage::new(store.seal(content).await));
    }
    messages
}

async fn many_messages_come_in_one_unit_in_their_order(store: &Fixture) {
    let marie = store.personal("marie").await;
    let contents: Vec<Vec<u8>> = (0..150).map(|n| format!("message {n}").into_bytes()).collect();
    let contents: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
    let mut all = messages(store, &contents).await;
    for (n, message) in all.iter_mut().enumerate() {
        message.keywords =
            [vec![], vec!["a".to_owned()], vec!["B".to_owned(), "a".to_owned()]][n % 3].clone();
        message.flags = if n == 4 { SystemFlags::SEEN } else { SystemFlags::default() };
    }
    let appended = store.append(marie.append(marie.inbox, all)).await.unwrap().unwrap();
    let uids: Vec<u32> = appended.iter().map(|appended| appended.uid.0).collect();
    assert_eq!(uids, (1..=150).collect::<Vec<_>>());
    let status = store.status(marie.inbox).await;
    assert_eq!((status.messages, status.unseen), (150, 149));
    assert!(appended.iter().all(|appended| appended.uid_validity == status.uid_validity));
    assert_eq!(store.read_all(&marie, marie.inbox, 150).await, b"message 149");
    let selected = store.select(marie.inbox, None, false).await.unwrap().unwrap();
    let words = |row: usize| -> Vec<&str> {
        let bits = selected.rows[row].keywords;
        (0..2).filter(|bit| bits >> bit & 1 == 1).map(|bit: usize| selected.keywords[bit].as_str()).collect()
    };
    assert_eq!((words(0), words(1), words(2)), (vec![], vec!["a"], vec!["a", "B"]));
    store.assert_sound().await;
}

async fn a_mailbox_with_as_many_messages_as_it_may_hold_is_full(store: &Fixture) {
    let marie = store.personal("marie").await;
    let almost = MAILBOX_MESSAGES_MAX - 1;
    store.raw.execute(&format!("UPDATE mailboxes SET used_messages = {almost}")).await;
    let two = messages(store, &[b"1", b"2"]).await;
    assert_eq!(store.append(marie.append(marie.inbox, two)).await.unwrap(), Err(Refusal::OverQuota));
    let room = async || {
        let row = store.recipient(&marie.address.parse().unwrap()).await.unwrap().unwrap();
        row.used_bytes < row.quota_bytes
    };
    assert!(room().await);
    let one = messages(store, &[b"1"]).await;
    store.append(marie.append(marie.inbox, one)).await.unwrap().unwrap();
    assert!(!room().await, "a recipient without room");
}

async fn of_many_messages_that_do_not_fit_none_is_stored(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.set_quota(marie.mailbox, 8).await.unwrap();
    let mut all = messages(store, &[b"123", b"456", b"789"]).await;
    all[0].keywords = vec!["k".to_owned()];
    let refused = store.append(marie.append(marie.inbox, all)).await.unwrap();
    assert_eq!(refused, Err(Refusal::OverQuota));
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM bodies").await, 0);
    assert!(store.keywords(marie.inbox).await.unwrap().is_empty());
    let all = messages(store, &[b"123", b"45678"]).await;
    assert_eq!(store.append(marie.append(marie.inbox, all)).await.unwrap().unwrap().len(), 2);
    store.assert_sound().await;
}

async fn a_message_that_is_replaced_goes_with_the_one_that_comes(store: &Fixture) {
    let marie = store.personal("marie").await;
    let drafts = store.folder_id(marie.mailbox, "Drafts").await;
    for content in [b"first".as_slice(), b"second"] {
        store.append_with(&marie, drafts, content, SystemFlags::DRAFT, &[]).await.unwrap();
    }
    let since = store.status(drafts).await.modseq;
    let mut append = marie.append(drafts, messages(store, &[b"second again"]).await);
    append.replaced = Some(Replaced { mailbox: marie.mailbox, folder: drafts, uid: Uid(2) });
    assert_eq!(store.append(append).await.unwrap().unwrap()[0].uid, Uid(3));
    assert_eq!(store.uids(drafts).await, [1, 3]);
    assert_eq!(store.read_all(&marie, drafts, 3).await, b"second again");
    assert_eq!(store.changes(drafts, None, since).await.unwrap().unwrap().expunged, [Uid(2)]);
    store.assert_sound().await;
}

async fn a_message_that_is_gone_is_replaced_by_nothing(store: &Fixture) {
    let marie = store.personal("marie").await;
    let mut append = marie.append(marie.inbox, messages(store, &[b"new"]).await);
    append.replaced = Some(Replaced { mailbox: marie.mailbox, folder: marie.inbox, uid: Uid(7) });
    assert_eq!(store.append(append).await.unwrap(), Err(Refusal::Incomplete));
    assert_eq!(store.status(marie.inbox).await.messages, 0);
    store.assert_sound().await;
}

async fn a_replacement_needs_room_for_what_it_adds_only(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.deliver(&marie, b"1234567").await;
    store.set_quota(marie.mailbox, 8).await.unwrap();
    for (content, fits) in [(b"123456789".as_slice(), false), (b"12345678", true)] {
        let uid = *store.uids(marie.inbox).await.first().unwrap();
        let mut append = marie.append(marie.inbox, messages(store, &[content]).await);
        append.replaced = Some(Replaced { mailbox: marie.mailbox, folder: marie.inbox, uid: Uid(uid) });
        assert_eq!(store.append(append).await.unwrap().is_ok(), fits);
    }
    assert_eq!(store.usage(&marie).await.used_bytes, 8);
    store.assert_sound().await;
}

async fn what_one_reader_has_seen_is_theirs_alone(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.keep_seen_apart(&marie, true).await;
    let mut all = messages(store, &[b"one", b"two", b"three"]).await;
    all[1].flags = SystemFlags::SEEN.union(SystemFlags::FLAGGED);
    let mut append = marie.append(marie.inbox, all);
    append.actor = Some(marie.actor);
    store.append(append).await.unwrap().unwrap();
    let unseen = |reader| async move {
        let status = store.folder_status(marie.inbox, reader).await.unwrap().unwrap();
        status.unseen
    };
    assert_eq!((unseen(Some(marie.actor)).await, unseen(None).await), (2, 3));
    store.assert_sound().await;
}
