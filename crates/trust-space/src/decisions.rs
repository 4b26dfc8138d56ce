//! Rows of the store as `policy` reads them: quarantines, partners, departures.

use mail_types::{Domain, Timestamp};
use policy::{CertificateMark, Departure, Overlay};
use std::collections::HashMap;
use store::{DepartureRow, Ruling, RulingRow};

/// The overlay of these decisions. Of two for one domain the longer one counts.
pub(crate) fn overlay(rows: &[RulingRow]) -> Overlay {
    let mut overlay = Overlay::default();
    for row in rows {
        match &row.ruling {
            Ruling::QuarantineDomain(domain) => {
                let until = overlay.quarantined_domains.entry(domain.clone()).or_insert(row.until);
                *until = longer(*until, row.until);
            }
            Ruling::QuarantineSubject(subject) => {
                overlay.quarantined_certificates.push((CertificateMark::Subject(subject.clone()), row.until));
            }
            Ruling::QuarantineKey(pin) => {
                overlay.quarantined_certificates.push((CertificateMark::KeyPin(*pin), row.until));
            }
            Ruling::QuarantineSerial { issuer, serial } => {
                let mark = CertificateMark::Serial { issuer: issuer.clone(), serial: serial.clone() };
                overlay.quarantined_certificates.push((mark, row.until));
            }
            Ruling::Partner { domain, subject } => {
                overlay.partners.entry(domain.clone()).or_default().push((subject.clone(), row.until));
            }
        }
    }
    overlay
}

fn longer(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    Some(one?.max(other?))
}

/// Departures by domain.
pub(crate) fn departures(rows: &[DepartureRow]) -> HashMap<Domain, Departure> {
    let departure = |row: &DepartureRow| Departure {
        first_absent_at: row.first_absent_at,
        latest_absent_at: row.latest_absent_at,
        is_given_up: row.given_up_at.is_some(),
    };
    rows.iter().map(|row| (row.domain.clone(), departure(row))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_quarantines_of_a_domain_the_longer_one_counts() {
        let row = |id, until| RulingRow {
            id,
            ruling: Ruling::QuarantineDomain("a.example".parse().expect("a domain")),
            reason: String::new(),
            created_at: Timestamp(0),
            until,
            ended_at: None,
        };
        let until = |rows: &[RulingRow]| overlay(rows).quarantined_domains.into_values().next();
        let (short, long) = (Some(Timestamp(1)), Some(Timestamp(2)));
        assert_eq!(until(&[row(1, long), row(2, short)]), Some(long));
        assert_eq!(until(&[row(1, short), row(2, None)]), Some(None));
        assert_eq!(until(&[row(1, None), row(2, short)]), Some(None));
    }
}
