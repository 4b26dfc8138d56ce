//! Counters of the journal. Labels are words of closed lists.

use crate::{Direction, Ruling};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JudgementLabel {
    direction: &'static str,
    verdict: &'static str,
}

/// What is counted.
#[derive(Clone, Debug, Default)]
pub struct JournalMetrics {
    judgements: Family<JudgementLabel, Counter>,
    pub(crate) lost: Counter,
    pub(crate) rows: Counter,
}

impl JournalMetrics {
    /// Registers the counters.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "trust_judgements",
            "Judgements of peers and certificates, by direction and verdict; each connection and each new domain of a connection is one",
            metrics.judgements.clone(),
        );
        registry.register("journal_rows", "Rows written to the journal of judgements", metrics.rows.clone());
        registry.register(
            "journal_lost",
            "Judgements that are counted and have no row, because the journal could not keep up",
            metrics.lost.clone(),
        );
        metrics
    }

    pub(crate) fn count(&self, direction: Direction, ruling: Ruling) {
        let label = JudgementLabel { direction: direction.as_str(), verdict: ruling.as_str() };
        self.judgements.get_or_create(&label).inc();
    }
}
