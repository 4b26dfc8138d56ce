//! Default quotas and allocations, and what those concerned are told of.

use crate::support::{DAY_MS, Fixture, on_both_engines};
use mail_types::{MailboxKind, Role};
use store::{DelegationChange, DirectoryError, Fill, QuotaScope, Terms};

on_both_engines!(
    the_nearest_default_is_followed_and_an_allocation_bounds_it,
    a_filled_mailbox_is_found_once_until_it_is_well_below,
    a_filled_domain_is_found_once,
    the_end_of_a_grant_is_told_once_and_again_after_a_change,
);

const MIB: u64 = 1 << 20;

async fn quota(store: &Fixture, address: &str) -> u64 {
    store.mailbox(&address.parse().unwrap()).await.unwrap().unwrap().quota_bytes
}

async fn the_nearest_default_is_followed_and_an_allocation_bounds_it(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.personal("own").await;
    store.raw.execute("UPDATE mailboxes SET quota_is_own = 0 WHERE address = 'marie@ch.example'").await;
    let domain = store.domain(&"ch.example".parse().unwrap()).await.unwrap().unwrap();
    let kind = QuotaScope { domain: None, kind: Some(MailboxKind::Personal) };
    store.create_quota(kind, 10 * MIB, MIB).await.unwrap().unwrap().unwrap();
    assert_eq!(store.create_quota(kind, 11 * MIB, MIB).await.unwrap(), Ok(None));
    assert_eq!(quota(store, &marie.address).await, 10 * MIB);
    let near = QuotaScope { domain: Some(domain.id), kind: None };
    let id = store.create_quota(near, 20 * MIB, MIB).await.unwrap().unwrap().unwrap();
    assert_eq!(
        (quota(store, &marie.address).await, quota(store, "own@ch.example").await),
        (20 * MIB, 1 << 30)
    );
    store.set_domain_allocation(domain.id, None, Some((1 << 30) + 25 * MIB)).await.unwrap().unwrap();
    let row = store.quota(id).await.unwrap().unwrap();
    let over = DirectoryError::Allocation { max: (1 << 30) + 25 * MIB, asked: (1 << 30) + 30 * MIB };
    assert_eq!(store.change_quota(row.id, None, Some(30 * MIB), MIB).await.unwrap(), Err(over));
    assert_eq!(quota(store, &marie.address).await, 20 * MIB);
    let row = store.quota(id).await.unwrap().unwrap();
    assert_eq!((row.quota_bytes, row.revision), (20 * MIB, 1), "a refusal leaves the default as it was");
    let stale = Some(row.revision - 1);
    assert_eq!(store.change_quota(row.id, stale, None, MIB).await.unwrap(), Err(DirectoryError::Changed));
    store.change_quota(row.id, None, None, MIB).await.unwrap().unwrap();
    assert_eq!(quota(store, &marie.address).await, 10 * MIB);
    store.assert_sound().await;
}

async fn a_filled_mailbox_is_found_once_until_it_is_well_below(store: &Fixture) {
    let marie = store.personal("marie").await;
    let use_percent = async |percent: u64| {
        let used = (1_u64 << 30) / 100 * percent;
        store.raw.execute(&format!("UPDATE mailboxes SET used_bytes = {used}")).await;
    };
    let found = async || {
        let found = store.filled_mailboxes().await.unwrap();
        for filled in &found {
            store.warn_mailbox(filled.mailbox, filled.percent, Vec::new()).await.unwrap();
        }
        found.iter().map(|filled| (filled.mailbox, filled.percent)).collect::<Vec<_>>()
    };
    let mailbox = marie.mailbox;
    for (percent, expected) in [
        (79, vec![]),
        (80, vec![(mailbox, 80)]),
        (85, vec![]),
        (95, vec![(mailbox, 95)]),
        (91, vec![]),
        (95, vec![]),
        (89, vec![]),
        (95, vec![(mailbox, 95)]),
        (76, vec![]),
        (80, vec![]),
        (74, vec![]),
        (80, vec![(mailbox, 80)]),
    ] {
        use_percent(percent).await;
        store.fill().await.unwrap();
        assert_eq!(found().await, expected, "at {percent} %");
    }
    assert_eq!(store.fill().await.unwrap(), Fill { past_80: 1, past_95: 0 });
}

async fn a_filled_domain_is_found_once(store: &Fixture) {
    store.personal("marie").await;
    let domain = store.domain(&"ch.example".parse().unwrap()).await.unwrap().unwrap().id;
    store.set_domain_allocation(domain, None, Some(1000 * MIB)).await.unwrap().unwrap();
    assert_eq!(store.filled_domains().await.unwrap(), []);
    for (used, percent) in [(810, Some(80)), (820, None), (960, Some(95)), (700, None), (810, Some(80))] {
        store.raw.execute(&format!("UPDATE mailboxes SET used_bytes = {}", used * MIB)).await;
        let filled = store.filled_domains().await.unwrap();
        assert_eq!(filled.first().map(|filled| filled.percent), percent, "at {used}");
        for filled in filled {
            store.warn_domain(domain, i64::from(filled.percent), filled.percent, Vec::new()).await.unwrap();
        }
    }
}

async fn the_end_of_a_grant_is_told_once_and_again_after_a_change(store: &Fixture) {
    store.create_user("chief", "", None).await.unwrap();
    let ward = store.holder("ward", MailboxKind::Organizational, Some("chief")).await;
    let nurse = store.personal("nurse").await;
    let change = DelegationChange::of(ward.mailbox, nurse.actor);
    let until = |days: i64| Terms::of(Role::Reader, Some(store.now().plus_millis(days * DAY_MS)));
    store.give_delegation(change.clone(), until(5)).await.unwrap().unwrap();
    let soon = store.now().plus_millis(7 * DAY_MS);
    assert_eq!(store.ending_grants(soon).await.unwrap(), [(ward.mailbox, nurse.actor)]);
    store.tell_of_end(ward.mailbox, nurse.actor, Vec::new()).await.unwrap();
    assert_eq!(store.ending_grants(soon).await.unwrap(), []);
    store.change_delegation(change, until(6)).await.unwrap().unwrap();
    assert_eq!(store.ending_grants(soon).await.unwrap(), [(ward.mailbox, nurse.actor)]);
    let told = |grantee| store.concerned(ward.mailbox, grantee);
    let addresses =
        |found: Vec<mail_types::Address>| found.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(addresses(told(None).await.unwrap()), ["ward@ch.example"], "its chief has no other mailbox");
    assert_eq!(addresses(told(Some(nurse.actor)).await.unwrap()), ["nurse@ch.example", "ward@ch.example"]);
}
