//! `\Seen` of each actor apart, in mailboxes that several persons read.

use crate::support::{Fixture, Holder, on_both_engines};
use mail_types::{ActorId, FolderId, MailboxId, MailboxKind, ModSeq, SystemFlags, Uid};
use store::{Append, FlagAction, FlagStore, NewMessage};

on_both_engines!(
    two_actors_have_a_seen_of_their_own,
    changes_of_seen_are_told_to_their_actor_only,
    a_private_change_counts_for_the_conditions_of_its_actor_only,
    other_flags_are_shared,
    an_expunged_message_is_forgotten_as_seen,
    an_appended_message_is_seen_by_who_appended_it,
    a_shared_seen_from_elsewhere_keeps_its_count,
    a_moved_message_stays_seen,
    a_mailbox_begins_and_ends_to_keep_seen_apart,
    copies_keep_who_has_seen_what_when_it_was_shared_before,
    whoever_believes_that_it_is_kept_otherwise_writes_as_it_is_kept,
    making_it_one_goes_by_pages_and_is_taken_up_again,
    what_is_written_while_it_becomes_one_is_one_at_once,
    fsck_finds_what_a_reader_alone_has_seen_where_it_is_one,
);

const SEEN: SystemFlags = SystemFlags::SEEN;

/// A service with three messages, and two actors.
async fn ward(store: &Fixture) -> (Holder, ActorId, ActorId) {
    store.create_user("chief", "", None).await.unwrap();
    let nurse = store.create_user("nurse", "", None).await.unwrap();
    let ward = store.holder("ward", MailboxKind::Organizational, Some("chief")).await;
    for _ in 0..3 {
        store.deliver(&ward, b"message").await;
    }
    let chief = ward.actor;
    (ward, chief, nurse.actor)
}

async fn change(
    store: &Fixture,
    folder: FolderId,
    actor: ActorId,
    range: (u32, u32),
    action: FlagAction,
    flags: SystemFlags,
) -> Vec<(u32, SystemFlags)> {
    let changes = store
        .store_flags(folder, Some(actor), vec![range], action, flags, Vec::new())
        .await
        .unwrap()
        .unwrap();
    changes.iter().map(|change| (change.uid.0, change.flags)).collect()
}

async fn unseen(store: &Fixture, folder: FolderId, actor: ActorId) -> u32 {
    let status = store.folder_status(folder, Some(actor)).await.unwrap().unwrap();
    let rows = store.select(folder, Some(actor), false).await.unwrap().unwrap().rows;
    let counted = rows.iter().filter(|row| !row.flags.contains(SEEN)).count();
    assert_eq!(status.unseen as usize, counted, "the counter equals what it counts");
    let of_folder = format!("SELECT mailbox_id FROM folders WHERE id = {folder}");
    let mailbox = MailboxId(store.raw.int(&of_folder).await);
    let all = store.folder_statuses(mailbox, Some(actor), false).await.unwrap();
    assert_eq!(all[&folder].unseen, status.unseen, "all folders at once are counted as one is");
    status.unseen
}

async fn two_actors_have_a_seen_of_their_own(store: &Fixture) {
    let (ward, chief, nurse) = ward(store).await;
    assert_eq!(change(store, ward.inbox, chief, (1, 2), FlagAction::Add, SEEN).await, [(1, SEEN), (2, SEEN)]);
    assert_eq!(change(store, ward.inbox, chief, (1, 2), FlagAction::Add, SEEN).await, []);
    assert_eq!((unseen(store, ward.inbox, chief).await, unseen(store, ward.inbox, nurse).await), (1, 3));
    assert_eq!(change(store, ward.inbox, nurse, (2, 3), FlagAction::Replace, SEEN).await.len(), 2);
    assert_eq!(change(store, ward.inbox, chief, (1, 3), FlagAction::Remove, SEEN).await.len(), 2);
    assert_eq!((unseen(store, ward.inbox, chief).await, unseen(store, ward.inbox, nurse).await), (3, 1));
    assert_eq!(store.status(ward.inbox).await.unseen, 3);
    store.assert_sound().await;
}

