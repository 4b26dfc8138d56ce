//! What somebody changes in another's mailbox is in the audit trail; what its holder does there is not.

use crate::support::{Fixture, Holder, on_both_engines};
use mail_types::{ActorId, FolderId, SystemFlags, Uid};
use serde_json::Value;
use store::{
    Act, AuditFilter, AuditRow, Category, Crossing, FlagAction, MessageChange, NewMessage, Opened, Store, Via,
};

on_both_engines!(
    what_another_adds_and_copies_out_is_told_of_in_the_mailbox_that_is_not_theirs,
    changes_by_another_are_told_of_once_for_each_unit,
    folders_removed_and_renamed_by_another_are_told_of_with_their_names_sealed,
    a_row_names_a_hundred_messages_and_counts_all,
    a_private_seen_is_not_told_of,
    a_holder_changes_untold,
    what_is_refused_or_changes_nothing_is_not_told_of,
);

const FLAGGED: SystemFlags = SystemFlags::FLAGGED;
const DELETED: SystemFlags = SystemFlags::DELETED;
const SEEN: SystemFlags = SystemFlags::SEEN;
const NURSE: ActorId = ActorId(4711);

/// The store for somebody who does not hold the mailbox.
fn another(store: &Fixture) -> Store {
    let credential = Some("password:7".to_owned());
    store.acting(Act { actor: Some(NURSE), credential, tells_changes: true, ..Act::via(Via::Imap) })
}

async fn told(store: &Fixture, marie: &Holder) -> Vec<AuditRow> {
    let filter = AuditFilter {
        mailbox: Some(marie.mailbox),
        category: Some(Category::Access),
        actor: Some(NURSE),
        ..AuditFilter::default()
    };
    let mut rows = store.search_audit(&filter, None, 100).await.unwrap().rows;
    rows.reverse();
    rows
}

fn said(rows: &[AuditRow]) -> Vec<(&str, &str)> {
    rows.iter().map(|row| (row.action.as_str(), row.detail.as_str())).collect()
}

fn name(row: &AuditRow, field: &str) -> Value {
    let Opened::Fields(fields) = &row.personal else { panic!("{:?}", row.personal) };
    fields[field].clone()
}

fn change(marie: &Holder, uid: u32) -> MessageChange {
    MessageChange {
        mailbox: marie.mailbox,
        folder: marie.inbox,
        uid: Uid(uid),
        actor: None,
        expected: None,
        add: Default::default(),
        remove: Default::default(),
        move_to: None,
    }
}

async fn changes_by_another_are_told_of_once_for_each_unit(store: &Fixture) {
    let marie = store.personal("marie").await;
    for _ in 0..6 {
        store.deliver(&marie, b"message").await;
    }
    let target = store.create_folder(marie.mailbox, "Kept", None).await.unwrap().unwrap();
    let (nurse, inbox) = (another(store), marie.inbox);
    let keywords = vec!["urgent".to_owned()];
    nurse.store_flags(inbox, None, vec![(1, 2)], FlagAction::Add, FLAGGED, keywords).await.unwrap();
    nurse.store_flags(inbox, None, vec![(2, 3)], FlagAction::Replace, DELETED, Vec::new()).await.unwrap();
    nurse.expunge(marie.mailbox, inbox, None).await.unwrap();
    nurse.move_to(marie.mailbox, inbox, target, vec![(4, 4)], Some(1)).await.unwrap().unwrap();
    let both = MessageChange { add: (FLAGGED, Vec::new()), move_to: Some(target), ..change(&marie, 5) };
    nurse.change_message(both).await.unwrap().unwrap();
    nurse.remove_message(marie.mailbox, inbox, Uid(6), None, None).await.unwrap().unwrap();
    let rows = told(store, &marie).await;
    let to = |rest: &str| rest.replace("TARGET", &target.to_string());
    let (moved, changed) = (to("count=1 uids=4 to=TARGET"), to("count=1 uids=5 to=TARGET set=\\Flagged"));
    assert_eq!(
        said(&rows),
        [
            ("message.changed", "count=2 uids=1,2 set=\\Flagged set_keywords=1"),
            ("message.changed", "count=2 uids=2,3 only=\\Deleted"),
            ("message.removed", "count=2 uids=2,3"),
            ("message.changed", moved.as_str()),
            ("message.changed", changed.as_str()),
            ("message.removed", "count=1 uids=6"),
        ]
    );
    for row in &rows {
        assert_eq!((row.credential.as_deref(), row.via.as_deref()), (Some("password:7"), Some("imap")));
        assert_eq!(row.target, Some(format!("folder:{inbox}")));
    }
    let shown = store.accesses(marie.mailbox, Some(marie.actor), None, 100).await.unwrap().rows;
    assert_eq!(shown.iter().filter(|row| row.action.starts_with("message.")).count(), 6);
    store.assert_sound().await;
}

