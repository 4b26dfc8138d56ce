//! `vaguemestre check-config`: every fault at once, those of the files that it names included.

use super::{Global, print};
use config::Config;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use store::Clock;

pub(super) fn run(global: &Global) -> anyhow::Result<ExitCode> {
    let faults: Vec<(String, String, String)> = match Config::load(&global.config) {
        Err(faults) => faults
            .into_iter()
            .map(|fault| (fault.file.display().to_string(), fault.key, fault.text))
            .collect(),
        Ok(config) => file_faults(&config)
            .into_iter()
            .map(|(key, text)| (config.file.display().to_string(), key, text))
            .collect(),
    };
    if global.json {
        let list: Vec<_> =
            faults.iter().map(|(file, key, text)| json!({"file": file, "key": key, "fault": text})).collect();
        print::json(&json!({"faults": list}));
    } else if faults.is_empty() {
        print::line(&format!("{}: no fault found", global.config.display()));
    } else {
        faults.iter().for_each(|(file, key, text)| print::line(&format!("{file}: {key} {text}")));
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Faults of the files that a sound configuration names.
fn file_faults(config: &Config) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    let mut note = |key: &str, text: String| faults.push((key.to_owned(), text));
    if let Err(error) = crate::operator::own_identity(config) {
        note("tls", format!("{error:#}"));
    }
    if let Err(error) = crate::trust::snapshot(config, Clock::system().now()) {
        note("trust", format!("{error:#}"));
    }
    for (key, path) in
        [("trust.whitelist_file", &config.trust.whitelist_file), ("routes.file", &config.routes.file)]
    {
        if let Some(path) = path.as_deref().filter(|path| !path.is_file()) {
            note(key, format!("{} is not a file", path.display()));
        }
    }
    for (key, path) in [("store.data_dir", &config.store.data_dir), ("store.key_dir", &config.store.key_dir)]
    {
        if !Path::is_dir(path) {
            note(key, format!("{} is not a folder; run `vaguemestre init` or create it", path.display()));
        }
    }
    faults
}
