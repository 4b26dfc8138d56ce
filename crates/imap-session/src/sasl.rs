//! Lines of a SASL exchange (RFC 3501 §6.2.2, RFC 4959): base64, `=` for empty, `*` to cancel.
//!
//! What the octets mean is the matter of the mechanism, which is not known here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_types::Secret;

/// The longest line of an exchange, in octets without CRLF.
pub const LINE_MAX: usize = 12_288;

/// One answer of the client to a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaslResponse {
    /// `*`: the client gives up; the command ends with BAD.
    Cancelled,
    /// The decoded answer.
    Answer(Secret<Vec<u8>>),
}

/// Reads a continuation line, as [`crate::decoder::Input::Response`] holds it. `None`: not base64; the command ends with BAD.
pub fn read_response(line: &[u8]) -> Option<SaslResponse> {
    if line == b"*" {
        return Some(SaslResponse::Cancelled);
    }
    decode(line).map(SaslResponse::Answer)
}

/// Reads a continuation line of EXTERNAL. The empty answer is an empty line there; some clients write it as they would an initial one, `=`.
pub fn read_external_response(line: &[u8]) -> Option<SaslResponse> {
    read_response(if line == b"=" { b"" } else { line })
}

/// Reads the initial response of AUTHENTICATE, where a single `=` stands for the empty string.
pub(crate) fn read_initial_response(word: &[u8]) -> Option<Secret<Vec<u8>>> {
    match word {
        b"=" => Some(Secret::new(Vec::new())),
        b"" => None,
        _ => decode(word),
    }
}

/// The text to send after `+ `: the challenge in base64.
pub fn challenge(octets: &[u8]) -> String {
    STANDARD.encode(octets)
}

fn decode(base64: &[u8]) -> Option<Secret<Vec<u8>>> {
    STANDARD.decode(base64).ok().map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_answers_cancellation_and_emptiness() {
        assert_eq!(read_response(b"*"), Some(SaslResponse::Cancelled));
        assert_eq!(read_response(b""), Some(SaslResponse::Answer(Secret::new(vec![]))));
        assert_eq!(read_response(b"AGE="), Some(SaslResponse::Answer(Secret::new(vec![0, b'a']))));
        assert_eq!(read_response(b"AGE"), None);
        assert_eq!(read_response(b"="), None);
        assert_eq!(read_external_response(b"="), Some(SaslResponse::Answer(Secret::new(vec![]))));
        assert_eq!(read_external_response(b"*"), Some(SaslResponse::Cancelled));
        assert_eq!(read_initial_response(b"="), Some(Secret::new(vec![])));
        assert_eq!(read_initial_response(b""), None);
    }
}
