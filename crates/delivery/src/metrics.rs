//! Counters of the runner.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OutcomeLabel {
    pub(crate) outcome: &'static str,
}

/// What is counted.
#[derive(Clone, Debug, Default)]
pub struct DeliveryMetrics {
    pub(crate) recipients: Family<OutcomeLabel, Counter>,
    pub(crate) failures: Family<OutcomeLabel, Counter>,
    pub(crate) held_domains: Gauge,
}

impl DeliveryMetrics {
    /// Registers the counters.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "delivery_recipients",
            "Attempts for remote recipients, by outcome",
            metrics.recipients.clone(),
        );
        registry.register(
            "delivery_connection_failures",
            "Connections to other operators that failed, by cause",
            metrics.failures.clone(),
        );
        registry.register(
            "queue_held_domains",
            "Domains that left the white list and for which mail is held",
            metrics.held_domains.clone(),
        );
        metrics
    }
}
