//! A login after its beginning: does it still stand?

use crate::certificate::CertificateRefusal;
use crate::{AuthError, Authenticator, Unproven, unavailable};
use mail_types::{PeerIdentity, Principal, Timestamp};
use std::time::Duration;
use store::{ApplicationPassword, LoginActor, LoginMailbox, Revision};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// Between two looks at the revision of the directory: another process may have changed it.
const EVERY: Duration = Duration::from_secs(1);

/// For how long a login by password is not asked about when nothing changed that concerns it.
pub(crate) const PASSWORD_STANDS_MS: i64 = 3_000_000;
/// The same by certificate.
const CERTIFICATE_STANDS_MS: i64 = 50_000;

/// What proved the actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    /// The application password of this row.
    Password(i64),
    /// The certificate of the connection.
    Certificate,
}

/// Under which revision of the directory something was asked of the store, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) revision: u64,
    pub(crate) at: Timestamp,
}

/// A login that succeeded: who acts, and what that rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Who, in which mailbox, with what rights.
    pub principal: Principal,
    credential: Credential,
    /// When it was found to stand; the revision is that up to which nothing concerned it since.
    asked: Asked,
    /// The first date at which something that it rests on ends.
    until: Option<Timestamp>,
}

impl Login {
    pub(crate) fn new(
        mailbox: &LoginMailbox,
        actor: &LoginActor,
        credential: Credential,
        asked: Asked,
    ) -> Self {
        let principal = Principal {
            actor: actor.actor,
            mailbox: mailbox.id,
            address: mailbox.address.clone(),
            kind: mailbox.kind,
            rights: actor.rights,
            may_send: actor.may_send,
            private_seen: mailbox.private_seen,
            is_holder: actor.is_holder,
            only_here: false,
        };
        Self { principal, credential, asked, until: actor.until }
    }

    /// The same, with a password that opens all that its actor may, or one mailbox only.
    pub(crate) fn with_password(mut self, password: &ApplicationPassword) -> Self {
        self.principal.only_here = password.mailbox.is_some();
        self.until(password.expires_at)
    }

    pub(crate) fn asked(&self) -> Asked {
        self.asked
    }

    /// The same, not longer than until then.
    pub(crate) fn until(self, date: Option<Timestamp>) -> Self {
        let dates = [self.until, date];
        Self { until: dates.into_iter().flatten().min(), ..self }
    }

    /// What proved the actor, as [`store::Act::credential`] has it; `peer` is the certificate of the connection.
    pub fn credential_name(&self, peer: Option<&PeerIdentity>) -> Option<String> {
        match self.credential {
            Credential::Password(password) => Some(format!("password:{password}")),
            Credential::Certificate => peer.map(PeerIdentity::credential),
        }
    }

    /// Whether the certificate of the connection is what proved the actor.
    pub fn is_by_certificate(&self) -> bool {
        self.credential == Credential::Certificate
    }
}

impl Authenticator {
    /// A number that is another one after each change that took something away from somebody: a password, a rule, a grant, a mailbox.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.directory.subscribe()
    }

    /// Follows the directory for as long as it is polled; [`Authenticator::changes`] tells what it sees. One task of a process does this.
    pub async fn follow(&self) {
        let mut every = interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            // A database that does not answer is told of elsewhere; what changed meanwhile is seen when it does.
            if let Ok(revision) = self.store.revision(Revision::Directory).await {
                self.directory_is_at(revision).await;
            }
        }
    }

    async fn directory_is_at(&self, revision: i64) {
        let (known, is_at) = (self.revision(), revision.unsigned_abs());
        if known == is_at {
            return;
        }
        let concerns = match i64::try_from(known) {
            Ok(known) if known > 0 => self.store.directory_concerns(known, revision).await.ok().flatten(),
            _ => None,
        };
        // Before anybody asks because of them.
        self.moves.learn(is_at, concerns);
        self.directory.send_replace(is_at);
    }

    pub(crate) fn revision(&self) -> u64 {
        *self.directory.borrow()
    }

    /// What is asked of the store from now on is asked under this.
    pub(crate) fn asking(&self) -> Asked {
        Asked { revision: self.revision(), at: self.store.now() }
    }

    /// Whether the directory changed since the login was last found to stand, or a date passed. It costs nothing to ask.
    pub fn may_have_changed(&self, login: &Login) -> bool {
        login.asked.revision != self.revision() || login.until.is_some_and(|until| until <= self.store.now())
    }

    /// In how long something ends that the login rests on, if anything does.
    pub fn ends_in(&self, login: &Login) -> Option<Duration> {
        let left = login.until?.0.saturating_sub(self.store.now().0).max(0);
        Some(Duration::from_millis(left.unsigned_abs()))
    }

    /// Asks whether a login still stands: the password or a rule for the certificate, the grant, the mailbox. Its rights become those of now.
    /// `peer` is the certificate of the connection, as it was judged last. The store is asked only where something changed that may concern the
    /// login, or nothing did and it is time: one change makes few of very many sessions ask.
    ///
    /// # Errors
    /// As at a login: it no longer stands, or nobody can say.
    pub async fn still_stands(
        &self,
        login: &mut Login,
        peer: Option<&PeerIdentity>,
    ) -> Result<(), AuthError> {
        let now = self.asking();
        if login.asked.revision != now.revision && self.is_not_concerned(login, now) {
            login.asked.revision = now.revision;
            return Ok(());
        }
        self.metrics.asked_again.inc();
        let stands = match (login.credential, peer) {
            (Credential::Certificate, Some(peer)) => {
                self.by_certificate(&login.principal.address.canonical(), peer).await?
            }
            (Credential::Certificate, None) => {
                return Err(AuthError::Certificate(CertificateRefusal::NoRule));
            }
            (Credential::Password(password), _) => self.by_password(login, password).await?,
        };
        let (was, is) = (&login.principal, &stands.principal);
        if (was.actor, was.mailbox) != (is.actor, is.mailbox) {
            return Err(AuthError::Refused(Unproven::Credentials));
        }
        *login = stands;
        Ok(())
    }

    /// Whether a login was asked about lately, no date passed, and no change since concerns it.
    fn is_not_concerned(&self, login: &Login, now: Asked) -> bool {
        let lately = match login.credential {
            Credential::Password(_) => PASSWORD_STANDS_MS,
            Credential::Certificate => CERTIFICATE_STANDS_MS,
        };
        (0..lately).contains(&(now.at.0 - login.asked.at.0))
            && login.until.is_none_or(|until| until > now.at)
            && !self.moves.may_concern(&login.principal, login.asked.revision)
    }

    /// The login as the password of that row would give it now.
    async fn by_password(&self, login: &Login, password: i64) -> Result<Login, AuthError> {
        let (asked, now) = (self.asking(), self.store.now());
        let (actor, address) = (login.principal.actor.id, login.principal.address.canonical());
        let mailbox = self.store.login_mailbox(&address, now).await.map_err(unavailable)?;
        let mailbox = mailbox
            .and_then(|mailbox| self.opened(mailbox))
            .ok_or(AuthError::Refused(Unproven::Credentials))?;
        let candidate = mailbox.actors.iter().find(|candidate| candidate.actor.id == actor);
        let candidate = candidate.ok_or(AuthError::Refused(Unproven::Credentials))?;
        let known = self.password_of(&mailbox, actor, password).await?;
        let known = known.ok_or(AuthError::Refused(Unproven::Credentials))?;
        Ok(Login::new(&mailbox, candidate, Credential::Password(password), asked).with_password(&known))
    }
}
