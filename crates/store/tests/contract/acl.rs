//! What is given in one folder, beside what is given in the mailbox, and messages that go from one mailbox to another.

use crate::support::{Fixture, Holder, START, on_both_engines};
use mail_types::{ActorId, FolderId, Grant, MailboxKind, Rights, RightsChange, Role, SystemFlags, Timestamp};
use store::{AclChange, AclError, Crossing, Reaching, Refusal};

on_both_engines!(
    who_alone_administers_one_folder_stays_though_others_administer_the_mailbox,
    messages_of_an_inbox_that_is_renamed_stay_hidden_from_whom_they_were,
    a_folder_row_overrides_the_mailbox_row_and_goes_when_neither_gives_anything,
    a_new_folder_takes_over_what_was_given_above_it,
    nobody_gives_more_or_for_longer_than_they_have_and_the_owner_keeps_all,
    what_ends_ends_in_every_folder_and_no_change_there_makes_it_last,
    rights_of_who_is_disabled_can_be_taken_and_not_given,
    flags_that_may_not_be_set_stay_behind_and_what_one_reader_saw_is_theirs_in_the_other_mailbox,
    a_move_to_another_mailbox_is_done_whole_or_not_at_all,
);

/// A mailbox that belongs to marie, and pierre.
async fn pair(store: &Fixture) -> (Holder, Holder) {
    (store.personal("marie").await, store.personal("pierre").await)
}

fn change(marie: &Holder, folder: FolderId, actor: ActorId, change: RightsChange) -> AclChange {
    let mailbox = marie.mailbox;
    AclChange { mailbox, folder, actor, change, within: Rights::ALL, until: None, letters: Vec::new() }
}

fn rights(letters: &str) -> Rights {
    Rights::from_letters(letters)
}

async fn told(store: &Fixture, marie: &Holder, folder: FolderId) -> Vec<(ActorId, String)> {
    let entries = store.acl(marie.mailbox, folder).await.unwrap().unwrap();
    entries.into_iter().map(|entry| (entry.actor, entry.rights.to_string())).collect()
}

async fn a_folder_row_overrides_the_mailbox_row_and_goes_when_neither_gives_anything(store: &Fixture) {
    let (marie, pierre) = pair(store).await;
    let sent = store.folder_id(marie.mailbox, "Sent").await;
    let set = async |letters: &str| {
        let change = change(&marie, sent, pierre.actor, RightsChange::Replace(rights(letters)));
        store.change_acl(change).await.unwrap().unwrap()
    };
    assert_eq!(set("lr").await, rights("lr"));
    assert_eq!(told(store, &marie, sent).await[1], (pierre.actor, "lr".to_owned()));
    assert_eq!(told(store, &marie, marie.inbox).await.len(), 1);
    let reached = store.given_mailboxes(pierre.actor, Reaching::All, START).await.unwrap();
    assert_eq!((reached.len(), reached[0].grant), (1, None));
    assert_eq!(reached[0].folders, [(sent, Grant::Custom(rights("lr")))]);
    assert_eq!(set("").await, Rights::default());
    assert_eq!(store.given_mailboxes(pierre.actor, Reaching::All, START).await.unwrap(), []);
    // Where the mailbox gives something, nothing is a row too.
    store.grant(marie.mailbox, pierre.actor, Role::Editor).await.unwrap();
    assert_eq!(set("").await, Rights::default());
    assert_eq!(told(store, &marie, sent).await[1], (pierre.actor, String::new()));
    assert_eq!(told(store, &marie, marie.inbox).await[1], (pierre.actor, "lrswip".to_owned()));
    let drafts = store.folder_id(marie.mailbox, "Drafts").await;
    assert_eq!(told(store, &marie, drafts).await[1], (pierre.actor, "lrswipte".to_owned()));
    let add = change(&marie, drafts, pierre.actor, RightsChange::Remove(rights("te")));
    assert_eq!(store.change_acl(add).await.unwrap(), Ok(rights("lrswip")));
}

async fn a_new_folder_takes_over_what_was_given_above_it(store: &Fixture) {
    let (marie, pierre) = pair(store).await;
    let ward = store.create_folder(marie.mailbox, "Ward", None).await.unwrap().unwrap();
    let given = change(&marie, ward, pierre.actor, RightsChange::Replace(rights("lr")));
    store.change_acl(given).await.unwrap().unwrap();
    let below = store.create_folder(marie.mailbox, "Ward/2026/May", None).await.unwrap().unwrap();
    assert_eq!(told(store, &marie, below).await[1], (pierre.actor, "lr".to_owned()));
    let other = store.create_folder(marie.mailbox, "Other", None).await.unwrap().unwrap();
    assert_eq!(told(store, &marie, other).await.len(), 1);
    store.delete_folder(marie.mailbox, "Ward/2026/May").await.unwrap().unwrap();
    let reached = store.given_mailboxes(pierre.actor, Reaching::Mailbox(marie.mailbox), START).await.unwrap();
    assert_eq!(reached[0].folders.len(), 2);
}

