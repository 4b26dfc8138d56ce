//! Flags, keywords, recency and the change log.

use crate::support::{Fixture, Holder, on_both_engines};
use mail_types::{FolderId, ModSeq, SystemFlags, Uid};
use store::{FlagAction, FlagChange, FlagStore, NewMessage};

on_both_engines!(
    flags_are_added_removed_and_replaced,
    keywords_get_a_bit_each_and_keep_it,
    a_folder_has_room_for_sixty_three_keywords,
    changes_tell_what_happened_since,
    changes_of_a_folder_that_is_gone_are_none,
    a_conditional_change_leaves_alone_what_changed_since,
    what_may_not_change_stays_when_flags_are_replaced,
    recent_messages_are_claimed_once,
    a_message_is_appended_with_flags_keywords_and_date,
);

const SEEN: SystemFlags = SystemFlags::SEEN;
const FLAGGED: SystemFlags = SystemFlags::FLAGGED;
const DELETED: SystemFlags = SystemFlags::DELETED;

/// A mailbox with `count` messages in its INBOX.
async fn with_messages(store: &Fixture, count: usize) -> Holder {
    let marie = store.personal("marie").await;
    for _ in 0..count {
        store.deliver(&marie, b"message").await;
    }
    marie
}

async fn change(
    store: &Fixture,
    folder: FolderId,
    range: (u32, u32),
    action: FlagAction,
    flags: SystemFlags,
    keywords: &[&str],
) -> Vec<FlagChange> {
    let keywords = keywords.iter().map(|&k| k.to_owned()).collect();
    store.store_flags(folder, None, vec![range], action, flags, keywords).await.unwrap().unwrap()
}

fn uids(changes: &[FlagChange]) -> Vec<u32> {
    changes.iter().map(|change| change.uid.0).collect()
}

async fn flags_are_added_removed_and_replaced(store: &Fixture) {
    let inbox = with_messages(store, 3).await.inbox;
    let added = change(store, inbox, (1, 2), FlagAction::Add, SEEN.union(FLAGGED), &[]).await;
    assert_eq!(uids(&added), [1, 2]);
    assert!(added.iter().all(|c| c.flags == SEEN.union(FLAGGED) && c.modseq == ModSeq(5)));
    assert_eq!(store.status(inbox).await.unseen, 1);
    assert_eq!(change(store, inbox, (1, 2), FlagAction::Add, SEEN, &[]).await, []);
    assert_eq!(store.status(inbox).await.modseq, ModSeq(5));
    let removed = change(store, inbox, (2, 3), FlagAction::Remove, SEEN, &[]).await;
    assert_eq!((uids(&removed), removed[0].flags), (vec![2], FLAGGED));
    let replaced = change(store, inbox, (1, u32::MAX), FlagAction::Replace, DELETED, &[]).await;
    assert_eq!(uids(&replaced), [1, 2, 3]);
    let status = store.status(inbox).await;
    assert_eq!((status.unseen, status.deleted, status.modseq), (3, 3, ModSeq(7)));
    let rows = store.select(inbox, None, false).await.unwrap().unwrap().rows;
    assert!(rows.iter().all(|row| row.flags == DELETED && row.modseq == ModSeq(7)));
    store.assert_sound().await;
}

async fn keywords_get_a_bit_each_and_keep_it(store: &Fixture) {
    let inbox = with_messages(store, 2).await.inbox;
    let none = SystemFlags::default();
    assert_eq!(
        change(store, inbox, (1, 1), FlagAction::Add, none, &["$Forwarded", "Urgent"]).await[0].keywords,
        0b11
    );
    assert_eq!(
        change(store, inbox, (2, 2), FlagAction::Add, none, &["urgent", "MDNSent"]).await[0].keywords,
        0b110
    );
    assert_eq!(change(store, inbox, (1, 2), FlagAction::Remove, none, &["URGENT", "unknown"]).await.len(), 2);
    assert_eq!(
        change(store, inbox, (1, 1), FlagAction::Replace, FLAGGED, &["MDNSent"]).await[0].keywords,
        0b100
    );
    assert_eq!(store.keywords(inbox).await.unwrap(), ["$Forwarded", "Urgent", "MDNSent"]);
    let rows = store.select(inbox, None, false).await.unwrap().unwrap().rows;
    assert_eq!(rows.iter().map(|row| row.keywords).collect::<Vec<_>>(), [0b100, 0b100]);
}

async fn a_folder_has_room_for_sixty_three_keywords(store: &Fixture) {
    let inbox = with_messages(store, 1).await.inbox;
    let names = |range: std::ops::Range<usize>| range.map(|i| format!("k{i}")).collect::<Vec<_>>();
    let add = |names| store.store_flags(inbox, None, vec![(1, 1)], FlagAction::Add, FLAGGED, names);
    assert!(add(names(0..62)).await.unwrap().is_some());
    assert_eq!(add(names(60..64)).await.unwrap(), None);
    assert_eq!(store.keywords(inbox).await.unwrap().len(), 62, "a refused STORE leaves no keyword");
    let full = add(names(62..63)).await.unwrap().unwrap();
    assert_eq!(full[0].keywords, (1 << 63) - 1);
    assert_eq!(add(names(63..64)).await.unwrap(), None);
    let rows = store.select(inbox, None, false).await.unwrap().unwrap().rows;
    assert_eq!(rows[0].keywords, (1 << 63) - 1);
}

