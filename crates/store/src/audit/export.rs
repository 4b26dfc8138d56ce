//! Export: rows oldest first, personal fields opened, as CSV or JSON Lines. The last line is a signature over all before it, that the command alone verifies.
//!
//! The text comes a piece at a time, so that memory stays bounded whatever the trail's length.

use super::ids::{hexadecimal, octets};
use super::search::{Opened, Order};
use super::{AuditEntry, AuditFilter, AuditKey, AuditPlace, AuditRow, Category};
use crate::{Error, Store};
use aws_lc_rs::digest::{Context, SHA256};
use mail_types::{Timestamp, UnknownWord};
use serde_json::{Map, Value, json};

/// Rows of one piece.
const PAGE: u32 = 1_000;
/// What a signature says that it is.
const FORMAT: &str = "vaguemestre audit export 1";
/// How the last line of a CSV export begins.
const CSV_SIGNATURE: &str = "signature;";

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// Fields between semicolons, lines ended by CRLF, UTF-8 with a byte order mark: what a French spreadsheet opens.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

impl ExportFormat {
    /// The word of the command line and the API; also how such a file's name ends.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
        }
    }
}

impl std::str::FromStr for ExportFormat {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "csv" => Ok(Self::Csv),
            "jsonl" => Ok(Self::JsonLines),
            _ => Err(UnknownWord { word: word.to_owned(), expected: "csv, jsonl" }),
        }
    }
}

/// What the operator's key signs of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportSignature {
    /// SHA-256 of the exported octets.
    pub sha256: [u8; 32],
    /// How many octets.
    pub octets: u64,
    /// How many rows.
    pub rows: u64,
    /// When it was made, milliseconds since 1970.
    pub at_ms: i64,
    /// The public key.
    pub key: AuditKey,
    /// Ed25519 over the statement.
    pub signature: Vec<u8>,
}

/// Why an export does not verify.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// The last line is no signature.
    #[error("its last line is not the signature of an audit export: the file was cut off, or is none")]
    Unsigned,
    /// The exported text was changed.
    #[error("the file is not the one that was signed: it was changed after the export")]
    Changed,
    /// The statement was not signed by the key that it names.
    #[error("the signature is not of the key that it names")]
    Forged,
    /// It was signed by another key than the one given.
    #[error("it was signed by the key {0}, not by the one given")]
    OtherKey(String),
}

impl ExportSignature {
    fn statement(&self) -> String {
        let (sha256, key) = (hexadecimal(&self.sha256), self.key.hexadecimal());
        format!(
            "{FORMAT}\nsha256 {sha256}\noctets {}\nrows {}\nat_ms {}\nkey {key}\n",
            self.octets, self.rows, self.at_ms
        )
    }

    /// The last line of an export.
    fn line(&self, format: ExportFormat) -> String {
        let value = json!({
            "format": FORMAT,
            "sha256": hexadecimal(&self.sha256),
            "octets": self.octets,
            "rows": self.rows,
            "atMs": self.at_ms,
            "key": self.key.hexadecimal(),
            "keyId": self.key.id(),
            "signature": hexadecimal(&self.signature),
        });
        match format {
            ExportFormat::Csv => format!("{CSV_SIGNATURE}{}\r\n", csv_cell(&value.to_string())),
            ExportFormat::JsonLines => format!("{}\n", json!({ "signature": value })),
        }
    }

    /// Reads the last line of an export.
    fn read(line: &str) -> Option<Self> {
        let line = line.trim_end_matches(['\r', '\n']);
        let value: Value = match line.strip_prefix(CSV_SIGNATURE) {
            Some(cell) => {
                let cell = cell.strip_prefix('"')?.strip_suffix('"')?.replace("\"\"", "\"");
                serde_json::from_str(&cell).ok()?
            }
            None => serde_json::from_str::<Value>(line).ok()?.get("signature")?.clone(),
        };
        let word = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        let number = |name: &str| value.get(name).and_then(Value::as_u64);
        (word("format") == FORMAT).then_some(())?;
        Some(Self {
            sha256: octets(word("sha256"))?,
            octets: number("octets")?,
            rows: number("rows")?,
            at_ms: value.get("atMs").and_then(Value::as_i64)?,
            key: AuditKey::read(word("key"))?,
            signature: octets::<64>(word("signature"))?.to_vec(),
        })
    }

