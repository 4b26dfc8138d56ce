//! The making of mailboxes, their states, what they are restored to, and what is left of them.

use crate::support::{DAY_MS, Fixture, START, on_both_engines};
use mail_types::{MailboxId, MailboxKind, MailboxStatus, Role, Rpps, Workflow};
use store::{
    DirectoryError, LifeStep, MailboxChange, MailboxFilter, MailboxOrder, MailboxRequest, NewPerson,
    Organization, OwnerRequest, PersonChange, PersonFilter, PersonKey, QuotaScope, Revision, Until,
};

on_both_engines!(
    a_request_is_validated_created_and_opened_step_by_step,
    a_request_that_is_turned_down_leaves_its_address_free,
    a_person_is_made_with_the_mailbox_or_not_at_all,
    a_step_is_taken_from_the_right_state_only,
    a_deleted_mailbox_comes_back_as_it_was,
    what_comes_back_follows_the_defaults_and_the_allocation_of_now,
    what_has_no_key_any_more_is_not_restored_whatever_the_clock_says,
    a_request_with_an_unknown_delegate_leaves_nothing,
    what_is_left_after_the_grace_is_a_tombstone,
    a_holder_asks_and_an_administrator_decides,
    a_change_needs_the_revision_that_was_read,
    lists_are_filtered_and_sorted_page_by_page,
    persons_are_entered_changed_and_barred,
);

fn rpps(text: &str) -> Rpps {
    Rpps::parse(text, mail_types::KeyCheck::Strict).unwrap()
}

fn person(login: &str) -> NewPerson {
    NewPerson {
        login: login.to_owned(),
        first_name: "Marie".to_owned(),
        last_name: "Durand".to_owned(),
        profession: String::new(),
        specialty: String::new(),
        rpps: None,
        adeli: None,
        domain: None,
    }
}

fn request(address: &str, until: Until) -> MailboxRequest {
    MailboxRequest {
        address: address.parse().unwrap(),
        kind: MailboxKind::Personal,
        owner: Some(OwnerRequest::New(Box::new(person(address)))),
        delegates: Vec::new(),
        organization: Organization::default(),
        application_name: String::new(),
        description: String::new(),
        is_hidden: false,
        quota_bytes: 1000,
        quota_is_own: true,
        certificate: None,
        until,
    }
}

async fn made(store: &Fixture, address: &str) -> MailboxId {
    store.add_domain("ch.example".parse().unwrap()).await.unwrap();
    store.request_mailbox(request(address, Until::Active)).await.unwrap().unwrap()
}

async fn state(store: &Fixture, id: MailboxId) -> (MailboxStatus, Workflow) {
    let row = store.mailbox_of_row(id).await.unwrap().unwrap();
    (row.status, row.workflow)
}

async fn steps(store: &Fixture, id: MailboxId) -> Vec<String> {
    store.mailbox_steps(id, 100).await.unwrap().into_iter().map(|step| step.step).collect()
}

async fn a_request_is_validated_created_and_opened_step_by_step(store: &Fixture) {
    store.add_domain("ch.example".parse().unwrap()).await.unwrap();
    let id = store.request_mailbox(request("m@ch.example", Until::Requested)).await.unwrap().unwrap();
    assert_eq!(state(store, id).await, (MailboxStatus::Pending, Workflow::Requested));
    assert!(store.recipient(&"m@ch.example".parse().unwrap()).await.unwrap().is_none(), "it has no folder");
    for too_early in
        [LifeStep::Create, LifeStep::Publish, LifeStep::Activate, LifeStep::Suspend, LifeStep::Delete(START)]
    {
        assert!(matches!(
            store.take_step(id, None, too_early).await.unwrap(),
            Err(DirectoryError::State(..))
        ));
    }
    for step in [LifeStep::Validate, LifeStep::Create] {
        store.take_step(id, None, step).await.unwrap().unwrap();
    }
    assert_eq!(state(store, id).await, (MailboxStatus::Pending, Workflow::Created));
    assert_eq!(store.folders(id).await.unwrap().len(), 6);
    store.mailbox_key(id).await.unwrap();
    for step in [LifeStep::Activate, LifeStep::Publish] {
        store.take_step(id, None, step).await.unwrap().unwrap();
    }
    assert_eq!(state(store, id).await, (MailboxStatus::Active, Workflow::Published));
    assert_eq!(steps(store, id).await, ["requested", "validated", "created", "activated", "published"]);
    let again = store.request_mailbox(request("M@ch.example", Until::Active)).await.unwrap();
    assert_eq!(again, Err(DirectoryError::AddressTaken));
}

