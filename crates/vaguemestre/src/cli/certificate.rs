//! `vaguemestre certificate`.

mod on_server;
mod request;

use super::{Global, print};
use crate::identity::{self, Finding, Identities};
use anyhow::{Context, Result};
use clap::Subcommand;
use mail_types::{ActorId, RevocationState};
use pki::Usage;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use store::{CertificateHolder, CertificateRow, Clock, Store};

#[derive(Subcommand)]
pub(super) enum CertificateCommand {
    /// List the inventory, the first to expire first.
    List {
        /// Withdrawn ones too.
        #[arg(long)]
        all: bool,
    },
    /// Show one.
    Show {
        /// Its id.
        id: i64,
    },
    /// Enter a certificate; fine twice. It is watched for its expiry from then on.
    Add {
        /// The certificate, PEM or DER; the first one of the file.
        file: PathBuf,
        /// The id of the application's actor that holds it; ours without it.
        #[arg(long, value_name = "ID")]
        application: Option<i64>,
        /// A note.
        #[arg(long)]
        note: Option<String>,
    },
    /// Put a new certificate in the place of ours, at once, when it would be taken.
    Replace {
        /// The certificate and its chain, PEM.
        file: PathBuf,
        /// Its key, PEM.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// In the place of `client_cert`, which other operators' servers see.
        #[arg(long)]
        client: bool,
    },
    /// Watch a certificate no more. Rules made from it end; what we present stays in force.
    Withdraw {
        /// Its id.
        id: i64,
        /// Even when nobody is left who administers the operator.
        #[arg(long)]
        force: bool,
    },
    /// Write a note beside a certificate, in place of the former one.
    Note {
        /// Its id.
        id: i64,
        /// The note.
        text: String,
    },
    /// Make a certificate signing request, and its key unless there is one.
    Request(request::RequestArguments),
    /// Check our own certificates as a reload would, or a new one before it is put in their place.
    Check {
        /// A new certificate and its chain, PEM.
        #[arg(requires = "key")]
        file: Option<PathBuf>,
        /// Its key, PEM.
        #[arg(long, requires = "file", value_name = "FILE")]
        key: Option<PathBuf>,
        /// It is for `client_cert`, which other operators' servers see.
        #[arg(long, requires = "file")]
        client: bool,
    },
}

pub(super) async fn run(global: &Global, command: CertificateCommand) -> Result<ExitCode> {
    if global.remote()?.is_some() || matches!(command, CertificateCommand::Replace { .. }) {
        return on_server::run(global, command).await;
    }
    match command {
        CertificateCommand::Request(arguments) => return request::run(global, &arguments).await,
        CertificateCommand::Check { file, key, client } => {
            return check(global, file.as_deref().zip(key.as_deref()), client);
        }
        _ => {}
    }
    let (_, store) = global.open().await?;
    match command {
        CertificateCommand::List { all } => list(global, &store, all).await?,
        CertificateCommand::Show { id } => {
            let row =
                store.certificate(id).await?.with_context(|| format!("there is no certificate {id}"))?;
            if global.json { print::json(&as_json(&row)) } else { show(&row) }
        }
        CertificateCommand::Add { file, application, note } => {
            let holder = application
                .map_or(CertificateHolder::Own, |actor| CertificateHolder::Application(ActorId(actor)));
            add(global, &store, &file, holder, note.as_deref()).await?;
        }
        CertificateCommand::Withdraw { id, force } => store.withdraw_certificate(id, force).await??,
        CertificateCommand::Note { id, text } => store.note_certificate(id, None, &text).await??,
        CertificateCommand::Request(_)
        | CertificateCommand::Check { .. }
        | CertificateCommand::Replace { .. } => {}
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

async fn list(global: &Global, store: &Store, all: bool) -> Result<()> {
    let rows = store.certificates(all).await?;
    if global.json {
        print::json(&Value::Array(rows.iter().map(as_json).collect()));
        return Ok(());
    }
    let now = store.now();
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let days = (row.facts.not_after.0 - now.0).div_euclid(86_400_000);
            vec![
                row.id.to_string(),
                row.holder.as_str().to_owned(),
                row.facts.usage.to_string(),
                message::date::rfc5322(row.facts.not_after),
                if row.withdrawn_at.is_some() { "withdrawn".to_owned() } else { days.to_string() },
                row.facts.subject.to_string(),
            ]
        })
        .collect();
    print::table(&["ID", "HOLDER", "USE", "EXPIRES", "DAYS", "SUBJECT"], &cells);
    Ok(())
}

