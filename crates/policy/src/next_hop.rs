//! The other operator's server: may it be given an envelope?
//!
//! Asked after the handshake, before MAIL FROM: until it is answered nothing of the message, not even an address, is sent.
//!
//! Standards: requirement LB-3.

use crate::{Reason, Verdict, WhiteList};
use mail_types::{Domain, PeerIdentity, RevocationState};

/// What is known of the server that a recipient's domain led to.
#[derive(Debug)]
pub struct NextHopFacts<'f> {
    /// Its certificate, whose chain and name were verified.
    pub peer: &'f PeerIdentity,
    /// The white list in force, if any.
    pub white_list: Option<&'f WhiteList>,
    /// The recipients' domain.
    pub domain: &'f Domain,
}

/// May this server be given mail for the domain? Every refusal defers: each can be repaired, by us or by them, before the message expires.
pub fn next_hop(facts: &NextHopFacts<'_>) -> Verdict {
    if matches!(facts.peer.revocation, RevocationState::Unknown(_)) {
        return Verdict::Defer(Reason::RevocationUnknown);
    }
    match facts.white_list {
        None => Verdict::Defer(Reason::NoWhiteList),
        Some(white_list) if white_list.lists(facts.domain, &facts.peer.subject) => Verdict::Accept,
        Some(_) => Verdict::Defer(Reason::NotListed),
    }
}
