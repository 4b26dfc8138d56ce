//! `vaguemestre mailbox`.

mod asked;
mod import;

use super::client::{Ask, Client, Refused};
use super::quantity::{Bound, bound};
use super::{Global, PASSWORD_LABEL, password_from_stdin, print};
use anyhow::{Context, Result, anyhow};
use asked::Asked;
use clap::{Args, Subcommand};
use mail_types::{Address, MailboxId, Secret};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use store::{MailboxRow, NewMailbox, Store};

const COLUMNS: &[(&str, &str)] = &[
    ("ADDRESS", "/email"),
    ("KIND", "/type"),
    ("STATUS", "/status"),
    ("WORKFLOW", "/workflow"),
    ("OWNER", "/owner/login"),
    ("USED", "/quota/usedBytes"),
    ("QUOTA", "/quota/bytes"),
];

#[derive(Subcommand)]
pub(super) enum MailboxCommand {
    /// Make a mailbox, or ask for one; fine twice with the same kind, owner and quota.
    Create(Box<CreateArguments>),
    /// List mailboxes.
    List(ListArguments),
    /// Show one mailbox: its holder, its structure, its steps.
    Show {
        /// Its address, or its number.
        address: String,
    },
    /// Change what is known of a mailbox.
    Change(Box<ChangeArguments>),
    /// Set the quota of a mailbox.
    SetQuota {
        /// Its address, or its number.
        address: String,
        /// Octets, or with a suffix (500M, 2G), or `none` for the default.
        #[arg(value_parser = bound)]
        quota: Bound,
    },
    /// Confirm what was said of the holder and the structure of a mailbox that was asked for.
    Validate(Named),
    /// Make a mailbox that was asked for and validated: it gets its key and its folders.
    Complete(Named),
    /// Mark a mailbox for the directory.
    Publish(Named),
    /// Turn a request down: nothing of it stays but the audit.
    Reject(Named),
    /// Open a mailbox that is pending or suspended.
    Activate(Named),
    /// Close a mailbox for now; nothing is lost.
    Suspend(Named),
    /// Delete a mailbox; fine twice. It can be restored for a time, then its content is erased. Its address is never given to another holder.
    Delete(Named),
    /// Restore a deleted mailbox, while it can be.
    Restore(Named),
    /// Leave a mailbox out of the directory (liste rouge).
    Hide(Named),
    /// Show a mailbox in the directory again.
    Unhide(Named),
    /// Make many mailboxes from a CSV file. Its columns are address, kind and, each as far as needed, owner, quota, password, rpps, adeli, first-name,
    /// last-name, profession, specialty, finess, siret, organization, department, application, description.
    Import {
        /// The file; `,` or `;` between columns, a line of headings first.
        file: PathBuf,
    },
}

#[derive(Args)]
pub(super) struct Named {
    /// Its address, or its number.
    address: String,
}

#[derive(Args)]
pub(super) struct CreateArguments {
    #[command(flatten)]
    asked: Asked,
    /// Read the owner's application password from standard input (one line); on the local store only.
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Args)]
pub(super) struct ListArguments {
    /// personal, organizational, applicative or cabinet.
    #[arg(long)]
    kind: Option<String>,
    /// pending, active, suspended or deleted.
    #[arg(long)]
    status: Option<String>,
    /// In this domain.
    #[arg(long)]
    domain: Option<String>,
    /// Of this holder: login, RPPS number or number.
    #[arg(long)]
    owner: Option<String>,
    /// Whose address or names have this.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// email, createdAt, -createdAt, usedBytes or -usedBytes.
    #[arg(long, value_name = "MEMBER", allow_hyphen_values = true)]
    sort: Option<String>,
    /// How many, at most.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

#[derive(Args)]
pub(super) struct ChangeArguments {
    /// Its address, or its number.
    address: String,
    /// FINESS number of the structure.
    #[arg(long)]
    finess: Option<String>,
    /// SIRET number of the structure.
    #[arg(long)]
    siret: Option<String>,
    /// Name of the structure.
    #[arg(long)]
    organization: Option<String>,
    /// Department of the structure.
    #[arg(long)]
    department: Option<String>,
    /// What it is for.
    #[arg(long)]
    description: Option<String>,
    /// Octets, or with a suffix (500M, 2G), or `none` for the default.
    #[arg(long, value_parser = bound)]
    quota: Option<Bound>,
    /// Whether what delegates send for it is filed among its own sent letters.
    #[arg(long, value_name = "true|false")]
    files_sent: Option<bool>,
    /// Whether each of its readers has a mark of their own for what they have seen; when this ends, what anybody has seen is seen by all.
    #[arg(long, value_name = "true|false")]
    private_seen: Option<bool>,
}

pub(super) async fn run(global: &Global, command: MailboxCommand) -> Result<ExitCode> {
    let client = Client::open(global).await?;
    let done = obey(global, &client, command).await;
    client.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn obey(global: &Global, client: &Client, command: MailboxCommand) -> Result<()> {
    match command {
        MailboxCommand::Create(arguments) => create(global, client, *arguments).await,
        MailboxCommand::List(arguments) => list(global, client, arguments).await,
        MailboxCommand::Show { address } => {
            print::one(global, &client.get(&["mailboxes", &address]).await?);
            Ok(())
        }
        MailboxCommand::Change(arguments) => change(global, client, *arguments).await,
        MailboxCommand::SetQuota { address, quota } => set_quota(global, client, &address, quota).await,
        MailboxCommand::Validate(named) => step(global, client, &named, "validate").await,
        MailboxCommand::Complete(named) => step(global, client, &named, "create").await,
        MailboxCommand::Publish(named) => step(global, client, &named, "publish").await,
        MailboxCommand::Reject(named) => step(global, client, &named, "reject").await,
        MailboxCommand::Activate(named) => step(global, client, &named, "activate").await,
        MailboxCommand::Suspend(named) => step(global, client, &named, "suspend").await,
        MailboxCommand::Restore(named) => step(global, client, &named, "restore").await,
        MailboxCommand::Hide(named) => step(global, client, &named, "hide").await,
        MailboxCommand::Unhide(named) => step(global, client, &named, "unhide").await,
        MailboxCommand::Delete(named) => delete(global, client, &named).await,
        MailboxCommand::Import { file } => import::run(global, client, &file).await,
    }
}

async fn create(global: &Global, client: &Client, arguments: CreateArguments) -> Result<()> {
    if arguments.password_stdin && client.store().is_none() {
        return Err(super::Usage::new(
            "--password-stdin works on the local store only: a server makes passwords itself, by `password create`",
        )
        .into());
    }
    let password = if arguments.password_stdin { Some(password_from_stdin()?) } else { None };
    let (mut mailbox, is_new) = arguments.asked.make(client, password).await?;
    mailbox["created"] = is_new.into();
    print::done(global, &mailbox);
    Ok(())
}

/// Makes a mailbox of which only the holder is known, and sets the password of the person who opens it.
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
        store.set_application_password(user.actor, PASSWORD_LABEL, &hash).await?;
    }
    Ok((id, is_new))
}

