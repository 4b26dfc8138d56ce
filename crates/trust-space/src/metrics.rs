//! Counters of what was fetched and refused. Labels are words of closed lists.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Cause {
    cause: &'static str,
}

/// What is counted.
#[derive(Clone, Debug, Default)]
pub struct TrustMetrics {
    list_fetches: Counter,
    list_failures: Family<Cause, Counter>,
    white_list_adoptions: Counter,
    white_list_failures: Family<Cause, Counter>,
}

impl TrustMetrics {
    /// Registers the counters.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "revocation_list_fetches",
            "Revocation lists fetched or found unchanged",
            metrics.list_fetches.clone(),
        );
        registry.register(
            "revocation_list_failures",
            "Revocation lists not fetched or not taken, by cause",
            metrics.list_failures.clone(),
        );
        registry.register(
            "white_list_adoptions",
            "White lists put in force in the place of another",
            metrics.white_list_adoptions.clone(),
        );
        registry.register(
            "white_list_failures",
            "White lists not fetched or not taken, by cause",
            metrics.white_list_failures.clone(),
        );
        metrics
    }

    pub(crate) fn list_fetched(&self) {
        self.list_fetches.inc();
    }

    pub(crate) fn list_failed(&self, cause: &'static str) {
        self.list_failures.get_or_create(&Cause { cause }).inc();
    }

    pub(crate) fn white_list_adopted(&self) {
        self.white_list_adoptions.inc();
    }

    pub(crate) fn white_list_failed(&self, cause: &'static str) {
        self.white_list_failures.get_or_create(&Cause { cause }).inc();
    }
}
