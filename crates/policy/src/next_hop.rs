//! The other operator's server: may it be given an envelope?
//!
//! Asked after the handshake, before MAIL FROM: until it is answered nothing of the message, not even an address, is sent.
//!
//! Standards: requirement LB-3.

use crate::{Reason, Standing, TrustList, Verdict};
use mail_types::{Domain, PeerIdentity, RevocationState, Timestamp};

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
