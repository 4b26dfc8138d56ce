//! `[auth]` and `[mailboxes.STATE]`, as the authenticator goes by them.

use auth::{AuthMetrics, Authenticator, Settings, ThrottleSettings};
use config::Config;
use prometheus_client::registry::Registry;
use std::time::Duration;
use store::Store;

/// The one authenticator of an operator, whose counters are in `registry`.
pub(crate) fn authenticator(config: &Config, store: &Store, registry: &mut Registry) -> Authenticator {
    let section = &config.auth;
    let throttle = ThrottleSettings {
        account_failures_free: section.account_failures_free,
        address_failures_free: section.address_failures_free,
        address_failures_max: section.address_failures_max,
        delay_max: Duration::from_secs(section.delay_max_secs),
        half_life: Duration::from_secs(section.half_life_secs),
        waiting_max: section.waiting_max,
        ..ThrottleSettings::default()
    };
    let life_cycle = crate::life_cycle::rules(config);
    let settings = Settings { throttle, life_cycle, ..Settings::default() };
    Authenticator::new(store.clone(), settings, AuthMetrics::register(registry))
}
