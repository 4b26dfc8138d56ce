//! Decisions beside the white list: quarantine, partners, domains that are given up.

use super::{Global, instant, print};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use mail_types::{CertificateFacts, DistinguishedName, Domain, Timestamp};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use store::{Ruling, RulingRow};

const NOTICED: &str = "a running `serve` obeys within two seconds";

#[derive(Subcommand)]
pub(in crate::cli) enum QuarantineCommand {
    /// A domain: no mail from or to it; it is deferred, not refused for good.
    Domain {
        /// Which.
        domain: Domain,
        #[command(flatten)]
        terms: Terms,
    },
    /// A certificate, by its subject, its key or itself.
    Certificate {
        /// Every certificate with this subject.
        #[arg(long, group = "mark", required_unless_present_any = ["pin", "pem"])]
        subject: Option<DistinguishedName>,
        /// Every certificate of this key: SHA-256 of its SubjectPublicKeyInfo, 64 hexadecimal digits.
        #[arg(long, group = "mark", value_parser = key_pin)]
        pin: Option<[u8; 32]>,
        /// This certificate and no other: a PEM or DER file.
        #[arg(long, group = "mark", value_name = "FILE")]
        pem: Option<PathBuf>,
        #[command(flatten)]
        terms: Terms,
    },
}

#[derive(Args)]
pub(in crate::cli) struct Terms {
    /// Its end: 2027-01-31 (the end of that day, UTC) or 2027-01-31T18:00:00Z. Without it, until it is released.
    #[arg(long, value_name = "DATE", value_parser = super::instant::parse)]
    pub(super) until: Option<Timestamp>,
    /// Why, for those who read the audit trail.
    #[arg(long)]
    pub(super) reason: String,
}

#[derive(Args)]
pub(in crate::cli) struct ReleaseArguments {
    /// Its id; `trust overlay` shows it.
    pub(super) id: i64,
    /// Why, for those who read the audit trail.
    #[arg(long, default_value = "")]
    reason: String,
}

#[derive(Subcommand)]
pub(in crate::cli) enum PartnerCommand {
    /// Add a pair, until a date.
    Add {
        /// The domain.
        domain: Domain,
        /// The subject of its certificate, as a white list prints it.
        #[arg(required_unless_present = "pem", conflicts_with = "pem")]
        subject: Option<DistinguishedName>,
        /// A PEM or DER file with the certificate instead.
        #[arg(long, value_name = "FILE")]
        pem: Option<PathBuf>,
        /// Its end: 2027-01-31 (the end of that day, UTC) or 2027-01-31T18:00:00Z.
        #[arg(long, value_name = "DATE", value_parser = super::instant::parse)]
        until: Timestamp,
        /// Why, for those who read the audit trail.
        #[arg(long)]
        reason: String,
    },
}

#[derive(Args)]
pub(in crate::cli) struct GiveUpArguments {
    /// The domain, which left the white list.
    pub(super) domain: Domain,
    /// Why, for those who read the audit trail.
    #[arg(long, default_value = "")]
    pub(super) reason: String,
}

pub(super) async fn quarantine(global: &Global, command: QuarantineCommand) -> Result<ExitCode> {
    let (ruling, terms) = match command {
        QuarantineCommand::Domain { domain, terms } => (Ruling::QuarantineDomain(domain), terms),
        QuarantineCommand::Certificate { subject, pin, pem, terms } => {
            let ruling = match (subject, pin, pem) {
                (Some(subject), ..) => Ruling::QuarantineSubject(subject),
                (_, Some(pin), _) => Ruling::QuarantineKey(pin),
                (.., Some(pem)) => {
                    let facts = certificate(&pem)?;
                    Ruling::QuarantineSerial { issuer: facts.issuer, serial: facts.serial }
                }
                _ => bail!("one of --subject, --pin and --pem is needed"),
            };
            (ruling, terms)
        }
    };
    rule(global, ruling, terms.until, &terms.reason).await
}

