//! `vaguemestre certificate` on a server: the same commands, answered by its API.

use super::super::client::{Ask, Client};
use super::super::{Global, Usage, pem, print};
use super::CertificateCommand;
use anyhow::{Context, Result};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

const COLUMNS: &[(&str, &str)] = &[
    ("ID", "/id"),
    ("HOLDER", "/holder"),
    ("USE", "/usage"),
    ("EXPIRES", "/validUntil"),
    ("DAYS", "/daysLeft"),
    ("STATUS", "/status"),
    ("SUBJECT", "/subject"),
];

pub(super) async fn run(global: &Global, command: CertificateCommand) -> Result<ExitCode> {
    let client = Client::open(global).await?;
    let is_well = obey(global, &client, command).await;
    client.close().await;
    Ok(if is_well? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether all is well: a pair that is checked would be taken.
async fn obey(global: &Global, client: &Client, command: CertificateCommand) -> Result<bool> {
    match command {
        CertificateCommand::List { all } => {
            let ask = Ask::get(&["certificates"])?.query("all", all.then_some(true));
            print::many(global, COLUMNS, client.list(&ask, None).await?);
        }
        CertificateCommand::Show { id } => {
            print::one(global, &client.get(&["certificates", &id.to_string()]).await?);
        }
        CertificateCommand::Add { file, application, note } => {
            let mut new = json!({"certificate": pem::certificates(&file)?});
            if let Some(id) = application {
                new["applicationId"] = id.to_string().into();
            }
            if let Some(note) = note {
                new["note"] = note.into();
            }
            print::one(global, &client.post(&["certificates"], &new).await?.value);
        }
        CertificateCommand::Replace { file, key, client: is_client } => {
            let new = json!({
                "certificate": pem::certificates(&file)?, "privateKey": read(&key)?, "replaces": side(is_client),
            });
            print::one(global, &client.post(&["certificates"], &new).await?.value);
        }
        CertificateCommand::Withdraw { id, force } => {
            let ask = Ask::post(&["certificates", &id.to_string(), "withdraw"])?;
            let answer = client.ask(&ask.query("force", force.then_some(true))).await?;
            print::done(global, &answer.value);
        }
        CertificateCommand::Note { id, text } => {
            let noted = client.patch(&["certificates", &id.to_string()], &json!({"note": text})).await?;
            print::done(global, &noted);
        }
        CertificateCommand::Check { file, key, client: is_client } => {
            let mut question = json!({});
            if let (Some(file), Some(key)) = (file, key) {
                question["certificate"] = pem::certificates(&file)?.into();
                question["privateKey"] = read(&key)?.into();
                question["replaces"] = side(is_client).into();
            }
            let answer = client.post(&["certificates", "check"], &question).await?.value;
            print::one(global, &answer);
            let mut findings = answer["findings"].as_array().into_iter().flatten();
            return Ok(findings.all(|finding| finding["wouldBeTaken"] == true));
        }
        CertificateCommand::Request(_) => {
            let told = "`certificate request` makes its key on this machine: leave --url out";
            return Err(Usage::new(told).into());
        }
    }
    Ok(true)
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}

const fn side(is_client: bool) -> &'static str {
    if is_client { "client" } else { "server" }
}
