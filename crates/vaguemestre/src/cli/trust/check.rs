//! `vaguemestre trust check`: would this certificate be accepted, and why not.

use super::{Global, instant, look, optional_instant, print};
use crate::api::in_force;
use admin_api::finding::Finding;
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use mail_types::{Domain, RevocationState};
use pki::{Rejection, Usage};
use policy::Standing;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub(in crate::cli) struct CheckArguments {
    /// The certificate, and after it its intermediates: PEM, DER or P7B.
    pub(super) file: PathBuf,
    /// The domain that it is to speak for. Without it, any.
    #[arg(long)]
    pub(super) domain: Option<Domain>,
    /// Its side of TLS.
    #[arg(long, value_enum, default_value_t = Side::Client)]
    pub(super) usage: Side,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Side {
    /// It connects to us.
    Client,
    /// We connect to it.
    Server,
}

pub(super) async fn run(global: &Global, arguments: &CheckArguments) -> Result<ExitCode> {
    let file = std::fs::read(&arguments.file)
        .with_context(|| format!("{} cannot be read", arguments.file.display()))?;
    let (_, store, space) = look(global).await?;
    let now = store.now();
    store.close().await;
    let usage = if arguments.usage == Side::Client { Usage::Client } else { Usage::Server };
    let finding = Finding::of(&file, usage, arguments.domain.clone(), &in_force(&space), now)
        .with_context(|| arguments.file.display().to_string())?;
    let (verdict, why) = finding.verdict();
    if global.json {
        print::json(&as_json(&finding, verdict, &why));
    } else {
        show(&finding, verdict, &why, arguments.domain.as_ref());
    }
    Ok(if verdict == "accepted" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(finding: &Finding, verdict: &str, why: &str, domain: Option<&Domain>) {
    let facts = &finding.facts;
    let serial: String = facts.serial.iter().map(|octet| format!("{octet:02x}")).collect();
    let revocation = match (&finding.judged, &finding.revocation_list) {
        (Err(Rejection::Revoked), _) => "revoked".to_owned(),
        (Err(_), _) => "not asked".to_owned(),
        (Ok(peer), list) => {
            let state = match peer.revocation {
                RevocationState::Good => "not revoked",
                RevocationState::Unknown(cause) => cause,
            };
            let list = list.as_ref().map_or_else(String::new, |list| {
                let number = list
                    .number
                    .as_ref()
                    .map_or_else(|| "without number".to_owned(), |number| format!("number {number}"));
                format!(
                    ", by list {number}, next update {}",
                    optional_instant(list.next_update.map(|at| at.0))
                )
            });
            format!("{state}{list}")
        }
    };
    let listed: Vec<String> = finding.listed_for.iter().map(ToString::to_string).collect();
    let rows = [
        ("verdict", format!("{verdict}: {why}")),
        ("subject", facts.subject.to_string()),
        ("issuer", facts.issuer.to_string()),
        ("serial", serial),
        ("valid", format!("{} to {}", instant(facts.not_before.0), instant(facts.not_after.0))),
        ("usage", facts.usage.to_string()),
        ("revocation", revocation),
        ("listed for", if listed.is_empty() { "no domain".to_owned() } else { listed.join(" ") }),
    ];
    rows.iter().for_each(|(key, value)| print::line(&format!("{key:<12} {value}")));
    match &finding.nearest {
        Some(nearest) => {
            print::line(&format!("nearest      {} for {}", nearest.name, nearest.domain));
            let differences =
                [("list", &nearest.only_in_the_list), ("certificate", &nearest.only_in_the_certificate)];
            for (side, texts) in differences {
                texts
                    .iter()
                    .for_each(|text| print::line(&format!("             only in the {side}: {text}")));
            }
        }
        None if finding.standing != Some(Standing::Listed) && domain.is_some() => {
            print::line("nearest      the white list does not name this domain");
        }
        None => {}
    }
}

fn as_json(finding: &Finding, verdict: &str, why: &str) -> Value {
    let facts = &finding.facts;
    let (state, cause) = finding.revocation();
    let list = finding.revocation_list.as_ref();
    json!({
        "verdict": verdict, "why": why,
        "subject": facts.subject.to_string(), "issuer": facts.issuer.to_string(),
        "serial": facts.serial.iter().map(|octet| format!("{octet:02x}")).collect::<String>(),
        "not_before_ms": facts.not_before.0, "not_after_ms": facts.not_after.0, "usage": facts.usage.to_string(),
        "chain": finding.chain(),
        "revocation": {
            "state": state, "cause": cause,
            "list_number": list.and_then(|list| list.number.as_ref()).map(ToString::to_string),
            "list_next_update_ms": list.and_then(|list| list.next_update).map(|at| at.0),
        },
        "listed_for": finding.listed_for.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "nearest": finding.nearest.as_ref().map(|nearest| json!({
            "domain": nearest.domain.to_string(), "subject": nearest.name.to_string(),
            "only_in_the_list": nearest.only_in_the_list, "only_in_the_certificate": nearest.only_in_the_certificate,
        })),
    })
}
