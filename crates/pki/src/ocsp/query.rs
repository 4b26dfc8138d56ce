//! The port through which a responder is asked.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// Octets of the longest answer that is read: an answer about one certificate with the responder's own certificate takes two to four thousand.
pub const OCSP_ANSWER_MAX: usize = 64 * 1024;

/// How long a responder is waited for, connection included.
pub const OCSP_TIME_MAX: Duration = Duration::from_secs(5);

/// Carries a request to an OCSP responder over HTTP (RFC 6960 appendix A.1).
///
/// Implemented by a crate that has an HTTP client. What it returns is believed because of its signature, so plain `http` is as good as `https`.
pub trait RevocationQuery: Send + Sync + Debug {
    /// Sends `request` to `url` by POST with `Content-Type: application/ocsp-request` and returns the body of a 200 answer.
    ///
    /// A body longer than [`OCSP_ANSWER_MAX`] is an error and is not read to its end. Any other status, scheme or failure is an error too, in words for
    /// the log. Redirects are not followed. The caller sets the time limit [`OCSP_TIME_MAX`] and drops the future when it is past.
    fn post(&self, url: String, request: Vec<u8>) -> RevocationAnswer<'_>;
}

/// What [`RevocationQuery::post`] gives: the octets of an OCSPResponse, or why there are none.
pub type RevocationAnswer<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send + 'a>>;
