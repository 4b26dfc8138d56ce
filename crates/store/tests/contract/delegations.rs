//! Delegations: given, changed, taken away, ended.

use crate::support::{Fixture, Holder, START, on_both_engines};
use mail_types::{ActorId, MailboxKind, Rights, Role, Timestamp};
use store::{Act, DelegationChange, DelegationError, Grantee, PersonName, Terms, Via};

on_both_engines!(
    a_delegation_is_given_once_changed_and_taken_away,
    the_last_administrator_stays_unless_forced,
    a_delegation_past_its_end_opens_nothing_and_is_swept_once,
    whoever_has_an_end_gives_and_keeps_nothing_past_it,
    a_holder_a_disabled_person_and_a_deleted_mailbox_get_none,
    a_mailbox_and_a_person_are_found_by_any_name,
);

/// A ward that the chief administers, and a nurse.
async fn ward(store: &Fixture) -> (Holder, ActorId) {
    store.create_user("chief", "", None).await.unwrap();
    let nurse = store.create_user("nurse", "", Some("10001234567")).await.unwrap();
    (store.holder("ward", MailboxKind::Organizational, Some("chief")).await, nurse.actor)
}

fn until(role: Role, at: i64) -> Terms {
    Terms::of(role, Some(Timestamp(START.0 + at)))
}

async fn a_delegation_is_given_once_changed_and_taken_away(store: &Fixture) {
    let (ward, nurse) = ward(store).await;
    let chief = store.acting(Act { actor: Some(ward.actor), ..Act::via(Via::Rest) });
    let change = DelegationChange::of(ward.mailbox, nurse);
    let reader = Terms::of(Role::Reader, None);
    assert_eq!(chief.give_delegation(change.clone(), reader).await.unwrap(), Ok(()));
    let again = chief.give_delegation(change.clone(), reader).await.unwrap();
    assert_eq!(again, Err(DelegationError::Given));
    let given = store.delegation(ward.mailbox, nurse).await.unwrap().unwrap();
    assert_eq!((given.role, given.granted_by.as_deref()), (Some(Role::Reader), Some("chief")));
    assert!(matches!(&given.grantee, Grantee::Person { login, .. } if login == "nurse"));
    let custom = Terms { rights: Rights::from_letters("lr"), role: None, expires_at: None };
    let expected = DelegationChange { expected: Some(given.revision), ..change.clone() };
    assert_eq!(chief.change_delegation(expected.clone(), custom).await.unwrap(), Ok(()));
    assert_eq!(
        chief.change_delegation(expected.clone(), reader).await.unwrap(),
        Err(DelegationError::Changed)
    );
    let login = store.login_mailbox("ward@ch.example", START).await.unwrap().unwrap();
    assert_eq!((login.actors[1].rights, login.actors[1].may_send), (Rights::from_letters("lr"), false));
    let all = store.delegations(ward.mailbox, 0, 10).await.unwrap();
    assert_eq!(all.iter().map(|row| row.actor).collect::<Vec<_>>(), [ward.actor, nurse]);
    assert_eq!(store.delegations(ward.mailbox, all[0].id, 10).await.unwrap(), all[1..]);
    assert_eq!(store.delegations_of(nurse, None, 0, 10).await.unwrap(), all[1..]);
    assert_eq!(store.delegations_of(nurse, Some(&[all[1].domain]), 0, 10).await.unwrap(), all[1..]);
    assert_eq!(store.delegations_of(nurse, Some(&[]), 0, 10).await.unwrap(), []);
    assert_eq!(chief.take_delegation(change.clone()).await.unwrap(), Ok(()));
    assert_eq!(chief.take_delegation(change.clone()).await.unwrap(), Err(DelegationError::UnknownDelegation));
    // Another delegation of the same person is not the one that was read.
    store.clock.set(store.now().plus_millis(1));
    assert_eq!(chief.give_delegation(change, reader).await.unwrap(), Ok(()));
    assert_eq!(chief.take_delegation(expected).await.unwrap(), Err(DelegationError::Changed));
}

async fn the_last_administrator_stays_unless_forced(store: &Fixture) {
    let (ward, nurse) = ward(store).await;
    let of_chief = DelegationChange::of(ward.mailbox, ward.actor);
    let refused = Err(DelegationError::LastAdministrator);
    assert_eq!(store.take_delegation(of_chief.clone()).await.unwrap(), refused);
    for terms in [Terms::of(Role::Manager, None), until(Role::Administrator, 1000)] {
        assert_eq!(store.change_delegation(of_chief.clone(), terms).await.unwrap(), refused);
    }
    // One who goes on some day is no successor.
    let of_nurse = DelegationChange::of(ward.mailbox, nurse);
    store.give_delegation(of_nurse.clone(), until(Role::Administrator, 1000)).await.unwrap().unwrap();
    assert_eq!(store.take_delegation(of_chief.clone()).await.unwrap(), refused);
    store.change_delegation(of_nurse.clone(), Terms::of(Role::Administrator, None)).await.unwrap().unwrap();
    store.take_delegation(of_chief).await.unwrap().unwrap();
    assert_eq!(store.take_delegation(of_nurse.clone()).await.unwrap(), refused);
    let forced = DelegationChange { force: true, ..of_nurse };
    assert_eq!(store.take_delegation(forced).await.unwrap(), Ok(()));
}