async fn changes_of_seen_are_told_to_their_actor_only(store: &Fixture) {
    let (ward, chief, nurse) = ward(store).await;
    let since = store.status(ward.inbox).await.modseq;
    change(store, ward.inbox, chief, (2, 2), FlagAction::Add, SEEN).await;
    let told = store.changes(ward.inbox, Some(chief), since).await.unwrap().unwrap();
    assert_eq!(told.rows.iter().map(|row| (row.uid.0, row.flags)).collect::<Vec<_>>(), [(2, SEEN)]);
    assert!(told.rows[0].modseq > since, "a changed row has a newer modification sequence");
    assert_eq!(told.modseq, ModSeq(since.0 + 1));
    let others = store.changes(ward.inbox, Some(nurse), since).await.unwrap().unwrap();
    assert_eq!((others.rows, others.modseq), (vec![], told.modseq));
    let selected = store.select(ward.inbox, Some(chief), false).await.unwrap().unwrap();
    assert_eq!(selected.rows[1], told.rows[0]);
}

async fn a_private_change_counts_for_the_conditions_of_its_actor_only(store: &Fixture) {
    let (ward, chief, nurse) = ward(store).await;
    let since = store.status(ward.inbox).await.modseq;
    change(store, ward.inbox, chief, (2, 2), FlagAction::Add, SEEN).await;
    let asked =
        FlagStore { unchanged_since: Some(since), ..FlagStore::any(FlagAction::Remove, SEEN, Vec::new()) };
    let conditional = |actor| store.store_flags_if(ward.inbox, Some(actor), vec![(1, 3)], asked.clone());
    assert_eq!(conditional(nurse).await.unwrap().unwrap().modified, []);
    assert_eq!(conditional(chief).await.unwrap().unwrap().modified, [Uid(2)]);
    // What is shared counts for both.
    change(store, ward.inbox, nurse, (3, 3), FlagAction::Add, SystemFlags::FLAGGED).await;
    assert_eq!(conditional(chief).await.unwrap().unwrap().modified, [Uid(2), Uid(3)]);
}

async fn other_flags_are_shared(store: &Fixture) {
    let (ward, chief, nurse) = ward(store).await;
    let both = SEEN.union(SystemFlags::FLAGGED);
    assert_eq!(change(store, ward.inbox, chief, (1, 1), FlagAction::Add, both).await, [(1, both)]);
    let rows = store.select(ward.inbox, Some(nurse), false).await.unwrap().unwrap().rows;
    assert_eq!(rows[0].flags, SystemFlags::FLAGGED);
    assert_eq!(
        change(store, ward.inbox, nurse, (1, 1), FlagAction::Replace, SystemFlags::DELETED).await.len(),
        1
    );
    let rows = store.select(ward.inbox, Some(chief), false).await.unwrap().unwrap().rows;
    assert_eq!(rows[0].flags, SEEN.union(SystemFlags::DELETED));
    store.assert_sound().await;
}

async fn an_expunged_message_is_forgotten_as_seen(store: &Fixture) {
    let (ward, chief, nurse) = ward(store).await;
    change(store, ward.inbox, chief, (1, 3), FlagAction::Add, SEEN).await;
    change(store, ward.inbox, nurse, (3, 3), FlagAction::Add, SEEN).await;
    change(store, ward.inbox, chief, (1, 2), FlagAction::Add, SystemFlags::DELETED).await;
    store.expunge(ward.mailbox, ward.inbox, None).await.unwrap();
    assert_eq!((unseen(store, ward.inbox, chief).await, unseen(store, ward.inbox, nurse).await), (0, 0));
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM seen").await, 2);
    store.deliver(&ward, b"new").await;
    assert_eq!((unseen(store, ward.inbox, chief).await, unseen(store, ward.inbox, nurse).await), (1, 1));
    store.assert_sound().await;
}

async fn an_appended_message_is_seen_by_who_appended_it(store: &Fixture) {
    let (ward, chief, nurse) = ward(store).await;
    let sent = store.folder_id(ward.mailbox, "Sent").await;
    let message = NewMessage { flags: SEEN, ..NewMessage::new(store.seal(b"sent").await) };
    let append = Append { actor: Some(chief), ..ward.append(sent, vec![message]) };
    store.append(append).await.unwrap().unwrap();
    assert_eq!((unseen(store, sent, chief).await, unseen(store, sent, nurse).await), (0, 1));
    store.assert_sound().await;
}

