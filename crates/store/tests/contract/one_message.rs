//! Messages and folders one by one, as they were read: listed, changed, moved, removed.

use crate::support::{Fixture, Holder, on_both_engines};
use mail_types::{ActorId, MailboxKind, ModSeq, SystemFlags, Timestamp, Uid};
use store::{FolderError, MessageChange, MessageFilter, MessageRefusal, Placed, Refusal};

on_both_engines!(
    messages_are_listed_by_what_their_rows_say,
    a_reader_lists_by_what_they_have_seen,
    a_message_whose_structure_is_missing_is_listed,
    a_message_changes_only_as_it_was_read,
    a_message_moves_with_its_flags_or_not_at_all,
    a_message_is_removed_only_as_it_was_read,
    folders_are_counted_for_their_reader,
    a_folder_is_changed_only_under_the_name_that_was_read,
    an_organizational_mailbox_is_nobodys_own,
);

const SEEN: SystemFlags = SystemFlags::SEEN;
const FLAGGED: SystemFlags = SystemFlags::FLAGGED;
const ALL: (u32, u64) = (0, u64::MAX);

fn change(holder: &Holder, uid: u32) -> MessageChange {
    MessageChange {
        mailbox: holder.mailbox,
        folder: holder.inbox,
        uid: Uid(uid),
        actor: None,
        expected: None,
        add: Default::default(),
        remove: Default::default(),
        move_to: None,
    }
}

async fn listed(store: &Fixture, holder: &Holder, filter: MessageFilter) -> Vec<u32> {
    let rows = store.listed_messages(holder.inbox, None, &filter, ALL, true, 10).await.unwrap();
    rows.iter().map(|listed| listed.row.uid.0).collect()
}

async fn messages_are_listed_by_what_their_rows_say(store: &Fixture) {
    let marie = store.personal("marie").await;
    for (content, flags) in [(b"1".as_slice(), SEEN), (b"22", FLAGGED), (b"333", SEEN.union(FLAGGED))] {
        store.pass(1000);
        store.append_with(&marie, marie.inbox, content, flags, &[]).await.unwrap();
    }
    let now = store.now();
    let all = MessageFilter::default();
    let by = |mask, set| MessageFilter { mask, set, ..MessageFilter::default() };
    for (filter, found) in [
        (all, vec![3, 2, 1]),
        (by(SEEN, SystemFlags::default()), vec![2]),
        (by(SEEN, SEEN), vec![3, 1]),
        (by(SEEN.union(FLAGGED), FLAGGED), vec![2]),
        (MessageFilter { since: now, ..all }, vec![3]),
        (MessageFilter { before: now, ..all }, vec![2, 1]),
        (MessageFilter { since: Timestamp(now.0 - 1000), before: now, ..all }, vec![2]),
        (MessageFilter { size_min: 2, size_max: 2, ..all }, vec![2]),
    ] {
        assert_eq!(listed(store, &marie, filter).await, found, "{filter:?}");
    }
    let page = store.listed_messages(marie.inbox, None, &all, (1, 4), false, 1).await.unwrap();
    assert_eq!(page.iter().map(|listed| listed.row.uid.0).collect::<Vec<_>>(), [2]);
    assert!(store.listed_message(marie.inbox, None, Uid(4)).await.unwrap().is_none());
    assert!(store.listed_message(marie.inbox, None, Uid(0)).await.unwrap().is_none());
}

