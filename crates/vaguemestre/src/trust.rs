//! The trust space, loaded from files: anchors, revocation lists, white list, routes. Loaded at the start and again at each reload.

use anyhow::{Context, Result, anyhow};
use arc_swap::{ArcSwap, ArcSwapOption};
use config::{Config, read_each};
use mail_types::Timestamp;
use pki::{EkuRule, Trust, TrustSnapshot};
use policy::{LineFault, Routes, WhiteList};
use std::path::Path;
use std::sync::Arc;

/// What is in force, shared with everyone who judges.
#[derive(Clone)]
pub(crate) struct TrustSpace {
    pub(crate) pki: Arc<Trust>,
    pub(crate) white_list: Arc<ArcSwapOption<WhiteList>>,
    pub(crate) routes: Arc<ArcSwap<Routes>>,
}

impl TrustSpace {
    /// Loads everything for the first time. Faults of single lists are logged: they close what they concern, and nothing else.
    pub(crate) fn load(config: &Config, now: Timestamp) -> Result<Self> {
        let snapshot = snapshot(config, now)?;
        Ok(Self {
            pki: Arc::new(Trust::new(snapshot)),
            white_list: Arc::new(ArcSwapOption::from(white_list(config)?.map(Arc::new))),
            routes: Arc::new(ArcSwap::from_pointee(routes(config)?)),
        })
    }

    /// Loads everything again. What cannot be loaded leaves what was in force as it was; every such fault is logged.
    pub(crate) fn reload(&self, config: &Config, now: Timestamp) {
        match snapshot(config, now) {
            Ok(snapshot) => {
                let previous = self.pki.load();
                self.pki.swap(snapshot.replacing(&previous));
            }
            Err(error) => tracing::error!(
                error = format!("{error:#}"),
                "trust anchors and revocation lists stay as they were"
            ),
        }
        match white_list(config) {
            Ok(list) => self.white_list.store(list.map(Arc::new)),
            Err(error) => tracing::error!(error = format!("{error:#}"), "the white list stays as it was"),
        }
        match routes(config) {
            Ok(routes) => self.routes.store(Arc::new(routes)),
            Err(error) => tracing::error!(error = format!("{error:#}"), "the routes stay as they were"),
        }
    }
}

/// Reads the anchors and lists of a configuration.
pub(crate) fn snapshot(config: &Config, now: Timestamp) -> Result<TrustSnapshot> {
    let anchors = contents(&config.trust.anchors).context("[trust] anchors")?;
    let lists = read_each(&config.trust.crl_files)
        .map_err(|(path, error)| anyhow!("[trust] crl_files: {}: {error}", path.display()))?;
    let bytes: Vec<Vec<u8>> = lists.iter().map(|(_, bytes)| bytes.clone()).collect();
    let (snapshot, faults) = TrustSnapshot::build(&anchors, &bytes, now).context("[trust] anchors")?;
    for fault in faults {
        let file = lists.get(fault.index).map(|(path, _)| path.display().to_string());
        tracing::error!(file, cause = %fault.cause, "a revocation list was not taken; replace the file");
    }
    if snapshot.is_without_revocation_lists() {
        tracing::error!(
            "no revocation list is loaded: mail from and to other operators is deferred; set [trust] crl_files"
        );
    }
    let rule = if config.trust.strict_eku { EkuRule::Strict } else { EkuRule::AnyTlsUsage };
    Ok(snapshot.with_eku_rule(rule))
}

fn contents(paths: &[std::path::PathBuf]) -> Result<Vec<Vec<u8>>> {
    let files = read_each(paths).map_err(|(path, error)| anyhow!("{}: {error}", path.display()))?;
    Ok(files.into_iter().map(|(_, bytes)| bytes).collect())
}

fn white_list(config: &Config) -> Result<Option<WhiteList>> {
    let Some(path) = &config.trust.whitelist_file else {
        tracing::error!(
            "no white list is configured: mail from and to other operators is deferred; set [trust] whitelist_file"
        );
        return Ok(None);
    };
    let text = text(path).context("[trust] whitelist_file")?;
    let (list, faults) = WhiteList::parse(&text);
    report(path, &faults);
    tracing::info!(domains = list.domain_count(), "white list loaded");
    Ok(Some(list))
}

fn routes(config: &Config) -> Result<Routes> {
    let Some(path) = &config.routes.file else { return Ok(Routes::default()) };
    let (routes, faults) = Routes::parse(&text(path).context("[routes] file")?);
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
