//! What a mailbox gives in each state of its life.

use crate::MailboxStatus;

/// What becomes of mail for a mailbox that is not in service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryRule {
    /// It is delivered, as to one in service.
    Accept,
    /// The sender's server tries again later.
    Defer,
    /// It is returned.
    Reject,
}

/// What a mailbox gives while it is in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateRule {
    /// Whether anybody may open it.
    pub login: bool,
    /// What becomes of mail for it.
    pub delivery: DeliveryRule,
    /// Whether mail may be sent with its address.
    pub send: bool,
}

impl StateRule {
    /// Everything.
    pub const OPEN: Self = Self { login: true, delivery: DeliveryRule::Accept, send: true };
    /// Nothing; mail for it gets this answer.
    pub const fn closed(delivery: DeliveryRule) -> Self {
        Self { login: false, delivery, send: false }
    }
}

/// The rules of an operator for the states in which a mailbox is not in service. One that is active gives everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LifeCycle {
    /// Before it is activated.
    pub pending: StateRule,
    /// While it is suspended.
    pub suspended: StateRule,
    /// Once it is deleted, also while it can be restored.
    pub deleted: StateRule,
}

impl LifeCycle {
    /// What a mailbox in this state gives.
    pub const fn of(&self, status: MailboxStatus) -> StateRule {
        match status {
            MailboxStatus::Pending => self.pending,
            MailboxStatus::Active => StateRule::OPEN,
            MailboxStatus::Suspended => self.suspended,
            MailboxStatus::Deleted => self.deleted,
        }
    }
}

impl Default for LifeCycle {
    /// A mailbox that is not open yet does not exist for others. A suspended one loses no mail: senders wait. A deleted one is told to be gone.
    fn default() -> Self {
        Self {
            pending: StateRule::closed(DeliveryRule::Reject),
            suspended: StateRule::closed(DeliveryRule::Defer),
            deleted: StateRule::closed(DeliveryRule::Reject),
        }
    }
}
