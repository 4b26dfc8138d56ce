//! LOGIN, AUTHENTICATE PLAIN and AUTHENTICATE EXTERNAL (RFC 3501 §6.2, RFC 4616, RFC 4422 appendix A, RFC 4959), and the way back (RFC 8437).

use crate::enable::Enabled;
use crate::session::Next;
use crate::state::{Answer, Connection, Done, Failure, Login};
use crate::sync::Telling;
use auth::{AuthError, Whence};
use imap_session::decoder::Limits;
use imap_session::response::{self, Code};
use imap_session::sasl::{self, SaslResponse};
use journal::Ruling;
use mail_types::{AuthorizationIdentity, Secret};
use std::time::Duration;
use store::Via;
use tokio::time::Instant;

/// Logins that fail before the connection is ended.
const FAILURES_MAX: u32 = 5;

const NO_CERTIFICATE: Failure =
    Failure::No(Some(Code::AuthenticationFailed), "EXTERNAL needs a TLS client certificate; none was shown");
const NO_PASSWORDS: Failure =
    Failure::No(Some(Code::Cannot), "No passwords here: use EXTERNAL with your certificate, or another port");
const PRIVACY: Failure = Failure::No(Some(Code::PrivacyRequired), "Begin TLS before you send a password");

/// What a client may authenticate with.
#[derive(Clone, Copy)]
pub(crate) enum Mechanism {
    Plain,
    External,
}

/// An AUTHENTICATE whose challenge was sent.
pub(crate) struct Dialogue {
    pub(crate) tag: String,
    mechanism: Mechanism,
}

impl Connection {
    /// LOGIN.
    pub(crate) async fn login(&mut self, username: &str, password: &Secret<String>) -> Answer {
        if self.is_secure() && !self.shared.passwords {
            return Err(NO_PASSWORDS);
        }
        self.prove("", username, password).await
    }

    /// AUTHENTICATE, with its initial response or up to the challenge.
    pub(crate) async fn authenticate(
        &mut self,
        tag: String,
        mechanism: &str,
        initial: Option<Secret<Vec<u8>>>,
    ) -> Next {
        let mechanism = match (mechanism, &self.certificate) {
            _ if !self.is_secure() => Err(PRIVACY),
            ("PLAIN", _) if !self.shared.passwords => Err(NO_PASSWORDS),
            ("PLAIN", _) => Ok(Mechanism::Plain),
            ("EXTERNAL", Some(_)) => Ok(Mechanism::External),
            ("EXTERNAL", None) => Err(NO_CERTIFICATE),
            _ => Err(Failure::No(None, "Unsupported authentication mechanism")),
        };
        let answer = match (mechanism, initial) {
            (Ok(mechanism), None) => {
                self.decoder.expect_response();
                response::continuation(&mut self.wire.out, "");
                self.authenticating = Some(Box::new(Dialogue { tag, mechanism }));
                return Next::Go;
            }
            (Ok(mechanism), Some(response)) => self.respond(mechanism, &response).await,
            (Err(failure), _) => Err(failure),
        };
        self.finish_login(&tag, answer).await
    }

    /// The line that answers the challenge.
    pub(crate) async fn authenticate_response(&mut self, line: &Secret<Vec<u8>>) -> Next {
        let Some(dialogue) = self.authenticating.take() else { return self.bad(None, "Nothing was asked") };
        let Dialogue { tag, mechanism } = *dialogue;
        let read = match mechanism {
            Mechanism::Plain => sasl::read_response(line.expose()),
            Mechanism::External => sasl::read_external_response(line.expose()),
        };
        let answer = match read {
            Some(SaslResponse::Answer(response)) => self.respond(mechanism, &response).await,
            Some(SaslResponse::Cancelled) => Err(Failure::Bad("Authentication cancelled")),
            None => Err(Failure::Bad("Invalid base64")),
        };
        self.finish_login(&tag, answer).await
    }

    async fn respond(&mut self, mechanism: Mechanism, response: &Secret<Vec<u8>>) -> Answer {
        match mechanism {
            Mechanism::Plain => self.plain(response).await,
            Mechanism::External => self.external(response).await,
        }
    }

    async fn finish_login(&mut self, tag: &str, answer: Answer) -> Next {
        let next = self.finish(tag, answer, Telling::default()).await;
        self.end_if_hopeless(next)
    }

