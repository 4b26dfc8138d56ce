//! Bodies: the bounded spool that seals while content arrives, and readers that open only the frames they need.
//!
//! Content never lies in clear on a disk: what does not fit in memory goes to a temporary file already sealed. A container of at most
//! [`INLINE_MAX`] octets stands in its row, so that one fsync covers everything; a larger one is a file, fsynced, renamed and its folder fsynced
//! before the row commits.

use crate::Error;
use crate::seal::{FRAME, FrameIndex, FrameWalk, Opener, RawKey, Sealer, SideCar, random};
use mail_types::BodyId;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use zeroize::Zeroizing;

/// Largest container kept in its row.
pub(crate) const INLINE_MAX: usize = 256 * 1024;
/// Sealed octets gathered before they are written to the spool file.
const WRITE_CHUNK: usize = 512 * 1024;

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

/// Files of bodies: `bodies/ab/<id>`, and the spool beside them on the same file system.
#[derive(Clone, Debug)]
pub(crate) struct BodyFolder {
    bodies: PathBuf,
    spool: PathBuf,
}

impl BodyFolder {
    /// Makes the folders; each body subfolder exists from the start so that a delivery never has to create one.
    pub(crate) fn open(data_dir: &Path) -> Result<Self, Error> {
        let folder = Self { bodies: data_dir.join("bodies"), spool: data_dir.join("spool") };
        make_private(&folder.spool)?;
        make_private(&folder.bodies)?;
        for prefix in 0..=u8::MAX {
            make_private(&folder.bodies.join(format!("{prefix:02x}")))?;
        }
        std::fs::File::open(&folder.bodies)?.sync_all()?;
        Ok(folder)
    }

    /// The path of a body. The prefix is the last octet: the first ones of a time-ordered id hardly vary.
    pub(crate) fn path(&self, id: BodyId) -> PathBuf {
        self.bodies.join(format!("{:02x}", id.0[15])).join(id.to_string())
    }

    pub(crate) fn spool(&self) -> &Path {
        &self.spool
    }

    pub(crate) fn bodies(&self) -> &Path {
        &self.bodies
    }
}

/// A folder that only its owner enters, wherever the data folder lies.
fn make_private(dir: &Path) -> Result<(), Error> {
    Ok(std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?)
}

/// Where a finished container is.
#[derive(Debug)]
pub(crate) enum Place {
    Inline(Vec<u8>),
    /// In the body folder, durable.
    File,
}

impl Place {
    /// The word of the row.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Inline(_) => "inline",
            Self::File => "file",
        }
    }

    /// The container, where it stands in the row.
    pub(crate) fn container(&self) -> Option<&[u8]> {
        match self {
            Self::Inline(container) => Some(container),
            Self::File => None,
        }
    }
}

/// A finished, durable (if a file) or in-memory (if inline) sealed body, ready for the transaction that refers to it.
#[derive(Debug)]
pub struct SealedBody {
    pub(crate) id: BodyId,
    pub(crate) size: u64,
    pub(crate) place: Place,
    pub(crate) structure: Vec<u8>,
    key: ContentKey,
    /// Removes the file again if no transaction takes the body.
    file: Option<DropFile>,
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

    /// A row that refers to the body is about to be committed: its file stays. Said before the commit, because after it the caller
    /// may be gone; should the commit fail, the file is an orphan that the sweeper removes.
    pub(crate) fn keep(&self) {
        if let Some(file) = &self.file {
            file.keep();
        }
    }
}

/// Removes a file when dropped, unless told to keep it.
#[derive(Debug)]
struct DropFile {
    path: PathBuf,
    is_kept: AtomicBool,
}

impl DropFile {
    fn new(path: PathBuf) -> Self {
        Self { path, is_kept: AtomicBool::new(false) }
    }

    fn keep(&self) {
        self.is_kept.store(true, Ordering::Relaxed);
    }
}

impl Drop for DropFile {
    fn drop(&mut self) {
        if !self.is_kept.load(Ordering::Relaxed) {
            // A file that cannot be removed is an orphan that the sweeper finds.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Takes content as it arrives and seals it.
pub struct BodyWriter {
    id: BodyId,
    key: ContentKey,
    folder: BodyFolder,
    sealer: Sealer,
    pending: Zeroizing<Vec<u8>>,
    sealed: Vec<u8>,
    file: Option<(std::fs::File, DropFile)>,
    size: u64,
    size_max: u64,
}

impl std::fmt::Debug for BodyWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BodyWriter").field("id", &self.id).field("size", &self.size).finish_non_exhaustive()
    }
}

impl BodyWriter {
    pub(crate) fn new(folder: BodyFolder, size_max: u64) -> Result<Self, Error> {
        let id = BodyId(*uuid::Uuid::now_v7().as_bytes());
        let key = ContentKey(Zeroizing::new(random()));
        let sealer = Sealer::new(id, key.raw())?;
        let sealed = Sealer::magic().to_vec();
        Ok(Self {
            id,
            key,
            folder,
            sealer,
            pending: Zeroizing::default(),
            sealed,
            file: None,
            size: 0,
            size_max,
        })
    }

