//! `vaguemestre conformance`: the auditing operator.

use super::{Global, print};
use crate::conformance::{self, Network, Pack, Plan, Submission, Target};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use mail_types::Secret;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use store::Clock;

#[derive(Subcommand)]
pub(super) enum ConformanceCommand {
    /// Make the audit certificates with a development PKI, and say what the server under audit must load.
    Prepare(PrepareArguments),
    /// Play every case against a running server and report; exit code 1 when it does not conform.
    Run(RunArguments),
}

#[derive(Args)]
pub(super) struct PrepareArguments {
    /// Where the pack is put: certificates, keys, white list, routes, revocation list.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The development PKI: `pki/` of the demo, `trust/` of `init`.
    #[arg(long, value_name = "DIR", required_unless_present = "demo")]
    pki: Option<PathBuf>,
    /// The description of a running demo, whose white list, routes and revocation list are changed at once.
    #[arg(long, value_name = "FILE", conflicts_with = "pki")]
    demo: Option<PathBuf>,
    /// What the audit domains end with.
    #[arg(long, value_name = "DOMAIN", default_value = "espacedeconfiance.mssante.test")]
    suffix: String,
    /// Address of this machine where the server under audit finds the auditor's MX servers.
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    mail_host: String,
    /// Port of the first of them; one for each case follows.
    #[arg(long, value_name = "N", default_value_t = 14400)]
    mail_port_base: u16,
}

#[derive(Args)]
pub(super) struct RunArguments {
    /// The pack that `prepare` made.
    #[arg(long, value_name = "DIR")]
    pack: PathBuf,
    /// The MX of the server under audit.
    #[arg(long, value_name = "HOST:PORT", required_unless_present = "demo")]
    target: Option<String>,
    /// The description of a running demo, whose first operator is audited.
    #[arg(long, value_name = "FILE", conflicts_with = "target")]
    demo: Option<PathBuf>,
    /// A mailbox of the server, for a normal exchange; `--user` if not told.
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<String>,
    /// Its submission port, by which it is made to send. Without it the outbound half is left out.
    #[arg(long, value_name = "HOST:PORT", requires_all = ["user", "password_file"])]
    submission: Option<String>,
    /// TLS at once on that port, not after STARTTLS.
    #[arg(long)]
    implicit_tls: bool,
    /// The mailbox to send from.
    #[arg(long, value_name = "ADDRESS")]
    user: Option<String>,
    /// A file with its password.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Write the report (JSON) there too.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

pub(super) async fn run(global: &Global, command: ConformanceCommand) -> Result<ExitCode> {
    match command {
        ConformanceCommand::Prepare(arguments) => prepare(arguments),
        ConformanceCommand::Run(arguments) => audit(global, arguments).await,
    }
}

fn prepare(arguments: PrepareArguments) -> Result<ExitCode> {
    let network = match (&arguments.demo, &arguments.pki) {
        (Some(file), _) => Demo::read(file)?.network()?,
        (None, Some(dir)) => Network::in_folder(dir),
        (None, None) => bail!("--pki or --demo is needed"),
    };
    let plan = Plan {
        out: arguments.out,
        suffix: arguments.suffix,
        host: arguments.mail_host,
        port_base: arguments.mail_port_base,
    };
    print::line(&conformance::prepare(&network, &plan, Clock::system().now())?);
    Ok(ExitCode::SUCCESS)
}

async fn audit(global: &Global, arguments: RunArguments) -> Result<ExitCode> {
    let pack = Pack::load(&arguments.pack).context("--pack")?;
    let (mx, submission) = match &arguments.demo {
        Some(file) => {
            let demo = Demo::read(file)?;
            (demo.mx()?, Some(demo.submission()?))
        }
        None => (arguments.target.clone().unwrap_or_default(), submission(&arguments)?),
    };
    let user = submission.as_ref().map(|submission| submission.user.clone());
    let target = Target { mx, recipient: arguments.recipient.or(user) };
    let report = conformance::play(&pack, &target, submission.as_ref()).await?;
    if let Some(file) = &arguments.report {
        std::fs::write(file, serde_json::to_vec_pretty(&report.to_json())?)
            .with_context(|| format!("{} cannot be written", file.display()))?;
    }
    if global.json {
        print::json(&report.to_json());
    } else {
        print::line(&report.to_text());
    }
    Ok(if report.is_pass() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn submission(arguments: &RunArguments) -> Result<Option<Submission>> {
    let (Some(address), Some(user), Some(file)) =
        (&arguments.submission, &arguments.user, &arguments.password_file)
    else {
        return Ok(None);
    };
    let password =
        std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(Some(Submission {
        address: address.clone(),
        is_implicit: arguments.implicit_tls,
        user: user.clone(),
        password: Secret::new(password.trim_end_matches(['\r', '\n']).to_owned()),
    }))
}

/// What is needed of the description of a demo.
#[derive(Deserialize)]
struct Demo {
    ca_file: PathBuf,
    whitelist_file: PathBuf,
    routes_file: PathBuf,
    operators: Vec<Operator>,
}

#[derive(Deserialize)]
struct Operator {
    ports: BTreeMap<String, u16>,
    mailboxes: Vec<Mailbox>,
}

#[derive(Deserialize)]
struct Mailbox {
    address: String,
    kind: String,
    password: Option<String>,
}

impl Demo {
    fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is not what `vaguemestre demo --describe` writes", file.display()))
    }

    fn network(&self) -> Result<Network> {
        let dir = self.ca_file.parent().context("ca_file has no folder")?;
        let in_force = Some((self.whitelist_file.clone(), self.routes_file.clone()));
        Ok(Network { in_force, ..Network::in_folder(dir) })
    }

    fn audited(&self) -> Result<&Operator> {
        self.operators.first().context("the demo has no operator")
    }

    fn mx(&self) -> Result<String> {
        self.audited()?.address("smtp")
    }

    fn submission(&self) -> Result<Submission> {
        let operator = self.audited()?;
        let personal = operator.mailboxes.iter().find(|m| m.kind == "personal" && m.password.is_some());
        let mailbox = personal.context("the demo has no mailbox with a password")?;
        Ok(Submission {
            address: operator.address("submissions")?,
            is_implicit: true,
            user: mailbox.address.clone(),
            password: Secret::new(mailbox.password.clone().unwrap_or_default()),
        })
    }
}

impl Operator {
    fn address(&self, listener: &str) -> Result<String> {
        let port =
            self.ports.get(listener).with_context(|| format!("the demo has no listener {listener}"))?;
        Ok(format!("127.0.0.1:{port}"))
    }
}
