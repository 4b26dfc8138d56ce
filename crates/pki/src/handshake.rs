//! How a handshake ends when it does not succeed.

use std::io;

use mail_types::CertificateClaim;

use crate::judge::Rejection;
use crate::verifier::Verdict;

/// A TLS configuration could not be made: the random source or the provider failed.
#[derive(Debug, thiserror::Error)]
#[error("the TLS configuration cannot be made: {0}")]
pub struct TlsSetupError(#[from] rustls::Error);

/// A handshake that failed. The alert, if any, was sent; the connection is of no further use.
#[derive(Debug, thiserror::Error)]
#[error("the TLS handshake failed: {}", self.cause())]
pub struct HandshakeFailure {
    /// Why the certificate of the peer was refused, if that is what failed.
    pub rejection: Option<Rejection>,
    /// What the certificate that the peer presented says of itself: a claim, for the journal only.
    pub presented: Option<CertificateClaim>,
    /// What the TLS library or the socket reported.
    #[source]
    pub error: io::Error,
}

impl HandshakeFailure {
    /// The cause in words, without the name of the peer.
    pub fn cause(&self) -> String {
        match self.rejection {
            Some(rejection) => rejection.cause().to_owned(),
            None => self.error.to_string(),
        }
    }

    pub(crate) fn from_io(error: io::Error, verdict: Option<Verdict>) -> Self {
        let (rejection, presented) = match verdict {
            Some(verdict) => (verdict.judgement.err(), verdict.presented),
            None => (None, None),
        };
        Self { rejection, presented, error }
    }

    /// For a certificate that is refused although the handshake itself succeeded: the connection is to be dropped.
    pub(crate) fn after(rejection: Rejection, presented: Option<CertificateClaim>) -> Self {
        let error = io::Error::new(io::ErrorKind::PermissionDenied, rejection);
        Self { rejection: Some(rejection), presented, error }
    }

    pub(crate) fn before_any_byte(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::from_io(io::Error::other(error), None)
    }
}
