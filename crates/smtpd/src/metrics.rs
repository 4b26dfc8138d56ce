//! Counters of the SMTP listeners. Labels are words of closed lists: never an address, a name or a number from a peer.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ServiceLabel {
    pub(crate) service: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ReasonLabel {
    pub(crate) service: &'static str,
    pub(crate) reason: &'static str,
}

/// What is counted.
#[derive(Clone, Debug, Default)]
pub struct SmtpMetrics {
    pub(crate) connections: Family<ServiceLabel, Gauge>,
    pub(crate) accepted: Family<ServiceLabel, Counter>,
    pub(crate) refused: Family<ReasonLabel, Counter>,
    pub(crate) handshake_failures: Family<ReasonLabel, Counter>,
}

impl SmtpMetrics {
    /// Registers the counters.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("smtp_connections", "Open SMTP connections", metrics.connections.clone());
        registry.register(
            "smtp_messages_accepted",
            "Messages for which responsibility was taken",
            metrics.accepted.clone(),
        );
        registry.register(
            "smtp_refusals",
            "Senders, recipients and messages refused, by reason",
            metrics.refused.clone(),
        );
        registry.register(
            "smtp_handshake_failures",
            "TLS handshakes that failed, by cause",
            metrics.handshake_failures.clone(),
        );
        metrics
    }
}
