//! The trust space, loaded from files: anchors, revocation lists, white list, routes. Loaded at the start and again at each reload.

use anyhow::{Context, Result, anyhow};
use arc_swap::ArcSwap;
use config::{Config, read_each};
use mail_types::Timestamp;
use pki::{EkuRule, Trust, TrustSnapshot};
use policy::{LineFault, Routes, TrustList, WhiteList};
use std::path::Path;
use std::sync::Arc;

/// What is in force, shared with everyone who judges.
#[derive(Clone)]
pub(crate) struct TrustSpace {
    pub(crate) pki: Arc<Trust>,
    pub(crate) list: Arc<ArcSwap<TrustList>>,
    pub(crate) routes: Arc<ArcSwap<Routes>>,
}

impl TrustSpace {
    /// Loads everything for the first time. A list that cannot be loaded closes what it concerns and nothing else: clinicians read their mail
    /// while an administrator repairs it. Only anchors that cannot be read stop the start.
    pub(crate) fn load(config: &Config, now: Timestamp) -> Result<Self> {
        let snapshot = snapshot(config, now)?;
        let white_list = white_list(config).unwrap_or_else(|error| {
            tracing::error!(
                error = format!("{error:#}"),
                "no white list is in force: mail from and to other operators is deferred"
            );
            None
        });
        let routes = routes(config).unwrap_or_else(|error| {
            tracing::error!(
                error = format!("{error:#}"),
                "no routes are in force: every domain is looked up by DNS"
            );
            Routes::default()
        });
        Ok(Self {
            pki: Arc::new(Trust::new(snapshot)),
            list: Arc::new(ArcSwap::from_pointee(trust_list(white_list, now))),
            routes: Arc::new(ArcSwap::from_pointee(routes)),
        })
    }

    /// Loads everything again. What cannot be loaded leaves what was in force as it was; every such fault is logged.
    pub(crate) fn reload(&self, config: &Config, now: Timestamp) {
        match snapshot(config, now) {
            Ok(snapshot) => {
                let previous = self.pki.load();
                let (snapshot, faults) = snapshot.replacing(&previous);
                for fault in faults {
                    tracing::error!(cause = %fault.cause, "a revocation list was not taken");
                }
                self.pki.swap(snapshot);
            }
            Err(error) => tracing::error!(
                error = format!("{error:#}"),
                "trust anchors and revocation lists stay as they were"
            ),
        }
        match white_list(config) {
            Ok(list) => self.list.store(Arc::new(trust_list(list, now))),
            Err(error) => tracing::error!(error = format!("{error:#}"), "the white list stays as it was"),
        }
        match routes(config) {
            Ok(routes) => self.routes.store(Arc::new(routes)),
            Err(error) => tracing::error!(error = format!("{error:#}"), "the routes stay as they were"),
        }
    }
}

fn trust_list(white_list: Option<WhiteList>, now: Timestamp) -> TrustList {
    TrustList { white_list: white_list.map(|list| (Arc::new(list), now)), ..TrustList::default() }
}

/// Reads the anchors and lists of a configuration; logs what is at fault with the lists.
fn snapshot(config: &Config, now: Timestamp) -> Result<TrustSnapshot> {
    let (snapshot, faults) = judged_snapshot(config, now)?;
    for (file, cause) in faults {
        tracing::error!(file, cause, "a revocation list was not taken; replace the file");
    }
    if snapshot.is_without_revocation_lists() {
        tracing::error!(
            "no revocation list is loaded: mail from and to other operators is deferred; set [trust] crl_files"
        );
    }
    Ok(snapshot)
}

/// The anchors and lists of a configuration, with (file, cause) of each list that was not taken.
pub(crate) fn judged_snapshot(
    config: &Config,
    now: Timestamp,
) -> Result<(TrustSnapshot, Vec<(String, String)>)> {
    let anchors = read_each(&config.trust.anchors)
        .map_err(|(path, error)| anyhow!("[trust] anchors: {}: {error}", path.display()))?;
    let (anchor_paths, anchors): (Vec<_>, Vec<_>) = anchors.into_iter().unzip();
    let (mut names, mut lists, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    for path in &config.trust.crl_files {
        match read_each(std::slice::from_ref(path)) {
            Ok(files) => {
                for (path, bytes) in files {
                    names.push(path.display().to_string());
                    lists.push(bytes);
                }
            }
            Err((path, error)) => faults.push((path.display().to_string(), error.to_string())),
        }
    }
    let built = TrustSnapshot::build(&anchors, &lists, now)
        .and_then(|(snapshot, faults)| Ok((snapshot.of_environment(environment(config))?, faults)));
    let (snapshot, not_taken) = built.map_err(|error| {
        let path = error.file().and_then(|file| anchor_paths.get(file));
        anyhow!(
            "[trust] anchors: {}{error}",
            path.map_or(String::new(), |path| format!("{}: ", path.display()))
        )
    })?;
    let named = |index: usize| names.get(index).cloned().unwrap_or_default();
    faults.extend(not_taken.into_iter().map(|fault| (named(fault.index), fault.cause.to_string())));
    let rule = if config.trust.strict_eku { EkuRule::Strict } else { EkuRule::AnyTlsUsage };
    Ok((snapshot.with_eku_rule(rule), faults))
}

fn environment(config: &Config) -> pki::Environment {
    match config.trust.environment {
        config::Environment::Production => pki::Environment::Production,
        config::Environment::Test => pki::Environment::Test,
    }
}

fn white_list(config: &Config) -> Result<Option<WhiteList>> {
    let Some(path) = &config.trust.whitelist_file else {
        tracing::error!(
            "no white list is configured: mail from and to other operators is deferred; set [trust] whitelist_file"
        );
        return Ok(None);
    };
    let (list, faults) = read_white_list(path).context("[trust] whitelist_file")?;
    report(path, &faults);
    // A file caught while it is being written must not close the network for good.
    anyhow::ensure!(list.domain_count() > 0, "[trust] whitelist_file: {} names no domain", path.display());
    tracing::info!(domains = list.domain_count(), "white list loaded");
    Ok(Some(list))
}

/// Reads a white list, with the lines that were left out.
pub(crate) fn read_white_list(path: &Path) -> Result<(WhiteList, Vec<LineFault>)> {
    Ok(WhiteList::parse(&text(path)?))
}

/// Reads a routes file, with the lines that were left out.
pub(crate) fn read_routes(path: &Path) -> Result<(Routes, Vec<LineFault>)> {
    Ok(Routes::parse(&text(path)?))
}

fn routes(config: &Config) -> Result<Routes> {
    let Some(path) = &config.routes.file else { return Ok(Routes::default()) };
    let (routes, faults) = read_routes(path).context("[routes] file")?;
    report(path, &faults);
    Ok(routes)
}

fn text(path: &Path) -> Result<String> {
    let files =
        read_each(&[path.to_owned()]).map_err(|(path, error)| anyhow!("{}: {error}", path.display()))?;
    let bytes: Vec<u8> = files.into_iter().flat_map(|(_, bytes)| bytes).collect();
    String::from_utf8(bytes).map_err(|_| anyhow!("{} is not UTF-8", path.display()))
}

fn report(path: &Path, faults: &[LineFault]) {
    for fault in faults {
        tracing::warn!(file = %path.display(), line = fault.line, cause = fault.cause, "a line was left out");
    }
}
