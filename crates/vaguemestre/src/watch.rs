//! Tells the log when the database stops answering, what to do then, and when it answers again: once each, whatever the load.

use listener::Drain;
use std::time::Duration;
use store::Store;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Between two questions.
const EVERY: Duration = Duration::from_secs(3);
/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Asks the database now and then until `drain` is asked for.
pub(crate) async fn watch(store: Store, mut drain: Drain) {
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_answering = true;
    loop {
        tokio::select! {
            () = drain.asked() => return,
            _ = every.tick() => {}
        }
        let answer = match timeout(ANSWER_MAX, store.ping()).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} s", ANSWER_MAX.as_secs())),
        };
        match (answer, is_answering) {
            (Err(cause), true) => {
                tracing::error!(
                    cause,
                    "the database does not answer: senders and readers are told to try again until it does; check that it runs, \
                     that it has room, and that [store] url leads to it"
                );
                is_answering = false;
            }
            (Ok(()), false) => {
                tracing::info!("the database answers again");
                is_answering = true;
            }
            _ => {}
        }
    }
}
