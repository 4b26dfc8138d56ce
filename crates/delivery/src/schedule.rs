//! When to try again: exponential backoff with jitter.

use mail_types::Timestamp;

/// Waits between attempts.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// After the first failure, seconds.
    pub first_secs: u64,
    /// Longest wait, seconds.
    pub max_secs: u64,
}

impl Schedule {
    /// When the attempt after `attempts` failed ones is due. `jitter` (any octet) spreads it over the last fifth of the wait, so
    /// that a server which comes back is not met by everyone at once.
    pub fn next_attempt(self, now: Timestamp, attempts: u32, jitter: u8) -> Timestamp {
        let doubled = self
            .first_secs
            .saturating_mul(1u64.checked_shl(attempts.saturating_sub(1).min(40)).unwrap_or(u64::MAX));
        let wait_ms = doubled.min(self.max_secs).saturating_mul(1000);
        let spread = wait_ms / 5 * u64::from(jitter) / 255;
        now.plus_millis(i64::try_from(wait_ms - wait_ms / 5 + spread).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_maximum_and_jitter_stays_within_a_fifth() {
        let schedule = Schedule { first_secs: 60, max_secs: 7200 };
        let wait = |attempts, jitter| schedule.next_attempt(Timestamp(0), attempts, jitter).0;
        assert_eq!((wait(1, 255), wait(2, 255), wait(3, 255)), (60_000, 120_000, 240_000));
        assert_eq!(wait(1, 0), 48_000);
        assert_eq!((wait(20, 255), wait(u32::MAX, 255)), (7_200_000, 7_200_000));
    }
}
