//! The sealed container: how a body lies on disk.
//!
//! A container is the magic `VGM1`, then frames. Each frame is a little-endian `u32` length, whose top bit marks the final frame, and that
//! many octets of AES-256-GCM ciphertext and tag over one marker octet (0 stored, 1 zstd) and up to [`FRAME`] octets of content.
//! The nonce is the frame's index under a content key that seals one body only; the associated data are the body id, the index and the
//! final flag, so frames cannot be dropped, reordered, cut off or moved to another body. Every frame but the final one holds exactly
//! [`FRAME`] octets of content: a partial read opens only the frames that it touches.
//!
//! A container that lies in S3 is followed by its frame index: the length of each frame, little-endian `u32` as in its head, their count as `u32`, and the magic `VGX1`.
//! A reader that asks for the end of an object then needs no request for each frame head. The index is not sealed: a wrong one names frames that do not open.
//!
//! It knows nothing of mailboxes, rows or files.

use crate::Error;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use mail_types::BodyId;
use std::cell::RefCell;
use zeroize::Zeroizing;

/// Octets of content in each frame but the last.
pub const FRAME: usize = 64 * 1024;
const MAGIC: &[u8; 4] = b"VGM1";
const INDEX_MAGIC: &[u8; 4] = b"VGX1";
const FINAL: u32 = 1 << 31;
const TAG: usize = 16;
/// Longest frame that a reader accepts: content, marker, tag.
const FRAME_MAX: usize = FRAME + 1 + TAG;

/// A 256-bit key.
pub(crate) type RawKey = Zeroizing<[u8; 32]>;

/// Fresh random octets.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source answers");
    bytes
}

fn aead(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("the key has 32 octets by type"))
}

/// Seals a short secret under `key` with a random nonce: `nonce || ciphertext || tag`.
pub(crate) fn wrap(key: &[u8; 32], context: &[u8], secret: &[u8]) -> Vec<u8> {
    let nonce: [u8; 12] = random();
    let mut sealed = secret.to_vec();
    aead(key)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut sealed)
        .expect("a short secret is within the bounds of AES-GCM");
    [nonce.as_slice(), &sealed].concat()
}

/// Opens what [`wrap`] made with the same key and context.
pub(crate) fn unwrap(key: &[u8; 32], context: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let (nonce, sealed) =
        wrapped.split_first_chunk::<12>().ok_or(Error::Sealed("wrapped key is too short"))?;
    let mut sealed = Zeroizing::new(sealed.to_vec());
    let opened = aead(key)
        .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(context), &mut sealed)
        .map_err(|_| Error::Sealed("wrapped key does not open"))?
        .len();
    sealed.truncate(opened);
    Ok(sealed)
}

/// Opens a wrapped 32-octet key.
pub(crate) fn unwrap_key(key: &[u8; 32], context: &[u8], wrapped: &[u8]) -> Result<RawKey, Error> {
    Unwrapping::with(key).key(context, wrapped)
}

/// Opens keys that one key wrapped, which is made ready once.
pub(crate) struct Unwrapping(LessSafeKey);

impl Unwrapping {
    pub(crate) fn with(key: &[u8; 32]) -> Self {
        Self(aead(key))
    }

    /// A 32-octet key.
    pub(crate) fn key(&self, context: &[u8], wrapped: &[u8]) -> Result<RawKey, Error> {
        const LENGTH: Error = Error::Sealed("a wrapped key has a wrong length");
        let (nonce, sealed) = wrapped.split_first_chunk::<12>().ok_or(LENGTH)?;
        let mut sealed = Zeroizing::new(<[u8; 32 + TAG]>::try_from(sealed).map_err(|_| LENGTH)?);
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.0.open_in_place(nonce, Aad::from(context), sealed.as_mut_slice());
        let opened = opened.map_err(|_| Error::Sealed("wrapped key does not open"))?;
        let mut raw = RawKey::default();
        raw.copy_from_slice(opened);
        Ok(raw)
    }
}

