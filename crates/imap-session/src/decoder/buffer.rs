//! The octets received and not yet read, cut into lines. CRLF ends a line; nothing else does.
//!
//! What is cut depends on the octets only, never on how they arrived.

use zeroize::Zeroize;

/// Octets of capacity that an empty buffer keeps.
const KEPT: usize = 4096;

/// How many octets of a discarded line are kept, to see whether a literal follows it.
const TAIL_LEN: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    /// Octets before this one are read and gone.
    start: usize,
    /// Octets after `start` known to hold no LF.
    scanned: usize,
}

/// What [`Buffer::line`] found.
pub(super) enum Line {
    /// A line without its CRLF. It may hold CR or NUL.
    Complete(Vec<u8>),
    /// LF without CR; the octets through it are gone and are given here.
    BareLineFeed(Vec<u8>),
    /// More octets than the bound without a line end. Its first octets, which are not gone.
    TooLong(Vec<u8>),
    Incomplete,
}

/// What [`Buffer::discard_line`] did.
pub(super) enum Discarded {
    /// Through a CRLF: the last octets of the line, and how many octets are gone, CRLF counted.
    Line { tail: Vec<u8>, count: u64 },
    /// All that is here is part of the line: how many octets are gone and how many are kept.
    Part { count: u64, kept: u64 },
}

impl Buffer {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(super) fn clear(&mut self) {
        self.bytes.zeroize();
        (self.start, self.scanned) = (0, 0);
    }

    /// The next line, of at most `bound` octets.
    pub(super) fn line(&mut self, bound: usize) -> Line {
        let within = self.unread().get(..bound.saturating_add(2)).unwrap_or(self.unread());
        let (seen, full) = (within.len(), within.len() > bound.saturating_add(1));
        let found = within.get(self.scanned..).and_then(|new| memchr::memchr(b'\n', new));
        let Some(at) = found.map(|at| at + self.scanned) else {
            let line = if full { Line::TooLong(within.to_vec()) } else { Line::Incomplete };
            self.scanned = seen;
            return line;
        };
        let mut line = self.take_wiped(at + 1);
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
            Line::Complete(line)
        } else {
            Line::BareLineFeed(line)
        }
    }

    /// Up to `max` octets, whatever they are.
    pub(super) fn take(&mut self, max: u64) -> Vec<u8> {
        let count = usize::try_from(max).map_or(self.len(), |max| max.min(self.len()));
        self.scanned = 0;
        if self.start == 0 && count == self.bytes.len() {
            return std::mem::take(&mut self.bytes);
        }
        self.take_wiped(count)
    }

    /// Throws away up to `max` octets; how many.
    pub(super) fn discard(&mut self, max: u64) -> u64 {
        let count = usize::try_from(max).map_or(self.len(), |max| max.min(self.len()));
        self.advance(count);
        count as u64
    }

    /// Throws away the octets through the next CRLF, or all but the last few if there is none.
    pub(super) fn discard_line(&mut self) -> Discarded {
        let unread = self.unread();
        if let Some(at) = memchr::memmem::find(unread, b"\r\n") {
            let line = unread.get(..at).unwrap_or_default();
            let tail = line.get(line.len().saturating_sub(TAIL_LEN)..).unwrap_or_default().to_vec();
            self.advance(at + 2);
            return Discarded::Line { tail, count: at as u64 + 2 };
        }
        // One octet more than the tail: the last may be the CR of the line end.
        let gone = unread.len().saturating_sub(TAIL_LEN + 1);
        self.advance(gone);
        Discarded::Part { count: gone as u64, kept: self.len() as u64 }
    }

    /// The first octets, enough to see a tag and the name of a command.
    pub(super) fn head(&self) -> &[u8] {
        self.unread().get(..512).unwrap_or(self.unread())
    }

    fn unread(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Takes `count` octets and wipes them here: a line or a literal may hold a password.
    fn take_wiped(&mut self, count: usize) -> Vec<u8> {
        let end = (self.start + count).min(self.bytes.len());
        let region = self.bytes.get_mut(self.start..end).unwrap_or_default();
        let taken = region.to_vec();
        region.zeroize();
        self.advance(taken.len());
        taken
    }

    fn advance(&mut self, count: usize) {
        self.start = (self.start + count).min(self.bytes.len());
        self.scanned = 0;
        if self.start == self.bytes.len() {
            self.bytes.clear();
            // A burst long ago must not weigh on a connection that idles.
            self.bytes.shrink_to(KEPT);
            self.start = 0;
        }
    }
}
