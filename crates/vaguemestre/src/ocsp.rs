//! OCSP while the server runs: whether peers are asked after, and the answer about our own certificate.

use crate::identity::Identities;
use admin_api::Gauge;
use config::OcspRule;
use listener::Drain;
use pki::{OcspClient, Trust};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::sync::watch;
use tokio::time::sleep;
use trust_space::HttpClient;

/// Between two reports of what responders left unanswered.
const REPORT: Duration = Duration::from_secs(60);
/// Between two attempts to get an answer about our own certificate.
const RETRY: Duration = Duration::from_secs(60);
/// Longest time between two answers about it: a revocation of ours is noticed too.
const REFRESH_MAX: Duration = Duration::from_secs(12 * 3600);

/// Has peers asked after as `[trust] ocsp` says. What `client` remembers goes with it.
pub(crate) fn apply(rule: OcspRule, client: &OcspClient, trust: &Trust) {
    let with = |rule| Some(Arc::new(client.with_rule(rule)));
    trust.set_ocsp(match rule {
        OcspRule::Off => None,
        OcspRule::Prefer => with(pki::OcspRule::Prefer),
        OcspRule::Require => with(pki::OcspRule::Require),
    });
}

/// How often responders were asked and what came of it.
pub(crate) fn gauges(client: &OcspClient) -> Vec<Gauge> {
    let gauge = |outcome: pki::OcspOutcome| Gauge {
        name: "ocsp_answers",
        help: "Answers of OCSP responders about peers since the start, by what they said or what was wrong",
        labels: vec![("outcome", outcome.word.to_owned())],
        value: outcome.count as f64,
    };
    client.outcomes().into_iter().map(gauge).collect()
}

/// Tells the log, once a minute at most for each cause, that responders gave no answer that counts.
pub(crate) async fn report(client: Arc<OcspClient>, mut drain: Drain) {
    let mut told: HashMap<&str, u64> = HashMap::new();
    loop {
        tokio::select! {
            () = drain.asked() => return,
            () = sleep(REPORT) => {}
        }
        for outcome in client.outcomes() {
            let Some(fault) = outcome.fault else { continue };
            let before = told.insert(outcome.word, outcome.count).unwrap_or(0);
            if outcome.count > before {
                let (times, cause) = (outcome.count - before, fault.cause());
                tracing::warn!(
                    times,
                    cause,
                    "OCSP said nothing of a peer: with `[trust] ocsp = \"require\"` its mail waits"
                );
            }
        }
    }
}

/// Keeps the answer about our own certificate fresh while `[tls] ocsp_staple` says so, until `drain` is asked for. Half of its time before it is due, a
/// new one is fetched.
pub(crate) async fn keep_stapled(
    mut identities: watch::Receiver<Identities>,
    trust: Arc<Trust>,
    query: HttpClient,
    store: Store,
    mut drain: Drain,
) {
    let mut is_shown = true;
    loop {
        let presented = identities.borrow_and_update().clone();
        let pause = match presented.is_stapled {
            false => REFRESH_MAX,
            true => match pki::refresh_staple(&presented.server, &trust, &query).await {
                Ok(until) => {
                    is_shown = true;
                    let left = u64::try_from(until.secs() - store.now().secs()).unwrap_or(0);
                    Duration::from_secs(left / 2).clamp(RETRY, REFRESH_MAX)
                }
                Err(error) => {
                    if std::mem::take(&mut is_shown) {
                        tracing::error!(%error, "clients are shown no new OCSP answer about our certificate; trying each minute");
                    }
                    RETRY
                }
            },
        };
        tokio::select! {
            () = drain.asked() => return,
            () = sleep(pause) => {}
            changed = identities.changed() => if changed.is_err() { return },
        }
    }
}
