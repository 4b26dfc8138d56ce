//! What `[api]` allows, as the API takes it.

use admin_api::Allowance;
use config::ApiSection;
use std::num::NonZeroU32;
use std::time::Duration;

/// The allowance of a section, whose numbers are at least one.
pub(crate) fn of(section: &ApiSection) -> Allowance {
    let number = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
    Allowance {
        per_second: number(section.requests_per_second),
        burst: number(section.burst),
        anonymous_per_second: number(section.anonymous_requests_per_second),
        anonymous_burst: number(section.anonymous_burst),
        under_way: section.requests_under_way_max,
        time: Duration::from_secs(section.request_timeout_secs),
    }
}
