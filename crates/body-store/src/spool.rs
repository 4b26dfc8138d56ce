//! The spool: containers on the local disk, sealed already, while they arrive.

use crate::{Error, blocking};
use mail_types::BodyId;
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A container that is being written. Its file goes when it is dropped.
#[derive(Debug)]
pub struct SpoolFile {
    id: BodyId,
    pub(crate) file: Arc<std::fs::File>,
    pub(crate) guard: DropFile,
    length: u64,
}

impl SpoolFile {
    pub(crate) fn create(spool: &Path, id: BodyId) -> Result<Self, Error> {
        let path = spool.join(id.to_string());
        let file =
            std::fs::OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { id, file: Arc::new(file), guard: DropFile::new(path), length: 0 })
    }

    /// The container's id.
    pub fn id(&self) -> BodyId {
        self.id
    }

    /// Octets written.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Appends octets and gives their buffer back.
    ///
    /// # Errors
    /// The disk is full or fails; the file is of no further use.
    pub async fn append(&mut self, octets: Vec<u8>) -> Result<Vec<u8>, Error> {
        let (file, count) = (self.file.clone(), octets.len() as u64);
        let octets = blocking(move || {
            (&*file).write_all(&octets)?;
            Ok(octets)
        })
        .await?;
        self.length += count;
        Ok(octets)
    }

    /// The octets at `offset`, `length` of them.
    pub(crate) async fn piece(&self, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
        let file = self.file.clone();
        blocking(move || {
            let mut piece = vec![0; length];
            file.read_exact_at(&mut piece, offset)?;
            Ok(piece)
        })
        .await
    }
}

/// Removes a file when dropped, unless it was moved away.
#[derive(Debug)]
pub(crate) struct DropFile {
    path: Option<PathBuf>,
}

impl DropFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path: Some(path) }
    }

    /// Moves the file; the caller answers for it from now on.
    pub(crate) fn rename_to(mut self, to: &Path) -> std::io::Result<()> {
        if let Some(from) = &self.path {
            std::fs::rename(from, to)?;
        }
        self.path = None;
        Ok(())
    }

    /// The file stays.
    pub(crate) fn disarm(mut self) {
        self.path = None;
    }
}

impl Drop for DropFile {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // A file that cannot be removed is an orphan that the sweep finds.
            let _ = std::fs::remove_file(path);
        }
    }
}
