//! What commands print: aligned columns for people, JSON for programs.

use serde_json::Value;
use std::io::Write;

/// Prints one JSON value.
pub(super) fn json(value: &Value) {
    line(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// Prints rows under headings, aligned.
pub(super) fn table(headings: &[&str], rows: &[Vec<String>]) {
    let mut widths: Vec<usize> = headings.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let print = |cells: Vec<&str>| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        line(padded.join("  ").trim_end());
    };
    print(headings.to_vec());
    for row in rows {
        print(row.iter().map(String::as_str).collect());
    }
}

/// Prints one thing of an answer, as JSON or for people.
pub(super) fn one(global: &super::Global, value: &Value) {
    if global.json { json(value) } else { members(value) }
}

/// Says in JSON what was done, where the API answers nothing.
pub(super) fn done(global: &super::Global, value: &Value) {
    if global.json {
        json(value);
    }
}

/// Prints rows of an answer, as a JSON array or for people.
pub(super) fn many(global: &super::Global, columns: &[(&str, &str)], rows: Vec<Value>) {
    if global.json { json(&Value::Array(rows)) } else { table_of(columns, &rows) }
}

/// Rows of an answer: under each heading the member that its pointer (RFC 6901) finds.
fn table_of(columns: &[(&str, &str)], rows: &[Value]) {
    let headings: Vec<&str> = columns.iter().map(|(heading, _)| *heading).collect();
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| columns.iter().map(|(_, pointer)| cell(row.pointer(pointer))).collect())
        .collect();
    table(&headings, &cells);
}

/// Prints one thing, a member a line: those of a member that has members itself under its name and theirs.
fn members(value: &Value) {
    let mut lines = Vec::new();
    flatten(String::new(), value, &mut lines);
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    lines.iter().for_each(|(name, text)| line(&format!("{name:<width$}  {text}")));
}

fn flatten(name: String, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                let name = if name.is_empty() { member.clone() } else { format!("{name}.{member}") };
                flatten(name, value, lines);
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for (index, item) in items.iter().enumerate() {
                flatten(format!("{name}.{index}"), item, lines);
            }
        }
        other => lines.push((name, cell(Some(other)))),
    }
}

/// A value in a table: what is absent is a hyphen.
pub(super) fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(true)) => "yes".to_owned(),
        Some(Value::Bool(false)) => "no".to_owned(),
        Some(Value::Array(items)) => {
            let cells: Vec<String> = items.iter().map(|item| cell(Some(item))).collect();
            if cells.is_empty() { "-".to_owned() } else { cells.join(", ") }
        }
        Some(other) => other.to_string(),
    }
}

/// Octets in hexadecimal.
pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Prints a line; a reader that went away (`| head`) wants no more.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints octets as they are; a reader that went away wants no more.
pub(super) fn octets(octets: &[u8]) -> std::io::Result<()> {
    match std::io::stdout().write_all(octets) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Tells on standard error why a command ended without success.
pub(super) fn complaint(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
