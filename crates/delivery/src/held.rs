//! Mail of domains that left the white list: held, alarmed, and let go when the domain is back or gone for good.
//!
//! It does not know how lists are compared: `policy` says how a domain stands.

use crate::Delivery;
use crate::connection::local_reply;
use mail_types::Domain;
use policy::{Dispatch, Reason, TrustList};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use store::Error;
use tokio::time::Instant;

/// Between two looks while nothing changes: lifetimes run out meanwhile.
const LOOK: Duration = Duration::from_secs(60);

/// What was seen at the last look.
#[derive(Debug, Default)]
pub(crate) struct HeldMail {
    last: Option<(Arc<TrustList>, Instant)>,
    alarmed: HashSet<Domain>,
}

impl HeldMail {
    /// Looks when the trust list was swapped, and each minute.
    pub(crate) async fn look(&mut self, delivery: &Delivery) -> Result<(), Error> {
        let trust = delivery.trust.load_full();
        let is_fresh =
            |(seen, at): &(Arc<TrustList>, Instant)| Arc::ptr_eq(seen, &trust) && at.elapsed() < LOOK;
        if self.last.as_ref().is_some_and(is_fresh) {
            return Ok(());
        }
        hold(delivery, &trust).await?;
        self.let_go(delivery, &trust).await?;
        self.last = Some((trust, Instant::now()));
        Ok(())
    }

    async fn let_go(&mut self, delivery: &Delivery, trust: &TrustList) -> Result<(), Error> {
        delivery.store.release_expired().await?;
        let mut still_held = HashSet::new();
        for held in delivery.store.held_domains().await? {
            let (domain, entries) = (held.domain, held.entries);
            match dispatch(delivery, trust, &domain) {
                Dispatch::Send => {
                    let entries = delivery.store.release_domain(&domain).await?;
                    tracing::warn!(%domain, entries, "the domain is in the white list again; what was held for it is sent");
                }
                Dispatch::Bounce(reason) => {
                    let entries = delivery.store.release_domain(&domain).await?;
                    tracing::error!(%domain, entries, reason = reason.as_str(), "the domain is given up; what was held for it goes back to its senders");
                }
                Dispatch::Hold(_) | Dispatch::Defer(_) => {
                    if !self.alarmed.contains(&domain) {
                        tracing::error!(
                            %domain, entries,
                            "mail is held for a domain that left the white list; it is sent if the domain comes back, and goes back to its senders when \
                             it is gone for good; `vaguemestre trust status` and `vaguemestre queue list` show more"
                        );
                    }
                    still_held.insert(domain);
                }
            }
        }
        delivery.metrics.held_domains.set(i64::try_from(still_held.len()).unwrap_or(i64::MAX));
        self.alarmed = still_held;
        Ok(())
    }
}

/// Holds what waits for domains that are leaving, whenever its next attempt would be.
async fn hold(delivery: &Delivery, trust: &TrustList) -> Result<(), Error> {
    let reply = local_reply(&Reason::RecipientDeparting.reply()).to_string();
    for domain in trust.departures.keys() {
        if let Dispatch::Hold(_) = dispatch(delivery, trust, domain) {
            delivery.store.hold_domain(domain, &reply).await?;
        }
    }
    Ok(())
}

fn dispatch(delivery: &Delivery, trust: &TrustList, domain: &Domain) -> Dispatch {
    policy::dispatch(trust.domain(domain, delivery.store.now()))
}