pub(super) async fn partner(global: &Global, command: PartnerCommand) -> Result<ExitCode> {
    let PartnerCommand::Add { domain, subject, pem, until, reason } = command;
    let subject = match (subject, pem) {
        (Some(subject), _) => subject,
        (None, Some(pem)) => certificate(&pem)?.subject,
        (None, None) => bail!("the subject of the certificate or --pem is needed"),
    };
    rule(global, Ruling::Partner { domain, subject }, Some(until), &reason).await
}

async fn rule(global: &Global, ruling: Ruling, until: Option<Timestamp>, reason: &str) -> Result<ExitCode> {
    let (_, store) = global.open().await?;
    if until.is_some_and(|until| until <= store.now()) {
        bail!("--until is in the past: nothing would change");
    }
    let what = ruling.to_string();
    let id = store.rule(ruling, until, reason).await?;
    store.close().await;
    if global.json {
        print::json(&json!({"id": id, "what": what, "until_ms": until.map(|at| at.0)}));
    } else {
        print::line(&format!("{id}: {what}; {NOTICED}"));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn release(global: &Global, arguments: &ReleaseArguments) -> Result<ExitCode> {
    let (_, store) = global.open().await?;
    let released = store.release_ruling(arguments.id, &arguments.reason).await?;
    store.close().await;
    if !released {
        bail!("decision {} is not in force; `trust overlay --all` shows what became of it", arguments.id);
    }
    if global.json {
        print::json(&json!({"released": arguments.id}));
    } else {
        print::line(&format!("{} is released; {NOTICED}", arguments.id));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn give_up(global: &Global, arguments: &GiveUpArguments) -> Result<ExitCode> {
    let (_, store) = global.open().await?;
    let is_gone = store.give_up_domain(&arguments.domain, &arguments.reason).await?;
    store.close().await;
    let domain = &arguments.domain;
    if !is_gone {
        bail!(
            "{domain} did not leave the white list and no mail waits for it; `trust status` shows the domains that did, `queue list` what waits"
        );
    }
    if global.json {
        print::json(&json!({"given_up": domain.to_string()}));
    } else {
        print::line(&format!("{domain} is given up: mail held for it goes back to its senders; {NOTICED}"));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn list(global: &Global, all: bool) -> Result<ExitCode> {
    let (_, store) = global.open().await?;
    let rows = store.rulings(store.now(), all).await?;
    store.close().await;
    if global.json {
        print::json(&Value::Array(rows.iter().map(as_json).collect()));
        return Ok(ExitCode::SUCCESS);
    }
    let end = |row: &RulingRow| match (row.ended_at, row.until) {
        (Some(at), _) => format!("ended {}", instant(at.0)),
        (None, Some(until)) => instant(until.0),
        (None, None) => "released".to_owned(),
    };
    let cells: Vec<_> = rows
        .iter()
        .map(|row| {
            let made = instant(row.created_at.0);
            vec![
                row.id.to_string(),
                kind(&row.ruling).to_owned(),
                row.ruling.to_string(),
                made,
                end(row),
                row.reason.clone(),
            ]
        })
        .collect();
    print::table(&["ID", "DECISION", "ABOUT", "MADE", "UNTIL", "REASON"], &cells);
    Ok(ExitCode::SUCCESS)
}

fn kind(ruling: &Ruling) -> &'static str {
    if matches!(ruling, Ruling::Partner { .. }) { "partner" } else { "quarantine" }
}

fn as_json(row: &RulingRow) -> Value {
    json!({
        "id": row.id, "kind": kind(&row.ruling), "what": row.ruling.to_string(), "reason": row.reason,
        "created_at_ms": row.created_at.0, "until_ms": row.until.map(|at| at.0), "ended_at_ms": row.ended_at.map(|at| at.0),
    })
}

fn certificate(path: &Path) -> Result<CertificateFacts> {
    let file = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    pki::certificate_facts(&file).with_context(|| path.display().to_string())
}

fn key_pin(text: &str) -> Result<[u8; 32], String> {
    let digits: Vec<char> = text.chars().filter(|c| *c != ':').collect();
    let octets = digits.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).ok());
    let pin: Option<Vec<u8>> = octets.collect();
    pin.and_then(|pin| pin.try_into().ok()).ok_or_else(|| "must be 64 hexadecimal digits".to_owned())
}
