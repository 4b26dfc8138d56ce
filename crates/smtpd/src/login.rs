//! AUTH: a password or the certificate of the connection, and what it comes to.

use crate::metrics::ReasonLabel;
use crate::session::{Connection, basis};
use auth::{AuthError, Login};
use journal::Ruling;
use mail_types::{AuthorizationIdentity, Reply, Secret};
use std::time::Duration;

/// Failed logins in one session.
const FAILED_LOGINS_MAX: u32 = 5;

impl Connection {
    /// PLAIN and LOGIN.
    pub(crate) async fn login(&mut self, authzid: &str, authcid: &str, password: &Secret<String>) -> Reply {
        let outcome = self.shared.authenticator.password(authzid, authcid, password).await;
        self.conclude(outcome).await
    }

    /// EXTERNAL, which is offered to those who showed a certificate.
    pub(crate) async fn login_by_certificate(&mut self, authzid: &AuthorizationIdentity) -> Reply {
        let Some(peer) = self.certificate.clone() else {
            return Reply::new(535, (5, 7, 8), "EXTERNAL needs a TLS client certificate; none was shown");
        };
        let outcome = self.shared.authenticator.certificate(authzid.as_str(), &peer).await;
        let (ruling, reason) = match &outcome {
            Ok(_) => (Ruling::Accepted, "login"),
            Err(AuthError::Certificate(refusal)) => (Ruling::Rejected, refusal.as_str()),
            Err(AuthError::Refused) => (Ruling::Rejected, "refused"),
            Err(AuthError::Unavailable(_)) => (Ruling::Deferred, "unavailable"),
        };
        let actor = outcome.as_ref().ok().map(|login| login.principal.actor.id);
        let basis = basis(&self.shared, Some(&peer), &self.hello);
        self.judgements.logged_in(ruling, reason, actor, basis);
        self.conclude(outcome).await
    }

    async fn conclude(&mut self, outcome: Result<Login, AuthError>) -> Reply {
        let service = self.shared.service.as_str();
        let (reason, reply) = match outcome {
            Ok(login) => {
                self.login = Some(login);
                ("ok", Reply::new(235, (2, 7, 0), "Authentication successful"))
            }
            Err(AuthError::Refused) => {
                ("refused", Reply::new(535, (5, 7, 8), "Authentication credentials invalid"))
            }
            Err(AuthError::Certificate(refusal)) => {
                (refusal.as_str(), Reply::new(535, (5, 7, 8), refusal.text()))
            }
            Err(AuthError::Unavailable(error)) => {
                tracing::error!(error, "a login could not be decided");
                (
                    "unavailable",
                    Reply::new(454, (4, 7, 0), "Temporary authentication failure; try again later"),
                )
            }
        };
        self.shared.metrics.logins.get_or_create(&ReasonLabel { service, reason }).inc();
        if reason == "ok" {
            return reply;
        }
        let subject = self.certificate.as_ref().map(|peer| peer.subject.to_string());
        tracing::info!(service, reason, peer = %self.peer_ip, subject, "login failed");
        self.failed_logins += 1;
        // Guessing gets slower, and then ends.
        tokio::time::sleep(Duration::from_millis(250 << self.failed_logins.min(4))).await;
        if self.failed_logins >= FAILED_LOGINS_MAX {
            return Reply::new(421, (4, 7, 0), "Too many failed logins; closing connection");
        }
        reply
    }
}