async fn a_shared_seen_from_elsewhere_keeps_its_count(store: &Fixture) {
    let (ward, chief, _) = ward(store).await;
    let marie = store.personal("marie").await;
    store.append_with(&marie, marie.inbox, b"seen", SEEN, &[]).await.unwrap();
    let keys = Some((marie.key.clone(), ward.key.clone()));
    let copied = store
        .copy((marie.mailbox, marie.inbox), (ward.mailbox, ward.inbox), vec![(1, 1)], None, keys)
        .await
        .unwrap();
    let uid = copied.unwrap().uids[0].1.0;
    change(
        store,
        ward.inbox,
        chief,
        (uid, uid),
        FlagAction::Add,
        SystemFlags::FLAGGED.union(SystemFlags::DELETED),
    )
    .await;
    store.assert_sound().await;
    store.expunge(ward.mailbox, ward.inbox, None).await.unwrap();
    store.assert_sound().await;
}

async fn a_moved_message_stays_seen(store: &Fixture) {
    let (ward, chief, nurse) = ward(store).await;
    let archive = store.folder_id(ward.mailbox, "Archive").await;
    change(store, ward.inbox, chief, (1, 2), FlagAction::Add, SEEN).await;
    change(store, ward.inbox, chief, (2, 2), FlagAction::Remove, SEEN).await;
    store.move_to(ward.mailbox, ward.inbox, archive, vec![(1, 3)], None).await.unwrap().unwrap();
    assert_eq!((unseen(store, archive, chief).await, unseen(store, archive, nurse).await), (2, 3));
    store
        .copy((ward.mailbox, archive), (ward.mailbox, ward.inbox), vec![(1, 3)], None, None)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((unseen(store, ward.inbox, chief).await, unseen(store, ward.inbox, nurse).await), (2, 3));
    store.assert_sound().await;
}

/// A person's mailbox with three messages, of which all have seen the first two, and another reader.
async fn shared_before(store: &Fixture) -> (Holder, ActorId, ActorId) {
    let nurse = store.create_user("nurse", "", None).await.unwrap();
    let marie = store.personal("marie").await;
    for _ in 0..3 {
        store.deliver(&marie, b"message").await;
    }
    store
        .store_flags(marie.inbox, None, vec![(1, 2)], FlagAction::Add, SEEN, Vec::new())
        .await
        .unwrap()
        .unwrap();
    store.keep_seen_apart(&marie, true).await;
    let chief = marie.actor;
    (marie, chief, nurse.actor)
}

async fn a_mailbox_begins_and_ends_to_keep_seen_apart(store: &Fixture) {
    let (marie, chief, nurse) = shared_before(store).await;
    let since = store.status(marie.inbox).await.modseq;
    assert_eq!((unseen(store, marie.inbox, chief).await, unseen(store, marie.inbox, nurse).await), (1, 1));
    assert_eq!(change(store, marie.inbox, nurse, (1, 1), FlagAction::Remove, SEEN).await.len(), 1);
    assert_eq!(change(store, marie.inbox, nurse, (3, 3), FlagAction::Add, SEEN).await.len(), 1);
    assert_eq!(change(store, marie.inbox, nurse, (2, 3), FlagAction::Add, SEEN).await.len(), 0);
    assert_eq!((unseen(store, marie.inbox, chief).await, unseen(store, marie.inbox, nurse).await), (1, 1));
    let others = store.changes(marie.inbox, Some(chief), since).await.unwrap().unwrap();
    assert_eq!(others.rows, [], "nothing that the other sees changed");
    store.assert_sound().await;
    let since = store.status(marie.inbox).await.modseq;
    store.keep_seen_apart(&marie, false).await;
    let told = store.changes(marie.inbox, None, since).await.unwrap().unwrap();
    let told: Vec<_> = told.rows.iter().map(|row| (row.uid.0, row.flags)).collect();
    assert_eq!(told, [(1, SEEN), (3, SEEN)], "what one of them saw otherwise");
    assert_eq!(store.status(marie.inbox).await.unseen, 0);
    store.assert_sound().await;
    store.keep_seen_apart(&marie, true).await;
    assert_eq!(unseen(store, marie.inbox, nurse).await, 0, "nothing comes back from before");
    assert_eq!(change(store, marie.inbox, nurse, (1, 2), FlagAction::Remove, SEEN).await.len(), 2);
    for gone in [(2, 3), (1, 1)] {
        assert_eq!(
            (unseen(store, marie.inbox, chief).await, unseen(store, marie.inbox, nurse).await),
            (0, gone.0)
        );
        change(store, marie.inbox, chief, gone, FlagAction::Add, SystemFlags::DELETED).await;
        store.expunge(marie.mailbox, marie.inbox, None).await.unwrap();
        store.assert_sound().await;
    }
}