async fn changes_tell_what_happened_since(store: &Fixture) {
    let marie = with_messages(store, 3).await;
    let since = store.status(marie.inbox).await.modseq;
    let quiet = store.changes(marie.inbox, None, since).await.unwrap().unwrap();
    assert_eq!((quiet.modseq, quiet.rows, quiet.expunged), (since, vec![], vec![]));
    change(store, marie.inbox, (2, 2), FlagAction::Add, DELETED, &["x"]).await;
    change(store, marie.inbox, (3, 3), FlagAction::Add, SEEN, &[]).await;
    store.expunge(marie.mailbox, marie.inbox, None).await.unwrap();
    store.deliver(&marie, b"new").await;
    let changes = store.changes(marie.inbox, None, since).await.unwrap().unwrap();
    let rows: Vec<_> = changes.rows.iter().map(|row| (row.uid.0, row.flags)).collect();
    assert_eq!(rows, [(3, SEEN), (4, SystemFlags::default())]);
    assert_eq!((changes.expunged, changes.keywords), (vec![Uid(2)], vec!["x".to_owned()]));
    assert_eq!(changes.modseq, store.status(marie.inbox).await.modseq);
    let later = store.changes(marie.inbox, None, changes.modseq).await.unwrap().unwrap();
    assert!(later.rows.is_empty() && later.expunged.is_empty());
}

async fn changes_of_a_folder_that_is_gone_are_none(store: &Fixture) {
    assert!(store.changes(FolderId(4711), None, ModSeq(1)).await.unwrap().is_none());
    assert!(store.select(FolderId(4711), None, true).await.unwrap().is_none());
    assert_eq!(store.folder_status(FolderId(4711), None).await.unwrap(), None);
}

async fn a_conditional_change_leaves_alone_what_changed_since(store: &Fixture) {
    let inbox = with_messages(store, 4).await.inbox;
    let since = store.status(inbox).await.modseq;
    let changed = change(store, inbox, (2, 2), FlagAction::Add, SEEN, &[]).await;
    let asked = |since| FlagStore {
        unchanged_since: Some(since),
        ..FlagStore::any(FlagAction::Add, FLAGGED, vec!["x".to_owned()])
    };
    let conditional = |since| store.store_flags_if(inbox, None, vec![(1, 3)], asked(since));
    let stored = conditional(since).await.unwrap().unwrap();
    assert_eq!((uids(&stored.changes), stored.modified), (vec![1, 3], vec![Uid(2)]));
    let stored = conditional(changed[0].modseq).await.unwrap().unwrap();
    assert_eq!((uids(&stored.changes), stored.modified), (vec![2], vec![Uid(1), Uid(3)]));
    let stored = conditional(ModSeq(0)).await.unwrap().unwrap();
    assert_eq!(
        (uids(&stored.changes), stored.modified.len()),
        (vec![], 3),
        "whether or not they would change"
    );
    store.assert_sound().await;
}

async fn what_may_not_change_stays_when_flags_are_replaced(store: &Fixture) {
    let inbox = with_messages(store, 1).await.inbox;
    change(store, inbox, (1, 1), FlagAction::Add, DELETED.union(FLAGGED), &["x"]).await;
    let asked = FlagStore {
        changeable: SEEN.union(FLAGGED),
        changes_keywords: false,
        ..FlagStore::any(FlagAction::Replace, SEEN, Vec::new())
    };
    let stored = store.store_flags_if(inbox, None, vec![(1, 1)], asked).await.unwrap().unwrap();
    assert_eq!((stored.changes[0].flags, stored.changes[0].keywords), (DELETED.union(SEEN), 1));
}

async fn recent_messages_are_claimed_once(store: &Fixture) {
    let marie = with_messages(store, 2).await;
    let look = |claim| async move { store.select(marie.inbox, None, claim).await.unwrap().unwrap() };
    assert_eq!(look(false).await.recent_from, 1);
    let claimed = look(true).await;
    assert_eq!((claimed.recent_from, claimed.status.recent), (1, 2));
    let after = look(true).await;
    assert_eq!((after.recent_from, after.status.recent), (3, 0));
    store.deliver(&marie, b"new").await;
    assert_eq!(look(false).await.status.recent, 1);
    assert_eq!(look(true).await.recent_from, 3);
    assert_eq!(look(true).await.recent_from, 4);
}

async fn a_message_is_appended_with_flags_keywords_and_date(store: &Fixture) {
    let marie = store.personal("marie").await;
    let drafts = store.folder_id(marie.mailbox, "Drafts").await;
    let date = store.now().plus_secs(-86_400);
    let flags = SystemFlags::DRAFT.union(SEEN);
    let message = NewMessage {
        body: store.seal(b"draft").await,
        flags,
        keywords: vec!["k".to_owned()],
        internal_date: Some(date),
    };
    let appended = store.append(marie.append(drafts, vec![message])).await.unwrap().unwrap()[0];
    let status = store.status(drafts).await;
    assert_eq!(
        (appended.uid, appended.uid_validity, appended.modseq),
        (Uid(1), status.uid_validity, status.modseq)
    );
    assert_eq!((status.messages, status.unseen), (1, 0));
    let selected = store.select(drafts, None, false).await.unwrap().unwrap();
    assert_eq!(
        (selected.rows[0].flags, selected.rows[0].keywords, selected.keywords),
        (flags, 1, vec!["k".to_owned()])
    );
    let row = store.messages(drafts, Uid(1), Uid(1), 1, store::WithBody::No).await.unwrap().remove(0);
    assert_eq!(row.internal_date, date);
    assert_eq!(store.read_all(&marie, drafts, 1).await, b"draft");
    store.assert_sound().await;
}
