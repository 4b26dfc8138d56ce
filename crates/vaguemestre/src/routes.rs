//! The file of routes: domains that are not found by DNS.

use anyhow::{Context, Result};
use config::Config;
use policy::{LineFault, Routes};
use std::path::Path;

/// Octets of a routes file.
const ROUTES_MAX: u64 = 16 * 1024 * 1024;

/// The configured routes; none without a file.
pub(crate) fn configured(config: &Config) -> Result<Routes> {
    let Some(path) = &config.routes.file else { return Ok(Routes::default()) };
    let (routes, faults) = read(path).context("[routes] file")?;
    for fault in &faults {
        tracing::warn!(file = %path.display(), line = fault.line, cause = fault.cause, "a line was left out");
    }
    Ok(routes)
}

/// Reads a routes file, with the lines that were left out.
pub(crate) fn read(path: &Path) -> Result<(Routes, Vec<LineFault>)> {
    let about = std::fs::metadata(path).with_context(|| format!("{} cannot be read", path.display()))?;
    anyhow::ensure!(about.len() <= ROUTES_MAX, "{} is larger than {ROUTES_MAX} octets", path.display());
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read as UTF-8 text", path.display()))?;
    Ok(Routes::parse(&text))
}
