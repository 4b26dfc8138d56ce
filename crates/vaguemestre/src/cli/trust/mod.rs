//! `vaguemestre trust`: what is trusted, whether it is fresh, what an administrator decides beside it.

mod check;
mod decide;
mod diff;
mod on_server;
mod status;
mod sync;

use super::{Global, instant, print};
use anyhow::Result;
use clap::Subcommand;
use config::Config;
use std::process::ExitCode;
use store::Store;
use trust_space::{TrustMetrics, TrustSpace};

#[derive(Subcommand)]
pub(super) enum TrustCommand {
    /// Show anchors, revocation lists, white list, local decisions and alarms; exit code 1 when there is an alarm.
    Status,
    /// Fetch revocation lists and white list now, whether or not a server runs.
    Sync(sync::SyncArguments),
    /// Say whether a certificate would be accepted, and why not; exit code 1 when it would not.
    Check(check::CheckArguments),
    /// Show what changed between the former white list and the one in force, or between two files.
    Diff(diff::DiffArguments),
    /// Exchange no mail with a domain, or believe a certificate no more.
    #[command(subcommand)]
    Quarantine(decide::QuarantineCommand),
    /// End a quarantine or a partnership.
    Release(decide::ReleaseArguments),
    /// Have a pair count as if the white list named it.
    #[command(subcommand)]
    Partner(decide::PartnerCommand),
    /// List quarantines and partners.
    Overlay {
        /// Those that ended too.
        #[arg(long)]
        all: bool,
    },
    /// List the domains of the white list in force, and what speaks for each.
    Entries {
        /// Whose names have this.
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
    },
    /// Give up a domain that left the white list: mail that is held for it goes back to its senders.
    GiveUp(decide::GiveUpArguments),
}

pub(super) async fn run(global: &Global, command: TrustCommand) -> Result<ExitCode> {
    if global.remote()?.is_some() || matches!(command, TrustCommand::Entries { .. }) {
        return on_server::run(global, command).await;
    }
    match command {
        TrustCommand::Entries { .. } => Ok(ExitCode::SUCCESS),
        TrustCommand::Status => status::run(global).await,
        TrustCommand::Sync(arguments) => sync::run(global, &arguments).await,
        TrustCommand::Check(arguments) => check::run(global, &arguments).await,
        TrustCommand::Diff(arguments) => diff::run(global, &arguments),
        TrustCommand::Quarantine(command) => decide::quarantine(global, command).await,
        TrustCommand::Release(arguments) => decide::release(global, &arguments).await,
        TrustCommand::Partner(command) => decide::partner(global, command).await,
        TrustCommand::Overlay { all } => decide::list(global, all).await,
        TrustCommand::GiveUp(arguments) => decide::give_up(global, &arguments).await,
    }
}

/// What is configured and kept, beside a running `serve` or without one.
async fn look(global: &Global) -> Result<(Config, Store, TrustSpace)> {
    let (config, store) = global.open().await?;
    let settings = crate::trust::settings(&config);
    let space = TrustSpace::look(settings, store.clone(), TrustMetrics::default()).await?;
    Ok((config, store, space))
}

/// As people read it.
fn instant(at_ms: i64) -> String {
    message::date::rfc5322(mail_types::Timestamp(at_ms))
}

fn optional_instant(at_ms: Option<i64>) -> String {
    at_ms.map_or_else(|| "-".to_owned(), instant)
}
