//! What a responder answered, believed only after its signature, its dates and its subject were checked (RFC 6960 §3.2).

use mail_types::Timestamp;
use x509_cert::der::Decode;
use x509_ocsp::{
    BasicOcspResponse, CertStatus, OcspGeneralizedTime, OcspResponse, OcspResponseStatus, SingleResponse,
};

use super::question::{NONCE, OcspQuestion};
use super::responder;
use crate::authority::Signed;
use crate::snapshot::TrustSnapshot;

/// How far the responder's clock may be from ours.
const CLOCK_SKEW_SECS: i64 = 300;
/// Age at which an answer without nextUpdate says nothing any more.
const AGE_MAX_SECS: i64 = 3_600;
/// Whether an answer must repeat the nonce of its request. Responders that sign their answers beforehand do not (RFC 6960 §4.4.1, RFC 5019), so the
/// dates alone bound a replay. An answer with *another* nonce is refused in either case.
const NONCE_REQUIRED: bool = false;

/// id-pkix-ocsp-basic, the one kind of answer (RFC 6960 §4.2.1).
const BASIC: &str = "1.3.6.1.5.5.7.48.1.1";

/// What an answer says of its certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CertificateStatus {
    /// It is not revoked.
    Good,
    /// It is revoked, for ever or for the time being (certificateHold).
    Revoked,
}

/// An answer that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OcspAnswer {
    pub(crate) status: CertificateStatus,
    /// Its nextUpdate, or the instant at which it is too old without one.
    pub(crate) until: Timestamp,
    /// Whether it says itself until when it counts.
    pub(crate) has_next_update: bool,
}

/// Why nothing is known of a certificate by OCSP. Each is temporary, or repaired by those who run the responder: never a reason for a permanent refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.cause())]
pub enum OcspFault {
    /// The certificate has no OCSP address (RFC 5280 §4.2.2.1).
    NoResponder,
    /// No connection, no answer in time, an HTTP error, or an answer over the bound.
    Unreachable,
    /// The responder says tryLater.
    TryLater,
    /// The responder says malformedRequest.
    RequestRefused,
    /// The responder says internalError.
    InternalError,
    /// The responder says sigRequired: it answers signed requests only.
    SignatureRequired,
    /// The responder says unauthorized: it does not answer for this authority.
    Unauthorized,
    /// Not an OCSPResponse of the basic kind.
    Malformed,
    /// The answer is about other certificates.
    OtherCertificate,
    /// Neither the issuer nor a certificate of the answer made the signature.
    BadSignature,
    /// Who signed may not: not issued by the issuer, without OCSPSigning, or out of its dates.
    ResponderNotAuthorised,
    /// Who signed is revoked.
    ResponderRevoked,
    /// Who signed has no ocsp-nocheck, and no current list says that it is not revoked.
    ResponderInDoubt,
    /// Made or valid in the future.
    FromTheFuture,
    /// Past its nextUpdate, or too old without one.
    Outdated,
    /// It repeats another nonce than the one that was sent.
    OtherNonce,
    /// The responder does not know the certificate.
    CertificateUnknown,
}

impl OcspFault {
    /// One word for a metric's label.
    pub fn word(self) -> &'static str {
        match self {
            Self::NoResponder => "no_responder",
            Self::Unreachable => "unreachable",
            Self::TryLater => "try_later",
            Self::RequestRefused => "malformed_request",
            Self::InternalError => "internal_error",
            Self::SignatureRequired => "sig_required",
            Self::Unauthorized => "unauthorized",
            Self::Malformed => "malformed",
            Self::OtherCertificate => "other_certificate",
            Self::BadSignature => "bad_signature",
            Self::ResponderNotAuthorised => "responder_not_authorised",
            Self::ResponderRevoked => "responder_revoked",
            Self::ResponderInDoubt => "responder_in_doubt",
            Self::FromTheFuture => "from_the_future",
            Self::Outdated => "outdated",
            Self::OtherNonce => "other_nonce",
            Self::CertificateUnknown => "certificate_unknown",
        }
    }

    /// The cause in words, for the log and the journal.
    pub fn cause(self) -> &'static str {
        match self {
            Self::NoResponder => "the certificate names no OCSP responder",
            Self::Unreachable => "the OCSP responder does not answer",
            Self::TryLater => "the OCSP responder says to try later",
            Self::RequestRefused => "the OCSP responder finds our request malformed",
            Self::InternalError => "the OCSP responder has an internal error",
            Self::SignatureRequired => "the OCSP responder answers signed requests only",
            Self::Unauthorized => "the OCSP responder does not answer for this authority",
            Self::Malformed => "the OCSP answer cannot be read",
            Self::OtherCertificate => "the OCSP answer is about another certificate",
            Self::BadSignature => "the OCSP answer is not signed by the issuer or its responder",
            Self::ResponderNotAuthorised => {
                "the OCSP answer is signed by a certificate that may not answer for the issuer"
            }
            Self::ResponderRevoked => "the certificate of the OCSP responder is revoked",
            Self::ResponderInDoubt => "no current revocation list speaks of the OCSP responder's certificate",
            Self::FromTheFuture => "the OCSP answer is dated in the future",
            Self::Outdated => "the OCSP answer is past its date",
            Self::OtherNonce => "the OCSP answer is to another request",
            Self::CertificateUnknown => "the OCSP responder does not know the certificate",
        }
    }
}