async fn copies_keep_who_has_seen_what_when_it_was_shared_before(store: &Fixture) {
    let (marie, chief, nurse) = shared_before(store).await;
    change(store, marie.inbox, nurse, (1, 1), FlagAction::Remove, SEEN).await;
    change(store, marie.inbox, nurse, (3, 3), FlagAction::Add, SEEN).await;
    let kept = store.create_folder(marie.mailbox, "Kept", None).await.unwrap().unwrap();
    store.move_to(marie.mailbox, marie.inbox, kept, vec![(1, 3)], None).await.unwrap().unwrap();
    let flags =
        |rows: Vec<store::ViewRow>| rows.iter().map(|row| row.flags.contains(SEEN)).collect::<Vec<_>>();
    let seen = async |actor| flags(store.select(kept, Some(actor), false).await.unwrap().unwrap().rows);
    assert_eq!((seen(chief).await, seen(nurse).await), (vec![true, true, false], vec![false, true, true]));
    assert_eq!((unseen(store, kept, chief).await, unseen(store, kept, nurse).await), (1, 1));
    store.assert_sound().await;
}

/// A session learns later than the unit of work how the mailbox keeps it.
async fn whoever_believes_that_it_is_kept_otherwise_writes_as_it_is_kept(store: &Fixture) {
    let (ward, chief, nurse) = ward(store).await;
    change(store, ward.inbox, nurse, (1, 1), FlagAction::Add, SEEN).await;
    store.keep_seen_apart(&ward, false).await;
    assert_eq!(change(store, ward.inbox, nurse, (1, 2), FlagAction::Add, SEEN).await, [(2, SEEN)]);
    let message = NewMessage { flags: SEEN, ..NewMessage::new(store.seal(b"sent").await) };
    let append = Append { actor: Some(nurse), ..ward.append(ward.inbox, vec![message]) };
    store.append(append).await.unwrap().unwrap();
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM seen").await, 0);
    assert_eq!((unseen(store, ward.inbox, chief).await, store.status(ward.inbox).await.unseen), (1, 1));
    store.assert_sound().await;
}

/// As many messages as take several pages, of which both readers saw some; the switch is begun, and whoever began it is gone.
async fn large(store: &Fixture) -> (Holder, ActorId, ActorId) {
    let (ward, chief, nurse) = ward(store).await;
    let folder = ward.inbox;
    store
        .raw
        .execute(&format!(
            "WITH RECURSIVE n (i) AS (SELECT 4 UNION ALL SELECT i + 1 FROM n WHERE i < 12000) \
             INSERT INTO messages (folder_id, uid, mailbox_id, body_id, wrapped_key, size_bytes, internal_date_ms, saved_at_ms, modseq) \
             SELECT m.folder_id, n.i, m.mailbox_id, m.body_id, m.wrapped_key, m.size_bytes, m.internal_date_ms, m.saved_at_ms, m.modseq \
             FROM messages m, n WHERE m.folder_id = {folder} AND m.uid = 1"
        ))
        .await;
    assert!(store.fsck(true).await.unwrap().is_repaired);
    change(store, folder, chief, (1, 9000), FlagAction::Add, SEEN).await;
    change(store, folder, nurse, (8000, 11000), FlagAction::Add, SEEN).await;
    change(store, folder, nurse, (10500, 10600), FlagAction::Remove, SEEN).await;
    store.raw.execute(&format!("UPDATE mailboxes SET private_seen = 2 WHERE id = {}", ward.mailbox)).await;
    (ward, chief, nurse)
}

