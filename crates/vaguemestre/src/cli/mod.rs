//! The command line. Every command takes `--config FILE` and, where it prints, `--json`.

pub(crate) mod application;
mod certificate;
mod check_config;
mod conformance;
mod domain;
mod fsck;
mod import;
pub(crate) mod init;
mod journal;
pub(crate) mod mailbox;
pub(crate) mod print;
mod queue;
pub(crate) mod serve;
mod trust;
mod user;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use config::Config;
use std::path::PathBuf;
use std::process::ExitCode;
use store::Store;

/// An operator of a secure health mail network: MTA, IMAP server, administration.
#[derive(Parser)]
#[command(name = "vaguemestre", version, about)]
pub(crate) struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
pub(crate) struct Global {
    /// The configuration file.
    #[arg(long, global = true, value_name = "FILE", default_value = "vaguemestre.toml")]
    config: PathBuf,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    /// Log level (error, warn, info, debug, trace) or a filter such as `smtpd=debug,info`.
    #[arg(long, global = true, value_name = "LEVEL")]
    log: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Make a new operator: configuration, keys, database, and a development certificate to be replaced.
    Init(init::InitArguments),
    /// Serve until SIGTERM; SIGHUP reloads configuration, certificates, revocation lists, white list and routes.
    Serve,
    /// Run two operators on this machine, with synthetic mailboxes and letters.
    Demo(crate::demo::DemoArguments),
    /// Report every fault of the configuration at once.
    CheckConfig,
    /// Bring the database schema forward.
    Migrate,
    /// Domains of this operator.
    #[command(subcommand)]
    Domain(domain::DomainCommand),
    /// Users.
    #[command(subcommand)]
    User(user::UserCommand),
    /// Applications, which log in with a certificate.
    #[command(subcommand)]
    Application(application::ApplicationCommand),
    /// Mailboxes.
    #[command(subcommand)]
    Mailbox(mailbox::MailboxCommand),
    /// Certificates of this operator and its applications.
    #[command(subcommand)]
    Certificate(certificate::CertificateCommand),
    /// Messages on their way to other operators.
    #[command(subcommand)]
    Queue(queue::QueueCommand),
    /// What is trusted: certificates, revocation lists, white list, local decisions.
    #[command(subcommand)]
    Trust(trust::TrustCommand),
    /// The latest judgements of peers and certificates, newest first.
    Journal(journal::JournalArguments),
    /// Play the auditing operator against a running server.
    #[command(subcommand)]
    Conformance(conformance::ConformanceCommand),
    /// Compare counters with what they count, rows with files.
    Fsck(fsck::FsckArguments),
}

impl Arguments {
    pub(crate) fn log_level(&self) -> &str {
        let usual = match self.command {
            Command::Serve => "info",
            _ => "warn",
        };
        self.global.log.as_deref().unwrap_or(usual)
    }
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let Arguments { global, command } = arguments;
    match command {
        Command::Init(arguments) => init::run(arguments).await,
        Command::Demo(arguments) => crate::demo::run(arguments).await,
        Command::CheckConfig => check_config::run(&global).await,
        Command::Serve => serve::run(global.load()?).await,
        Command::Migrate => {
            Store::create(&crate::operator::store_options(&global.load()?)?).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Domain(command) => domain::run(&global, command).await,
        Command::User(command) => user::run(&global, command).await,
        Command::Application(command) => application::run(&global, command).await,
        Command::Mailbox(command) => mailbox::run(&global, command).await,
        Command::Certificate(command) => certificate::run(&global, command).await,
        Command::Queue(command) => queue::run(&global, command).await,
        Command::Trust(command) => trust::run(&global, command).await,
        Command::Journal(arguments) => journal::run(&global, &arguments).await,
        Command::Conformance(command) => conformance::run(&global, command).await,
        Command::Fsck(arguments) => fsck::run(&global, &arguments).await,
    }
}

impl Global {
    fn load(&self) -> Result<Config> {
        match Config::load(&self.config) {
            Ok(config) => Ok(config),
            Err(faults) => {
                let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
                bail!("the configuration has faults:\n  {}", lines.join("\n  "))
            }
        }
    }

    /// The configuration and its store, opened beside a running `serve` or without one.
    async fn open(&self) -> Result<(Config, Store)> {
        let config = self.load()?;
        let store = Store::open(&crate::operator::store_options(&config)?).await.context("[store]")?;
        Ok((config, store))
    }
}