    /// The fifth failure ends the connection, after its answer.
    pub(crate) fn end_if_hopeless(&mut self, next: Next) -> Next {
        if self.login.is_none() && self.failed_logins >= FAILURES_MAX {
            return self.bye("Too many failed logins");
        }
        next
    }

    /// RFC 4616: `[authzid] NUL authcid NUL passwd`
    async fn plain(&mut self, response: &Secret<Vec<u8>>) -> Answer {
        const INVALID: Failure = Failure::Bad("Invalid PLAIN response");
        let text = std::str::from_utf8(response.expose()).map_err(|_| INVALID)?;
        let mut parts = text.split('\0');
        let (Some(authzid), Some(authcid), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(INVALID);
        };
        let password = Secret::new(password.to_owned());
        self.prove(authzid, authcid, &password).await
    }

    async fn prove(&mut self, authzid: &str, authcid: &str, password: &Secret<String>) -> Answer {
        if !self.is_secure() {
            return Err(PRIVACY);
        }
        let outcome = self.shared.authenticator.password(self.whence(), authzid, authcid, password).await;
        self.conclude(outcome).await
    }

    /// RFC 4422 appendix A.1: nothing, or whom to act as.
    async fn external(&mut self, response: &Secret<Vec<u8>>) -> Answer {
        let authzid = AuthorizationIdentity::from_octets(response.expose())
            .map_err(|_| Failure::Bad("Invalid authorization identity"))?;
        let Some(shown) = &self.certificate else { return Err(NO_CERTIFICATE) };
        let outcome =
            self.shared.authenticator.certificate(self.whence(), authzid.as_str(), &shown.peer).await;
        let (ruling, reason) = match &outcome {
            Ok(_) => (Ruling::Accepted, "login"),
            Err(error @ (AuthError::Certificate(_) | AuthError::Refused(_))) => {
                (Ruling::Rejected, error.reason())
            }
            Err(error) => (Ruling::Deferred, error.reason()),
        };
        let actor = outcome.as_ref().ok().map(|login| login.principal.actor.id);
        self.note_judgement(ruling, reason, actor);
        self.conclude(outcome).await
    }

    fn whence(&self) -> Whence {
        Whence { via: Via::Imap, ip: self.peer.ip() }
    }

    async fn conclude(&mut self, outcome: Result<auth::Login, AuthError>) -> Answer {
        let error = match outcome {
            Ok(login) => return self.enter(login).await,
            Err(error) => error,
        };
        let failure = match &error {
            AuthError::Refused(_) => Failure::No(Some(Code::AuthenticationFailed), "Invalid credentials"),
            AuthError::Certificate(refusal) => Failure::No(Some(Code::AuthenticationFailed), refusal.text()),
            AuthError::Held(_) => {
                Failure::No(Some(Code::Unavailable), "Too many failed logins; try again later")
            }
            AuthError::Unavailable(error) => {
                tracing::error!(error, "a login could not be decided");
                Failure::No(Some(Code::Unavailable), "Temporary authentication failure; try again later")
            }
        };
        let subject = self.certificate.as_ref().map(|shown| shown.peer.subject.to_string());
        tracing::info!(peer = %self.peer.ip(), subject, reason = error.reason(), "login failed");
        self.failed_logins += u32::from(!matches!(error, AuthError::Unavailable(_)));
        Err(failure)
    }

    /// UNAUTHENTICATE: the connection is what it was before its login. TLS stays, and the certificate that was shown.
    pub(crate) async fn unauthenticate(&mut self) -> Answer {
        self.leave_folder().await;
        self.login = None;
        self.decoder.set_limits(Limits::before_login());
        self.decoder.set_utf8(false);
        self.enabled = Enabled::default();
        self.notify = None;
        self.vigil = self.vigil.take().filter(|_| self.certificate.is_some());
        if let Some(vigil) = self.vigil.as_deref_mut() {
            vigil.set_end(None);
            vigil.ask_again_in(Duration::ZERO);
        }
        // The next login has as long as the first had.
        self.began = Instant::now();
        Ok(Done::with(Code::Capability(self.capabilities()), "UNAUTHENTICATE completed"))
    }

    async fn enter(&mut self, proof: auth::Login) -> Answer {
        let key = self.shared.store.mailbox_key(proof.principal.mailbox).await?;
        self.watch_login(&proof);
        self.login = Some(Box::new(Login { proof, key, opened: Vec::new() }));
        self.failed_logins = 0;
        self.decoder.set_limits(Limits::authenticated());
        Ok(Done::with(Code::Capability(self.capabilities()), "Logged in"))
    }
}
