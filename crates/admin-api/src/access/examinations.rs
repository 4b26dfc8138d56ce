//! Who pays for finding out who asks.
//!
//! A credential that was found right from the same address within five minutes is looked at again for nothing. Any other takes one from what its
//! address has left, or what the certificate has left that it is: a certificate was proven in the handshake, and nobody else has it. Past that,
//! nothing slow is done for a stranger, and whoever is right still gets in beside those who guess from the same address:
//! * an API key is compared with those in force, in memory, which are read again at most once a second; only one of them is asked of the store;
//! * a password is examined where its account logged in from the address before.
//!
//! Only keyed hashes stand here, under keys of this process. It knows no roles and decides about no request.

use super::credentials::{Shown, problem};
use crate::api::Api;
use crate::limits::{Allowance, Key, Rate, network};
use crate::problem::Problem;
use auth::{AuthError, Whence};
use aws_lc_rs::hmac;
use mail_types::{PeerIdentity, Timestamp};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use store::{Store, hash_token};

/// How long a credential that was found right is looked at for nothing; each time renews it.
const LIFETIME_MS: i64 = 300_000;
/// Credentials remembered; past it all are forgotten together.
const CREDENTIALS_MAX: usize = 20_000;
/// API keys compared in memory; where more are in force, each is asked of the store.
const KEYS_MAX: u32 = 50_000;
/// How old the keys in memory may be.
const KEYS_MS: i64 = 1_000;

/// A credential at an address, as a keyed hash.
pub(super) type Mark = [u8; 32];

/// What addresses have left, and which credentials were right lately.
pub(crate) struct Examinations {
    rate: Rate,
    /// Of certificates that were right lately, whatever mailbox they name.
    known: Rate,
    key: hmac::Key,
    right: Mutex<HashMap<Mark, Timestamp>>,
    keys: tokio::sync::Mutex<Option<Keys>>,
    hasher: RandomState,
}

/// The API keys in force; none when there are too many.
struct Keys {
    read_at: Timestamp,
    hashes: Option<HashSet<u64>>,
}

impl std::fmt::Debug for Examinations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Examinations")
    }
}

impl Examinations {
    pub(crate) fn new(allowance: &Allowance) -> Self {
        let mut secret = [0; 32];
        aws_lc_rs::rand::fill(&mut secret).expect("the system's random source answers");
        Self {
            rate: Rate::new("examination", allowance.anonymous_per_second, allowance.anonymous_burst),
            known: Rate::new("examination", allowance.per_second, allowance.burst),
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            right: Mutex::default(),
            keys: tokio::sync::Mutex::default(),
            hasher: RandomState::new(),
        }
    }

