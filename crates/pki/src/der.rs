//! A reader of flat DER: one element after another, without allocation or recursion.
//!
//! Revocation lists are read with it because they may hold hundreds of thousands of entries and come over plain HTTP: nothing is
//! built from them before their signature was verified. It knows tags, not meanings.

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OID: u8 = 0x06;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// One element: its tag byte, its content, and both with the length between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    pub(crate) raw: &'a [u8],
}

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next element; `None` at the end and on anything that is not DER with a one-byte tag.
    pub(crate) fn element(&mut self) -> Option<Element<'a>> {
        let (&tag, after_tag) = self.0.split_first()?;
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (length, content_and_rest) = length(after_tag)?;
        let (content, rest) = content_and_rest.split_at_checked(length)?;
        let raw = self.0.get(..self.0.len() - rest.len())?;
        self.0 = rest;
        Some(Element { tag, content, raw })
    }

    /// What is left, unread.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// The content of the next element if it has this tag; nothing is consumed otherwise.
    pub(crate) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let element = ahead.element().filter(|element| element.tag == tag)?;
        *self = ahead;
        Some(element.content)
    }
}

/// The content of an element that fills `bytes`, whatever its tag.
pub(crate) fn content(bytes: &[u8]) -> Option<&[u8]> {
    Reader::new(bytes).element().map(|element| element.content)
}

/// A SEQUENCE of this content.
pub(crate) fn sequence(content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = without_leading_zeros(&length);
    let mut element = vec![SEQUENCE];
    if content.len() >= 0x80 {
        // At most eight octets of length: the cast loses nothing.
        element.push(0x80 | length.len() as u8);
    }
    element.extend_from_slice(if content.is_empty() { &[0] } else { length });
    element.extend_from_slice(content);
    element
}

/// An unsigned big-endian number without its leading zeros.
pub(crate) fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let first = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    number.get(first..).unwrap_or_default()
}

/// Definite lengths of up to four bytes.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    match first {
        0..=0x7f => Some((usize::from(first), rest)),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let value = digits.iter().fold(0usize, |value, digit| (value << 8) | usize::from(*digit));
            Some((value, rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_follow_one_another() {
        let mut reader = Reader::new(&[0x02, 1, 5, 0x30, 0x81, 2, 7, 8]);
        assert_eq!(reader.take(SEQUENCE), None);
        assert_eq!(reader.take(INTEGER), Some(&[5][..]));
        let sequence = reader.element().unwrap();
        assert_eq!((sequence.tag, sequence.content, sequence.raw.len()), (SEQUENCE, &[7, 8][..], 5));
        assert!(reader.is_empty());
    }

    #[test]
    fn a_sequence_is_written_as_it_is_read() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x1_0000] {
            let content = vec![7; length];
            let element = sequence(&content);
            let mut reader = Reader::new(&element);
            assert_eq!(reader.take(SEQUENCE), Some(&content[..]), "{length}");
            assert!(reader.is_empty(), "{length}");
        }
    }

    #[test]
    fn truncated_indefinite_and_overlong_elements_are_refused() {
        for bytes in
            [&[0x30][..], &[0x30, 5, 1], &[0x30, 0x80, 0, 0], &[0x30, 0x85, 0, 0, 0, 0, 1, 0], &[0x1f, 1, 0]]
        {
            assert!(Reader::new(bytes).element().is_none(), "{bytes:?}");
        }
    }
}