/// A content key seals the frames of one body, once: their index is nonce enough.
fn frame_nonce(index: u32) -> Nonce {
    let mut nonce = [0; 12];
    nonce[8..].copy_from_slice(&index.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

fn frame_context(body: BodyId, index: u32, is_final: bool) -> [u8; 21] {
    let mut context = [0; 21];
    context[..16].copy_from_slice(&body.0);
    context[16..20].copy_from_slice(&index.to_be_bytes());
    context[20] = u8::from(is_final);
    context
}

/// What stands beside a body under the same content key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SideCar {
    /// The structure found at delivery: ENVELOPE, BODYSTRUCTURE, part offsets.
    Structure,
    /// The signature of its text.
    Signature,
    /// The searchable text of its header.
    Header,
    /// The searchable text of its body.
    Extract,
}

/// Layout of a side car: this octet, a random nonce, ciphertext and tag.
const SIDE_CAR_VERSION: u8 = 2;
/// Octets before the ciphertext.
const SIDE_CAR_HEAD: usize = 1 + 12;

impl SideCar {
    fn octet(self) -> u8 {
        match self {
            Self::Structure => 1,
            Self::Signature => 2,
            Self::Header => 3,
            Self::Extract => 4,
        }
    }
}

/// Seals and opens what stands beside one body.
pub(crate) struct SideCars {
    body: BodyId,
    key: LessSafeKey,
}

impl SideCars {
    /// Under a key of their own, so that a side car never meets the nonces of the frames: SHA-256 of counter, content key and label (the one-step derivation of
    /// NIST SP 800-56C rev. 2 §4.1). One that is made anew, by a better scanner say, has a nonce of its own, and each kind is bound to its place.
    pub(crate) fn of(body: BodyId, content_key: &[u8; 32]) -> Self {
        const LABEL: &[u8; 13] = b"VGM side cars";
        let mut input = Zeroizing::new([0; 4 + 32 + LABEL.len()]);
        input[3] = 1;
        input[4..36].copy_from_slice(content_key);
        input[36..].copy_from_slice(LABEL);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, input.as_slice());
        let mut key = RawKey::default();
        key.copy_from_slice(digest.as_ref());
        Self { body, key: aead(&key) }
    }

    fn context(&self, kind: SideCar) -> Aad<[u8; 17]> {
        let mut context = [kind.octet(); 17];
        context[..16].copy_from_slice(&self.body.0);
        Aad::from(context)
    }

    /// Seals one.
    pub(crate) fn seal(&self, kind: SideCar, content: &[u8]) -> Vec<u8> {
        let nonce: [u8; 12] = random();
        let mut sealed = Vec::with_capacity(SIDE_CAR_HEAD + content.len() + TAG);
        sealed.push(SIDE_CAR_VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(content);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, self.context(kind), &mut sealed[SIDE_CAR_HEAD..])
            .expect("a side car is within the bounds of AES-GCM");
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// Opens one where it lies.
    pub(crate) fn open(&self, kind: SideCar, mut sealed: Vec<u8>) -> Result<Vec<u8>, Error> {
        let Some(&[SIDE_CAR_VERSION, ref nonce @ ..]) = sealed.first_chunk::<SIDE_CAR_HEAD>() else {
            return Err(Error::Sealed("a side car is of an unknown version"));
        };
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.key.open_within(nonce, self.context(kind), &mut sealed, SIDE_CAR_HEAD..);
        let length = opened.map_err(|_| Error::Sealed("a side car does not open"))?.len();
        sealed.truncate(length);
        Ok(sealed)
    }
}

thread_local! {
    /// A compressor's tables are far larger than most messages: each thread has its own, made on first use.
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

pub(crate) fn compress(content: &[u8]) -> std::io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|slot| {
        let compressor = match slot {
            Some(compressor) => compressor,
            None => slot.insert(zstd::bulk::Compressor::new(1)?),
        };
        compressor.compress(content)
    })
}

/// Decompresses into `out`, which is long enough; the length of the content.
pub(crate) fn decompress(packed: &[u8], out: &mut [u8]) -> std::io::Result<usize> {
    DECOMPRESSOR.with_borrow_mut(|slot| {
        let decompressor = match slot {
            Some(decompressor) => decompressor,
            None => slot.insert(zstd::bulk::Decompressor::new()?),
        };
        decompressor.decompress_to_buffer(packed, out)
    })
}

/// Turns content into frames.
pub(crate) struct Sealer {
    body: BodyId,
    key: LessSafeKey,
    index: u32,
    compress: bool,
    lengths: Vec<u32>,
}

impl Sealer {
    pub(crate) fn new(body: BodyId, key: &[u8; 32]) -> Result<Self, Error> {
        Ok(Self { body, key: aead(key), index: 0, compress: true, lengths: Vec::new() })
    }

