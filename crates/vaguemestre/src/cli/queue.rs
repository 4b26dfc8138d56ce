//! `vaguemestre queue`.

use super::{Global, print};
use anyhow::{Context, Result};
use clap::Subcommand;
use mail_types::QueueId;
use serde_json::{Value, json};
use std::process::ExitCode;
use store::{QueueRow, Store};

const PAGE: u32 = 1000;

#[derive(Subcommand)]
pub(super) enum QueueCommand {
    /// List recipients that wait.
    List {
        /// Those that are finished too.
        #[arg(long)]
        all: bool,
    },
    /// Show one.
    Show {
        /// Its id.
        id: i64,
    },
    /// Try one now, or all without an id.
    Retry {
        /// Its id.
        id: Option<i64>,
    },
}

pub(super) async fn run(global: &Global, command: QueueCommand) -> Result<ExitCode> {
    let (_, store) = global.open().await?;
    match command {
        QueueCommand::List { all } => list(global, &store, all).await?,
        QueueCommand::Show { id } => {
            let row = store
                .queue_entry(QueueId(id))
                .await?
                .with_context(|| format!("there is no queue entry {id}"))?;
            if global.json { print::json(&as_json(&row)) } else { show(&row) }
        }
        QueueCommand::Retry { id } => {
            let count = store.retry_now(id.map(QueueId)).await?;
            if let (Some(id), 0) = (id, count) {
                anyhow::bail!("queue entry {id} is not waiting; `queue list --all` shows what became of it");
            }
            if global.json {
                print::json(&json!({"due": count}));
            } else {
                print::line(&format!("{count} due now; a running `serve` tries them within two seconds"));
            }
        }
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

async fn list(global: &Global, store: &Store, all: bool) -> Result<()> {
    let mut rows: Vec<QueueRow> = Vec::new();
    loop {
        let after = rows.last().map_or(QueueId(0), |row| row.id);
        let page = store.queue(after, PAGE, all).await?;
        let is_last = page.len() < PAGE as usize;
        rows.extend(page);
        if is_last {
            break;
        }
    }
    if global.json {
        print::json(&Value::Array(rows.iter().map(as_json).collect()));
        return Ok(());
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            vec![
                row.id.to_string(),
                state(row),
                row.attempts.to_string(),
                message::date::rfc5322(row.next_attempt_at),
                row.recipient.clone(),
                row.last_reply.clone().unwrap_or_default(),
            ]
        })
        .collect();
    print::table(&["ID", "STATE", "ATTEMPTS", "NEXT ATTEMPT", "RECIPIENT", "LAST REPLY"], &cells);
    Ok(())
}

fn show(row: &QueueRow) {
    let rows = [
        ("id", row.id.to_string()),
        ("message", row.unit.to_string()),
        ("state", state(row)),
        ("sender", row.reverse_path.clone()),
        ("recipient", row.recipient.clone()),
        ("attempts", row.attempts.to_string()),
        ("created", message::date::rfc5322(row.created_at)),
        ("next attempt", message::date::rfc5322(row.next_attempt_at)),
        ("expires", message::date::rfc5322(row.expires_at)),
        ("last reply", row.last_reply.clone().unwrap_or_else(|| "-".to_owned())),
    ];
    rows.iter().for_each(|(key, value)| print::line(&format!("{key:<12} {value}")));
}

/// `held (departure)`.
fn state(row: &QueueRow) -> String {
    let held_for = row.held_for.map(|held_for| format!(" ({})", held_for.as_str())).unwrap_or_default();
    format!("{}{held_for}", row.state.as_str())
}

fn as_json(row: &QueueRow) -> Value {
    json!({
        "id": row.id.0, "message": row.unit.to_string(), "state": row.state.as_str(), "sender": row.reverse_path, "recipient": row.recipient,
        "attempts": row.attempts, "created_at_ms": row.created_at.0, "next_attempt_at_ms": row.next_attempt_at.0,
        "expires_at_ms": row.expires_at.0, "last_reply": row.last_reply, "held_for": row.held_for.map(store::HeldFor::as_str),
    })
}
