//! `vaguemestre domain`.

use super::{Global, print};
use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::json;
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
}

pub(super) async fn run(global: &Global, command: DomainCommand) -> Result<ExitCode> {
    let (_, store) = global.open().await?;
    match command {
        DomainCommand::Add { domain } => {
            let domain: mail_types::Domain = domain.parse().context("DOMAIN")?;
            let is_new = store.add_domain(domain.clone()).await?;
            if global.json {
                print::json(&json!({"domain": domain.as_str(), "created": is_new}));
            }
        }
        DomainCommand::List => {
            let domains = store.domains().await?;
            if global.json {
                print::json(&json!(domains));
            } else {
                domains.iter().for_each(|domain| print::line(domain));
            }
        }
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}
