//! How often each of very many failed lately, in a fixed room.
//!
//! Counts decay by half in each half-life. The room is a table of sets: a key belongs to one set, by a keyed hash that nobody outside can
//! foresee. When all places of a set are taken, a newcomer takes over the lowest one *with its count* (Metwally and others, "Space-Saving",
//! 2005): a count may be told too high, never too low. Whoever lets others push them out is counted at least as high when they come back.

use mail_types::Timestamp;

/// Places of one set.
const WAYS: usize = 8;

/// What is counted: the beginning of a keyed hash.
pub(crate) type Key = [u8; 16];

#[derive(Clone, Copy, Default)]
struct Place {
    tag: u64,
    count: f32,
    at_ms: i64,
}

/// Counts that decay.
pub(crate) struct Tally {
    sets: Box<[[Place; WAYS]]>,
    half_life_ms: f64,
}

impl Tally {
    /// Room for `sets` times eight keys.
    pub(crate) fn new(sets: usize, half_life_ms: i64) -> Self {
        let sets = vec![[Place::default(); WAYS]; sets.max(1)].into_boxed_slice();
        #[expect(clippy::cast_precision_loss, reason = "a time of minutes")]
        let half_life_ms = half_life_ms.max(1) as f64;
        Self { sets, half_life_ms }
    }

    /// The count of a key now.
    pub(crate) fn count(&self, key: &Key, now: Timestamp) -> f32 {
        let (set, tag) = self.place(key);
        let places = &self.sets[set];
        match places.iter().find(|place| place.tag == tag) {
            Some(place) => self.decayed(*place, now),
            None => self.lowest(places, now).1,
        }
    }

    /// Counts one more.
    pub(crate) fn add(&mut self, key: &Key, now: Timestamp) {
        let (set, tag) = self.place(key);
        let places = &self.sets[set];
        let (index, count) = match places.iter().position(|place| place.tag == tag) {
            Some(index) => (index, self.decayed(places[index], now)),
            None => self.lowest(places, now),
        };
        self.sets[set][index] = Place { tag, count: count + 1.0, at_ms: now.0 };
    }

    fn place(&self, key: &Key) -> (usize, u64) {
        let half = |octets: &[u8]| octets.iter().fold(0_u64, |number, octet| number << 8 | u64::from(*octet));
        let set = half(&key[..8]) % self.sets.len() as u64;
        // An empty place has the tag 0.
        (usize::try_from(set).unwrap_or_default(), half(&key[8..]) | 1)
    }

    fn lowest(&self, places: &[Place; WAYS], now: Timestamp) -> (usize, f32) {
        let counts = places.iter().map(|place| self.decayed(*place, now)).enumerate();
        counts.min_by(|(_, one), (_, other)| one.total_cmp(other)).unwrap_or_default()
    }

    fn decayed(&self, place: Place, now: Timestamp) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "what is far in the past counts nothing anyway")]
        let age = now.0.saturating_sub(place.at_ms).max(0) as f64;
        #[expect(clippy::cast_possible_truncation, reason = "between 0 and 1")]
        let part = (-age / self.half_life_ms).exp2() as f32;
        place.count * part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_LIFE: i64 = 1000;

    fn key(number: u64) -> Key {
        // As a keyed hash spreads them.
        let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut key = [0; 16];
        key[..8].copy_from_slice(&(mixed ^ mixed >> 29).to_be_bytes());
        key[8..].copy_from_slice(&mixed.rotate_left(17).to_be_bytes());
        key
    }

    #[test]
    fn a_count_grows_with_each_and_halves_with_time() {
        let mut tally = Tally::new(16, HALF_LIFE);
        let now = Timestamp(1_000_000);
        (0..8).for_each(|_| tally.add(&key(1), now));
        assert!((tally.count(&key(1), now) - 8.0).abs() < 0.001);
        assert!((tally.count(&key(1), Timestamp(now.0 + HALF_LIFE)) - 4.0).abs() < 0.001);
        assert!(tally.count(&key(1), Timestamp(now.0 + 20 * HALF_LIFE)) < 0.001);
        // A clock that was set back takes nothing away.
        assert!((tally.count(&key(1), Timestamp(now.0 - HALF_LIFE)) - 8.0).abs() < 0.001);
        assert!(tally.count(&key(2), now) < 0.001);
    }

    #[test]
    fn nobody_is_forgotten_by_bringing_others() {
        let mut tally = Tally::new(2, HALF_LIFE);
        let now = Timestamp(0);
        (0..20).for_each(|_| tally.add(&key(0), now));
        (1..2000).for_each(|number| tally.add(&key(number), now));
        assert!(tally.count(&key(0), now) >= 20.0);
        let mut small = Tally::new(1, HALF_LIFE);
        (0..100).for_each(|number| (0..=number % 3).for_each(|_| small.add(&key(number), now)));
        // What was pushed out is told at least as high as it was.
        assert!((0..100_u64).all(|number| small.count(&key(number), now) >= 1.0 + (number % 3) as f32));
    }
}
