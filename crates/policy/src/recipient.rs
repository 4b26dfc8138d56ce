//! RCPT TO: who may receive through this server.
//!
//! A recipient of ours is accepted when the mailbox is in service and not full; it is then delivered whatever happens to the quota meanwhile. What
//! becomes of mail for one that is not in service is the operator's rule: [`LifeCycle`].
//! A recipient elsewhere is accepted from our own users only, and not where the trust space is known to end: a clinician hears that now rather
//! than by a notification. In doubt (no list, or one too old to refuse by) it is queued.
//!
//! Standards: RFC 5321 §3.3; RFC 3463 X.1.1, X.2.1, X.2.2.

use crate::{DomainStanding, Reason, Verdict};
use mail_types::{DeliveryRule, LifeCycle, MailboxStatus};

/// What is known of a recipient.
#[derive(Clone, Copy, Debug)]
pub enum RecipientFacts {
    /// The domain is not ours.
    Elsewhere {
        /// Whether this origin may send elsewhere.
        may_relay: bool,
        /// Whether mail is exchanged with the domain.
        domain: DomainStanding,
    },
    /// The domain is ours and has no such mailbox.
    Unknown,
    /// A mailbox of ours.
    Mailbox {
        /// Life cycle state.
        status: MailboxStatus,
        /// Quota in octets.
        quota_bytes: u64,
        /// Octets used.
        used_bytes: u64,
        /// SIZE declared, zero if none.
        declared_bytes: u64,
    },
}

/// May this recipient be accepted?
pub fn recipient(facts: RecipientFacts, rules: &LifeCycle) -> Verdict {
    match facts {
        RecipientFacts::Elsewhere { may_relay: false, .. } => Verdict::Reject(Reason::Relay),
        RecipientFacts::Elsewhere { may_relay: true, domain } => elsewhere(domain),
        RecipientFacts::Unknown => Verdict::Reject(Reason::UnknownMailbox),
        RecipientFacts::Mailbox { status, quota_bytes, used_bytes, declared_bytes } => {
            match (rules.of(status).delivery, status) {
                (DeliveryRule::Accept, _) => room(quota_bytes, used_bytes, declared_bytes),
                (DeliveryRule::Defer, _) => Verdict::Defer(Reason::Suspended),
                // One that is suspended is known to exist; the others are not there for those who write.
                (DeliveryRule::Reject, MailboxStatus::Suspended) => Verdict::Reject(Reason::Disabled),
                (DeliveryRule::Reject, _) => Verdict::Reject(Reason::UnknownMailbox),
            }
        }
    }
}

fn elsewhere(domain: DomainStanding) -> Verdict {
    match domain {
        DomainStanding::Listed => Verdict::Accept,
        DomainStanding::Absent => Verdict::Reject(Reason::OutsideTrustSpace),
        DomainStanding::Departed => Verdict::Reject(Reason::RecipientDeparted),
        DomainStanding::Departing => Verdict::Defer(Reason::RecipientDeparting),
        DomainStanding::Doubtful(Reason::Quarantined) => Verdict::Defer(Reason::RecipientSuspended),
        DomainStanding::Doubtful(_) => Verdict::Accept,
    }
}

/// A mailbox that is exactly full takes nothing more, even of unknown size.
fn room(quota_bytes: u64, used_bytes: u64, declared_bytes: u64) -> Verdict {
    if declared_bytes > quota_bytes {
        Verdict::Reject(Reason::OverWholeQuota)
    } else if used_bytes >= quota_bytes || used_bytes.saturating_add(declared_bytes) > quota_bytes {
        Verdict::Defer(Reason::MailboxFull)
    } else {
        Verdict::Accept
    }
}
