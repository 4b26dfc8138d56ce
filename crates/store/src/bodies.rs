//! Bodies: the bounded spool that seals while content arrives, and readers that open only the frames they need.
//!
//! Content never lies in clear on a disk: what does not fit in memory goes to a temporary file already sealed. A container of at most
//! [`INLINE_MAX`] octets stands in its row, so that one fsync covers everything; a larger one is settled in the [body store](body_store), as a file or as an
//! object of S3, before the row commits.

use crate::Error;
use crate::extracts::SealedSearch;
use crate::seal::{FRAME, FrameIndex, FrameWalk, Opener, RawKey, Sealer, SideCar, SideCars, random};
use body_store::{BodyStore, Claim, ObjectReader, Opened, SpoolFile, Stored};
use mail_types::BodyId;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Largest container kept in its row.
pub(crate) const INLINE_MAX: usize = 256 * 1024;
/// Largest signature and extract, sealed, of one of many bodies that wait together.
const SEARCH_OUTSIDE_MAX: usize = 32 * 1024;
/// Sealed octets gathered before they are written to the spool file.
const WRITE_CHUNK: usize = 512 * 1024;
/// Octets at the end of an object that are asked for when it is opened: the frame index of 256 MiB of content.
const TAIL: u64 = 16 * 1024;
/// Frames that one request to S3 brings when a body is read in order: 1 MiB of content in memory for each reader.
const READ_AHEAD: usize = 16;

/// The random key that seals one body.
#[derive(Clone)]
pub struct ContentKey(RawKey);

impl ContentKey {
    pub(crate) fn from_raw(raw: RawKey) -> Self {
        Self(raw)
    }

    pub(crate) fn raw(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[content key]")
    }
}

/// Where a finished container is.
#[derive(Debug)]
pub(crate) enum Place {
    Inline(Vec<u8>),
    /// In the body store, durable.
    Outside(Stored),
}

impl Place {
    /// The word of the row.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Inline(_) => "inline",
            Self::Outside(stored) => stored.place().as_str(),
        }
    }

    /// The container, where it stands in the row.
    pub(crate) fn container(&self) -> Option<&[u8]> {
        match self {
            Self::Inline(container) => Some(container),
            Self::Outside(_) => None,
        }
    }
}

/// A finished sealed body, durable (outside its row) or in memory (inline), ready for the transaction that refers to it. Dropped before a row
/// kept it, it is gone.
#[derive(Debug)]
pub struct SealedBody {
    pub(crate) id: BodyId,
    pub(crate) size: u64,
    pub(crate) place: Place,
    pub(crate) structure: Vec<u8>,
    pub(crate) search: Option<SealedSearch>,
    key: ContentKey,
}

impl SealedBody {
    /// The id of the body.
    pub fn id(&self) -> BodyId {
        self.id
    }

    /// Octets of content.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The key, to be wrapped for each reference.
    pub fn key(&self) -> &ContentKey {
        &self.key
    }

    /// Octets that it holds in memory while it waits for its transaction.
    pub fn held(&self) -> usize {
        self.place.container().map_or(0, <[u8]>::len)
            + self.structure.len()
            + self.search.as_ref().map_or(0, SealedSearch::octets)
    }

    /// The same in KiB.
    pub(crate) fn held_kib(&self) -> u32 {
        u32::try_from(self.held() / 1024).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// Who answers for a container outside its row. The writer takes it along: it keeps the container before COMMIT is sent, because after that the
    /// caller may be gone and the outcome unknown; after a rollback that is certain it calls [`Claim::release`], and the container goes when this body
    /// is dropped, not at the next sweep.
    pub(crate) fn claim(&self) -> Option<&Arc<Claim>> {
        match &self.place {
            Place::Inline(_) => None,
            Place::Outside(stored) => Some(stored.claim()),
        }
    }
}

/// Takes content as it arrives and seals it.
pub struct BodyWriter {
    id: BodyId,
    key: ContentKey,
    bodies: BodyStore,
    sealer: Sealer,
    side_cars: SideCars,
    pending: Zeroizing<Vec<u8>>,
    sealed: Vec<u8>,
    file: Option<SpoolFile>,
    search: Option<SealedSearch>,
    size: u64,
    size_max: u64,
    /// Octets of a container that may stand in its row.
    inline_max: usize,
}

impl std::fmt::Debug for BodyWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BodyWriter").field("id", &self.id).field("size", &self.size).finish_non_exhaustive()
    }
}