async fn list(global: &Global, client: &Client, arguments: ListArguments) -> Result<()> {
    let ask = Ask::get(&["mailboxes"])?
        .query("type", arguments.kind)
        .query("status", arguments.status)
        .query("domain", arguments.domain)
        .query("owner", arguments.owner)
        .query("q", arguments.search)
        .query("sort", arguments.sort);
    print::many(global, COLUMNS, client.list(&ask, arguments.limit).await?);
    Ok(())
}

async fn change(global: &Global, client: &Client, arguments: ChangeArguments) -> Result<()> {
    let structure: Map<String, Value> = [
        ("finess", arguments.finess),
        ("siret", arguments.siret),
        ("name", arguments.organization),
        ("department", arguments.department),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?.into())))
    .collect();
    let mut change = json!({});
    if !structure.is_empty() {
        change["organization"] = Value::Object(structure);
    }
    if let Some(description) = arguments.description {
        change["description"] = description.into();
    }
    if let Some(Bound(quota)) = arguments.quota {
        change["quotaBytes"] = quota.into();
    }
    if let Some(files_sent) = arguments.files_sent {
        change["filesSent"] = files_sent.into();
    }
    if let Some(private_seen) = arguments.private_seen {
        change["privateSeen"] = private_seen.into();
    }
    print::one(global, &client.patch(&["mailboxes", &arguments.address], &change).await?);
    Ok(())
}

/// The store takes any quota; a server none that is too small for a letter.
async fn set_quota(global: &Global, client: &Client, address: &str, Bound(quota): Bound) -> Result<()> {
    if let (Some((_, store)), Some(octets)) = (client.store(), quota) {
        store.set_quota(find(store, address).await?.id, octets).await?;
    } else {
        client.patch(&["mailboxes", address], &json!({"quotaBytes": quota})).await?;
    }
    print::done(global, &client.get(&["mailboxes", address]).await?);
    Ok(())
}

async fn step(global: &Global, client: &Client, named: &Named, step: &str) -> Result<()> {
    let answer = client.ask(&Ask::post(&["mailboxes", &named.address, step])?).await?;
    match answer.value {
        Value::Null => print::done(global, &json!({"email": named.address, "done": step})),
        mailbox => print::done(global, &mailbox),
    }
    Ok(())
}

async fn delete(global: &Global, client: &Client, named: &Named) -> Result<()> {
    let segments = ["mailboxes", named.address.as_str()];
    let mailbox = match client.as_it_is(&Ask::delete(&segments)?).await {
        Err(error) if Refused::of(&error).is_some_and(Refused::is_conflict) => {
            let there = client.get(&segments).await?;
            if there["status"] == "deleted" { there } else { return Err(error) }
        }
        deleted => deleted?,
    };
    print::done(global, &mailbox);
    Ok(())
}

pub(super) async fn find(store: &Store, address: &str) -> Result<MailboxRow> {
    let parsed: Address = address.parse().context("ADDRESS")?;
    store
        .mailbox(&parsed)
        .await?
        .with_context(|| format!("there is no mailbox {address}; `mailbox list` shows them"))
}
