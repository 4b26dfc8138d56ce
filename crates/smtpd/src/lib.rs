//! SMTP listeners: 25 for other operators, 587 and 465 for our users.
//!
//! Drives the state machine of `smtp-session` over sockets, and carries each question to those who can answer it: certificates to `pki`,
//! passwords to `auth`, mail to `intake`. It decides nothing itself, reads no row, and logs no address.
//!
//! Diagnostics: a failed handshake and a refused sender are warnings with their cause; each accepted message is one line with its unit id.
#![warn(missing_docs)]

mod judgements;
mod login;
mod metrics;
mod patience;
mod session;
mod standing;
mod transport;

pub use metrics::SmtpMetrics;
pub use transport::Tls;

use auth::Authenticator;
use intake::Intake;
use journal::Journal;
use listener::{Bounds, Drain};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Whom a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Other operators.
    Mx,
    /// Our users.
    Submission,
}

impl Service {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Mx => "mx",
            Self::Submission => "submission",
        }
    }
}

/// Everything that a listener's sessions share.
#[derive(Clone, Debug)]
pub struct Smtpd {
    /// Whom it serves.
    pub service: Service,
    /// Whether a password is taken; else a certificate only.
    pub passwords: bool,
    /// Certificates, and whether TLS begins at once.
    pub tls: Tls,
    /// Name in the greeting.
    pub hostname: Arc<str>,
    /// The door.
    pub intake: Intake,
    /// Where judgements of peers are noted.
    pub journal: Journal,
    /// Passwords and certificates.
    pub authenticator: Authenticator,
    /// Another number after each change of what certificates are judged by.
    pub trust_changes: watch::Receiver<u64>,
    /// Octets of one message.
    pub message_size_max: u64,
    /// Recipients of one message.
    pub recipients_max: usize,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Octets that earn a message one second more than `data_grace`.
    pub data_rate_min: u64,
    /// Counters.
    pub metrics: SmtpMetrics,
}

/// Time limits of a session.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a handshake.
    pub handshake: Duration,
    /// From our reply to the end of the next command.
    pub command: Duration,
    /// Silence within a message.
    pub data: Duration,
    /// What a message may take whatever its size.
    pub data_grace: Duration,
    /// For writing replies to a peer that does not read.
    pub write: Duration,
}

impl Smtpd {
    /// Serves until `drain` is asked for and every session has ended.
    pub async fn serve(
        self,
        listener: TcpListener,
        connections_max: usize,
        per_address_max: usize,
        drain: Drain,
    ) {
        let refusal: &[u8] =
            if self.tls.is_implicit() { b"" } else { b"421 4.7.0 Too many connections; try again later\r\n" };
        let bounds = Bounds { connections_max, per_address_max, refusal };
        let shared = Arc::new(self);
        listener::serve(listener, bounds, drain, move |stream, peer, drain| {
            let shared = shared.clone();
            async move { session::run(shared, stream, peer, drain).await }
        })
        .await;
    }
}