    /// The first octets of every container.
    pub(crate) fn magic() -> &'static [u8] {
        MAGIC
    }

    /// Appends one frame to `out`. `content` is [`FRAME`] octets, or fewer in the final frame.
    pub(crate) fn seal(&mut self, content: &[u8], is_final: bool, out: &mut Vec<u8>) -> Result<(), Error> {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        self.pack(content, out)?;
        let context = frame_context(self.body, self.index, is_final);
        let (_, plain) = out.split_at_mut(start + 4);
        let tag = self
            .key
            .seal_in_place_separate_tag(frame_nonce(self.index), Aad::from(context), plain)
            .map_err(|_| Error::Sealed("a frame could not be sealed"))?;
        out.extend_from_slice(tag.as_ref());
        let length = u32::try_from(out.len() - start - 4).map_err(|_| Error::TooBig)?;
        self.lengths.push(length);
        let length = if is_final { length | FINAL } else { length };
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
        self.index = self.index.checked_add(1).ok_or(Error::TooBig)?;
        Ok(())
    }

    /// The frame index that follows the container in S3.
    pub(crate) fn index(&self) -> Vec<u8> {
        let mut index: Vec<u8> = self.lengths.iter().flat_map(|length| length.to_le_bytes()).collect();
        index.extend_from_slice(&self.index.to_le_bytes());
        index.extend_from_slice(INDEX_MAGIC);
        index
    }

    /// The marker octet and the content, compressed where that gains anything. A body whose frame gains nothing is no longer tried.
    fn pack(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        if self.compress && content.len() > 64 {
            let packed = compress(content)?;
            if packed.len() < content.len() - content.len() / 8 {
                out.push(1);
                out.extend_from_slice(&packed);
                return Ok(());
            }
            self.compress = content.len() < FRAME;
        }
        out.push(0);
        out.extend_from_slice(content);
        Ok(())
    }
}

/// Opens frames of one body.
pub(crate) struct Opener {
    body: BodyId,
    key: LessSafeKey,
}

impl Opener {
    pub(crate) fn new(body: BodyId, key: &[u8; 32]) -> Self {
        Self { body, key: aead(key) }
    }

    /// The content of the frame `index`, whose ciphertext is `sealed` (consumed as scratch space).
    pub(crate) fn open(
        &self,
        index: u32,
        is_final: bool,
        sealed: &mut [u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let context = frame_context(self.body, index, is_final);
        let plain = self
            .key
            .open_in_place(frame_nonce(index), Aad::from(context), sealed)
            .map_err(|_| Error::Sealed("a frame of the body does not open"))?;
        match plain.split_first() {
            Some((0, content)) => out.extend_from_slice(content),
            Some((1, packed)) => {
                let at = out.len();
                // Room for what the head of the packed content tells, and never for more than a frame.
                let told = zstd::zstd_safe::get_frame_content_size(packed).ok().flatten();
                let told = told.and_then(|told| usize::try_from(told).ok()).unwrap_or(FRAME);
                out.resize(at + told.min(FRAME), 0);
                let length = decompress(packed, &mut out[at..])?;
                out.truncate(at + length);
            }
            _ => return Err(Error::Sealed("a frame of the body is of an unknown kind")),
        }
        Ok(())
    }
}

/// Where each frame of a container lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FrameIndex {
    /// (offset of the ciphertext in the container, its length).
    frames: Vec<(u64, u32)>,
}

impl FrameIndex {
    /// Reads the lengths of an inline container.
    pub(crate) fn of(container: &[u8]) -> Result<Self, Error> {
        let mut walk = FrameWalk::new();
        walk.push(container)?;
        walk.finish()
    }

    /// Octets of the index at the end of an object, told by the object's last octets, of which there are at least eight.
    pub(crate) fn length_at_end(tail: &[u8]) -> Result<u64, Error> {
        let (rest, magic) = tail.split_last_chunk::<4>().ok_or(Error::Sealed("the object is cut off"))?;
        let (_, count) = rest.split_last_chunk::<4>().ok_or(Error::Sealed("the object is cut off"))?;
        if magic != INDEX_MAGIC {
            return Err(Error::Sealed("the object does not end in a frame index of a known version"));
        }
        Ok(u64::from(u32::from_le_bytes(*count)) * 4 + 8)
    }

