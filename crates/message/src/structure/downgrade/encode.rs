//! Quoted-printable and base64 (RFC 2045 §6.7, §6.8), written as a stream.

/// Longest line, line end excluded.
const LINE_MAX: usize = 76;

/// Writes quoted-printable. CRLF stays a line end; any other CR or LF is encoded.
#[derive(Debug, Default)]
pub(super) struct QuotedPrintableEncoder {
    column: usize,
    /// The last octet, when what follows decides how it is written: a blank or a CR.
    held: Option<u8>,
}

impl QuotedPrintableEncoder {
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &octet in bytes {
            match (self.held.take(), octet) {
                (Some(b'\r'), b'\n') => {
                    out.extend_from_slice(b"\r\n");
                    self.column = 0;
                    continue;
                }
                (Some(blank), b'\r') if blank != b'\r' => self.encoded(blank, out),
                (Some(b'\r'), _) => self.encoded(b'\r', out),
                (Some(blank), _) => self.literal(blank, out),
                (None, _) => {}
            }
            match octet {
                b' ' | b'\t' | b'\r' => self.held = Some(octet),
                // A delimiter must not arise where a line is broken.
                b'-' if self.column == LINE_MAX - 1 => self.encoded(octet, out),
                b'!'..=b'~' if octet != b'=' => self.literal(octet, out),
                _ => self.encoded(octet, out),
            }
        }
    }

    pub(super) fn finish(mut self, out: &mut Vec<u8>) {
        if let Some(octet) = self.held.take() {
            self.encoded(octet, out);
        }
    }

    fn literal(&mut self, octet: u8, out: &mut Vec<u8>) {
        self.make_room(1, out);
        out.push(octet);
        self.column += 1;
    }

    fn encoded(&mut self, octet: u8, out: &mut Vec<u8>) {
        self.make_room(3, out);
        let digit = |value: u8| b"0123456789ABCDEF"[usize::from(value & 15)];
        out.extend_from_slice(&[b'=', digit(octet >> 4), digit(octet)]);
        self.column += 3;
    }

    /// One column is always left for the `=` of a soft line break.
    fn make_room(&mut self, width: usize, out: &mut Vec<u8>) {
        if self.column + width > LINE_MAX - 1 {
            out.extend_from_slice(b"=\r\n");
            self.column = 0;
        }
    }
}

/// Writes base64 in lines of 76.
#[derive(Debug, Default)]
pub(super) struct Base64Encoder {
    held: [u8; 3],
    count: usize,
    column: usize,
}

impl Base64Encoder {
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &octet in bytes {
            self.held[self.count] = octet;
            self.count += 1;
            if self.count == 3 {
                self.quantum(out);
            }
        }
    }

    pub(super) fn finish(mut self, out: &mut Vec<u8>) {
        if self.count > 0 {
            self.quantum(out);
        }
    }

    fn quantum(&mut self, out: &mut Vec<u8>) {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        if self.column == LINE_MAX {
            out.extend_from_slice(b"\r\n");
            self.column = 0;
        }
        self.held[self.count..].fill(0);
        let bits = self.held.iter().fold(0u32, |bits, octet| bits << 8 | u32::from(*octet));
        for place in 0..4 {
            let sextet = (bits >> (18 - 6 * place) & 63) as usize;
            out.push(if place <= self.count { ALPHABET[sextet] } else { b'=' });
        }
        self.count = 0;
        self.column += 4;
    }
}