async fn a_request_that_is_turned_down_leaves_its_address_free(store: &Fixture) {
    store.add_domain("ch.example".parse().unwrap()).await.unwrap();
    let id = store.request_mailbox(request("m@ch.example", Until::Requested)).await.unwrap().unwrap();
    store.reject_mailbox(id, None).await.unwrap().unwrap();
    assert!(store.mailbox_of_row(id).await.unwrap().is_none());
    let mut other = request("m@ch.example", Until::Active);
    other.owner = Some(OwnerRequest::New(Box::new(person("other"))));
    let other = store.request_mailbox(other).await.unwrap().unwrap();
    assert_ne!(other, id);
    assert!(matches!(store.reject_mailbox(other, None).await.unwrap(), Err(DirectoryError::State(..))));
    let told = "SELECT COUNT(*) FROM audit_rows WHERE action = 'mailbox.rejected'";
    assert_eq!(store.raw.int(told).await, 1);
}

async fn a_person_is_made_with_the_mailbox_or_not_at_all(store: &Fixture) {
    made(store, "a@ch.example").await;
    let mut taken = request("b@elsewhere.example", Until::Active);
    taken.owner = Some(OwnerRequest::New(Box::new(person("b"))));
    assert_eq!(store.request_mailbox(taken).await.unwrap(), Err(DirectoryError::UnknownDomain));
    let mut second = request("c@ch.example", Until::Active);
    second.owner = Some(OwnerRequest::New(Box::new(person("a@ch.example"))));
    assert_eq!(store.request_mailbox(second).await.unwrap(), Err(DirectoryError::LoginTaken));
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM users").await, 1);
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM mailboxes").await, 1);
}

async fn a_step_is_taken_from_the_right_state_only(store: &Fixture) {
    let id = made(store, "m@ch.example").await;
    let row = store.mailbox_of_row(id).await.unwrap().unwrap();
    let stale = store.take_step(id, Some(row.revision + 1), LifeStep::Suspend).await.unwrap();
    assert_eq!(stale, Err(DirectoryError::Changed));
    let before = store.revision(Revision::Directory).await.unwrap();
    store.take_step(id, Some(row.revision), LifeStep::Suspend).await.unwrap().unwrap();
    assert_ne!(store.revision(Revision::Directory).await.unwrap(), before, "open sessions are told");
    let twice = store.take_step(id, None, LifeStep::Suspend).await.unwrap();
    assert_eq!(twice, Err(DirectoryError::State(MailboxStatus::Suspended, Workflow::Created)));
    store.take_step(id, None, LifeStep::Activate).await.unwrap().unwrap();
    assert!(matches!(
        store.take_step(id, None, LifeStep::Restore).await.unwrap(),
        Err(DirectoryError::State(..))
    ));
    let nowhere = store.take_step(MailboxId(99), None, LifeStep::Suspend).await.unwrap();
    assert_eq!(nowhere, Err(DirectoryError::UnknownMailbox));
}

async fn a_deleted_mailbox_comes_back_as_it_was(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.deliver(&marie, b"Subject: kept\r\n\r\nas it was\r\n").await;
    store.take_step(marie.mailbox, None, LifeStep::Suspend).await.unwrap().unwrap();
    let until = store.now().plus_millis(DAY_MS);
    store.take_step(marie.mailbox, None, LifeStep::Delete(until)).await.unwrap().unwrap();
    store.pass(DAY_MS - 1);
    assert!(!store.erase_expired().await.unwrap());
    store.take_step(marie.mailbox, None, LifeStep::Restore).await.unwrap().unwrap();
    assert_eq!(state(store, marie.mailbox).await.0, MailboxStatus::Suspended);
    store.take_step(marie.mailbox, None, LifeStep::Activate).await.unwrap().unwrap();
    store.pass(10 * DAY_MS);
    assert!(!store.erase_expired().await.unwrap(), "what was restored is not erased later");
    assert_eq!(store.read_all(&marie, marie.inbox, 1).await, b"Subject: kept\r\n\r\nas it was\r\n");
    assert_eq!(steps(store, marie.mailbox).await[4..], ["suspended", "deleted", "restored", "activated"]);
}

