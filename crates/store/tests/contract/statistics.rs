//! Daily counters: what mailboxes did, counted in the transaction that did it.

use crate::support::{Fixture, START, on_both_engines};
use store::{AttemptOutcome, Counts};

on_both_engines!(
    a_day_counts_what_was_sent_received_and_relayed,
    a_message_sent_again_is_not_counted_again,
    another_day_is_counted_apart,
    counters_are_forgotten_after_their_time,
);

const LEASE: i64 = 60_000;

async fn today(store: &Fixture) -> Counts {
    let rows = store.domain_counts(&store::day_of(store.now())).await.unwrap();
    rows.iter().fold(Counts::default(), |all, (.., counts)| all.and(counts))
}

async fn a_day_counts_what_was_sent_received_and_relayed(store: &Fixture) {
    let marie = store.personal("marie").await;
    let acceptance = store.submission(&marie, b"content", &["a@far.example", "b@far.example"]).await;
    store.accept(acceptance).await.unwrap();
    let claimed = store.claim_due(10, LEASE).await.unwrap();
    let relayed = AttemptOutcome::Relayed { reply: "250 ok".to_owned() };
    store.conclude(&claimed[0], relayed, None).await.unwrap();
    let bounced = AttemptOutcome::Bounced { reply: "550 no".to_owned() };
    store.conclude(&claimed[1], bounced, None).await.unwrap();
    let counts = today(store).await;
    assert_eq!((counts.sent, counts.sent_bytes, counts.received), (1, 7, 0));
    assert_eq!((counts.relayed, counts.bounced, counts.logins), (1, 1, 0));
    let day = store::day_of(START);
    let (_, days) = store.mailbox_counts(marie.mailbox, &day, &day).await.unwrap().unwrap();
    assert_eq!(days, [(day, counts)]);
}

async fn a_message_sent_again_is_not_counted_again(store: &Fixture) {
    let marie = store.personal("marie").await;
    for _ in 0..2 {
        let mut acceptance = store.acceptance(b"the same", &[&marie]).await;
        acceptance.fingerprint = Some([7; 32]);
        store.accept(acceptance).await.unwrap();
    }
    let counts = today(store).await;
    assert_eq!((counts.received, counts.received_bytes), (1, 8));
}

async fn another_day_is_counted_apart(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.deliver(&marie, b"first").await;
    store.pass(86_400_000);
    store.deliver(&marie, b"second").await;
    assert_eq!(today(store).await.received, 1);
    let (from, to) = (store::day_of(START), store::day_of(store.now()));
    let (_, days) = store.mailbox_counts(marie.mailbox, &from, &to).await.unwrap().unwrap();
    let seen: Vec<_> = days.iter().map(|(day, counts)| (day.clone(), counts.received)).collect();
    assert_eq!(seen, [(from, 1), (to, 1)]);
    let nobody = store.mailbox_counts(mail_types::MailboxId(4711), "2026-01-01", "2026-12-31").await;
    assert!(nobody.unwrap().is_none());
}

async fn counters_are_forgotten_after_their_time(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.deliver(&marie, b"first").await;
    store.pass(401 * 86_400_000);
    store.deliver(&marie, b"second").await;
    assert_eq!(store.prune_counters().await.unwrap(), 1);
    assert_eq!(store.prune_counters().await.unwrap(), 0);
    assert_eq!(today(store).await.received, 1);
}
