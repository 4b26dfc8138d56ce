//! `[mailboxes.STATE]` as rules of the house.

use config::{Config, DeliveryWord, MailboxState};
use mail_types::{DeliveryRule, LifeCycle, StateRule};

/// What a mailbox gives that is not in service.
pub(crate) fn rules(config: &Config) -> LifeCycle {
    let section = &config.mailboxes;
    LifeCycle {
        pending: rule(section.pending),
        suspended: rule(section.suspended),
        deleted: rule(section.deleted),
    }
}

fn rule(state: MailboxState) -> StateRule {
    let delivery = match state.delivery {
        DeliveryWord::Accept => DeliveryRule::Accept,
        DeliveryWord::Defer => DeliveryRule::Defer,
        DeliveryWord::Reject => DeliveryRule::Reject,
    };
    StateRule { login: state.login, delivery, send: state.send }
}
