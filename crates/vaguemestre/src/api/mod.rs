//! What the REST API asks of the parts of this program, which it does not know.

mod own;
mod returns;
mod trust;

pub(crate) use trust::in_force;

use crate::presented::Presented;
use admin_api::Ports;
use anyhow::Result;
use arc_swap::ArcSwap;
use config::Config;
use delivery::Returns;
use intake::Intake;
use policy::TrustList;
use std::sync::Arc;
use store::Store;
use trust_space::HttpClient;

/// The ports of the API of a running server.
pub(crate) fn serving(
    store: &Store,
    intake: &Intake,
    presented: &Arc<Presented>,
    http: &HttpClient,
    hostname: &str,
) -> Ports {
    Ports {
        returns: returns(store, intake, hostname),
        trust: Arc::new(trust::Serving { space: presented.trust.clone(), http: http.clone() }),
        own: Arc::new(own::Serving { presented: presented.clone(), hostname: hostname.to_owned() }),
    }
}

/// The ports of the API in a command, beside a running server or without one.
pub(crate) fn beside(config: &Config, store: &Store, hostname: &str) -> Result<Ports> {
    let settings = crate::operator::intake_settings(config, hostname)?;
    // Notifications to our own mailboxes are all that enters here: nobody's standing is asked.
    let intake = Intake::new(store.clone(), settings, Arc::new(ArcSwap::from_pointee(TrustList::default())));
    Ok(Ports {
        returns: returns(store, &intake, hostname),
        trust: Arc::new(trust::Beside::new(config.clone(), store.clone())),
        own: Arc::new(own::Beside { config: config.clone(), hostname: hostname.to_owned() }),
    })
}

fn returns(store: &Store, intake: &Intake, hostname: &str) -> Arc<returns::Senders> {
    let (store, intake) = (store.clone(), intake.clone());
    Arc::new(returns::Senders(Returns { store, intake, hostname: hostname.into() }))
}
