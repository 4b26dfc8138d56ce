//! From a claimed name and a proof, a secret or a certificate, to a [`Login`].
//!
//! The SASL name selects a mailbox, the password or the certificate proves an actor, ownership or a grant joins the two. A name proves nothing:
//! without a password that is someone's or a certificate that is some application's, nobody is anybody. Hashing (Argon2id) runs off the async
//! threads, a bounded number at a time; that a password was verified is remembered for a short while under a keyed hash of name *and* secret,
//! never of the name alone, and only saves the hashing: what was revoked since is refused at once. A refused login costs the same whether the name exists or not.
//!
//! It knows no socket and no protocol; what a login may then do is `policy`'s matter.
#![warn(missing_docs)]

mod cache;
mod certificate;
mod login;
mod password;

pub use certificate::CertificateRefusal;
pub use login::Login;
pub use password::{PasswordError, hash_password};

use cache::{Cache, Proof};
use login::Credential;
use mail_types::{LifeCycle, Secret};
use std::sync::Arc;
use store::{LoginActor, LoginMailbox, Store};
use tokio::sync::{Semaphore, watch};

/// Why a login was refused. The client hears the same sentence for [`AuthError::Refused`] whatever the cause.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Unknown name, wrong secret, or a mailbox out of service.
    #[error("refused")]
    Refused,
    /// A certificate that is good and opens no mailbox, or not the one that was named. Whoever shows it may know why.
    #[error("refused: {0}")]
    Certificate(CertificateRefusal),
    /// The store, the hashing or the revocation lists could not answer: try again later.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

/// Verifies credentials against the store.
#[derive(Clone, Debug)]
pub struct Authenticator {
    store: Store,
    cache: Arc<Cache>,
    hashing: Arc<Semaphore>,
    /// The revision of the directory, as it was read last.
    directory: Arc<watch::Sender<u64>>,
    /// What a mailbox that is not in service gives.
    life_cycle: LifeCycle,
}

impl Authenticator {
    /// An authenticator that hashes at most `concurrency` passwords at one time.
    pub fn new(store: Store, concurrency: usize) -> Self {
        let hashing = Arc::new(Semaphore::new(concurrency.max(1)));
        Self {
            store,
            cache: Arc::new(Cache::new()),
            hashing,
            directory: Arc::new(watch::Sender::new(0)),
            life_cycle: LifeCycle::default(),
        }
    }

    /// The same, with other rules for mailboxes that are not in service.
    pub fn with_life_cycle(self, life_cycle: LifeCycle) -> Self {
        Self { life_cycle, ..self }
    }

    /// The mailbox as its state lets it be used; `None` when nobody may open it.
    pub(crate) fn opened(&self, mut mailbox: LoginMailbox) -> Option<LoginMailbox> {
        let rule = self.life_cycle.of(mailbox.status);
        mailbox.actors.iter_mut().for_each(|actor| actor.may_send &= rule.send);
        rule.login.then_some(mailbox)
    }

    /// Verifies an application password. `authzid`, when not empty, must select the same mailbox as the name.
    ///
    /// # Errors
    /// [`AuthError::Refused`], or [`AuthError::Unavailable`] when it could not be decided.
    pub async fn password(
        &self,
        authzid: &str,
        name: &str,
        password: &Secret<String>,
    ) -> Result<Login, AuthError> {
        let revision = self.revision();
        let selected = if authzid.is_empty() { name } else { authzid };
        let now = self.store.now();
        let mailbox = self.store.login_mailbox(selected, now).await.map_err(unavailable)?;
        let Some(mailbox) = mailbox.and_then(|mailbox| self.opened(mailbox)) else {
            self.verify(None, password).await?;
            return Err(AuthError::Refused);
        };
        if !authzid.is_empty() && !self.same_mailbox(&mailbox, name).await? {
            self.verify(None, password).await?;
            return Err(AuthError::Refused);
        }
        if let Some(proof) = self.cache.find(selected, name, password, now)
            && let Some(actor) = self.still_proven(&mailbox, proof).await?
        {
            return Ok(Login::new(&mailbox, &actor, Credential::Password(proof.password), revision));
        }
        let (actor, proof) = self.prove(&mailbox, password).await?;
        self.cache.insert(selected, name, password, proof, now);
        Ok(Login::new(&mailbox, &actor, Credential::Password(proof.password), revision))
    }

    /// The actor of a remembered proof, if they may still log in to the mailbox and the password is still in force.
    async fn still_proven(
        &self,
        mailbox: &LoginMailbox,
        proof: Proof,
    ) -> Result<Option<LoginActor>, AuthError> {
        let Some(actor) = mailbox.actors.iter().find(|actor| actor.actor.id == proof.actor) else {
            return Ok(None);
        };
        let passwords =
            self.store.application_passwords(proof.actor, self.store.now()).await.map_err(unavailable)?;
        Ok(passwords.iter().any(|password| password.id == proof.password).then(|| actor.clone()))
    }

    /// Whether the authentication name leads to the mailbox that the authorization name selected.
    async fn same_mailbox(&self, mailbox: &LoginMailbox, name: &str) -> Result<bool, AuthError> {
        let other = self.store.login_mailbox(name, self.store.now()).await.map_err(unavailable)?;
        Ok(other.is_some_and(|other| other.id == mailbox.id))
    }

    /// The actor of the mailbox whose password this is.
    async fn prove(
        &self,
        mailbox: &LoginMailbox,
        password: &Secret<String>,
    ) -> Result<(LoginActor, Proof), AuthError> {
        let mut is_tried = false;
        for candidate in &mailbox.actors {
            let actor = candidate.actor.id;
            for known in
                self.store.application_passwords(actor, self.store.now()).await.map_err(unavailable)?
            {
                is_tried = true;
                if self.verify(Some(known.hash), password).await? {
                    return Ok((candidate.clone(), Proof { actor, password: known.id }));
                }
            }
        }
        if !is_tried {
            self.verify(None, password).await?;
        }
        Err(AuthError::Refused)
    }

    /// Compares off the async threads. Without a hash the same work is done and the answer is no.
    async fn verify(&self, hash: Option<String>, password: &Secret<String>) -> Result<bool, AuthError> {
        let _permit =
            self.hashing.acquire().await.map_err(|_| AuthError::Unavailable("closing".to_owned()))?;
        let password = password.clone();
        tokio::task::spawn_blocking(move || password::verify(hash.as_deref(), &password))
            .await
            .map_err(|_| AuthError::Unavailable("password hashing failed".to_owned()))
    }
}

fn unavailable(error: store::Error) -> AuthError {
    AuthError::Unavailable(error.to_string())
}
