//! The command line. Every command takes `--config FILE` and, where it prints, `--json`.
//!
//! What the REST API can do is done through it: in this process on the store of the configuration, or on a server's with `--url`. What only makes
//! sense on the machine of the store says so.

mod api;
pub(crate) mod application;
mod audit;
mod certificate;
mod check_config;
mod client;
mod conformance;
mod delegation;
mod domain;
mod fsck;
pub(crate) mod init;
mod instant;
mod job;
mod journal;
mod key;
pub(crate) mod mailbox;
mod password;
mod pem;
pub(crate) mod print;
mod quantity;
mod queue;
pub(crate) mod serve;
mod service;
mod statistics;
mod trust;
mod user;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use client::Refused;
use config::Config;
use mail_types::Secret;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use store::{Act, Store, Via};

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
    /// The configuration file, `vaguemestre.toml` by default. It comes before a server that the environment names.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    /// Log level (error, warn, info, debug, trace) or a filter such as `smtpd=debug,info`.
    #[arg(long, global = true, value_name = "LEVEL")]
    log: Option<String>,
    /// Ask this server (https://HOST:PORT) instead of the local store; also VAGUEMESTRE_URL.
    #[arg(long, global = true, value_name = "URL", conflicts_with = "config", help_heading = "On a server")]
    url: Option<String>,
    /// The API key, in a file that its owner alone can read; also VAGUEMESTRE_KEY_FILE.
    #[arg(long, global = true, value_name = "FILE", help_heading = "On a server")]
    key_file: Option<PathBuf>,
    /// The authorities that may have issued the server's certificate (PEM), instead of the system's; also VAGUEMESTRE_CA_FILE.
    #[arg(long, global = true, value_name = "FILE", help_heading = "On a server")]
    ca_file: Option<PathBuf>,
    /// A certificate to show to the server, and its chain (PEM).
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        requires = "cert_key_file",
        help_heading = "On a server"
    )]
    cert_file: Option<PathBuf>,
    /// Its key (PEM), in a file that its owner alone can read.
    #[arg(long, global = true, value_name = "FILE", requires = "cert_file", help_heading = "On a server")]
    cert_key_file: Option<PathBuf>,
    /// Why, for those who read the audit trail; a support role must say it.
    #[arg(long, global = true, value_name = "TEXT")]
    reason: Option<String>,
}

/// The command was given in a way that cannot be obeyed: exit code 2, as for an option that there is not.
#[derive(Debug)]
pub(crate) struct Usage(String);

