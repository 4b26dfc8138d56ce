//! `vaguemestre trust` on a server: the same commands, answered by its API.

use super::super::client::{Ask, Client};
use super::super::instant::rfc3339;
use super::super::{Global, Usage, pem, print};
use super::TrustCommand;
use super::check::{CheckArguments, Side};
use super::decide::{PartnerCommand, QuarantineCommand};
use super::sync::{SyncArguments, What};
use anyhow::Result;
use serde_json::{Value, json};
use std::process::ExitCode;

const RULINGS: &[(&str, &str)] = &[
    ("ID", "/id"),
    ("DECISION", "/kind"),
    ("ABOUT", "/about"),
    ("MADE", "/createdAt"),
    ("UNTIL", "/until"),
    ("REASON", "/reason"),
];

pub(super) async fn run(global: &Global, command: TrustCommand) -> Result<ExitCode> {
    let client = Client::open(global).await?;
    let is_well = obey(global, &client, command).await;
    client.close().await;
    Ok(if is_well? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether all is well: no alarm, a certificate that would be accepted, lists that were taken.
async fn obey(global: &Global, client: &Client, command: TrustCommand) -> Result<bool> {
    match command {
        TrustCommand::Status => {
            let state = client.get(&["trust"]).await?;
            print::one(global, &state);
            return Ok(state["alarms"].as_array().is_none_or(Vec::is_empty));
        }
        TrustCommand::Sync(arguments) => return sync(global, client, &arguments).await,
        TrustCommand::Check(arguments) => return check(global, client, &arguments).await,
        TrustCommand::Diff(arguments) => {
            if arguments.has_files() {
                return Err(Usage::new("files are compared on this machine: leave --url out").into());
            }
            print::one(global, &client.get(&["whitelist", "diff"]).await?);
        }
        TrustCommand::Quarantine(command) => rule(global, client, quarantine(command)?).await?,
        TrustCommand::Partner(PartnerCommand::Add { domain, subject, pem, until, reason }) => {
            let mut ruling = json!({"kind": "partner", "domain": domain.to_string(), "until": rfc3339(until), "reason": reason});
            match (subject, pem) {
                (Some(subject), _) => ruling["subject"] = subject.to_string().into(),
                (None, Some(file)) => ruling["certificate"] = pem::certificates(&file)?.into(),
                (None, None) => {}
            }
            rule(global, client, ruling).await?;
        }
        TrustCommand::Release(arguments) => {
            let id = arguments.id.to_string();
            client.as_it_is(&Ask::delete(&["trust", "rulings", &id])?).await?;
            print::done(global, &json!({"id": id, "released": true}));
        }
        TrustCommand::Overlay { all } => {
            let ask = Ask::get(&["trust", "rulings"])?.query("all", all.then_some(true));
            print::many(global, RULINGS, client.list(&ask, None).await?);
        }
        TrustCommand::GiveUp(arguments) => {
            let domain = arguments.domain.to_string();
            let given_up = json!({"reason": arguments.reason});
            let answer = client.post(&["trust", "departures", &domain, "give-up"], &given_up).await?;
            print::done(global, &answer.value);
        }
        TrustCommand::Entries { search } => {
            let ask = Ask::get(&["whitelist", "entries"])?.query("q", search);
            let columns = [
                ("DOMAIN", "/domain"),
                ("STANDING", "/standing"),
                ("SUBJECTS", "/subjects"),
                ("UNITS", "/units"),
            ];
            print::many(global, &columns, client.list(&ask, None).await?);
        }
    }
    Ok(true)
}

fn quarantine(command: QuarantineCommand) -> Result<Value> {
    let (mut ruling, terms) = match command {
        QuarantineCommand::Domain { domain, terms } => {
            (json!({"kind": "quarantineDomain", "domain": domain.to_string()}), terms)
        }
        QuarantineCommand::Certificate { subject, pin, pem, terms } => {
            let mut ruling = json!({"kind": "quarantineCertificate"});
            match (subject, pin, pem) {
                (Some(subject), ..) => ruling["subject"] = subject.to_string().into(),
                (_, Some(pin), _) => ruling["keyPin"] = print::hex(&pin).into(),
                (.., Some(file)) => ruling["certificate"] = pem::certificates(&file)?.into(),
                _ => {}
            }
            (ruling, terms)
        }
    };
    ruling["reason"] = terms.reason.into();
    if let Some(until) = terms.until {
        ruling["until"] = rfc3339(until).into();
    }
    Ok(ruling)
}

async fn rule(global: &Global, client: &Client, ruling: Value) -> Result<()> {
    print::one(global, &client.post(&["trust", "rulings"], &ruling).await?.value);
    Ok(())
}

async fn check(global: &Global, client: &Client, arguments: &CheckArguments) -> Result<bool> {
    let side = if arguments.usage == Side::Client { "client" } else { "server" };
    let mut question = json!({"certificate": pem::certificates(&arguments.file)?, "side": side});
    if let Some(domain) = &arguments.domain {
        question["domain"] = domain.to_string().into();
    }
    let answer = client.post(&["trust", "check"], &question).await?.value;
    print::one(global, &answer);
    Ok(answer["verdict"] == "accepted")
}

async fn sync(global: &Global, client: &Client, arguments: &SyncArguments) -> Result<bool> {
    let mut outcome = json!({});
    if arguments.what != Some(What::Whitelist) {
        outcome["crls"] = client.finished(&Ask::post(&["crls", "sync"])?).await?;
    }
    if arguments.what != Some(What::Crl) {
        let ask = Ask::post(&["whitelist", "sync"])?.json(&json!({"confirm": arguments.confirm}));
        outcome["whitelist"] = client.finished(&ask).await?;
    }
    print::one(global, &outcome);
    let sources = outcome["crls"]["result"]["sources"].as_array();
    let has_failed = |source: &Value| source["outcome"] == "failed";
    let is_done = ["crls", "whitelist"].iter().all(|part| {
        outcome[part].is_null()
            || (outcome[part]["state"] == "succeeded" && !has_failed(&outcome[part]["result"]))
    });
    Ok(is_done && !sources.is_some_and(|sources| sources.iter().any(has_failed)))
}
