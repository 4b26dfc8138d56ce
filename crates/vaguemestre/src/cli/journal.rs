//! `vaguemestre journal`.

use super::client::{Ask, Client};
use super::{Global, print};
use anyhow::Result;
use clap::Args;
use std::process::ExitCode;

/// Headings, and the members under them.
const COLUMNS: &[(&str, &str)] = &[
    ("AT", "/at"),
    ("DIRECTION", "/direction"),
    ("VERDICT", "/outcome"),
    ("REASON", "/reason"),
    ("DOMAIN", "/domain"),
    ("PEER", "/peer"),
    ("CERTIFICATE", "/subject"),
    ("SERIAL", "/serial"),
    ("TLS", "/tls"),
    ("REPEATS", "/repeats"),
];

#[derive(Args)]
pub(super) struct JournalArguments {
    /// How many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

pub(super) async fn run(global: &Global, arguments: &JournalArguments) -> Result<ExitCode> {
    let client = Client::open(global).await?;
    let rows = client.list(&Ask::get(&["journal"])?, Some(arguments.limit as usize)).await;
    client.close().await;
    print::many(global, COLUMNS, rows?);
    Ok(ExitCode::SUCCESS)
}