impl Usage {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

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
    /// Who may open whose mailbox.
    #[command(subcommand)]
    Delegation(delegation::DelegationCommand),
    /// Application passwords.
    #[command(subcommand)]
    Password(password::PasswordCommand),
    /// API keys.
    #[command(subcommand)]
    Key(key::KeyCommand),
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
    /// The audit trail: searched, verified, exported, held.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Play the auditing operator against a running server.
    #[command(subcommand)]
    Conformance(conformance::ConformanceCommand),
    /// Today's counters, or those of another day.
    Statistics(statistics::StatisticsArguments),
    /// Long work that goes on beside requests.
    #[command(subcommand)]
    Job(job::JobCommand),
    /// What a server is and what it takes.
    Service,
    /// Any operation of the REST API, on the local store or on a server.
    Api(api::ApiArguments),
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

/// Runs a command to its end. 0: done. 1: refused or failed, and why is told. 2: the command itself is at fault.
pub(crate) async fn run(arguments: Arguments) -> ExitCode {
    let Arguments { global, command } = arguments;
    let error = match obey(&global, command).await {
        Ok(code) => return code,
        Err(error) => error,
    };
    match Refused::of(&error).filter(|refused| global.json && !refused.problem().is_null()) {
        Some(refused) => print::complaint(&refused.problem().to_string()),
        None => print::complaint(&format!("vaguemestre: {error:#}")),
    }
    if error.downcast_ref::<Usage>().is_some() { ExitCode::from(2) } else { ExitCode::FAILURE }
}

async fn obey(global: &Global, command: Command) -> Result<ExitCode> {
    if let Some(name) = command.local_name() {
        global.is_here(name)?;
    }
    match command {
        Command::Init(arguments) => init::run(global, arguments).await,
        Command::Demo(arguments) => crate::demo::run(arguments).await,
        Command::CheckConfig => check_config::run(global).await,
        Command::Serve => serve::run(global.load()?).await,
        Command::Migrate => {
            Store::create(&crate::operator::store_options(&global.load()?)?).await?;
            if global.json {
                print::json(&serde_json::json!({"migrated": true}));
            } else {
                print::line("The store is as this version needs it.");
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Domain(command) => domain::run(global, command).await,
        Command::User(command) => user::run(global, command).await,
        Command::Application(command) => application::run(global, command).await,
        Command::Mailbox(command) => mailbox::run(global, command).await,
        Command::Delegation(command) => delegation::run(global, command).await,
        Command::Password(command) => password::run(global, command).await,
        Command::Key(command) => key::run(global, command).await,
        Command::Certificate(command) => certificate::run(global, command).await,
        Command::Queue(command) => queue::run(global, command).await,
        Command::Trust(command) => trust::run(global, command).await,
        Command::Journal(arguments) => journal::run(global, &arguments).await,
        Command::Audit(command) => audit::run(global, command).await,
        Command::Conformance(command) => conformance::run(global, command).await,
        Command::Statistics(arguments) => statistics::run(global, arguments).await,
        Command::Job(command) => job::run(global, command).await,
        Command::Service => service::run(global).await,
        Command::Api(arguments) => api::run(global, arguments).await,
        Command::Fsck(arguments) => fsck::run(global, &arguments).await,
    }
}

impl Command {
    /// Its name, when it only makes sense on the machine itself.
    const fn local_name(&self) -> Option<&'static str> {
        match self {
            Self::Init(_) => Some("init"),
            Self::Serve => Some("serve"),
            Self::Demo(_) => Some("demo"),
            Self::CheckConfig => Some("check-config"),
            Self::Migrate => Some("migrate"),
            Self::Conformance(_) => Some("conformance"),
            Self::Fsck(_) => Some("fsck"),
            _ => None,
        }
    }
}

impl Global {
    /// Refuses a command that cannot be done on a server.
    fn is_here(&self, name: &str) -> Result<()> {
        match self.url {
            Some(_) => Err(Usage::new(format!(
                "`{name}` works on this machine only: run it where the store is, without --url"
            ))
            .into()),
            None => Ok(()),
        }
    }

    /// The server to ask, if it is not the local store.
    fn remote(&self) -> Result<Option<String>> {
        let url = self.url.clone().or_else(|| variable("VAGUEMESTRE_URL").filter(|_| self.config.is_none()));
        let is_alone = [&self.key_file, &self.ca_file, &self.cert_file].iter().all(|file| file.is_none());
        if url.is_none() && !is_alone {
            return Err(Usage::new("--key-file, --ca-file and --cert-file go with --url").into());
        }
        Ok(url)
    }

    /// The configuration file.
    fn config_file(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new("vaguemestre.toml"))
    }

    fn load(&self) -> Result<Config> {
        match Config::load(self.config_file()) {
            Ok(config) => Ok(config),
            Err(faults) => {
                let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
                bail!("the configuration has faults:\n  {}", lines.join("\n  "))
            }
        }
    }

    /// The configuration and its store, opened beside a running `serve` or without one. What is changed there is told of as done by this account.
    async fn open(&self) -> Result<(Config, Store)> {
        if self.remote()?.is_some() {
            return Err(
                Usage::new("this command is not offered on a server yet: run it where the store is").into()
            );
        }
        let config = self.load()?;
        let store = Store::open(&crate::operator::store_options(&config)?).await.context("[store]")?;
        let act =
            Act { credential: Some(account()), reason: self.reason.clone(), ..Act::via(Via::CommandLine) };
        Ok((config, store.acting(act)))
    }
}

/// The account that runs the command, as the audit trail names it.
fn account() -> String {
    match std::fs::metadata("/proc/self") {
        Ok(own) => format!("uid:{}", own.uid()),
        Err(_) => "uid:unknown".to_owned(),
    }
}

/// The label of the password that a command sets; another one set takes its place.
const PASSWORD_LABEL: &str = "command line";

/// One line of standard input.
pub(crate) fn password_from_stdin() -> Result<Secret<String>> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("the password could not be read from standard input")?;
    let password = Secret::new(line.trim_end_matches(['\r', '\n']).to_owned());
    if password.expose().is_empty() {
        bail!("--password-stdin: standard input holds no password");
    }
    Ok(password)
}

/// A variable of the environment, unless it is empty.
#[expect(clippy::disallowed_methods, reason = "the command line reads the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn no_command_contradicts_itself() {
        super::Arguments::command().debug_assert();
    }
}
