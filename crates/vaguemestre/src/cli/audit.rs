//! `vaguemestre audit`.

use super::client::{Ask, Client};
use super::{Global, print};
use anyhow::{Context, Result, bail};
use axum::body::Body;
use clap::{Args, Subcommand};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use store::{AuditKey, ExportVerifier, SealMark};

/// Between two looks at how far a server is with a verification.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Subcommand)]
pub(super) enum AuditCommand {
    /// Rows of the audit trail, newest first. The look is itself a row.
    Search {
        #[command(flatten)]
        filter: Filter,
        /// How many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
    },
    /// One row, with its personal fields.
    Show {
        /// The chain.
        chain: String,
        /// The number in the chain.
        seq: i64,
    },
    /// Verify the whole trail: rows, chains, seals, signatures. Fails when anything was changed, removed, cut off or forged.
    Verify {
        /// A seal that was kept elsewhere (a log, a metric): its number, a colon, its hash.
        #[arg(long, value_name = "SEQ:HASH")]
        seal: Option<SealMark>,
    },
    /// Write rows to a file, oldest first, with a signature as its last line.
    Export {
        #[command(flatten)]
        filter: Filter,
        /// `csv` (semicolons, UTF-8 with byte order mark) or `jsonl` (a JSON object a line).
        #[arg(long, default_value = "csv", value_parser = ["csv", "jsonl"])]
        format: String,
        /// The file, which must not exist.
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Verify an exported file: it needs no store and no network.
    VerifyExport {
        /// The file.
        file: PathBuf,
        /// The public key of the operator that it must be signed by (`audit key` prints it); without it, compare the key that is printed.
        #[arg(long, value_name = "HEXADECIMAL", value_parser = key)]
        key: Option<AuditKey>,
    },
    /// Keep rows however old they are: of a category, of a mailbox, or all.
    #[command(after_help = "Say why with --reason.")]
    Hold {
        /// `mail`, `access`, `admin` or `trust`; all of them, if not told.
        #[arg(long)]
        category: Option<String>,
        /// Number or address of a mailbox; all of them, if not told.
        #[arg(long)]
        mailbox: Option<String>,
        /// Until when (RFC 3339); until it is released, if not told.
        #[arg(long, value_name = "INSTANT")]
        until: Option<String>,
    },
    /// List the holds.
    Holds,
    /// Release a hold.
    Release {
        /// Its number.
        id: i64,
    },
    /// The latest seal, to be kept elsewhere.
    Seal,
    /// The public key that verifies seals and exports.
    Key,
}

/// Which rows. What is not told matches everything.
#[derive(Args)]
pub(super) struct Filter {
    /// `mail`, `access`, `admin` or `trust`.
    #[arg(long)]
    category: Option<String>,
    /// An action; with `*` at its end, every action that begins so.
    #[arg(long)]
    action: Option<String>,
    /// How it ended.
    #[arg(long)]
    outcome: Option<String>,
    /// Number of whoever did it.
    #[arg(long)]
    actor: Option<i64>,
    /// Number of the mailbox that it is about.
    #[arg(long)]
    mailbox: Option<i64>,
    /// On what: `user:12`.
    #[arg(long)]
    target: Option<String>,
    /// By which door: `mx`, `submission`, `imap`, `rest`, `cli`, `system`.
    #[arg(long)]
    via: Option<String>,
    /// The message that it is about.
    #[arg(long)]
    unit: Option<String>,
    /// Not before this instant (RFC 3339).
    #[arg(long)]
    from: Option<String>,
    /// Before this instant (RFC 3339).
    #[arg(long)]
    to: Option<String>,
    /// Whose personal fields are of this address, or about the mailbox that has it.
    #[arg(long)]
    address: Option<String>,
}

impl Filter {
    fn ask(&self, ask: Ask) -> Ask {
        ask.query("category", self.category.as_ref())
            .query("action", self.action.as_ref())
            .query("outcome", self.outcome.as_ref())
            .query("actor", self.actor)
            .query("mailbox", self.mailbox)
            .query("target", self.target.as_ref())
            .query("via", self.via.as_ref())
            .query("unit", self.unit.as_ref())
            .query("from", self.from.as_ref())
            .query("to", self.to.as_ref())
            .query("address", self.address.as_ref())
    }
}

fn key(text: &str) -> Result<AuditKey, String> {
    AuditKey::read(text).ok_or_else(|| "is not a key: 64 hexadecimal digits".to_owned())
}

pub(super) async fn run(global: &Global, command: AuditCommand) -> Result<ExitCode> {
    match command {
        AuditCommand::VerifyExport { file, key } => verify_export(global, &file, key),
        AuditCommand::Verify { seal } if global.remote()?.is_none() => {
            let (_, store) = global.open().await?;
            let found = store.verify_audit(seal, |_| ()).await;
            store.close().await;
            Ok(verified(global, &found.map(|found| found.json())?))
        }
        command => {
            let client = Client::open(global).await?;
            let done = obey(global, &client, command).await;
            client.close().await;
            done
        }
    }
}

async fn obey(global: &Global, client: &Client, command: AuditCommand) -> Result<ExitCode> {
    match command {
        AuditCommand::Search { filter, limit } => {
            let rows = client.list(&filter.ask(Ask::get(&["audit"])?), Some(limit as usize)).await?;
            print::many(global, &COLUMNS, rows);
        }
        AuditCommand::Show { chain, seq } => {
            print::one(global, &client.get(&["audit", "rows", &chain, &seq.to_string()]).await?);
        }
        AuditCommand::Verify { seal } => return verify_there(global, client, seal).await,
        AuditCommand::Export { filter, format, output } => {
            let ask = filter.ask(Ask::get(&["audit", "export"])?).query("format", Some(format));
            export(global, client, &ask, &output).await?;
        }
        AuditCommand::Hold { category, mailbox, until } => {
            let reason = global.reason.as_deref().context("say why with --reason")?;
            let mut hold = json!({ "reason": reason });
            for (name, value) in [("category", category), ("mailbox", mailbox), ("until", until)] {
                if let Some(value) = value {
                    hold[name] = value.into();
                }
            }
            print::one(global, &client.post(&["audit", "holds"], &hold).await?.value);
        }
        AuditCommand::Holds => {
            let rows = client.list(&Ask::get(&["audit", "holds"])?, None).await?;
            print::many(global, &HOLDS, rows);
        }
        AuditCommand::Release { id } => {
            let id = id.to_string();
            client.as_it_is(&Ask::delete(&["audit", "holds", &id])?).await?;
        }
        AuditCommand::Seal => print::one(global, &client.get(&["audit", "seal"]).await?),
        AuditCommand::Key => {
            let seal = client.get(&["audit", "seal"]).await?;
            match global.json {
                true => print::json(&json!({"key": seal["key"], "keyId": seal["keyId"]})),
                false => print::line(seal["key"].as_str().unwrap_or_default()),
            }
        }
        AuditCommand::VerifyExport { .. } => bail!("an export is verified without a store"),
    }
    Ok(ExitCode::SUCCESS)
}

const COLUMNS: [(&str, &str); 10] = [
    ("AT", "/at"),
    ("CATEGORY", "/category"),
    ("ACTION", "/action"),
    ("OUTCOME", "/outcome"),
    ("ACTOR", "/actor"),
    ("VIA", "/via"),
    ("TARGET", "/target"),
    ("MAILBOX", "/mailbox"),
    ("DETAIL", "/detail"),
    ("WHENCE", "/personal/whence"),
];

const HOLDS: [(&str, &str); 7] = [
    ("ID", "/id"),
    ("CATEGORY", "/category"),
    ("MAILBOX", "/mailbox"),
    ("SINCE", "/createdAt"),
    ("UNTIL", "/until"),
    ("RELEASED", "/endedAt"),
    ("REASON", "/reason"),
];

/// A verification by the server, which is a job.
async fn verify_there(global: &Global, client: &Client, seal: Option<SealMark>) -> Result<ExitCode> {
    let against = match seal {
        Some(seal) => json!({ "seal": seal.to_string() }),
        None => json!({}),
    };
    let job = client.post(&["audit", "verify"], &against).await?.value;
    let id = job["id"].as_str().context("the answer names no job")?.to_owned();
    loop {
        let job = client.get(&["jobs", &id]).await?;
        match job["state"].as_str() {
            Some("queued" | "running") => tokio::time::sleep(LOOK).await,
            Some("succeeded") => return Ok(verified(global, &job["result"])),
            _ => bail!("the verification was not done: {}", job["result"]),
        }
    }
}

/// Says what was found; fails where the trail is not sound.
fn verified(global: &Global, found: &Value) -> ExitCode {
    if global.json {
        print::json(found);
    } else {
        for name in ["chains", "rows", "seals", "dropped", "unsealed", "latestSeal"] {
            print::line(&format!("{name:<12} {}", print::cell(found.get(name))));
        }
        for fault in found["faults"].as_array().into_iter().flatten() {
            print::line(&format!(
                "{:<20} {}",
                print::cell(fault.get("kind")),
                print::cell(fault.get("detail"))
            ));
        }
        let total = found["faultsTotal"].as_u64().unwrap_or_default();
        print::line(&match total {
            0 => "sound".to_owned(),
            total => {
                format!("{total} faults: the trail was tampered with; keep a copy of the database as it is")
            }
        });
    }
    if found["sound"] == true { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes the answer to a new file, which is then verified as anybody would.
async fn export(global: &Global, client: &Client, ask: &Ask, output: &Path) -> Result<()> {
    let mut answer = client.stream(ask).await?;
    let mut file =
        File::create_new(output).with_context(|| format!("{} cannot be made", output.display()))?;
    let written = copy(&mut answer, &mut file).await;
    let signature = written.and_then(|()| examine(output, None));
    let signature = match signature {
        Ok(signature) => signature,
        Err(error) => {
            std::fs::remove_file(output)?;
            return Err(error);
        }
    };
    told(global, &signature);
    Ok(())
}

async fn copy(body: &mut Body, file: &mut File) -> Result<()> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| anyhow::anyhow!("the answer was cut off: {error}"))?;
        if let Some(octets) = frame.data_ref() {
            file.write_all(octets)?;
        }
    }
    Ok(file.sync_all()?)
}

fn verify_export(global: &Global, file: &Path, key: Option<AuditKey>) -> Result<ExitCode> {
    let signature = examine(file, key)?;
    told(global, &signature);
    if key.is_none() && !global.json {
        print::line("compare the key with the one that the operator published: `vaguemestre audit key`");
    }
    Ok(ExitCode::SUCCESS)
}

fn examine(path: &Path, key: Option<AuditKey>) -> Result<store::ExportSignature> {
    let mut file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut verifier = ExportVerifier::default();
    let mut piece = vec![0; 64 * 1024];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            count => verifier.push(&piece[..count]),
        }
    }
    verifier.finish(key).with_context(|| format!("{} does not verify", path.display()))
}

fn told(global: &Global, signature: &store::ExportSignature) {
    let value = json!({
        "valid": true,
        "rows": signature.rows,
        "octets": signature.octets,
        "at_ms": signature.at_ms,
        "key": signature.key.hexadecimal(),
        "keyId": signature.key.id(),
    });
    print::one(global, &value);
}