    /// The mark of what was sent from an address.
    pub(super) fn mark(&self, whence: Whence, sent: &[&[u8]]) -> Mark {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(network(whence.ip).to_string().as_bytes());
        for part in sent {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut mark = [0; 32];
        mark.copy_from_slice(context.sign().as_ref());
        mark
    }

    /// The mark of a certificate, whatever mailbox it named.
    pub(super) fn mark_of_certificate(&self, whence: Whence, peer: &PeerIdentity) -> Mark {
        self.mark(whence, &[&peer.key_pin])
    }

    /// Whether a credential may be looked at now. `None`: it could not even be read.
    ///
    /// # Errors
    /// [`Code::RateLimited`](crate::problem::Code::RateLimited), which is written down and says by which rate, or
    /// [`Code::Unavailable`](crate::problem::Code::Unavailable).
    pub(super) async fn begin(
        &self,
        api: &Api,
        whence: Whence,
        mark: &Mark,
        shown: Option<&Shown<'_>>,
    ) -> Result<(), Problem> {
        if self.is_right(mark, api.store.now()) {
            return Ok(());
        }
        let (rate, payer) = match shown {
            Some(Shown::Certificate(peer)) => {
                // One that opened a mailbox lately goes from one to the next as fast as it may ask.
                let is_known = self.is_right(&self.mark_of_certificate(whence, peer), api.store.now());
                (if is_known { &self.known } else { &self.rate }, Key::Certificate(peer.key_pin))
            }
            _ => (&self.rate, Key::Address(network(whence.ip))),
        };
        let Err(seconds) = rate.take(payer) else { return Ok(()) };
        let may_be_right = match shown {
            Some(Shown::Key(token)) => self.may_be_key(&api.store, token).await.map_err(problem)?,
            Some(Shown::Password { name, .. }) => {
                api.authenticator.is_known(whence, name).await.map_err(problem)?
            }
            _ => false,
        };
        if may_be_right {
            return Ok(());
        }
        Err(problem(api.authenticator.held_by_rate(whence, seconds)).past(rate.spent()))
    }

    /// Notes that a credential was right, or is not any more.
    pub(super) fn end(&self, mark: Mark, is_right: bool, now: Timestamp) {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_right {
            right.remove(&mark);
            return;
        }
        if right.len() >= CREDENTIALS_MAX {
            right.clear();
        }
        right.insert(mark, now);
    }

    fn is_right(&self, mark: &Mark, now: Timestamp) -> bool {
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.get(mark).is_some_and(|at| (0..LIFETIME_MS).contains(&(now.0 - at.0)))
    }

    /// Whether a token is one of the keys that were in force a second ago.
    async fn may_be_key(&self, store: &Store, token: &str) -> Result<bool, AuthError> {
        let hash = self.hasher.hash_one(hash_token(token));
        let now = store.now();
        let mut keys = self.keys.lock().await;
        let fresh = keys.as_ref().is_some_and(|keys| (0..KEYS_MS).contains(&(now.0 - keys.read_at.0)));
        if !fresh {
            let hashes = store.api_key_hashes(now, KEYS_MAX).await;
            let hashes = hashes.map_err(|error| AuthError::Unavailable(error.to_string()))?;
            let hashes = hashes.map(|hashes| hashes.iter().map(|hash| self.hasher.hash_one(hash)).collect());
            *keys = Some(Keys { read_at: now, hashes });
        }
        let hashes = keys.as_ref().and_then(|keys| keys.hashes.as_ref());
        Ok(hashes.is_none_or(|hashes| hashes.contains(&hash)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use auth::Via;

    const NOW: Timestamp = Timestamp::from_secs(1_900_000_000);

    fn from(ip: &str) -> Whence {
        Whence { via: Via::Rest, ip: ip.parse().unwrap() }
    }

    #[test]
    fn what_was_right_is_remembered_for_a_while_of_its_address_alone() {
        let examinations = Examinations::new(&Allowance::default());
        let mark = examinations.mark(from("192.0.2.1"), &[b"Bearer a"]);
        assert!(!examinations.is_right(&mark, NOW));
        examinations.end(mark, true, NOW);
        assert!(examinations.is_right(&mark, NOW.plus_secs(299)));
        assert!(!examinations.is_right(&mark, NOW.plus_secs(300)));
        for other in [
            examinations.mark(from("192.0.2.2"), &[b"Bearer a"]),
            examinations.mark(from("192.0.2.1"), &[b"Bearer b"]),
            examinations.mark(from("192.0.2.1"), &[b"Bearer ", b"a"]),
        ] {
            assert!(!examinations.is_right(&other, NOW));
        }
        examinations.end(mark, false, NOW);
        assert!(!examinations.is_right(&mark, NOW));
    }

    #[test]
    fn room_for_what_was_right_is_bounded() {
        let examinations = Examinations::new(&Allowance::default());
        for number in 0..=CREDENTIALS_MAX {
            let mark = examinations.mark(from("192.0.2.1"), &[&number.to_be_bytes()]);
            examinations.end(mark, true, NOW);
        }
        assert!(examinations.right.lock().unwrap().len() <= CREDENTIALS_MAX);
    }
}