    /// Reads the index at the end of an object of `length` octets, whose last ones are `tail`: at least [`FrameIndex::length_at_end`] of them.
    pub(crate) fn at_end(tail: &[u8], length: u64) -> Result<Self, Error> {
        let octets = Self::length_at_end(tail)?;
        let missing = || Error::Sealed("the frame index is cut off");
        let at = usize::try_from(octets)
            .ok()
            .and_then(|octets| tail.len().checked_sub(octets))
            .ok_or_else(missing)?;
        let (lengths, _) = tail[at..tail.len() - 8].as_chunks::<4>();
        let mut offset = 4;
        let frames: Vec<(u64, u32)> = lengths
            .iter()
            .map(|frame| {
                let frame = u32::from_le_bytes(*frame);
                let start = offset + 4;
                offset = start + u64::from(frame);
                (start, frame)
            })
            .collect();
        let is_possible = frames.iter().all(|(_, frame)| (TAG + 1..=FRAME_MAX).contains(&(*frame as usize)));
        if frames.is_empty() || !is_possible || offset + octets != length {
            return Err(Error::Sealed("the frame index does not fit the object"));
        }
        Ok(Self { frames })
    }

    /// The frames from `first` to `last`, fewer at the end, as one range of the container.
    pub(crate) fn run(&self, first: usize, last: usize) -> Option<std::ops::Range<u64>> {
        let (start, _) = *self.frames.get(first)?;
        let (end, length) = *self.frames.get(last.min(self.frames.len() - 1))?;
        Some(start..end + u64::from(length))
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    /// Offset, length and final flag of the ciphertext of a frame.
    pub(crate) fn frame(&self, index: usize) -> Option<(u64, u32, bool)> {
        self.frames.get(index).map(|(offset, length)| (*offset, *length, index + 1 == self.frames.len()))
    }
}

/// Finds frames in a container that is read in pieces.
pub(crate) struct FrameWalk {
    frames: Vec<(u64, u32)>,
    offset: u64,
    head: Vec<u8>,
    skip: u64,
    is_finished: bool,
}

impl FrameWalk {
    pub(crate) fn new() -> Self {
        Self { frames: Vec::new(), offset: 0, head: Vec::new(), skip: 0, is_finished: false }
    }

    /// Octets that can be passed over without reading them, and have to be told to [`FrameWalk::skipped`].
    pub(crate) fn skippable(&self) -> u64 {
        self.skip
    }