async fn what_comes_back_follows_the_defaults_and_the_allocation_of_now(store: &Fixture) {
    let id = made(store, "m@ch.example").await;
    let domain = store.domain(&"ch.example".parse().unwrap()).await.unwrap().unwrap().id;
    store.raw.execute("UPDATE mailboxes SET quota_is_own = 0").await;
    let until = store.now().plus_millis(DAY_MS);
    store.take_step(id, None, LifeStep::Delete(until)).await.unwrap().unwrap();
    let scope = QuotaScope { domain: Some(domain), kind: None };
    store.create_quota(scope, 5000, 1000).await.unwrap().unwrap().unwrap();
    store.set_domain_allocation(domain, None, Some(4999)).await.unwrap().unwrap();
    let refused = store.take_step(id, None, LifeStep::Restore).await.unwrap();
    assert_eq!(refused, Err(DirectoryError::Allocation { max: 4999, asked: 5000 }));
    store.set_domain_allocation(domain, None, Some(5000)).await.unwrap().unwrap();
    store.take_step(id, None, LifeStep::Restore).await.unwrap().unwrap();
    assert_eq!(store.mailbox_of_row(id).await.unwrap().unwrap().quota_bytes, 5000);
}

async fn what_has_no_key_any_more_is_not_restored_whatever_the_clock_says(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.deliver(&marie, b"Subject: gone\r\n\r\nfor good\r\n").await;
    let until = store.now().plus_millis(DAY_MS);
    store.take_step(marie.mailbox, None, LifeStep::Delete(until)).await.unwrap().unwrap();
    store.pass(DAY_MS);
    assert!(store.erase_expired().await.unwrap());
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM mailbox_keys").await, 0);
    assert!(store.raw.int("SELECT COUNT(*) FROM folders").await > 0, "the erasure has only begun");
    // The clock of another node is behind.
    store.clock.set(START);
    let late = store.take_step(marie.mailbox, None, LifeStep::Restore).await.unwrap();
    assert_eq!(late, Err(DirectoryError::NotRestorable));
    while store.erase_expired().await.unwrap() {}
    assert!(store.mailbox_of_row(marie.mailbox).await.unwrap().unwrap().erased_at.is_some());
}

async fn a_request_with_an_unknown_delegate_leaves_nothing(store: &Fixture) {
    store.add_domain("ch.example".parse().unwrap()).await.unwrap();
    let delegates = vec![(mail_types::UserId(99), Role::Reader)];
    let asked = MailboxRequest { delegates, ..request("m@ch.example", Until::Active) };
    assert_eq!(store.request_mailbox(asked).await.unwrap(), Err(DirectoryError::UnknownUser));
    for table in ["mailboxes", "users", "mailbox_keys"] {
        assert_eq!(store.raw.int(&format!("SELECT COUNT(*) FROM {table}")).await, 0, "{table}");
    }
}

