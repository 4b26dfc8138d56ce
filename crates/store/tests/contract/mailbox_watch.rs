//! Who follows a mailbox is told where something changed, whoever committed it.

use crate::support::{Fixture, on_both_engines};
use mail_types::{ActorId, FolderId, MailboxId, SystemFlags};
use std::time::Duration;
use store::{FlagAction, MailboxMoves, MailboxWatch};
use tokio::time::timeout;

on_both_engines!(
    what_is_committed_here_is_told_of_at_once,
    what_another_process_commits_is_found,
    what_a_reader_may_not_know_is_no_change_for_them,
);

/// More than it takes to look again.
const PATIENCE: Duration = Duration::from_secs(20);

/// What moved in a mailbox, once something did.
async fn moved(watch: &MailboxWatch, mailbox: MailboxId) -> MailboxMoves {
    timeout(PATIENCE, watch.changed()).await.unwrap();
    watch.take().mailboxes.remove(&mailbox).unwrap_or_default()
}

async fn following(store: &Fixture, mailbox: MailboxId) -> MailboxWatch {
    let mut watch = store.watch_mailboxes(true);
    watch.follow(mailbox);
    let folders = store.folders(mailbox).await.unwrap();
    watch.has_folders(mailbox, folders.iter().map(|folder| folder.id));
    watch
}

async fn seqs(store: &Fixture, mailbox: MailboxId) -> (i64, i64, i64) {
    let seqs = store.mailbox_seqs(&[mailbox]).await.unwrap()[&mailbox];
    (seqs.folders, seqs.subscriptions, seqs.annotations)
}

async fn what_is_committed_here_is_told_of_at_once(store: &Fixture) {
    let (marie, pierre) = (store.personal("marie").await, store.personal("pierre").await);
    let watch = following(store, marie.mailbox).await;
    store.append_with(&marie, marie.inbox, b"new", SystemFlags::default(), &[]).await;
    let wanted = MailboxMoves { folders: [(marie.inbox, None)].into(), ..MailboxMoves::default() };
    assert_eq!(moved(&watch, marie.mailbox).await, wanted);
    store.append_with(&pierre, pierre.inbox, b"new", SystemFlags::default(), &[]).await;
    store.create_folder(pierre.mailbox, "A", None).await.unwrap().unwrap();
    assert!(!watch.has_changed(), "what happens elsewhere wakes nobody");
    let named = MailboxMoves { is_named: true, ..MailboxMoves::default() };
    let mut before = seqs(store, marie.mailbox).await;
    let made = store.create_folder(marie.mailbox, "A", None).await.unwrap().unwrap();
    assert_eq!(moved(&watch, marie.mailbox).await, named);
    store.rename_folder(marie.mailbox, "A", "B").await.unwrap().unwrap();
    assert_eq!(moved(&watch, marie.mailbox).await, named);
    store.delete_folder(marie.mailbox, "B").await.unwrap().unwrap();
    assert!(moved(&watch, marie.mailbox).await.is_named, "{made}");
    let after = seqs(store, marie.mailbox).await;
    assert_eq!(after, (before.0 + 3, before.1, before.2));
    before = after;
    store.subscribe(marie.mailbox, marie.actor, "INBOX", true).await.unwrap();
    assert_eq!(moved(&watch, marie.mailbox).await, named);
    assert_eq!(seqs(store, marie.mailbox).await, (before.0, before.1 + 1, before.2));
}

async fn what_another_process_commits_is_found(store: &Fixture) {
    let marie = store.personal("marie").await;
    let sent = store.folder_id(marie.mailbox, "Sent").await;
    let mut watch = following(store, marie.mailbox).await;
    watch.follow_reach(marie.actor);
    let here = store::Store::clone(store);
    let looking = tokio::spawn(async move { here.follow_mailboxes().await });
    // Where somebody looks for the first time, everything may be new.
    let (mut first, mut reaches_more) = (MailboxMoves::default(), false);
    while first.seqs.is_none() || first.folders.is_empty() || !reaches_more {
        timeout(PATIENCE, watch.changed()).await.unwrap();
        let mut news = watch.take();
        // What was given before anybody looked is not lost.
        reaches_more |= news.reaches_more;
        first.add(news.mailboxes.remove(&marie.mailbox).unwrap_or_default());
    }
    assert!(first.folders.contains_key(&marie.inbox), "{first:?}");
    let other = store.open_again().await.unwrap();
    let message = store::NewMessage::new(store.seal(b"from elsewhere").await);
    other.append(marie.append(sent, vec![message])).await.unwrap().unwrap();
    let modseq = store.status(sent).await.modseq;
    let wanted = MailboxMoves { folders: [(sent, Some(modseq))].into(), ..MailboxMoves::default() };
    assert_eq!(moved(&watch, marie.mailbox).await, wanted);
    other.create_folder(marie.mailbox, "A", None).await.unwrap().unwrap();
    let mut found = MailboxMoves::default();
    while found.seqs.is_none() {
        found.add(moved(&watch, marie.mailbox).await);
    }
    assert_eq!(found.seqs, store.mailbox_seqs(&[marie.mailbox]).await.unwrap().get(&marie.mailbox).copied());
    assert!(!found.is_named && !found.all_folders);
    looking.abort();
    other.close().await;
}

async fn what_a_reader_may_not_know_is_no_change_for_them(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.keep_seen_apart(&marie, true).await;
    let nurse = store.create_user("nurse", "", None).await.unwrap().actor;
    let other = store.create_user("other", "", None).await.unwrap().actor;
    store.append_with(&marie, marie.inbox, b"one", SystemFlags::default(), &[]).await;
    let mark = async |actor: ActorId, flags| {
        let before = store.status(marie.inbox).await.modseq;
        let changed = store
            .store_flags(marie.inbox, Some(actor), vec![(1, 1)], FlagAction::Add, flags, Vec::new())
            .await;
        assert_eq!(changed.unwrap().unwrap().len(), 1);
        before
    };
    let sees = async |actor, since| store.has_changed_for(marie.inbox, actor, since).await.unwrap();
    let before = mark(nurse, SystemFlags::SEEN).await;
    assert_ne!(store.status(marie.inbox).await.modseq, before);
    assert!(sees(nurse, before).await && !sees(other, before).await);
    let before = mark(nurse, SystemFlags::FLAGGED).await;
    assert!(sees(nurse, before).await && sees(other, before).await);
    let of = async |actor| {
        let folders: Vec<FolderId> = vec![marie.inbox];
        store.folder_statuses_of(marie.mailbox, Some(actor), &folders).await.unwrap()[0]
    };
    assert_eq!((of(nurse).await.unseen, of(other).await.unseen), (0, 1));
}
