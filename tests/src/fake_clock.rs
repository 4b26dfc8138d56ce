//! A wall clock that can be set while a program runs (libfaketime). Its monotonic clock is left alone, as by an administrator who sets the time.

use std::path::PathBuf;
use tempfile::TempDir;

/// How far the wall clock of a program is off.
#[derive(Debug)]
pub struct FakeClock {
    folder: TempDir,
}

impl FakeClock {
    pub(crate) fn new() -> Self {
        let clock = Self { folder: TempDir::new().expect("a temporary folder") };
        clock.set_ahead(0);
        clock
    }

    /// Puts it this many seconds ahead of the real time.
    pub fn set_ahead(&self, seconds: i64) {
        let (new, file) = (self.folder.path().join("new"), self.file());
        std::fs::write(&new, format!("{seconds:+}\n")).expect("a file can be written");
        std::fs::rename(new, file).expect("a file can be moved");
    }

    /// The environment of a program that lives by it.
    pub(crate) fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("LD_PRELOAD", library()),
            ("FAKETIME_TIMESTAMP_FILE", self.file()),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            ("DONT_FAKE_MONOTONIC", "1".into()),
        ]
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("offset")
    }
}

/// Where Debian's `libfaketime` lies.
fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").expect("a system with libraries");
    let mut libraries = folders.flatten().map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    libraries
        .find(|library| library.is_file())
        .expect("libfaketime is missing: install it by `tests/packages.sh test`")
}
