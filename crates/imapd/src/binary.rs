//! BINARY (RFC 3516): parts without their transfer encoding, decoded as they are sent.
//!
//! A part is decoded twice, once to tell how long it is, unless it is small: no part is held whole.

use crate::fetch::Trouble;
use crate::section::clip;
use crate::standing::Watch;
use crate::transport::{Transport, Wire};
use imap_session::command::{FetchItem, Partial};
use imap_session::response;
use message::structure::{SectionKind, Structure};
use message::text::{BodyDecoder, Encoding};
use std::ops::Range;
use store::BodyReader;

/// Octets decoded at one time.
const PIECE: u64 = 256 * 1024;
/// Decoded octets that are kept from the first reading to the answer.
const HELD_MAX: usize = 256 * 1024;

/// What BINARY asks of a message.
pub(crate) enum Decoding {
    /// There is no such part.
    Nowhere,
    /// The part has an encoding that nothing is known of.
    Unknown,
    /// These octets, so encoded.
    Part(Range<u64>, Encoding),
}

impl Decoding {
    /// Of a part; of the message as it is stored when no part is named. What holds other parts is not encoded itself (RFC 2045 §6.4).
    pub(crate) fn find(part: &[u32], structure: &Structure, size: u64) -> Self {
        let Some(range) = structure.section(part, SectionKind::Content) else { return Self::Nowhere };
        let range = range.start.min(size)..range.end.min(size);
        let leaf = structure.leaves().find(|leaf| !part.is_empty() && leaf.body == range);
        let name = leaf.map_or("binary", |leaf| leaf.encoding.trim());
        let is_known = ["7bit", "8bit", "binary", "base64", "quoted-printable"];
        if is_known.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            Self::Part(range, Encoding::named(name))
        } else {
            Self::Unknown
        }
    }
}

/// Whether an item asks for a part in an encoding that nothing is known of.
pub(crate) fn is_unknown(item: &FetchItem, structure: Option<&Structure>, size: u64) -> bool {
    let (FetchItem::Binary { part, .. } | FetchItem::BinarySize { part }) = item else { return false };
    structure.is_some_and(|structure| matches!(Decoding::find(part, structure, size), Decoding::Unknown))
}

/// The octets of a part, piece by piece.
struct Pieces {
    rest: Range<u64>,
    decoder: Option<BodyDecoder>,
    raw: Vec<u8>,
    decoded: Vec<u8>,
}

impl Pieces {
    fn new(range: &Range<u64>, encoding: Encoding) -> Self {
        let decoder = Some(BodyDecoder::new(encoding));
        Self { rest: range.clone(), decoder, raw: Vec::new(), decoded: Vec::new() }
    }

    async fn next(&mut self, reader: &mut BodyReader) -> Result<Option<&[u8]>, store::Error> {
        let Some(decoder) = &mut self.decoder else { return Ok(None) };
        self.raw.clear();
        self.decoded.clear();
        let to = self.rest.end.min(self.rest.start.saturating_add(PIECE));
        reader.read(self.rest.start, to, &mut self.raw).await?;
        self.rest.start = to;
        decoder.push(&self.raw, &mut self.decoded);
        if self.rest.is_empty()
            && let Some(decoder) = self.decoder.take()
        {
            decoder.finish(&mut self.decoded);
        }
        Ok(Some(&self.decoded))
    }
}

/// What a first reading found.
struct Measure {
    total: u64,
    /// NUL is among the octets asked for.
    has_nul: bool,
    /// The octets asked for, unless they are many.
    held: Option<Vec<u8>>,
}

async fn measure(
    (watch, transport): (&mut Watch<'_>, &Transport),
    reader: &mut BodyReader,
    (range, encoding): (&Range<u64>, Encoding),
    wanted: &Range<u64>,
) -> Result<Measure, Trouble> {
    let mut measure = Measure { total: 0, has_nul: false, held: Some(Vec::new()) };
    let mut pieces = Pieces::new(range, encoding);
    while let Some(piece) = pieces.next(reader).await? {
        let octets = within(piece, measure.total, wanted);
        measure.has_nul |= octets.contains(&0);
        measure.total += piece.len() as u64;
        measure.held = measure.held.filter(|held| held.len() + octets.len() <= HELD_MAX).map(|mut held| {
            held.extend_from_slice(octets);
            held
        });
        if !watch.may_go_on(transport).await {
            return Err(Trouble::Lost);
        }
    }
    Ok(measure)
}

/// What of a piece that begins at `at` is wanted.
fn within<'p>(piece: &'p [u8], at: u64, wanted: &Range<u64>) -> &'p [u8] {
    let place = |octet: u64| usize::try_from(octet.saturating_sub(at)).unwrap_or(usize::MAX).min(piece.len());
    piece.get(place(wanted.start)..place(wanted.end)).unwrap_or_default()
}

/// The number of BINARY.SIZE.
pub(crate) async fn write_size(
    wire: &mut Wire,
    watch: &mut Watch<'_>,
    reader: &mut BodyReader,
    decoding: Decoding,
) -> Result<(), Trouble> {
    let size = match decoding {
        Decoding::Part(range, Encoding::Identity) => range.end - range.start,
        Decoding::Part(range, encoding) => {
            measure((watch, &wire.transport), reader, (&range, encoding), &(0..0)).await?.total
        }
        Decoding::Nowhere | Decoding::Unknown => 0,
    };
    response::number(&mut wire.out, size);
    Ok(())
}

/// The octets of BINARY: a literal8 where NUL is among them.
pub(crate) async fn write(
    wire: &mut Wire,
    watch: &mut Watch<'_>,
    reader: &mut BodyReader,
    decoding: Decoding,
    partial: Option<Partial>,
) -> Result<(), Trouble> {
    let Decoding::Part(range, encoding) = decoding else {
        response::nil(&mut wire.out);
        return Ok(());
    };
    let wanted = clip(0..u64::MAX, partial);
    let measure = measure((watch, &wire.transport), reader, (&range, encoding), &wanted).await?;
    let wanted = clip(0..measure.total, partial);
    if measure.has_nul {
        wire.out.push(b'~');
    }
    response::literal_header(&mut wire.out, wanted.end - wanted.start);
    if let Some(held) = measure.held {
        wire.out.extend_from_slice(&held);
        return Ok(());
    }
    let mut pieces = Pieces::new(&range, encoding);
    let mut at = 0;
    while let Some(piece) = pieces.next(reader).await? {
        wire.out.extend_from_slice(within(piece, at, &wanted));
        at += piece.len() as u64;
        wire.spill().await?;
        // As within any long literal: access may be lost meanwhile, and no goodbye can be said.
        if at < wanted.end && !watch.may_go_on(&wire.transport).await {
            return Err(Trouble::Lost);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn a_piece_gives_what_is_wanted_of_it() {
        assert_eq!(within(b"abcdef", 10, &(0..u64::MAX)), b"abcdef");
        assert_eq!(within(b"abcdef", 10, &(12..14)), b"cd");
        assert_eq!(within(b"abcdef", 10, &(0..11)), b"a");
        assert_eq!(within(b"abcdef", 10, &(15..90)), b"f");
        assert_eq!(within(b"abcdef", 10, &(16..90)), b"");
        assert_eq!(within(b"abcdef", 10, &(0..10)), b"");
    }
}
