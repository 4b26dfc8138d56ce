//! `vaguemestre user`.

use super::client::{Ask, Client, Refused};
use super::{Global, PASSWORD_LABEL, Usage, password_from_stdin, print};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use std::process::ExitCode;

const COLUMNS: &[(&str, &str)] = &[
    ("ID", "/id"),
    ("LOGIN", "/login"),
    ("FIRST NAME", "/firstName"),
    ("LAST NAME", "/lastName"),
    ("RPPS", "/rpps"),
    ("DOMAIN", "/domain"),
    ("STATUS", "/status"),
];

#[derive(Subcommand)]
pub(super) enum UserCommand {
    /// Enter a person; fine twice.
    Create {
        /// The name that the person logs in with.
        login: String,
        /// The name that people read, in place of first and last name; on the local store only.
        #[arg(long, conflicts_with_all = ["first_name", "last_name"])]
        name: Option<String>,
        #[command(flatten)]
        identity: Identity,
        /// Read an application password from standard input (one line); on the local store only.
        #[arg(long)]
        password_stdin: bool,
    },
    /// List persons.
    List {
        /// Of this domain.
        #[arg(long)]
        domain: Option<String>,
        /// Whose login or names have this.
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// With this RPPS number.
        #[arg(long)]
        rpps: Option<String>,
        /// active or disabled.
        #[arg(long)]
        status: Option<String>,
        /// How many, at most.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Show one.
    Show {
        /// Login or number.
        user: String,
    },
    /// Change what is known of one.
    Change {
        /// Login or number.
        user: String,
        #[command(flatten)]
        identity: Identity,
    },
    /// Bar one from logging in, everywhere and at once.
    Disable {
        /// Login or number.
        user: String,
        /// Even when nobody is left who administers one of their mailboxes.
        #[arg(long)]
        force: bool,
    },
    /// Let one log in again.
    Enable {
        /// Login or number.
        user: String,
    },
}

#[derive(Args)]
pub(super) struct Identity {
    /// First name.
    #[arg(long)]
    first_name: Option<String>,
    /// Last name.
    #[arg(long)]
    last_name: Option<String>,
    /// Profession.
    #[arg(long)]
    profession: Option<String>,
    /// Specialty.
    #[arg(long)]
    specialty: Option<String>,
    /// RPPS number, eleven digits.
    #[arg(long)]
    rpps: Option<String>,
    /// ADELI number.
    #[arg(long)]
    adeli: Option<String>,
    /// The domain whose administrators may change them.
    #[arg(long)]
    domain: Option<String>,
}

impl Identity {
    fn members(self) -> Map<String, Value> {
        let members = [
            ("firstName", self.first_name),
            ("lastName", self.last_name),
            ("profession", self.profession),
            ("specialty", self.specialty),
            ("rpps", self.rpps),
            ("adeli", self.adeli),
            ("domain", self.domain),
        ];
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect()
    }
}

pub(super) async fn run(global: &Global, command: UserCommand) -> Result<ExitCode> {
    let client = Client::open(global).await?;
    let done = obey(global, &client, command).await;
    client.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn obey(global: &Global, client: &Client, command: UserCommand) -> Result<()> {
    match command {
        UserCommand::Create { login, name, identity, password_stdin } => {
            let is_here = name.is_some() || password_stdin;
            if is_here && client.store().is_none() {
                return Err(Usage::new("--name and --password-stdin work on the local store only").into());
            }
            create(global, client, &login, name, identity, password_stdin).await
        }
        UserCommand::List { domain, search, rpps, status, limit } => {
            let ask = Ask::get(&["users"])?.query("domain", domain).query("q", search);
            let ask = ask.query("rpps", rpps).query("status", status);
            print::many(global, COLUMNS, client.list(&ask, limit).await?);
            Ok(())
        }
        UserCommand::Show { user } => {
            print::one(global, &client.get(&["users", &user]).await?);
            Ok(())
        }
        UserCommand::Change { user, identity } => {
            let change = Value::Object(identity.members());
            print::one(global, &client.patch(&["users", &user], &change).await?);
            Ok(())
        }
        UserCommand::Disable { user, force } => step(global, client, &user, "disable", force).await,
        UserCommand::Enable { user } => step(global, client, &user, "enable", false).await,
    }
}

async fn create(
    global: &Global,
    client: &Client,
    login: &str,
    name: Option<String>,
    identity: Identity,
    password_stdin: bool,
) -> Result<()> {
    let is_named = identity.first_name.is_some() || identity.last_name.is_some();
    match client.store() {
        Some((_, store)) if !is_named => {
            if let Some(rpps) = &identity.rpps {
                let is_shaped = rpps.len() == 11 && rpps.bytes().all(|b| b.is_ascii_digit());
                is_shaped.then_some(()).context("--rpps must be eleven digits")?;
            }
            store.create_user(login, name.as_deref().unwrap_or_default(), identity.rpps.as_deref()).await?;
        }
        _ => {
            let mut new = identity.members();
            new.insert("login".to_owned(), login.into());
            match client.post(&["users"], &Value::Object(new)).await {
                Err(error) if Refused::of(&error).is_some_and(Refused::is_conflict) => {
                    // Somebody of that login is there, or somebody else of that number.
                    client.get(&["users", login]).await.map_err(|_| error)?;
                }
                made => drop(made?),
            }
        }
    }
    if password_stdin {
        let (_, store) = client.store().context("the local store")?;
        let user = store.user(login).await?.context("the person was not entered")?;
        let hash = auth::hash_password(&password_from_stdin()?)?;
        store.set_application_password(user.actor, PASSWORD_LABEL, &hash).await?;
    }
    print::done(global, &client.get(&["users", login]).await?);
    Ok(())
}

async fn step(global: &Global, client: &Client, user: &str, step: &str, force: bool) -> Result<()> {
    let ask = Ask::post(&["users", user, step])?.query("force", force.then_some(true));
    let answer = client.ask(&ask).await?;
    print::done(global, &answer.value);
    Ok(())
}
