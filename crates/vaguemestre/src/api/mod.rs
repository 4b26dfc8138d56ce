//! What the REST API asks of the parts of this program, which it does not know.

mod returns;

use admin_api::Ports;
use anyhow::Result;
use arc_swap::ArcSwap;
use config::Config;
use delivery::Returns;
use intake::Intake;
use policy::TrustList;
use std::sync::Arc;
use store::Store;

/// The ports of the API of a running server.
pub(crate) fn serving(store: &Store, intake: &Intake, hostname: &str) -> Ports {
    let returns = Returns { store: store.clone(), intake: intake.clone(), hostname: hostname.into() };
    Ports { returns: Arc::new(returns::Senders(returns)) }
}

/// The ports of the API in a command, beside a running server or without one.
pub(crate) fn beside(config: &Config, store: &Store, hostname: &str) -> Result<Ports> {
    let settings = crate::operator::intake_settings(config, hostname)?;
    // Notifications to our own mailboxes are all that enters here: nobody's standing is asked.
    let intake = Intake::new(store.clone(), settings, Arc::new(ArcSwap::from_pointee(TrustList::default())));
    Ok(serving(store, &intake, hostname))
}
