//! SMTP replies (RFC 5321 §4.2) with enhanced codes (RFC 3463, RFC 2034).

use std::borrow::Cow;
use std::fmt;

/// RFC 3463 status code: class, subject, detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnhancedCode(pub u8, pub u16, pub u16);

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// One SMTP reply. Its text is all that a peer learns, so it is generic: no cause from inside, no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Three digits.
    pub code: u16,
    /// RFC 3463 code, absent where RFC 2034 wants none (220, 354, EHLO).
    pub enhanced: Option<EnhancedCode>,
    /// At least one line, without CR or LF.
    pub lines: Vec<Cow<'static, str>>,
}

impl Reply {
    /// A one-line reply with an enhanced code.
    pub fn new(code: u16, enhanced: (u8, u16, u16), text: impl Into<Cow<'static, str>>) -> Self {
        let (class, subject, detail) = enhanced;
        Self { code, enhanced: Some(EnhancedCode(class, subject, detail)), lines: vec![text.into()] }
    }

    /// A one-line reply without an enhanced code.
    pub fn plain(code: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, enhanced: None, lines: vec![text.into()] }
    }

    /// 2yz or 3yz.
    pub const fn is_positive(&self) -> bool {
        self.code < 400
    }

    /// 4yz.
    pub const fn is_transient(&self) -> bool {
        self.code >= 400 && self.code < 500
    }

    /// 5yz.
    pub const fn is_permanent(&self) -> bool {
        self.code >= 500
    }

    /// The reply as sent, with a hyphen on all lines but the last.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let last = self.lines.len().saturating_sub(1);
        for (i, line) in self.lines.iter().enumerate() {
            let separator = if i == last { ' ' } else { '-' };
            out.extend_from_slice(format!("{}{separator}", self.code).as_bytes());
            if let Some(enhanced) = self.enhanced {
                out.extend_from_slice(format!("{enhanced} ").as_bytes());
            }
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

impl fmt::Display for Reply {
    /// One line, for diagnostics: `550 5.1.1 No such mailbox`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        write!(f, " {}", self.lines.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_line_has_a_space_after_the_code() {
        let mut out = Vec::new();
        Reply { code: 250, enhanced: None, lines: vec!["a".into(), "b".into()] }.write_to(&mut out);
        assert_eq!(out, b"250-a\r\n250 b\r\n");
    }
}