async fn a_reader_lists_by_what_they_have_seen(store: &Fixture) {
    store.create_user("chief", "", None).await.unwrap();
    let nurse = store.create_user("nurse", "", None).await.unwrap().actor;
    let ward = store.holder("ward", MailboxKind::Organizational, Some("chief")).await;
    store.deliver(&ward, b"message").await;
    let seen = MessageChange { actor: Some(nurse), add: (SEEN, Vec::new()), ..change(&ward, 1) };
    store.change_message(seen).await.unwrap().unwrap();
    for (actor, is_seen) in [(nurse, true), (ward.actor, false)] {
        let one = store.listed_message(ward.inbox, Some(actor), Uid(1)).await.unwrap().unwrap();
        assert_eq!(one.flags.contains(SEEN), is_seen);
        let unread = MessageFilter { mask: SEEN, ..MessageFilter::default() };
        let rows = store.listed_messages(ward.inbox, Some(actor), &unread, ALL, true, 10).await.unwrap();
        assert_eq!(rows.is_empty(), is_seen);
        let folder = store.folder_summary(ward.mailbox, Some(actor), ward.inbox).await.unwrap().unwrap();
        assert_eq!((folder.messages, folder.unseen), (1, u64::from(!is_seen)));
    }
    store.assert_sound().await;
}

async fn a_message_whose_structure_is_missing_is_listed(store: &Fixture) {
    let marie = store.personal("marie").await;
    for _ in 0..2 {
        store.deliver(&marie, b"message").await;
    }
    store
        .raw
        .execute("DELETE FROM structures WHERE body_id = (SELECT body_id FROM messages WHERE uid = 1)")
        .await;
    let all = MessageFilter::default();
    let rows = store.listed_messages(marie.inbox, None, &all, ALL, false, 10).await.unwrap();
    let opens = |row: &store::MessageRow| {
        let key = marie.key.unwrap(row.body, &row.wrapped_key).unwrap();
        row.structure(&key).is_ok()
    };
    let listed: Vec<_> = rows.iter().map(|listed| (listed.row.uid.0, opens(&listed.row))).collect();
    assert_eq!(listed, [(1, false), (2, true)]);
}

async fn a_message_changes_only_as_it_was_read(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.deliver(&marie, b"message").await;
    let read = store.listed_message(marie.inbox, None, Uid(1)).await.unwrap().unwrap().row.modseq;
    let flag = |expected| MessageChange {
        expected,
        add: (FLAGGED, vec!["urgent".to_owned()]),
        remove: (SEEN, Vec::new()),
        ..change(&marie, 1)
    };
    let placed = store.change_message(flag(Some(read))).await.unwrap();
    assert_eq!(placed, Ok(Placed { folder: marie.inbox, uid_validity: None, uid: Uid(1) }));
    let now = store.listed_message(marie.inbox, None, Uid(1)).await.unwrap().unwrap();
    assert!(now.row.modseq > read && now.flags == FLAGGED && now.keywords == 1);
    assert_eq!(store.change_message(flag(Some(read))).await.unwrap(), Err(MessageRefusal::Changed));
    assert_eq!(store.change_message(change(&marie, 2)).await.unwrap(), Err(MessageRefusal::Gone));
    store.change_message(flag(None)).await.unwrap().unwrap();
    let again = store.listed_message(marie.inbox, None, Uid(1)).await.unwrap().unwrap();
    assert_eq!(again.row.modseq, now.row.modseq, "what changes nothing is no change");
    store.assert_sound().await;
}

async fn a_message_moves_with_its_flags_or_not_at_all(store: &Fixture) {
    let marie = store.personal("marie").await;
    let archive = store.folder_id(marie.mailbox, "Archive").await;
    store.append_with(&marie, marie.inbox, b"message", FLAGGED, &["urgent"]).await.unwrap();
    let nowhere = MessageChange {
        move_to: Some(mail_types::FolderId(999_999)),
        add: (SEEN, Vec::new()),
        ..change(&marie, 1)
    };
    let refused = store.change_message(nowhere).await.unwrap();
    assert_eq!(refused, Err(MessageRefusal::Target(Refusal::NoFolder)));
    let untouched = store.listed_message(marie.inbox, None, Uid(1)).await.unwrap().unwrap();
    assert_eq!(untouched.flags, FLAGGED);
    let moving = MessageChange { move_to: Some(archive), add: (SEEN, Vec::new()), ..change(&marie, 1) };
    let placed = store.change_message(moving).await.unwrap().unwrap();
    assert_eq!((placed.folder, placed.uid), (archive, Uid(1)));
    let validity = store.folder_summary(marie.mailbox, None, archive).await.unwrap().unwrap().uid_validity;
    assert_eq!(placed.uid_validity, Some(validity));
    let there = store.listed_message(archive, None, Uid(1)).await.unwrap().unwrap();
    assert_eq!((there.flags, there.keywords), (SEEN.union(FLAGGED), 1));
    assert_eq!(store.uids(marie.inbox).await, [] as [u32; 0]);
    store.assert_sound().await;
}

