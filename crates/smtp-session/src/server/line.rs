//! Command lines: octets up to an exact CRLF, within a bound.
//!
//! A bare CR, a bare LF or a NUL never ends a line; it spoils the line it stands in. A line over its bound is
//! skipped to its CRLF without being looked at. It does not know what a command means, except that AUTH lines
//! may be longer (RFC 4954 §4).

use mail_types::Secret;
use memchr::{memchr, memchr3};

/// Octets of a command line, CRLF included. RFC 5321 §4.5.3.1.4 asks for 512 plus what extensions add.
const COMMAND_LIMIT: usize = 2048;
/// Octets of an AUTH command or SASL response (RFC 4954 §4).
const AUTH_LIMIT: usize = 12_288;
/// Octets of one line that are skipped before the session is given up.
const SKIP_LIMIT: usize = 1 << 20;

/// Why a line cannot be interpreted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineFault {
    /// It holds a bare CR, a bare LF or a NUL.
    Control,
    /// Over the bound of commands.
    TooLong,
    /// Over the bound of AUTH lines.
    AuthTooLong,
    /// It does not end.
    Endless,
}

/// What was received and not yet interpreted.
#[derive(Default)]
pub(super) struct LineReader {
    buffer: Vec<u8>,
    /// Where the current line begins.
    start: usize,
    /// No CRLF ends between `start` and here.
    scanned: usize,
    /// The current line is over its bound: the fault to report at its end, and the octets dropped so far.
    skipping: Option<(LineFault, usize)>,
}

impl LineReader {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next line without its CRLF. `sasl` says that the line is a SASL response.
    ///
    /// The line may hold a password: it is wiped when dropped, and so is its place in the buffer.
    pub(super) fn next_line(&mut self, sasl: bool) -> Option<Result<Secret<Vec<u8>>, LineFault>> {
        let Some(end) = self.terminator() else { return self.check_unfinished(sasl) };
        let fault = self.skipping.take().map(|(fault, _)| fault);
        let fault = fault.or_else(|| self.over_limit(end - self.start, sasl));
        let (start, line_end) = (self.start, end - 2);
        self.start = end;
        let line = self.buffer.get_mut(start..line_end)?;
        let taken = Secret::new(line.to_vec());
        line.fill(0);
        Some(match fault {
            Some(fault) => Err(fault),
            None if memchr3(b'\r', b'\n', 0, taken.expose()).is_some() => Err(LineFault::Control),
            None => Ok(taken),
        })
    }

    /// Everything not yet interpreted, which leaves the reader empty.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let mut taken = std::mem::take(self);
        taken.buffer.split_off(taken.start)
    }

    /// Forgets everything, a half-read line included.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn len(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// The index after the first CRLF of the current line.
    fn terminator(&mut self) -> Option<usize> {
        while let Some(at) = memchr(b'\n', self.buffer.get(self.scanned..)?) {
            let lf = self.scanned + at;
            self.scanned = lf + 1;
            if lf > self.start && self.buffer.get(lf - 1) == Some(&b'\r') {
                return Some(lf + 1);
            }
        }
        self.scanned = self.buffer.len();
        None
    }

    fn check_unfinished(&mut self, sasl: bool) -> Option<Result<Secret<Vec<u8>>, LineFault>> {
        let (fault, skipped) = match self.skipping {
            Some(skipping) => skipping,
            None => (self.over_limit(self.len(), sasl)?, 0),
        };
        // A final CR is kept: its LF may come with the next read.
        let kept = usize::from(self.buffer.last() == Some(&b'\r'));
        let skipped = skipped + self.len() - kept;
        self.start = self.buffer.len() - kept;
        let endless = skipped > SKIP_LIMIT;
        self.skipping = Some((fault, if endless { 0 } else { skipped }));
        endless.then_some(Err(LineFault::Endless))
    }

    fn over_limit(&self, length: usize, sasl: bool) -> Option<LineFault> {
        let word = self.buffer.get(self.start..self.start + 5);
        if sasl || word.is_some_and(|word| word.eq_ignore_ascii_case(b"AUTH ")) {
            (length > AUTH_LIMIT).then_some(LineFault::AuthTooLong)
        } else {
            (length > COMMAND_LIMIT).then_some(LineFault::TooLong)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reader: &mut LineReader, bytes: &[u8]) -> Vec<Result<Vec<u8>, LineFault>> {
        reader.push(bytes);
        std::iter::from_fn(|| reader.next_line(false)).map(|line| line.map(|l| l.expose().clone())).collect()
    }

    #[test]
    fn only_crlf_ends_a_line() {
        let mut reader = LineReader::default();
        assert_eq!(read(&mut reader, b"a\nb\rc\0"), []);
        assert_eq!(
            read(&mut reader, b"\r\nd\r\r\ne\r\n"),
            [Err(LineFault::Control), Err(LineFault::Control), Ok(b"e".to_vec())]
        );
    }

    #[test]
    fn a_line_at_the_bound_is_read_and_one_over_is_skipped_to_its_crlf() {
        let mut reader = LineReader::default();
        let line = [vec![b'x'; COMMAND_LIMIT - 2], b"\r\n".to_vec()].concat();
        assert_eq!(read(&mut reader, &line), [Ok(line[..COMMAND_LIMIT - 2].to_vec())]);
        assert_eq!(
            read(&mut reader, &[b"x", &line[..], b"NOOP\r\n"].concat()),
            [Err(LineFault::TooLong), Ok(b"NOOP".to_vec())]
        );
    }

    #[test]
    fn the_crlf_of_a_skipped_line_may_be_split() {
        let mut reader = LineReader::default();
        assert_eq!(read(&mut reader, &[b'x'; 5000]), []);
        assert_eq!(read(&mut reader, b"\r"), []);
        assert_eq!(read(&mut reader, b"\nNOOP\r\n"), [Err(LineFault::TooLong), Ok(b"NOOP".to_vec())]);
    }

    #[test]
    fn an_endless_line_holds_no_memory_and_is_given_up() {
        let mut reader = LineReader::default();
        let mut faults = Vec::new();
        for _ in 0..20 {
            faults.extend(read(&mut reader, &[b'x'; 65_536]).into_iter().take(1));
            assert!(reader.len() <= 1);
            if !faults.is_empty() {
                break;
            }
        }
        assert_eq!(faults, [Err(LineFault::Endless)]);
    }
}