impl OcspAnswer {
    /// Reads the answer to `question`. `nonce` is what was sent; `None` for an answer that we did not ask for, such as a stapled one.
    pub(crate) fn read(
        bytes: &[u8],
        question: &OcspQuestion,
        nonce: Option<&[u8]>,
        trust: &TrustSnapshot,
        now: Timestamp,
    ) -> Result<Self, OcspFault> {
        let basic = basic_response(bytes)?;
        let answer = BasicOcspResponse::from_der(&basic).map_err(|_| OcspFault::Malformed)?;
        let (signed, rest) = Signed::read_start(&basic).ok_or(OcspFault::Malformed)?;
        responder::check(&signed, rest, question, trust, now)?;
        check_nonce(&answer, nonce)?;
        if secs(&answer.tbs_response_data.produced_at) > now.secs() + CLOCK_SKEW_SECS {
            return Err(OcspFault::FromTheFuture);
        }
        let single =
            answer.tbs_response_data.responses.iter().find(|single| question.is_meant_by(&single.cert_id));
        Self::from_single(single.ok_or(OcspFault::OtherCertificate)?, now)
    }

    fn from_single(single: &SingleResponse, now: Timestamp) -> Result<Self, OcspFault> {
        let this_update = secs(&single.this_update);
        let next_update = single.next_update.as_ref().map(secs);
        let until = next_update.unwrap_or(this_update + AGE_MAX_SECS);
        if this_update > now.secs() + CLOCK_SKEW_SECS {
            return Err(OcspFault::FromTheFuture);
        }
        if until + CLOCK_SKEW_SECS < now.secs() {
            return Err(OcspFault::Outdated);
        }
        let status = match single.cert_status {
            CertStatus::Good(_) => CertificateStatus::Good,
            CertStatus::Revoked(_) => CertificateStatus::Revoked,
            CertStatus::Unknown(_) => return Err(OcspFault::CertificateUnknown),
        };
        Ok(Self { status, until: Timestamp::from_secs(until), has_next_update: next_update.is_some() })
    }
}

/// The BasicOCSPResponse within an answer that says it was successful.
fn basic_response(bytes: &[u8]) -> Result<Vec<u8>, OcspFault> {
    let response = OcspResponse::from_der(bytes).map_err(|_| OcspFault::Malformed)?;
    match response.response_status {
        OcspResponseStatus::Successful => {}
        OcspResponseStatus::MalformedRequest => return Err(OcspFault::RequestRefused),
        OcspResponseStatus::InternalError => return Err(OcspFault::InternalError),
        OcspResponseStatus::TryLater => return Err(OcspFault::TryLater),
        OcspResponseStatus::SigRequired => return Err(OcspFault::SignatureRequired),
        OcspResponseStatus::Unauthorized => return Err(OcspFault::Unauthorized),
    }
    let response = response.response_bytes.ok_or(OcspFault::Malformed)?;
    if response.response_type.to_string() != BASIC {
        return Err(OcspFault::Malformed);
    }
    Ok(response.response.into_bytes())
}

fn check_nonce(answer: &BasicOcspResponse, sent: Option<&[u8]>) -> Result<(), OcspFault> {
    let Some(sent) = sent else { return Ok(()) };
    let extensions = answer.tbs_response_data.response_extensions.as_deref().unwrap_or_default();
    if !extensions.iter().any(|extension| extension.extn_id == NONCE) {
        return if NONCE_REQUIRED { Err(OcspFault::OtherNonce) } else { Ok(()) };
    }
    match answer.nonce() {
        Some(nonce) if nonce.0.as_bytes() == sent => Ok(()),
        _ => Err(OcspFault::OtherNonce),
    }
}

fn secs(time: &OcspGeneralizedTime) -> i64 {
    i64::try_from(time.0.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
}
