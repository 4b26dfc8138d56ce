//! `vaguemestre application`.

mod certificate;
mod on_server;

use super::client::{Ask, Client};
use super::instant::{Until, until};
use super::{Global, key, mailbox, print};
use anyhow::{Context, Result, anyhow};
use certificate::CertificateCommand;
use clap::Subcommand;
use mail_types::Role;
use serde_json::{Value, json};
use std::process::ExitCode;
use store::{ApplicationGrant, ApplicationRow, CertificateRule, Store};

pub(crate) use certificate::{by_serial, enter};

/// Rows read at a time by `list`.
const PAGE: u32 = 1000;

#[derive(Subcommand)]
pub(super) enum ApplicationCommand {
    /// Make an application; fine twice.
    Create {
        /// Its name: letters, digits, dots, hyphens, underscores.
        name: String,
    },
    /// List all applications.
    List,
    /// Show one application: its certificates and its mailboxes.
    Show {
        /// Its name.
        name: String,
    },
    /// Give an application another name. Its certificates, roles and mailboxes stay as they are.
    Rename {
        /// Its name.
        name: String,
        /// The new one: letters, digits, dots, hyphens, underscores.
        new: String,
    },
    /// The certificates with which an application logs in.
    #[command(subcommand)]
    Certificate(CertificateCommand),
    /// Let an application open a mailbox, in place of the role that it had there.
    Grant {
        /// Its name.
        name: String,
        /// Address of the mailbox.
        address: String,
        /// read, write, manage or admin.
        #[arg(long, default_value = "manage")]
        role: Role,
        /// The end of it: 2027-01-31 (that day included, UTC), 2027-01-31T18:00:00Z, or `none`.
        #[arg(long, value_name = "DATE", value_parser = until)]
        until: Option<Until>,
    },
    /// Take a mailbox away from an application. Open sessions end within five seconds.
    Revoke {
        /// Its name.
        name: String,
        /// Address of the mailbox.
        address: String,
    },
    /// Show what an application administers through the REST API.
    Roles {
        /// Its name.
        name: String,
    },
    /// Set what an application administers through the REST API, in place of what it had; nothing without --role.
    SetRoles {
        /// Its name.
        name: String,
        /// operator, auditor, support, or domain:NAME; as often as there are roles.
        #[arg(long, value_parser = key::role)]
        role: Vec<Value>,
        /// Even when nobody is left who administers the operator.
        #[arg(long)]
        force: bool,
    },
    /// Take an application out of service. Open sessions end within five seconds; the mailboxes stay.
    Delete {
        /// Its name.
        name: String,
        /// Even when nobody is left who administers the operator.
        #[arg(long)]
        force: bool,
    },
}

