//! `[auth]`: how guessing is held back.

use crate::reader::Section;

/// `[auth]`
#[derive(Clone, Copy, Debug)]
pub struct Auth {
    /// `account_failures_free`: failures of an account, or of an account from one address, after which the next guess waits.
    pub account_failures_free: u32,
    /// `address_failures_free`: failures from one address (IPv6: one /64) after which the next guess waits.
    pub address_failures_free: u32,
    /// `address_failures_max`: failures from one address after which it is asked to come later.
    pub address_failures_max: u32,
    /// `delay_max_secs`: the longest wait.
    pub delay_max_secs: u64,
    /// `half_life_secs`: in which half of the failures are forgotten.
    pub half_life_secs: u64,
    /// `waiting_max`: logins that may wait at one time.
    pub waiting_max: usize,
}

impl Auth {
    pub(crate) fn read(mut section: Section) -> Self {
        let mut small =
            |key, default, max| u32::try_from(section.number(key, default, 1, max)).unwrap_or(u32::MAX);
        let (account_failures_free, address_failures_free) =
            (small("account_failures_free", 3, 1_000), small("address_failures_free", 20, 100_000));
        let address_failures_max = small("address_failures_max", 100, 1_000_000);
        if address_failures_max < address_failures_free {
            section.fault("address_failures_max", "must not be less than `address_failures_free`");
        }
        Self {
            account_failures_free,
            address_failures_free,
            address_failures_max,
            delay_max_secs: section.number("delay_max_secs", 10, 1, 60),
            half_life_secs: section.number("half_life_secs", 900, 1, 86_400),
            waiting_max: usize::try_from(section.number("waiting_max", 1_000, 1, 100_000)).unwrap_or(1_000),
        }
    }
}
