//! The white list: which certificate speaks for which domain.
//!
//! The unit of trust is the pair (domain, bearer); a domain may have several. A bearer is a certificate subject, or, in lists that name
//! structures and no certificates, the organizational unit that the health PKI gives to one structure only. Contacts that a list may
//! carry are personal data and are never kept. Where a list came from and whether its signature holds is not known here.

use mail_types::{DistinguishedName, Domain, Timestamp};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

/// A list as a value: immutable once it is in force, every look-up is one or two hash look-ups.
#[derive(Clone, Debug, Default)]
pub struct WhiteList {
    generated_at: Option<Timestamp>,
    domains: HashMap<Arc<Domain>, HashSet<Bearer>>,
    subjects: HashMap<Arc<DistinguishedName>, Vec<Arc<Domain>>>,
    units: HashMap<Arc<str>, Vec<Arc<Domain>>>,
    pair_count: usize,
}

/// What speaks for a domain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bearer {
    /// A certificate with exactly this subject.
    Subject(Arc<DistinguishedName>),
    /// A certificate whose subject has this organizational unit, in lower case: `1` and the FINESS number of a structure.
    Unit(Arc<str>),
}

impl fmt::Display for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject(subject) => fmt::Display::fmt(subject, f),
            Self::Unit(unit) => write!(f, "any certificate with OU={unit}"),
        }
    }
}

/// Two lists are equal when their dates and their pairs are.
impl PartialEq for WhiteList {
    fn eq(&self, other: &Self) -> bool {
        self.generated_at == other.generated_at && self.has_the_pairs_of(other)
    }
}

impl Eq for WhiteList {}

impl WhiteList {
    /// An empty list with the date its publisher gave it.
    pub fn generated_at(at: Timestamp) -> Self {
        Self { generated_at: Some(at), ..Self::default() }
    }

    /// When the publisher made the list; `None` for forms without a date.
    pub fn generation(&self) -> Option<Timestamp> {
        self.generated_at
    }

    /// Adds a pair.
    pub fn add(&mut self, domain: Domain, subject: DistinguishedName) {
        let subject = match self.subjects.get_key_value(&subject) {
            Some((known, _)) => known.clone(),
            None => Arc::new(subject),
        };
        if let Some(domain) = self.add_pair(domain, Bearer::Subject(subject.clone())) {
            self.subjects.entry(subject).or_default().push(domain);
        }
    }

    /// Adds a domain for which every certificate with this organizational unit speaks.
    pub fn add_unit(&mut self, domain: Domain, unit: &str) {
        let unit: Arc<str> = unit.trim().to_lowercase().into();
        if let Some(domain) = self.add_pair(domain, Bearer::Unit(unit.clone())) {
            self.units.entry(unit).or_default().push(domain);
        }
    }

    /// Adds a domain for which nobody speaks, because its entry could not be read. It is in the list all the same: mail for it waits, and
    /// does not bounce as for a domain that left.
    pub fn add_silent(&mut self, domain: Domain) {
        self.domains.entry(Arc::new(domain)).or_default();
    }

    /// The shared name of the domain, or `None` when the pair was known.
    fn add_pair(&mut self, domain: Domain, bearer: Bearer) -> Option<Arc<Domain>> {
        let domain = match self.domains.get_key_value(&domain) {
            Some((known, _)) => known.clone(),
            None => Arc::new(domain),
        };
        let is_new = self.domains.entry(domain.clone()).or_default().insert(bearer);
        self.pair_count += usize::from(is_new);
        is_new.then_some(domain)
    }

    /// Whether the pair is in the list, by the certificate's subject or by a unit in it.
    pub fn lists(&self, domain: &Domain, subject: &DistinguishedName) -> bool {
        let Some(bearers) = self.domains.get(domain) else { return false };
        self.bearers_in(subject).any(|(bearer, _)| bearers.contains(&bearer))
    }

    /// Whether the certificate is listed for any domain.
    pub fn lists_certificate(&self, subject: &DistinguishedName) -> bool {
        self.bearers_in(subject).next().is_some()
    }

    /// The domains that the certificate is listed for. One may come twice when it is listed by subject and by unit.
    pub fn domains_of(&self, subject: &DistinguishedName) -> impl Iterator<Item = &Domain> {
        self.bearers_in(subject).flat_map(|(_, domains)| domains).map(AsRef::as_ref)
    }

    /// Whether the domain is in the list at all.
    pub fn lists_domain(&self, domain: &Domain) -> bool {
        self.domains.contains_key(domain)
    }

    /// The bearers of a domain, in order.
    pub fn bearers_of(&self, domain: &Domain) -> Vec<&Bearer> {
        let mut bearers: Vec<_> = self.domains.get(domain).into_iter().flatten().collect();
        bearers.sort();
        bearers
    }

    /// Every pair, in no order.
    pub fn pairs(&self) -> impl Iterator<Item = (&Domain, &Bearer)> {
        let domains = self.domains.iter();
        domains.flat_map(|(domain, bearers)| bearers.iter().map(move |bearer| (domain.as_ref(), bearer)))
    }

    /// Every domain, in no order.
    pub fn domains(&self) -> impl Iterator<Item = &Domain> {
        self.domains.keys().map(AsRef::as_ref)
    }

    /// Whether both lists have the same pairs, whatever their dates.
    pub fn has_the_pairs_of(&self, other: &Self) -> bool {
        self.domains == other.domains
    }

    /// Number of domains.
    pub fn domain_count(&self) -> usize {
        self.domains.len()
    }

