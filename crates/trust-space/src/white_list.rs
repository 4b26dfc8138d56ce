//! The white list: offered by its source, examined, kept, put in force. The one in force stays until a better one is there.

use crate::files;
use crate::http::{FetchFault, Validators};
use crate::settings::{WhiteListForm, WhiteListSettings, WhiteListSource};
use mail_types::Timestamp;
use pki::TrustSnapshot;
use policy::{ReplacementFault, WhiteList};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use white_list::{EntryFault, Format, ListFault, Occasion};

/// Octets of the file beside a kept list.
const ABOUT_MAX: u64 = 16 * 1024;

/// Why a white list is not taken. The one in force stays.
#[derive(Debug, thiserror::Error)]
pub enum WhiteListFault {
    /// It did not come.
    #[error("{0}")]
    Fetch(String, &'static str),
    /// Its file cannot be read.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// It is not to be believed, or cannot be read.
    #[error("{0}")]
    List(#[from] ListFault),
    /// It may not take the place of the one in force.
    #[error("{0}")]
    Replacement(#[from] ReplacementFault),
    /// It could not be kept, so it is not in force either: after a restart it would be gone.
    #[error("the list could not be kept: {0}")]
    Keep(#[source] std::io::Error),
    /// The store did not take the audit row and the departures.
    #[error("the list could not be noted in the store: {0}")]
    Store(#[from] store::Error),
    /// There is no source.
    #[error("no white list is configured: set [trust] whitelist_url or whitelist_file")]
    NoSource,
}

impl From<FetchFault> for WhiteListFault {
    fn from(fault: FetchFault) -> Self {
        Self::Fetch(fault.to_string(), fault.label())
    }
}

impl WhiteListFault {
    /// One word for metrics and status.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Fetch(_, label) => label,
            Self::File { .. } => "file",
            Self::List(fault) => fault.label(),
            Self::Replacement(fault) => fault.label(),
            Self::Keep(_) => "keep",
            Self::Store(_) => "store",
            Self::NoSource => "no_source",
        }
    }

    /// Whether the list itself was refused, rather than not obtained.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::List(_) | Self::Replacement(_))
    }

    /// Whether other revocation lists could change the answer.
    pub(crate) fn hangs_on_lists(&self) -> bool {
        matches!(self, Self::List(ListFault::SignerUnverifiable(_) | ListFault::UnknownSigner(_)))
    }
}

/// What stands beside a kept list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AboutWhiteList {
    /// From where it came; a list from another source is another list.
    pub(crate) source: String,
    pub(crate) format: String,
    pub(crate) sha256: String,
    pub(crate) generated_at_ms: Option<i64>,
    pub(crate) adopted_at_ms: i64,
    /// When its source last had it.
    pub(crate) confirmed_at_ms: i64,
    #[serde(flatten)]
    pub(crate) validators: Validators,
}

impl AboutWhiteList {
    fn is_of(&self, settings: &WhiteListSettings) -> bool {
        self.source == settings.source.to_string() && self.format == settings.form.as_str()
    }
}

/// A list in force.
#[derive(Clone, Debug)]
pub(crate) struct InForce {
    pub(crate) list: Arc<WhiteList>,
    pub(crate) about: AboutWhiteList,
    /// Entries that were left out.
    pub(crate) left_out: usize,
}

/// Which of the kept lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The one in force.
    Current,
    /// The one before it.
    Previous,
    /// One that waits for a confirmation, because it lost so much.
    Offered,
}

impl Kept {
    pub(crate) fn path(self, folder: &Path) -> PathBuf {
        let name = match self {
            Self::Current => "current",
            Self::Previous => "previous",
            Self::Offered => "offered",
        };
        folder.join("whitelist").join(name)
    }
}

/// The file that tells of a kept list.
pub(crate) fn about_path(list: &Path) -> PathBuf {
    list.with_extension("json")
}

/// A kept list and what is told of it, if both are whole and of one another.
fn read_kept(folder: &Path, which: Kept, size_max: u64) -> Option<(AboutWhiteList, Vec<u8>)> {
    let path = which.path(folder);
    let about: AboutWhiteList =
        serde_json::from_slice(&files::read(&about_path(&path), ABOUT_MAX).ok()?).ok()?;
    let bytes = files::read(&path, size_max).ok()?;
    (files::sha256(&bytes) == about.sha256).then_some((about, bytes))
}

