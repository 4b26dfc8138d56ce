//! Reading the files that the trust sections name. A folder stands for every file in it.

use std::path::{Path, PathBuf};

/// A file's path and content.
pub type FileBytes = (PathBuf, Vec<u8>);

/// Largest file that is read: a revocation list of millions of entries fits.
const FILE_MAX: u64 = 256 * 1024 * 1024;

/// Reads each file, and every regular file of each folder (by name, hidden ones left out).
///
/// # Errors
/// The first file that cannot be read, with its cause.
pub fn read_each(paths: &[PathBuf]) -> Result<Vec<FileBytes>, (PathBuf, std::io::Error)> {
    let mut files = Vec::new();
    for path in paths {
        let members = members(path).map_err(|e| (path.clone(), e))?;
        for member in members {
            let bytes = read(&member).map_err(|e| (member.clone(), e))?;
            files.push((member, bytes));
        }
    }
    Ok(files)
}

fn members(path: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut members: Vec<PathBuf> = std::fs::read_dir(path)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            path.is_file() && !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
        })
        .collect();
    members.sort();
    Ok(members)
}

fn read(path: &Path) -> Result<Vec<u8>, std::io::Error> {
    let size = std::fs::metadata(path)?.len();
    if size > FILE_MAX {
        return Err(std::io::Error::other(format!("is larger than {FILE_MAX} octets")));
    }
    std::fs::read(path)
}
