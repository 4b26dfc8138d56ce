//! LOGIN and AUTHENTICATE PLAIN (RFC 3501 §6.2, RFC 4616, RFC 4959).

use crate::metrics::OutcomeLabel;
use crate::session::Next;
use crate::state::{Answer, Connection, Done, Failure, Login, Who};
use crate::sync::Telling;
use auth::AuthError;
use imap_session::decoder::Limits;
use imap_session::response::{self, Code};
use imap_session::sasl::{self, SaslResponse};
use mail_types::{Principal, Secret};
use std::time::Duration;

/// Logins that fail before the connection is ended.
const FAILURES_MAX: u32 = 5;
/// What the first failure costs; each further one costs twice as much.
const FIRST_DELAY: Duration = Duration::from_millis(250);

const PRIVACY: Failure = Failure::No(Some(Code::PrivacyRequired), "Begin TLS before you send a password");

impl Connection {
    /// LOGIN.
    pub(crate) async fn login(&mut self, username: &str, password: &Secret<String>) -> Answer {
        self.prove("", username, password).await
    }

    /// AUTHENTICATE, with its initial response or up to the challenge.
    pub(crate) async fn authenticate(
        &mut self,
        tag: String,
        mechanism: &str,
        initial: Option<Secret<Vec<u8>>>,
    ) -> Next {
        let answer = match (mechanism, initial) {
            _ if !self.is_secure() => Err(PRIVACY),
            ("PLAIN", Some(response)) => self.plain(&response).await,
            ("PLAIN", None) => {
                self.decoder.expect_response();
                response::continuation(&mut self.wire.out, "");
                self.authenticating = Some(tag);
                return Next::Go;
            }
            _ => Err(Failure::No(None, "Unsupported authentication mechanism")),
        };
        self.finish_login(&tag, answer).await
    }

    /// The line that answers the challenge.
    pub(crate) async fn authenticate_response(&mut self, line: &Secret<Vec<u8>>) -> Next {
        let Some(tag) = self.authenticating.take() else { return self.bad(None, "Nothing was asked") };
        let answer = match sasl::read_response(line.expose()) {
            Some(SaslResponse::Answer(response)) => self.plain(&response).await,
            Some(SaslResponse::Cancelled) => Err(Failure::Bad("Authentication cancelled")),
            None => Err(Failure::Bad("Invalid base64")),
        };
        self.finish_login(&tag, answer).await
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
        let outcome = self.shared.authenticator.password(authzid, authcid, password).await;
        match outcome {
            Ok(principal) => self.enter(principal).await,
            Err(AuthError::Refused) => {
                self.count_login("refused");
                tracing::info!(peer = %self.peer.ip(), "login refused");
                self.failed_logins += 1;
                let doublings = self.failed_logins.min(FAILURES_MAX) - 1;
                tokio::time::sleep(FIRST_DELAY * 2_u32.pow(doublings)).await;
                Err(Failure::No(Some(Code::AuthenticationFailed), "Invalid credentials"))
            }
            Err(AuthError::Unavailable(error)) => {
                self.count_login("unavailable");
                tracing::error!(error, "a login could not be decided");
                Err(Failure::No(Some(Code::Unavailable), "Temporary authentication failure; try again later"))
            }
        }
    }

    async fn enter(&mut self, principal: Principal) -> Answer {
        let key = match self.shared.store.mailbox_key(principal.mailbox).await {
            Ok(key) => key,
            Err(error) => {
                self.count_login("unavailable");
                return Err(error.into());
            }
        };
        self.count_login("ok");
        let who = Who {
            mailbox: principal.mailbox,
            actor: principal.actor.id,
            rights: principal.rights,
            private_seen_of: principal.private_seen.then_some(principal.actor.id),
        };
        self.login = Some(Box::new(Login { who, address: principal.address, key }));
        self.failed_logins = 0;
        self.decoder.set_limits(Limits::authenticated());
        Ok(Done::with(Code::Capability(self.capabilities()), "Logged in"))
    }

    fn count_login(&self, outcome: &'static str) {
        self.shared.metrics.logins.get_or_create(&OutcomeLabel { outcome }).inc();
    }
}
