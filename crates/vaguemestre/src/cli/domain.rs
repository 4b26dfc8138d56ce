//! `vaguemestre domain`.

use super::client::{Ask, Client, Refused};
use super::quantity::{Bound, bound};
use super::{Global, print};
use anyhow::Result;
use clap::Subcommand;
use serde_json::{Value, json};
use std::process::ExitCode;

#[derive(Subcommand)]
pub(super) enum DomainCommand {
    /// Add a domain that this operator serves; fine twice.
    Add {
        /// The domain.
        domain: String,
    },
    /// List the domains that this operator serves.
    List,
    /// Show one.
    Show {
        /// The domain.
        domain: String,
    },
    /// Change one.
    Set {
        /// The domain.
        domain: String,
        /// What the quotas of its mailboxes may come to together: octets, or with a suffix (500G), or `none` for no bound.
        #[arg(long, value_name = "OCTETS", value_parser = bound)]
        allocation_max: Bound,
    },
}

pub(super) async fn run(global: &Global, command: DomainCommand) -> Result<ExitCode> {
    let client = Client::open(global).await?;
    let done = obey(global, &client, command).await;
    client.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn obey(global: &Global, client: &Client, command: DomainCommand) -> Result<()> {
    match command {
        DomainCommand::Add { domain } => add(global, client, &domain).await?,
        DomainCommand::List => {
            let rows = client.list(&Ask::get(&["domains"])?, None).await?;
            if global.json {
                print::json(&Value::Array(rows));
            } else {
                rows.iter().filter_map(|row| row["name"].as_str()).for_each(print::line);
            }
        }
        DomainCommand::Show { domain } => print::one(global, &client.get(&["domains", &domain]).await?),
        DomainCommand::Set { domain, allocation_max: Bound(allocation_max) } => {
            let change = json!({"allocationMaxBytes": allocation_max});
            print::one(global, &client.patch(&["domains", &domain], &change).await?);
        }
    }
    Ok(())
}

async fn add(global: &Global, client: &Client, domain: &str) -> Result<()> {
    let added = client.post(&["domains"], &json!({"name": domain})).await;
    let (mut row, is_new) = match added {
        Ok(answer) => (answer.value, true),
        Err(error) if Refused::of(&error).is_some_and(Refused::is_conflict) => {
            (client.get(&["domains", domain]).await?, false)
        }
        Err(error) => return Err(error),
    };
    row["created"] = is_new.into();
    if global.json {
        print::json(&row);
    }
    Ok(())
}
