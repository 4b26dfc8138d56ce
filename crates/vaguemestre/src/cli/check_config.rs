//! `vaguemestre check-config`: every fault at once, those of the files that it names included.

use super::{Global, print};
use config::Config;
use policy::LineFault;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use store::Clock;
use trust_space::Concern;

pub(super) async fn run(global: &Global) -> anyhow::Result<ExitCode> {
    let (config, faults) = Config::examine(global.config_file());
    let mut faults: Vec<(String, String, String)> =
        faults.into_iter().map(|fault| (fault.file.display().to_string(), fault.key, fault.text)).collect();
    if let Some(config) = config {
        let known: Vec<String> = faults.iter().map(|(_, key, _)| key.clone()).collect();
        // A key at fault says nothing of the files that it would have named.
        faults.extend(file_faults(&config).into_iter().filter(|(_, key, _)| !known.contains(key)));
        let is_read = !known.iter().any(|key| key.starts_with("store."));
        if is_read && let Err(error) = crate::bodies::check(&config.store).await {
            faults.push((config.file.display().to_string(), "store.s3".to_owned(), format!("{error:#}")));
        }
    }
    if global.json {
        let list: Vec<_> =
            faults.iter().map(|(file, key, text)| json!({"file": file, "key": key, "fault": text})).collect();
        print::json(&json!({"faults": list}));
    } else if faults.is_empty() {
        print::line(&format!("{}: no fault found", global.config_file().display()));
    } else {
        faults.iter().for_each(|(file, key, text)| print::line(&format!("{file}: {key} {text}")));
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Faults of the files that a configuration names: (file, key, what is wrong).
fn file_faults(config: &Config) -> Vec<(String, String, String)> {
    let mut faults = Vec::new();
    let own = config.file.display().to_string();
    let mut readable = true;
    for (key, path) in [("tls.cert", &config.tls.cert), ("tls.key", &config.tls.key)] {
        if let Err(error) = std::fs::read(path) {
            readable = false;
            faults.push((own.clone(), key.to_owned(), format!("{} cannot be read: {error}", path.display())));
        }
    }
    if readable && let Err(error) = crate::identity::Identities::load(&config.tls) {
        faults.push((own.clone(), "tls.cert".to_owned(), format!("{error:#}")));
    }
    if let Err(error) = crate::server_tls::settings(&config.tls) {
        faults.push((own.clone(), "tls.suites".to_owned(), format!("{error:#}")));
    }
    let examination = trust_space::examine(&crate::trust::settings(config), Clock::system().now());
    faults.extend(examination.faults.into_iter().map(|fault| {
        let key = match fault.concern {
            Concern::Anchors => "trust.anchors",
            Concern::Lists => "trust.crl_files",
            Concern::WhiteList => "trust.whitelist_file",
        };
        let file = fault.file.map_or_else(|| own.clone(), |path| path.display().to_string());
        (file, key.to_owned(), fault.text)
    }));
    if let Some(path) = &config.routes.file {
        faults.extend(line_faults("routes.file", path, crate::routes::read(path).map(|(_, faults)| faults)));
    }
    for (key, path) in [("store.data_dir", &config.store.data_dir), ("store.key_dir", &config.store.key_dir)]
    {
        if !Path::is_dir(path) {
            let text = format!("{} is not a folder; run `vaguemestre init` or create it", path.display());
            faults.push((own.clone(), key.to_owned(), text));
        }
    }
    faults
}

fn line_faults(
    key: &str,
    path: &Path,
    read: anyhow::Result<Vec<LineFault>>,
) -> Vec<(String, String, String)> {
    let file = path.display().to_string();
    match read {
        Ok(lines) => {
            let text = |fault: LineFault| format!("line {}: {}", fault.line, fault.cause);
            lines.into_iter().map(|fault| (file.clone(), key.to_owned(), text(fault))).collect()
        }
        Err(error) => vec![(file, key.to_owned(), format!("{error:#}"))],
    }
}