    /// Whether it stands for these octets, signed by `key`, or by the key that it names if none is given.
    ///
    /// # Errors
    /// [`ExportError`].
    fn verify(&self, sha256: &[u8; 32], octets: u64, key: Option<AuditKey>) -> Result<(), ExportError> {
        if key.is_some_and(|key| key != self.key) {
            return Err(ExportError::OtherKey(self.key.id()));
        }
        if !self.key.verifies(self.statement().as_bytes(), &self.signature) {
            return Err(ExportError::Forged);
        }
        if self.sha256 != *sha256 || self.octets != octets {
            return Err(ExportError::Changed);
        }
        Ok(())
    }
}

/// Octets that the last line of an export may have.
const LINE_MAX: usize = 8 * 1024;

/// Reads an export a piece at a time, and says whether it stands.
pub struct ExportVerifier {
    digest: Context,
    octets: u64,
    /// The last octets that came: among them is the last line.
    tail: Vec<u8>,
}

impl std::fmt::Debug for ExportVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ExportVerifier({} octets)", self.octets)
    }
}

impl Default for ExportVerifier {
    fn default() -> Self {
        Self { digest: Context::new(&SHA256), octets: 0, tail: Vec::new() }
    }
}

impl ExportVerifier {
    /// Takes the next octets.
    pub fn push(&mut self, octets: &[u8]) {
        self.tail.extend(octets);
        if self.tail.len() > LINE_MAX {
            self.take(self.tail.len() - LINE_MAX);
        }
    }

    fn take(&mut self, count: usize) {
        self.octets += count as u64;
        let taken: Vec<u8> = self.tail.drain(..count).collect();
        self.digest.update(&taken);
    }

    /// Whether what came is an export signed by `key`, or by the key that it names if none is given: then its reader compares the key.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn finish(mut self, key: Option<AuditKey>) -> Result<ExportSignature, ExportError> {
        let end = self.tail.strip_suffix(b"\n").ok_or(ExportError::Unsigned)?;
        let begin = end.iter().rposition(|octet| *octet == b'\n').map_or(0, |at| at + 1);
        let line = std::str::from_utf8(&self.tail[begin..]).map_err(|_| ExportError::Unsigned)?;
        let signature = ExportSignature::read(line).ok_or(ExportError::Unsigned)?;
        self.take(begin);
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.digest.finish().as_ref());
        signature.verify(&sha256, self.octets, key)?;
        Ok(signature)
    }
}

/// An export under way.
pub struct AuditExport {
    store: Store,
    filter: AuditFilter,
    format: ExportFormat,
    after: Option<AuditPlace>,
    state: State,
    digest: Context,
    octets: u64,
    rows: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Begun,
    Going,
    Ended,
}

impl std::fmt::Debug for AuditExport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AuditExport({} rows)", self.rows)
    }
}

impl Store {
    /// Begins an export. That somebody exports, and what, is itself a row of the trail, written before this returns.
    ///
    /// # Errors
    /// The row could not be written.
    pub async fn export_audit(
        &self,
        filter: AuditFilter,
        format: ExportFormat,
    ) -> Result<AuditExport, Error> {
        // Rows that are written while it goes on are not part of it, or it would tell of itself.
        let now = self.now();
        let to: Timestamp = filter.to.filter(|to| to.0 < now.0).unwrap_or(now);
        let filter = AuditFilter { to: Some(to), ..filter };
        let detail = format!("format={}", format.as_str());
        let entry = AuditEntry {
            mailbox: filter.mailbox,
            detail,
            ..AuditEntry::new(Category::Access, "audit.exported")
        };
        let entry = filter.tell(entry);
        self.record_audit(vec![entry]).await?;
        Ok(AuditExport {
            store: self.clone(),
            filter,
            format,
            after: None,
            state: State::Begun,
            digest: Context::new(&SHA256),
            octets: 0,
            rows: 0,
        })
    }
}

impl AuditExport {
    /// The next piece of text; `None` at the end.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn next(&mut self) -> Result<Option<String>, Error> {
        let piece = match self.state {
            State::Ended => return Ok(None),
            State::Begun => {
                self.state = State::Going;
                if self.format == ExportFormat::Csv { csv_head() } else { String::new() }
            }
            State::Going => self.page().await?,
        };
        self.digest.update(piece.as_bytes());
        self.octets += piece.len() as u64;
        Ok(Some(piece))
    }

    async fn page(&mut self) -> Result<String, Error> {
        let page = self.store.audit_page(&self.filter, self.after, PAGE, Order::OldestFirst).await?;
        self.after = page.next;
        self.rows += page.rows.len() as u64;
        if page.next.is_none() {
            self.state = State::Ended;
        }
        let line = if self.format == ExportFormat::Csv { csv_line } else { json_line };
        Ok(page.rows.iter().map(line).collect())
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The last line: the signature over all that came before.
    pub fn sign(self) -> String {
        let format = self.format;
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.digest.finish().as_ref());
        let signer = self.store.keyring().signer();
        let mut signature = ExportSignature {
            sha256,
            octets: self.octets,
            rows: self.rows,
            at_ms: self.store.now().0,
            key: signer.key(),
            signature: Vec::new(),
        };
        signature.signature = signer.sign(signature.statement().as_bytes());
        signature.line(format)
    }
}