pub(super) async fn run(global: &Global, command: ApplicationCommand) -> Result<ExitCode> {
    match command {
        ApplicationCommand::Roles { name } => roles(global, &name, None).await?,
        ApplicationCommand::SetRoles { name, role, force } => {
            roles(global, &name, Some((role, force))).await?;
        }
        command if global.remote()?.is_some() => return on_server::run(global, command).await,
        command => on_store(global, command).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows the roles, or sets them.
async fn roles(global: &Global, name: &str, new: Option<(Vec<Value>, bool)>) -> Result<()> {
    let segments = ["applications", name, "roles"];
    let client = Client::open(global).await?;
    let shown = match new {
        None => client.get(&segments).await,
        Some((roles, force)) => {
            let ask = Ask::put(&segments)?.query("force", force.then_some(true));
            client.as_it_is(&ask.json(&json!({"roles": roles}))).await
        }
    };
    client.close().await;
    print::one(global, &shown?);
    Ok(())
}

async fn on_store(global: &Global, command: ApplicationCommand) -> Result<()> {
    let (_, store) = global.open().await?;
    match command {
        ApplicationCommand::Roles { .. } | ApplicationCommand::SetRoles { .. } => {}
        ApplicationCommand::Create { name } => {
            let created = store.create_application(&name).await?;
            let (actor, is_new) = created.map_err(|refusal| anyhow!("{name}: {refusal}"))?;
            if global.json {
                print::json(&json!({"id": actor.0, "name": name.to_ascii_lowercase(), "created": is_new}));
            }
        }
        ApplicationCommand::List => list(global, &store).await?,
        ApplicationCommand::Show { name } => show(global, &store, &find(&store, &name).await?).await?,
        ApplicationCommand::Rename { name, new } => {
            let application = find(&store, &name).await?;
            let renamed = store.rename_application(application.actor, None, &new).await?;
            renamed.map_err(|refusal| anyhow!("{new}: {refusal}"))?;
        }
        ApplicationCommand::Certificate(command) => certificate::run(global, &store, command).await?,
        ApplicationCommand::Grant { name, address, role, until } => {
            let (application, row) = (find(&store, &name).await?, mailbox::find(&store, &address).await?);
            let until = until.as_ref().and_then(Until::at);
            store.grant_until(row.id, application.actor, role, until).await?;
        }
        ApplicationCommand::Revoke { name, address } => {
            let (application, row) = (find(&store, &name).await?, mailbox::find(&store, &address).await?);
            let is_ended = store.revoke_grant(row.id, application.actor).await?;
            anyhow::ensure!(
                is_ended,
                "{name} has no grant of {address}; `application show {name}` lists what it has"
            );
        }
        ApplicationCommand::Delete { name, force } => {
            let application = find(&store, &name).await?;
            store.delete_application(application.actor, force).await?.with_context(|| {
                format!("{name}: make a key with the role operator first, or use --force")
            })?;
        }
    }
    store.close().await;
    Ok(())
}

async fn find(store: &Store, name: &str) -> Result<ApplicationRow> {
    let row = store.application(name).await?;
    row.with_context(|| format!("there is no application {name}; `application list` shows them"))
}

async fn list(global: &Global, store: &Store) -> Result<()> {
    let mut rows: Vec<ApplicationRow> = Vec::new();
    loop {
        let after = rows.last().map(|row| row.name.clone()).unwrap_or_default();
        let page = store.applications(&after, PAGE).await?;
        let is_last = page.len() < PAGE as usize;
        rows.extend(page);
        if is_last {
            break;
        }
    }
    let mut shown = Vec::new();
    for row in &rows {
        let rules = store.certificate_rules(row.actor, store.now()).await?.len();
        let grants = store.application_grants(row.actor).await?;
        shown.push((row, rules, grants));
    }
    if global.json {
        let values = shown.iter().map(|(row, rules, grants)| {
            let mailboxes: Vec<&str> = grants.iter().map(|grant| grant.address.as_str()).collect();
            json!({"id": row.actor.0, "name": row.name, "certificates": rules, "mailboxes": mailboxes})
        });
        print::json(&Value::Array(values.collect()));
    } else {
        let cells: Vec<Vec<String>> = shown
            .iter()
            .map(|(row, rules, grants)| vec![row.name.clone(), rules.to_string(), grants.len().to_string()])
            .collect();
        print::table(&["NAME", "CERTIFICATES", "MAILBOXES"], &cells);
    }
    Ok(())
}

async fn show(global: &Global, store: &Store, row: &ApplicationRow) -> Result<()> {
    let rules = store.certificate_rules(row.actor, store.now()).await?;
    let grants = store.application_grants(row.actor).await?;
    if global.json {
        print::json(&json!({
            "id": row.actor.0, "name": row.name,
            "certificates": rules.iter().map(rule_as_json).collect::<Vec<_>>(),
            "mailboxes": grants.iter().map(grant_as_json).collect::<Vec<_>>(),
        }));
        return Ok(());
    }
    print::line(&format!("name         {}", row.name));
    for rule in &rules {
        print::line(&format!("certificate  rule {}: {}", rule.id, rule.criteria));
    }
    for grant in &grants {
        print::line(&format!("mailbox      {} ({})", grant.address, role_of(grant)));
    }
    if rules.is_empty() {
        print::line(&format!(
            "It has no certificate and cannot log in; add one with `application certificate add {} --pem FILE`.",
            row.name
        ));
    }
    Ok(())
}

fn rule_as_json(rule: &CertificateRule) -> Value {
    let criteria = &rule.criteria;
    json!({
        "rule": rule.id,
        "issuer": criteria.issuer().map(ToString::to_string),
        "subject": criteria.subject().map(ToString::to_string),
        "san": criteria.alternative_name().map(ToString::to_string),
        "serial": criteria.serial().map(print::hex),
        "key_pin": criteria.key_pin().map(|pin| print::hex(pin)),
        "expires_at_ms": rule.expires_at.map(|at| at.0),
    })
}

fn grant_as_json(grant: &ApplicationGrant) -> Value {
    json!({"address": grant.address, "role": role_of(grant), "expires_at_ms": grant.expires_at.map(|at| at.0)})
}

fn role_of(grant: &ApplicationGrant) -> &'static str {
    grant.role.map_or("-", Role::as_str)
}
