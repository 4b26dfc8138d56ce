//! `vaguemestre delegation`.

use super::client::{Ask, Client};
use super::instant::{Until, until};
use super::{Global, print};
use anyhow::Result;
use clap::{Args, Subcommand};
use mail_types::Role;
use serde_json::{Map, Value, json};
use std::process::ExitCode;

const COLUMNS: &[(&str, &str)] = &[
    ("MAILBOX", "/mailbox/email"),
    ("USER", "/user/login"),
    ("APPLICATION", "/application/name"),
    ("ROLE", "/role"),
    ("RIGHTS", "/rights"),
    ("UNTIL", "/expiresAt"),
    ("BY", "/grantedBy"),
];

#[derive(Subcommand)]
pub(super) enum DelegationCommand {
    /// List who may open a mailbox, or what a person may open of others'.
    List {
        /// Address or number of the mailbox.
        #[arg(required_unless_present = "user", conflicts_with = "user")]
        mailbox: Option<String>,
        /// Login, RPPS number or number of the person.
        #[arg(long)]
        user: Option<String>,
    },
    /// Show one.
    Show(Pair),
    /// Let a person open a mailbox.
    Give {
        #[command(flatten)]
        pair: Pair,
        #[command(flatten)]
        terms: Terms,
    },
    /// Change what a person may do, or until when.
    Change {
        #[command(flatten)]
        pair: Pair,
        #[command(flatten)]
        terms: Terms,
        /// Also when the mailbox is left without an administrator.
        #[arg(long)]
        force: bool,
    },
    /// Take a mailbox away from a person. Open sessions end within five seconds.
    Take {
        #[command(flatten)]
        pair: Pair,
        /// Also when the mailbox is left without an administrator.
        #[arg(long)]
        force: bool,
    },
}

#[derive(Args)]
pub(super) struct Pair {
    /// Address or number of the mailbox.
    mailbox: String,
    /// Login, RPPS number or number of the person.
    user: String,
}

#[derive(Args)]
pub(super) struct Terms {
    /// read, write, manage or admin.
    #[arg(long)]
    role: Option<Role>,
    /// Rights one by one instead, as RFC 4314 writes them: `lrsw`.
    #[arg(long, conflicts_with = "role")]
    rights: Option<String>,
    /// The end: 2027-01-31 (that day included, UTC), 2027-01-31T18:00:00Z, or `none`.
    #[arg(long, value_name = "DATE", value_parser = until)]
    until: Option<Until>,
}

impl Pair {
    fn segments(&self) -> [&str; 4] {
        ["mailboxes", &self.mailbox, "delegations", &self.user]
    }
}

impl Terms {
    fn members(self) -> Map<String, Value> {
        let members = [
            ("role", self.role.map(|role| role.as_str().into())),
            ("rights", self.rights.map(Value::from)),
            ("expiresAt", self.until.map(|Until(at)| at)),
        ];
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

pub(super) async fn run(global: &Global, command: DelegationCommand) -> Result<ExitCode> {
    let client = Client::open(global).await?;
    let done = obey(global, &client, command).await;
    client.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn obey(global: &Global, client: &Client, command: DelegationCommand) -> Result<()> {
    match command {
        DelegationCommand::List { mailbox, user } => {
            let ask = match (&mailbox, &user) {
                (Some(mailbox), _) => Ask::get(&["mailboxes", mailbox, "delegations"])?,
                (None, user) => Ask::get(&["users", user.as_deref().unwrap_or_default(), "delegations"])?,
            };
            print::many(global, COLUMNS, client.list(&ask, None).await?);
        }
        DelegationCommand::Show(pair) => print::one(global, &client.get(&pair.segments()).await?),
        DelegationCommand::Give { pair, terms } => {
            let mut new = terms.members();
            new.insert(named(&pair.user).to_owned(), pair.user.as_str().into());
            let given =
                client.post(&["mailboxes", &pair.mailbox, "delegations"], &Value::Object(new)).await?;
            print::one(global, &given.value);
        }
        DelegationCommand::Change { pair, terms, force } => {
            let ask = Ask::patch(&pair.segments())?.query("force", force.then_some(true));
            let changed = client.as_it_is(&ask.json(&Value::Object(terms.members()))).await?;
            print::one(global, &changed);
        }
        DelegationCommand::Take { pair, force } => {
            let ask = Ask::delete(&pair.segments())?.query("force", force.then_some(true));
            client.as_it_is(&ask).await?;
            print::done(global, &json!({"mailbox": pair.mailbox, "user": pair.user, "taken": true}));
        }
    }
    Ok(())
}

/// By which member a person is named: eleven digits are an RPPS number, fewer a number of ours, anything else is a login.
fn named(user: &str) -> &'static str {
    match user.bytes().all(|octet| octet.is_ascii_digit()) {
        true if user.len() == 11 => "rpps",
        true => "userId",
        false => "login",
    }
}
