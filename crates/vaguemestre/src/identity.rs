//! Our own certificates: read from the files that the configuration names, and checked before they are taken.

use anyhow::{Context, Result, bail};
use config::TlsFiles;
use mail_types::RevocationState;
use pki::{IdentityError, OwnIdentity, Rejection, TrustSnapshot, UnixTime, Usage};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What we present, to those who connect to us and to those to whom we connect.
#[derive(Clone, Debug)]
pub(crate) struct Identities {
    pub(crate) server: Arc<OwnIdentity>,
    /// The same, unless `[tls] client_cert` names another.
    pub(crate) client: Arc<OwnIdentity>,
    /// Whether clients are shown the OCSP answer about the server's.
    pub(crate) is_stapled: bool,
}

impl Identities {
    /// Reads them; each key must be the key of its certificate.
    pub(crate) fn load(files: &TlsFiles) -> Result<Self> {
        let server = Arc::new(read(&files.cert, &files.key).context("[tls] cert and key")?);
        let client = match &files.client {
            Some((cert, key)) => Arc::new(read(cert, key).context("[tls] client_cert and client_key")?),
            None => server.clone(),
        };
        Ok(Self { server, client, is_stapled: files.ocsp_staple })
    }

    /// How each of them stands under this trust.
    pub(crate) fn findings(&self, trust: &TrustSnapshot) -> Vec<Finding> {
        let mut findings = vec![Finding::of("tls.cert", &self.server, Usage::Server, trust)];
        if !Arc::ptr_eq(&self.server, &self.client) {
            findings.push(Finding::of("tls.client_cert", &self.client, Usage::Client, trust));
        }
        findings
    }

    /// Those that do not stand: the key that names them, and why.
    pub(crate) fn faults(&self, trust: &TrustSnapshot) -> Vec<(&'static str, Rejection)> {
        let findings = self.findings(trust).into_iter();
        findings.filter_map(|finding| Some((finding.key, finding.standing.err()?))).collect()
    }

    /// The same, as one error.
    pub(crate) fn stand(&self, trust: &TrustSnapshot) -> Result<()> {
        match self.faults(trust).first() {
            Some((key, rejection)) => {
                bail!("{key}: {rejection}; the peers that trust what we trust would refuse it")
            }
            None => Ok(()),
        }
    }

    /// Where the lists are published that speak of them.
    pub(crate) fn list_points(&self) -> Vec<String> {
        self.each().flat_map(|identity| identity.list_points()).collect()
    }

    /// The two, or the one.
    pub(crate) fn each(&self) -> impl Iterator<Item = &Arc<OwnIdentity>> {
        let client = (!Arc::ptr_eq(&self.server, &self.client)).then_some(&self.client);
        std::iter::once(&self.server).chain(client)
    }
}

/// How one of our certificates stands.
pub(crate) struct Finding {
    /// The key of the configuration that names it.
    pub(crate) key: &'static str,
    pub(crate) subject: String,
    pub(crate) standing: Result<RevocationState, Rejection>,
}

impl Finding {
    pub(crate) fn of(key: &'static str, identity: &OwnIdentity, usage: Usage, trust: &TrustSnapshot) -> Self {
        let standing = identity.check(trust, usage, UnixTime::now());
        Self { key, subject: identity.subject().to_string(), standing }
    }
}

/// A certificate with its chain, and its key. A replacement that a crash cut off between the two files is brought to its end.
pub(crate) fn read(cert: &Path, key: &Path) -> Result<OwnIdentity> {
    let read =
        |path: &Path| std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()));
    let key_pem = read(key)?;
    match OwnIdentity::from_pem(&read(cert)?, &key_pem) {
        Err(IdentityError::KeyMismatch) if staged(cert)?.exists() => {
            let identity = OwnIdentity::from_pem(&read(&staged(cert)?)?, &key_pem)?;
            put(cert)?;
            Ok(identity)
        }
        read => Ok(read?),
    }
}

/// Puts a chain and its key in the place of two files. Both are on the disk before either is in its place; the key goes first, and
/// [`read`] finds the chain that belongs to it.
pub(crate) fn replace(cert: &Path, key: &Path, chain: &[u8], key_pem: &str) -> Result<()> {
    stage(key, 0o600, key_pem.as_bytes())?;
    stage(cert, 0o644, chain)?;
    put(key)?;
    put(cert)
}

/// Beside a file, where what is to replace it is written.
fn staged(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().and_then(|name| name.to_str()).context("a path without a file name")?;
    Ok(path.with_file_name(format!(".{name}.staged")))
}

fn stage(path: &Path, mode: u32, content: &[u8]) -> Result<()> {
    let staged = staged(path)?;
    let write = || -> std::io::Result<()> {
        let _ = std::fs::remove_file(&staged);
        let mut file = File::options().write(true).create_new(true).mode(mode).open(&staged)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().with_context(|| format!("{} cannot be written", staged.display()))
}

fn put(path: &Path) -> Result<()> {
    let renamed = std::fs::rename(staged(path)?, path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = renamed.and_then(|()| File::open(folder)?.sync_all());
    synced.with_context(|| format!("{} cannot be replaced", path.display()))
}
