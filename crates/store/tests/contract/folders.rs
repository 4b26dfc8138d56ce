//! Folders made, deleted, renamed, subscribed to.

use crate::support::{Fixture, Holder, on_both_engines};
use store::{FolderError, SpecialUse};

on_both_engines!(
    a_folder_is_made_with_its_parents,
    a_use_is_of_one_folder_and_free_again_when_it_goes,
    the_counters_of_all_folders_are_those_of_each,
    a_deleted_folder_takes_its_messages_along,
    a_deleted_folder_with_children_stays_as_a_name,
    a_folder_made_again_has_another_validity,
    a_renamed_folder_takes_everything_below_it,
    renaming_inbox_moves_its_messages,
    what_cannot_be_renamed_is_refused,
    subscriptions_are_of_each_actor,
);

async fn make(store: &Fixture, marie: &Holder, name: &str) {
    store.create_folder(marie.mailbox, name, None).await.unwrap().unwrap();
}

/// Folders that a mailbox does not have from the start; one that cannot be selected in brackets.
async fn own_folders(store: &Fixture, marie: &Holder) -> Vec<String> {
    let defaults = ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"];
    let folders = store.folders(marie.mailbox).await.unwrap();
    let own = folders.into_iter().filter(|folder| !defaults.contains(&folder.name.as_str()));
    let mut names: Vec<_> =
        own.map(|f| if f.selectable { f.name } else { format!("({})", f.name) }).collect();
    names.sort();
    names
}

async fn a_folder_is_made_with_its_parents(store: &Fixture) {
    let marie = store.personal("marie").await;
    make(store, &marie, "Été/2026/Août").await;
    assert_eq!(own_folders(store, &marie).await, ["Été", "Été/2026", "Été/2026/Août"]);
    assert_eq!(store.create_folder(marie.mailbox, "Été/2026", None).await.unwrap(), Err(FolderError::Exists));
    assert!(store.folder(marie.mailbox, "été").await.unwrap().is_none());
}

async fn a_use_is_of_one_folder_and_free_again_when_it_goes(store: &Fixture) {
    let marie = store.personal("marie").await;
    let trash = SpecialUse::named("\\TRASH");
    let taken = store.create_folder(marie.mailbox, "New/Bin", trash).await.unwrap();
    assert_eq!(taken, Err(FolderError::UseTaken));
    assert!(own_folders(store, &marie).await.is_empty(), "not even the level above it is made");
    store.delete_folder(marie.mailbox, "Trash").await.unwrap().unwrap();
    make(store, &marie, "Bin/Old").await;
    store.delete_folder(marie.mailbox, "Bin").await.unwrap().unwrap();
    store.create_folder(marie.mailbox, "Bin", trash).await.unwrap().unwrap();
    let row = store.folder(marie.mailbox, "Bin").await.unwrap().unwrap();
    assert_eq!(row.special_use.as_deref(), Some("\\Trash"));
    assert_eq!(SpecialUse::named("\\All"), None);
}

async fn the_counters_of_all_folders_are_those_of_each(store: &Fixture) {
    let (marie, pierre) = (store.personal("marie").await, store.personal("pierre").await);
    make(store, &marie, "A/B").await;
    let a = store.folder_id(marie.mailbox, "A").await;
    store.append_with(&marie, a, b"gone", mail_types::SystemFlags::DELETED, &["k"]).await.unwrap();
    store.append_with(&marie, a, b"there", mail_types::SystemFlags::SEEN, &[]).await.unwrap();
    store.deliver(&marie, b"new").await;
    store.deliver(&pierre, b"elsewhere").await;
    for reader in [None, Some(pierre.actor)] {
        let all = store.folder_statuses(marie.mailbox, reader, true).await.unwrap();
        assert_eq!(all.len(), 8);
        for (folder, status) in &all {
            assert_eq!(store.folder_status(*folder, reader).await.unwrap(), Some(*status));
        }
    }
    let octets = store.deleted_bytes_in(marie.mailbox).await.unwrap();
    assert_eq!(octets.into_iter().collect::<Vec<_>>(), [(a, store.deleted_bytes(a).await.unwrap())]);
}

async fn a_deleted_folder_takes_its_messages_along(store: &Fixture) {
    let marie = store.personal("marie").await;
    make(store, &marie, "Old").await;
    let old = store.folder_id(marie.mailbox, "Old").await;
    store.append_with(&marie, old, b"gone", mail_types::SystemFlags::DELETED, &["k"]).await.unwrap();
    assert_eq!(store.delete_folder(marie.mailbox, "Old").await.unwrap(), Ok(()));
    assert_eq!(store.delete_folder(marie.mailbox, "Old").await.unwrap(), Err(FolderError::NotFound));
    assert_eq!(store.delete_folder(marie.mailbox, "INBOX").await.unwrap(), Err(FolderError::Forbidden));
    let usage = store.usage(&marie).await;
    assert_eq!((usage.used_bytes, usage.used_messages), (0, 0));
    for table in ["messages", "expunged", "folder_keywords"] {
        assert_eq!(store.raw.int(&format!("SELECT COUNT(*) FROM {table}")).await, 0, "{table}");
    }
    assert_eq!(store.sweep_later().await, 1);
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM bodies").await, 0);
    store.assert_sound().await;
}

