//! AUTH: a password or the certificate of the connection, and what it comes to.

use crate::session::{Connection, basis};
use auth::Via;
use auth::{AuthError, Login, Whence};
use journal::Ruling;
use mail_types::{AuthorizationIdentity, Reply, Secret};

/// Failed logins in one session.
const FAILED_LOGINS_MAX: u32 = 5;

impl Connection {
    /// PLAIN and LOGIN.
    pub(crate) async fn login(&mut self, authzid: &str, authcid: &str, password: &Secret<String>) -> Reply {
        let outcome = self.shared.authenticator.password(self.whence(), authzid, authcid, password).await;
        self.conclude(outcome).await
    }

    /// EXTERNAL, which is offered to those who showed a certificate.
    pub(crate) async fn login_by_certificate(&mut self, authzid: &AuthorizationIdentity) -> Reply {
        let Some(peer) = self.certificate.clone() else {
            return Reply::new(535, (5, 7, 8), "EXTERNAL needs a TLS client certificate; none was shown");
        };
        let outcome = self.shared.authenticator.certificate(self.whence(), authzid.as_str(), &peer).await;
        let (ruling, reason) = match &outcome {
            Ok(_) => (Ruling::Accepted, "login"),
            Err(error @ (AuthError::Certificate(_) | AuthError::Refused(_))) => {
                (Ruling::Rejected, error.reason())
            }
            Err(error) => (Ruling::Deferred, error.reason()),
        };
        let actor = outcome.as_ref().ok().map(|login| login.principal.actor.id);
        let basis = basis(&self.shared, Some(&peer), &self.hello);
        self.judgements.logged_in(ruling, reason, actor, basis);
        self.conclude(outcome).await
    }

    fn whence(&self) -> Whence {
        Whence { via: Via::Submission, ip: self.peer_ip }
    }

    async fn conclude(&mut self, outcome: Result<Login, AuthError>) -> Reply {
        let error = match outcome {
            Ok(login) => {
                self.watch_login(&login);
                self.login = Some(login);
                return Reply::new(235, (2, 7, 0), "Authentication successful");
            }
            Err(error) => error,
        };
        let reply = match &error {
            AuthError::Refused(_) => Reply::new(535, (5, 7, 8), "Authentication credentials invalid"),
            AuthError::Certificate(refusal) => Reply::new(535, (5, 7, 8), refusal.text()),
            AuthError::Held(_) => Reply::new(454, (4, 7, 0), "Too many failed logins; try again later"),
            AuthError::Unavailable(error) => {
                tracing::error!(error, "a login could not be decided");
                Reply::new(454, (4, 7, 0), "Temporary authentication failure; try again later")
            }
        };
        let subject = self.certificate.as_ref().map(|peer| peer.subject.to_string());
        tracing::info!(reason = error.reason(), peer = %self.peer_ip, subject, "login failed");
        self.failed_logins += 1;
        if self.failed_logins >= FAILED_LOGINS_MAX {
            return Reply::new(421, (4, 7, 0), "Too many failed logins; closing connection");
        }
        reply
    }
}
