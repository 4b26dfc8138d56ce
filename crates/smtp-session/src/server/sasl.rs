//! The SASL dialogues of AUTH (RFC 4954): PLAIN (RFC 4616), LOGIN (obsolete, still what many devices speak) and, for a client that showed a
//! certificate, EXTERNAL (RFC 4422 appendix A).
//!
//! It turns lines into credentials and does not know whether they are good.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mail_types::{AuthorizationIdentity, Reply, Secret};

/// `Username:` in base64.
const USERNAME_PROMPT: &str = "VXNlcm5hbWU6";
/// `Password:` in base64.
const PASSWORD_PROMPT: &str = "UGFzc3dvcmQ6";

/// What the next line of the client will be.
pub(super) enum Dialogue {
    Plain,
    External,
    LoginName,
    LoginPassword { name: String },
}

/// What a client claims to be, and its proof.
pub(super) struct Credentials {
    pub(super) authzid: String,
    pub(super) authcid: String,
    pub(super) password: Secret<String>,
}

/// What to do after a line.
pub(super) enum Step {
    /// Send 334 with this text, then read a line.
    Challenge(&'static str, Dialogue),
    Finished(Credentials),
    /// The proof is the certificate; the client says at most whom it wants to act as.
    External(AuthorizationIdentity),
}

/// Starts the dialogue from the argument of AUTH: a mechanism and perhaps an initial response, `=` for an empty one. `has_certificate`: the
/// client showed a certificate that was found good. `passwords`: one is taken.
pub(super) fn begin(argument: &str, passwords: bool, has_certificate: bool) -> Result<Step, Reply> {
    let (mechanism, initial) = match argument.split_once(' ') {
        Some((mechanism, initial)) => (mechanism, Some(initial)),
        None => (argument, None),
    };
    let (dialogue, prompt) = match mechanism.to_ascii_uppercase().as_str() {
        "PLAIN" | "LOGIN" if !passwords => {
            return Err(Reply::new(
                504,
                (5, 5, 4),
                "No passwords here: use EXTERNAL with your certificate, or another port",
            ));
        }
        "PLAIN" => (Dialogue::Plain, ""),
        "LOGIN" => (Dialogue::LoginName, USERNAME_PROMPT),
        "EXTERNAL" if has_certificate => (Dialogue::External, ""),
        "EXTERNAL" => {
            return Err(Reply::new(
                535,
                (5, 7, 8),
                "EXTERNAL needs a TLS client certificate; none was shown",
            ));
        }
        "" => return Err(Reply::new(501, (5, 5, 4), "AUTH needs a mechanism")),
        _ => return Err(Reply::new(504, (5, 5, 4), "Mechanism not supported")),
    };
    match initial {
        None => Ok(Step::Challenge(prompt, dialogue)),
        Some("=") => proceed(dialogue, b""),
        // `*` cancels a dialogue; before one it is only bad base64.
        Some("*") => Err(bad_base64()),
        Some(initial) => proceed(dialogue, initial.as_bytes()),
    }
}

/// Takes one response of the client, still in base64.
pub(super) fn proceed(dialogue: Dialogue, line: &[u8]) -> Result<Step, Reply> {
    if line == b"*" {
        return Err(Reply::new(501, (5, 7, 0), "Authentication cancelled"));
    }
    // An empty answer is an empty line; some clients write it as they would an initial one.
    let line = if matches!(dialogue, Dialogue::External) && line == b"=" { b"" } else { line };
    let response = Secret::new(BASE64.decode(line).map_err(|_| bad_base64())?);
    match dialogue {
        Dialogue::External => external(&response),
        Dialogue::Plain => plain(text(&response)?).map(Step::Finished),
        Dialogue::LoginName => {
            let name = field(text(&response)?)?.to_owned();
            Ok(Step::Challenge(PASSWORD_PROMPT, Dialogue::LoginPassword { name }))
        }
        Dialogue::LoginPassword { name } => Ok(Step::Finished(Credentials {
            authzid: String::new(),
            authcid: name,
            password: Secret::new(field(text(&response)?)?.to_owned()),
        })),
    }
}

/// RFC 4422 appendix A.1: nothing, or whom to act as.
fn external(response: &Secret<Vec<u8>>) -> Result<Step, Reply> {
    AuthorizationIdentity::from_octets(response.expose())
        .map(Step::External)
        .map_err(|_| Reply::new(501, (5, 5, 2), "Malformed authorization identity"))
}

fn text(response: &Secret<Vec<u8>>) -> Result<&str, Reply> {
    std::str::from_utf8(response.expose()).map_err(|_| malformed())
}

/// RFC 4616 §2: `[authzid] NUL authcid NUL passwd`.
fn plain(text: &str) -> Result<Credentials, Reply> {
    let (authzid, rest) = text.split_once('\0').ok_or_else(malformed)?;
    let (authcid, password) = rest.split_once('\0').ok_or_else(malformed)?;
    Ok(Credentials {
        authzid: authzid.to_owned(),
        authcid: field(authcid)?.to_owned(),
        password: Secret::new(field(password)?.to_owned()),
    })
}

fn field(text: &str) -> Result<&str, Reply> {
    if text.is_empty() || text.contains('\0') { Err(malformed()) } else { Ok(text) }
}

fn bad_base64() -> Reply {
    Reply::new(501, (5, 5, 2), "Cannot decode base64")
}

fn malformed() -> Reply {
    Reply::new(501, (5, 5, 2), "Malformed credentials")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(argument: &str) -> Result<String, u16> {
        match begin(argument, true, false) {
            Ok(Step::Challenge(text, _)) => Ok(format!("334 {text}")),
            Ok(Step::External(_)) => Err(0),
            Ok(Step::Finished(c)) => Ok(format!("{}|{}|{}", c.authzid, c.authcid, c.password.expose())),
            Err(reply) => Err(reply.code),
        }
    }

    #[test]
    fn plain_carries_both_identities() {
        assert_eq!(outcome("plain eAB1AHA="), Ok("x|u|p".into()));
        assert_eq!(outcome("PLAIN AHUAcA=="), Ok("|u|p".into()));
        assert_eq!(outcome("PLAIN"), Ok("334 ".into()));
    }

    #[test]
    fn malformed_responses_are_refused() {
        for bad in ["PLAIN =", "PLAIN AHUAcA", "PLAIN *", "PLAIN AHUA", "PLAIN AHUAcABx", "LOGIN =", ""] {
            assert_eq!(outcome(bad), Err(501), "{bad}");
        }
        assert_eq!(outcome("CRAM-MD5"), Err(504));
    }
}
