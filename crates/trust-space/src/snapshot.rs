//! Anchors and revocation lists, read from files and from what was kept, built into what `pki` judges by.

use crate::files::{self, Mark};
use crate::settings::{Settings, WhiteListForm};
use mail_types::Timestamp;
use pki::{CrlFaultCause, TrustError, TrustSnapshot};
use std::path::PathBuf;

/// Octets of one file of anchors.
const ANCHORS_MAX: u64 = 16 * 1024 * 1024;

/// Why the anchors cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AnchorsError {
    /// A file is not there or not readable.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// They are no anchors.
    #[error("{cause}{}", in_file(path))]
    Trust {
        /// Why.
        cause: TrustError,
        /// The file, where it is known.
        path: Option<PathBuf>,
    },
}

fn in_file(path: &Option<PathBuf>) -> String {
    path.as_ref().map(|path| format!(" ({})", path.display())).unwrap_or_default()
}

/// The files of those that are believed, as they were read at the start or at the last reload.
#[derive(Clone, Debug, Default)]
pub(crate) struct Anchors {
    trusted: Vec<Vec<u8>>,
    /// Those that may have issued the certificate of the white list's signer, when they are others.
    signers: Vec<Vec<u8>>,
}

impl Anchors {
    pub(crate) fn read(settings: &Settings) -> Result<Self, AnchorsError> {
        let signers = match settings.white_list.as_ref().map(|list| &list.form) {
            Some(WhiteListForm::National { authorities, .. }) => authorities.as_slice(),
            _ => &[],
        };
        Ok(Self { trusted: read_all(&settings.anchors)?, signers: read_all(signers)? })
    }
}

fn read_all(paths: &[PathBuf]) -> Result<Vec<Vec<u8>>, AnchorsError> {
    let read = |member: Result<PathBuf, (PathBuf, std::io::Error)>| {
        let (path, error) = match member {
            Ok(path) => match files::read(&path, ANCHORS_MAX) {
                Ok(bytes) => return Ok(bytes),
                Err(error) => (path, error),
            },
            Err(fault) => fault,
        };
        Err(AnchorsError::File { path, cause: error })
    };
    files::members(paths).into_iter().map(read).collect()
}

/// A list that is not in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFileFault {
    /// Its file.
    pub file: PathBuf,
    /// Why.
    pub cause: String,
}

/// What was built, and from what.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) snapshot: TrustSnapshot,
    /// By whom the signer of the white list is judged, when it is not by the same authorities.
    pub(crate) signers: Option<TrustSnapshot>,
    pub(crate) faults: Vec<ListFileFault>,
    pub(crate) marks: Vec<(PathBuf, Option<Mark>)>,
}

/// The files of lists now: those configured, then those kept.
pub(crate) fn list_files(settings: &Settings) -> (Vec<PathBuf>, Vec<ListFileFault>) {
    let (mut paths, mut faults) = (Vec::new(), Vec::new());
    for member in files::members(&settings.lists.files) {
        match member {
            Ok(path) => paths.push(path),
            Err((file, error)) => faults.push(ListFileFault { file, cause: error.to_string() }),
        }
    }
    let kept = files::members(&[settings.folder.join("crl")]);
    paths.extend(kept.into_iter().flatten().filter(|path| path.extension().is_some_and(|e| e == "crl")));
    (paths, faults)
}

/// The marks of those files, by which a change is seen.
pub(crate) fn marks(paths: &[PathBuf]) -> Vec<(PathBuf, Option<Mark>)> {
    paths.iter().map(|path| (path.clone(), files::mark(path))).collect()
}

/// Reads every list and builds what is to be put in force. A list that cannot be used is reported and passed over.
pub(crate) fn build(settings: &Settings, anchors: &Anchors, now: Timestamp) -> Result<Built, AnchorsError> {
    let (paths, mut faults) = list_files(settings);
    let marks = marks(&paths);
    let (mut names, mut lists) = (Vec::new(), Vec::new());
    for path in paths {
        match files::read(&path, settings.lists.size_max) {
            Ok(bytes) => {
                names.push(path);
                lists.push(bytes);
            }
            Err(error) => faults.push(ListFileFault { file: path, cause: error.to_string() }),
        }
    }
    let error =
        |cause: TrustError, files: &[PathBuf]| AnchorsError::Trust { path: named(&cause, files), cause };
    let build = |anchors: &[Vec<u8>], files: &[PathBuf]| {
        TrustSnapshot::build(anchors, &lists, now).map_err(|cause| error(cause, files))
    };
    let (snapshot, not_taken) = build(&anchors.trusted, &settings.anchors)?;
    let (signers, of_signers) = match anchors.signers.as_slice() {
        [] => (None, Vec::new()),
        signers => {
            let (snapshot, not_taken) = build(signers, &[])?;
            (Some(snapshot.with_grace_secs(settings.lists.grace_secs)), not_taken)
        }
    };
    // A list is at fault when neither those who judge peers nor those who judge the signer can use it.
    let is_of_signer =
        |index: usize| signers.is_some() && of_signers.iter().all(|fault| fault.index != index);
    faults.extend(
        not_taken
            .iter()
            .filter(|fault| fault.cause != CrlFaultCause::UnknownIssuer || !is_of_signer(fault.index))
            .filter_map(|fault| {
                Some(ListFileFault { file: names.get(fault.index)?.clone(), cause: fault.cause.to_string() })
            }),
    );
    let snapshot = snapshot
        .of_environment(settings.environment)
        .map_err(|cause| error(cause, &settings.anchors))?
        .with_eku_rule(settings.eku_rule)
        .with_grace_secs(settings.lists.grace_secs);
    Ok(Built { snapshot, signers, faults, marks })
}

/// The file that an error of the anchors is about, where each path is one file.
fn named(error: &TrustError, files: &[PathBuf]) -> Option<PathBuf> {
    if files.iter().any(|path| path.is_dir()) { None } else { files.get(error.file()?).cloned() }
}
