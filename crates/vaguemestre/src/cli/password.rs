//! `vaguemestre password`.

use super::client::{Ask, Client};
use super::instant::{Until, until};
use super::{Global, print};
use anyhow::Result;
use clap::Subcommand;
use serde_json::{Map, Value, json};
use std::process::ExitCode;

const COLUMNS: &[(&str, &str)] = &[
    ("ID", "/id"),
    ("LABEL", "/label"),
    ("MAILBOX", "/mailbox"),
    ("PROTOCOLS", "/protocols"),
    ("MADE", "/createdAt"),
    ("UNTIL", "/expiresAt"),
    ("LAST USED", "/lastUsedAt"),
];

#[derive(Subcommand)]
pub(super) enum PasswordCommand {
    /// List the application passwords of a person, never their secrets.
    List {
        /// Login, RPPS number or number of the person.
        user: String,
    },
    /// Make an application password for a person. It is shown this once, on standard output.
    Create {
        /// Login, RPPS number or number of the person.
        user: String,
        /// What it is for: another label than those in force.
        #[arg(long)]
        label: String,
        /// Address or number of the one mailbox that it opens; without it, all that the person may open.
        #[arg(long)]
        mailbox: Option<String>,
        /// A protocol by which it lets in, as often as there are; without it, all.
        #[arg(long, value_parser = ["imap", "submission", "rest"])]
        protocol: Vec<String>,
        /// The end: 2027-01-31 (that day included, UTC), 2027-01-31T18:00:00Z, or `none`.
        #[arg(long, value_name = "DATE", value_parser = until)]
        until: Option<Until>,
    },
    /// Revoke an application password. Sessions that rest on it end within five seconds.
    Revoke {
        /// Login, RPPS number or number of the person.
        user: String,
        /// Its id.
        id: String,
    },
}

pub(super) async fn run(global: &Global, command: PasswordCommand) -> Result<ExitCode> {
    let client = Client::open(global).await?;
    let done = obey(global, &client, command).await;
    client.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn obey(global: &Global, client: &Client, command: PasswordCommand) -> Result<()> {
    match command {
        PasswordCommand::List { user } => {
            let ask = Ask::get(&["users", &user, "passwords"])?;
            print::many(global, COLUMNS, client.list(&ask, None).await?);
        }
        PasswordCommand::Create { user, label, mailbox, protocol, until } => {
            let members = [
                ("label", Some(Value::from(label))),
                ("mailbox", mailbox.map(Value::from)),
                ("protocols", (!protocol.is_empty()).then(|| Value::from(protocol))),
                ("expiresAt", until.map(|Until(at)| at)),
            ];
            let members = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
            let new = Value::Object(members.collect::<Map<_, _>>());
            print::one(global, &client.post(&["users", &user, "passwords"], &new).await?.value);
        }
        PasswordCommand::Revoke { user, id } => {
            client.ask(&Ask::delete(&["users", &user, "passwords", &id])?).await?;
            print::done(global, &json!({"user": user, "id": id, "revoked": true}));
        }
    }
    Ok(())
}
