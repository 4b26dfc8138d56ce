//! Argon2id.

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use mail_types::Secret;
use store::HashedPassword;

/// A password that is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Fewer than six or more than 256 octets.
    #[error("a password has 6 to 256 characters")]
    Length,
    /// The hash could not be computed.
    #[error("the password could not be hashed")]
    Hash,
}

/// Hashes a new application password (Argon2id, 19 MiB, two passes: the parameters that OWASP recommends).
///
/// # Errors
/// [`PasswordError::Length`] or [`PasswordError::Hash`].
pub fn hash_password(password: &Secret<String>) -> Result<HashedPassword, PasswordError> {
    let octets = password.expose().as_bytes();
    if !(6..=256).contains(&octets.len()) {
        return Err(PasswordError::Length);
    }
    let hash = Argon2::default().hash_password(octets).map_err(|_| PasswordError::Hash)?;
    Ok(HashedPassword::new(password.clone(), hash.to_string()))
}

/// A hash of no password, for names that do not exist.
const DECOY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Whether the password has this hash. Without a hash: no, after the same work.
pub(crate) fn verify(hash: Option<&str>, password: &Secret<String>) -> bool {
    let Ok(parsed) = PasswordHash::new(hash.unwrap_or(DECOY)) else { return false };
    Argon2::default().verify_password(password.expose().as_bytes(), &parsed).is_ok() && hash.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_password_verifies() {
        let hashed = hash_password(&Secret::new("correct horse".to_owned())).unwrap();
        let hash = hashed.hash();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(verify(Some(hash), &Secret::new("correct horse".to_owned())));
        assert!(!verify(Some(hash), &Secret::new("wrong horse".to_owned())));
        assert!(!verify(None, &Secret::new("correct horse".to_owned())));
    }

    #[test]
    fn the_decoy_parses_so_that_it_costs_the_same() {
        assert!(PasswordHash::new(DECOY).is_ok());
    }
}
