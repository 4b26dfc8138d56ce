//! `vaguemestre user`.

use super::mailbox::password_from_stdin;
use super::{Global, print};
use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::json;
use std::process::ExitCode;

#[derive(Subcommand)]
pub(super) enum UserCommand {
    /// Make a user; fine twice.
    Create {
        /// The name that the user logs in with.
        login: String,
        /// The name that people read.
        #[arg(long, default_value = "")]
        name: String,
        /// RPPS number, eleven digits.
        #[arg(long)]
        rpps: Option<String>,
        /// Read an application password from standard input (one line).
        #[arg(long)]
        password_stdin: bool,
    },
}

pub(super) async fn run(global: &Global, command: UserCommand) -> Result<ExitCode> {
    let UserCommand::Create { login, name, rpps, password_stdin } = command;
    let (_, store) = global.open().await?;
    if let Some(rpps) = &rpps {
        let is_shaped = rpps.len() == 11 && rpps.bytes().all(|b| b.is_ascii_digit());
        is_shaped.then_some(()).context("--rpps must be eleven digits")?;
    }
    let user = store.create_user(&login, &name, rpps.as_deref()).await?;
    if password_stdin {
        let hash = auth::hash_password(&password_from_stdin()?)?;
        store.set_application_password(user.actor, "command line", &hash).await?;
    }
    if global.json {
        print::json(&json!({"login": user.login, "id": user.id.0}));
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}