impl BodyWriter {
    pub(crate) fn new(bodies: BodyStore, size_max: u64) -> Result<Self, Error> {
        let id = BodyId(*uuid::Uuid::now_v7().as_bytes());
        let key = ContentKey(Zeroizing::new(random()));
        let sealer = Sealer::new(id, key.raw())?;
        let side_cars = SideCars::of(id, key.raw());
        let sealed = Sealer::magic().to_vec();
        Ok(Self {
            id,
            key,
            bodies,
            sealer,
            side_cars,
            pending: Zeroizing::default(),
            sealed,
            file: None,
            search: None,
            size: 0,
            size_max,
            inline_max: INLINE_MAX,
        })
    }

    /// Octets taken so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The container goes to the body store, however small it is: one of many that would be held in memory until they are committed together.
    pub fn keep_outside(&mut self) {
        self.inline_max = 0;
    }

    /// Takes more content. Over the bound it is [`Error::TooBig`] and the writer is of no further use.
    pub async fn write(&mut self, mut content: &[u8]) -> Result<(), Error> {
        self.size += content.len() as u64;
        if self.size > self.size_max {
            return Err(Error::TooBig);
        }
        while self.pending.len() + content.len() > FRAME {
            let (now, later) = content.split_at(FRAME - self.pending.len());
            content = later;
            self.pending.extend_from_slice(now);
            self.sealer.seal(&self.pending, false, &mut self.sealed)?;
            self.pending.clear();
            if self.sealed.len() >= WRITE_CHUNK {
                self.spill().await?;
            }
        }
        self.pending.extend_from_slice(content);
        Ok(())
    }

    /// Writes the gathered frames to the spool file.
    async fn spill(&mut self) -> Result<(), Error> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(self.bodies.spool(self.id)?),
        };
        self.sealed = file.append(std::mem::take(&mut self.sealed)).await?;
        self.sealed.clear();
        Ok(())
    }

    /// Seals what the body is searched by: the signature of its text, and the texts of header and body. Not of a body that is kept outside and has much text: it would be held in memory.
    ///
    /// # Errors
    /// [`Error::TooBig`] for a text of 4 GiB.
    pub fn make_searchable(&mut self, signature: &[u8], header: &[u8], text: &[u8]) -> Result<(), Error> {
        let sealed = SealedSearch::seal(&self.side_cars, signature, header, text)?;
        self.search = (self.inline_max > 0 || sealed.octets() <= SEARCH_OUTSIDE_MAX).then_some(sealed);
        Ok(())
    }

    /// Seals the last frame and the structure found by the scanner, and makes a large container durable.
    pub async fn finish(mut self, structure: &[u8]) -> Result<SealedBody, Error> {
        self.sealer.seal(&self.pending, true, &mut self.sealed)?;
        let structure = self.side_cars.seal(SideCar::Structure, structure);
        let place = if self.file.is_none() && self.sealed.len() <= self.inline_max {
            Place::Inline(std::mem::take(&mut self.sealed))
        } else {
            Place::Outside(self.settle().await?)
        };
        let search = self.search;
        Ok(SealedBody { id: self.id, size: self.size, place, structure, search, key: self.key })
    }

    async fn settle(&mut self) -> Result<Stored, Error> {
        if self.bodies.new_ones() == body_store::Place::Object {
            self.sealed.extend(self.sealer.index());
        }
        self.spill().await?;
        let file = self.file.take().ok_or(Error::Inconsistent("a spilled body has no file"))?;
        Ok(self.bodies.settle(file).await?)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Closing)?
}

enum Container {
    Inline(Vec<u8>),
    File(Arc<std::fs::File>),
    Object(ObjectReader, Window),
}

/// The run of frames that the last request to S3 brought.
#[derive(Default)]
struct Window {
    start: u64,
    octets: Vec<u8>,
    /// The frame after it.
    next: usize,
}

impl Window {
    fn frame(&self, offset: u64, length: u32) -> Option<&[u8]> {
        let from = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.octets.get(from..from.checked_add(length as usize)?)
    }
}

/// Reads ranges of one body.
pub struct BodyReader {
    opener: Opener,
    container: Container,
    index: FrameIndex,
    size: u64,
    /// The frame opened last: sequential and overlapping reads open each frame once.
    last: Option<(usize, Vec<u8>)>,
}

impl std::fmt::Debug for BodyReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BodyReader").field("size", &self.size).finish_non_exhaustive()
    }
}

impl BodyReader {
    pub(crate) fn inline(id: BodyId, key: &ContentKey, size: u64, container: Vec<u8>) -> Result<Self, Error> {
        let index = FrameIndex::of(&container)?;
        let opener = Opener::new(id, key.raw());
        Ok(Self { opener, container: Container::Inline(container), index, size, last: None })
    }

