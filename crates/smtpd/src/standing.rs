//! An open session judged again: what its certificate and its login are worth now.
//!
//! A session with a certificate is judged each time trust or the directory changes, and now and then because dates pass. One with a password is
//! judged when the directory changes and when a date comes at which its password or grant ends.

use crate::session::{Connection, basis};
use crate::transport::{Tls, Transport};
use auth::{AuthError, Login};
use journal::Ruling;
use listener::Vigil;
use mail_types::{Reply, RevocationState};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

/// Between two judgements of a session that nothing else concerned.
const EVERY: Duration = Duration::from_secs(55);
/// The same, of a session without a certificate: what it rests on tells of each change.
const RARELY: Duration = Duration::from_secs(3600);
/// Sessions that follow the same ask within so many milliseconds of a change, not all at once.
const SPREAD_MS: u16 = 1500;
/// When a session that could not be judged is judged again.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// Returns when a session is to be judged again; never before a certificate or a login. The future is small, and what it waits for on the heap.
pub(crate) async fn due(vigil: Option<&mut Vigil>) {
    match vigil {
        Some(vigil) => Box::pin(vigil.due()).await,
        None => pending().await,
    }
}

impl Connection {
    /// A vigil over what a certificate is judged by, from now on.
    pub(crate) fn vigil(&self) -> Vigil {
        let sources = [self.shared.trust_changes.clone(), self.shared.authenticator.changes()];
        Vigil::new(sources, EVERY).spread(self.spread())
    }

    fn spread(&self) -> Duration {
        Duration::from_millis(u64::from(self.peer_port % SPREAD_MS))
    }

    /// Follows what a login rests on, from now on.
    pub(crate) fn watch_login(&mut self, login: &Login) {
        let authenticator = &self.shared.authenticator;
        let spread = self.spread();
        let vigil = self
            .vigil
            .get_or_insert_with(|| Box::new(Vigil::over(authenticator.changes(), RARELY).spread(spread)));
        vigil.set_end(authenticator.ends_in(login));
        if authenticator.may_have_changed(login) {
            vigil.ask_again_in(Duration::ZERO);
        }
    }

    /// Judges the session again if anything that it rests on may have changed since. `Err`: the reply that ends it.
    pub(crate) async fn judge_if_due(&mut self) -> Result<(), Reply> {
        let is_due = self.vigil.as_mut().is_some_and(|vigil| vigil.is_due());
        let login = self.login.as_ref();
        if is_due || login.is_some_and(|login| self.shared.authenticator.may_have_changed(login)) {
            return Box::pin(self.judge_again()).await;
        }
        Ok(())
    }

    /// Judges the session again: its certificate by the trust in force now, its login by the directory. `Err`: the reply that ends it.
    pub(crate) async fn judge_again(&mut self) -> Result<(), Reply> {
        self.judge_certificate()?;
        let Some(login) = &mut self.login else { return Ok(()) };
        let doubt = match self.certificate.as_deref().map(|peer| &peer.revocation) {
            Some(RevocationState::Unknown(cause)) if login.is_by_certificate() => Some(*cause),
            _ => None,
        };
        if let Some(cause) = doubt {
            return Err(self.end(
                Ruling::Deferred,
                cause,
                "Certificate cannot be checked now; try again later",
            ));
        }
        match self.shared.authenticator.still_stands(login, self.certificate.as_deref()).await {
            Ok(()) => {
                if let Some(vigil) = self.vigil.as_deref_mut() {
                    vigil.set_end(self.shared.authenticator.ends_in(login));
                }
                if let Some(transaction) = &mut self.transaction {
                    transaction.act_as(&login.principal);
                }
                Ok(())
            }
            Err(AuthError::Refused(_) | AuthError::Certificate(_)) => {
                Err(self.end(Ruling::Ended, "withdrawn", "Access was withdrawn; closing connection"))
            }
            Err(error @ (AuthError::Unavailable(_) | AuthError::Held(_))) => {
                // The store fails every message meanwhile; the session is asked about again at the next one.
                tracing::warn!(%error, "whether an open session still stands could not be decided");
                if let Some(vigil) = self.vigil.as_deref_mut() {
                    vigil.ask_again_in(ASK_AGAIN);
                }
                Ok(())
            }
        }
    }

    fn judge_certificate(&mut self) -> Result<(), Reply> {
        let Transport::Tls(stream) = &self.transport else { return Ok(()) };
        let last = &mut self.last_judgement;
        let judged = match &self.shared.tls {
            Tls::Mx(tls) => tls.judge_again(stream, last),
            Tls::Starttls(tls) | Tls::Implicit(tls) => tls.judge_again(stream, last),
        };
        match judged {
            None => Ok(()),
            Some(Ok(peer)) => {
                self.certificate = Some(Arc::new(peer));
                Ok(())
            }
            Some(Err(rejection)) => {
                tracing::warn!(peer = %self.peer_ip, cause = rejection.cause(), "the certificate of an open connection is no longer accepted");
                Err(self.end(
                    Ruling::Ended,
                    rejection.as_str(),
                    "Certificate is no longer accepted; closing connection",
                ))
            }
        }
    }

    fn end(&mut self, ruling: Ruling, reason: &'static str, text: &'static str) -> Reply {
        let service = self.shared.service.as_str();
        tracing::info!(service, peer = %self.peer_ip, reason, "an open session is ended");
        let basis = basis(&self.shared, self.certificate.as_deref(), &self.hello);
        self.judgements.judged(ruling, reason, None, basis);
        Reply::new(421, (4, 7, 0), text)
    }
}
