//! What changed between two white lists, for a person and for a program.

use crate::{Bearer, WhiteList};
use mail_types::{Domain, Timestamp};
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// The difference between two lists. Every part is sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WhiteListDiff {
    /// Date of the older list, as its publisher gave it.
    pub before: Option<Timestamp>,
    /// Date of the newer list.
    pub after: Option<Timestamp>,
    /// Domains that only the newer list has.
    pub domains_added: Vec<Domain>,
    /// Domains that only the older list has.
    pub domains_removed: Vec<Domain>,
    /// Pairs that only the newer list has, those of added domains included.
    pub pairs_added: Vec<(Domain, Bearer)>,
    /// Pairs that only the older list has, those of removed domains included.
    pub pairs_removed: Vec<(Domain, Bearer)>,
}

impl WhiteListDiff {
    /// What `new` has and `old` has not, and the other way round.
    pub fn between(old: &WhiteList, new: &WhiteList) -> Self {
        Self {
            before: old.generation(),
            after: new.generation(),
            domains_added: domains_without(new, old),
            domains_removed: domains_without(old, new),
            pairs_added: pairs_without(new, old),
            pairs_removed: pairs_without(old, new),
        }
    }

    /// Whether both lists say the same.
    pub fn is_empty(&self) -> bool {
        self.pairs_added.is_empty() && self.pairs_removed.is_empty()
    }
}

fn domains_without(list: &WhiteList, other: &WhiteList) -> Vec<Domain> {
    let mut domains: Vec<_> = list.domains().filter(|domain| !other.lists_domain(domain)).cloned().collect();
    domains.sort();
    domains
}

fn pairs_without(list: &WhiteList, other: &WhiteList) -> Vec<(Domain, Bearer)> {
    let known: HashSet<_> = other.pairs().collect();
    let mut pairs: Vec<_> = list.pairs().filter(|pair| !known.contains(pair)).collect();
    pairs.sort();
    pairs.into_iter().map(|(domain, bearer)| (domain.clone(), bearer.clone())).collect()
}

/// One line of counts, then each domain with what changed: `+` came, `-` went, `~` stayed with other certificates.
impl fmt::Display for WhiteListDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "domains: {} added, {} removed; pairs: {} added, {} removed",
            self.domains_added.len(),
            self.domains_removed.len(),
            self.pairs_added.len(),
            self.pairs_removed.len()
        )?;
        let mut changes: BTreeMap<&Domain, Vec<(char, &Bearer)>> = BTreeMap::new();
        for (sign, pairs) in [('-', &self.pairs_removed), ('+', &self.pairs_added)] {
            for (domain, bearer) in pairs {
                changes.entry(domain).or_default().push((sign, bearer));
            }
        }
        for (domain, bearers) in changes {
            let sign = if self.domains_added.binary_search(domain).is_ok() {
                '+'
            } else if self.domains_removed.binary_search(domain).is_ok() {
                '-'
            } else {
                '~'
            };
            write!(f, "\n{sign} {domain}")?;
            for (sign, bearer) in bearers {
                write!(f, "\n    {sign} {bearer}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> WhiteList {
        WhiteList::parse(text).0
    }

    #[test]
    fn a_person_sees_what_came_what_went_and_what_has_another_certificate() {
        let old = list("gone.example;CN=g\nkept.example;CN=old\nsame.example;CN=s\n");
        let new = list("kept.example;CN=new\nsame.example;CN=s\ncame.example;CN=c\n");
        let diff = WhiteListDiff::between(&old, &new);
        assert_eq!(diff.domains_added, ["came.example".parse().unwrap()]);
        assert_eq!(diff.domains_removed, ["gone.example".parse().unwrap()]);
        assert_eq!((diff.pairs_added.len(), diff.pairs_removed.len()), (2, 2));
        assert_eq!(
            diff.to_string(),
            "domains: 1 added, 1 removed; pairs: 2 added, 2 removed\n\
             + came.example\n    + CN=c\n\
             - gone.example\n    - CN=g\n\
             ~ kept.example\n    - CN=old\n    + CN=new"
        );
    }

    #[test]
    fn a_list_does_not_differ_from_itself() {
        let same = list("a.example;CN=a\nb.example;CN=a\n");
        let diff = WhiteListDiff::between(&same, &same.clone());
        assert!(diff.is_empty());
        assert_eq!(diff.to_string(), "domains: 0 added, 0 removed; pairs: 0 added, 0 removed");
    }
}