/// Names of the columns, in their order.
const COLUMNS: [&str; 17] = [
    "at",
    "category",
    "action",
    "outcome",
    "actor",
    "credential",
    "via",
    "target",
    "mailbox",
    "unit",
    "request",
    "detail",
    "whence",
    "why",
    "personal",
    "row",
    "hash",
];

fn csv_head() -> String {
    format!("\u{feff}{}\r\n", COLUMNS.join(";"))
}

fn csv_line(row: &AuditRow) -> String {
    let (whence, why, personal) = match &row.personal {
        Opened::Nothing => Default::default(),
        Opened::Erased => (String::new(), String::new(), "erased".to_owned()),
        Opened::Damaged => (String::new(), String::new(), "damaged".to_owned()),
        Opened::Fields(fields) => {
            let word = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let rest: Map<String, Value> = fields
                .iter()
                .filter(|(name, _)| *name != "whence" && *name != "why")
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            let rest = if rest.is_empty() { String::new() } else { Value::Object(rest).to_string() };
            (word("whence"), word("why"), rest)
        }
    };
    let id = |id: Option<i64>| id.map(|id| id.to_string()).unwrap_or_default();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let cells = [
        instant(row.place.at_ms),
        row.category.clone(),
        row.action.clone(),
        row.outcome.clone(),
        id(row.actor.map(|id| id.0)),
        text(&row.credential),
        text(&row.via),
        text(&row.target),
        id(row.mailbox.map(|id| id.0)),
        row.unit.map(|unit| unit.to_string()).unwrap_or_default(),
        text(&row.request),
        row.detail.clone(),
        whence,
        why,
        personal,
        format!("{}.{}", row.place.chain, row.place.seq),
        hexadecimal(&row.hash),
    ];
    let mut line = cells.map(|cell| csv_cell(&cell)).join(";");
    line.push_str("\r\n");
    line
}

/// RFC 3339, UTC, to the millisecond.
fn instant(at_ms: i64) -> String {
    let nanos = i128::from(at_ms) * 1_000_000;
    let at =
        time::OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let (hour, minute, second, milli) = at.to_hms_milli();
    let (year, month, day) = at.to_calendar_date();
    format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z", u8::from(month))
}

/// A cell that a spreadsheet shows as it is: one that it would take for a formula begins with an apostrophe.
fn csv_cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([';', '"', '\r', '\n', ',']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

fn json_line(row: &AuditRow) -> String {
    format!("{}\n", row.json())
}

impl AuditRow {
    /// The row as JSON: what the API, the command line and exports show.
    pub fn json(&self) -> Value {
        let personal = match &self.personal {
            Opened::Nothing => Value::Null,
            Opened::Fields(fields) => Value::Object(fields.clone()),
            Opened::Erased => json!({"erased": true}),
            Opened::Damaged => json!({"damaged": true}),
        };
        json!({
            "at": instant(self.place.at_ms),
            "chain": self.place.chain.to_string(),
            "seq": self.place.seq,
            "category": self.category,
            "action": self.action,
            "outcome": self.outcome,
            "actor": self.actor.map(|id| id.to_string()),
            "credential": self.credential,
            "via": self.via,
            "target": self.target,
            "mailbox": self.mailbox.map(|id| id.to_string()),
            "unit": self.unit.map(|unit| unit.to_string()),
            "request": self.request,
            "detail": self.detail,
            "personal": personal,
            "hash": hexadecimal(&self.hash),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula() {
        for text in ["=1+1", "+33", "-1", "@SUM(A1)", "\tx", "\r=1"] {
            assert!(csv_cell(text).trim_start_matches('"').starts_with('\''), "{text:?}");
        }
        assert_eq!(csv_cell("a;\"b\""), "\"a;\"\"b\"\"\"");
        assert_eq!(csv_cell("plain"), "plain");
    }
}
