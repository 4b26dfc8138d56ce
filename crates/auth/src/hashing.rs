//! Slow hashes, off the async threads, a bounded number at a time.

use crate::{AuthError, Authenticator, password};
use mail_types::Secret;
use store::HashedPassword;
use tokio::sync::OwnedSemaphorePermit;

impl Authenticator {
    /// Compares off the async threads. Without a hash the same work is done and the answer is no.
    pub(crate) async fn verify(
        &self,
        hash: Option<String>,
        password: &Secret<String>,
        is_known: bool,
    ) -> Result<bool, AuthError> {
        let permit = self.hashing_permit(is_known).await?;
        self.metrics.compared.inc();
        let password = password.clone();
        let verified = tokio::task::spawn_blocking(move || {
            // The place is taken for as long as the work lasts.
            let _permit = permit;
            password::verify(hash.as_deref(), &password)
        });
        verified.await.map_err(|_| AuthError::Unavailable("password hashing failed".to_owned()))
    }

    /// Hashes a new application password, among no more at a time than logins are compared.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`]: it could not be hashed.
    pub async fn hash_new_password(&self, password: &Secret<String>) -> Result<HashedPassword, AuthError> {
        let permit = self.hashing_permit(false).await?;
        let password = password.clone();
        let hashed = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            password::hash_password(&password)
        });
        let hashed = hashed.await.ok().and_then(Result::ok);
        hashed.ok_or_else(|| AuthError::Unavailable("password hashing failed".to_owned()))
    }

    /// Whoever comes from a known address has a place that no other takes.
    async fn hashing_permit(&self, is_known: bool) -> Result<OwnedSemaphorePermit, AuthError> {
        let permit = if is_known {
            tokio::select! {
                permit = self.hashing.clone().acquire_owned() => permit,
                permit = self.hashing_known.clone().acquire_owned() => permit,
            }
        } else {
            self.hashing.clone().acquire_owned().await
        };
        permit.map_err(|_| AuthError::Unavailable("closing".to_owned()))
    }
}
