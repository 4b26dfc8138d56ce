//! Seals the audit trail while something happens in it, lets go of what had its time, and tells `/metrics` of the latest seal.

use admin_api::Gauge;
use listener::Drain;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use store::{AuditKeepDays, AuditSeal, Expiry, Store};

/// Between two looks for what had its time.
const EXPIRE: Duration = Duration::from_secs(3600);
/// Between two goes while rows are left to be removed.
const GO_ON: Duration = Duration::from_secs(1);
/// Chains told of in one go that cannot be proven.
const UNPROVEN_TOLD_MAX: usize = 20;

/// What `/metrics` says of the audit trail.
#[derive(Clone, Debug, Default)]
pub(crate) struct SealState(Arc<Values>);

#[derive(Debug, Default)]
struct Values {
    sequence: AtomicI64,
    at_ms: AtomicI64,
    unsealed: AtomicU64,
}

impl SealState {
    pub(crate) fn gauges(&self) -> Vec<Gauge> {
        let gauge = |name, help, value| Gauge { name, help, labels: Vec::new(), value };
        let values = &self.0;
        let at = values.at_ms.load(Ordering::Relaxed) as f64 / 1000.0;
        vec![
            gauge(
                "audit_seal_sequence",
                "Number of the latest seal of the audit trail",
                values.sequence.load(Ordering::Relaxed) as f64,
            ),
            gauge("audit_seal_timestamp_seconds", "When the latest seal of the audit trail was made", at),
            gauge(
                "audit_rows_unsealed",
                "Rows of the audit trail that no seal covered when it was last looked",
                values.unsealed.load(Ordering::Relaxed) as f64,
            ),
        ]
    }

    /// Seals what is not sealed, and takes note of it.
    pub(crate) async fn seal(&self, store: &Store) {
        self.note(store.seal_audit().await, store).await;
    }

    /// The same each interval, once for all nodes.
    async fn seal_each(&self, interval: Duration, store: &Store) {
        self.note(store.seal_audit_each(interval).await, store).await;
    }

    async fn note(&self, sealed: Result<Option<AuditSeal>, store::Error>, store: &Store) {
        match sealed {
            // Whoever keeps the log elsewhere can tell the trail from one that was cut off with its seals.
            Ok(Some(seal)) => tracing::info!(seal = %seal.mark(), "the audit trail was sealed"),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the audit trail could not be sealed; trying again"),
        }
        self.look(store).await;
    }

    async fn look(&self, store: &Store) {
        if let Ok(Some(seal)) = store.latest_seal().await {
            self.0.sequence.store(seal.seq, Ordering::Relaxed);
            self.0.at_ms.store(seal.at.0, Ordering::Relaxed);
        }
        if let Ok(unsealed) = store.audit_rows_unsealed().await {
            self.0.unsealed.store(unsealed, Ordering::Relaxed);
        }
    }
}

/// Keeps the trail sealed, and as long as it is to be kept.
pub(crate) async fn keep(store: Store, section: config::Audit, state: SealState, drain: Drain) {
    tokio::join!(
        seal(&store, Duration::from_secs(section.seal_secs), &state, drain.clone()),
        expire(&store, section, drain)
    );
}

async fn seal(store: &Store, every: Duration, state: &SealState, mut drain: Drain) {
    let mut ticks = tokio::time::interval(every);
    loop {
        tokio::select! {
            () = drain.asked() => return,
            _ = ticks.tick() => state.seal_each(every, store).await,
        }
    }
}

/// Lets go of what had its time, a bounded go at a time; sealing goes on meanwhile.
async fn expire(store: &Store, section: config::Audit, mut drain: Drain) {
    let keep = AuditKeepDays {
        mail: section.keep_days_mail,
        access: section.keep_days_access,
        admin: section.keep_days_admin,
        trust: section.keep_days_trust,
    };
    let mut ticks = tokio::time::interval(EXPIRE);
    loop {
        tokio::select! {
            () = drain.asked() => return,
            _ = ticks.tick() => {}
        }
        match store.expire_audit(keep).await {
            Ok(expiry) => {
                tell(&expiry);
                if expiry.is_more {
                    ticks.reset_after(GO_ON);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "audit rows that had their time could not be removed; trying again");
            }
        }
    }
}

fn tell(expiry: &Expiry) {
    for chain in expiry.unproven.iter().take(UNPROVEN_TOLD_MAX) {
        tracing::error!(%chain, "a chain of the audit trail is said to have had its time and its rows and seals do not prove it: it was kept; run `vaguemestre audit verify`");
    }
    let (chains, rows) = (expiry.chains, expiry.rows);
    if (chains, rows) != (0, 0) {
        tracing::info!(chains, rows, "audit rows that had their time were removed");
    }
}
