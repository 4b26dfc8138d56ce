//! `vaguemestre fsck`.

use super::{Global, print};
use clap::Args;
use serde_json::json;
use std::process::ExitCode;

#[derive(Args)]
pub(super) struct FsckArguments {
    /// Set counters right and release what nothing refers to.
    #[arg(long)]
    repair: bool,
}

/// Fails when something was found that was not repaired.
pub(super) async fn run(global: &Global, arguments: &FsckArguments) -> anyhow::Result<ExitCode> {
    let (_, store) = global.open().await?;
    let report = store.fsck(arguments.repair).await?;
    store.close().await;
    let rows = [
        ("folder_counters", report.folder_counters),
        ("mailbox_counters", report.mailbox_counters),
        ("private_seen", report.private_seen),
        ("unreferenced_bodies", report.unreferenced_bodies),
        ("missing_files", report.missing_files),
        ("orphan_files", report.orphan_files),
    ];
    if global.json {
        let mut value: serde_json::Map<String, serde_json::Value> =
            rows.iter().map(|(key, count)| ((*key).to_owned(), json!(count))).collect();
        value.insert("sound".to_owned(), json!(report.is_sound()));
        value.insert("repaired".to_owned(), json!(report.is_repaired));
        print::json(&serde_json::Value::Object(value));
    } else {
        rows.iter().for_each(|(key, count)| print::line(&format!("{key:<20} {count}")));
        print::line(if report.is_sound() {
            "sound"
        } else if report.is_repaired {
            "repaired: counters were set right; missing files must come back from a backup, orphan files go by themselves"
        } else {
            "faults were found; run `vaguemestre fsck --repair`"
        });
    }
    let is_fine = report.is_sound() || (report.is_repaired && report.missing_files == 0);
    Ok(if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
