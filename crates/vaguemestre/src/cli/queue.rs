//! `vaguemestre queue`.

use super::client::{Ask, Client};
use super::{Global, print};
use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::process::ExitCode;

#[derive(Subcommand)]
pub(super) enum QueueCommand {
    /// List recipients that wait.
    List {
        /// Those that are finished too.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        which: Which,
        /// createdAt or nextAttemptAt.
        #[arg(long, value_name = "MEMBER")]
        sort: Option<String>,
        /// How many, at most.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Show one.
    Show {
        /// Its id.
        id: String,
    },
    /// Try one now, or all that wait without an id.
    Retry(Target),
    /// Hold one until it is released, or all that wait without an id.
    Hold(Target),
    /// Release one that is held, or all without an id.
    Release(Target),
    /// Take one out of the queue: it does not reach its recipient. `--reason` is required.
    Drop {
        /// Its id.
        id: String,
        /// Do not tell the sender.
        #[arg(long)]
        no_notify: bool,
    },
}

#[derive(Args)]
pub(super) struct Target {
    /// Its id.
    #[arg(conflicts_with_all = ["domain", "sender_mailbox", "state", "held_for"])]
    id: Option<String>,
    #[command(flatten)]
    which: Which,
}

/// Those that match everything that is given.
#[derive(Args)]
pub(super) struct Which {
    /// To this domain.
    #[arg(long)]
    domain: Option<String>,
    /// From the mailbox with this id.
    #[arg(long, value_name = "ID")]
    sender_mailbox: Option<String>,
    /// queued, deferred, held; finished ones are relayed, bounced, expired, dropped.
    #[arg(long)]
    state: Option<String>,
    /// Held for: departure, fault, administrator.
    #[arg(long, value_name = "CAUSE")]
    held_for: Option<String>,
}

impl Which {
    fn members(self) -> [(&'static str, Option<String>); 4] {
        [
            ("domain", self.domain),
            ("senderMailboxId", self.sender_mailbox),
            ("state", self.state),
            ("heldFor", self.held_for),
        ]
    }
}

pub(super) async fn run(global: &Global, command: QueueCommand) -> Result<ExitCode> {
    let client = Client::open(global).await?;
    let done = obey(global, &client, command).await;
    client.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn obey(global: &Global, client: &Client, command: QueueCommand) -> Result<()> {
    match command {
        QueueCommand::List { all, which, sort, limit } => {
            let mut ask = Ask::get(&["queue"])?.query("all", all.then_some(true)).query("sort", sort);
            for (name, value) in which.members() {
                ask = ask.query(name, value);
            }
            list(global, client.list(&ask, limit).await?);
        }
        QueueCommand::Show { id } => print::one(global, &client.get(&["queue", &id]).await?),
        QueueCommand::Retry(target) => act(global, client, "retry", target).await?,
        QueueCommand::Hold(target) => act(global, client, "hold", target).await?,
        QueueCommand::Release(target) => act(global, client, "release", target).await?,
        QueueCommand::Drop { id, no_notify } => {
            let ask = Ask::delete(&["queue", &id])?.query("notify", no_notify.then_some(false));
            client.ask(&ask).await?;
            print::done(global, &json!({"id": id, "state": "dropped"}));
        }
    }
    Ok(())
}

fn list(global: &Global, mut rows: Vec<Value>) {
    if !global.json {
        rows.iter_mut().for_each(|row| row["state"] = state(row).into());
    }
    let columns = [
        ("ID", "/id"),
        ("STATE", "/state"),
        ("ATTEMPTS", "/attempts"),
        ("NEXT ATTEMPT", "/nextAttemptAt"),
        ("RECIPIENT", "/recipient"),
        ("LAST REPLY", "/lastReply"),
    ];
    print::many(global, &columns, rows);
}

/// `held (departure)`.
fn state(row: &Value) -> String {
    let state = row["state"].as_str().unwrap_or_default();
    row["heldFor"].as_str().map_or_else(|| state.to_owned(), |held_for| format!("{state} ({held_for})"))
}

async fn act(global: &Global, client: &Client, act: &str, target: Target) -> Result<()> {
    let answer = match target.id {
        Some(id) => client.ask(&Ask::post(&["queue", &id, act])?).await?,
        None => {
            let members = target.which.members().into_iter();
            let members = members.filter_map(|(name, value)| Some((name.to_owned(), Value::String(value?))));
            client.post(&["queue", act], &Value::Object(members.collect::<Map<_, _>>())).await?
        }
    };
    if global.json {
        print::json(&answer.value);
    } else if let Some(count) = answer.value["entries"].as_u64() {
        print::line(&format!("{act}: {count}; a running `serve` obeys within two seconds"));
    } else {
        print::one(global, &answer.value);
    }
    Ok(())
}