async fn a_deleted_folder_with_children_stays_as_a_name(store: &Fixture) {
    let marie = store.personal("marie").await;
    make(store, &marie, "A/B").await;
    make(store, &marie, "AB").await;
    let a = store.folder_id(marie.mailbox, "A").await;
    store.append_with(&marie, a, b"gone", mail_types::SystemFlags::default(), &[]).await.unwrap();
    assert_eq!(store.delete_folder(marie.mailbox, "A").await.unwrap(), Ok(()));
    assert_eq!(own_folders(store, &marie).await, ["(A)", "A/B", "AB"]);
    assert_eq!(store.status(a).await.messages, 0);
    assert_eq!(store.delete_folder(marie.mailbox, "A").await.unwrap(), Err(FolderError::Forbidden));
    make(store, &marie, "A").await;
    assert_eq!(own_folders(store, &marie).await, ["A", "A/B", "AB"]);
    assert_eq!(store.delete_folder(marie.mailbox, "A/B").await.unwrap(), Ok(()));
    assert_eq!(store.delete_folder(marie.mailbox, "A").await.unwrap(), Ok(()));
    assert_eq!(own_folders(store, &marie).await, ["AB"]);
    store.assert_sound().await;
}

async fn a_folder_made_again_has_another_validity(store: &Fixture) {
    let marie = store.personal("marie").await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        make(store, &marie, "Again").await;
        let folder = store.folder_id(marie.mailbox, "Again").await;
        seen.push(store.status(folder).await.uid_validity.0);
        store.delete_folder(marie.mailbox, "Again").await.unwrap().unwrap();
    }
    assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
}

async fn a_renamed_folder_takes_everything_below_it(store: &Fixture) {
    let marie = store.personal("marie").await;
    for name in ["Dossier é/x/y", "Dossier éa", "Dossier_é/z"] {
        make(store, &marie, name).await;
    }
    let inner = store.folder_id(marie.mailbox, "Dossier é/x/y").await;
    store.append_with(&marie, inner, b"kept", mail_types::SystemFlags::default(), &[]).await.unwrap();
    assert_eq!(store.rename_folder(marie.mailbox, "Dossier é", "New/Place").await.unwrap(), Ok(()));
    let expected =
        ["Dossier_é", "Dossier_é/z", "Dossier éa", "New", "New/Place", "New/Place/x", "New/Place/x/y"];
    let mut expected: Vec<_> = expected.iter().map(|&name| name.to_owned()).collect();
    expected.sort();
    assert_eq!(own_folders(store, &marie).await, expected);
    assert_eq!(store.folder_id(marie.mailbox, "New/Place/x/y").await, inner);
    assert_eq!(store.uids(inner).await, [1]);
}

async fn renaming_inbox_moves_its_messages(store: &Fixture) {
    let marie = store.personal("marie").await;
    make(store, &marie, "INBOX/Sub").await;
    store.deliver(&marie, b"moved").await;
    assert_eq!(store.rename_folder(marie.mailbox, "INBOX", "Old/Inbox").await.unwrap(), Ok(()));
    assert_eq!(own_folders(store, &marie).await, ["INBOX/Sub", "Old", "Old/Inbox"]);
    assert_eq!(store.folder_id(marie.mailbox, "INBOX").await, marie.inbox);
    assert!(store.uids(marie.inbox).await.is_empty());
    let old = store.folder_id(marie.mailbox, "Old/Inbox").await;
    assert_eq!(store.read_all(&marie, old, 1).await, b"moved");
    store.deliver(&marie, b"next").await;
    assert_eq!(store.uids(marie.inbox).await, [2]);
    store.assert_sound().await;
}

async fn what_cannot_be_renamed_is_refused(store: &Fixture) {
    let marie = store.personal("marie").await;
    make(store, &marie, "A/B").await;
    for (from, to, refusal) in [
        ("None", "X", FolderError::NotFound),
        ("A", "Sent", FolderError::Exists),
        ("A", "INBOX", FolderError::Forbidden),
        ("A", "A/B/C", FolderError::Forbidden),
        ("INBOX", "Sent", FolderError::Exists),
    ] {
        assert_eq!(
            store.rename_folder(marie.mailbox, from, to).await.unwrap(),
            Err(refusal),
            "{from} to {to}"
        );
    }
    assert_eq!(own_folders(store, &marie).await, ["A", "A/B"]);
}

async fn subscriptions_are_of_each_actor(store: &Fixture) {
    let marie = store.personal("marie").await;
    let pierre = store.create_user("pierre", "", None).await.unwrap();
    for _ in 0..2 {
        store.subscribe(marie.mailbox, pierre.actor, "Not there", true).await.unwrap();
    }
    assert_eq!(store.subscriptions(marie.mailbox, pierre.actor).await.unwrap(), ["Not there"]);
    assert_eq!(store.subscriptions(marie.mailbox, marie.actor).await.unwrap().len(), 6);
    for _ in 0..2 {
        store.subscribe(marie.mailbox, pierre.actor, "Not there", false).await.unwrap();
    }
    assert!(store.subscriptions(marie.mailbox, pierre.actor).await.unwrap().is_empty());
}