    /// Number of pairs.
    pub fn pair_count(&self) -> usize {
        self.pair_count
    }

    /// Number of different bearers: subjects and units.
    pub fn certificate_count(&self) -> usize {
        self.subjects.len() + self.units.len()
    }

    /// The bearers of the list that a subject is, with their domains.
    fn bearers_in(&self, subject: &DistinguishedName) -> impl Iterator<Item = (Bearer, &Vec<Arc<Domain>>)> {
        let by_subject = self.subjects.get_key_value(subject);
        let by_subject = by_subject.map(|(known, domains)| (Bearer::Subject(known.clone()), domains));
        let units = subject.attributes().filter(|(kind, _)| *kind == "OU" && !self.units.is_empty());
        let by_unit = units.filter_map(|(_, unit)| self.units.get_key_value(unit));
        by_subject.into_iter().chain(by_unit.map(|(unit, domains)| (Bearer::Unit(unit.clone()), domains)))
    }
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineFault {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub cause: &'static str,
}

impl WhiteList {
    /// Reads the text form: one pair a line, `DOMAIN;SUBJECT-DN`, with `#` comments. Lines at fault are left out and reported: a slip in
    /// one line must not close the network, nor make a domain leave the list.
    pub fn parse(text: &str) -> (Self, Vec<LineFault>) {
        let mut list = Self::default();
        let mut faults = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match pair(line) {
                Ok((domain, Ok(subject))) => list.add(domain, subject),
                Ok((domain, Err(cause))) => {
                    list.add_silent(domain);
                    faults.push(LineFault { line: index + 1, cause });
                }
                Err(cause) => faults.push(LineFault { line: index + 1, cause }),
            }
        }
        (list, faults)
    }
}

type Subject = Result<DistinguishedName, &'static str>;

fn pair(line: &str) -> Result<(Domain, Subject), &'static str> {
    let at = line.find([';', ' ', '\t', ',']).ok_or("a line has the form DOMAIN;SUBJECT-DN")?;
    let (domain, rest) = line.split_at(at);
    let subject = rest.trim_start_matches([';', ' ', '\t', ',']);
    let domain = domain.parse().map_err(|_| "the domain is not valid")?;
    let subject = subject.parse().map_err(|_| "the subject is not a distinguished name");
    // Without its own separator a line may be anything, a sentence too.
    if subject.is_err() && !line[at..].trim_start().starts_with(';') {
        return Err("a line has the form DOMAIN;SUBJECT-DN");
    }
    Ok((domain, subject))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Domain {
        text.parse().unwrap()
    }

    fn dn(text: &str) -> DistinguishedName {
        text.parse().unwrap()
    }

    #[test]
    fn a_domain_may_have_several_certificates_and_a_bad_line_closes_nothing() {
        let (list, faults) = WhiteList::parse(
            "# list\nch.example;CN=a,O=X,C=FR\nCH.example ; CN=b, O=X, C=FR\nnonsense\nother.example\tCN=a,O=X,C=FR\n",
        );
        assert_eq!(faults, [LineFault { line: 4, cause: "a line has the form DOMAIN;SUBJECT-DN" }]);
        let (ch, a, b) = (domain("ch.example"), dn("C=FR,O=X,CN=a"), dn("CN=b,O=X,C=FR"));
        assert!(list.lists(&ch, &a) && list.lists(&ch, &b));
        assert!(!list.lists(&domain("other.example"), &b));
        assert_eq!((list.domain_count(), list.pair_count(), list.certificate_count()), (2, 3, 2));
        let mut of_a: Vec<_> = list.domains_of(&a).map(Domain::as_str).collect();
        of_a.sort_unstable();
        assert_eq!(of_a, ["ch.example", "other.example"]);
        assert_eq!(
            list.bearers_of(&ch).iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["C=fr,CN=a,O=x", "C=fr,CN=b,O=x"]
        );
    }

    #[test]
    fn a_domain_whose_certificate_cannot_be_read_stays_in_the_list() {
        let (list, faults) =
            WhiteList::parse("ch.example;nonsense\nok.example;CN=a\na slip; of the pen\n-ch;CN=a\n");
        assert_eq!(faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [1, 3, 4]);
        assert!(list.lists_domain(&domain("ch.example")) && !list.lists(&domain("ch.example"), &dn("CN=a")));
        assert_eq!((list.domain_count(), list.pair_count()), (2, 1));
    }

    #[test]
    fn a_pair_counts_once_however_often_it_is_named() {
        let list = WhiteList::parse("a.example;CN=a\nA.example;cn=A\n").0;
        assert_eq!((list.pair_count(), list.domains_of(&dn("CN=a")).count()), (1, 1));
    }

    #[test]
    fn a_unit_speaks_for_its_domain_and_for_no_other() {
        let mut list = WhiteList::default();
        list.add_unit(domain("ch.example"), "12A0000001");
        list.add(domain("other.example"), dn("CN=a,OU=12a0000001,C=FR"));
        let (member, stranger) = (dn("CN=x,OU=12A0000001,C=FR"), dn("CN=x,OU=2A0000001,C=FR"));
        assert!(list.lists(&domain("ch.example"), &member) && list.lists_certificate(&member));
        assert!(!list.lists(&domain("other.example"), &member));
        assert!(!list.lists(&domain("ch.example"), &stranger) && !list.lists_certificate(&stranger));
        assert!(!list.lists(&domain("ch.example"), &dn("CN=12A0000001,O=12A0000001")));
        assert_eq!(list.domains_of(&dn("CN=a,OU=12a0000001,C=FR")).count(), 2);
    }
}