async fn a_message_is_removed_only_as_it_was_read(store: &Fixture) {
    let marie = store.personal("marie").await;
    for _ in 0..2 {
        store.deliver(&marie, b"message").await;
    }
    let remove = async |uid, expected| {
        store.remove_message(marie.mailbox, marie.inbox, Uid(uid), None, expected).await.unwrap()
    };
    assert_eq!(remove(1, Some(ModSeq(1))).await, Err(MessageRefusal::Changed));
    let read = store.listed_message(marie.inbox, None, Uid(1)).await.unwrap().unwrap().row.modseq;
    assert_eq!(remove(1, Some(read)).await, Ok(()));
    assert_eq!(remove(1, None).await, Err(MessageRefusal::Gone));
    assert_eq!(store.uids(marie.inbox).await, [2]);
    store.assert_sound().await;
}

async fn folders_are_counted_for_their_reader(store: &Fixture) {
    let (marie, pierre) = (store.personal("marie").await, store.personal("pierre").await);
    store.append_with(&marie, marie.inbox, b"seen", SEEN, &[]).await.unwrap();
    store.deliver(&marie, b"unseen").await;
    let all = store.folder_summaries(marie.mailbox, None, "", 100).await.unwrap();
    let inbox = all.iter().find(|folder| folder.row.name == "INBOX").unwrap();
    assert_eq!((inbox.messages, inbox.unseen, inbox.size_bytes), (2, 1, 10));
    let names: Vec<_> = all.iter().map(|folder| folder.row.name.as_str()).collect();
    let mut paged = Vec::new();
    let mut after = String::new();
    while let Some(one) = store.folder_summaries(marie.mailbox, None, &after, 1).await.unwrap().pop() {
        after.clone_from(&one.row.name);
        paged.push(one.row.name);
    }
    assert_eq!(paged, names);
    assert_eq!(store.folder_summary(pierre.mailbox, None, marie.inbox).await.unwrap(), None);
}

async fn a_folder_is_changed_only_under_the_name_that_was_read(store: &Fixture) {
    let marie = store.personal("marie").await;
    let id = store.create_folder(marie.mailbox, "a", None).await.unwrap().unwrap();
    let mailbox = marie.mailbox;
    assert_eq!(store.rename_folder_named(mailbox, id, "a", "b").await.unwrap(), Ok(()));
    store.create_folder(mailbox, "a", None).await.unwrap().unwrap();
    assert_eq!(store.rename_folder_named(mailbox, id, "a", "c").await.unwrap(), Err(FolderError::NotFound));
    assert_eq!(store.delete_folder_named(mailbox, id, "a").await.unwrap(), Err(FolderError::NotFound));
    assert_eq!(store.delete_folder_named(mailbox, id, "b").await.unwrap(), Ok(()));
    assert!(store.folder(mailbox, "a").await.unwrap().is_some());
}

async fn an_organizational_mailbox_is_nobodys_own(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.create_user("chief", "", None).await.unwrap();
    let ward = store.holder("ward", MailboxKind::Organizational, Some("chief")).await;
    let holders = async |address: &str| -> Vec<ActorId> {
        let opened = store.login_mailbox(address, store.now()).await.unwrap().unwrap();
        opened.actors.into_iter().filter(|actor| actor.is_holder).map(|actor| actor.actor.id).collect()
    };
    assert_eq!(holders(&marie.address).await, [marie.actor]);
    assert!(holders(&ward.address).await.is_empty());
}
