//! What is in force and how fresh it is, as a value that is shown, measured and kept for other processes. Times are milliseconds since the epoch.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Octets of the kept status.
const STATUS_MAX: u64 = 16 * 1024 * 1024;

/// The whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// When it was so.
    pub at_ms: i64,
    /// Anchors and intermediates.
    pub authorities: Vec<AuthorityStatus>,
    /// Revocation lists in force.
    pub lists: Vec<ListStatus>,
    /// Where lists are fetched from.
    pub sources: Vec<SourceStatus>,
    /// Files of lists that are not in force.
    pub file_faults: Vec<FileFaultStatus>,
    /// The white list.
    pub white_list: WhiteListStatus,
    /// Local decisions in force.
    pub overlay: Vec<RulingStatus>,
    /// Domains that left the white list.
    pub departures: Vec<DepartureStatus>,
    /// What somebody should do something about.
    pub alarms: Vec<Alarm>,
}

/// An authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityStatus {
    /// Its name.
    pub subject: String,
    /// Whether it is a trust anchor.
    pub is_anchor: bool,
    /// Its last valid instant.
    pub not_after_ms: i64,
}

/// A revocation list in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListStatus {
    /// Its issuer.
    pub issuer: String,
    /// CN of its issuer, or the whole name.
    pub issuer_cn: String,
    /// Its number, in hexadecimal.
    pub number: Option<String>,
    /// When it was issued.
    pub this_update_ms: i64,
    /// When the next one is due.
    pub next_update_ms: Option<i64>,
    /// How many certificates it revokes.
    pub entries: usize,
    /// `current`, `grace` or `past`.
    pub standing: String,
}

/// A source of revocation lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Its URL.
    pub url: String,
    /// Who named it: `configuration`, `authority` or `peer`.
    pub origin: String,
    /// Issuer of the list that came from there.
    pub issuer: Option<String>,
    /// Number of that list.
    pub number: Option<String>,
    /// When it last answered with a list that was taken or is known.
    pub fetched_at_ms: Option<i64>,
    /// When it is asked again.
    pub next_fetch_at_ms: i64,
    /// Failures since.
    pub failures: u32,
    /// The latest of them.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at_ms: Option<i64>,
}

/// A file that is not in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFaultStatus {
    /// Which.
    pub file: PathBuf,
    /// Why.
    pub cause: String,
}

/// The white list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhiteListStatus {
    /// From where; nothing when none is configured.
    pub source: Option<String>,
    /// `national`, `csv` or `pairs`.
    pub format: Option<String>,
    /// Whether a list is in force.
    pub is_in_force: bool,
    /// `fresh`, `stale` or `too_old`; nothing without a list.
    pub standing: Option<String>,
    /// Its date.
    pub generated_at_ms: Option<i64>,
    /// When it was put in force.
    pub adopted_at_ms: Option<i64>,
    /// When its source last had it.
    pub confirmed_at_ms: Option<i64>,
    /// SHA-256 of it.
    pub sha256: Option<String>,
    /// Domains in it.
    pub domains: usize,
    /// Pairs in it.
    pub pairs: usize,
    /// Certificates in it.
    pub certificates: usize,
    /// Entries that were left out.
    pub left_out: usize,
    /// When its source is asked again, where it is a URL.
    pub next_fetch_at_ms: Option<i64>,
    /// Failures since a list was taken or confirmed.
    pub failures: u32,
    /// Why the latest list was not taken, in one word.
    pub last_error_label: Option<String>,
    /// In words, with what to do.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at_ms: Option<i64>,
}

/// A local decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulingStatus {
    /// Row.
    pub id: i64,
    /// `quarantine` or `partner`.
    pub kind: String,
    /// Of what.
    pub what: String,
    /// Why.
    pub reason: String,
    /// When it was made.
    pub created_at_ms: i64,
    /// When it ends by itself.
    pub until_ms: Option<i64>,
}

/// A domain that left the white list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepartureStatus {
    /// Which.
    pub domain: String,
    /// `departing`: mail for it is held. `departed`: it is returned.
    pub standing: String,
    /// Date of the first list without it.
    pub first_absent_at_ms: i64,
    /// Date of the latest list without it.
    pub latest_absent_at_ms: i64,
    /// Whether an administrator gave it up.
    pub is_given_up: bool,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Alarm {
    /// What kind, in one word.
    pub kind: String,
    /// Which list, authority or domain.
    pub about: String,
    /// In words, with what to do.
    pub text: String,
}

impl Status {
    fn path(folder: &Path) -> PathBuf {
        folder.join("status.json")
    }

    /// What the server that runs on this folder, or the last command, wrote.
    pub fn kept(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&crate::files::read(&Self::path(folder), STATUS_MAX).ok()?).ok()
    }

    pub(crate) fn keep(&self, folder: &Path) -> std::io::Result<()> {
        crate::files::replace(&Self::path(folder), &serde_json::to_vec_pretty(self)?)
    }

    /// Whether it says the same at another time.
    pub(crate) fn says_the_same_as(&self, other: &Self) -> bool {
        Self { at_ms: 0, ..self.clone() } == Self { at_ms: 0, ..other.clone() }
    }
}
