//! Which node this is. Leases bear it, so that a node that starts again gives back its own and nobody else's.

use crate::Error;
use crate::seal::random;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The name of a node: eight random octets, kept in its data folder. One process serves a data folder, so no two that run share one, unless the folder was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node([u8; 8]);

impl Node {
    /// The node of a data folder, made on first use.
    pub(crate) fn of(data_dir: &Path) -> Result<Self, Error> {
        let path = data_dir.join("node-id");
        if !path.exists() {
            make(data_dir, &path)?;
        }
        let text = std::fs::read_to_string(&path)?;
        let id = u64::from_str_radix(text.trim(), 16).map_err(|_| {
            Error::Options(format!(
                "{} is not the name of a node; remove it to get a new one",
                path.display()
            ))
        })?;
        Ok(Self(id.to_be_bytes()))
    }

    /// A fresh lease of this node.
    pub(crate) fn lease(self) -> [u8; 16] {
        let mut lease: [u8; 16] = random();
        lease[..8].copy_from_slice(&self.0);
        lease
    }

    /// How every lease of this node begins.
    pub(crate) fn prefix(&self) -> &[u8] {
        &self.0
    }
}

/// Whoever comes first names the node; the file is whole as soon as it is there.
fn make(data_dir: &Path, path: &Path) -> Result<(), Error> {
    let id = u64::from_be_bytes(random());
    let draft = data_dir.join(format!(".node-id.{id:016x}"));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    writeln!(file, "{id:016x}")?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}
