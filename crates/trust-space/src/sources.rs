//! Where revocation lists are fetched from, and how that went.

use crate::files;
use crate::http::Validators;
use crate::schedule::{self, Life};
use mail_types::Timestamp;
use pki::RevocationListFacts;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Sources at one time. Certificates of a whole network name a dozen.
const SOURCES_MAX: usize = 64;
/// Octets of a URL.
const URL_MAX: usize = 1_024;
/// A source that only a certificate named and that never had a list is forgotten after so many failures; the next such certificate names it again.
const FAILURES_OF_STRANGERS_MAX: u32 = 20;
/// Octets of the file beside a kept list.
const ABOUT_MAX: u64 = 16 * 1024;

/// Who named a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// The configuration.
    Configured,
    /// A certificate of an authority, or our own.
    Authority,
    /// A peer's certificate, now or before a restart.
    Peer,
}

impl Origin {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Configured => "configuration",
            Self::Authority => "authority",
            Self::Peer => "peer",
        }
    }
}

/// What stands beside a kept list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AboutList {
    pub(crate) url: String,
    pub(crate) fetched_at_ms: i64,
    pub(crate) sha256: String,
    #[serde(flatten)]
    pub(crate) validators: Validators,
}

/// One source.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) origin: Origin,
    pub(crate) kept: Option<AboutList>,
    pub(crate) facts: Option<RevocationListFacts>,
    pub(crate) failures: u32,
    pub(crate) last_error: Option<(Timestamp, String)>,
    pub(crate) next_at: Timestamp,
    pub(crate) is_under_way: bool,
}

impl Source {
    pub(crate) fn life(&self) -> Option<Life> {
        let facts = self.facts.as_ref()?;
        Some(Life { this_update: facts.this_update, next_update: facts.next_update? })
    }
}

/// Every source, by its URL.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources(pub(crate) BTreeMap<String, Source>);

impl Sources {
    /// Adds a source, due at once. Whoever has more say about a known one is noted.
    pub(crate) fn add(&mut self, url: &str, origin: Origin, now: Timestamp) {
        if let Some(known) = self.0.get_mut(url) {
            known.origin = known.origin.min(origin);
            return;
        }
        let is_usable = url.len() <= URL_MAX && (url.starts_with("http://") || url.starts_with("https://"));
        let max = if origin == Origin::Peer { SOURCES_MAX } else { 2 * SOURCES_MAX };
        if !is_usable || self.0.len() >= max {
            tracing::warn!(
                url,
                origin = origin.as_str(),
                "a distribution point was passed over: not http or https, or too many"
            );
            return;
        }
        let source = Source {
            origin,
            kept: None,
            facts: None,
            failures: 0,
            last_error: None,
            next_at: now,
            is_under_way: false,
        };
        self.0.insert(url.to_owned(), source);
    }

    /// Forgets configured sources that are configured no more.
    pub(crate) fn keep_configured(&mut self, urls: &[String]) {
        self.0.retain(|url, source| source.origin != Origin::Configured || urls.contains(url));
    }

    /// Takes the sources that are due, or all, marking them as under way.
    pub(crate) fn take_due(&mut self, now: Timestamp, all: bool) -> Vec<String> {
        let due = self.0.iter_mut().filter(|(_, s)| !s.is_under_way && (all || s.next_at <= now));
        due.map(|(url, source)| {
            source.is_under_way = true;
            url.clone()
        })
        .collect()
    }

    pub(crate) fn succeeded(
        &mut self,
        url: &str,
        about: AboutList,
        facts: Option<RevocationListFacts>,
        now: Timestamp,
        refresh_secs: i64,
    ) {
        let Some(source) = self.0.get_mut(url) else { return };
        if facts.is_some() {
            source.facts = facts;
        }
        source.kept = Some(about);
        source.failures = 0;
        source.last_error = None;
        source.is_under_way = false;
        source.next_at = schedule::refresh(now, refresh_secs, source.life());
    }

    pub(crate) fn failed(&mut self, url: &str, text: String, now: Timestamp, refresh_secs: i64) {
        let Some(source) = self.0.get_mut(url) else { return };
        source.failures = source.failures.saturating_add(1);
        source.last_error = Some((now, text));
        source.is_under_way = false;
        source.next_at = schedule::retry(now, refresh_secs, source.failures, source.life());
        let is_stranger = source.origin == Origin::Peer && source.kept.is_none();
        if is_stranger && source.failures >= FAILURES_OF_STRANGERS_MAX {
            self.0.remove(url);
        }
    }
}

/// The file of a kept list, and the one that tells of it.
pub(crate) fn paths(folder: &Path, url: &str) -> (PathBuf, PathBuf) {
    let name = files::sha256(url.as_bytes());
    let folder = folder.join("crl");
    (folder.join(format!("{name}.crl")), folder.join(format!("{name}.json")))
}

/// What is told of the kept lists that are whole: the list is written first, so that one that is told of is there.
pub(crate) fn kept(folder: &Path, size_max: u64) -> Vec<(AboutList, Vec<u8>)> {
    let members = files::members(&[folder.join("crl")]).into_iter().flatten();
    let about = members.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    about
        .filter_map(|path| {
            let about: AboutList = serde_json::from_slice(&files::read(&path, ABOUT_MAX).ok()?).ok()?;
            let bytes = files::read(&paths(folder, &about.url).0, size_max).ok()?;
            (files::sha256(&bytes) == about.sha256).then_some((about, bytes))
        })
        .collect()
}

/// Keeps a list, and what is told of it, on stable storage.
pub(crate) fn keep(folder: &Path, about: &AboutList, bytes: Option<&[u8]>) -> std::io::Result<()> {
    let (list, told) = paths(folder, &about.url);
    if let Some(bytes) = bytes {
        files::replace(&list, bytes)?;
    }
    files::replace(&told, &serde_json::to_vec_pretty(about)?)
}
