//! A disk of a few MiB that can be filled and emptied.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A tmpfs, unmounted when dropped.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Mounts one of `mib` MiB on a new folder.
    ///
    /// # Panics
    /// When this process may not mount.
    pub(crate) fn mount(path: &Path, mib: u32) -> Self {
        std::fs::create_dir_all(path).expect("a folder can be made");
        let size = format!("size={mib}m,mode=0700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "scenario"]).arg(path).status();
        assert!(
            mounted.is_ok_and(|status| status.success()),
            "a small disk could not be mounted: this scenario must be run by root (CAP_SYS_ADMIN), else a full disk is not tested"
        );
        Self { path: path.to_owned() }
    }

    /// Writes ballast until nothing more fits.
    pub fn fill(&self) {
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).expect("a file");
        // Ever smaller pieces, down to the last octet.
        for size in [1 << 20, 4096, 1] {
            let piece = vec![b'x'; size];
            while ballast.write_all(&piece).is_ok() {}
        }
    }

    /// Takes the ballast away.
    pub fn empty(&self) {
        std::fs::remove_file(self.ballast()).expect("the disk was filled");
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a server that was killed may still be closing its files.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}
