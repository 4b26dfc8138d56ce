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
    let anchors = Anchors::read(settings);
    let built = match anchors.and_then(|anchors| snapshot::build(settings, &anchors, now)) {
        Ok(built) => built,
        Err(error) => {
            let fault = Fault { concern: Concern::Anchors, file: None, text: error.to_string() };
            return Examination { snapshot: None, faults: vec![fault] };
        }
    };
    let of_list = |fault: snapshot::ListFileFault| Fault {
        concern: Concern::Lists,
        file: Some(fault.file),
        text: fault.cause,
    };
    let mut faults: Vec<Fault> = built.faults.into_iter().map(of_list).collect();
    if let Some(configured) = &settings.white_list
        && let WhiteListSource::File(path) = &configured.source
    {
        let signers = built.signers.as_ref().unwrap_or(&built.snapshot);
        let fault = |text| Fault { concern: Concern::WhiteList, file: Some(path.clone()), text };
        match read(configured, signers, path, now) {
            Ok((_, left_out)) => faults.extend(left_out.into_iter().map(fault)),
            Err(WhiteListFault::File { cause, .. }) => faults.push(fault(format!("cannot be read: {cause}"))),
            Err(error) => faults.push(fault(error.to_string())),
        }
    }
    Examination { snapshot: Some(built.snapshot), faults }
}

fn read(
    configured: &WhiteListSettings,
    signers: &TrustSnapshot,
    path: &Path,
    now: Timestamp,
) -> Result<(WhiteList, Vec<String>), WhiteListFault> {
    let bytes = files::read(path, configured.size_max)
        .map_err(|cause| WhiteListFault::File { path: path.to_owned(), cause })?;
    let (list, faults) = white_list::examine(configured, signers, &bytes, Occasion::Fetched, now)?;
    Ok((list, faults.iter().map(ToString::to_string).collect()))
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
