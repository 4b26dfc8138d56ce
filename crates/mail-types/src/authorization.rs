//! Whom a client that proved itself wants to act as.

/// Octets of the longest one: a local part of 64, `@`, a domain of 255 (RFC 5321 §4.5.3.1).
const LENGTH_MAX: usize = 320;

/// Why octets are no authorization identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an authorization identity is at most 320 octets of UTF-8 without control characters")]
pub struct AuthorizationIdentityError;

/// The authorization identity of SASL EXTERNAL (RFC 4422 appendix A.1), as the client wrote it; empty when it leaves the choice to us.
///
/// A wish, which proves nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthorizationIdentity(String);

impl AuthorizationIdentity {
    /// Reads a response of EXTERNAL.
    ///
    /// # Errors
    /// Not UTF-8, control characters (NUL among them), or too long.
    pub fn from_octets(octets: &[u8]) -> Result<Self, AuthorizationIdentityError> {
        let text = std::str::from_utf8(octets).map_err(|_| AuthorizationIdentityError)?;
        if text.len() > LENGTH_MAX || text.chars().any(char::is_control) {
            return Err(AuthorizationIdentityError);
        }
        Ok(Self(text.to_owned()))
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_is_refused() {
        let read = AuthorizationIdentity::from_octets;
        assert_eq!(read(b"").unwrap().as_str(), "");
        assert_eq!(read("é@x".as_bytes()).unwrap().as_str(), "é@x");
        assert!(read(&[b'a'; 320]).is_ok());
        for bad in [&[b'a'; 321][..], b"a\0b", b"\0", b"a\r\n", b"\xff\xfe", b"\x7f"] {
            assert_eq!(read(bad), Err(AuthorizationIdentityError), "{bad:?}");
        }
    }
}
