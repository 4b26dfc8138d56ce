//! `vaguemestre application` on a server: the same commands, answered by its API.

use super::super::client::{Ask, Client};
use super::super::{Global, pem, print};
use super::ApplicationCommand;
use super::certificate::{By, CertificateCommand};
use anyhow::{Context, Result};
use clap::ValueEnum;
use serde_json::{Value, json};
use std::process::ExitCode;

const COLUMNS: &[(&str, &str)] = &[("ID", "/id"), ("NAME", "/name"), ("MADE", "/createdAt")];

pub(super) async fn run(global: &Global, command: ApplicationCommand) -> Result<ExitCode> {
    let client = Client::open(global).await?;
    let done = obey(global, &client, command).await;
    client.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn obey(global: &Global, client: &Client, command: ApplicationCommand) -> Result<()> {
    match command {
        ApplicationCommand::Create { name } => {
            print::done(global, &client.post(&["applications"], &json!({"name": name})).await?.value);
        }
        ApplicationCommand::List => {
            print::many(global, COLUMNS, client.list(&Ask::get(&["applications"])?, None).await?);
        }
        ApplicationCommand::Show { name } => {
            let mut application = find(client, &name).await?;
            let id = id(&application).to_owned();
            for part in ["rules", "mailboxes"] {
                application[part] = client.get(&["applications", &id, part]).await?["items"].take();
            }
            print::one(global, &application);
        }
        ApplicationCommand::Rename { name, new } => {
            let application = find(client, &name).await?;
            let change = json!({"name": new});
            print::done(global, &client.patch(&["applications", id(&application)], &change).await?);
        }
        ApplicationCommand::Certificate(command) => certificate(global, client, command).await?,
        ApplicationCommand::Grant { name, address, role, until } => {
            let (application, mailbox) = (find(client, &name).await?, mailbox(client, &address).await?);
            let ask = Ask::put(&["applications", id(&application), "mailboxes", &mailbox])?;
            let terms = json!({"role": role.as_str(), "until": until.map_or(Value::Null, |until| until.0)});
            print::done(global, &client.ask(&ask.json(&terms)).await?.value);
        }
        ApplicationCommand::Revoke { name, address } => {
            let (application, mailbox) = (find(client, &name).await?, mailbox(client, &address).await?);
            client.ask(&Ask::delete(&["applications", id(&application), "mailboxes", &mailbox])?).await?;
            print::done(global, &json!({"name": name, "address": address, "revoked": true}));
        }
        ApplicationCommand::Delete { name, force } => {
            let application = find(client, &name).await?;
            let ask = Ask::delete(&["applications", id(&application)])?;
            client.ask(&ask.query("force", force.then_some(true))).await?;
            print::done(global, &json!({"name": name, "deleted": true}));
        }
        ApplicationCommand::Roles { .. } | ApplicationCommand::SetRoles { .. } => {}
    }
    Ok(())
}

async fn certificate(global: &Global, client: &Client, command: CertificateCommand) -> Result<()> {
    match command {
        CertificateCommand::Add(arguments) => {
            let application = find(client, &arguments.name).await?;
            let by = arguments.by.to_possible_value();
            let by = by.as_ref().map_or("serial", |value| value.get_name());
            let mut rule = json!({"certificate": pem::certificates(&arguments.pem)?, "by": by});
            if let (By::San, Some(san)) = (arguments.by, &arguments.san) {
                rule["san"] = san.to_string().into();
            }
            if let Some(until) = &arguments.until {
                rule["until"] = until.0.clone();
            }
            let answer = client.post(&["applications", id(&application), "rules"], &rule).await?;
            print::one(global, &answer.value);
        }
        CertificateCommand::Remove { name, rule, force } => {
            let application = find(client, &name).await?;
            let rule = rule.to_string();
            let ask = Ask::delete(&["applications", id(&application), "rules", &rule])?;
            client.ask(&ask.query("force", force.then_some(true))).await?;
            print::done(global, &json!({"name": name, "rule": rule, "removed": true}));
        }
    }
    Ok(())
}

/// The application of that name.
async fn find(client: &Client, name: &str) -> Result<Value> {
    let found = client.list(&Ask::get(&["applications"])?.query("name", Some(name)), None).await?;
    let is_it = |row: &Value| row["name"].as_str().is_some_and(|known| known.eq_ignore_ascii_case(name));
    let found = found.into_iter().find(is_it);
    found.with_context(|| format!("there is no application {name}; `application list` shows them"))
}

fn id(application: &Value) -> &str {
    application["id"].as_str().unwrap_or_default()
}

/// The number of the mailbox with that address.
async fn mailbox(client: &Client, address: &str) -> Result<String> {
    let mailbox = client.get(&["mailboxes", address]).await?;
    mailbox["id"].as_str().map(str::to_owned).context("the answer is not a mailbox")
}