async fn what_is_left_after_the_grace_is_a_tombstone(store: &Fixture) {
    let marie = store.personal("marie").await;
    let chief = store.create_user("chief", "", None).await.unwrap();
    store.grant(marie.mailbox, chief.actor, Role::Reader).await.unwrap();
    for _ in 0..3 {
        store.deliver(&marie, b"Subject: gone\r\n\r\nfor good\r\n").await;
    }
    let until = store.now().plus_millis(DAY_MS);
    store.take_step(marie.mailbox, None, LifeStep::Delete(until)).await.unwrap().unwrap();
    store.pass(DAY_MS);
    let late = store.take_step(marie.mailbox, None, LifeStep::Restore).await.unwrap();
    assert_eq!(late, Err(DirectoryError::NotRestorable));
    let mut units = 0;
    while store.erase_expired().await.unwrap() {
        units += 1;
        assert!(units < 50, "the erasure comes to an end");
    }
    for table in ["mailbox_keys", "folders", "messages", "expunged", "grants", "subscriptions"] {
        assert_eq!(store.raw.int(&format!("SELECT COUNT(*) FROM {table}")).await, 0, "{table}");
    }
    assert!(store.sweep_later().await > 0, "its bodies are freed");
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM bodies").await, 0);
    let row = store.mailbox_of_row(marie.mailbox).await.unwrap().unwrap();
    assert_eq!((row.status, row.used_bytes, row.used_messages), (MailboxStatus::Deleted, 0, 0));
    assert_eq!(row.erased_at, Some(START.plus_millis(DAY_MS)));
    for owner in ["marie@ch.example", "somebody.else"] {
        let mut again = request("marie@ch.example", Until::Active);
        let known = store.person(&PersonKey::Login(owner.to_owned())).await.unwrap();
        again.owner = Some(match known {
            Some(known) => OwnerRequest::Known(known.id),
            None => OwnerRequest::New(Box::new(person(owner))),
        });
        assert_eq!(store.request_mailbox(again).await.unwrap(), Err(DirectoryError::Tombstone), "{owner}");
    }
    assert_eq!(steps(store, marie.mailbox).await.last().map(String::as_str), Some("erased"));
    let told = "SELECT COUNT(*) FROM audit_rows WHERE action IN ('mailbox.deleted', 'mailbox.key_destroyed', 'mailbox.erased')";
    assert_eq!(store.raw.int(told).await, 3);
    store.assert_sound().await;
}

async fn a_holder_asks_and_an_administrator_decides(store: &Fixture) {
    let id = made(store, "m@ch.example").await;
    let now = async || {
        let row = store.mailbox_of_row(id).await.unwrap().unwrap();
        (row.is_hidden, row.hide_requested)
    };
    store.ask_to_hide(id, true).await.unwrap().unwrap();
    assert_eq!(now().await, (false, Some(true)));
    store.ask_to_hide(id, false).await.unwrap().unwrap();
    assert_eq!(now().await, (false, None), "what was asked for is taken back");
    store.ask_to_hide(id, true).await.unwrap().unwrap();
    store.set_hidden(id, true).await.unwrap().unwrap();
    assert_eq!(now().await, (true, None));
    store.ask_to_hide(id, false).await.unwrap().unwrap();
    store.set_hidden(id, true).await.unwrap().unwrap();
    assert_eq!(now().await, (true, None), "the request is turned down");
    let told = "SELECT COUNT(*) FROM audit_rows WHERE action LIKE 'mailbox.%hid%'";
    assert_eq!(store.raw.int(told).await, 6);
}

async fn a_change_needs_the_revision_that_was_read(store: &Fixture) {
    let id = made(store, "m@ch.example").await;
    let row = store.mailbox_of_row(id).await.unwrap().unwrap();
    let change = MailboxChange { description: Some("Accueil".to_owned()), ..MailboxChange::default() };
    store.change_mailbox(id, Some(row.revision), change.clone()).await.unwrap().unwrap();
    let late = store.change_mailbox(id, Some(row.revision), change).await.unwrap();
    assert_eq!(late, Err(DirectoryError::Changed));
    let now = store.mailbox_of_row(id).await.unwrap().unwrap();
    assert_eq!((now.description.as_str(), now.quota_bytes), ("Accueil", row.quota_bytes));
}

