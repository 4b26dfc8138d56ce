//! Claims, leases, and how attempts end.

use crate::support::{Fixture, START, on_both_engines};
use mail_types::{QueueId, ReversePath};
use std::time::Duration;
use store::{AttemptOutcome, Claimed, HeldFor, QueueAct, QueueFilter, QueueOrder, QueueRefusal, QueueState};
use tokio::time::timeout;

on_both_engines!(
    a_claimed_entry_has_everything_that_was_accepted,
    odd_addresses_survive_the_queue,
    an_entry_under_a_lease_is_not_claimed_again,
    a_lease_that_ran_out_is_claimed_again,
    a_stale_lease_writes_nothing,
    a_node_that_starts_again_gives_back_its_own_leases_only,
    a_deferred_entry_waits_for_its_time,
    a_relayed_entry_gives_up_its_body,
    a_bounce_is_committed_with_its_notification,
    a_notification_that_fails_leaves_the_entry_as_it_was,
    a_body_stays_while_another_entry_needs_it,
    two_processes_never_claim_the_same_entry,
    an_administrator_retries_now,
    a_reply_with_any_octet_is_kept,
    the_queue_runner_wakes_when_something_is_queued,
    an_administrator_acts_on_what_a_filter_finds,
    an_entry_under_way_is_left_to_its_attempt,
    an_entry_is_dropped_in_silence_or_with_a_word,
);

const LEASE: i64 = 60_000;

fn relayed() -> AttemptOutcome {
    AttemptOutcome::Relayed { reply: "250 2.0.0 ok".to_owned() }
}

/// The one submission of a fixture, with one remote recipient each of `to`.
async fn submit(store: &Fixture, to: &[&str]) {
    let marie = store.personal("marie").await;
    let acceptance = store.submission(&marie, b"Return-Path: <>\r\ncontent", to).await;
    store.accept(acceptance).await.unwrap();
}

async fn claim_one(store: &Fixture) -> Claimed {
    let mut claimed = store.claim_due(10, LEASE).await.unwrap();
    assert_eq!(claimed.len(), 1);
    claimed.remove(0)
}

async fn state(store: &Fixture, id: QueueId) -> QueueState {
    store.queue_entry(id).await.unwrap().unwrap().state
}

async fn a_claimed_entry_has_everything_that_was_accepted(store: &Fixture) {
    let marie = store.personal("marie").await;
    let mut acceptance = store.submission(&marie, b"PATHcontent", &["Bob@Far.example"]).await;
    (acceptance.content_offset, acceptance.eight_bit) = (4, true);
    let unit = acceptance.unit;
    store.accept(acceptance).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(START));
    let entry = claim_one(store).await;
    assert_eq!((entry.unit, entry.content_offset, entry.eight_bit, entry.attempts), (unit, 4, true, 0));
    assert_eq!(
        (entry.reverse_path.clone(), entry.sender_mailbox),
        (ReversePath::Address(marie.address.parse().unwrap()), Some(marie.mailbox))
    );
    assert_eq!(entry.recipient.to_string(), "Bob@far.example");
    let texts = [&entry.original_recipient, &entry.notify, &entry.ret, &entry.envid]
        .map(|text| text.as_deref().unwrap());
    assert_eq!(texts, ["rfc822;Bob@Far.example", "FAILURE,DELAY", "HDRS", "QQ314159"]);
    assert_eq!((entry.created_at, entry.expires_at), (START, START.plus_secs(5 * 86_400)));
    let mut reader = store.queued_content(&entry).await.unwrap();
    let mut out = Vec::new();
    reader.read(entry.content_offset, u64::MAX, &mut out).await.unwrap();
    assert_eq!(out, b"content");
}

