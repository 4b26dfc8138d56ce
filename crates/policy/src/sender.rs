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

/// What a logged-in user may send with.
#[derive(Clone, Copy, Debug)]
pub struct SendAs<'f> {
    /// The address of the mailbox that the user acts in.
    pub own: &'f Address,
    /// Whether the user may send with it.
    pub may_send: bool,
    /// The mailbox of somebody else's that the message is sent for, when its reverse-path names one that the user may send for.
    pub delegated: Option<Delegated<'f>>,
}

/// A mailbox of somebody else's, for which a user may send by a grant that is in force.
#[derive(Clone, Copy, Debug)]
pub struct Delegated<'f> {
    /// Its address.
    pub address: &'f Address,
    /// Whether mail may be sent with it in the present state of the mailbox.
    pub is_open: bool,
}

impl SendAs<'_> {
    /// The one address that the message is sent with.
    fn sending(&self) -> Option<&Address> {
        match self.delegated {
            Some(delegated) => Some(delegated.address),
            None => self.may_send.then_some(self.own),
        }
    }
}

/// Whether two addresses lead to the same mailbox.
fn is_same(one: &Address, other: &Address) -> bool {
    one.canonical() == other.canonical()
}

/// May a logged-in user send with this reverse-path?
pub fn submission_sender(send_as: SendAs<'_>, reverse_path: &ReversePath) -> Verdict {
    let sending = send_as.sending().zip(reverse_path.address());
    if !sending.is_some_and(|(sending, address)| is_same(sending, address)) {
        return Verdict::Reject(Reason::NotOwner);
    }
    match send_as.delegated {
        Some(Delegated { is_open: false, .. }) => Verdict::Reject(Reason::SenderClosed),
        _ => Verdict::Accept,
    }
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
/// Readers believe what From says: each author must be the address that the message is sent with. So must the Sender, or it says truly who
/// wrote for another: the user's own address. A Sender does not lend an address. A message without From is accepted; the field is added to it.
pub fn submission_originators(send_as: SendAs<'_>, facts: &OriginatorFacts<'_>) -> Verdict {
    let is_sending = |named: &Option<Address>| {
        named.as_ref().zip(send_as.sending()).is_some_and(|(named, sending)| is_same(named, sending))
    };
    let is_own = |named: &Option<Address>| named.as_ref().is_some_and(|named| is_same(named, send_as.own));
    let is_single = facts.from_fields <= 1 && facts.sender_fields <= 1;
    let names_somebody = facts.from_fields == 0 || !facts.authors.is_empty();
    let is_true = facts.authors.iter().all(is_sending)
        && facts.senders.iter().all(|named| is_sending(named) || (send_as.may_send && is_own(named)));
    if is_single && names_somebody && is_true && send_as.sending().is_some() {
        Verdict::Accept
    } else {
        Verdict::Reject(Reason::NotAuthor)
    }
}