async fn lists_are_filtered_and_sorted_page_by_page(store: &Fixture) {
    for name in ["b-2", "a", "b.1", "c_d"] {
        store.personal(name).await;
    }
    store.create_user("chief", "", None).await.unwrap();
    let ward = store.holder("ward", MailboxKind::Organizational, Some("chief")).await;
    store.take_step(ward.mailbox, None, LifeStep::Suspend).await.unwrap().unwrap();
    store.raw.execute("UPDATE mailboxes SET used_bytes = 10 * (6 - id)").await;
    let page = async |filter: MailboxFilter, order: MailboxOrder| {
        let rows = store.mailbox_page(&filter, &order, 3).await.unwrap();
        rows.into_iter().map(|row| row.address.split('@').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = MailboxFilter::default();
    assert_eq!(page(all.clone(), MailboxOrder::Address("a@ch.example".into())).await, ["b-2", "b.1", "c_d"]);
    assert_eq!(page(all.clone(), MailboxOrder::Youngest(None)).await, ["ward", "c_d", "b.1"]);
    assert_eq!(page(all.clone(), MailboxOrder::Oldest(MailboxId(3))).await, ["c_d", "ward"]);
    assert_eq!(page(all.clone(), MailboxOrder::Emptiest(0, MailboxId(0))).await, ["ward", "c_d", "b.1"]);
    assert_eq!(
        page(all.clone(), MailboxOrder::Fullest(Some((40, MailboxId(2))))).await,
        ["b.1", "c_d", "ward"]
    );
    let suspended = MailboxFilter { status: Some(MailboxStatus::Suspended), ..all.clone() };
    assert_eq!(page(suspended, MailboxOrder::Youngest(None)).await, ["ward"]);
    let organizational = MailboxFilter { kind: Some(MailboxKind::Organizational), ..all.clone() };
    assert_eq!(page(organizational, MailboxOrder::Address(String::new())).await, ["ward"]);
    let like = MailboxFilter { contains: "C_D@".to_owned(), ..all.clone() };
    assert_eq!(page(like, MailboxOrder::Fullest(None)).await, ["c_d"]);
    let elsewhere = MailboxFilter { domains: Some(Vec::new()), ..all.clone() };
    assert!(page(elsewhere, MailboxOrder::Address(String::new())).await.is_empty());
    let holder = store.person(&PersonKey::Login("b.1@ch.example".into())).await.unwrap().unwrap().id;
    let held = MailboxFilter { holder: Some(holder), ..all };
    assert_eq!(page(held, MailboxOrder::Address(String::new())).await, ["b.1"]);
}

async fn persons_are_entered_changed_and_barred(store: &Fixture) {
    let mut marie = person("marie");
    marie.rpps = Some(rpps("10001234565"));
    let id = store.enter_person(marie.clone()).await.unwrap().unwrap();
    assert_eq!(store.enter_person(marie.clone()).await.unwrap(), Err(DirectoryError::LoginTaken));
    marie.login = "other".to_owned();
    assert_eq!(store.enter_person(marie).await.unwrap(), Err(DirectoryError::RppsTaken));
    let other = store.enter_person(person("other")).await.unwrap().unwrap();
    let take = PersonChange { rpps: Some(Some(rpps("10001234565"))), ..PersonChange::default() };
    assert_eq!(store.change_person(other, None, take).await.unwrap(), Err(DirectoryError::RppsTaken));
    let row = store.person(&PersonKey::Rpps("10001234565".to_owned())).await.unwrap().unwrap();
    let change = PersonChange {
        specialty: Some("Cardiologie".to_owned()),
        rpps: Some(None),
        ..PersonChange::default()
    };
    store.change_person(id, Some(row.revision), change.clone()).await.unwrap().unwrap();
    assert_eq!(
        store.change_person(id, Some(row.revision), change).await.unwrap(),
        Err(DirectoryError::Changed)
    );
    let now = store.person(&PersonKey::Id(id)).await.unwrap().unwrap();
    assert_eq!((now.identity.specialty.as_str(), now.identity.rpps.as_deref()), ("Cardiologie", None));
    assert_eq!(now.identity.last_name, "Durand");
    assert_eq!(store.set_person_disabled(id, true, false).await.unwrap(), Ok(true));
    assert_eq!(store.set_person_disabled(id, true, false).await.unwrap(), Ok(false));
    let barred = PersonFilter { is_disabled: Some(true), ..PersonFilter::default() };
    let rows = store.persons(&barred, "", 10).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.login.as_str()).collect::<Vec<_>>(), ["marie"]);
    let begins = PersonFilter { begins: "DUR".to_owned(), ..PersonFilter::default() };
    assert_eq!(store.persons(&begins, "marie", 10).await.unwrap().len(), 1);
}
