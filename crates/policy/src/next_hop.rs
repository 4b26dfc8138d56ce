//! The other operator: may its domain be sent to, and may its server be given an envelope?
//!
//! The second is asked after the handshake, before MAIL FROM: until it is answered nothing of the message, not even an address, is sent.
//!
//! Standards: requirement LB-3.

use crate::{DomainStanding, Reason, Standing, TrustList, Verdict};
use mail_types::{Domain, PeerIdentity, RevocationState, Timestamp};

/// What becomes of mail that is queued for a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatch {
    /// It is sent.
    Send,
    /// It is tried again later: the cause is ours or passes.
    Defer(Reason),
    /// It waits until the domain is back, or gone for good.
    Hold(Reason),
    /// It goes back to its sender.
    Bounce(Reason),
}

/// May mail be sent to a domain that stands so? Mail was accepted for it, so a list named it or none counted: a list that lacks it today may be an
/// older one than another node's, or of another source. It is held; its lifetime ends it.
pub fn dispatch(domain: DomainStanding) -> Dispatch {
    match domain {
        DomainStanding::Listed => Dispatch::Send,
        DomainStanding::Doubtful(Reason::Quarantined) => Dispatch::Defer(Reason::RecipientSuspended),
        DomainStanding::Doubtful(reason) => Dispatch::Defer(reason),
        DomainStanding::Departing => Dispatch::Hold(Reason::RecipientDeparting),
        DomainStanding::Departed => Dispatch::Bounce(Reason::RecipientDeparted),
        DomainStanding::Absent => Dispatch::Hold(Reason::RecipientDeparting),
    }
}

/// What is known of the server that a recipient's domain led to.
#[derive(Debug)]
pub struct NextHopFacts<'f> {
    /// Its certificate, whose chain and name were verified.
    pub peer: &'f PeerIdentity,
    /// What speaks for which domain.
    pub trust: &'f TrustList,
    /// The time of asking.
    pub now: Timestamp,
    /// The recipients' domain.
    pub domain: &'f Domain,
}

/// May this server be given mail for the domain? Every refusal defers: each can be repaired, by us or by them, before the message expires.
pub fn next_hop(facts: &NextHopFacts<'_>) -> Verdict {
    if matches!(facts.peer.revocation, RevocationState::Unknown(_)) {
        return Verdict::Defer(Reason::RevocationUnknown);
    }
    match facts.trust.standing(facts.domain, facts.peer, facts.now) {
        Standing::Listed => Verdict::Accept,
        Standing::NotListed => Verdict::Defer(Reason::NotListed),
        Standing::Doubtful(reason) => Verdict::Defer(reason),
    }
}
