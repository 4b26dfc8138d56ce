//! The white list: which certificate speaks for which domain.
//!
//! The unit of trust is the pair (domain, certificate subject); a domain may have several. The text form read here has one pair a line,
//! `DOMAIN;SUBJECT-DN`, with `#` comments.

use mail_types::{DistinguishedName, Domain};
use std::collections::HashMap;

/// A list in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WhiteList {
    domains: HashMap<Domain, Vec<DistinguishedName>>,
    certificates: HashMap<DistinguishedName, Vec<Domain>>,
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
    /// Reads the text form. Lines at fault are left out and reported: a slip in one line must not close the network.
    pub fn parse(text: &str) -> (Self, Vec<LineFault>) {
        let mut list = Self::default();
        let mut faults = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match pair(line) {
                Ok((domain, subject)) => list.add(domain, subject),
                Err(cause) => faults.push(LineFault { line: index + 1, cause }),
            }
        }
        (list, faults)
    }

    /// Adds a pair.
    pub fn add(&mut self, domain: Domain, subject: DistinguishedName) {
        let subjects = self.domains.entry(domain.clone()).or_default();
        if !subjects.contains(&subject) {
            subjects.push(subject.clone());
            self.certificates.entry(subject).or_default().push(domain);
        }
    }

    /// Whether the pair is in the list.
    pub fn lists(&self, domain: &Domain, subject: &DistinguishedName) -> bool {
        self.domains.get(domain).is_some_and(|subjects| subjects.contains(subject))
    }

    /// Whether the certificate is listed for any domain.
    pub fn lists_certificate(&self, subject: &DistinguishedName) -> bool {
        self.certificates.contains_key(subject)
    }

    /// The domains that the certificate is listed for.
    pub fn domains_of(&self, subject: &DistinguishedName) -> &[Domain] {
        self.certificates.get(subject).map_or(&[], Vec::as_slice)
    }

    /// Whether the domain is in the list at all.
    pub fn lists_domain(&self, domain: &Domain) -> bool {
        self.domains.contains_key(domain)
    }

    /// Number of domains.
    pub fn domain_count(&self) -> usize {
        self.domains.len()
    }
}

fn pair(line: &str) -> Result<(Domain, DistinguishedName), &'static str> {
    let at = line.find([';', ' ', '\t', ',']).ok_or("a line has the form DOMAIN;SUBJECT-DN")?;
    let (domain, rest) = line.split_at(at);
    let subject = rest.trim_start_matches([';', ' ', '\t', ',']);
    let domain = domain.parse().map_err(|_| "the domain is not valid")?;
    let subject = subject.parse().map_err(|_| "the subject is not a distinguished name")?;
    Ok((domain, subject))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_may_have_several_certificates_and_a_bad_line_closes_nothing() {
        let (list, faults) = WhiteList::parse(
            "# list\nch.example;CN=a,O=X,C=FR\nCH.example ; CN=b, O=X, C=FR\nnonsense\nother.example\tCN=a,O=X,C=FR\n",
        );
        assert_eq!(faults, [LineFault { line: 4, cause: "a line has the form DOMAIN;SUBJECT-DN" }]);
        let (domain, a, b) = (
            "ch.example".parse().unwrap(),
            "C=FR,O=X,CN=a".parse().unwrap(),
            "CN=b,O=X,C=FR".parse().unwrap(),
        );
        assert!(list.lists(&domain, &a) && list.lists(&domain, &b));
        assert!(!list.lists(&"other.example".parse().unwrap(), &b));
        assert_eq!(list.domain_count(), 2);
    }
}
