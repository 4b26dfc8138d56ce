//! Requests that bear an Idempotency-Key are carried out once.

use crate::support::{DAY_MS, Fixture, on_both_engines};
use mail_types::Domain;
use store::{Act, RequestMark, Reservation, Via};

on_both_engines!(
    a_request_is_carried_out_once_and_answered_again,
    what_was_committed_is_not_done_again_after_a_crash,
    what_did_nothing_is_done_anew_and_what_the_first_had_on_its_way_fails,
    a_key_of_what_did_nothing_is_given_back,
    a_message_marks_the_request_that_it_came_by,
    keys_are_forgotten_after_a_day,
);

const HASH: [u8; 32] = [7; 32];

async fn reserve(store: &Fixture, name: &str) -> RequestMark {
    match store.reserve_request("actor:1", name, HASH).await.unwrap() {
        Reservation::Ours(mark) => mark,
        other => panic!("{other:?}"),
    }
}

fn acting(store: &Fixture, mark: &RequestMark) -> store::Store {
    store.acting(Act { mark: Some(mark.clone()), ..Act::via(Via::Rest) })
}

fn domain(name: &str) -> Domain {
    name.parse().unwrap()
}

async fn a_request_is_carried_out_once_and_answered_again(store: &Fixture) {
    let mark = reserve(store, "k").await;
    assert!(acting(store, &mark).add_domain(domain("a.example")).await.unwrap());
    assert!(store.answer_request(mark, 201, Some(b"made".to_vec())).await.unwrap());
    let again = store.reserve_request("actor:1", "k", HASH).await.unwrap();
    assert_eq!(again, Reservation::Answered { status: 201, answer: b"made".to_vec() });
    let other = store.reserve_request("actor:1", "k", [8; 32]).await.unwrap();
    assert_eq!(other, Reservation::OtherRequest);
    assert!(matches!(store.reserve_request("actor:2", "k", HASH).await.unwrap(), Reservation::Ours(_)));
    let sealed = store.raw.int("SELECT COUNT(*) FROM idempotency_keys WHERE answer IS NOT NULL").await;
    assert_eq!(sealed, 1);
    let secret = reserve(store, "secret").await;
    acting(store, &secret).add_domain(domain("b.example")).await.unwrap();
    assert!(store.answer_request(secret, 201, None).await.unwrap());
    let again = store.reserve_request("actor:1", "secret", HASH).await.unwrap();
    assert_eq!(again, Reservation::Done { status: Some(201) });
}

async fn what_was_committed_is_not_done_again_after_a_crash(store: &Fixture) {
    let mark = reserve(store, "k").await;
    acting(store, &mark).add_domain(domain("a.example")).await.unwrap();
    let again = store.reserve_request("actor:1", "k", HASH).await.unwrap();
    assert_eq!(again, Reservation::Done { status: None });
    assert!(!store.release_request(mark).await.unwrap(), "what did something keeps its key");
}

async fn what_did_nothing_is_done_anew_and_what_the_first_had_on_its_way_fails(store: &Fixture) {
    let first = reserve(store, "k").await;
    let second = reserve(store, "k").await;
    assert!(acting(store, &first).add_domain(domain("a.example")).await.is_err());
    assert!(store.domain(&domain("a.example")).await.unwrap().is_none(), "nothing of it stands");
    assert!(acting(store, &second).add_domain(domain("a.example")).await.unwrap());
    assert!(!store.answer_request(first, 500, None).await.unwrap());
    let again = store.reserve_request("actor:1", "k", HASH).await.unwrap();
    assert_eq!(again, Reservation::Done { status: None });
}

async fn a_key_of_what_did_nothing_is_given_back(store: &Fixture) {
    let mark = reserve(store, "k").await;
    assert!(store.release_request(mark).await.unwrap());
    let corrected = store.reserve_request("actor:1", "k", [8; 32]).await.unwrap();
    assert!(matches!(corrected, Reservation::Ours(_)));
}

async fn a_message_marks_the_request_that_it_came_by(store: &Fixture) {
    let marie = store.personal("marie").await;
    let (first, second) = (reserve(store, "k").await, reserve(store, "k").await);
    let lost = store.submission(&marie, b"Return-Path: <>\r\nlost", &["a@far.example"]).await;
    assert!(acting(store, &first).accept(lost).await.is_err());
    let sent = store.submission(&marie, b"Return-Path: <>\r\nsent", &["a@far.example"]).await;
    acting(store, &second).accept(sent).await.unwrap();
    let again = store.reserve_request("actor:1", "k", HASH).await.unwrap();
    assert_eq!(again, Reservation::Done { status: None });
    assert_eq!(store.claim_due(10, 60_000).await.unwrap().len(), 1);
}

async fn keys_are_forgotten_after_a_day(store: &Fixture) {
    let mark = reserve(store, "k").await;
    acting(store, &mark).add_domain(domain("a.example")).await.unwrap();
    reserve(store, "l").await;
    assert_eq!(store.reserved_requests("actor:1").await.unwrap(), 2);
    assert_eq!(store.prune_requests().await.unwrap(), 0);
    store.pass(DAY_MS + 1);
    reserve(store, "k").await;
    assert_eq!(store.prune_requests().await.unwrap(), 1);
    assert_eq!(store.reserved_requests("actor:1").await.unwrap(), 1);
}
