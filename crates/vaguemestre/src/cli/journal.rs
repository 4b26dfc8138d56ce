//! `vaguemestre journal`.

use super::{Global, print};
use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use std::process::ExitCode;
use store::JudgementRow;

#[derive(Args)]
pub(super) struct JournalArguments {
    /// How many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

pub(super) async fn run(global: &Global, arguments: &JournalArguments) -> Result<ExitCode> {
    let (_, store) = global.open().await?;
    let rows = store.judgements(None, arguments.limit).await?;
    store.close().await;
    if global.json {
        print::json(&Value::Array(rows.iter().map(as_json).collect()));
        return Ok(ExitCode::SUCCESS);
    }
    let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
    let titles =
        ["AT", "DIRECTION", "VERDICT", "REASON", "DOMAIN", "PEER", "CERTIFICATE", "SERIAL", "TLS", "REPEATS"];
    print::table(&titles, &cells);
    Ok(ExitCode::SUCCESS)
}

fn facts(row: &JudgementRow) -> Value {
    serde_json::from_str(&row.detail).unwrap_or_else(|_| json!({"detail": row.detail}))
}

fn as_json(row: &JudgementRow) -> Value {
    let mut facts = facts(row);
    facts["written_at_ms"] = row.at.0.into();
    facts["action"] = row.action.as_str().into();
    facts["outcome"] = row.outcome.as_str().into();
    facts
}

fn cells(row: &JudgementRow) -> Vec<String> {
    let facts = facts(row);
    let word = |key: &str| match facts.get(key) {
        Some(Value::String(word)) => word.clone(),
        Some(other) => other.to_string(),
        None => "-".to_owned(),
    };
    let at = facts.get("at_ms").and_then(Value::as_i64).map_or(row.at, mail_types::Timestamp);
    vec![
        message::date::rfc5322(at),
        word("direction"),
        row.outcome.clone(),
        word("reason"),
        word("domain"),
        word("peer"),
        word("subject"),
        word("serial"),
        word("tls"),
        if row.action == "trust.judged" { word("repeats") } else { word("count") },
    ]
}
