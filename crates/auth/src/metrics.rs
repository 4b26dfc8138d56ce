//! Counters of logins, the same for every protocol. Labels are words of closed lists.

use crate::{AuthError, Whence};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use store::Via;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LoginLabel {
    protocol: &'static str,
    outcome: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProtocolLabel {
    protocol: &'static str,
}

/// What is counted.
#[derive(Clone, Debug, Default)]
pub struct AuthMetrics {
    logins: Family<LoginLabel, Counter>,
    delayed: Family<ProtocolLabel, Counter>,
    pub(crate) waiting: Gauge,
    pub(crate) unrecorded: Counter,
    pub(crate) compared: Counter,
    pub(crate) asked_again: Counter,
}

impl AuthMetrics {
    /// Registers the counters.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("logins", "Logins, by protocol, outcome and reason", metrics.logins.clone());
        registry.register(
            "logins_delayed",
            "Logins that had to wait because of failures before them",
            metrics.delayed.clone(),
        );
        registry.register("logins_waiting", "Logins that wait now", metrics.waiting.clone());
        registry.register(
            "logins_unrecorded",
            "Logins let in although the disk was too full to write them down",
            metrics.unrecorded.clone(),
        );
        registry.register(
            "passwords_compared",
            "Slow comparisons of a password with a hash, also with the one that is nobody's",
            metrics.compared.clone(),
        );
        registry.register(
            "logins_asked_again",
            "Questions to the store whether the login of an open session still stands",
            metrics.asked_again.clone(),
        );
        metrics
    }

    pub(crate) fn delayed(&self, whence: Whence) {
        self.delayed.get_or_create(&ProtocolLabel { protocol: protocol(whence) }).inc();
    }

    pub(crate) fn entered(&self, whence: Whence, proof: &'static str) {
        self.count(whence, "ok", proof);
    }

    pub(crate) fn failed(&self, whence: Whence, error: &AuthError) {
        self.count(whence, error.outcome(), error.reason());
    }

    fn count(&self, whence: Whence, outcome: &'static str, reason: &'static str) {
        self.logins.get_or_create(&LoginLabel { protocol: protocol(whence), outcome, reason }).inc();
    }
}

fn protocol(whence: Whence) -> &'static str {
    match whence.via {
        Via::Mx | Via::Submission => "smtp",
        Via::Imap => "imap",
        Via::Rest => "rest",
        Via::CommandLine | Via::System => "local",
    }
}
