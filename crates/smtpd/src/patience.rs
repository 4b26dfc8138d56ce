//! How long a client is waited for: it must get somewhere, not only send an octet now and then.
//!
//! Only time spent waiting for the client counts, so that a slow store of ours is never held against it. Knows no socket.
//!
//! Standards: RFC 5321 §4.5.3.2.

use crate::Timeouts;
use std::time::Duration;

/// Time that a client has used since it last got somewhere.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    waited: Duration,
    octets: u64,
}

impl Patience {
    /// A command was completed, or a message: the next begins with all its time.
    pub(crate) fn renew(&mut self) {
        *self = Self::default();
    }

    /// Octets came after a wait.
    pub(crate) fn note(&mut self, waited: Duration, octets: usize) {
        self.waited += waited;
        self.octets += octets as u64;
    }

    /// How long a command, begun or not, is still waited for.
    pub(crate) fn for_command(&self, timeouts: &Timeouts) -> Duration {
        timeouts.command.saturating_sub(self.waited)
    }

    /// How long the next octets of a message are waited for: neither a silence nor a trickle lasts.
    pub(crate) fn for_content(&self, timeouts: &Timeouts, rate_min: u64) -> Duration {
        let earned = Duration::from_secs(self.octets / rate_min.max(1));
        timeouts.data.min((timeouts.data_grace + earned).saturating_sub(self.waited))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const TIMEOUTS: Timeouts = Timeouts {
        handshake: SECOND,
        command: Duration::from_secs(300),
        data: Duration::from_secs(180),
        data_grace: Duration::from_secs(600),
        write: SECOND,
    };

    #[test]
    fn a_command_that_trickles_in_uses_up_its_time() {
        let mut patience = Patience::default();
        for _ in 0..299 {
            patience.note(SECOND, 1);
        }
        assert_eq!(patience.for_command(&TIMEOUTS), SECOND);
        patience.renew();
        assert_eq!(patience.for_command(&TIMEOUTS), TIMEOUTS.command);
    }

    #[test]
    fn a_trickle_of_content_ends_and_a_slow_link_does_not() {
        let seconds_of = |octets_a_second: usize| {
            let mut patience = Patience::default();
            (0..10_000)
                .take_while(|_| {
                    patience.note(SECOND, octets_a_second);
                    !patience.for_content(&TIMEOUTS, 500).is_zero()
                })
                .count()
        };
        assert!((598..=602).contains(&seconds_of(1)));
        assert!((1196..=1202).contains(&seconds_of(250)));
        assert_eq!(seconds_of(500), 10_000);
        assert_eq!(Patience::default().for_content(&TIMEOUTS, 500), TIMEOUTS.data);
    }
}
