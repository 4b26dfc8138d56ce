//! Looking at what is configured and kept without putting anything in force: for checks of a configuration and for comparisons.

use crate::files;
use crate::settings::{Settings, WhiteListSettings, WhiteListSource};
use crate::snapshot::{self, Anchors};
use crate::white_list::{self, Kept, WhiteListFault};
use ::white_list::Occasion;
use mail_types::Timestamp;
use pki::TrustSnapshot;
use policy::WhiteList;
use std::path::{Path, PathBuf};

/// What a fault is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// The anchors.
    Anchors,
    /// A revocation list.
    Lists,
    /// The white list.
    WhiteList,
}

/// Something that is wrong with what is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it is about.
    pub concern: Concern,
    /// In which file, where one is meant.
    pub file: Option<PathBuf>,
    /// In words.
    pub text: String,
}

/// What configured files are worth.
#[derive(Debug)]
pub struct Examination {
    /// What they would put in force; nothing without anchors.
    pub snapshot: Option<TrustSnapshot>,
    /// Everything that is wrong.
    pub faults: Vec<Fault>,
}

/// Reads every file that the settings name, and nothing from the network.
pub fn examine(settings: &Settings, now: Timestamp) -> Examination {
    let mut faults = Vec::new();
    let built = match Anchors::read(settings).and_then(|anchors| snapshot::build(settings, &anchors, now)) {
        Ok(built) => Some(built),
        Err(error) => {
            faults.push(Fault { concern: Concern::Anchors, file: None, text: error.to_string() });
            None
        }
    };
    let of_list = |fault: &snapshot::ListFileFault| Fault {
        concern: Concern::Lists,
        file: Some(fault.file.clone()),
        text: fault.cause.clone(),
    };
    faults.extend(built.iter().flat_map(|built| built.faults.iter().map(of_list)));
    if let Some(configured) = &settings.white_list
        && let WhiteListSource::File(path) = &configured.source
    {
        let signers = built.as_ref().map(|built| built.signers.as_ref().unwrap_or(&built.snapshot));
        let texts = white_list_faults(configured, signers, path, now).into_iter();
        faults.extend(texts.map(|text| Fault {
            concern: Concern::WhiteList,
            file: Some(path.clone()),
            text,
        }));
    }
    Examination { snapshot: built.map(|built| built.snapshot), faults }
}

/// Without anybody to judge a signer, whether the file is there.
fn white_list_faults(
    configured: &WhiteListSettings,
    signers: Option<&TrustSnapshot>,
    path: &Path,
    now: Timestamp,
) -> Vec<String> {
    let bytes = match files::read(path, configured.size_max) {
        Ok(bytes) => bytes,
        Err(error) => return vec![format!("cannot be read: {error}")],
    };
    let Some(signers) = signers else { return Vec::new() };
    match white_list::examine(configured, signers, &bytes, Occasion::Fetched, now) {
        Ok((_, left_out)) => left_out.iter().map(ToString::to_string).collect(),
        Err(fault) => vec![fault.to_string()],
    }
}

/// Reads a file in the configured form, for a comparison; whether it may replace the one in force is not asked.
///
/// # Errors
/// Why it cannot be believed or read.
pub fn read_white_list(
    settings: &Settings,
    path: &Path,
    now: Timestamp,
) -> Result<WhiteList, WhiteListFault> {
    let configured = settings.white_list.as_ref().ok_or(WhiteListFault::NoSource)?;
    let built = Anchors::read(settings).and_then(|anchors| snapshot::build(settings, &anchors, now));
    let built = built.map_err(|error| WhiteListFault::Fetch(error.to_string(), "anchors"))?;
    let signers = built.signers.as_ref().unwrap_or(&built.snapshot);
    let bytes = files::read(path, configured.size_max)
        .map_err(|cause| WhiteListFault::File { path: path.to_owned(), cause })?;
    Ok(white_list::examine(configured, signers, &bytes, Occasion::Kept, now)?.0)
}

/// Where the list in force or the one before it is kept.
pub fn kept_white_list(settings: &Settings, which: Kept) -> PathBuf {
    which.path(&settings.folder)
}