async fn odd_addresses_survive_the_queue(store: &Fixture) {
    let marie = store.personal("marie").await;
    let mut acceptance = store.submission(&marie, b"content", &[r#""bob \"b\" @x"@Far.example"#]).await;
    acceptance.reverse_path = ReversePath::Null;
    let recipient = acceptance.remote[0].recipient.clone();
    store.accept(acceptance).await.unwrap();
    let entry = claim_one(store).await;
    assert_eq!((entry.reverse_path, entry.recipient), (ReversePath::Null, recipient));
}

async fn an_entry_under_a_lease_is_not_claimed_again(store: &Fixture) {
    submit(store, &["a@far.example", "b@far.example", "c@far.example"]).await;
    let first = store.claim_due(2, LEASE).await.unwrap();
    let second = store.claim_due(10, LEASE).await.unwrap();
    assert_eq!((first.len(), second.len()), (2, 1));
    assert!(first.iter().all(|entry| entry.id != second[0].id));
    assert!(store.claim_due(10, LEASE).await.unwrap().is_empty());
    assert_eq!(store.next_due().await.unwrap(), Some(START.plus_millis(LEASE)));
}

async fn a_lease_that_ran_out_is_claimed_again(store: &Fixture) {
    submit(store, &["a@far.example"]).await;
    let first = claim_one(store).await;
    store.pass(LEASE - 1);
    assert!(store.claim_due(10, LEASE).await.unwrap().is_empty());
    store.pass(1);
    let second = claim_one(store).await;
    assert_eq!((first.id, first.attempts), (second.id, second.attempts));
    assert!(store.conclude(&second, relayed(), None).await.unwrap());
}

async fn a_stale_lease_writes_nothing(store: &Fixture) {
    submit(store, &["a@far.example"]).await;
    let stale = claim_one(store).await;
    store.pass(LEASE);
    let current = claim_one(store).await;
    let audited = store.raw.int("SELECT COUNT(*) FROM audit_rows").await;
    let notification = store.acceptance(b"bounce", &[]).await;
    let bounced = AttemptOutcome::Bounced { reply: "550 no".to_owned() };
    assert!(!store.conclude(&stale, bounced, Some(notification)).await.unwrap());
    assert_eq!(state(store, stale.id).await, QueueState::Queued);
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM audit_rows").await, audited);
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM bodies").await, 1);
    assert!(store.conclude(&current, relayed(), None).await.unwrap());
    assert!(!store.conclude(&current, relayed(), None).await.unwrap());
    assert_eq!(state(store, stale.id).await, QueueState::Relayed);
}

async fn a_node_that_starts_again_gives_back_its_own_leases_only(store: &Fixture) {
    submit(store, &["bob@far.example"]).await;
    let entry = claim_one(store).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let mut options = store.options.clone();
    if options.url.starts_with("sqlite:") {
        options.url = format!("sqlite:{}", options.data_dir.join("store.db").display());
    }
    options.data_dir = elsewhere.path().to_owned();
    let other = store::Store::open(&options).await.unwrap();
    assert_eq!(other.release_leases_of_the_dead().await.unwrap(), 0);
    assert!(store.renew_leases(std::slice::from_ref(&entry), LEASE).await.unwrap());
    let again = store.open_again().await.unwrap();
    assert_eq!(again.release_leases_of_the_dead().await.unwrap(), 1);
    assert!(!store.renew_leases(std::slice::from_ref(&entry), LEASE).await.unwrap());
    assert_eq!(claim_one(store).await.id, entry.id);
}

async fn a_deferred_entry_waits_for_its_time(store: &Fixture) {
    submit(store, &["a@far.example"]).await;
    let entry = claim_one(store).await;
    let outcome =
        AttemptOutcome::Deferred { reply: "451 later".to_owned(), next_attempt_at: START.plus_secs(300) };
    assert!(store.conclude(&entry, outcome, None).await.unwrap());
    let row = store.queue_entry(entry.id).await.unwrap().unwrap();
    assert_eq!(
        (row.state, row.attempts, row.last_reply.as_deref()),
        (QueueState::Deferred, 1, Some("451 later"))
    );
    assert_eq!(
        (row.next_attempt_at, store.next_due().await.unwrap()),
        (START.plus_secs(300), Some(START.plus_secs(300)))
    );
    store.pass(299_999);
    assert!(store.claim_due(10, LEASE).await.unwrap().is_empty());
    store.pass(1);
    let again = claim_one(store).await;
    assert_eq!(again.attempts, 1);
    assert!(store.queued_content(&again).await.is_ok());
}

async fn a_relayed_entry_gives_up_its_body(store: &Fixture) {
    submit(store, &["a@far.example"]).await;
    let entry = claim_one(store).await;
    assert!(store.conclude(&entry, relayed(), None).await.unwrap());
    assert_eq!(
        store
            .raw
            .int("SELECT COUNT(*) FROM queue_entries WHERE body_id IS NULL AND wrapped_key IS NULL")
            .await,
        1
    );
    assert_eq!(store.sweep_later().await, 1);
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM bodies").await, 0);
    assert!(store.claim_due(10, LEASE).await.unwrap().is_empty());
    assert_eq!(store.next_due().await.unwrap(), None);
    assert_eq!(
        (
            store.queue(QueueId(0), 10, false).await.unwrap().len(),
            store.queue(QueueId(0), 10, true).await.unwrap().len()
        ),
        (0, 1)
    );
    assert!(store.queue_depth().await.unwrap().is_empty());
    store.assert_sound().await;
}

async fn a_bounce_is_committed_with_its_notification(store: &Fixture) {
    let marie = store.personal("marie").await;
    let acceptance = store.submission(&marie, b"content", &["a@far.example"]).await;
    store.accept(acceptance).await.unwrap();
    let entry = claim_one(store).await;
    let notification = store.acceptance(b"it did not work", &[&marie]).await;
    let expired = AttemptOutcome::Expired { reply: "timeout".to_owned() };
    assert!(store.conclude(&entry, expired, Some(notification)).await.unwrap());
    assert_eq!(state(store, entry.id).await, QueueState::Expired);
    assert_eq!(store.read_all(&marie, marie.inbox, 1).await, b"it did not work");
    let actions =
        store.raw.texts("SELECT action FROM audit_rows WHERE unit_id IS NOT NULL ORDER BY action").await;
    let delivered = ["message.accepted", "message.accepted", "message.delivered"];
    assert_eq!(actions, [delivered.as_slice(), &["message.expired", "message.queued"]].concat());
}

async fn a_notification_that_fails_leaves_the_entry_as_it_was(store: &Fixture) {
    let marie = store.personal("marie").await;
    let acceptance = store.submission(&marie, b"content", &["a@far.example"]).await;
    store.accept(acceptance).await.unwrap();
    let entry = claim_one(store).await;
    let mut notification = store.acceptance(b"nowhere", &[&marie]).await;
    notification.local[0].folder = mail_types::FolderId(4711);
    let bounced = AttemptOutcome::Bounced { reply: "550 no".to_owned() };
    assert!(store.conclude(&entry, bounced.clone(), Some(notification)).await.is_err());
    assert_eq!(state(store, entry.id).await, QueueState::Queued);
    let notification = store.acceptance(b"here", &[&marie]).await;
    assert!(store.conclude(&entry, bounced, Some(notification)).await.unwrap());
    assert_eq!(state(store, entry.id).await, QueueState::Bounced);
    store.assert_sound().await;
}

async fn a_body_stays_while_another_entry_needs_it(store: &Fixture) {
    submit(store, &["a@far.example", "b@far.example"]).await;
    let claimed = store.claim_due(10, LEASE).await.unwrap();
    assert!(store.conclude(&claimed[0], relayed(), None).await.unwrap());
    assert_eq!(store.sweep_later().await, 1);
    assert!(store.queued_content(&claimed[1]).await.is_ok());
    assert!(store.conclude(&claimed[1], relayed(), None).await.unwrap());
    assert_eq!(store.sweep_later().await, 1);
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM bodies").await, 0);
    store.assert_sound().await;
}

async fn two_processes_never_claim_the_same_entry(store: &Fixture) {
    let to: Vec<String> = (0..40).map(|i| format!("r{i}@far.example")).collect();
    submit(store, &to.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let other = store.open_again().await.unwrap();
    let mut ids = Vec::new();
    loop {
        let (ours, theirs) = tokio::join!(store.claim_due(3, LEASE), other.claim_due(3, LEASE));
        let before = ids.len();
        ids.extend(ours.unwrap().into_iter().chain(theirs.unwrap()).map(|entry| entry.id));
        if ids.len() == before {
            break;
        }
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 40);
    other.close().await;
}

async fn an_administrator_retries_now(store: &Fixture) {
    submit(store, &["a@far.example", "b@far.example"]).await;
    for entry in store.claim_due(10, LEASE).await.unwrap() {
        let outcome =
            AttemptOutcome::Deferred { reply: String::new(), next_attempt_at: START.plus_secs(900) };
        assert!(store.conclude(&entry, outcome, None).await.unwrap());
    }
    let rows = store.queue(QueueId(0), 1, false).await.unwrap();
    assert_eq!(store.queue(rows[0].id, 10, false).await.unwrap().len(), 1);
    assert_eq!(store.retry_now(Some(rows[0].id)).await.unwrap(), 1);
    assert_eq!(claim_one(store).await.id, rows[0].id);
    assert_eq!(store.retry_now(None).await.unwrap(), 2);
    assert_eq!(store.claim_due(10, LEASE).await.unwrap().len(), 1);
    assert_eq!(store.retry_now(Some(QueueId(4711))).await.unwrap(), 0);
}

async fn a_reply_with_any_octet_is_kept(store: &Fixture) {
    submit(store, &["a@far.example"]).await;
    let entry = claim_one(store).await;
    let reply = "550 \0\u{1}\u{fffd} été \"'$1".to_owned();
    assert!(store.conclude(&entry, AttemptOutcome::Bounced { reply }, None).await.unwrap());
    let row = store.queue_entry(entry.id).await.unwrap().unwrap();
    // PostgreSQL text cannot hold a NUL, so that neither engine keeps it.
    assert_eq!(row.last_reply.unwrap(), "550 \u{fffd}\u{1}\u{fffd} été \"'$1");
}

async fn the_queue_runner_wakes_when_something_is_queued(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.deliver(&marie, b"not for the queue").await;
    assert!(timeout(Duration::from_millis(150), store.queue_changed()).await.is_err());
    let acceptance = store.submission(&marie, b"content", &["a@far.example"]).await;
    store.accept(acceptance).await.unwrap();
    timeout(Duration::from_secs(20), store.queue_changed()).await.unwrap();
}

async fn an_administrator_acts_on_what_a_filter_finds(store: &Fixture) {
    submit(store, &["a@far.example", "b@far.example", "c@other.example"]).await;
    let far = QueueFilter { domain: Some("far.example".parse().unwrap()), ..QueueFilter::default() };
    let list = async |filter: &QueueFilter, order, after, limit| {
        let rows = store.queue_page(filter, order, after, limit).await.unwrap();
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let begin = (i64::MIN, QueueId(0));
    let all = list(&QueueFilter::default(), QueueOrder::CreatedAt, begin, 10).await;
    assert_eq!(list(&far, QueueOrder::CreatedAt, begin, 10).await, all[..2]);
    assert_eq!(list(&far, QueueOrder::CreatedAt, (0, all[0]), 10).await, all[1..2]);
    assert_eq!(store.act_on_queue(&far, QueueAct::Hold).await.unwrap(), 2);
    assert_eq!(store.act_on_queue(&far, QueueAct::Hold).await.unwrap(), 0, "they are held already");
    let held = QueueFilter { held_for: Some(HeldFor::Administrator), ..QueueFilter::default() };
    assert_eq!(list(&held, QueueOrder::NextAttemptAt, begin, 1).await, all[..1]);
    assert_eq!(list(&held, QueueOrder::NextAttemptAt, (START.0, all[0]), 1).await, all[1..2]);
    assert_eq!(
        store.act_on_queue(&QueueFilter::default(), QueueAct::Retry).await.unwrap(),
        1,
        "held ones stay"
    );
    assert_eq!(claim_one(store).await.id, all[2]);
    assert_eq!(
        store.act_on_queue(&QueueFilter::default(), QueueAct::Retry).await.unwrap(),
        0,
        "it is under way"
    );
    assert_eq!(store.act_on_queue(&held, QueueAct::Release).await.unwrap(), 2);
    assert_eq!(store.claim_due(10, LEASE).await.unwrap().len(), 2);
}

async fn an_entry_under_way_is_left_to_its_attempt(store: &Fixture) {
    submit(store, &["a@far.example"]).await;
    let entry = claim_one(store).await;
    for act in [QueueAct::Retry, QueueAct::Hold] {
        assert_eq!(store.act_on_entry(entry.id, act).await.unwrap(), Err(QueueRefusal::UnderWay));
    }
    assert_eq!(store.drop_entry(entry.id).await.unwrap(), Err(QueueRefusal::UnderWay));
    assert_eq!(store.claim_entry(entry.id, LEASE).await.unwrap().unwrap_err(), QueueRefusal::UnderWay);
    assert!(store.conclude(&entry, relayed(), None).await.unwrap());
    let relayed = Err(QueueRefusal::State(QueueState::Relayed));
    assert_eq!(store.act_on_entry(entry.id, QueueAct::Retry).await.unwrap(), relayed);
    let nobody = store.act_on_entry(QueueId(4711), QueueAct::Hold).await.unwrap();
    assert_eq!(nobody, Err(QueueRefusal::Unknown));
}

async fn an_entry_is_dropped_in_silence_or_with_a_word(store: &Fixture) {
    submit(store, &["a@far.example", "b@far.example"]).await;
    let rows = store.queue(QueueId(0), 10, false).await.unwrap();
    store.act_on_entry(rows[0].id, QueueAct::Hold).await.unwrap().unwrap();
    store.drop_entry(rows[0].id).await.unwrap().unwrap();
    let entry = store.claim_entry(rows[1].id, LEASE).await.unwrap().unwrap();
    let dropped = AttemptOutcome::Dropped { reply: "554 taken out".to_owned() };
    assert!(store.conclude(&entry, dropped, None).await.unwrap());
    for row in &rows {
        let row = store.queue_entry(row.id).await.unwrap().unwrap();
        assert_eq!((row.state, row.attempts, row.last_attempt_at), (QueueState::Dropped, 0, None));
    }
    assert!(store.claim_due(10, LEASE).await.unwrap().is_empty());
    assert_eq!(store.sweep_later().await, 1);
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM bodies").await, 0, "nothing refers to the body any more");
}
