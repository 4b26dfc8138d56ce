//! `vaguemestre mailbox`.

use super::quantity::octets;
use super::{Global, import, print};
use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand};
use mail_types::{Address, MailboxId, MailboxKind, MailboxStatus, Secret};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use store::{LifeStep, MailboxRow, NewMailbox, Store};

/// Rows read at a time by `list`.
const PAGE: u32 = 1000;

#[derive(Subcommand)]
pub(super) enum MailboxCommand {
    /// Make a mailbox; fine twice with the same kind and owner.
    Create(CreateArguments),
    /// List all mailboxes.
    List,
    /// Show one mailbox.
    Show {
        /// Its address.
        address: String,
    },
    /// Set the quota of a mailbox.
    SetQuota {
        /// Its address.
        address: String,
        /// Octets, or with a suffix: 500M, 2G.
        quota: String,
    },
    /// Delete a mailbox. Its address is never given to another holder.
    Delete {
        /// Its address.
        address: String,
    },
    /// Make many mailboxes from a CSV file with the columns address, kind, owner, quota, password (the last three may be absent or empty).
    Import {
        /// The file; `,` or `;` between columns, a line of headings first.
        file: PathBuf,
    },
}

#[derive(Args)]
pub(super) struct CreateArguments {
    /// Its address.
    address: String,
    /// personal, organizational, applicative or cabinet.
    #[arg(long)]
    kind: MailboxKind,
    /// Login of the holder, or of the first administrator of an organizational mailbox. A personal mailbox without one gets a user of its own.
    #[arg(long)]
    owner: Option<String>,
    /// Octets, or with a suffix: 500M, 2G.
    #[arg(long)]
    quota: Option<String>,
    /// Read the owner's application password from standard input (one line).
    #[arg(long)]
    password_stdin: bool,
}

pub(super) async fn run(global: &Global, command: MailboxCommand) -> Result<ExitCode> {
    let (config, store) = global.open().await?;
    let quota_default = config.limits.quota_default_bytes;
    match command {
        MailboxCommand::Create(arguments) => create(global, &store, arguments, quota_default).await?,
        MailboxCommand::List => list(global, &store).await?,
        MailboxCommand::Show { address } => show(global, &find(&store, &address).await?),
        MailboxCommand::SetQuota { address, quota } => {
            let row = find(&store, &address).await?;
            store.set_quota(row.id, octets(&quota)?).await?;
        }
        MailboxCommand::Delete { address } => {
            let row = find(&store, &address).await?;
            let grace = i64::from(config.mailboxes.restore_days) * 86_400_000;
            let until = store.now().plus_millis(grace);
            if row.status != MailboxStatus::Deleted
                && let Err(refusal) = store.take_step(row.id, None, LifeStep::Delete(until)).await?
            {
                bail!("{address}: {refusal}");
            }
        }
        MailboxCommand::Import { file } => import::run(global, &store, &file, quota_default).await?,
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

async fn create(
    global: &Global,
    store: &Store,
    arguments: CreateArguments,
    quota_default: u64,
) -> Result<()> {
    let password = if arguments.password_stdin { Some(password_from_stdin()?) } else { None };
    let new = NewMailbox {
        address: arguments.address.parse().context("ADDRESS")?,
        kind: arguments.kind,
        owner: arguments.owner,
        quota_bytes: arguments.quota.as_deref().map_or(Ok(quota_default), octets)?,
    };
    let (_, is_new) = make(store, new, password).await?;
    if global.json {
        print::json(&json!({"address": arguments.address, "created": is_new}));
    }
    Ok(())
}

/// Makes a mailbox and sets the password of the person who opens it.
pub(crate) async fn make(
    store: &Store,
    new: NewMailbox,
    password: Option<Secret<String>>,
) -> Result<(MailboxId, bool)> {
    let address = new.address.clone();
    let opener = new.owner.clone().unwrap_or_else(|| address.canonical());
    let kind = new.kind;
    let (id, is_new) = store.create_mailbox(new).await?.map_err(|refusal| anyhow!("{address}: {refusal}"))?;
    if let Some(password) = password {
        let user = store.user(&opener).await?;
        let user = user.with_context(|| {
            format!("{address}: a {kind} mailbox without --owner has nobody to give a password to")
        })?;
        let hash = auth::hash_password(&password).with_context(|| address.to_string())?;
        store.set_application_password(user.actor, "command line", &hash).await?;
    }
    Ok((id, is_new))
}

async fn list(global: &Global, store: &Store) -> Result<()> {
    let mut rows: Vec<MailboxRow> = Vec::new();
    loop {
        let after = rows.last().map(|row| row.address.clone()).unwrap_or_default();
        let page = store.mailboxes(&after, PAGE).await?;
        let is_last = page.len() < PAGE as usize;
        rows.extend(page);
        if is_last {
            break;
        }
    }
    if global.json {
        print::json(&Value::Array(rows.iter().map(as_json).collect()));
    } else {
        let cells: Vec<Vec<String>> = rows
            .iter()
            .map(|row| {
                let owner = row.owner.clone().unwrap_or_else(|| "-".to_owned());
                vec![
                    row.address.clone(),
                    row.kind.to_string(),
                    row.status.to_string(),
                    owner,
                    row.used_bytes.to_string(),
                    row.quota_bytes.to_string(),
                ]
            })
            .collect();
        print::table(&["ADDRESS", "KIND", "STATUS", "OWNER", "USED", "QUOTA"], &cells);
    }
    Ok(())
}

fn show(global: &Global, row: &MailboxRow) {
    if global.json {
        return print::json(&as_json(row));
    }
    let rows = [
        ("address", row.address.clone()),
        ("kind", row.kind.to_string()),
        ("status", row.status.to_string()),
        ("owner", row.owner.clone().unwrap_or_else(|| "-".to_owned())),
        ("messages", row.used_messages.to_string()),
        ("used_bytes", row.used_bytes.to_string()),
        ("quota_bytes", row.quota_bytes.to_string()),
    ];
    rows.iter().for_each(|(key, value)| print::line(&format!("{key:<12} {value}")));
}

fn as_json(row: &MailboxRow) -> Value {
    json!({
        "id": row.id.0, "address": row.address, "kind": row.kind.as_str(), "status": row.status.as_str(), "owner": row.owner,
        "quota_bytes": row.quota_bytes, "used_bytes": row.used_bytes, "used_messages": row.used_messages,
    })
}

pub(super) async fn find(store: &Store, address: &str) -> Result<MailboxRow> {
    let parsed: Address = address.parse().context("ADDRESS")?;
    store
        .mailbox(&parsed)
        .await?
        .with_context(|| format!("there is no mailbox {address}; `mailbox list` shows them"))
}

/// One line of standard input.
pub(crate) fn password_from_stdin() -> Result<Secret<String>> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("the password could not be read from standard input")?;
    let password = Secret::new(line.trim_end_matches(['\r', '\n']).to_owned());
    if password.expose().is_empty() {
        bail!("--password-stdin: standard input holds no password");
    }
    Ok(password)
}
