//! Files that are looked at again and again, and files that must outlive a power cut.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// By what a change of a file is seen: device, inode, size and the time of the last change of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(u64, u64, u64, i64, i64);

/// The mark of a file, `None` when it is not there.
pub(crate) fn mark(path: &Path) -> Option<Mark> {
    let about = std::fs::metadata(path).ok()?;
    Some(Mark(about.dev(), about.ino(), about.size(), about.mtime(), about.mtime_nsec()))
}

/// When the content of a file last changed, milliseconds since the epoch.
pub(crate) fn changed_at_ms(path: &Path) -> Option<i64> {
    let about = std::fs::metadata(path).ok()?;
    about.mtime().checked_mul(1000)?.checked_add(about.mtime_nsec() / 1_000_000)
}

/// Each file, and every regular file of each folder by name, hidden ones left out.
pub(crate) fn members(paths: &[PathBuf]) -> Vec<Result<PathBuf, (PathBuf, io::Error)>> {
    let mut all = Vec::new();
    for path in paths {
        if !path.is_dir() {
            all.push(Ok(path.clone()));
            continue;
        }
        match visible_files(path) {
            Ok(files) => all.extend(files.into_iter().map(Ok)),
            Err(error) => all.push(Err((path.clone(), error))),
        }
    }
    all
}

fn visible_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            path.is_file() && !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
        })
        .collect();
    files.sort();
    Ok(files)
}

/// The content of a file of at most `size_max` octets.
pub(crate) fn read(path: &Path, size_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(size_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= size_max) {
        Ok(bytes)
    } else {
        Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {size_max} octets")))
    }
}

/// Puts a whole file in its place, on stable storage before this returns; readers see the old one or the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static DRAFTS: AtomicU64 = AtomicU64::new(0);
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
    let draft = folder.join(format!(".draft.{}.{number}", std::process::id()));
    let written = write_new(&draft, bytes).and_then(|()| std::fs::rename(&draft, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    written?;
    File::open(folder)?.sync_all()
}

fn write_new(draft: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(draft)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the folders of a kept trust space.
pub(crate) fn make_folders(folder: &Path) -> io::Result<()> {
    for path in [folder.to_owned(), folder.join("crl"), folder.join("whitelist")] {
        std::fs::create_dir_all(path)?;
    }
    Ok(())
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_its_mark_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("list");
        replace(&path, b"one").expect("written");
        let first = mark(&path);
        replace(&path, b"two").expect("written");
        assert_eq!(read(&path, 3).expect("read"), b"two");
        assert_ne!(first, mark(&path));
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "no draft is left");
        assert!(read(&path, 2).is_err(), "over the bound");
    }
}