async fn what_another_adds_and_copies_out_is_told_of_in_the_mailbox_that_is_not_theirs(store: &Fixture) {
    let (marie, pierre) = (store.personal("marie").await, store.personal("pierre").await);
    store.deliver(&marie, b"message").await;
    let nurse = another(store);
    let kept = nurse.create_folder(marie.mailbox, "Kept", None).await.unwrap().unwrap();
    let message = NewMessage::new(store.seal(b"draft").await);
    nurse.append(marie.append(kept, vec![message])).await.unwrap().unwrap();
    let own = Act { holds: Some(pierre.mailbox), ..nurse.act().unwrap().clone() };
    let crossing = |from: (&Holder, FolderId), to: (&Holder, FolderId)| Crossing {
        from: (from.0.mailbox, from.1),
        to: (to.0.mailbox, to.1),
        keys: Some((from.0.key.clone(), to.0.key.clone())),
        flags: FLAGGED,
        keywords: true,
        actor: from.0.actor,
    };
    let between = store.acting(own);
    let out = crossing((&marie, marie.inbox), (&pierre, pierre.inbox));
    between.copy_across(out, vec![(1, 1)], Some(1)).await.unwrap().unwrap();
    let back = crossing((&pierre, pierre.inbox), (&marie, kept));
    between.move_across(back, vec![(1, 1)], Some(1)).await.unwrap().unwrap();
    let rows = told(store, &marie).await;
    let (to, from) =
        (format!("count=1 uids=1 to={}", pierre.inbox), format!("count=1 uids=2 from={}", pierre.inbox));
    let wanted = [
        ("folder.created", ""),
        ("message.added", "count=1 uids=1 "),
        ("message.copied", &to),
        ("message.added", &from),
    ];
    // Each chain of rows has its own order.
    let mut said = said(&rows);
    said.sort_unstable_by_key(|row| {
        wanted.iter().position(|(action, detail)| (*action, detail.trim_end()) == *row)
    });
    assert_eq!(said, wanted.map(|(action, detail)| (action, detail.trim_end())));
    let created = rows.iter().find(|row| row.action == "folder.created").unwrap();
    assert_eq!(name(created, "after"), "Kept");
    assert!(told(store, &pierre).await.is_empty(), "it is their own");
    store.assert_sound().await;
}

async fn folders_removed_and_renamed_by_another_are_told_of_with_their_names_sealed(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.deliver(&marie, b"message").await;
    let (nurse, mailbox) = (another(store), marie.mailbox);
    for folder in ["Dupont/A", "Martin"] {
        store.create_folder(mailbox, folder, None).await.unwrap().unwrap();
    }
    nurse.rename_folder(mailbox, "Dupont", "Durand").await.unwrap().unwrap();
    nurse.rename_folder(mailbox, "INBOX", "Before").await.unwrap().unwrap();
    let martin = store.folder(mailbox, "Martin").await.unwrap().unwrap().id;
    nurse.rename_folder_named(mailbox, martin, "Martin", "Petit").await.unwrap().unwrap();
    nurse.delete_folder(mailbox, "Before").await.unwrap().unwrap();
    nurse.delete_folder_named(mailbox, martin, "Petit").await.unwrap().unwrap();
    let rows = told(store, &marie).await;
    let actions: Vec<&str> = rows.iter().map(|row| row.action.as_str()).collect();
    let (renamed, removed) = ("folder.renamed", "folder.removed");
    assert_eq!(actions, [renamed, renamed, renamed, removed, removed]);
    assert_eq!((name(&rows[0], "before"), name(&rows[0], "after")), ("Dupont".into(), "Durand".into()));
    assert_eq!(rows[0].detail, "folders_below=1");
    assert!(rows[1].detail.starts_with("messages=1 to="), "{}", rows[1].detail);
    assert_eq!((name(&rows[3], "before"), rows[3].detail.as_str()), ("Before".into(), "messages=1"));
    assert_eq!(rows[4].target, Some(format!("folder:{martin}")));
    let plain = store.raw.texts("SELECT detail FROM audit_rows").await.concat();
    assert!(!plain.contains("Dupont") && !plain.contains("Before"), "{plain}");
}

