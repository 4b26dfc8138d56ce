//! `vaguemestre mailbox import`: many mailboxes from a CSV file. Every line is tried; those at fault are reported with their number.

use super::mailbox::make;
use super::quantity::octets;
use super::{Global, print};
use anyhow::{Context, Result, bail};
use mail_types::Secret;
use serde_json::json;
use std::path::Path;
use store::{NewMailbox, Store};

/// Lines in one file, at most.
const LINES_MAX: usize = 1_000_000;

pub(super) async fn run(global: &Global, store: &Store, file: &Path, quota_default: u64) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let delimiter = if text.lines().next().unwrap_or_default().contains(';') { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(text.as_bytes());
    let columns = Columns::of(reader.headers()?)?;
    let (mut created, mut unchanged, mut faults) = (0u64, 0u64, Vec::new());
    for record in reader.records().take(LINES_MAX) {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        match one(store, &columns, &record, quota_default).await {
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

/// Where each column is.
struct Columns {
    address: usize,
    kind: usize,
    owner: Option<usize>,
    quota: Option<usize>,
    password: Option<usize>,
}

impl Columns {
    fn of(headings: &csv::StringRecord) -> Result<Self> {
        let at = |name: &str| headings.iter().position(|heading| heading.eq_ignore_ascii_case(name));
        let known = ["address", "kind", "owner", "quota", "password"];
        if let Some(unknown) =
            headings.iter().find(|heading| !known.iter().any(|name| heading.eq_ignore_ascii_case(name)))
        {
            bail!("the column `{unknown}` is not known; the columns are {}", known.join(", "));
        }
        Ok(Self {
            address: at("address").context("there is no column `address`")?,
            kind: at("kind").context("there is no column `kind`")?,
            owner: at("owner"),
            quota: at("quota"),
            password: at("password"),
        })
    }
}

async fn one(
    store: &Store,
    columns: &Columns,
    record: &csv::StringRecord,
    quota_default: u64,
) -> Result<bool> {
    let cell = |at: usize| record.get(at).filter(|cell| !cell.is_empty());
    let new = NewMailbox {
        address: cell(columns.address).context("no address")?.parse().context("address")?,
        kind: cell(columns.kind).context("no kind")?.parse().context("kind")?,
        owner: columns.owner.and_then(cell).map(str::to_owned),
        quota_bytes: columns.quota.and_then(cell).map_or(Ok(quota_default), octets)?,
    };
    let password = columns.password.and_then(cell).map(|password| Secret::new(password.to_owned()));
    make(store, new, password).await.map(|(_, is_new)| is_new)
}
