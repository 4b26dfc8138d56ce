//! From a claimed name and a proof, a secret or a certificate, to a [`Login`].
//!
//! The SASL name selects a mailbox, the password or the certificate proves an actor, ownership or a grant joins the two. A name proves nothing:
//! without a password that is someone's or a certificate that is some application's, nobody is anybody. Hashing (Argon2id) runs off the async
//! threads, a bounded number at a time; that a password was verified is remembered for a short while under a keyed hash of name *and* secret,
//! never of the name alone, and only saves the hashing: what was revoked since is refused at once. A refused login looks and costs the same whether the name exists or not.
//!
//! Failures hold back whoever guesses, for all protocols together, and lock nobody out: see [`ThrottleSettings`]. Every login is in the audit trail
//! before the client hears of it, and refusals follow within a second.
//!
//! It knows no socket and no protocol; what a login may then do is `policy`'s matter.
#![warn(missing_docs)]

mod cache;
mod certificate;
mod hashing;
mod login;
mod metrics;
mod moves;
mod password;
mod reach;
mod record;
mod refusals;
mod secret_login;
mod tally;
mod throttle;

pub use certificate::CertificateRefusal;
pub use login::Login;
pub use metrics::AuthMetrics;
pub use password::{PasswordError, hash_password};
pub use reach::Reached;
pub use record::Whence;
pub use refusals::Refusal;
pub use store::Via;
pub use throttle::{Held, Restraint, ThrottleSettings};

use cache::{Cache, Proof};
use mail_types::LifeCycle;
use moves::Moves;
use record::Visits;
use refusals::Refusals;
use std::sync::Arc;
use store::{LoginMailbox, Store};
use throttle::Throttle;
use tokio::sync::{Semaphore, watch};

/// Why a login was refused. The client hears the same sentence for [`AuthError::Refused`] whatever the cause.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The name and the secret prove nobody who may open the mailbox.
    #[error("refused")]
    Refused(Unproven),
    /// A certificate that is good and opens no mailbox, or not the one that was named. Whoever shows it may know why.
    #[error("refused: {0}")]
    Certificate(CertificateRefusal),
    /// Nobody looked at it, because of the failures before it: try again later.
    #[error("held back: {}", .0.by.as_str())]
    Held(Held),
    /// The store, the hashing or the revocation lists could not answer: try again later.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

/// Why a name and a secret prove nobody: a word for the audit trail and the counters, never for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// Unknown name, wrong secret, or a mailbox out of service.
    Credentials,
    /// The password is that of several persons who may open the mailbox: it proves none of them (decision 0021).
    SeveralPersons,
    /// The password does not let in by this protocol.
    OtherProtocol,
}

impl Unproven {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::SeveralPersons => "several_persons",
            Self::OtherProtocol => "other_protocol",
        }
    }
}

impl AuthError {
    /// How the login ended: a word for metrics.
    pub const fn outcome(&self) -> &'static str {
        match self {
            Self::Refused(_) | Self::Certificate(_) => "refused",
            Self::Held(_) => "held",
            Self::Unavailable(_) => "unavailable",
        }
    }

    /// Why: a word for logs, metrics and the audit trail.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Refused(unproven) => unproven.as_str(),
            Self::Certificate(refusal) => refusal.as_str(),
            Self::Held(held) => held.by.as_str(),
            Self::Unavailable(_) => "unavailable",
        }
    }
}

/// Verifies credentials against the store; cheap to clone.
#[derive(Clone, Debug)]
pub struct Authenticator(Arc<Parts>);

/// What an authenticator is made of.
#[derive(Debug)]
pub struct Parts {
    store: Store,
    cache: Cache<Proof>,
    /// Passwords that were found wrong.
    wrong: Cache<()>,
    throttle: Arc<Throttle>,
    hashing: Arc<Semaphore>,
    /// For whoever comes from a known address, beside the other.
    hashing_known: Arc<Semaphore>,
    visits: Visits,
    refusals: Refusals,
    metrics: AuthMetrics,
    /// The revision of the directory, as it was read last.
    directory: watch::Sender<u64>,
    moves: Moves,
    /// What a mailbox that is not in service gives.
    life_cycle: LifeCycle,
}

/// By what an authenticator goes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Passwords that are hashed at one time; one more for those who come from a known address.
    pub concurrency: usize,
    /// How guessing is held back.
    pub throttle: ThrottleSettings,
    /// What a mailbox that is not in service gives.
    pub life_cycle: LifeCycle,
}

impl Default for Settings {
    fn default() -> Self {
        Self { concurrency: 3, throttle: ThrottleSettings::default(), life_cycle: LifeCycle::default() }
    }
}

impl std::ops::Deref for Authenticator {
    type Target = Parts;

    /// Its own parts; nothing of them is seen from outside.
    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Authenticator {
    /// An authenticator by these settings, which counts there.
    pub fn new(store: Store, settings: Settings, metrics: AuthMetrics) -> Self {
        Self(Arc::new(Parts {
            store,
            cache: Cache::new(),
            wrong: Cache::new(),
            throttle: Arc::new(Throttle::new(settings.throttle)),
            hashing: Arc::new(Semaphore::new(settings.concurrency.max(1))),
            hashing_known: Arc::new(Semaphore::new(1)),
            visits: Visits::default(),
            refusals: Refusals::default(),
            metrics,
            directory: watch::Sender::new(0),
            moves: Moves::default(),
            life_cycle: settings.life_cycle,
        }))
    }

    /// The mailbox as its state lets it be used; `None` when nobody may open it.
    pub(crate) fn opened(&self, mut mailbox: LoginMailbox) -> Option<LoginMailbox> {
        let rule = self.life_cycle.of(mailbox.status);
        mailbox.actors.iter_mut().for_each(|actor| actor.may_send &= rule.send);
        rule.login.then_some(mailbox)
    }
}

fn unavailable(error: store::Error) -> AuthError {
    AuthError::Unavailable(error.to_string())
}
