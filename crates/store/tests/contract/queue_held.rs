//! What is held because its domain left the white list.

use crate::support::{Fixture, START, on_both_engines};
use mail_types::{Domain, QueueId};
use store::{AttemptOutcome, HeldDomain, HeldFor, QueueState};

on_both_engines!(
    a_held_entry_waits_without_an_attempt_and_keeps_its_body,
    a_domain_is_held_whatever_its_next_attempt_and_let_go_as_a_whole,
    what_is_under_way_is_not_held_beside_its_attempt,
    what_is_held_for_other_causes_stays,
    what_is_held_past_its_lifetime_is_due,
    an_administrator_tries_a_held_entry,
);

const LEASE: i64 = 60_000;

async fn submit(store: &Fixture, to: &[&str]) {
    let marie = store.personal("marie").await;
    let acceptance = store.submission(&marie, b"Return-Path: <>\r\ncontent", to).await;
    store.accept(acceptance).await.unwrap();
}

fn held(held_for: HeldFor) -> AttemptOutcome {
    AttemptOutcome::Held { reply: "450 4.7.1 left".to_owned(), held_for }
}

fn far() -> Domain {
    "far.example".parse().unwrap()
}

/// State, cause and attempts of every waiting entry, by id.
async fn waiting(store: &Fixture) -> Vec<(QueueState, Option<HeldFor>, u32)> {
    let rows = store.queue(QueueId(0), 100, false).await.unwrap();
    rows.into_iter().map(|row| (row.state, row.held_for, row.attempts)).collect()
}

async fn a_held_entry_waits_without_an_attempt_and_keeps_its_body(store: &Fixture) {
    submit(store, &["a@far.example"]).await;
    let entry = store.claim_due(10, LEASE).await.unwrap().remove(0);
    assert!(store.conclude(&entry, held(HeldFor::Departure), None).await.unwrap());
    assert_eq!(waiting(store).await, [(QueueState::Held, Some(HeldFor::Departure), 0)]);
    store.pass(10 * LEASE);
    assert!(store.claim_due(10, LEASE).await.unwrap().is_empty());
    assert_eq!(store.retry_now(None).await.unwrap(), 0, "a retry of all leaves it alone");
    let expires_at = entry.expires_at;
    assert_eq!(store.held_domains().await.unwrap(), [HeldDomain { domain: far(), entries: 1, expires_at }]);
    assert_eq!(store.release_domain(&far()).await.unwrap(), 1);
    assert!(store.held_domains().await.unwrap().is_empty());
    let again = store.claim_due(10, LEASE).await.unwrap().remove(0);
    assert!(store.queued_content(&again).await.is_ok());
    assert_eq!(waiting(store).await, [(QueueState::Deferred, None, 0)]);
}

async fn a_domain_is_held_whatever_its_next_attempt_and_let_go_as_a_whole(store: &Fixture) {
    submit(store, &["a@far.example", "b@FAR.example", "c@near.example"]).await;
    for entry in store.claim_due(10, LEASE).await.unwrap().into_iter().take(1) {
        let outcome =
            AttemptOutcome::Deferred { reply: String::new(), next_attempt_at: START.plus_secs(7200) };
        assert!(store.conclude(&entry, outcome, None).await.unwrap());
    }
    store.pass(LEASE);
    assert_eq!(store.hold_domain(&far(), "450 4.7.1 left").await.unwrap(), 2);
    assert_eq!(store.hold_domain(&far(), "450 4.7.1 left").await.unwrap(), 0);
    let states: Vec<_> = waiting(store).await.into_iter().map(|(state, ..)| state).collect();
    assert_eq!(states.iter().filter(|state| **state == QueueState::Held).count(), 2);
    assert_eq!(store.held_domains().await.unwrap()[0].entries, 2);
    let claimed = store.claim_due(10, LEASE).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].recipient.domain().as_str(), "near.example");
    assert_eq!(store.release_domain(&far()).await.unwrap(), 2);
    assert_eq!(store.claim_due(10, LEASE).await.unwrap().len(), 2);
    let told =
        store.raw.texts("SELECT detail FROM audit_rows WHERE action LIKE 'queue.%' ORDER BY seq").await;
    assert_eq!(told, ["domain=far.example entries=2", "domain=far.example entries=2"]);
}

async fn what_is_under_way_is_not_held_beside_its_attempt(store: &Fixture) {
    submit(store, &["a@far.example"]).await;
    let entry = store.claim_due(10, LEASE).await.unwrap().remove(0);
    assert_eq!(store.hold_domain(&far(), "450").await.unwrap(), 0);
    let relayed = AttemptOutcome::Relayed { reply: "250 ok".to_owned() };
    assert!(store.conclude(&entry, relayed, None).await.unwrap());
    assert!(waiting(store).await.is_empty());
}

async fn what_is_held_for_other_causes_stays(store: &Fixture) {
    submit(store, &["a@far.example"]).await;
    let entry = store.claim_due(10, LEASE).await.unwrap().remove(0);
    assert!(store.conclude(&entry, held(HeldFor::Administrator), None).await.unwrap());
    assert!(store.held_domains().await.unwrap().is_empty());
    assert_eq!(store.release_domain(&far()).await.unwrap(), 0);
    store.pass(10_000 * LEASE);
    assert_eq!(store.release_expired().await.unwrap(), 0);
    assert_eq!(waiting(store).await, [(QueueState::Held, Some(HeldFor::Administrator), 0)]);
}

async fn what_is_held_past_its_lifetime_is_due(store: &Fixture) {
    submit(store, &["a@far.example"]).await;
    let entry = store.claim_due(10, LEASE).await.unwrap().remove(0);
    assert!(store.conclude(&entry, held(HeldFor::Departure), None).await.unwrap());
    let left = entry.expires_at.0 - store.now().0;
    store.pass(left - 1);
    assert_eq!(store.release_expired().await.unwrap(), 0);
    store.pass(1);
    assert_eq!(store.release_expired().await.unwrap(), 1);
    let again = store.claim_due(10, LEASE).await.unwrap().remove(0);
    let expired = AttemptOutcome::Expired { reply: "450 4.7.1 left".to_owned() };
    assert!(store.conclude(&again, expired, None).await.unwrap());
    assert!(waiting(store).await.is_empty());
}

async fn an_administrator_tries_a_held_entry(store: &Fixture) {
    submit(store, &["a@far.example"]).await;
    let entry = store.claim_due(10, LEASE).await.unwrap().remove(0);
    assert!(store.conclude(&entry, held(HeldFor::Departure), None).await.unwrap());
    assert_eq!(store.retry_now(Some(entry.id)).await.unwrap(), 1);
    assert_eq!(waiting(store).await, [(QueueState::Deferred, None, 0)]);
    assert_eq!(store.claim_due(10, LEASE).await.unwrap().len(), 1);
}
