//! Annotations: whose they are, how they lie in the database, what becomes of them.

use crate::support::{Fixture, Holder, on_both_engines};
use mail_types::{ActorId, FolderId};
use store::{Annotated, AnnotationChange, AnnotationError, SpecialUse};

on_both_engines!(
    annotations_are_of_all_or_of_one_reader_and_lie_sealed,
    a_change_is_made_as_a_whole_or_not_at_all,
    what_was_removed_is_remembered_for_a_while_only,
    annotations_go_where_their_folder_goes,
);

async fn of(store: &Fixture, holder: &Holder, folder: Option<FolderId>, actor: ActorId) -> Annotated {
    let key = store.mailbox_key(holder.mailbox).await.unwrap();
    Annotated { mailbox: holder.mailbox, folder, actor, key }
}

fn change(values: &[(&str, Option<&str>)]) -> AnnotationChange {
    let value =
        |(name, value): &(&str, Option<&str>)| ((*name).to_owned(), value.map(|v| v.as_bytes().to_vec()));
    AnnotationChange { values: values.iter().map(value).collect(), ..AnnotationChange::default() }
}

async fn value(store: &Fixture, of: &Annotated, name: &str) -> Option<String> {
    store.annotation(of, name).await.unwrap().map(|value| String::from_utf8(value).unwrap())
}

async fn annotations_are_of_all_or_of_one_reader_and_lie_sealed(store: &Fixture) {
    let (marie, pierre) = (store.personal("marie").await, store.personal("pierre").await);
    let hers = of(store, &marie, Some(marie.inbox), marie.actor).await;
    let his = of(store, &marie, Some(marie.inbox), pierre.actor).await;
    let set = change(&[("/private/comment", Some("patient Durand")), ("/shared/comment", Some("to all"))]);
    store.annotate(hers.clone(), set).await.unwrap().unwrap();
    store.annotate(his.clone(), change(&[("/private/comment", Some("mine"))])).await.unwrap().unwrap();
    assert_eq!(value(store, &hers, "/private/comment").await.as_deref(), Some("patient Durand"));
    assert_eq!(value(store, &his, "/private/comment").await.as_deref(), Some("mine"));
    assert_eq!(value(store, &his, "/shared/comment").await.as_deref(), Some("to all"));
    let sizes = store.annotation_sizes(&his).await.unwrap();
    assert_eq!(sizes, [("/private/comment".to_owned(), 4), ("/shared/comment".to_owned(), 6)]);
    let sealed = store.raw.blobs("SELECT value FROM annotations").await;
    assert!(sealed.iter().all(|value| !value.windows(6).any(|part| part == b"Durand" || part == b"to all")));
    // What is moved under another name does not open.
    store.raw.execute("UPDATE annotations SET name = '/shared/other' WHERE name = '/shared/comment'").await;
    assert!(store.annotation(&his, "/shared/other").await.is_err());
}

async fn a_change_is_made_as_a_whole_or_not_at_all(store: &Fixture) {
    let marie = store.personal("marie").await;
    let inbox = of(store, &marie, Some(marie.inbox), marie.actor).await;
    let with_use = |special_use| AnnotationChange {
        special_use: Some(special_use),
        ..change(&[("/private/comment", Some("x"))])
    };
    let taken = store.annotate(inbox.clone(), with_use(Some(SpecialUse::SENT))).await.unwrap();
    assert_eq!(taken, Err(AnnotationError::UseTaken));
    let many: Vec<(String, Option<Vec<u8>>)> =
        (0..=100).map(|n| (format!("/shared/{n}"), Some(Vec::new()))).collect();
    let many = AnnotationChange { values: many, ..AnnotationChange::default() };
    assert_eq!(store.annotate(inbox.clone(), many).await.unwrap(), Err(AnnotationError::TooMany));
    let large = AnnotationChange {
        values: vec![("/shared/x".to_owned(), Some(vec![0; store::ANNOTATION_MAX + 1]))],
        ..AnnotationChange::default()
    };
    assert_eq!(store.annotate(inbox.clone(), large).await.unwrap(), Err(AnnotationError::TooLarge));
    let gone = of(store, &marie, Some(FolderId(9999)), marie.actor).await;
    let set = change(&[("/shared/x", Some("x"))]);
    assert_eq!(store.annotate(gone, set).await.unwrap(), Err(AnnotationError::NoFolder));
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM annotations").await, 0);
    let sent = of(store, &marie, Some(store.folder_id(marie.mailbox, "Sent").await), marie.actor).await;
    store.annotate(sent, with_use(None)).await.unwrap().unwrap();
    store.annotate(inbox, with_use(Some(SpecialUse::SENT))).await.unwrap().unwrap();
    let row = store.folder(marie.mailbox, "INBOX").await.unwrap().unwrap();
    assert_eq!(row.special_use.as_deref(), Some("\\Sent"));
}

async fn what_was_removed_is_remembered_for_a_while_only(store: &Fixture) {
    let marie = store.personal("marie").await;
    let inbox = of(store, &marie, Some(marie.inbox), marie.actor).await;
    for round in 0..3 {
        for value in [Some("x"), None] {
            let names: Vec<String> = (0..60).map(|n| format!("/private/{round}/{n}")).collect();
            let values: Vec<_> = names.iter().map(|name| (name.as_str(), value)).collect();
            store.annotate(inbox.clone(), change(&values)).await.unwrap().unwrap();
        }
    }
    assert!(store.annotation_sizes(&inbox).await.unwrap().is_empty());
    let kept = store.raw.int("SELECT COUNT(*) FROM annotations").await;
    assert!((60..=120).contains(&kept), "{kept}");
}

async fn annotations_go_where_their_folder_goes(store: &Fixture) {
    let marie = store.personal("marie").await;
    let inbox = of(store, &marie, Some(marie.inbox), marie.actor).await;
    let server = of(store, &marie, None, marie.actor).await;
    for of in [&inbox, &server] {
        store.annotate(of.clone(), change(&[("/private/comment", Some("letters"))])).await.unwrap().unwrap();
    }
    store.rename_folder(marie.mailbox, "INBOX", "Old").await.unwrap().unwrap();
    let old = of(store, &marie, Some(store.folder_id(marie.mailbox, "Old").await), marie.actor).await;
    for of in [&inbox, &old] {
        assert_eq!(value(store, of, "/private/comment").await.as_deref(), Some("letters"));
    }
    store.delete_folder(marie.mailbox, "Old").await.unwrap().unwrap();
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM annotations").await, 2);
    store.assert_sound().await;
}
