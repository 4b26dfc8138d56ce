//! COMPRESS=DEFLATE (RFC 4978): what goes over a connection is deflated, both ways.
//!
//! What a client sends is inflated a bounded piece at a time: a few octets that would become megabytes wait, still deflated, until what came
//! before them is read.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use std::io;

/// Octets inflated at a time.
const PIECE: usize = 16 * 1024;
/// Room made for deflated octets, when what was thought enough is not.
const MORE: usize = 4096;

/// The state of both ways; about 300 KiB.
pub(crate) struct Deflated {
    inflate: Decompress,
    deflate: Compress,
    /// Octets of the client that are not inflated yet.
    waiting: Vec<u8>,
    /// The last piece was full: more may come out without more coming in.
    is_full: bool,
}

impl Deflated {
    /// At the start of both ways.
    pub(crate) fn new() -> Self {
        Self {
            inflate: Decompress::new(false),
            deflate: Compress::new(Compression::fast(), false),
            waiting: Vec::new(),
            is_full: false,
        }
    }

    /// Takes octets as they came.
    pub(crate) fn take(&mut self, octets: &[u8]) {
        self.waiting.extend_from_slice(octets);
    }

    /// The next piece of what the client said, to `give`; how many octets. 0: more must come first.
    ///
    /// # Errors
    /// What came is not deflated, or the client ended it, after which nothing can be said.
    pub(crate) fn inflate(&mut self, mut give: impl FnMut(&[u8])) -> io::Result<usize> {
        if self.waiting.is_empty() && !self.is_full {
            return Ok(0);
        }
        let mut piece = vec![0; PIECE];
        let (was_in, was_out) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(&self.waiting, &mut piece, FlushDecompress::None);
        if matches!(status, Err(_) | Ok(Status::StreamEnd)) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let read = usize::try_from(self.inflate.total_in() - was_in).unwrap_or(usize::MAX);
        let made = usize::try_from(self.inflate.total_out() - was_out).unwrap_or(usize::MAX);
        self.waiting.drain(..read.min(self.waiting.len()));
        if self.waiting.is_empty() {
            // A connection that idles holds nothing.
            self.waiting = Vec::new();
        }
        self.is_full = made == PIECE;
        give(piece.get(..made).unwrap_or_default());
        Ok(made)
    }

    /// The octets as they are to be sent, all of them.
    pub(crate) fn deflate(&mut self, octets: &[u8]) -> io::Result<Vec<u8>> {
        let begin = self.deflate.total_in();
        let mut out = Vec::with_capacity(octets.len() / 2 + MORE);
        loop {
            let read = usize::try_from(self.deflate.total_in() - begin).unwrap_or(usize::MAX);
            let rest = octets.get(read..).unwrap_or_default();
            self.deflate.compress_vec(rest, &mut out, FlushCompress::Sync).map_err(io::Error::other)?;
            let read = usize::try_from(self.deflate.total_in() - begin).unwrap_or(usize::MAX);
            // Room that is left says that nothing is held back.
            if read >= octets.len() && out.len() < out.capacity() {
                return Ok(out);
            }
            out.reserve(MORE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one end says, as the other hears it, by pieces of `size`.
    fn heard(from: &mut Deflated, to: &mut Deflated, octets: &[u8], size: usize) -> Vec<u8> {
        let sent = from.deflate(octets).unwrap();
        let mut heard = Vec::new();
        for piece in sent.chunks(size) {
            to.take(piece);
            while to.inflate(|octets| heard.extend_from_slice(octets)).unwrap() > 0 {}
        }
        heard
    }

    #[test]
    fn what_is_said_is_heard_at_once_and_whole() {
        let (mut one, mut other) = (Deflated::new(), Deflated::new());
        let noise: Vec<u8> = (0_u32..200_000).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for (octets, size) in [(&b"a NOOP\r\n"[..], 1), (b"b NOOP\r\n", 100), (&noise, 7000), (b"c", 1)] {
            assert!(heard(&mut one, &mut other, octets, size) == octets);
        }
    }

    #[test]
    fn a_few_octets_become_megabytes_by_pieces_only() {
        let (mut one, mut other) = (Deflated::new(), Deflated::new());
        let bomb = one.deflate(&vec![b'x'; 20_000_000]).unwrap();
        assert!(bomb.len() < 200_000);
        other.take(&bomb);
        let (mut count, mut largest) = (0, 0);
        loop {
            let made = other.inflate(|_| ()).unwrap();
            if made == 0 {
                break;
            }
            (count, largest) = (count + made, largest.max(made));
        }
        assert_eq!((count, largest), (20_000_000, PIECE));
    }

    #[test]
    fn what_is_not_deflated_is_an_error() {
        let mut deflated = Deflated::new();
        deflated.take(b"a1 NOOP\r\n\xff\xff\xff");
        assert!(deflated.inflate(|_| ()).is_err());
    }
}
