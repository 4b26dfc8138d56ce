//! One entry of a list, whatever its form: what it gives, or why it is left out. A domain whose certificate cannot be read stays in the list,
//! with nobody who speaks for it: left out altogether it would seem to have left, and mail for it would bounce.

use std::fmt;

use mail_types::{DistinguishedName, Domain};
use policy::WhiteList;

use crate::ListFault;

/// Entries of one list.
pub const ENTRIES_MAX: usize = 100_000;

/// Entries that may be left out of one list. One in a hundred is the other bound, and one is always forgiven.
pub const BAD_ENTRIES_MAX: usize = 50;

/// Octets of one value.
const VALUE_MAX: usize = 4_096;

/// Characters of a name in a report.
const SHOWN_MAX: usize = 80;

/// An entry that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryFault {
    /// Where it begins, counted from 1.
    pub line: usize,
    /// The domain as written, cut at eighty characters.
    pub name: String,
    /// What is wrong.
    pub cause: EntryFaultCause,
}

/// Why an entry cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryFaultCause {
    /// Its domain is none.
    #[error("the domain is not a valid ASCII domain name")]
    Domain,
    /// The certificate's name is none.
    #[error("the certificate is not a distinguished name")]
    Subject,
    /// A value is longer than any.
    #[error("a value is longer than 4096 octets")]
    TooLong,
    /// Neither a certificate nor a FINESS number of nine letters or digits.
    #[error("there is neither a certificate nor a FINESS number of nine letters or digits")]
    Finess,
    /// Not `YYYY-MM-DD`.
    #[error("the date has not the form YYYY-MM-DD")]
    Date,
    /// Fewer or more columns than the header.
    #[error("the line has not as many columns as the header")]
    Columns,
    /// Not `DOMAIN;SUBJECT-DN`.
    #[error("the line has not the form DOMAIN;SUBJECT-DN")]
    Pair,
}

impl fmt::Display for EntryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} ({:?}): {}", self.line, self.name, self.cause)
    }
}

/// Who speaks for a domain, as written.
pub(crate) enum Written<'a> {
    Subject(&'a str),
    Unit(String),
}

/// The same, read.
enum Bearer {
    Subject(DistinguishedName),
    Unit(String),
}

fn read(written: Written<'_>) -> Result<Bearer, EntryFaultCause> {
    match written {
        Written::Subject(subject) if subject.len() > VALUE_MAX => Err(EntryFaultCause::TooLong),
        Written::Subject(subject) => {
            subject.parse().map(Bearer::Subject).map_err(|_| EntryFaultCause::Subject)
        }
        Written::Unit(unit) => Ok(Bearer::Unit(unit)),
    }
}

/// A list on its way, with what was left out of it.
pub(crate) struct Entries {
    list: WhiteList,
    count: usize,
    bad_count: usize,
    faults: Vec<EntryFault>,
}

impl Entries {
    pub(crate) fn of(list: WhiteList) -> Self {
        Self { list, count: 0, bad_count: 0, faults: Vec::new() }
    }

    /// Takes one entry in, or notes why not. Only then its line is asked for: to find it may mean to count from the beginning.
    pub(crate) fn add(
        &mut self,
        line: impl FnOnce() -> usize,
        domain: &str,
        bearer: Result<Written<'_>, EntryFaultCause>,
    ) -> Result<(), ListFault> {
        self.count += 1;
        if self.count > ENTRIES_MAX {
            return Err(ListFault::TooMany("entries"));
        }
        if let Err(cause) = self.insert(domain, bearer) {
            self.bad_count += 1;
            if self.faults.len() < BAD_ENTRIES_MAX {
                let name = domain.chars().take(SHOWN_MAX).collect();
                self.faults.push(EntryFault { line: line(), name, cause });
            }
        }
        Ok(())
    }

    fn insert(
        &mut self,
        domain: &str,
        bearer: Result<Written<'_>, EntryFaultCause>,
    ) -> Result<(), EntryFaultCause> {
        let domain: Domain = domain.trim().parse().map_err(|_| EntryFaultCause::Domain)?;
        match bearer.and_then(read) {
            Ok(Bearer::Subject(subject)) => self.list.add(domain, subject),
            Ok(Bearer::Unit(unit)) => self.list.add_unit(domain, &unit),
            Err(cause) => {
                self.list.add_silent(domain);
                return Err(cause);
            }
        }
        Ok(())
    }

    /// The list, unless so much of it is missing that leaving it out would close the network to many.
    pub(crate) fn finish(self) -> Result<(WhiteList, Vec<EntryFault>), ListFault> {
        let forgiven = (self.count / 100).clamp(1, BAD_ENTRIES_MAX);
        if let Some(first) = self.faults.first().filter(|_| self.bad_count > forgiven) {
            return Err(ListFault::TooManyBadEntries {
                bad: self.bad_count,
                entries: self.count,
                first: first.clone(),
            });
        }
        if self.list.pair_count() == 0 {
            return Err(ListFault::NoDomain);
        }
        Ok((self.list, self.faults))
    }
}
