//! Guessing is held back, and nobody is locked out.
//!
//! Failures are counted for each account, each address (IPv6: each /64) and each pair of the two, by keyed hashes, and forgotten with time. Every
//! further one lets the next guess wait longer, up to a bound. Guesses at one account from one address follow one another; so many connections
//! gain nothing. An address that failed very often is refused for a while.
//!
//! Whoever comes from an address from which the account logged in before answers for the failures of that pair alone. From elsewhere the longest
//! wait is the same for everybody: whoever knows the password gets in after it, however many others guess.
//!
//! It knows no password, no name and no row; time comes from its caller.

use crate::tally::{Key, Tally};
use mail_types::Timestamp;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

/// Sets of eight: 65,536 of each kind are counted at one time, in 1.5 MiB.
const SETS: usize = 8 * 1024;
/// Guesses at one account from one address that may wait for one another.
const LANE_MAX: usize = 4;

/// How guessing is held back.
#[derive(Clone, Copy, Debug)]
pub struct ThrottleSettings {
    /// Failures of an account, or of an account from one address, that cost nothing.
    pub account_failures_free: u32,
    /// Failures from one address that cost nothing: many persons may share it.
    pub address_failures_free: u32,
    /// Failures from one address after which it is refused for a while.
    pub address_failures_max: u32,
    /// The first wait of a guess; each further failure doubles it.
    pub delay_first: Duration,
    /// The longest wait.
    pub delay_max: Duration,
    /// In which half of the failures are forgotten.
    pub half_life: Duration,
    /// Logins that may wait at one time.
    pub waiting_max: usize,
}

impl Default for ThrottleSettings {
    fn default() -> Self {
        Self {
            account_failures_free: 3,
            address_failures_free: 20,
            address_failures_max: 100,
            delay_first: Duration::from_millis(500),
            delay_max: Duration::from_secs(10),
            half_life: Duration::from_mins(15),
            waiting_max: 1000,
        }
    }
}

/// Why a guess is not even looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restraint {
    /// Too many failures came from its address.
    Address,
    /// Others at the same account from the same address wait already.
    Account,
    /// Too many logins wait.
    Waiting,
    /// Its address brought too many credentials in too short a time, whether right or wrong.
    Rate,
}

impl Restraint {
    /// A word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Account => "account",
            Self::Waiting => "waiting",
            Self::Rate => "rate",
        }
    }
}

/// A guess that is refused unseen, and when it is worth trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Why.
    pub by: Restraint,
    /// Seconds, at least one.
    pub retry_after_secs: u64,
}

/// Who guesses, at what: beginnings of keyed hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Guess {
    pub(crate) account: Key,
    pub(crate) address: Key,
    pub(crate) pair: Key,
    /// Whether the account logged in from the address before.
    pub(crate) is_known: bool,
}

/// The one counter of failures of all protocols.
pub(crate) struct Throttle {
    settings: ThrottleSettings,
    tallies: Mutex<Tallies>,
    lanes: Mutex<HashMap<Key, Arc<Lane>>>,
    waiting: Arc<Semaphore>,
}

struct Tallies {
    accounts: Tally,
    addresses: Tally,
    pairs: Tally,
}

/// Guesses at one account from one address, one after the other.
#[derive(Default)]
struct Lane {
    order: Arc<tokio::sync::Mutex<()>>,
    seats: AtomicUsize,
}

impl std::fmt::Debug for Throttle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Throttle")
    }
}

/// The right to look at one guess now. While it lasts, no other one at this account from this address is looked at.
pub(crate) struct Turn {
    throttle: Arc<Throttle>,
    guess: Guess,
    /// How long it had to wait.
    pub(crate) waited: Duration,
    _order: OwnedMutexGuard<()>,
    _seat: Seat,
}

struct Seat {
    throttle: Arc<Throttle>,
    pair: Key,
    lane: Arc<Lane>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut lanes = self.throttle.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if self.lane.seats.fetch_sub(1, Ordering::Relaxed) == 1 {
            lanes.remove(&self.pair);
        }
    }
}

impl Throttle {
    pub(crate) fn new(settings: ThrottleSettings) -> Self {
        let half_life = i64::try_from(settings.half_life.as_millis()).unwrap_or(i64::MAX);
        let tally = || Tally::new(SETS, half_life);
        Self {
            settings,
            tallies: Mutex::new(Tallies { accounts: tally(), addresses: tally(), pairs: tally() }),
            lanes: Mutex::default(),
            waiting: Arc::new(Semaphore::new(settings.waiting_max)),
        }
    }

