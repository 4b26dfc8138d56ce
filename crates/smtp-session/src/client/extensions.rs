//! What a server offers, read from its EHLO reply (RFC 5321 §4.1.1.1).

use super::ServerReply;

/// The service extensions that matter to a delivery agent. The default is a server that knows only HELO.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// RFC 3207.
    pub starttls: bool,
    /// RFC 2920.
    pub pipelining: bool,
    /// RFC 6152.
    pub eight_bit_mime: bool,
    /// RFC 1870: octets taken at most; `Some(0)` when no limit is told.
    pub size: Option<u64>,
    /// RFC 3461.
    pub dsn: bool,
    /// RFC 2034.
    pub enhanced_status_codes: bool,
    /// RFC 3030.
    pub chunking: bool,
}

impl Extensions {
    /// Reads the keywords, in any case, of all lines but the first. Unknown ones are skipped.
    pub fn from_ehlo(reply: &ServerReply) -> Self {
        let mut extensions = Self::default();
        for line in reply.lines.iter().skip(1) {
            let mut words = line.split_ascii_whitespace();
            match words.next().unwrap_or_default().to_ascii_uppercase().as_str() {
                "STARTTLS" => extensions.starttls = true,
                "PIPELINING" => extensions.pipelining = true,
                "8BITMIME" => extensions.eight_bit_mime = true,
                // A limit that cannot be read is no reason not to try.
                "SIZE" => extensions.size = Some(words.next().and_then(|n| n.parse().ok()).unwrap_or(0)),
                "DSN" => extensions.dsn = true,
                "ENHANCEDSTATUSCODES" => extensions.enhanced_status_codes = true,
                "CHUNKING" => extensions.chunking = true,
                _ => {}
            }
        }
        extensions
    }

    /// Whether a message of `size` octets is within the limit that the server told, if any.
    pub fn takes_size(&self, size: u64) -> bool {
        self.size.is_none_or(|limit| limit == 0 || size <= limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_read_in_any_case_and_never_from_the_greeting() {
        let lines =
            ["DSN", "pipelining", "SIZE 1000", "Starttls", "X-FOO bar", ""].map(String::from).to_vec();
        let found = Extensions::from_ehlo(&ServerReply { code: 250, enhanced: None, lines });
        let expected =
            Extensions { starttls: true, pipelining: true, size: Some(1000), ..Extensions::default() };
        assert_eq!(found, expected);
        assert!(found.takes_size(1000) && !found.takes_size(1001));
    }

    #[test]
    fn a_size_without_number_is_no_limit() {
        for line in ["SIZE", "SIZE x", "SIZE 0"] {
            let lines = vec!["h".into(), line.into()];
            let found = Extensions::from_ehlo(&ServerReply { code: 250, enhanced: None, lines });
            assert!(found.size == Some(0) && found.takes_size(u64::MAX), "{line}");
        }
    }
}
