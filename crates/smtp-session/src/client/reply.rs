//! A reply as received from a server.

use mail_types::EnhancedCode;
use std::fmt;

/// What a server said. Its text is foreign: it may hold addresses, and it may lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerReply {
    /// 200 to 599.
    pub code: u16,
    /// The RFC 2034 code at the beginning of the first line, when its class agrees with `code`.
    pub enhanced: Option<EnhancedCode>,
    /// At least one line, without the code, with the enhanced code if any. Invalid UTF-8 and control characters are replaced.
    pub lines: Vec<String>,
}

impl ServerReply {
    /// A reply made here, for what the server did not say: a lost connection, a breach of protocol.
    pub fn local(code: u16, enhanced: (u8, u16, u16), text: &str) -> Self {
        let enhanced = EnhancedCode(enhanced.0, enhanced.1, enhanced.2);
        Self { code, enhanced: Some(enhanced), lines: vec![format!("{enhanced} {text}")] }
    }

    pub(super) fn received(code: u16, lines: Vec<String>) -> Self {
        let enhanced = lines.first().and_then(|line| enhanced_code(line, code));
        Self { code, enhanced, lines }
    }

    /// 2yz: done.
    pub const fn is_completion(&self) -> bool {
        self.code >= 200 && self.code < 300
    }

    /// 4yz.
    pub const fn is_transient(&self) -> bool {
        self.code >= 400 && self.code < 500
    }

    /// 5yz.
    pub const fn is_permanent(&self) -> bool {
        self.code >= 500
    }
}

impl fmt::Display for ServerReply {
    /// On one line, as in an RFC 3464 Diagnostic-Code: `550 5.1.1 No such mailbox`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.lines.join(" "))
    }
}

/// RFC 2034 `class "." subject "." detail`, followed by a space or nothing.
fn enhanced_code(line: &str, code: u16) -> Option<EnhancedCode> {
    let mut numbers = line.split(' ').next()?.split('.').map(|digits| {
        let plain = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse::<u16>().ok()).flatten()
    });
    let (class, subject, detail) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let agrees = numbers.next().is_none() && class == code / 100 && matches!(class, 2 | 4 | 5);
    agrees.then_some(EnhancedCode(u8::try_from(class).ok()?, subject, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enhanced_code_counts_only_when_its_class_agrees() {
        let enhanced = |code, line: &str| ServerReply::received(code, vec![line.into()]).enhanced;
        assert_eq!(enhanced(550, "5.1.1 no"), Some(EnhancedCode(5, 1, 1)));
        assert_eq!(enhanced(250, "2.0.0"), Some(EnhancedCode(2, 0, 0)));
        for (code, line) in
            [(550, "4.1.1 no"), (250, "2.1.0.example"), (250, "2.1"), (354, "3.0.0 go"), (250, "2.+1.0 x")]
        {
            assert_eq!(enhanced(code, line), None, "{line}");
        }
    }
}
