//! `[api]`: how much one caller of the REST API may ask.

use crate::reader::Section;

/// `[api]`
#[derive(Clone, Copy, Debug)]
pub struct ApiSection {
    /// `requests_per_second`: of one caller with a credential.
    pub requests_per_second: u32,
    /// `burst`: requests of one caller at once.
    pub burst: u32,
    /// `anonymous_requests_per_second`: of one address without a credential.
    pub anonymous_requests_per_second: u32,
    /// `anonymous_burst`: requests at once of one address without a credential.
    pub anonymous_burst: u32,
    /// `requests_under_way_max`: of all callers.
    pub requests_under_way_max: usize,
    /// `request_timeout_secs`: to the head of the answer; a large body has more.
    pub request_timeout_secs: u64,
}

impl ApiSection {
    pub(crate) fn read(mut section: Section) -> Self {
        let mut rate = |key, default| u32::try_from(section.number(key, default, 1, 1_000_000)).unwrap_or(1);
        Self {
            requests_per_second: rate("requests_per_second", 200),
            burst: rate("burst", 400),
            anonymous_requests_per_second: rate("anonymous_requests_per_second", 20),
            anonymous_burst: rate("anonymous_burst", 100),
            requests_under_way_max: rate("requests_under_way_max", 256) as usize,
            request_timeout_secs: section.number("request_timeout_secs", 30, 1, 600),
        }
    }
}