async fn add(
    global: &Global,
    store: &Store,
    file: &Path,
    holder: CertificateHolder,
    note: Option<&str>,
) -> Result<()> {
    let bytes = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let facts = pki::certificate_facts(&bytes).with_context(|| file.display().to_string())?;
    let usage = facts.usage;
    let (id, is_new) = store.add_certificate(holder, facts).await??;
    if let Some(note) = note {
        store.note_certificate(id, None, note).await??;
    }
    if global.json {
        print::json(&json!({"id": id, "is_new": is_new, "usage": usage.as_str()}));
    } else {
        print::line(&format!("{id} {usage}{}", if is_new { "" } else { " (was there)" }));
    }
    Ok(())
}

/// What a reload would say, of the files that are named or of a pair of files; failure when one would not be taken.
fn check(global: &Global, pair: Option<(&Path, &Path)>, is_client: bool) -> Result<ExitCode> {
    let config = global.load()?;
    let examination = trust_space::examine(&crate::trust::settings(&config), Clock::system().now());
    let trust = examination.snapshot.context("[trust] anchors cannot be read; `check-config` says why")?;
    let findings = match pair {
        None => Identities::load(&config.tls)?.findings(&trust),
        Some((cert, key)) => {
            let (name, usage) =
                if is_client { ("tls.client_cert", Usage::Client) } else { ("tls.cert", Usage::Server) };
            vec![Finding::of(name, &identity::read(cert, key)?, usage, &trust)]
        }
    };
    let verdict = |finding: &Finding| match &finding.standing {
        Ok(RevocationState::Good) => "stands".to_owned(),
        Ok(RevocationState::Unknown(doubt)) => format!("stands; not known whether it is revoked: {doubt}"),
        Err(rejection) => format!("would not be taken: {rejection}"),
    };
    if global.json {
        let finding = |finding: &Finding| {
            let taken = finding.standing.is_ok();
            json!({"key": finding.key, "subject": finding.subject, "would_be_taken": taken, "verdict": verdict(finding)})
        };
        print::json(&Value::Array(findings.iter().map(finding).collect()));
    } else {
        for finding in &findings {
            print::line(&format!("{}: {} ({})", finding.key, verdict(finding), finding.subject));
        }
    }
    let is_fine = findings.iter().all(|finding| finding.standing.is_ok());
    Ok(if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(row: &CertificateRow) {
    let facts = &row.facts;
    let date = message::date::rfc5322;
    for (name, value) in [
        ("id", row.id.to_string()),
        ("holder", holder(row.holder)),
        ("use", facts.usage.to_string()),
        ("subject", facts.subject.to_string()),
        ("issuer", facts.issuer.to_string()),
        ("serial", hex(&facts.serial)),
        ("fingerprint", facts.fingerprint.to_string()),
        ("key pin", hex(&facts.key_pin)),
        ("valid from", date(facts.not_before)),
        ("valid to", date(facts.not_after)),
        ("added", date(row.added_at)),
        ("withdrawn", row.withdrawn_at.map_or_else(|| "-".to_owned(), date)),
        ("note", row.note.clone()),
    ] {
        print::line(&format!("{name:<12} {value}"));
    }
}

fn as_json(row: &CertificateRow) -> Value {
    let facts = &row.facts;
    json!({
        "id": row.id,
        "holder": row.holder.as_str(),
        "application": match row.holder {
            CertificateHolder::Own => None,
            CertificateHolder::Application(actor) => Some(actor.0),
        },
        "usage": facts.usage.as_str(),
        "subject": facts.subject.to_string(),
        "issuer": facts.issuer.to_string(),
        "serial": hex(&facts.serial),
        "fingerprint": facts.fingerprint.to_string(),
        "key_pin": hex(&facts.key_pin),
        "not_before_ms": facts.not_before.0,
        "not_after_ms": facts.not_after.0,
        "added_at_ms": row.added_at.0,
        "withdrawn_at_ms": row.withdrawn_at.map(|at| at.0),
        "note": row.note,
    })
}

fn holder(holder: CertificateHolder) -> String {
    match holder {
        CertificateHolder::Own => "own".to_owned(),
        CertificateHolder::Application(actor) => format!("application {actor}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
