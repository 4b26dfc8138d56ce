//! `[mailboxes]` and `[identifiers]` as rules of the house.

use admin_api::MailboxRules;
use config::{Config, DeliveryWord, MailboxState};
use mail_types::{DeliveryRule, KeyCheck, LifeCycle, StateRule};

/// What a mailbox gives that is not in service.
pub(crate) fn rules(config: &Config) -> LifeCycle {
    let section = &config.mailboxes;
    LifeCycle {
        pending: rule(section.pending),
        suspended: rule(section.suspended),
        deleted: rule(section.deleted),
    }
}

/// How mailboxes are made and deleted.
pub(crate) fn mailbox_rules(config: &Config) -> MailboxRules {
    MailboxRules {
        key_check: if config.identifiers.is_strict { KeyCheck::Strict } else { KeyCheck::Format },
        quota_default_bytes: config.limits.quota_default_bytes,
        restore_ms: i64::from(config.mailboxes.restore_days) * 86_400_000,
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
