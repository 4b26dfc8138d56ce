//! Replies out of octets (RFC 5321 §4.2), leniently: lines may end with LF alone.
//!
//! A fault is final: after it nothing of the connection can be trusted.

use super::ServerReply;
use memchr::memchr;

/// Octets of a line, its end included. RFC 5321 §4.5.3.1.5 says 512.
const LINE_LIMIT: usize = 2048;
/// Lines of a reply.
const LINES_LIMIT: usize = 128;
/// Octets of a reply.
const REPLY_LIMIT: usize = 64 * 1024;

/// Why what a server sends is not SMTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A line does not begin with a code from 200 to 599 and a space or hyphen.
    #[error("the server's reply has no valid code")]
    Code,
    /// The lines of one reply have different codes.
    #[error("the lines of the server's reply have different codes")]
    MixedCodes,
    /// A line of over 2,048 octets, or a reply of over 128 lines or 64 KiB.
    #[error("the server's reply is too long")]
    TooLong,
}

/// Cuts what a server sends into replies.
#[derive(Debug, Default)]
pub struct ReplyParser {
    buffer: Vec<u8>,
    start: usize,
    scanned: usize,
    lines: Vec<String>,
    code: Option<u16>,
    octets: usize,
    fault: Option<Fault>,
}

impl ReplyParser {
    /// A parser at the beginning of a connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes octets from the wire. [`poll`](Self::poll) until None before the next push, and memory is bounded.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.fault.is_none() {
            self.buffer.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next complete reply; None when more octets are needed. A fault is given again at each call.
    pub fn poll(&mut self) -> Option<Result<ServerReply, Fault>> {
        if let Some(fault) = self.fault {
            return Some(Err(fault));
        }
        match self.advance() {
            Ok(reply) => reply.map(Ok),
            Err(fault) => {
                *self = Self { fault: Some(fault), ..Self::default() };
                Some(Err(fault))
            }
        }
    }

    /// Whether nothing is held, neither a part of a reply nor a whole one. After STARTTLS anything held is an injection (RFC 3207
    /// §6): the connection is to be given up.
    pub fn is_empty(&self) -> bool {
        self.start == self.buffer.len() && self.lines.is_empty()
    }

    fn advance(&mut self) -> Result<Option<ServerReply>, Fault> {
        while let Some(at) = memchr(b'\n', self.buffer.get(self.scanned..).unwrap_or_default()) {
            let end = self.scanned + at + 1;
            let last = self.take_line(end)?;
            (self.start, self.scanned) = (end, end);
            if let Some(code) = self.code.take_if(|_| last) {
                self.octets = 0;
                return Ok(Some(ServerReply::received(code, std::mem::take(&mut self.lines))));
            }
        }
        self.scanned = self.buffer.len();
        if self.buffer.len() - self.start > LINE_LIMIT { Err(Fault::TooLong) } else { Ok(None) }
    }

    /// Takes the line that ends at `end`, and says whether it is the last of its reply.
    fn take_line(&mut self, end: usize) -> Result<bool, Fault> {
        let line = self.buffer.get(self.start..end).unwrap_or_default();
        self.octets += line.len();
        if line.len() > LINE_LIMIT || self.octets > REPLY_LIMIT || self.lines.len() == LINES_LIMIT {
            return Err(Fault::TooLong);
        }
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let (code, last, text) = parse(line.strip_suffix(b"\r").unwrap_or(line)).ok_or(Fault::Code)?;
        if *self.code.get_or_insert(code) != code {
            return Err(Fault::MixedCodes);
        }
        self.lines.push(text);
        Ok(last)
    }
}

/// `code SP text`, `code "-" text` or `code` alone.
fn parse(line: &[u8]) -> Option<(u16, bool, String)> {
    let (digits, rest) = line.split_at_checked(3)?;
    let code = match digits {
        [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
            u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0')
        }
        _ => return None,
    };
    let (last, text) = match rest {
        [] => (true, rest),
        [b' ', text @ ..] => (true, text),
        [b'-', text @ ..] => (false, text),
        _ => return None,
    };
    let visible = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    Some((code, last, String::from_utf8_lossy(text).chars().map(visible).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_all(input: &[u8]) -> Vec<Result<String, Fault>> {
        let mut parser = ReplyParser::new();
        parser.push(input);
        let mut replies = Vec::new();
        while let Some(reply) = parser.poll() {
            let stop = reply.is_err();
            replies.push(reply.map(|reply| reply.to_string()));
            if stop {
                break;
            }
        }
        replies
    }

    #[test]
    fn replies_end_at_the_line_without_a_hyphen_whatever_ends_the_lines() {
        let replies = parse_all(b"220 a\r\n250-b\n250-\r\n250 c\r\n354\r\n250-");
        assert_eq!(replies, [Ok("220 a".into()), Ok("250 b  c".into()), Ok("354 ".into())]);
    }

    #[test]
    fn a_split_reply_is_the_same_reply() {
        let mut parser = ReplyParser::new();
        let replies: Vec<_> = b"250-2.1.0 a\r\n250 b\r\n"
            .iter()
            .filter_map(|octet| {
                parser.push(&[*octet]);
                parser.poll()
            })
            .collect();
        let lines = vec!["2.1.0 a".to_owned(), "b".to_owned()];
        assert_eq!(replies, [Ok(ServerReply::received(250, lines))]);
        assert!(parser.is_empty());
    }

    #[test]
    fn what_is_not_smtp_is_a_lasting_fault() {
        assert_eq!(parse_all(b"HTTP/1.1 400\r\n"), [Err(Fault::Code)]);
        assert_eq!(parse_all(b"150 a\r\n"), [Err(Fault::Code)]);
        assert_eq!(parse_all(b"250_a\r\n"), [Err(Fault::Code)]);
        assert_eq!(parse_all(b"250-a\r\n550 b\r\n"), [Err(Fault::MixedCodes)]);
        let mut parser = ReplyParser::new();
        parser.push(b"x\r\n");
        assert_eq!(parser.poll(), Some(Err(Fault::Code)));
        parser.push(b"250 a\r\n");
        assert_eq!(parser.poll(), Some(Err(Fault::Code)));
    }

    #[test]
    fn lines_and_replies_are_bounded() {
        assert_eq!(parse_all(&[b'2'; 3000]), [Err(Fault::TooLong)]);
        assert_eq!(parse_all(&b"250-a\r\n".repeat(129)), [Err(Fault::TooLong)]);
        let long = [b"250-".to_vec(), vec![b'a'; 2000], b"\r\n".to_vec()].concat();
        assert_eq!(parse_all(&long.repeat(33)), [Err(Fault::TooLong)]);
    }

    #[test]
    fn foreign_text_cannot_drive_a_terminal() {
        assert_eq!(parse_all(b"550 \x1b[2J\xff\r\n"), [Ok("550 \u{fffd}[2J\u{fffd}".into())]);
    }
}
