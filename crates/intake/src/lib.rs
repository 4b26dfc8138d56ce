//! The one door: every message, whatever its origin, is accepted by begin → rcpt → write → commit.
//!
//! [`Intake::begin`] asks `policy` about the sender, [`Transaction::rcpt`] about each recipient, [`Transaction::write`] streams the content
//! through the header gate and the structure scanner into a sealed, bounded body, and [`Transaction::commit`] takes responsibility in one store
//! transaction. Dropping a transaction at any point before leaves nothing behind. A cause of ours is always a 4yz reply.
//!
//! It does not know which protocol called, and keeps no connection.
//!
//! Standards: RFC 5321 §3.3, §4.4, §6.1, §6.3; RFC 6409 §6.1, §8.
#![warn(missing_docs)]

mod content;
mod notice;
mod notification;
mod spool;
mod transaction;

pub use content::{AuthorMark, AuthorMarking};
pub use notification::NotificationError;
pub use spool::Spool;
pub use transaction::{Conclusion, Transaction};

use arc_swap::ArcSwap;
use mail_types::{Domain, LifeCycle, MailParameters, PeerIdentity, Principal, Reply, ReversePath, Timestamp};
use policy::{AuthorRule, Delegated, DomainStanding, MxSenderFacts, Reason, SendAs, TrustList, Verdict};
use std::net::IpAddr;
use std::sync::Arc;
use store::{Act, SendFor, Store};

/// Where a message comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// Another operator, with its verified certificate if it presented one.
    Mx {
        /// The certificate.
        peer: Option<Arc<PeerIdentity>>,
    },
    /// One of our users.
    Submission {
        /// Who, and in which mailbox.
        principal: Principal,
    },
}

/// What the connection knows, for the trace field.
#[derive(Clone, Debug)]
pub struct Session {
    /// Where from.
    pub origin: Origin,
    /// The name in HELO or EHLO.
    pub hello: String,
    /// The peer's address.
    pub peer_ip: IpAddr,
    /// The TLS version, `TLSv1.3`; none leaves it out.
    pub tls: Option<&'static str>,
    /// RFC 3848 word, or `HTTP`.
    pub protocol: &'static str,
    /// What proved who submits, or the other operator, as [`Act::credential`] has it, where the [act](Intake::acting) does not say it.
    pub credential: Option<String>,
}

/// Settings that an operator chooses.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our name in trace fields.
    pub hostname: String,
    /// Octets of one message as received.
    pub message_size_max: u64,
    /// The mailbox that gets mail for `postmaster` of a domain without one.
    pub postmaster: Option<mail_types::Address>,
    /// How long a remote recipient is tried, in seconds.
    pub lifetime_secs: i64,
    /// What becomes of a message from another operator whose author it may not speak for.
    pub author_rule: AuthorRule,
    /// What becomes of mail for a mailbox that is not in service.
    pub life_cycle: LifeCycle,
}

/// The door.
#[derive(Clone, Debug)]
pub struct Intake {
    store: Store,
    settings: Arc<Settings>,
    trust: Arc<ArcSwap<TrustList>>,
}

impl Intake {
    /// A door to `store`, that asks at each message what speaks for which domain.
    pub fn new(store: Store, settings: Settings, trust: Arc<ArcSwap<TrustList>>) -> Self {
        Self { store, settings: Arc::new(settings), trust }
    }

    /// Begins a message: may this origin send with this reverse-path?
    ///
    /// # Errors
    /// The refusal, with what the peer may hear and the reason for logs and metrics.
    pub async fn begin(
        &self,
        session: &Session,
        reverse_path: ReversePath,
        parameters: MailParameters,
    ) -> Result<Transaction, Refusal> {
        let sends_for = self.may_send(&session.origin, &reverse_path).await?;
        Ok(Transaction::new(self.clone(), session.clone(), reverse_path, parameters, sends_for))
    }

