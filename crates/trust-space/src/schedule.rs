//! When a list is fetched again. Pure: instants in, instants out.

use mail_types::Timestamp;

/// No list is asked for more often because it ends soon.
const REFRESH_MIN_SECS: i64 = 30;
const RETRY_FIRST_SECS: i64 = 30;
const RETRY_MAX_SECS: i64 = 3_600;
/// A list that was never there keeps mail waiting: it is asked for more often.
const RETRY_MISSING_MAX_SECS: i64 = 300;

/// The validity of a list in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) this_update: Timestamp,
    pub(crate) next_update: Timestamp,
}

impl Life {
    fn secs(self) -> i64 {
        (self.next_update.secs() - self.this_update.secs()).max(0)
    }

    fn left_secs(self, now: Timestamp) -> i64 {
        self.next_update.secs() - now.secs()
    }

    /// Whether less than a quarter of it is left.
    pub(crate) fn is_short(self, now: Timestamp) -> bool {
        self.left_secs(now) < self.secs() / 4
    }
}

/// After a success.
pub(crate) fn refresh(now: Timestamp, refresh_secs: i64, life: Option<Life>) -> Timestamp {
    let half = life.map_or(i64::MAX, |life| (life.left_secs(now) / 2).max(REFRESH_MIN_SECS));
    now.plus_secs(refresh_secs.min(half).max(1))
}

/// After that many failures in a row: half a minute, doubled to an hour, but in time for what is in force to be followed before it ends.
pub(crate) fn retry(now: Timestamp, refresh_secs: i64, failures: u32, life: Option<Life>) -> Timestamp {
    let first = RETRY_FIRST_SECS.min(refresh_secs).max(1);
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(12)).min(RETRY_MAX_SECS);
    let wait = match life {
        None => doubled.min(RETRY_MISSING_MAX_SECS),
        Some(life) => {
            let margin = life.secs() / 10;
            doubled.min((life.left_secs(now) - margin).max(REFRESH_MIN_SECS))
        }
    };
    now.plus_secs(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn life(before: i64, after: i64) -> Option<Life> {
        Some(Life { this_update: NOW.plus_secs(-before), next_update: NOW.plus_secs(after) })
    }

    fn wait(at: Timestamp) -> i64 {
        at.secs() - NOW.secs()
    }

    #[test]
    fn a_list_is_fetched_again_well_before_it_ends() {
        for (life, expected) in [
            (None, 3_600),
            (life(100, 604_800), 3_600),
            (life(100, 1_000), 500),
            (life(100, 10), 30),
            (life(1_000, -500), 30),
        ] {
            assert_eq!(wait(refresh(NOW, 3_600, life)), expected, "{life:?}");
        }
        assert_eq!(wait(refresh(NOW, 2, life(100, 1_000))), 2);
    }

    #[test]
    fn failures_are_repeated_ever_more_rarely_but_never_past_the_end_of_a_list() {
        let waits = |life| (1..9).map(|n| wait(retry(NOW, 3_600, n, life))).collect::<Vec<_>>();
        assert_eq!(waits(life(0, 604_800)), [30, 60, 120, 240, 480, 960, 1_920, 3_600]);
        assert_eq!(waits(None)[3..], [240, 300, 300, 300, 300]);
        assert_eq!(waits(life(9_000, 1_200))[5..], [180, 180, 180], "a tenth of its life before the end");
        assert_eq!(waits(life(1_000, -5))[5..], [30, 30, 30]);
        assert_eq!(wait(retry(NOW, 3_600, u32::MAX, life(0, 604_800))), 3_600);
        assert_eq!(wait(retry(NOW, 1, 1, None)), 1);
    }

    #[test]
    fn a_list_is_short_in_the_last_quarter_of_its_life() {
        assert_eq!(
            [(76, 24), (75, 25), (200, -1)].map(|(b, a)| life(b, a).is_some_and(|l| l.is_short(NOW))),
            [true, false, true]
        );
    }
}
