//! `[audit]`: how often the audit trail is sealed, and how long it is kept.

use crate::reader::Section;

/// Three years, leap day included.
const KEEP_DAYS: u64 = 1_096;
/// The least that can be asked for: a month that is over, and the time to look at it.
const KEEP_DAYS_MIN: u64 = 31;
const KEEP_DAYS_MAX: u64 = 36_500;

/// `[audit]`
#[derive(Clone, Copy, Debug)]
pub struct Audit {
    /// `mail`: whether messages are told of. False only with `environment = "test"`, to measure what it costs.
    pub mail: bool,
    /// `seal_secs`: between two seals, while something happens.
    pub seal_secs: u64,
    /// `keep_days_mail`: messages accepted, delivered, relayed.
    pub keep_days_mail: u32,
    /// `keep_days_access`: logins, refusals, mailboxes read by others.
    pub keep_days_access: u32,
    /// `keep_days_admin`: what administrators did.
    pub keep_days_admin: u32,
    /// `keep_days_trust`: judgements of certificates.
    pub keep_days_trust: u32,
}

impl Audit {
    pub(crate) fn read(mut section: Section, is_test: bool) -> Self {
        let mail = section.boolean("mail", true);
        if !mail && !is_test {
            section.fault("mail", "can be false only with [trust] environment = \"test\"");
        }
        let mut days = |key| {
            u32::try_from(section.number(key, KEEP_DAYS, KEEP_DAYS_MIN, KEEP_DAYS_MAX)).unwrap_or(u32::MAX)
        };
        let keep_days_mail = days("keep_days_mail");
        let keep_days_access = days("keep_days_access");
        let keep_days_admin = days("keep_days_admin");
        let keep_days_trust = days("keep_days_trust");
        let seal_secs = section.number("seal_secs", 60, 1, 3_600);
        Self { mail, seal_secs, keep_days_mail, keep_days_access, keep_days_admin, keep_days_trust }
    }
}
