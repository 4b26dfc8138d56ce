//! MAIL FROM: who may send through this server.
//!
//! Another operator may send when its certificate was verified, is known not to be revoked, and the white list names its subject for the
//! domain of the reverse-path. The null sender belongs to no domain: its certificate must be named for at least one. What we
//! cannot know (no white list, stale revocation lists) defers and never rejects.
//!
//! Standards: RFC 5321 §3.3, RFC 6409 §6.1, RFC 5322 §3.6.2, RFC 3463 X.7.0 and X.7.1; requirement LB-2.

use crate::{Reason, Standing, TrustList, Verdict};
use mail_types::{Address, PeerIdentity, ReversePath, RevocationState, Timestamp};

/// What is known when another operator says MAIL FROM.
#[derive(Debug)]
pub struct MxSenderFacts<'f> {
    /// The verified certificate, if one was presented.
    pub peer: Option<&'f PeerIdentity>,
    /// What speaks for which domain.
    pub trust: &'f TrustList,
    /// The time of asking.
    pub now: Timestamp,
    /// The reverse-path.
    pub reverse_path: &'f ReversePath,
}

/// May this operator send with this reverse-path?
pub fn sender(facts: &MxSenderFacts<'_>) -> Verdict {
    let Some(peer) = facts.peer else { return Verdict::Reject(Reason::NoCertificate) };
    if matches!(peer.revocation, RevocationState::Unknown(_)) {
        return Verdict::Defer(Reason::RevocationUnknown);
    }
    let standing = match facts.reverse_path {
        ReversePath::Null => facts.trust.standing_of_any(peer, facts.now),
        ReversePath::Address(address) => facts.trust.standing(address.domain(), peer, facts.now),
    };
    match standing {
        Standing::Listed => Verdict::Accept,
        Standing::NotListed => Verdict::Reject(Reason::NotListed),
        Standing::Doubtful(reason) => Verdict::Defer(reason),
    }
}

/// An address that a logged-in user asks to send with.
#[derive(Clone, Copy, Debug)]
pub struct SendAs<'f> {
    /// The address of the mailbox that the user acts in.
    pub own: &'f Address,
    /// Whether the user may send with it.
    pub may_send: bool,
}

impl SendAs<'_> {
    fn allows(self, address: &Address) -> bool {
        self.may_send && address.canonical() == self.own.canonical()
    }
}

/// May a logged-in user send with this reverse-path?
pub fn submission_sender(send_as: SendAs<'_>, reverse_path: &ReversePath) -> Verdict {
    let is_allowed = reverse_path.address().is_some_and(|address| send_as.allows(address));
    if is_allowed { Verdict::Accept } else { Verdict::Reject(Reason::NotOwner) }
}

/// What a submitted message says of its origin (RFC 5322 §3.6.2). An address that cannot be read is `None`.
#[derive(Clone, Copy, Debug)]
pub struct OriginatorFacts<'f> {
    /// How many From fields there are.
    pub from_fields: usize,
    /// Who they name.
    pub authors: &'f [Option<Address>],
    /// How many Sender fields there are.
    pub sender_fields: usize,
    /// Who they name.
    pub senders: &'f [Option<Address>],
}

/// May a logged-in user send a message that says this of its origin?
///
/// Readers believe what From says: each author must be an address that the user may send with, and so must the Sender. A Sender does not
/// lend an address: who writes for another does so by a delegation. A message without From is accepted; the field is added to it.
pub fn submission_originators(send_as: SendAs<'_>, facts: &OriginatorFacts<'_>) -> Verdict {
    let is_own = |named: &Option<Address>| named.as_ref().is_some_and(|address| send_as.allows(address));
    let is_single = facts.from_fields <= 1 && facts.sender_fields <= 1;
    let names_somebody = facts.from_fields == 0 || !facts.authors.is_empty();
    if is_single && names_somebody && facts.authors.iter().chain(facts.senders).all(is_own) {
        Verdict::Accept
    } else {
        Verdict::Reject(Reason::NotAuthor)
    }
}