async fn making_it_one_goes_by_pages_and_is_taken_up_again(store: &Fixture) {
    let (ward, chief, nurse) = large(store).await;
    let mut known = store.select(ward.inbox, Some(nurse), false).await.unwrap().unwrap();
    let (mut pages, mut left) = (0, store.raw.int("SELECT COUNT(*) FROM seen").await);
    assert_eq!(left, 9000 + 3001);
    while store.unite_seen().await.unwrap() {
        pages += 1;
        store.assert_sound().await;
        let now = store.raw.int("SELECT COUNT(*) FROM seen").await;
        assert!(left - now <= 5000, "a page has a bound: {} rows", left - now);
        left = now;
        // Who follows the folder hears of all that changes for them.
        let told = store.changes(ward.inbox, Some(nurse), known.status.modseq).await.unwrap().unwrap();
        known.status.modseq = told.modseq;
        for row in told.rows {
            let at = known.rows.binary_search_by_key(&row.uid, |known| known.uid).unwrap();
            known.rows[at] = row;
        }
        assert_eq!(known.rows, store.select(ward.inbox, Some(nurse), false).await.unwrap().unwrap().rows);
    }
    assert!((3..=8).contains(&pages), "{pages} pages");
    assert_eq!(store.status(ward.inbox).await.unseen, 1101);
    for reader in [chief, nurse] {
        assert_eq!(unseen(store, ward.inbox, reader).await, 1101);
    }
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM seen_counts").await, 0);
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM mailboxes WHERE private_seen <> 0").await, 0);
}

async fn what_is_written_while_it_becomes_one_is_one_at_once(store: &Fixture) {
    let (ward, chief, nurse) = large(store).await;
    let seen_by = async |reader, uid: u32| {
        let one = store.listed_message(ward.inbox, Some(reader), Uid(uid)).await.unwrap().unwrap();
        one.flags.contains(SEEN)
    };
    assert!(seen_by(chief, 7).await && !seen_by(nurse, 7).await, "not one yet");
    change(store, ward.inbox, nurse, (7, 8), FlagAction::Add, SystemFlags::FLAGGED).await;
    assert!(seen_by(chief, 7).await && seen_by(nurse, 7).await);
    change(store, ward.inbox, nurse, (8, 9), FlagAction::Remove, SEEN).await;
    assert!(!seen_by(chief, 8).await && !seen_by(chief, 9).await);
    let kept = store.create_folder(ward.mailbox, "Kept", None).await.unwrap().unwrap();
    store.move_to(ward.mailbox, ward.inbox, kept, vec![(10, 11)], None).await.unwrap().unwrap();
    assert_eq!((unseen(store, kept, chief).await, unseen(store, kept, nurse).await), (0, 0));
    store.assert_sound().await;
    // Kept apart again before all of it was one: what was made one stays so.
    assert!(store.unite_seen().await.unwrap());
    store.keep_seen_apart(&ward, true).await;
    assert!(!store.unite_seen().await.unwrap());
    assert!(seen_by(nurse, 12).await && !seen_by(nurse, 7990).await && seen_by(chief, 7990).await);
    store.keep_seen_apart(&ward, false).await;
    assert!(seen_by(nurse, 7990).await);
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM seen").await, 0, "so few are one when it is answered");
    store.assert_sound().await;
}

async fn fsck_finds_what_a_reader_alone_has_seen_where_it_is_one(store: &Fixture) {
    let (ward, chief, nurse) = ward(store).await;
    change(store, ward.inbox, chief, (1, 2), FlagAction::Add, SEEN).await;
    store.raw.execute("UPDATE mailboxes SET private_seen = 0").await;
    assert_eq!(store.fsck(true).await.unwrap().private_seen, 1);
    store.assert_sound().await;
    while store.unite_seen().await.unwrap() {}
    assert_eq!((unseen(store, ward.inbox, nurse).await, store.status(ward.inbox).await.unseen), (1, 1));
    store.assert_sound().await;
}