async fn a_row_names_a_hundred_messages_and_counts_all(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.append_with(&marie, marie.inbox, b"x", DELETED, &[]).await.unwrap();
    for _ in 0..7 {
        let own = (marie.mailbox, marie.inbox);
        store.copy(own, own, vec![(1, 200)], None, None).await.unwrap().unwrap();
    }
    let count = store.uids(marie.inbox).await.len();
    assert_eq!(count, 128);
    another(store).expunge(marie.mailbox, marie.inbox, Some(vec![(1, 2), (3, 500)])).await.unwrap();
    let rows = told(store, &marie).await;
    assert!(rows[0].detail.starts_with("count=128 uids=1,2,3,4,"), "{}", rows[0].detail);
    assert!(rows[0].detail.ends_with(",99,100"), "{}", rows[0].detail);
}

async fn a_private_seen_is_not_told_of(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.keep_seen_apart(&marie, true).await;
    for _ in 0..2 {
        store.deliver(&marie, b"message").await;
    }
    let (nurse, inbox) = (another(store), marie.inbox);
    let both = SEEN.union(FLAGGED);
    nurse.store_flags(inbox, Some(marie.actor), vec![(1, 1)], FlagAction::Add, SEEN, vec![]).await.unwrap();
    let seen = MessageChange { actor: Some(marie.actor), add: (SEEN, vec![]), ..change(&marie, 2) };
    nurse.change_message(seen).await.unwrap().unwrap();
    assert!(told(store, &marie).await.is_empty());
    // A flag that all readers share is another matter, and so is a \Seen that they share.
    nurse.store_flags(inbox, Some(marie.actor), vec![(1, 1)], FlagAction::Add, both, vec![]).await.unwrap();
    nurse.store_flags(inbox, None, vec![(2, 2)], FlagAction::Add, SEEN, vec![]).await.unwrap();
    let rows = told(store, &marie).await;
    assert_eq!(rows.len(), 2, "{rows:?}");
}

async fn a_holder_changes_untold(store: &Fixture) {
    let marie = store.personal("marie").await;
    for _ in 0..3 {
        store.append_with(&marie, marie.inbox, b"x", DELETED, &[]).await.unwrap();
    }
    let target = store.create_folder(marie.mailbox, "Kept", None).await.unwrap().unwrap();
    let rows = async || store.raw.int("SELECT COUNT(*) FROM audit_rows").await;
    let before = rows().await;
    for own in [store.acting(Act { actor: Some(marie.actor), ..Act::via(Via::Rest) }), Store::clone(store)] {
        let flagged = MessageChange { add: (FLAGGED, vec![]), ..change(&marie, 1) };
        own.change_message(flagged).await.unwrap().unwrap();
        own.store_flags(marie.inbox, None, vec![(1, 9)], FlagAction::Add, SEEN, vec![]).await.unwrap();
    }
    store.move_to(marie.mailbox, marie.inbox, target, vec![(1, 1)], None).await.unwrap().unwrap();
    store.expunge(marie.mailbox, marie.inbox, None).await.unwrap();
    store.rename_folder(marie.mailbox, "Kept", "Elsewhere").await.unwrap().unwrap();
    store.delete_folder(marie.mailbox, "Elsewhere").await.unwrap().unwrap();
    assert_eq!(rows().await, before);
}

async fn what_is_refused_or_changes_nothing_is_not_told_of(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.deliver(&marie, b"message").await;
    let (nurse, inbox) = (another(store), marie.inbox);
    nurse.expunge(marie.mailbox, inbox, None).await.unwrap();
    nurse.store_flags(inbox, None, vec![(1, 1)], FlagAction::Remove, FLAGGED, vec![]).await.unwrap();
    nurse.change_message(change(&marie, 1)).await.unwrap().unwrap();
    assert!(nurse.remove_message(marie.mailbox, inbox, Uid(9), None, None).await.unwrap().is_err());
    assert!(nurse.delete_folder(marie.mailbox, "INBOX").await.unwrap().is_err());
    assert!(nurse.rename_folder(marie.mailbox, "Nowhere", "x").await.unwrap().is_err());
    assert!(told(store, &marie).await.is_empty());
}
