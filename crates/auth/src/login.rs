//! A login after its beginning: does it still stand?

use crate::certificate::CertificateRefusal;
use crate::{AuthError, Authenticator, unavailable};
use mail_types::{PeerIdentity, Principal};
use std::time::Duration;
use store::{LoginActor, LoginMailbox, Revision};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// Between two looks at the revision of the directory: another process may have changed it.
const EVERY: Duration = Duration::from_secs(2);

/// What proved the actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    /// The application password of this row.
    Password(i64),
    /// The certificate of the connection.
    Certificate,
}

/// A login that succeeded: who acts, and what that rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Who, in which mailbox, with what rights.
    pub principal: Principal,
    credential: Credential,
    /// The revision of the directory under which it was found to stand.
    revision: u64,
}

impl Login {
    pub(crate) fn new(
        mailbox: &LoginMailbox,
        actor: &LoginActor,
        credential: Credential,
        revision: u64,
    ) -> Self {
        let principal = Principal {
            actor: actor.actor,
            mailbox: mailbox.id,
            address: mailbox.address.clone(),
            kind: mailbox.kind,
            rights: actor.rights,
            may_send: actor.may_send,
            private_seen: mailbox.private_seen,
        };
        Self { principal, credential, revision }
    }

    /// The row of the application password that proved the actor, if one did.
    pub fn password(&self) -> Option<i64> {
        match self.credential {
            Credential::Password(password) => Some(password),
            Credential::Certificate => None,
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
                let revision = revision.unsigned_abs();
                self.directory.send_if_modified(|known| std::mem::replace(known, revision) != revision);
            }
        }
    }

    pub(crate) fn revision(&self) -> u64 {
        *self.directory.borrow()
    }

    /// Whether the directory changed since the login was last found to stand. It costs nothing to ask.
    pub fn may_have_changed(&self, login: &Login) -> bool {
        login.revision != self.revision()
    }

    /// Asks whether a login still stands: the password or a rule for the certificate, the grant, the mailbox. Its rights become those of now.
    /// `peer` is the certificate of the connection, as it was judged last.
    ///
    /// # Errors
    /// As at a login: it no longer stands, or nobody can say.
    pub async fn still_stands(
        &self,
        login: &mut Login,
        peer: Option<&PeerIdentity>,
    ) -> Result<(), AuthError> {
        let stands = match (login.credential, peer) {
            (Credential::Certificate, Some(peer)) => {
                self.certificate(&login.principal.address.canonical(), peer).await?
            }
            (Credential::Certificate, None) => {
                return Err(AuthError::Certificate(CertificateRefusal::NoRule));
            }
            (Credential::Password(password), _) => self.by_password(login, password).await?,
        };
        let (was, is) = (&login.principal, &stands.principal);
        if (was.actor, was.mailbox) != (is.actor, is.mailbox) {
            return Err(AuthError::Refused);
        }
        *login = stands;
        Ok(())
    }

    /// The login as the password of that row would give it now.
    async fn by_password(&self, login: &Login, password: i64) -> Result<Login, AuthError> {
        let (revision, now) = (self.revision(), self.store.now());
        let (actor, address) = (login.principal.actor.id, login.principal.address.canonical());
        let mailbox = self.store.login_mailbox(&address, now).await.map_err(unavailable)?;
        let mailbox = mailbox.and_then(|mailbox| self.opened(mailbox));
        let mailbox = mailbox.ok_or(AuthError::Refused)?;
        let candidate = mailbox.actors.iter().find(|candidate| candidate.actor.id == actor);
        let candidate = candidate.ok_or(AuthError::Refused)?;
        let passwords = self.store.application_passwords(actor, now).await.map_err(unavailable)?;
        if !passwords.iter().any(|known| known.id == password) {
            return Err(AuthError::Refused);
        }
        Ok(Login::new(&mailbox, candidate, Credential::Password(password), revision))
    }
}