    /// How many logins wait now.
    pub(crate) fn waiting(&self) -> usize {
        self.settings.waiting_max.saturating_sub(self.waiting.available_permits())
    }

    /// Waits until a guess may be looked at.
    ///
    /// # Errors
    /// [`Held`], at once, when it may not.
    pub(crate) async fn turn(
        self: &Arc<Self>,
        guess: Guess,
        now: impl Fn() -> Timestamp,
    ) -> Result<Turn, Held> {
        let seat = self.seat(guess.pair);
        self.admit(&guess, &seat, now())?;
        let order = seat.lane.order.clone().lock_owned().await;
        // Those before it may have failed meanwhile.
        let delay = self.admit(&guess, &seat, now())?;
        if !delay.is_zero() {
            let _permit = self.permit(delay)?;
            tokio::time::sleep(delay).await;
        }
        Ok(Turn { throttle: self.clone(), guess, waited: delay, _order: order, _seat: seat })
    }

    fn seat(self: &Arc<Self>, pair: Key) -> Seat {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes.entry(pair).or_default().clone();
        lane.seats.fetch_add(1, Ordering::Relaxed);
        Seat { throttle: self.clone(), pair, lane }
    }

    fn permit(&self, delay: Duration) -> Result<OwnedSemaphorePermit, Held> {
        let held = |_| Held { by: Restraint::Waiting, retry_after_secs: delay.as_secs().max(1) };
        self.waiting.clone().try_acquire_owned().map_err(held)
    }

    /// How long the guess has to wait, unless it is refused.
    fn admit(&self, guess: &Guess, seat: &Seat, now: Timestamp) -> Result<Duration, Held> {
        if let Some(retry_after_secs) = self.refused_for(guess, now) {
            return Err(Held { by: Restraint::Address, retry_after_secs });
        }
        let delay = self.delay(guess, now);
        if !delay.is_zero() && seat.lane.seats.load(Ordering::Relaxed) > LANE_MAX {
            return Err(Held { by: Restraint::Account, retry_after_secs: delay.as_secs().max(1) });
        }
        Ok(delay)
    }

    /// Seconds until a guess from that address is looked at again.
    fn refused_for(&self, guess: &Guess, now: Timestamp) -> Option<u64> {
        if guess.is_known {
            return None;
        }
        let tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, max) =
            (tallies.addresses.count(&guess.address, now), self.settings.address_failures_max.max(1));
        #[expect(clippy::cast_precision_loss, reason = "a configured number of failures")]
        let times = count / max as f32;
        if times < 1.0 {
            return None;
        }
        let wait = self.settings.half_life.mul_f32(times.log2());
        Some(wait.as_secs().clamp(1, self.settings.half_life.as_secs().max(1)))
    }

    fn delay(&self, guess: &Guess, now: Timestamp) -> Duration {
        let tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let (account, address) = (self.settings.account_failures_free, self.settings.address_failures_free);
        let of_pair = self.after(tallies.pairs.count(&guess.pair, now), account);
        if guess.is_known {
            return of_pair;
        }
        let of_account = self.after(tallies.accounts.count(&guess.account, now), account);
        let of_address = self.after(tallies.addresses.count(&guess.address, now), address);
        of_pair.max(of_account).max(of_address)
    }

    /// The wait after so many failures, of which some are free.
    fn after(&self, count: f32, free: u32) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "a configured number of failures")]
        let beyond = count - free as f32;
        // What decayed a little since is a failure still.
        if beyond < -0.5 {
            return Duration::ZERO;
        }
        let doublings = beyond.clamp(0.0, 16.0);
        self.settings.delay_first.mul_f32(doublings.exp2()).min(self.settings.delay_max)
    }
}

impl Turn {
    /// The guess was wrong.
    pub(crate) fn failed(&self, now: Timestamp) {
        let mut tallies = self.throttle.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        tallies.accounts.add(&self.guess.account, now);
        tallies.addresses.add(&self.guess.address, now);
        tallies.pairs.add(&self.guess.pair, now);
    }
}

#[cfg(test)]
mod tests;