    /// The same door, for what somebody does.
    pub fn acting(&self, act: Act) -> Self {
        Self { store: self.store.acting(act), ..self.clone() }
    }

    /// The mailbox that gets mail for `postmaster` of a domain without one.
    pub fn postmaster(&self) -> Option<&mail_types::Address> {
        self.settings.postmaster.as_ref()
    }

    /// The date of the white list by which peers are judged now.
    pub fn white_list_date(&self) -> Option<Timestamp> {
        self.trust.load().white_list_date()
    }

    pub(crate) fn trust(&self) -> Arc<TrustList> {
        self.trust.load_full()
    }

    /// Whether mail is exchanged with a domain that is not ours.
    pub(crate) fn domain_standing(&self, domain: &Domain) -> DomainStanding {
        self.trust.load().domain(domain, self.store.now())
    }

    /// Asked at the beginning of a message and again at its end: a domain may be suspended while it comes, or a grant be taken away. The mailbox
    /// of somebody else's that it is sent for, if it is.
    pub(crate) async fn may_send(
        &self,
        origin: &Origin,
        reverse_path: &ReversePath,
    ) -> Result<Option<SendFor>, Refusal> {
        match origin {
            Origin::Mx { peer } => {
                let verdict = policy::sender(&MxSenderFacts {
                    peer: peer.as_deref(),
                    trust: &self.trust.load(),
                    now: self.store.now(),
                    reverse_path,
                });
                permit(verdict).map(|()| None)
            }
            Origin::Submission { principal } => {
                let sends_for = self.sends_for(principal, reverse_path).await?;
                let delegated = sends_for.as_ref().map(|mailbox| self.delegated(mailbox));
                permit(policy::submission_sender(send_as(principal, delegated), reverse_path))?;
                Ok(sends_for)
            }
        }
    }

    /// The mailbox of somebody else's that a reverse-path names, if the actor may send for it. One's own address asks the store nothing.
    async fn sends_for(
        &self,
        principal: &Principal,
        reverse_path: &ReversePath,
    ) -> Result<Option<SendFor>, Refusal> {
        match reverse_path.address() {
            // A password for one mailbox lends no other address.
            Some(_) if principal.only_here => Ok(None),
            Some(address) if address.canonical() != principal.address.canonical() => {
                let (actor, now) = (principal.actor.id, self.store.now());
                self.store.send_for(actor, address, now).await.map_err(|e| Refusal::of_store(&e))
            }
            _ => Ok(None),
        }
    }

    pub(crate) fn delegated<'m>(&self, mailbox: &'m SendFor) -> Delegated<'m> {
        let rule = self.settings.life_cycle.of(mailbox.status);
        Delegated { address: &mailbox.address, is_open: rule.send }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }
}

/// A refusal: what the peer hears, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A code and a generic sentence.
    pub reply: Reply,
    /// The word for logs and metrics.
    pub reason: &'static str,
}

impl Refusal {
    pub(crate) fn of_store(error: &store::Error) -> Self {
        tracing::error!(%error, "the store did not answer; the peer is asked to try again");
        if matches!(error, store::Error::Full(_)) {
            let reply = Reply::new(452, (4, 3, 1), "Insufficient system storage; try again later");
            return Self { reply, reason: "disk" };
        }
        Self { reply: Reply::new(451, (4, 3, 0), "Temporary failure; try again later"), reason: "store" }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self { reply: reason.reply(), reason: reason.as_str() }
    }
}

pub(crate) fn send_as<'f>(principal: &'f Principal, delegated: Option<Delegated<'f>>) -> SendAs<'f> {
    SendAs { own: &principal.address, may_send: principal.may_send, delegated }
}

pub(crate) fn permit(verdict: Verdict) -> Result<(), Refusal> {
    match verdict {
        Verdict::Accept => Ok(()),
        Verdict::Defer(reason) | Verdict::Reject(reason) => Err(reason.into()),
    }
}