async fn nobody_gives_more_or_for_longer_than_they_have_and_the_owner_keeps_all(store: &Fixture) {
    let (marie, pierre) = pair(store).await;
    let end = Timestamp(START.0 + 5_000);
    let given = change(&marie, marie.inbox, pierre.actor, RightsChange::Add(rights("lr")));
    let within = AclChange { within: rights("la"), ..given.clone() };
    assert_eq!(store.change_acl(within).await.unwrap(), Err(AclError::Beyond));
    store.change_acl(AclChange { until: Some(end), ..given }).await.unwrap().unwrap();
    let reached = store.given_mailboxes(pierre.actor, Reaching::All, START).await.unwrap();
    assert_eq!(reached[0].until, Some(end));
    assert_eq!(store.given_mailboxes(pierre.actor, Reaching::All, end).await.unwrap(), []);
    let own = change(&marie, marie.inbox, marie.actor, RightsChange::Replace(rights("lr")));
    assert_eq!(store.change_acl(own).await.unwrap(), Err(AclError::Owner));
    store.create_user("chief", "", None).await.unwrap();
    let ward = store.holder("ward", MailboxKind::Organizational, Some("chief")).await;
    let chief = change(&ward, ward.inbox, ward.actor, RightsChange::Remove(rights("a")));
    assert_eq!(store.change_acl(chief).await.unwrap(), Err(AclError::LastAdministrator));
}

async fn who_alone_administers_one_folder_stays_though_others_administer_the_mailbox(store: &Fixture) {
    store.create_user("chief", "", None).await.unwrap();
    let nurse = store.create_user("nurse", "", None).await.unwrap().actor;
    let ward = store.holder("ward", MailboxKind::Organizational, Some("chief")).await;
    store.grant(ward.mailbox, nurse, Role::Administrator).await.unwrap();
    let less = |actor| change(&ward, ward.inbox, actor, RightsChange::Remove(rights("a")));
    assert!(store.change_acl(less(nurse)).await.unwrap().is_ok());
    assert_eq!(store.change_acl(less(ward.actor)).await.unwrap(), Err(AclError::LastAdministrator));
    let elsewhere = store.folder_id(ward.mailbox, "Sent").await;
    let less = change(&ward, elsewhere, ward.actor, RightsChange::Remove(rights("a")));
    assert!(store.change_acl(less).await.unwrap().is_ok(), "the other administers that folder");
}

async fn messages_of_an_inbox_that_is_renamed_stay_hidden_from_whom_they_were(store: &Fixture) {
    let (marie, pierre) = pair(store).await;
    store.grant(marie.mailbox, pierre.actor, Role::Reader).await.unwrap();
    let hidden = change(&marie, marie.inbox, pierre.actor, RightsChange::Replace(Rights::default()));
    store.change_acl(hidden).await.unwrap().unwrap();
    store.create_folder(marie.mailbox, "Open", None).await.unwrap().unwrap();
    store.rename_folder(marie.mailbox, "INBOX", "Open/Before").await.unwrap().unwrap();
    for name in ["INBOX", "Open/Before"] {
        let folder = store.folder_id(marie.mailbox, name).await;
        assert_eq!(told(store, &marie, folder).await[1], (pierre.actor, String::new()), "{name}");
    }
}

async fn what_ends_ends_in_every_folder_and_no_change_there_makes_it_last(store: &Fixture) {
    let (marie, pierre) = pair(store).await;
    let end = Timestamp(START.0 + 5_000);
    store.grant(marie.mailbox, pierre.actor, Role::Administrator).await.unwrap();
    store.raw.execute(&format!("UPDATE grants SET expires_at_ms = {}", end.0)).await;
    let given =
        async |at: Timestamp| store.given_mailboxes(pierre.actor, Reaching::All, at).await.unwrap().pop();
    let set = async |wanted: RightsChange, until: Option<Timestamp>| {
        let change = AclChange { until, ..change(&marie, marie.inbox, pierre.actor, wanted) };
        store.change_acl(change).await.unwrap().unwrap()
    };
    // By himself, what he has already: no row of its own.
    assert_eq!(set(RightsChange::Add(rights("l")), Some(end)).await, Rights::ALL);
    assert!(given(START).await.unwrap().folders.is_empty());
    // Less, by who may give for ever: it ends with what it was taken from.
    set(RightsChange::Remove(rights("s")), None).await;
    assert_eq!(given(START).await.unwrap().folders.len(), 1);
    assert_eq!(given(end).await, None);
    // More, by who may give for ever, beside what ends: it all ends.
    set(RightsChange::Add(rights("s")), None).await;
    assert_eq!(given(end).await, None);
}

