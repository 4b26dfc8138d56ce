//! The content after DATA (RFC 5321 §4.1.1.4, §4.5.2): ends at an exact CRLF.CRLF, dots unstuffed, nothing lenient.
//!
//! What another program might take for an end of content (`LF.LF`, `CRLF.CR CRLF`, …) is not an end here and is not passed
//! on either: a bare CR, a bare LF or a NUL is a fault, and the rest is swallowed up to the true end, so that no
//! smuggled command is ever interpreted. Lines have no bound of their own: content is streamed, its size is bounded.

use mail_types::Reply;
use memchr::memchr3;

/// Why content cannot be accepted. The first fault met is the one told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentFault {
    /// A CR not followed by LF.
    BareCr,
    /// A LF not preceded by CR.
    BareLf,
    /// A NUL octet.
    Nul,
    /// More octets, dots unstuffed, than the server takes.
    TooBig,
}

impl ContentFault {
    /// The usual answer: 552 5.3.4 or 554 5.6.0.
    pub fn reply(self) -> Reply {
        match self {
            Self::BareCr => Reply::new(554, (5, 6, 0), "Bare CR in the content"),
            Self::BareLf => Reply::new(554, (5, 6, 0), "Bare LF in the content"),
            Self::Nul => Reply::new(554, (5, 6, 0), "NUL in the content"),
            Self::TooBig => Reply::new(552, (5, 3, 4), "Message too big"),
        }
    }
}

#[derive(Clone, Copy)]
enum State {
    /// After CRLF, or at the very start.
    LineStart,
    /// After CRLF and a dot.
    Dot,
    /// After CRLF, a dot and a CR.
    DotCr,
    Line,
    /// After a CR that is not part of `DotCr`.
    Cr,
}

/// Reads content given in pieces of any size.
pub(super) struct ContentReader {
    state: State,
    fault: Option<ContentFault>,
    room: u64,
}

impl ContentReader {
    pub(super) fn new(max_message_size: u64) -> Self {
        Self { state: State::LineStart, fault: None, room: max_message_size }
    }

    pub(super) fn fault(&self) -> Option<ContentFault> {
        self.fault
    }

    /// Appends the unstuffed octets of `input` to `out`, unless faulty. When the end of content is in `input`, gives how
    /// many octets of it were read, terminator included; otherwise all were.
    pub(super) fn read(&mut self, input: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        // input[from..at] was looked at and is to be copied in one go.
        let (mut from, mut at) = (0, 0);
        while let Some(&octet) = input.get(at) {
            match self.state {
                State::LineStart if octet == b'.' => {
                    self.copy(&input[from..at], out);
                    at += 1;
                    from = at;
                    self.state = State::Dot;
                }
                State::Dot if octet == b'\r' => {
                    at += 1;
                    from = at;
                    self.state = State::DotCr;
                }
                State::LineStart | State::Dot => self.state = State::Line,
                State::DotCr if octet == b'\n' => return Some(at + 1),
                State::Cr if octet == b'\n' => {
                    at += 1;
                    self.state = State::LineStart;
                }
                State::DotCr | State::Cr => {
                    self.copy(&input[from..at], out);
                    from = at;
                    self.spoil(ContentFault::BareCr);
                    self.state = State::Line;
                }
                State::Line => {
                    let Some(found) = memchr3(b'\r', b'\n', 0, &input[at..]) else {
                        at = input.len();
                        break;
                    };
                    let found = at + found;
                    at = found + 1;
                    if input[found] == b'\r' {
                        self.state = State::Cr;
                    } else {
                        self.copy(&input[from..found], out);
                        from = at;
                        let nul = input[found] == 0;
                        self.spoil(if nul { ContentFault::Nul } else { ContentFault::BareLf });
                    }
                }
            }
        }
        self.copy(&input[from..at], out);
        None
    }

    fn copy(&mut self, run: &[u8], out: &mut Vec<u8>) {
        if self.fault.is_some() {
            return;
        }
        let room = usize::try_from(self.room).unwrap_or(usize::MAX);
        if run.len() > room {
            self.spoil(ContentFault::TooBig);
        }
        let run = &run[..run.len().min(room)];
        self.room -= run.len() as u64;
        out.extend_from_slice(run);
    }

    fn spoil(&mut self, fault: ContentFault) {
        self.fault.get_or_insert(fault);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The content, its fault, and what follows the end; at once and octet by octet, which must agree.
    fn read(input: &[u8]) -> (Vec<u8>, Option<ContentFault>, Option<&[u8]>) {
        let (mut whole, mut split) = (ContentReader::new(100), ContentReader::new(100));
        let (mut a, mut b) = (Vec::new(), Vec::new());
        let end = whole.read(input, &mut a);
        let split_end = (0..input.len()).find(|&i| split.read(&input[i..=i], &mut b).is_some());
        assert_eq!((end, &a, whole.fault), (split_end.map(|i| i + 1), &b, split.fault));
        (a, whole.fault, end.map(|end| &input[end..]))
    }

    #[test]
    fn a_dot_at_once_is_an_empty_message() {
        assert_eq!(read(b".\r\nQUIT\r\n"), (vec![], None, Some(&b"QUIT\r\n"[..])));
    }

    #[test]
    fn dots_are_unstuffed_at_line_starts_only() {
        let (content, fault, rest) = read(b"..a\r\n.b.\r\nc..\r\n...\r\n.\r\n");
        assert_eq!((content.as_slice(), fault), (&b".a\r\nb.\r\nc..\r\n..\r\n"[..], None));
        assert_eq!(rest, Some(&b""[..]));
    }

    #[test]
    fn lookalike_terminators_do_not_end_the_content() {
        for (lookalike, fault) in [
            (&b"\r\n.\r\r\n"[..], ContentFault::BareCr),
            (b"\n.\n", ContentFault::BareLf),
            (b"\r\n.\n", ContentFault::BareLf),
            (b"\n.\r\n", ContentFault::BareLf),
            (b"\r.\r", ContentFault::BareCr),
            (b"\r.\r\n", ContentFault::BareCr),
            (b"\r\n.\r", ContentFault::BareCr),
            (b"\r\n.\0\r\n", ContentFault::Nul),
        ] {
            let input = [b"x", lookalike, b"y\r\n.\r\n+"].concat();
            let (_, found, rest) = read(&input);
            assert_eq!((found, rest), (Some(fault), Some(&b"+"[..])), "{}", lookalike.escape_ascii());
        }
    }

    #[test]
    fn the_bound_counts_octets_without_stuffing() {
        let line = [&[b'.'; 99][..], b"\r\n.\r\n"].concat();
        let (content, fault, _) = read(&line);
        assert_eq!((content.len(), fault), (100, None));
        let line = [b"..", &line[..]].concat();
        let (content, fault, rest) = read(&line);
        assert_eq!((content.len(), fault, rest), (100, Some(ContentFault::TooBig), Some(&b""[..])));
    }
}