    /// Opens a container in the body store. One in S3 is opened by its end: one request, two above 256 MiB.
    pub(crate) async fn outside(
        id: BodyId,
        key: &ContentKey,
        size: u64,
        bodies: &BodyStore,
        place: body_store::Place,
    ) -> Result<Self, Error> {
        let (container, index) = match bodies.open_container(place, id, TAIL).await? {
            Opened::File(file) => {
                let (file, index) = blocking(move || walk(file)).await?;
                (Container::File(Arc::new(file)), index)
            }
            Opened::Object { reader, mut tail } => {
                let octets = FrameIndex::length_at_end(&tail)?;
                if octets > tail.len() as u64 {
                    let from = reader.length().checked_sub(octets);
                    let from = from.ok_or(Error::Sealed("the frame index is longer than the object"))?;
                    tail = reader.read(from..reader.length()).await?;
                }
                let index = FrameIndex::at_end(&tail, reader.length())?;
                (Container::Object(reader, Window::default()), index)
            }
        };
        let opener = Opener::new(id, key.raw());
        Ok(Self { opener, container, index, size, last: None })
    }

    /// Octets of content.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The content from `start` up to `end` (both clipped to the size), appended to `out`. Callers that stream ask for bounded ranges.
    pub async fn read(&mut self, start: u64, end: u64, out: &mut Vec<u8>) -> Result<(), Error> {
        let end = end.min(self.size);
        let mut at = start.min(end);
        while at < end {
            let frame = usize::try_from(at / FRAME as u64).map_err(|_| Error::TooBig)?;
            let base = frame as u64 * FRAME as u64;
            let content = self.frame(frame).await?;
            let from = usize::try_from(at - base).map_err(|_| Error::TooBig)?;
            let to = usize::try_from((end - base).min(FRAME as u64))
                .map_err(|_| Error::TooBig)?
                .min(content.len());
            if from >= to {
                return Err(Error::Sealed("the body is shorter than its row says"));
            }
            out.extend_from_slice(&content[from..to]);
            at = base + to as u64;
        }
        Ok(())
    }

    /// Opens the first frame of a container in memory. Where it is the only one, its octets are not needed any more.
    pub(crate) fn open_first(&mut self) -> Result<(), Error> {
        let (offset, length, is_final) = self.frame_at(0)?;
        let Container::Inline(container) = &mut self.container else { return Ok(()) };
        let from = usize::try_from(offset).map_err(|_| Error::TooBig)?;
        let frame = from..from + length as usize;
        const CUT_OFF: Error = Error::Sealed("the container is cut off");
        if is_final {
            let mut container = std::mem::take(container);
            self.open(0, true, container.get_mut(frame).ok_or(CUT_OFF)?)
        } else {
            let mut sealed = container.get(frame).ok_or(CUT_OFF)?.to_vec();
            self.open(0, false, &mut sealed)
        }
    }

    async fn frame(&mut self, index: usize) -> Result<&[u8], Error> {
        if self.last.as_ref().is_none_or(|(last, _)| *last != index) {
            let (offset, length, is_final) = self.frame_at(index)?;
            let mut sealed = self.sealed_frame(index, offset, length).await?;
            self.open(index, is_final, &mut sealed)?;
        }
        Ok(self.last.as_ref().map_or(&[], |(_, content)| content.as_slice()))
    }

    fn frame_at(&self, index: usize) -> Result<(u64, u32, bool), Error> {
        self.index.frame(index).ok_or(Error::Sealed("the body has too few frames"))
    }

    fn open(&mut self, index: usize, is_final: bool, sealed: &mut [u8]) -> Result<(), Error> {
        let mut content = self.last.take().map(|(_, buffer)| buffer).unwrap_or_default();
        content.clear();
        let number = u32::try_from(index).map_err(|_| Error::TooBig)?;
        self.opener.open(number, is_final, sealed, &mut content)?;
        self.last = Some((index, content));
        Ok(())
    }

    async fn sealed_frame(&mut self, number: usize, offset: u64, length: u32) -> Result<Vec<u8>, Error> {
        match &mut self.container {
            Container::Inline(container) => {
                let from = usize::try_from(offset).map_err(|_| Error::TooBig)?;
                let frame = container.get(from..from + length as usize);
                frame.map(<[u8]>::to_vec).ok_or(Error::Sealed("the container is cut off"))
            }
            Container::File(file) => {
                let file = file.clone();
                blocking(move || {
                    let mut sealed = vec![0; length as usize];
                    std::os::unix::fs::FileExt::read_exact_at(&*file, &mut sealed, offset)?;
                    Ok(sealed)
                })
                .await
            }
            Container::Object(reader, window) => {
                if window.frame(offset, length).is_none() {
                    // The second frame in order is the sign that more will be asked for.
                    let last =
                        if number > 0 && number == window.next { number + READ_AHEAD - 1 } else { number };
                    let run =
                        self.index.run(number, last).ok_or(Error::Sealed("the body has too few frames"))?;
                    *window = Window { start: run.start, octets: reader.read(run).await?, next: last + 1 };
                }
                let frame = window.frame(offset, length);
                frame.map(<[u8]>::to_vec).ok_or(Error::Sealed("the object is cut off"))
            }
        }
    }
}

