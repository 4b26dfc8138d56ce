//! From and Sender of a message that another operator brings: whose name does it bear?
//!
//! Readers believe what From says, and the white list vouches for domains: the certificate that may send for the reverse-path must speak for the
//! domain of each author, and for that of the Sender. A field that is missing, twice there or unreadable names a domain that no list has.
//!
//! Standards: RFC 5322 §3.6.2; requirement LB-2.

use crate::{OriginatorFacts, Reason, Standing, TrustList, Verdict};
use mail_types::{Domain, PeerIdentity, Timestamp};

/// What is known of the authors of a message.
#[derive(Debug)]
pub struct AuthorFacts<'f> {
    /// The certificate of the operator that brings it.
    pub peer: Option<&'f PeerIdentity>,
    /// What speaks for which domain.
    pub trust: &'f TrustList,
    /// The time of asking.
    pub now: Timestamp,
    /// Whom the message names.
    pub originators: OriginatorFacts<'f>,
}

/// Whether the certificate speaks for those whom a message names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorStanding<'f> {
    /// For all of them.
    Listed,
    /// Not for this domain; `None` when nobody can be read.
    NotListed(Option<&'f Domain>),
    /// That cannot be said of this domain, or it is suspended.
    Doubtful(&'f Domain),
}

/// What an operator does with a message whose author nobody vouches for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthorRule {
    /// It is accepted with a mark.
    #[default]
    Tag,
    /// It is refused; in doubt the peer is asked to come again.
    Reject,
}

/// Does the certificate speak for everybody whom the message names?
pub fn author<'f>(facts: &AuthorFacts<'f>) -> AuthorStanding<'f> {
    let OriginatorFacts { from_fields, authors, sender_fields, senders } = facts.originators;
    let names_somebody = from_fields == 1 && !authors.is_empty();
    let is_readable = sender_fields <= 1 && senders.len() <= 1 && sender_fields == senders.len();
    let Some(peer) = facts.peer.filter(|_| names_somebody && is_readable) else {
        return AuthorStanding::NotListed(None);
    };
    let mut standing = AuthorStanding::Listed;
    let mut vouched: Option<&Domain> = None;
    for named in authors.iter().chain(senders) {
        let Some(address) = named else { return AuthorStanding::NotListed(None) };
        let domain = address.domain();
        if vouched == Some(domain) {
            continue;
        }
        match facts.trust.standing(domain, peer, facts.now) {
            Standing::Listed => vouched = Some(domain),
            Standing::NotListed => return AuthorStanding::NotListed(Some(domain)),
            Standing::Doubtful(_) => standing = AuthorStanding::Doubtful(domain),
        }
    }
    standing
}

impl AuthorRule {
    /// May the message be accepted? Under [`AuthorRule::Tag`] always.
    pub fn verdict(self, standing: AuthorStanding<'_>) -> Verdict {
        match (self, standing) {
            (Self::Tag, _) | (Self::Reject, AuthorStanding::Listed) => Verdict::Accept,
            (Self::Reject, AuthorStanding::NotListed(_)) => Verdict::Reject(Reason::AuthorNotListed),
            (Self::Reject, AuthorStanding::Doubtful(_)) => Verdict::Defer(Reason::AuthorDoubtful),
        }
    }
}
