//! The answer about our own certificate, to be shown to clients in the handshake (RFC 6066 §8, RFC 8446 §4.4.2.1).

use mail_types::Timestamp;
use rustls_pki_types::UnixTime;

use super::answer::{CertificateStatus, OcspFault};
use super::client::fetch;
use super::query::RevocationQuery;
use crate::judge::{Rejection, Usage};
use crate::own::OwnIdentity;
use crate::trust::Trust;

/// Why there is no answer to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StapleError {
    /// Our own certificate does not stand: nobody is asked about it.
    #[error("our certificate does not stand: {0}")]
    NotTrusted(#[from] Rejection),
    /// No answer that counts.
    #[error("no OCSP answer about our certificate: {0}")]
    NoAnswer(#[from] OcspFault),
    /// The responder says that it is revoked. An earlier answer is shown no more.
    #[error("the OCSP responder says that our certificate is revoked; ask for another one and replace it")]
    Revoked,
}

/// Asks after our own certificate and has `identity` show the answer from the next handshake on. Gives the instant until which the answer counts; past it, the
/// identity shows none by itself.
pub async fn refresh_staple(
    identity: &OwnIdentity,
    trust: &Trust,
    query: &dyn RevocationQuery,
) -> Result<Timestamp, StapleError> {
    let snapshot = trust.load();
    let question = identity.judged(&snapshot, Usage::Server, UnixTime::now())?.question;
    let question = question.ok_or(OcspFault::NoResponder)?;
    let (answer, bytes) = fetch(query, &question, &snapshot).await?;
    match answer.status {
        CertificateStatus::Good => {
            identity.show(bytes, answer.until);
            Ok(answer.until)
        }
        CertificateStatus::Revoked => {
            identity.show(Vec::new(), answer.until);
            Err(StapleError::Revoked)
        }
    }
}