/// The kept list of this source. After a crash between the two files of a list, the one before it.
pub(crate) fn load(
    folder: &Path,
    settings: &WhiteListSettings,
    signers: &TrustSnapshot,
) -> Option<Result<InForce, ListFault>> {
    let kept = [Kept::Current, Kept::Previous].into_iter().find_map(|which| {
        read_kept(folder, which, settings.size_max).filter(|(about, _)| about.is_of(settings))
    });
    let (about, bytes) = kept?;
    let adopted_at = Timestamp(about.adopted_at_ms);
    let read = examine(settings, signers, &bytes, Occasion::Kept, adopted_at);
    Some(read.map(|(list, faults)| InForce { list: Arc::new(list), about, left_out: faults.len() }))
}

/// Reads a list in the configured form.
pub(crate) fn examine(
    settings: &WhiteListSettings,
    signers: &TrustSnapshot,
    bytes: &[u8],
    occasion: Occasion,
    now: Timestamp,
) -> Result<(WhiteList, Vec<EntryFault>), ListFault> {
    let format = match &settings.form {
        WhiteListForm::National { signer, .. } => Format::National { authorities: signers, signer, occasion },
        WhiteListForm::Csv => Format::Csv,
        WhiteListForm::Pairs => Format::Pairs,
    };
    white_list::read(format, bytes, settings.size_max, now)
}

/// What the presence of these bytes says of when the source had them. A file of pairs is somebody's own and says so as long as it is there;
/// a published list that something copies here is as old as the copy.
pub(crate) fn confirmed_at(settings: &WhiteListSettings, now: Timestamp) -> Timestamp {
    match (&settings.source, &settings.form) {
        (WhiteListSource::Url(_), _) | (_, WhiteListForm::Pairs) => now,
        (WhiteListSource::File(path), _) => {
            files::changed_at_ms(path).map_or(now, |changed_at| Timestamp(changed_at.min(now.0)))
        }
    }
}

/// What is told of a list that is being adopted.
pub(crate) fn about(
    settings: &WhiteListSettings,
    list: &WhiteList,
    sha256: String,
    validators: Validators,
    now: Timestamp,
) -> AboutWhiteList {
    AboutWhiteList {
        source: settings.source.to_string(),
        format: settings.form.as_str().to_owned(),
        sha256,
        generated_at_ms: list.generation().map(|at| at.0),
        adopted_at_ms: now.0,
        confirmed_at_ms: confirmed_at(settings, now).0,
        validators,
    }
}

/// Keeps a list, and the one before it as the previous one.
pub(crate) fn keep(
    folder: &Path,
    about: &AboutWhiteList,
    bytes: &[u8],
    size_max: u64,
) -> std::io::Result<()> {
    if let Some((former, bytes)) = read_kept(folder, Kept::Current, size_max) {
        let previous = Kept::Previous.path(folder);
        files::replace(&previous, &bytes)?;
        files::replace(&about_path(&previous), &serde_json::to_vec_pretty(&former)?)?;
    }
    files::replace(&Kept::Current.path(folder), bytes)?;
    keep_about(folder, about)
}

/// Keeps a list that waits for a confirmation, so that it can be compared, or forgets it.
pub(crate) fn keep_offered(folder: &Path, bytes: Option<&[u8]>) -> std::io::Result<()> {
    let path = Kept::Offered.path(folder);
    match bytes {
        Some(bytes) => files::replace(&path, bytes),
        None if path.exists() => std::fs::remove_file(&path),
        None => Ok(()),
    }
}

/// Keeps what is told of the current list.
pub(crate) fn keep_about(folder: &Path, about: &AboutWhiteList) -> std::io::Result<()> {
    files::replace(&about_path(&Kept::Current.path(folder)), &serde_json::to_vec_pretty(about)?)
}

/// Held while a list is adopted, so that a command and a server do not do it at once.
pub(crate) fn lock(folder: &Path) -> std::io::Result<File> {
    let lock = File::options().create(true).append(true).open(folder.join("whitelist.lock"))?;
    lock.lock()?;
    Ok(lock)
}
