//! Members of bodies and parameters that several resources read alike.

use crate::instant::Instant;
use crate::problem::{Code, Problem};
use mail_types::Timestamp;
use pki::CertificateFileError;
use serde::Serialize;
use utoipa::ToSchema;

/// Octets of a reason.
const REASON_MAX: usize = 500;

/// The id of a path.
pub(super) fn id(text: &str) -> Result<i64, Problem> {
    text.parse().ok().filter(|id| *id > 0).ok_or(Problem::new(Code::NotFound))
}

/// The instant of a member `until`, if it is given; one that is past would change nothing.
pub(super) fn until(at: Option<Instant>, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
    match at {
        Some(Instant(at)) if at <= now => Err(Problem::invalid(
            "/until",
            "is in the past: nothing would change",
            "est passé : rien ne changerait",
        )),
        at => Ok(at.map(|Instant(at)| at)),
    }
}

/// A reason that says something.
pub(super) fn said<'a>(text: &'a str, pointer: &str) -> Result<&'a str, Problem> {
    let trimmed = text.trim();
    let is_fine = (1..=REASON_MAX).contains(&trimmed.len()) && !trimmed.chars().any(char::is_control);
    is_fine.then_some(trimmed).ok_or_else(|| {
        Problem::invalid(
            pointer,
            format!("must be of 1 to {REASON_MAX} octets without control characters"),
            format!("doit être de 1 à {REASON_MAX} octets sans caractères de contrôle"),
        )
    })
}

/// A certificate that a member `certificate` does not hold.
pub(super) fn malformed_certificate(fault: CertificateFileError) -> Problem {
    let french = match fault {
        CertificateFileError::Empty => "ne contient pas de certificat (BEGIN CERTIFICATE)",
        CertificateFileError::Malformed => "ce certificat est illisible",
    };
    Problem::invalid("/certificate", fault.to_string(), french)
}

/// A job that was taken on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StartedJob {
    /// Its id.
    #[schema(example = "17")]
    id: String,
    /// `queued`.
    state: String,
}

/// What a job found, as it is kept.
pub(super) fn finding(value: &impl Serialize) -> Result<serde_json::Value, Problem> {
    serde_json::to_value(value).map_err(|_| Problem::new(Code::Internal))
}

/// In hexadecimal.
pub(super) fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// From hexadecimal.
pub(super) fn octets(digits: &str) -> Option<Vec<u8>> {
    let octet = |pair: &[u8]| match pair {
        [_, _] => u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok(),
        _ => None,
    };
    digits.as_bytes().chunks(2).map(octet).collect()
}