/// Walks the frame heads of a container file, without reading the frames.
fn walk(mut file: std::fs::File) -> Result<(std::fs::File, FrameIndex), Error> {
    let mut walk = FrameWalk::new();
    let mut head = [0; 4];
    while !walk.is_finished() {
        let skip = walk.skippable();
        if skip > 0 {
            file.seek(SeekFrom::Current(i64::try_from(skip).map_err(|_| Error::TooBig)?))?;
            walk.skipped(skip);
            continue;
        }
        file.read_exact(&mut head)?;
        walk.push(&head)?;
    }
    Ok((file, walk.finish()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use body_store::Place::File;

    /// Octets that do not compress.
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    #[tokio::test]
    async fn large_bodies_go_to_a_sealed_file_and_ranges_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let folder = BodyStore::open(dir.path(), None, File).unwrap();
        let content = noise(3_000_000);
        let mut writer = BodyWriter::new(folder.clone(), 4_000_000).unwrap();
        for chunk in content.chunks(70_001) {
            writer.write(chunk).await.unwrap();
        }
        let body = writer.finish(b"structure").await.unwrap();
        assert_eq!(body.place.as_str(), "file");
        let path = folder.file_path(body.id);
        let mut reader = BodyReader::outside(body.id, body.key(), body.size, &folder, File).await.unwrap();
        for (start, end) in [(0, 10), (65_530, 65_550), (2_999_990, 3_100_000), (0, 3_000_000)] {
            let mut out = Vec::new();
            reader.read(start, end, &mut out).await.unwrap();
            assert_eq!(out, &content[start as usize..(end as usize).min(content.len())]);
        }
        body.claim().unwrap().keep();
        drop(body);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn a_body_that_was_opened_ahead_is_read_as_any_other() {
        let dir = tempfile::tempdir().unwrap();
        let folder = BodyStore::open(dir.path(), None, File).unwrap();
        for size in [0, 1, 10_000, FRAME, FRAME + 1, 200_000] {
            let content = noise(size);
            let mut writer = BodyWriter::new(folder.clone(), 1_000_000).unwrap();
            writer.write(&content).await.unwrap();
            let body = writer.finish(b"").await.unwrap();
            let container = body.place.container().unwrap().to_vec();
            let mut reader = BodyReader::inline(body.id, body.key(), body.size, container).unwrap();
            reader.open_first().unwrap();
            let middle = size as u64 / 2;
            for (start, end) in [(middle, u64::MAX), (0, 10), (0, u64::MAX)] {
                let mut out = Vec::new();
                reader.read(start, end, &mut out).await.unwrap();
                assert_eq!(out, &content[start as usize..(end as usize).min(size)], "{start} of {size}");
            }
        }
    }

    #[tokio::test]
    async fn an_abandoned_body_leaves_no_file_and_the_bound_holds() {
        let dir = tempfile::tempdir().unwrap();
        let folder = BodyStore::open(dir.path(), None, File).unwrap();
        let noise = noise(1_000_000);
        let mut writer = BodyWriter::new(folder.clone(), 1_000_000).unwrap();
        writer.write(&noise).await.unwrap();
        assert!(matches!(writer.write(b"x").await, Err(Error::TooBig)));
        drop(writer);
        let mut writer = BodyWriter::new(folder.clone(), 2_000_000).unwrap();
        writer.write(&noise).await.unwrap();
        let path = folder.file_path(writer.finish(b"").await.unwrap().id);
        assert!(!path.exists());
        assert_eq!(std::fs::read_dir(folder.spool_folder()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_released_body_goes_with_its_last_holder_and_a_kept_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let folder = BodyStore::open(dir.path(), None, File).unwrap();
        let body = |folder: BodyStore| async move {
            let mut writer = BodyWriter::new(folder, 1_000_000).unwrap();
            writer.write(&noise(400_000)).await.unwrap();
            writer.finish(b"").await.unwrap()
        };
        let (rolled_back, unknown) = (body(folder.clone()).await, body(folder.clone()).await);
        let paths = [&rolled_back, &unknown].map(|body| folder.file_path(body.id));
        rolled_back.claim().unwrap().keep();
        unknown.claim().unwrap().keep();
        let claim = rolled_back.claim().unwrap().clone();
        claim.release();
        assert_eq!(folder.in_flight().len(), 2, "no sweep touches them yet");
        drop((claim, rolled_back, unknown));
        assert_eq!(paths.map(|path| path.exists()), [false, true]);
        assert!(folder.in_flight().is_empty());
    }
}
