//! Content made ready for DATA (RFC 5321 §4.5.2): dots doubled at line starts, CRLF.CRLF at the end.
//!
//! What leaves is always clean, so that no server can see an end of content where we see none (SMTP smuggling): a bare LF becomes
//! CRLF and a bare CR becomes a space. Content that came by SMTP has neither.

use memchr::memchr2;

/// Stuffs content given in pieces of any size.
#[derive(Clone, Copy, Debug)]
pub struct DotStuffer {
    line_start: bool,
    /// The last octet was a CR, not written yet.
    cr: bool,
}

impl Default for DotStuffer {
    fn default() -> Self {
        Self { line_start: true, cr: false }
    }
}

impl DotStuffer {
    /// A stuffer at the beginning of a content.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the stuffed form of `chunk` to `out`.
    pub fn stuff(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        out.reserve(chunk.len() + chunk.len() / 64);
        let mut rest = chunk;
        while let Some(&octet) = rest.first() {
            if self.cr {
                self.cr = false;
                self.line_start = octet == b'\n';
                out.extend_from_slice(if self.line_start { b"\r\n" } else { b" " });
                rest = rest.get(usize::from(self.line_start)..).unwrap_or_default();
                continue;
            }
            if self.line_start && octet == b'.' {
                out.push(b'.');
            }
            self.line_start = false;
            let Some(at) = memchr2(b'\r', b'\n', rest) else {
                out.extend_from_slice(rest);
                return;
            };
            let (run, after) = rest.split_at(at);
            out.extend_from_slice(run);
            self.cr = true;
            // A LF met here is bare: reading it again as after a CR makes it CRLF.
            rest = after.strip_prefix(b"\r").unwrap_or(after);
        }
    }

    /// Appends the terminator, after a CRLF where the content does not end with one.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        if self.cr {
            self.cr = false;
            out.push(b' ');
        }
        out.extend_from_slice(if self.line_start { b".\r\n" } else { b"\r\n.\r\n" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stuffed(content: &[u8]) -> Vec<u8> {
        let (mut whole, mut split) = (Vec::new(), Vec::new());
        let mut stuffer = DotStuffer::new();
        stuffer.stuff(content, &mut whole);
        stuffer.finish(&mut whole);
        let mut stuffer = DotStuffer::new();
        content.iter().for_each(|octet| stuffer.stuff(&[*octet], &mut split));
        stuffer.finish(&mut split);
        assert_eq!(whole, split);
        whole
    }

    #[test]
    fn dots_are_doubled_at_line_starts_only() {
        assert_eq!(stuffed(b".\r\n..a.\r\n"), b"..\r\n...a.\r\n.\r\n");
    }

    #[test]
    fn the_terminator_stands_on_its_own_line() {
        assert_eq!(stuffed(b""), b".\r\n");
        assert_eq!(stuffed(b"a"), b"a\r\n.\r\n");
        assert_eq!(stuffed(b"a\r"), b"a \r\n.\r\n");
    }

    #[test]
    fn nothing_that_another_server_takes_for_an_end_leaves() {
        assert_eq!(stuffed(b"a\n.\nb"), b"a\r\n..\r\nb\r\n.\r\n");
        assert_eq!(stuffed(b"a\r.\rb"), b"a . b\r\n.\r\n");
        assert_eq!(stuffed(b"a\r\n.\r\r\nb"), b"a\r\n.. \r\nb\r\n.\r\n");
    }
}
