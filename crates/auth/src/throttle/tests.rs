//! The growth, the decay and the bounds of waits, with a clock that is driven.

use super::*;
use tokio::time::Instant;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn guess(account: u8, address: u8, is_known: bool) -> Guess {
    Guess {
        account: key(1, account, 0),
        address: key(2, 0, address),
        pair: key(3, account, address),
        is_known,
    }
}

/// As a keyed hash spreads them.
fn key(kind: u8, one: u8, other: u8) -> Key {
    let number = u64::from(kind) << 16 | u64::from(one) << 8 | u64::from(other);
    let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut key = [0; 16];
    key[..8].copy_from_slice(&(mixed ^ mixed >> 29).to_be_bytes());
    key[8..].copy_from_slice(&mixed.rotate_left(17).to_be_bytes());
    key
}

/// As configured, a hundred times as fast.
fn fast() -> ThrottleSettings {
    let usual = ThrottleSettings::default();
    ThrottleSettings { delay_first: usual.delay_first / 100, delay_max: usual.delay_max / 100, ..usual }
}

/// How long the guess waited, in tens of microseconds: in milliseconds as configured.
async fn waited(throttle: &Arc<Throttle>, guess: Guess, now: Timestamp) -> u128 {
    let begin = Instant::now();
    let turn = throttle.turn(guess, || now).await.unwrap_or_else(|held| panic!("{held:?}"));
    assert!(begin.elapsed() >= turn.waited);
    (turn.waited.as_micros() + 5) / 10
}

async fn fail(throttle: &Arc<Throttle>, guess: Guess, now: Timestamp) {
    throttle.turn(guess, || now).await.unwrap_or_else(|held| panic!("{held:?}")).failed(now);
}

#[tokio::test]
async fn the_wait_grows_to_its_bound_and_is_forgotten_with_time() {
    let throttle = Arc::new(Throttle::new(fast()));
    let mut waits = Vec::new();
    for _ in 0..10 {
        waits.push(waited(&throttle, guess(1, 1, false), NOW).await);
        fail(&throttle, guess(1, 1, false), NOW).await;
    }
    assert_eq!(waits, [0, 0, 0, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
    let after = |minutes: i64| Timestamp(NOW.0 + minutes * 60_000);
    assert!((1000..10_000).contains(&waited(&throttle, guess(1, 1, false), after(15)).await));
    assert_eq!(waited(&throttle, guess(1, 1, false), after(60)).await, 0);
}

#[tokio::test]
async fn from_a_known_address_nobody_waits_for_the_failures_of_others() {
    let throttle = Arc::new(Throttle::new(fast()));
    for attacker in 0..40 {
        fail(&throttle, guess(1, attacker, false), NOW).await;
    }
    assert_eq!(waited(&throttle, guess(1, 200, true), NOW).await, 0);
    // From elsewhere the wait is bounded, and it is the only thing in the way.
    assert_eq!(waited(&throttle, guess(1, 201, false), NOW).await, 10_000);
    // Their own failures count.
    for _ in 0..4 {
        fail(&throttle, guess(1, 200, true), NOW).await;
    }
    assert_eq!(waited(&throttle, guess(1, 200, true), NOW).await, 1000);
    // Another account from there is nobody's concern.
    assert_eq!(waited(&throttle, guess(2, 202, false), NOW).await, 0);
}

#[tokio::test]
async fn an_address_that_failed_very_often_is_refused_except_to_those_it_is_known_of() {
    let throttle = Arc::new(Throttle::new(fast()));
    for account in 0..100 {
        fail(&throttle, guess(account, 1, false), NOW).await;
    }
    let held = throttle.turn(guess(200, 1, false), || NOW).await.err().expect("refused");
    assert_eq!((held.by, held.retry_after_secs), (Restraint::Address, 1));
    assert_eq!(waited(&throttle, guess(200, 1, true), NOW).await, 0);
    assert_eq!(waited(&throttle, guess(200, 2, false), NOW).await, 0);
    let later = Timestamp(NOW.0 + 60_000);
    assert!(throttle.turn(guess(200, 1, false), || later).await.is_ok());
}

#[tokio::test]
async fn many_connections_gain_nothing() {
    let throttle = Arc::new(Throttle::new(fast()));
    let guesses = (0..200).map(|_| {
        let throttle = throttle.clone();
        tokio::spawn(async move {
            match throttle.turn(guess(1, 1, false), || NOW).await {
                Ok(turn) => {
                    // It takes a while to look at a guess.
                    tokio::time::sleep(Duration::from_millis(3)).await;
                    turn.failed(NOW);
                    true
                }
                Err(held) => {
                    assert_eq!(held.by, Restraint::Account);
                    false
                }
            }
        })
    });
    let mut looked_at = 0;
    for guess in guesses.collect::<Vec<_>>() {
        looked_at += u32::from(guess.await.expect("no panic"));
    }
    // Those that cost nothing, and the few that may wait.
    assert!((3..=7).contains(&looked_at), "{looked_at}");
    assert!(throttle.lanes.lock().unwrap().is_empty(), "a lane stays behind");
    assert_eq!(throttle.waiting(), 0);
}

#[tokio::test]
async fn so_many_wait_and_no_more() {
    let settings = ThrottleSettings { waiting_max: 2, account_failures_free: 0, ..fast() };
    let throttle = Arc::new(Throttle::new(settings));
    let mut waiting = Vec::new();
    for address in 0..3 {
        let throttle = throttle.clone();
        let task = tokio::spawn(async move { throttle.turn(guess(1, address, false), || NOW).await.err() });
        tokio::task::yield_now().await;
        waiting.push(task);
    }
    let mut outcomes = Vec::new();
    for task in waiting {
        outcomes.push(task.await.expect("no panic").map(|held| held.by));
    }
    assert_eq!(outcomes, [None, None, Some(Restraint::Waiting)]);
}
