//! Messages on their way to each domain: a few attempts at a time for one domain, the other messages wait in its line.
//!
//! So a server that is slow, mute or down holds a few of our connections and never all of them; its messages share connections; and
//! what one attempt learns of it counts for the whole line. It does not know how a message is sent.

use listener::Drain;
use mail_types::Domain;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::Claimed;
use tokio::sync::Notify;

/// Attempts under way for one domain.
const PER_DOMAIN_MAX: usize = 4;
/// How long an open connection waits for the next message.
const LINGER: Duration = Duration::from_secs(1);

/// The entries of one message for one domain.
pub(crate) type Message = Vec<Claimed>;

/// The lines of all domains.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lanes {
    lanes: Arc<Mutex<HashMap<Domain, Lane>>>,
}

#[derive(Debug, Default)]
struct Lane {
    line: VecDeque<Message>,
    /// Attempts under way.
    running: usize,
    /// Those of them that wait for a message.
    idle: usize,
    more: Arc<Notify>,
}

impl Lanes {
    /// Messages that wait for an attempt under way.
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.lanes).values().map(|lane| lane.line.len()).sum()
    }

    /// Puts messages in the line of their domain; gives a place for each attempt that is to be started.
    pub(crate) fn join(&self, domain: &Domain, messages: Vec<Message>) -> Vec<Place> {
        let mut lanes = lock(&self.lanes);
        let lane = lanes.entry(domain.clone()).or_default();
        lane.line.extend(messages);
        for _ in 0..lane.idle.min(lane.line.len()) {
            lane.more.notify_one();
        }
        let wanted = lane.line.len().saturating_sub(lane.idle);
        let started = wanted.min(PER_DOMAIN_MAX.saturating_sub(lane.running));
        lane.running += started;
        let place = || Place { lanes: self.lanes.clone(), domain: domain.clone(), has_left: false };
        std::iter::repeat_with(place).take(started).collect()
    }
}

fn lock(lanes: &Mutex<HashMap<Domain, Lane>>) -> MutexGuard<'_, HashMap<Domain, Lane>> {
    lanes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One attempt's place among those of its domain.
#[derive(Debug)]
pub(crate) struct Place {
    lanes: Arc<Mutex<HashMap<Domain, Lane>>>,
    pub(crate) domain: Domain,
    has_left: bool,
}

impl Place {
    /// The next message of the line. Without any the place is given up; an attempt that holds a connection waits a little before that.
    pub(crate) async fn next(&mut self, is_connected: bool, drain: &mut Drain) -> Option<Message> {
        if drain.is_asked() {
            return None;
        }
        if let Some(message) = self.pop_or(|lane| lane.idle += usize::from(is_connected)) {
            return Some(message);
        }
        if is_connected {
            let more = lock(&self.lanes).get(&self.domain).map(|lane| lane.more.clone())?;
            tokio::select! {
                () = more.notified() => {}
                () = tokio::time::sleep(LINGER) => {}
                () = drain.asked() => {}
            }
            self.with_lane(|lane| lane.idle -= 1);
        }
        // Looked for and left under one lock: nothing can join a line that nobody serves.
        let message = self.pop_or(|lane| lane.running -= 1);
        self.has_left = message.is_none();
        message
    }

    /// Everything that waits: what is to be said of one message is to be said of all.
    pub(crate) fn take_line(&self) -> Vec<Message> {
        let mut line = VecDeque::new();
        self.with_lane(|lane| line = std::mem::take(&mut lane.line));
        line.into()
    }

    fn pop_or(&self, otherwise: impl FnOnce(&mut Lane)) -> Option<Message> {
        let mut message = None;
        self.with_lane(|lane| match lane.line.pop_front() {
            Some(popped) => message = Some(popped),
            None => otherwise(lane),
        });
        message
    }

    fn with_lane(&self, work: impl FnOnce(&mut Lane)) {
        let mut lanes = lock(&self.lanes);
        let Some(lane) = lanes.get_mut(&self.domain) else { return };
        work(lane);
        if lane.running == 0 && lane.line.is_empty() {
            lanes.remove(&self.domain);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.has_left {
            self.with_lane(|lane| lane.running -= 1);
        }
    }
}
