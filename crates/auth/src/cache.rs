//! Credentials examined a moment ago.

use aws_lc_rs::hmac;
use mail_types::{ActorId, Secret, Timestamp};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// How long a password need not be hashed again, and a wrong one is no further guess.
const LIFETIME_MS: i64 = 300_000;
/// Entries kept; past it the cache starts again.
const ENTRIES_MAX: usize = 20_000;

/// A password that was verified: whose, and which row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) actor: ActorId,
    pub(crate) password: i64,
    /// Rows of others whose tag fits as well, and that were found to be other passwords: nearly always none.
    pub(crate) others: Vec<i64>,
}

/// What is known of credentials, under a keyed hash of the whole credential: neither names nor secrets stand in it. A [`Proof`] saves the hashing
/// and nothing else: that the password, the grant and the mailbox are still in force is asked of the store each time.
pub(crate) struct Cache<T> {
    key: hmac::Key,
    entries: Mutex<HashMap<[u8; 32], (T, Timestamp)>>,
}

impl<T> std::fmt::Debug for Cache<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cache")
    }
}

impl<T: Clone> Cache<T> {
    pub(crate) fn new() -> Self {
        let mut secret = [0; 32];
        aws_lc_rs::rand::fill(&mut secret).expect("the system's random source answers");
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &secret), entries: Mutex::default() }
    }

    fn digest(&self, selected: &str, name: &str, password: &Secret<String>) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [selected.as_bytes(), name.as_bytes(), password.expose().as_bytes()] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }

    pub(crate) fn find(
        &self,
        selected: &str,
        name: &str,
        password: &Secret<String>,
        now: Timestamp,
    ) -> Option<T> {
        let digest = self.digest(selected, name, password);
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, noted_at) = entries.get(&digest)?;
        let age = now.0 - noted_at.0;
        (0..LIFETIME_MS).contains(&age).then(|| value.clone())
    }

    pub(crate) fn insert(
        &self,
        selected: &str,
        name: &str,
        password: &Secret<String>,
        value: T,
        now: Timestamp,
    ) {
        let digest = self.digest(selected, name, password);
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        entries.insert(digest, (value, now));
    }
}
