//! `vaguemestre key`.

use super::client::{Ask, Client};
use super::instant::{Until, until};
use super::{Global, print};
use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::process::ExitCode;

const COLUMNS: &[(&str, &str)] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("PREFIX", "/prefix"),
    ("ROLES", "/roles"),
    ("SCOPES", "/scopes"),
    ("UNTIL", "/expiresAt"),
    ("LAST USED", "/lastUsedAt"),
];

#[derive(Subcommand)]
pub(super) enum KeyCommand {
    /// List the API keys, never their secrets.
    List,
    /// Show one.
    Show {
        /// Its id.
        id: String,
    },
    /// Make an API key. It is shown this once, on standard output.
    Create {
        /// Its name.
        name: String,
        #[command(flatten)]
        terms: KeyTerms,
    },
    /// Change one.
    Change {
        /// Its id.
        id: String,
        /// Another name.
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        terms: KeyTerms,
        /// Also when no key is left that administers the operator.
        #[arg(long)]
        force: bool,
    },
    /// Give one another secret, shown this once; the former one is worth nothing at once.
    Rotate {
        /// Its id.
        id: String,
    },
    /// Revoke one, for good.
    Revoke {
        /// Its id.
        id: String,
        /// Also when no key is left that administers the operator.
        #[arg(long)]
        force: bool,
    },
}

#[derive(Args)]
pub(super) struct KeyTerms {
    /// operator, auditor, support, or domain:NAME; as often as there are roles.
    #[arg(long, value_parser = role)]
    role: Vec<Value>,
    /// A permission that it is narrowed to, `mailboxes:read` say; as often as there are scopes.
    #[arg(long)]
    scope: Vec<String>,
    /// The end: 2027-01-31 (that day included, UTC), 2027-01-31T18:00:00Z, or `none`.
    #[arg(long, value_name = "DATE", value_parser = until)]
    until: Option<Until>,
}

/// `domain:chu-nord.example`, as the API has it.
pub(super) fn role(text: &str) -> Result<Value, String> {
    match text.split_once(':') {
        Some((role, domain)) if !domain.is_empty() => Ok(json!({"role": role, "domain": domain})),
        Some(_) => Err(format!("`{text}` is not a role; write for instance domain:chu-nord.example")),
        None => Ok(json!({"role": text})),
    }
}

impl KeyTerms {
    fn members(self) -> Map<String, Value> {
        let members = [
            ("roles", (!self.role.is_empty()).then_some(Value::Array(self.role))),
            ("scopes", (!self.scope.is_empty()).then(|| self.scope.into())),
            ("expiresAt", self.until.map(|Until(at)| at)),
        ];
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

pub(super) async fn run(global: &Global, command: KeyCommand) -> Result<ExitCode> {
    let client = Client::open(global).await?;
    let done = obey(global, &client, command).await;
    client.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn obey(global: &Global, client: &Client, command: KeyCommand) -> Result<()> {
    match command {
        KeyCommand::List => list(global, client.list(&Ask::get(&["keys"])?, None).await?),
        KeyCommand::Show { id } => print::one(global, &client.get(&["keys", &id]).await?),
        KeyCommand::Create { name, terms } => {
            let mut new = terms.members();
            new.insert("name".to_owned(), name.into());
            print::one(global, &client.post(&["keys"], &Value::Object(new)).await?.value);
        }
        KeyCommand::Change { id, name, terms, force } => {
            let mut change = terms.members();
            change.extend(name.map(|name| ("name".to_owned(), name.into())));
            let ask = Ask::patch(&["keys", &id])?.query("force", force.then_some(true));
            print::one(global, &client.as_it_is(&ask.json(&Value::Object(change))).await?);
        }
        KeyCommand::Rotate { id } => {
            print::one(global, &client.ask(&Ask::post(&["keys", &id, "rotate"])?).await?.value);
        }
        KeyCommand::Revoke { id, force } => {
            let ask = Ask::delete(&["keys", &id])?.query("force", force.then_some(true));
            client.as_it_is(&ask).await?;
            print::done(global, &json!({"id": id, "revoked": true}));
        }
    }
    Ok(())
}

fn list(global: &Global, mut rows: Vec<Value>) {
    if !global.json {
        for row in &mut rows {
            let roles: Vec<String> = row["roles"].as_array().into_iter().flatten().map(written).collect();
            row["roles"] = roles.into();
        }
    }
    print::many(global, COLUMNS, rows);
}

/// A role as `--role` takes it.
fn written(role: &Value) -> String {
    let word = role["role"].as_str().unwrap_or_default();
    role["domain"].as_str().map_or_else(|| word.to_owned(), |domain| format!("{word}:{domain}"))
}