    pub(crate) fn skipped(&mut self, count: u64) {
        self.skip -= count;
        self.offset += count;
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.is_finished && self.skip == 0
    }

    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let count = self.skip.min(bytes.len() as u64);
                self.skipped(count);
                bytes = &bytes[usize::try_from(count).unwrap_or(bytes.len())..];
                continue;
            }
            if self.is_finished {
                return Err(Error::Sealed("octets follow the final frame"));
            }
            self.head.push(bytes[0]);
            self.offset += 1;
            bytes = &bytes[1..];
            self.read_head()?;
        }
        Ok(())
    }

    fn read_head(&mut self) -> Result<(), Error> {
        let Ok(head) = <[u8; 4]>::try_from(self.head.as_slice()) else { return Ok(()) };
        self.head.clear();
        if self.offset == 4 {
            return if &head == MAGIC {
                Ok(())
            } else {
                Err(Error::Sealed("not a container of a known version"))
            };
        }
        let length = u32::from_le_bytes(head);
        self.is_finished = length & FINAL != 0;
        let length = length & !FINAL;
        if length as usize > FRAME_MAX || (length as usize) < TAG + 1 {
            return Err(Error::Sealed("a frame has an impossible length"));
        }
        self.frames.push((self.offset, length));
        self.skip = u64::from(length);
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<FrameIndex, Error> {
        if self.is_finished() {
            Ok(FrameIndex { frames: self.frames })
        } else {
            Err(Error::Sealed("the container is cut off"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: BodyId = BodyId([7; 16]);

    fn sealed(content: &[u8]) -> Vec<u8> {
        let mut sealer = Sealer::new(BODY, &[1; 32]).unwrap();
        let mut out = Sealer::magic().to_vec();
        let mut chunks = content.chunks(FRAME).peekable();
        if chunks.peek().is_none() {
            sealer.seal(&[], true, &mut out).unwrap();
        }
        while let Some(chunk) = chunks.next() {
            sealer.seal(chunk, chunks.peek().is_none(), &mut out).unwrap();
        }
        out
    }

    fn opened(container: &[u8], body: BodyId) -> Result<Vec<u8>, Error> {
        let index = FrameIndex::of(container)?;
        let opener = Opener::new(body, &[1; 32]);
        let mut out = Vec::new();
        for i in 0..index.len() {
            let (offset, length, is_final) = index.frame(i).unwrap();
            let mut frame = container[offset as usize..offset as usize + length as usize].to_vec();
            opener.open(i as u32, is_final, &mut frame, &mut out)?;
        }
        Ok(out)
    }

    #[test]
    fn content_of_every_size_comes_back() {
        for size in [0, 1, 65, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME + 17] {
            let content: Vec<u8> = (0..size).map(|i| (i * 7919 % 251) as u8).collect();
            assert_eq!(opened(&sealed(&content), BODY).unwrap(), content, "{size}");
        }
    }

    #[test]
    fn text_is_smaller_and_not_readable() {
        let content = b"Compte rendu d'hospitalisation ".repeat(500);
        let container = sealed(&content);
        assert!(container.len() < content.len() / 4);
        assert!(!container.windows(12).any(|w| w == b"Compte rendu"));
    }

    #[test]
    fn a_changed_cut_or_moved_container_does_not_open() {
        let container = sealed(&vec![b'a'; 2 * FRAME + 5]);
        let mut changed = container.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(opened(&changed, BODY).is_err());
        assert!(opened(&container[..container.len() - 40], BODY).is_err());
        assert!(opened(&container, BodyId([8; 16])).is_err());
        let (first, length, _) = FrameIndex::of(&container).unwrap().frame(0).unwrap();
        let mut cut = container[..first as usize + length as usize].to_vec();
        cut[7] |= 0x80;
        assert!(opened(&cut, BODY).is_err(), "a first frame relabelled as final");
    }

    #[test]
    fn the_index_at_the_end_of_an_object_equals_the_walk() {
        let content =
            [vec![b'a'; FRAME], (0..FRAME).map(|i| (i * 7919 % 251) as u8).collect(), vec![b'c'; 17]]
                .concat();
        let mut sealer = Sealer::new(BODY, &[1; 32]).unwrap();
        let mut object = Sealer::magic().to_vec();
        let chunks: Vec<&[u8]> = content.chunks(FRAME).collect();
        for (i, chunk) in chunks.iter().enumerate() {
            sealer.seal(chunk, i + 1 == chunks.len(), &mut object).unwrap();
        }
        let walked = FrameIndex::of(&object).unwrap();
        object.extend(sealer.index());
        let length = object.len() as u64;
        assert_eq!(FrameIndex::length_at_end(&object).unwrap(), 3 * 4 + 8);
        let index = FrameIndex::at_end(&object[object.len() - 20..], length).unwrap();
        assert_eq!(index, walked);
        assert_eq!(index.run(1, 9).unwrap().end, length - 20);
        assert!(FrameIndex::at_end(&object[object.len() - 16..], length).is_err(), "cut off");
        assert!(FrameIndex::at_end(&object, length + 1).is_err(), "of another object");
        object.pop();
        assert!(FrameIndex::at_end(&object, length - 1).is_err(), "no magic");
    }

    #[test]
    fn a_side_car_opens_for_its_body_and_as_what_it_is() {
        let cars = SideCars::of(BODY, &[1; 32]);
        for content in [&b""[..], b"(envelope)", &[7; 5000]] {
            let sealed = cars.seal(SideCar::Header, content);
            assert_eq!(cars.open(SideCar::Header, sealed.clone()).unwrap(), content);
            assert!(cars.open(SideCar::Extract, sealed.clone()).is_err());
            assert!(SideCars::of(BodyId([8; 16]), &[1; 32]).open(SideCar::Header, sealed.clone()).is_err());
            assert!(SideCars::of(BODY, &[2; 32]).open(SideCar::Header, sealed.clone()).is_err());
            assert!(cars.open(SideCar::Header, sealed[..sealed.len() - 1].to_vec()).is_err());
            let other = [&[1][..], &sealed[1..]].concat();
            assert!(
                matches!(cars.open(SideCar::Header, other), Err(Error::Sealed(text)) if text.contains("version"))
            );
            assert_ne!(sealed, cars.seal(SideCar::Header, content), "a nonce of its own");
        }
    }

    #[test]
    fn a_wrap_opens_only_in_its_context() {
        let wrapped = wrap(&[2; 32], b"here", &[9; 32]);
        assert_eq!(*unwrap_key(&[2; 32], b"here", &wrapped).unwrap(), [9; 32]);
        assert!(unwrap_key(&[2; 32], b"there", &wrapped).is_err());
        assert!(unwrap_key(&[3; 32], b"here", &wrapped).is_err());
        assert!(unwrap_key(&[2; 32], b"here", &wrapped[..59]).is_err());
        assert!(unwrap_key(&[2; 32], b"here", &wrap(&[2; 32], b"here", &[9; 33])).is_err());
    }
}
