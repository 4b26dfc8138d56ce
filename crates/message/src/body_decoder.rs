//! A transfer encoding undone piece by piece, for bodies that are too large to be held whole.

use crate::text::Encoding;
use crate::transfer::{hex_pair, sextet};

/// Octets that a soft line break of quoted-printable may have between its `=` and its line end, that line end included.
const BREAK_MAX: usize = 82;

/// Takes a body as it is encoded, gives the octets behind it. What is not code is passed over as [`decode_body`](crate::text::decode_body) does.
#[derive(Clone, Debug)]
pub struct BodyDecoder {
    encoding: Encoding,
    /// Base64: bits that make no octet yet, and how many.
    bits: u32,
    count: u32,
    /// Quoted-printable: an `=` and what follows, as long as it cannot be told what it is.
    held: Vec<u8>,
}

impl BodyDecoder {
    /// A decoder of that encoding.
    pub fn new(encoding: Encoding) -> Self {
        Self { encoding, bits: 0, count: 0, held: Vec::new() }
    }

    /// Takes more of the body; what can be told is appended to `out`.
    pub fn push(&mut self, raw: &[u8], out: &mut Vec<u8>) {
        match self.encoding {
            Encoding::Identity => out.extend_from_slice(raw),
            Encoding::Base64 => raw.iter().for_each(|b| self.push_base64(*b, out)),
            Encoding::QuotedPrintable => {
                self.held.extend_from_slice(raw);
                self.quoted_printable(false, out);
            }
        }
    }

    /// The body is at its end.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.quoted_printable(true, out);
    }

    fn push_base64(&mut self, b: u8, out: &mut Vec<u8>) {
        let Some(value) = sextet(b) else {
            if b == b'=' {
                (self.bits, self.count) = (0, 0);
            }
            return;
        };
        self.bits = self.bits << 6 | u32::from(value);
        self.count += 6;
        if self.count >= 8 {
            self.count -= 8;
            out.push((self.bits >> self.count) as u8);
            self.bits &= (1 << self.count) - 1;
        }
    }

    /// Decodes what is held, up to an `=` whose meaning depends on octets that did not come yet.
    fn quoted_printable(&mut self, is_end: bool, out: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        let mut rest = held.as_slice();
        while let Some(at) = memchr::memchr(b'=', rest) {
            let after = &rest[at + 1..];
            if !is_end && after.len() < BREAK_MAX && hex_pair(after).is_none() && is_open(after) {
                out.extend_from_slice(&rest[..at]);
                self.held.extend_from_slice(&rest[at..]);
                return;
            }
            out.extend_from_slice(&rest[..at]);
            rest = after;
            if let Some(octet) = hex_pair(rest) {
                out.push(octet);
                rest = &rest[2..];
            } else if let Some(length) = crate::transfer::soft_break(rest) {
                rest = &rest[length..];
            } else {
                out.push(b'=');
            }
        }
        out.extend_from_slice(rest);
    }
}

/// Whether more octets could make something else of what follows an `=`: a digit alone, or blanks without a line end.
fn is_open(after: &[u8]) -> bool {
    let is_blank = |b: &u8| matches!(b, b' ' | b'\t' | b'\r');
    after.iter().all(is_blank) || (after.len() == 1 && after[0].is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces(raw: &[u8], encoding: Encoding, size: usize) -> Vec<u8> {
        let (mut decoder, mut out) = (BodyDecoder::new(encoding), Vec::new());
        raw.chunks(size).for_each(|piece| decoder.push(piece, &mut out));
        decoder.finish(&mut out);
        out
    }

    #[test]
    fn a_code_may_be_cut_anywhere() {
        let raw = b"a=C3=A9 =\r\nb= \t\r\n=ZZ=4";
        for size in 1..raw.len() {
            assert_eq!(pieces(raw, Encoding::QuotedPrintable, size), b"a\xc3\xa9 b=ZZ=4", "by {size}");
        }
        assert_eq!(pieces(b"Ym9u\r\nam91cg==", Encoding::Base64, 3), b"bonjour");
    }

    proptest! {
        #[test]
        fn pieces_decode_as_the_whole_does(raw in "[=0-9A-Za-z+/ \t\r\n]{0,300}", size in 1_usize..90) {
            for encoding in [Encoding::Identity, Encoding::Base64, Encoding::QuotedPrintable] {
                let whole = crate::transfer::decode(raw.as_bytes(), encoding);
                prop_assert_eq!(pieces(raw.as_bytes(), encoding, size), whole);
            }
        }
    }
}