    /// Octets taken so far.
    pub fn size(&self) -> u64 {
        self.size
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
        let (mut out, guard) = match self.file.take() {
            Some(file) => file,
            None => self.create_spool_file()?,
        };
        let sealed = std::mem::take(&mut self.sealed);
        let (out, sealed) = blocking(move || {
            out.write_all(&sealed)?;
            Ok((out, sealed))
        })
        .await?;
        self.file = Some((out, guard));
        self.sealed = sealed;
        self.sealed.clear();
        Ok(())
    }

    fn create_spool_file(&self) -> Result<(std::fs::File, DropFile), Error> {
        let path = self.folder.spool().join(self.id.to_string());
        let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok((file, DropFile::new(path)))
    }

    /// Seals the last frame and the structure found by the scanner, and makes a large container durable.
    pub async fn finish(mut self, structure: &[u8]) -> Result<SealedBody, Error> {
        self.sealer.seal(&self.pending, true, &mut self.sealed)?;
        let structure = Sealer::seal_side_car(self.id, self.key.raw(), SideCar::Structure, structure);
        if self.file.is_none() && self.sealed.len() <= INLINE_MAX {
            let place = Place::Inline(std::mem::take(&mut self.sealed));
            return Ok(SealedBody {
                id: self.id,
                size: self.size,
                place,
                structure,
                key: self.key,
                file: None,
            });
        }
        self.spill().await?;
        let (file, spooled) = self.file.take().ok_or(Error::Inconsistent("a spilled body has no file"))?;
        let path = self.folder.path(self.id);
        let guard = blocking(move || settle(&file, spooled, &path)).await?;
        Ok(SealedBody {
            id: self.id,
            size: self.size,
            place: Place::File,
            structure,
            key: self.key,
            file: Some(guard),
        })
    }
}

/// fsync, rename, fsync of the folder: after it the body survives a power cut.
fn settle(file: &std::fs::File, spooled: DropFile, path: &Path) -> Result<DropFile, Error> {
    file.sync_all()?;
    std::fs::rename(&spooled.path, path)?;
    spooled.keep();
    let guard = DropFile::new(path.to_owned());
    let parent = path.parent().ok_or(Error::Inconsistent("a body path has no folder"))?;
    std::fs::File::open(parent)?.sync_all()?;
    Ok(guard)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Closing)?
}

enum Container {
    Inline(Vec<u8>),
    File(Arc<std::fs::File>),
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

    pub(crate) async fn file(id: BodyId, key: &ContentKey, size: u64, path: PathBuf) -> Result<Self, Error> {
        let (file, index) = blocking(move || open_container(&path)).await?;
        let opener = Opener::new(id, key.raw());
        Ok(Self { opener, container: Container::File(Arc::new(file)), index, size, last: None })
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

    async fn frame(&mut self, index: usize) -> Result<&[u8], Error> {
        if self.last.as_ref().is_none_or(|(last, _)| *last != index) {
            let (offset, length, is_final) =
                self.index.frame(index).ok_or(Error::Sealed("the body has too few frames"))?;
            let mut sealed = self.sealed_frame(offset, length).await?;
            let mut content = self.last.take().map(|(_, buffer)| buffer).unwrap_or_default();
            content.clear();
            let number = u32::try_from(index).map_err(|_| Error::TooBig)?;
            self.opener.open(number, is_final, &mut sealed, &mut content)?;
            self.last = Some((index, content));
        }
        Ok(self.last.as_ref().map_or(&[], |(_, content)| content.as_slice()))
    }

    async fn sealed_frame(&self, offset: u64, length: u32) -> Result<Vec<u8>, Error> {
        match &self.container {
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
        }
    }
}

/// Opens a container file and walks its frame heads, without reading the frames.
fn open_container(path: &Path) -> Result<(std::fs::File, FrameIndex), Error> {
    let mut file = std::fs::File::open(path)?;
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
        let folder = BodyFolder::open(dir.path()).unwrap();
        let content = noise(3_000_000);
        let mut writer = BodyWriter::new(folder.clone(), 4_000_000).unwrap();
        for chunk in content.chunks(70_001) {
            writer.write(chunk).await.unwrap();
        }
        let body = writer.finish(b"structure").await.unwrap();
        assert!(matches!(body.place, Place::File));
        let path = folder.path(body.id);
        let mut reader = BodyReader::file(body.id, body.key(), body.size, path.clone()).await.unwrap();
        for (start, end) in [(0, 10), (65_530, 65_550), (2_999_990, 3_100_000), (0, 3_000_000)] {
            let mut out = Vec::new();
            reader.read(start, end, &mut out).await.unwrap();
            assert_eq!(out, &content[start as usize..(end as usize).min(content.len())]);
        }
        body.keep();
        drop(body);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn an_abandoned_body_leaves_no_file_and_the_bound_holds() {
        let dir = tempfile::tempdir().unwrap();
        let folder = BodyFolder::open(dir.path()).unwrap();
        let noise = noise(1_000_000);
        let mut writer = BodyWriter::new(folder.clone(), 1_000_000).unwrap();
        writer.write(&noise).await.unwrap();
        assert!(matches!(writer.write(b"x").await, Err(Error::TooBig)));
        drop(writer);
        let mut writer = BodyWriter::new(folder.clone(), 2_000_000).unwrap();
        writer.write(&noise).await.unwrap();
        let path = folder.path(writer.finish(b"").await.unwrap().id);
        assert!(!path.exists());
        assert_eq!(std::fs::read_dir(folder.spool()).unwrap().count(), 0);
    }
}
