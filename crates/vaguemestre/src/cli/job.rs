//! `vaguemestre job`.

use super::client::{Ask, Client};
use super::{Global, print};
use anyhow::Result;
use clap::Subcommand;
use std::process::ExitCode;

/// Headings of a list, and the members under them.
const COLUMNS: &[(&str, &str)] = &[
    ("ID", "/id"),
    ("KIND", "/kind"),
    ("STATE", "/state"),
    ("DONE", "/done"),
    ("TOTAL", "/total"),
    ("BEGUN", "/createdAt"),
    ("ENDED", "/endedAt"),
];

#[derive(Subcommand)]
pub(super) enum JobCommand {
    /// List long work, the latest first.
    List {
        /// In this state only: queued, running, succeeded, failed, cancelled.
        #[arg(long)]
        state: Option<String>,
        /// How many, at most.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Show one: how far it is, and what it found.
    Show {
        /// Its id.
        id: String,
    },
    /// Ask one to stop.
    Cancel {
        /// Its id.
        id: String,
    },
}

pub(super) async fn run(global: &Global, command: JobCommand) -> Result<ExitCode> {
    let client = Client::open(global).await?;
    let done = obey(global, &client, command).await;
    client.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn obey(global: &Global, client: &Client, command: JobCommand) -> Result<()> {
    match command {
        JobCommand::List { state, limit } => {
            let rows = client.list(&Ask::get(&["jobs"])?.query("state", state), limit).await?;
            print::many(global, COLUMNS, rows);
        }
        JobCommand::Show { id } => print::one(global, &client.get(&["jobs", &id]).await?),
        JobCommand::Cancel { id } => {
            print::one(global, &client.ask(&Ask::delete(&["jobs", &id])?).await?.value);
        }
    }
    Ok(())
}
