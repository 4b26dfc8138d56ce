//! The list as lines of `domaine;type;finess;date_ajout`, with an optional fifth column `certificat`. It is believed because of where it comes from.
//!
//! # Whom it trusts
//!
//! A line with a certificate (its subject's distinguished name) lists that certificate, as the national list does. A line without one
//! names only a structure, by its FINESS number. The domain is then listed for every certificate whose subject has `OU=1` and that number:
//! the health PKI writes this unit into the certificates of a structure after it verified the number, and into no other's. This trusts every
//! certificate of that structure, those of its applications included, and nobody else. It never trusts a name under the domain, which
//! any holder of a DNS name could obtain. Who wants the narrower trust adds the column.
//!
//! Quotes have no meaning for the lines, because names hold them: a semicolon inside a name is written `\3B`.

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
    let number =
        || record.position().map_or(0, |position| usize::try_from(position.line()).unwrap_or_default());
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

#[cfg(test)]
mod tests {
    use super::*;
    use mail_types::{DistinguishedName, Domain};

    const NOW: Timestamp = Timestamp::from_secs(1_793_606_400);

    fn domain(text: &str) -> Domain {
        text.parse().unwrap()
    }

    fn dn(text: &str) -> DistinguishedName {
        text.parse().unwrap()
    }

    fn label(text: &str) -> &'static str {
        read(text.as_bytes(), NOW).map_or_else(|fault| fault.label(), |_| "taken")
    }

    #[test]
    fn a_structure_is_trusted_by_the_unit_of_its_certificates() {
        let text = "# Format: domaine;type;finess;date_ajout\n\
                    hopital.example;operateur;750000001;2024-01-15\n\
                    clinique.example;operateur;2A0000002;2024-02-20\n";
        let (list, faults) = read(text.as_bytes(), NOW).unwrap();
        assert_eq!(
            (list.domain_count(), list.pair_count(), faults.len(), list.generation()),
            (2, 2, 0, None)
        );
        let hospital = dn("CN=mx.elsewhere.example,OU=1750000001,O=HOPITAL,C=FR");
        assert!(list.lists(&domain("hopital.example"), &hospital));
        assert!(!list.lists(&domain("clinique.example"), &hospital));
        assert!(list.lists(&domain("clinique.example"), &dn("CN=x,OU=12a0000002")));
        for stranger in [
            "CN=mx.hopital.example,O=HOPITAL,C=FR",
            "CN=hopital.example,OU=3750000001",
            "CN=hopital.example,OU=750000001",
            "CN=hopital.example,O=1750000001",
            "CN=hopital.example,OU=17500000011",
        ] {
            assert!(!list.lists(&domain("hopital.example"), &dn(stranger)), "{stranger}");
        }
    }

    #[test]
    fn a_certificate_column_narrows_the_trust_to_that_certificate() {
        let text = "\u{feff}Domaine;Type;FINESS;Date_ajout;Certificat\r\n\
                    # a comment\r\n\
                    ch.example;operateur;750000001;2024-01-15;CN=a, OU=1750000001, O=\"LES  PINS\"\r\n\
                    ch.example ; operateur ; 750000001 ; 2024-01-15 ; CN=b\r\n\
                    labo.example;operateur;130000003;2024-03-10;\r\n";
        let (list, faults) = read(text.as_bytes(), NOW).unwrap();
        assert_eq!((list.domain_count(), list.pair_count(), faults.len()), (2, 3, 0));
        assert!(list.lists(&domain("ch.example"), &dn("O=LES PINS,OU=1750000001,CN=A")));
        assert!(list.lists(&domain("ch.example"), &dn("CN=b")));
        assert!(!list.lists(&domain("ch.example"), &dn("CN=c,OU=1750000001")));
        assert!(list.lists(&domain("labo.example"), &dn("CN=c,OU=1130000003")));
    }

    #[test]
    fn a_line_at_fault_is_left_out_and_named() {
        for (line, cause) in [
            ("ch example;operateur;750000001;2024-01-15", EntryFaultCause::Domain),
            ("ch.example;operateur;75000001;2024-01-15", EntryFaultCause::Finess),
            ("ch.example;operateur;;2024-01-15", EntryFaultCause::Finess),
            ("ch.example;operateur;75000000é;2024-01-15", EntryFaultCause::Finess),
            ("ch.example;operateur;750000001;15/01/2024", EntryFaultCause::Date),
            ("ch.example;operateur;750000001", EntryFaultCause::Columns),
            ("ch.example;operateur;750000001;2024-01-15;CN=a", EntryFaultCause::Columns),
        ] {
            let text = format!(
                "domaine;type;finess;date_ajout\n{line}\ngood.example;operateur;750000001;2024-01-15"
            );
            let (list, faults) = read(text.as_bytes(), NOW).unwrap();
            assert_eq!((list.pair_count(), faults.len()), (1, 1), "{line}");
            let is_domain = cause != EntryFaultCause::Domain;
            assert_eq!(list.lists_domain(&domain("ch.example")), is_domain, "{line}");
            assert_eq!((faults[0].line, faults[0].cause), (2, cause), "{line}");
        }
    }

    #[test]
    fn a_line_counts_from_its_date_on() {
        let text = "domaine;type;finess;date_ajout\nnow.example;o;750000001;2026-11-02\nthen.example;o;750000001;2026-11-03\n";
        let (list, faults) = read(text.as_bytes(), NOW).unwrap();
        assert!(list.lists_domain(&domain("now.example")) && !list.lists_domain(&domain("then.example")));
        assert_eq!(faults, []);
    }

    #[test]
    fn what_is_not_such_a_list_is_refused() {
        let header = "domaine;type;finess;date_ajout";
        assert_eq!(label(""), "schema");
        assert_eq!(label("hopital.example;operateur;750000001;2024-01-15"), "schema", "no header");
        assert_eq!(label("domaine;type;finess"), "schema");
        assert_eq!(label("domaine;type;finess;date_ajout;dn"), "schema");
        assert_eq!(label("<!DOCTYPE html><html></html>"), "schema");
        assert_eq!(label(header), "no_domain");
        assert_eq!(label(&format!("{header}\nx;y\nz;t\n")), "too_many_bad_entries");
        assert_eq!(
            read(b"domaine;type;finess;date_ajout\n\xff;o;750000001;2024-01-15", NOW),
            Err(ListFault::NotUtf8)
        );
        let line = "ch.example;o;750000001;2024-01-15\n";
        assert_eq!(label(&format!("{header}\n{}", line.repeat(100_001))), "too_many");
        let long =
            format!("{header};certificat\nch.example;o;750000001;2024-01-15;CN={}\n", "a".repeat(4_096));
        assert_eq!(label(&long), "no_domain");
    }
}
