//! Containers as local files: `bodies/ab/<id>`, and the spool beside them on the same file system.

use crate::spool::{DropFile, SpoolFile};
use crate::{Error, Listed, blocking, named_id};
use mail_types::{BodyId, Timestamp};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The folders.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    bodies: PathBuf,
    spool: PathBuf,
}

impl Files {
    /// Makes the folders; each body subfolder exists from the start so that a delivery never has to create one.
    pub(crate) fn open(data_dir: &Path) -> Result<Self, Error> {
        let files = Self { bodies: data_dir.join("bodies"), spool: data_dir.join("spool") };
        make_private(&files.spool)?;
        make_private(&files.bodies)?;
        for slice in 0..=u8::MAX {
            make_private(&files.slice(slice))?;
        }
        std::fs::File::open(&files.bodies)?.sync_all()?;
        Ok(files)
    }

    fn slice(&self, slice: u8) -> PathBuf {
        self.bodies.join(format!("{slice:02x}"))
    }

    /// The path of a body. The subfolder is the last octet: the first ones of a time-ordered id hardly vary.
    pub(crate) fn path(&self, id: BodyId) -> PathBuf {
        self.slice(id.0[15]).join(id.to_string())
    }

    pub(crate) fn spool(&self) -> &Path {
        &self.spool
    }

    /// fsync, rename, fsync of the folder: after it the container survives a power cut.
    pub(crate) async fn settle(&self, spooled: SpoolFile) -> Result<(), Error> {
        let path = self.path(spooled.id());
        blocking(move || {
            spooled.file.sync_all()?;
            spooled.guard.rename_to(&path)?;
            let settled = DropFile::new(path.clone());
            let folder =
                path.parent().ok_or_else(|| Error::Options("a body path has no folder".to_owned()))?;
            std::fs::File::open(folder)?.sync_all()?;
            settled.disarm();
            Ok(())
        })
        .await
    }

    pub(crate) async fn open_file(&self, id: BodyId) -> Result<std::fs::File, Error> {
        let path = self.path(id);
        blocking(move || Ok(std::fs::File::open(path)?)).await
    }

    pub(crate) async fn remove(&self, ids: Vec<BodyId>) -> Result<(), Error> {
        let files = self.clone();
        blocking(move || ids.into_iter().try_for_each(|id| remove_file(&files.path(id)))).await
    }

    pub(crate) async fn list(&self, slice: u8) -> Result<Vec<Listed>, Error> {
        let folder = self.slice(slice);
        blocking(move || {
            let mut listed = Vec::new();
            for entry in std::fs::read_dir(folder)? {
                let entry = entry?;
                // A file that vanishes while we look was somebody's to remove.
                let Ok(metadata) = entry.metadata() else { continue };
                let id = entry.file_name().to_str().and_then(named_id);
                // What lies in another folder than its name says is nothing of ours.
                if let Some(id) = id.filter(|id| id.0[15] == slice) {
                    listed.push(Listed { id, changed_at: changed_at(&metadata) });
                }
            }
            Ok(listed)
        })
        .await
    }
}

/// A folder that only its owner enters, wherever the data folder lies.
fn make_private(dir: &Path) -> Result<(), Error> {
    Ok(std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?)
}

/// Removes a file that may be gone already.
pub(crate) fn remove_file(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// When a file was last changed. One whose date cannot be told counts as new: it stays.
pub(crate) fn changed_at(metadata: &std::fs::Metadata) -> Timestamp {
    let since = metadata.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    Timestamp(since.map_or(i64::MAX, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}
