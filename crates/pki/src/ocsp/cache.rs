//! What responders said, for as long as it counts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mail_types::Timestamp;
use tokio::sync::OwnedMutexGuard;

use super::answer::OcspFault;
use super::answer::{CertificateStatus, OcspAnswer};

/// Answers kept at one time.
const ANSWERS_MAX: usize = 4_096;
/// How long an answer is kept that says itself until when it counts, though it counts for longer: a revocation is learnt within an hour.
const KEPT_MAX_SECS: i64 = 3_600;
/// How long an answer is kept that does not.
const KEPT_UNDATED_SECS: i64 = 60;
/// How long a failure is kept, so that a dead responder does not make every connection wait for it.
const KEPT_FAILURE_SECS: i64 = 20;

type Key = [u8; 32];

/// What is known of a certificate.
pub(crate) type Known = Result<CertificateStatus, OcspFault>;

/// Answers by certificate, and who is asking.
#[derive(Debug, Default)]
pub(super) struct AnswerCache {
    answers: Mutex<HashMap<Key, (Known, Timestamp)>>,
    /// One lock for each certificate that is being asked after.
    asking: Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>,
}

impl AnswerCache {
    /// What is known and still counts.
    pub(super) fn find(&self, key: &Key, now: Timestamp) -> Option<Known> {
        let answers = lock(&self.answers);
        answers.get(key).filter(|(_, until)| now < *until).map(|(known, _)| *known)
    }

    /// What was known last, whether or not it still counts.
    pub(super) fn find_last(&self, key: &Key) -> Option<Known> {
        lock(&self.answers).get(key).map(|(known, _)| *known)
    }

    /// Keeps what was found, and gives what is then known: a revocation that still counts is overruled by nothing.
    pub(super) fn keep(&self, key: Key, found: Result<OcspAnswer, OcspFault>, now: Timestamp) -> Known {
        let known = found.map(|answer| answer.status);
        let until = match found {
            // What is revoked stays so for an hour at least, however short the answer counts: asking again helps only the holder.
            Ok(answer) if answer.status == CertificateStatus::Revoked => {
                answer.until.max(now.plus_secs(KEPT_MAX_SECS))
            }
            Ok(answer) if answer.has_next_update => answer.until.min(now.plus_secs(KEPT_MAX_SECS)),
            Ok(_) => now.plus_secs(KEPT_UNDATED_SECS),
            Err(_) => now.plus_secs(KEPT_FAILURE_SECS),
        };
        let mut answers = lock(&self.answers);
        let revoked = Ok(CertificateStatus::Revoked);
        if answers.get(&key).is_some_and(|(before, until)| *before == revoked && now < *until)
            && known != revoked
        {
            return revoked;
        }
        if answers.len() >= ANSWERS_MAX && !answers.contains_key(&key) {
            make_room(&mut answers, now);
        }
        answers.insert(key, (known, until));
        known
    }

    /// Waits until nobody else asks after this certificate. The next one waits until the guard is dropped.
    pub(super) async fn turn(&self, key: Key) -> Turn<'_> {
        let turn = lock(&self.asking).entry(key).or_default().clone();
        let guard = turn.clone().lock_owned().await;
        Turn { cache: self, key, guard: Some(guard) }
    }
}

/// The right to ask after one certificate.
pub(super) struct Turn<'c> {
    cache: &'c AnswerCache,
    key: Key,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.guard.take();
        let mut asking = lock(&self.cache.asking);
        // The map's own reference is the only one left: nobody waits.
        if asking.get(&self.key).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            asking.remove(&self.key);
        }
    }
}

/// Answers that no longer count go; without any, the one that counts for the shortest time, revocations last.
fn make_room(answers: &mut HashMap<Key, (Known, Timestamp)>, now: Timestamp) {
    answers.retain(|_, (_, until)| now < *until);
    if answers.len() < ANSWERS_MAX {
        return;
    }
    let rank = |(known, until): &(Known, Timestamp)| (*known == Ok(CertificateStatus::Revoked), *until);
    let first = answers.iter().min_by_key(|(_, answer)| rank(answer)).map(|(key, _)| *key);
    if let Some(first) = first {
        answers.remove(&first);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_900_000_000);

    fn answer(status: CertificateStatus, secs: i64, has_next_update: bool) -> Result<OcspAnswer, OcspFault> {
        Ok(OcspAnswer { status, until: NOW.plus_secs(secs), has_next_update })
    }

    fn key(number: u32) -> Key {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&number.to_be_bytes());
        key
    }

    /// For how many seconds a finding is known.
    fn kept(found: Result<OcspAnswer, OcspFault>) -> i64 {
        let cache = AnswerCache::default();
        let _ = cache.keep(key(1), found, NOW);
        (0..).find(|secs| cache.find(&key(1), NOW.plus_secs(*secs)).is_none()).unwrap()
    }

    #[test]
    fn an_answer_is_known_as_long_as_it_counts_and_a_failure_for_a_short_time() {
        use CertificateStatus::{Good, Revoked};
        assert_eq!(kept(answer(Good, 100, true)), 100);
        assert_eq!(kept(answer(Good, 7_200, true)), 3_600);
        assert_eq!(kept(answer(Good, 3_600, false)), 60);
        assert_eq!(kept(answer(Revoked, 7_200, true)), 7_200);
        assert_eq!(kept(answer(Revoked, 10, false)), 3_600);
        assert_eq!(kept(Err(OcspFault::Unreachable)), 20);
    }

    #[test]
    fn the_cache_is_bounded_and_forgets_revocations_last() {
        let cache = AnswerCache::default();
        let _ = cache.keep(key(0), answer(CertificateStatus::Revoked, 1, true), NOW);
        for number in 1..=5_000 {
            let _ = cache.keep(key(number), answer(CertificateStatus::Good, 1_000, true), NOW);
        }
        assert_eq!(lock(&cache.answers).len(), ANSWERS_MAX);
        assert_eq!(cache.find(&key(0), NOW), Some(Ok(CertificateStatus::Revoked)));
    }

    #[tokio::test]
    async fn one_asks_while_the_others_wait_and_nothing_is_left_behind() {
        let cache = Arc::new(AnswerCache::default());
        let first = cache.turn(key(1)).await;
        let waiting = tokio::spawn({
            let cache = cache.clone();
            async move { drop(cache.turn(key(1)).await) }
        });
        let other = cache.turn(key(2)).await;
        while lock(&cache.asking).get(&key(1)).is_none_or(|turn| Arc::strong_count(turn) < 3) {
            tokio::task::yield_now().await;
        }
        assert!(!waiting.is_finished());
        drop(first);
        waiting.await.unwrap();
        drop(other);
        assert!(lock(&cache.asking).is_empty());
    }
}
