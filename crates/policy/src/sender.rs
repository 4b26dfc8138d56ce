//! MAIL FROM: who may send through this server.
//!
//! Another operator may send when its certificate was verified, is known not to be revoked, and the white list names its subject for the
//! domain of the reverse-path. The null sender belongs to no domain: its certificate must be named for at least one. What we
//! cannot know (no white list, stale revocation lists) defers and never rejects.
//!
//! Standards: RFC 5321 §3.3, RFC 3463 X.7.0 and X.7.1; requirement LB-2.

use crate::{Reason, Verdict, WhiteList};
use mail_types::{Address, PeerIdentity, ReversePath, RevocationState};

/// What is known when another operator says MAIL FROM.
#[derive(Debug)]
pub struct MxSenderFacts<'f> {
    /// The verified certificate, if one was presented.
    pub peer: Option<&'f PeerIdentity>,
    /// The white list in force, if any.
    pub white_list: Option<&'f WhiteList>,
    /// The reverse-path.
    pub reverse_path: &'f ReversePath,
}

/// May this operator send with this reverse-path?
pub fn sender(facts: &MxSenderFacts<'_>) -> Verdict {
    let Some(peer) = facts.peer else { return Verdict::Reject(Reason::NoCertificate) };
    if matches!(peer.revocation, RevocationState::Unknown(_)) {
        return Verdict::Defer(Reason::RevocationUnknown);
    }
    let Some(white_list) = facts.white_list else { return Verdict::Defer(Reason::NoWhiteList) };
    let is_listed = match facts.reverse_path {
        ReversePath::Null => white_list.lists_certificate(&peer.subject),
        ReversePath::Address(address) => white_list.lists(address.domain(), &peer.subject),
    };
    if is_listed { Verdict::Accept } else { Verdict::Reject(Reason::NotListed) }
}

/// May a logged-in user, acting in the mailbox of `own` address, send with this reverse-path?
pub fn submission_sender(own: &Address, may_send: bool, reverse_path: &ReversePath) -> Verdict {
    let is_own = reverse_path.address().is_some_and(|address| address.canonical() == own.canonical());
    if is_own && may_send { Verdict::Accept } else { Verdict::Reject(Reason::NotOwner) }
}
