//! A command line cut into its verb and argument (RFC 5321 §2.4, §4.1.1).

/// The first word of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Ehlo,
    Helo,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    Rset,
    Noop,
    Vrfy,
    Help,
    Quit,
    /// A command that exists and is not offered.
    NotImplemented,
    Unknown,
}

impl Verb {
    fn of(word: &[u8]) -> Self {
        match word.to_ascii_uppercase().as_slice() {
            b"EHLO" => Self::Ehlo,
            b"HELO" => Self::Helo,
            b"STARTTLS" => Self::StartTls,
            b"AUTH" => Self::Auth,
            b"MAIL" => Self::Mail,
            b"RCPT" => Self::Rcpt,
            b"DATA" => Self::Data,
            b"RSET" => Self::Rset,
            b"NOOP" => Self::Noop,
            b"VRFY" => Self::Vrfy,
            b"HELP" => Self::Help,
            b"QUIT" => Self::Quit,
            b"BDAT" | b"BURL" | b"EXPN" | b"ETRN" | b"TURN" | b"SEND" | b"SOML" | b"SAML" => {
                Self::NotImplemented
            }
            _ => Self::Unknown,
        }
    }

    /// Whether the command is refused until TLS is active. What is left is the list of RFC 3207 §4, and what tells nothing.
    pub(super) const fn needs_tls(self) -> bool {
        matches!(self, Self::Auth | Self::Mail | Self::Rcpt | Self::Data | Self::Vrfy)
    }
}

/// The verb and what follows it and one space. None when the line holds a control character.
///
/// White space at the end is dropped (RFC 5321 §4.1.1).
pub(super) fn split(line: &[u8]) -> Option<(Verb, &[u8])> {
    let blank = |octet: &u8| matches!(octet, b' ' | b'\t');
    let end = line.iter().rposition(|octet| !blank(octet)).map_or(0, |last| last + 1);
    let line = line.get(..end)?;
    if line.iter().any(u8::is_ascii_control) {
        return None;
    }
    let mut parts = line.splitn(2, |&octet| octet == b' ');
    let verb = Verb::of(parts.next().unwrap_or_default());
    Some((verb, parts.next().unwrap_or_default()))
}

/// Whether `name` can stand in a trace field: the domain or address literal of EHLO, loosely (RFC 5321 §4.1.3, §4.1.4
/// forbids refusing a name for not being the true one).
pub(super) fn is_hello_name(name: &[u8]) -> bool {
    let allowed = |octet: &u8| octet.is_ascii_alphanumeric() || b"-._[]:".contains(octet);
    (1..=255).contains(&name.len()) && name.iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_space_separates_and_final_blanks_are_dropped() {
        assert_eq!(split(b"noop a  b \t "), Some((Verb::Noop, &b"a  b"[..])));
        assert_eq!(split(b"DATA"), Some((Verb::Data, &b""[..])));
        assert_eq!(split(b" DATA"), Some((Verb::Unknown, &b"DATA"[..])));
        assert_eq!(split(b""), Some((Verb::Unknown, &b""[..])));
        assert_eq!(split(b"NOOP\ta"), None);
    }
}
