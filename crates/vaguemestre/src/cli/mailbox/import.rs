//! `vaguemestre mailbox import`: many mailboxes from a CSV file. Every line is tried; those at fault are reported with their number.

use super::super::client::Client;
use super::super::quantity::octets;
use super::super::{Global, print};
use super::asked::{Asked, Identity};
use anyhow::{Context, Result, bail};
use mail_types::Secret;
use serde_json::json;
use std::path::Path;

/// Lines in one file, at most.
const LINES_MAX: usize = 1_000_000;
/// What a column can be called.
const COLUMNS: [&str; 17] = [
    "address",
    "kind",
    "owner",
    "quota",
    "password",
    "rpps",
    "adeli",
    "first-name",
    "last-name",
    "profession",
    "specialty",
    "finess",
    "siret",
    "organization",
    "department",
    "application",
    "description",
];

pub(super) async fn run(global: &Global, client: &Client, file: &Path) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let delimiter = if text.lines().next().unwrap_or_default().contains(';') { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(text.as_bytes());
    let headings = reader.headers()?.clone();
    examine(&headings)?;
    let (mut created, mut unchanged, mut faults) = (0u64, 0u64, Vec::new());
    for record in reader.records().take(LINES_MAX) {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        match one(client, &headings, &record).await {
            Ok(true) => created += 1,
            Ok(false) => unchanged += 1,
            Err(error) => faults.push((line, format!("{error:#}"))),
        }
    }
    report(global, created, unchanged, &faults);
    if faults.is_empty() {
        Ok(())
    } else {
        bail!("{} lines were not imported; correct them and import the file again", faults.len())
    }
}

fn report(global: &Global, created: u64, unchanged: u64, faults: &[(u64, String)]) {
    if global.json {
        let list: Vec<_> = faults.iter().map(|(line, fault)| json!({"line": line, "fault": fault})).collect();
        print::json(&json!({"created": created, "unchanged": unchanged, "faults": list}));
    } else {
        print::line(&format!("created {created}, unchanged {unchanged}, at fault {}", faults.len()));
        faults.iter().for_each(|(line, fault)| print::line(&format!("line {line}: {fault}")));
    }
}

fn examine(headings: &csv::StringRecord) -> Result<()> {
    let is_known = |heading: &str| COLUMNS.iter().any(|name| heading.eq_ignore_ascii_case(name));
    if let Some(unknown) = headings.iter().find(|heading| !is_known(heading)) {
        bail!("the column `{unknown}` is not known; the columns are {}", COLUMNS.join(", "));
    }
    for needed in ["address", "kind"] {
        let is_there = headings.iter().any(|heading| heading.eq_ignore_ascii_case(needed));
        is_there.then_some(()).with_context(|| format!("there is no column `{needed}`"))?;
    }
    Ok(())
}

async fn one(client: &Client, headings: &csv::StringRecord, record: &csv::StringRecord) -> Result<bool> {
    let cell = |name: &str| {
        let at = headings.iter().position(|heading| heading.eq_ignore_ascii_case(name))?;
        record.get(at).filter(|cell| !cell.is_empty()).map(str::to_owned)
    };
    let asked = Asked {
        address: cell("address").context("no address")?,
        kind: cell("kind").context("no kind")?.parse().context("kind")?,
        owner: cell("owner"),
        quota: cell("quota").map(|quota| octets(&quota)).transpose()?,
        identity: Identity {
            rpps: cell("rpps"),
            adeli: cell("adeli"),
            first_name: cell("first-name"),
            last_name: cell("last-name"),
            profession: cell("profession"),
            specialty: cell("specialty"),
            finess: cell("finess"),
            siret: cell("siret"),
            organization: cell("organization"),
            department: cell("department"),
            application: cell("application"),
            description: cell("description"),
        },
        delegate: Vec::new(),
        hide: false,
        request: false,
        pending: false,
    };
    asked.make(client, cell("password").map(Secret::new)).await.map(|(_, is_new)| is_new)
}
