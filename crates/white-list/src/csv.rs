//! The list as lines of `domaine;type;finess;date_ajout`, with an optional fifth column `certificat`. It is believed because of where it comes from.
//!
//! # Whom it trusts
//!
//! A line with a certificate (its subject's distinguished name) lists that certificate, as the national list does. A line without one
//! names only a structure, by its FINESS number. The domain is then listed for every certificate whose subject has `OU=1` and that number:
//! the health PKI writes this unit into the certificates of a structure after it verified the number, and into no other's. This trusts every
//! certificate of that structure, those of its applications included, and nobody else. It never trusts a name under the domain, which
//! any holder of a DNS name could obtain. Who wants the narrower trust adds the column.

use ::csv::{ReaderBuilder, StringRecord, Trim};
use mail_types::Timestamp;
use policy::WhiteList;

use crate::date::day;
use crate::entries::{Entries, Written};
use crate::{EntryFault, EntryFaultCause, ListFault};

const COLUMNS: [&str; 4] = ["domaine", "type", "finess", "date_ajout"];
const CERTIFICATE: &str = "certificat";
const EXPECTED: &str = "the header domaine;type;finess;date_ajout, with or without certificat";

/// Digits or letters of a FINESS number.
const FINESS_LENGTH: usize = 9;

/// Reads the lines. The first is the header, which may be written as a comment (`# Format: domaine;…`); other lines that begin with `#` are passed
/// over, as is a line whose date of addition lies after `now`. A byte order mark and CRLF line ends are read.
pub fn read(bytes: &[u8], now: Timestamp) -> Result<(WhiteList, Vec<EntryFault>), ListFault> {
    let text = std::str::from_utf8(bytes).map_err(|_| ListFault::NotUtf8)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = ReaderBuilder::new()
        .delimiter(b';')
        .has_headers(false)
        .flexible(true)
        .quoting(false)
        .trim(Trim::All)
        .from_reader(text.as_bytes());
    let mut records = reader.records();
    let header = records.next().and_then(Result::ok).unwrap_or_default();
    let has_certificates = header_has_certificates(&header)?;
    let mut entries = Entries::of(WhiteList::default());
    for record in records {
        let record = record.map_err(|_| ListFault::NotUtf8)?;
        if !record.get(0).is_some_and(|first| first.starts_with('#')) {
            line(&record, has_certificates, now, &mut entries)?;
        }
    }
    entries.finish()
}

fn header_has_certificates(header: &StringRecord) -> Result<bool, ListFault> {
    let mut names: Vec<_> = header.iter().map(str::to_ascii_lowercase).collect();
    if let Some(first) = names.first_mut().filter(|first| first.starts_with('#')) {
        *first = first.trim_start_matches('#').trim().trim_start_matches("format:").trim().to_owned();
    }
    match names.split_at_checked(COLUMNS.len()) {
        Some((columns, [])) if columns == COLUMNS => Ok(false),
        Some((columns, [certificate])) if columns == COLUMNS && certificate == CERTIFICATE => Ok(true),
        _ => Err(ListFault::Schema { line: 1, expected: EXPECTED }),
    }
}

fn line(
    record: &StringRecord,
    has_certificates: bool,
    now: Timestamp,
    entries: &mut Entries,
) -> Result<(), ListFault> {
    let number = record.position().map_or(0, |position| usize::try_from(position.line()).unwrap_or_default());
    let field = |column: usize| record.get(column).unwrap_or_default();
    let columns = COLUMNS.len() + usize::from(has_certificates);
    let bearer = if record.len() != columns {
        Err(EntryFaultCause::Columns)
    } else {
        match day(field(3)) {
            None => Err(EntryFaultCause::Date),
            Some(added_at) if added_at > now => return Ok(()),
            Some(_) => bearer(field(2), field(4)),
        }
    };
    entries.add(number, field(0), bearer)
}

fn bearer<'a>(finess: &str, certificate: &'a str) -> Result<Written<'a>, EntryFaultCause> {
    if !certificate.is_empty() {
        return Ok(Written::Subject(certificate));
    }
    if finess.len() == FINESS_LENGTH && finess.bytes().all(|digit| digit.is_ascii_alphanumeric()) {
        Ok(Written::Unit(format!("1{finess}")))
    } else {
        Err(EntryFaultCause::Finess)
    }
}