async fn a_delegation_past_its_end_opens_nothing_and_is_swept_once(store: &Fixture) {
    let (ward, nurse) = ward(store).await;
    let change = DelegationChange::of(ward.mailbox, nurse);
    store.give_delegation(change.clone(), until(Role::Editor, 10)).await.unwrap().unwrap();
    assert_eq!(store.sweep_grants().await.unwrap(), 0);
    store.clock.set(store.now().plus_millis(10));
    let now = store.now();
    assert_eq!(store.delegation(ward.mailbox, nurse).await.unwrap(), None);
    assert_eq!(store.delegations(ward.mailbox, 0, 10).await.unwrap().len(), 1);
    assert_eq!(store.delegations_of(nurse, None, 0, 10).await.unwrap(), []);
    let login = store.login_mailbox("ward@ch.example", now).await.unwrap().unwrap();
    assert_eq!(login.actors.len(), 1);
    assert_eq!(store.sweep_grants().await.unwrap(), 1);
    assert_eq!(store.sweep_grants().await.unwrap(), 0);
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM audit_rows WHERE action = 'grant.ended'").await, 1);
    // What was not swept yet is no obstacle either.
    store.give_delegation(change.clone(), until(Role::Editor, 20)).await.unwrap().unwrap();
    store.clock.set(store.now().plus_millis(10));
    assert_eq!(store.give_delegation(change, until(Role::Reader, 30)).await.unwrap(), Ok(()));
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM audit_rows WHERE action = 'grant.ended'").await, 2);
}

async fn whoever_has_an_end_gives_and_keeps_nothing_past_it(store: &Fixture) {
    let (ward, nurse) = ward(store).await;
    let of_nurse = DelegationChange::of(ward.mailbox, nurse);
    store.give_delegation(of_nurse.clone(), until(Role::Administrator, 1000)).await.unwrap().unwrap();
    let by_nurse =
        |actor| DelegationChange { within: Some(nurse), ..DelegationChange::of(ward.mailbox, actor) };
    let beyond = Err(DelegationError::BeyondOwn);
    let own = by_nurse(nurse);
    assert_eq!(
        store.change_delegation(own.clone(), Terms::of(Role::Administrator, None)).await.unwrap(),
        beyond
    );
    assert_eq!(store.change_delegation(own, until(Role::Reader, 500)).await.unwrap(), beyond);
    let other = by_nurse(store.personal("marie").await.actor);
    for terms in [Terms::of(Role::Reader, None), until(Role::Reader, 1001)] {
        assert_eq!(store.give_delegation(other.clone(), terms).await.unwrap(), beyond);
    }
    assert_eq!(store.give_delegation(other.clone(), until(Role::Reader, 1000)).await.unwrap(), Ok(()));
    assert_eq!(store.change_delegation(other, until(Role::Reader, 1001)).await.unwrap(), beyond);
}

async fn a_holder_a_disabled_person_and_a_deleted_mailbox_get_none(store: &Fixture) {
    let (ward, nurse) = ward(store).await;
    let marie = store.personal("marie").await;
    let reader = Terms::of(Role::Reader, None);
    let own = store.give_delegation(DelegationChange::of(marie.mailbox, marie.actor), reader).await.unwrap();
    assert_eq!(own, Err(DelegationError::Own));
    store.raw.execute("UPDATE users SET disabled_at_ms = 1 WHERE login = 'nurse'").await;
    let change = DelegationChange::of(ward.mailbox, nurse);
    assert_eq!(store.give_delegation(change.clone(), reader).await.unwrap(), Err(DelegationError::Disabled));
    store.raw.execute("UPDATE users SET disabled_at_ms = NULL").await;
    store.delete_mailbox(ward.mailbox).await.unwrap();
    assert_eq!(store.give_delegation(change, reader).await.unwrap(), Err(DelegationError::UnknownMailbox));
    assert_eq!(store.delegations(ward.mailbox, 0, 10).await.unwrap(), []);
}

async fn a_mailbox_and_a_person_are_found_by_any_name(store: &Fixture) {
    let (ward, nurse) = ward(store).await;
    for name in [ward.mailbox.to_string(), "Ward@CH.example".to_owned()] {
        assert_eq!(store.find_mailbox(&name).await.unwrap().map(|found| found.id), Some(ward.mailbox));
    }
    for name in ["999", "nobody@ch.example", "ward", ""] {
        assert_eq!(store.find_mailbox(name).await.unwrap(), None);
    }
    let user = store.user("nurse").await.unwrap().unwrap().id.to_string();
    for name in ["Nurse", "10001234567", &user] {
        let found = store.find_person(&PersonName::of(name)).await.unwrap();
        assert_eq!(found.map(|found| found.actor), Some(nurse), "{name}");
    }
    assert_eq!(store.find_person(&PersonName::of("doctor")).await.unwrap(), None);
}