async fn rights_of_who_is_disabled_can_be_taken_and_not_given(store: &Fixture) {
    let (marie, pierre) = pair(store).await;
    store.grant(marie.mailbox, pierre.actor, Role::Reader).await.unwrap();
    let person = format!("(SELECT user_id FROM actors WHERE id = {})", pierre.actor.0);
    store.raw.execute(&format!("UPDATE users SET disabled_at_ms = 1 WHERE id = {person}")).await;
    let set = async |letters: &str| {
        let wanted = RightsChange::Replace(rights(letters));
        store.change_acl(change(&marie, marie.inbox, pierre.actor, wanted)).await.unwrap()
    };
    assert_eq!(set("lri").await, Err(AclError::Disabled));
    assert_eq!(set("").await, Ok(Rights::default()));
}

fn crossing(from: &Holder, to: &Holder) -> Crossing {
    Crossing {
        from: (from.mailbox, from.inbox),
        to: (to.mailbox, to.inbox),
        keys: Some((from.key.clone(), to.key.clone())),
        flags: SystemFlags(31),
        keywords: true,
        actor: from.actor,
    }
}

async fn flags_that_may_not_be_set_stay_behind_and_what_one_reader_saw_is_theirs_in_the_other_mailbox(
    store: &Fixture,
) {
    let (marie, pierre) = pair(store).await;
    let flags = SystemFlags::SEEN.union(SystemFlags::DELETED);
    store.append_with(&marie, marie.inbox, b"words", flags, &["urgent"]).await.unwrap();
    let plain = Crossing { flags: SystemFlags::SEEN, keywords: false, ..crossing(&marie, &pierre) };
    store.copy_across(plain, vec![(1, 1)], Some(1)).await.unwrap().unwrap();
    store.keep_seen_apart(&pierre, true).await;
    store.copy_across(crossing(&marie, &pierre), vec![(1, 1)], Some(1)).await.unwrap().unwrap();
    let rows = store.select(pierre.inbox, None, false).await.unwrap().unwrap().rows;
    assert_eq!((rows[0].flags, rows[0].keywords), (SystemFlags::SEEN, 0));
    assert_eq!((rows[1].flags, rows[1].keywords), (SystemFlags::DELETED, 1));
    let seen_by = async |actor| store.folder_status(pierre.inbox, Some(actor)).await.unwrap().unwrap().unseen;
    // The first is seen by all, the second by her alone.
    assert_eq!((seen_by(marie.actor).await, seen_by(pierre.actor).await), (0, 1));
    assert_eq!(store.read_all(&pierre, pierre.inbox, 2).await, b"words");
    store.assert_sound().await;
}

async fn a_move_to_another_mailbox_is_done_whole_or_not_at_all(store: &Fixture) {
    let (marie, pierre) = pair(store).await;
    store.deliver(&marie, b"12345").await;
    store.deliver(&marie, b"12345").await;
    store.set_quota(pierre.mailbox, 9).await.unwrap();
    let moved = store.move_across(crossing(&marie, &pierre), vec![(1, 2)], None).await.unwrap();
    assert_eq!(moved.unwrap_err(), Refusal::OverQuota);
    let moved = store.move_across(crossing(&marie, &pierre), vec![(1, 2)], Some(3)).await.unwrap();
    assert_eq!(moved.unwrap_err(), Refusal::Incomplete);
    assert_eq!((store.uids(marie.inbox).await.len(), store.uids(pierre.inbox).await.len()), (2, 0));
    store.move_across(crossing(&marie, &pierre), vec![(2, 2)], None).await.unwrap().unwrap();
    assert_eq!((store.uids(marie.inbox).await, store.uids(pierre.inbox).await), (vec![1], vec![1]));
    assert_eq!((store.usage(&marie).await.used_bytes, store.usage(&pierre).await.used_bytes), (5, 5));
    store.assert_sound().await;
}
