//! `vaguemestre statistics`.

use super::client::{Ask, Client};
use super::{Global, print};
use anyhow::Result;
use clap::Args;
use std::process::ExitCode;

#[derive(Args)]
pub(super) struct StatisticsArguments {
    /// Of this day (2026-11-21, UTC) instead of today.
    #[arg(long, value_name = "DATE")]
    day: Option<String>,
    /// Of this domain.
    #[arg(long)]
    domain: Option<String>,
    /// Day by day, of the mailbox with this number.
    #[arg(long, value_name = "ID", conflicts_with_all = ["day", "domain"])]
    mailbox: Option<String>,
    /// From this day on.
    #[arg(long, value_name = "DATE", requires = "mailbox")]
    from: Option<String>,
    /// To this day, included.
    #[arg(long, value_name = "DATE", requires = "mailbox")]
    to: Option<String>,
}

pub(super) async fn run(global: &Global, arguments: StatisticsArguments) -> Result<ExitCode> {
    let ask = match &arguments.mailbox {
        Some(id) => Ask::get(&["statistics", "mailboxes", id])?,
        None => Ask::get(&["statistics"])?,
    };
    let ask = ask
        .query("day", arguments.day)
        .query("domain", arguments.domain)
        .query("from", arguments.from)
        .query("to", arguments.to);
    let client = Client::open(global).await?;
    let answer = client.ask(&ask).await;
    client.close().await;
    print::one(global, &answer?.value);
    Ok(ExitCode::SUCCESS)
}
