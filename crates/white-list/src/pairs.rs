//! The text form: one pair a line, `DOMAIN;SUBJECT-DN`, with `#` comments. It is believed because of where it comes from.

use policy::{LineFault, WhiteList};

use crate::{BAD_ENTRIES_MAX, ENTRIES_MAX, EntryFault, EntryFaultCause, ListFault};

/// Reads the text form. Here every bad line is forgiven up to [`BAD_ENTRIES_MAX`]: a person writes this list by hand, and sees the report.
pub fn read(bytes: &[u8]) -> Result<(WhiteList, Vec<EntryFault>), ListFault> {
    let text = std::str::from_utf8(bytes).map_err(|_| ListFault::NotUtf8)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (list, faults) = WhiteList::parse(text);
    let entries = list.pair_count() + faults.len();
    if entries > ENTRIES_MAX {
        return Err(ListFault::TooMany("entries"));
    }
    let faults: Vec<_> = faults.iter().map(|fault| entry_fault(text, fault)).collect();
    if let Some(first) = faults.first().filter(|_| faults.len() > BAD_ENTRIES_MAX) {
        return Err(ListFault::TooManyBadEntries { bad: faults.len(), entries, first: first.clone() });
    }
    if list.pair_count() == 0 {
        return Err(ListFault::NoDomain);
    }
    Ok((list, faults))
}

fn entry_fault(text: &str, fault: &LineFault) -> EntryFault {
    let line = text.lines().nth(fault.line.saturating_sub(1)).unwrap_or_default();
    let name = line.split(';').next().unwrap_or_default().trim().chars().take(80).collect();
    EntryFault { line: fault.line, name, cause: EntryFaultCause::Pair }
}
