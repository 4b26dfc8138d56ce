//! Whether a list that can be believed may take the place of the one in force.

use crate::WhiteList;
use mail_types::Timestamp;

/// Why the list in force stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplacementFault {
    /// The publisher made it before the one in force: an old list was put back.
    #[error(
        "the list is older than the one in force: its source serves a former list; look at the source, the next list will do"
    )]
    Rollback {
        /// Date of the list in force.
        in_force: Timestamp,
        /// Date of the list that was offered.
        offered: Timestamp,
    },
    /// Two lists of one date that do not say the same.
    #[error(
        "the list has the date of the one in force and another content: ask its publisher which of the two is right, the next list will do"
    )]
    SameDateOtherContent {
        /// The date of both.
        generated_at: Timestamp,
    },
    /// It has no domain at all. Confirmation does not help: nobody could write to anybody.
    #[error("the list names no domain: look at its source")]
    Empty,
    /// It lost more than is plausible.
    #[error(
        "the list would leave {after} of {before} {what}, a greater loss than whitelist_shrink_max_percent allows: compare them with `trust diff`, then confirm with `trust sync whitelist --confirm`"
    )]
    Shrinkage {
        /// Of what.
        what: Shrunk,
        /// How many the list in force has.
        before: usize,
        /// How many remain.
        after: usize,
    },
}

/// What a list lost too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shrunk {
    /// Domains: those in force that the new list still has.
    Domains,
    /// Pairs, by their number: certificates are renewed, so which pairs they are does not count.
    Pairs,
}

impl std::fmt::Display for Shrunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Domains => "domains",
            Self::Pairs => "pairs",
        })
    }
}

impl ReplacementFault {
    /// One word for metrics and status.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Rollback { .. } => "rollback",
            Self::SameDateOtherContent { .. } => "same_date_other_content",
            Self::Empty => "empty",
            Self::Shrinkage { .. } => "shrinkage",
        }
    }
}

/// Judges `new` against the list in force.
///
/// Lists without a date are judged by their content only. A loss of more than `shrink_max_percent` of the domains in force, or of the number of
/// pairs, needs `is_confirmed`; nothing else can be confirmed away.
pub fn replacement(
    old: Option<&WhiteList>,
    new: &WhiteList,
    shrink_max_percent: u64,
    is_confirmed: bool,
) -> Result<(), ReplacementFault> {
    if new.domain_count() == 0 {
        return Err(ReplacementFault::Empty);
    }
    let Some(old) = old else { return Ok(()) };
    dates(old, new)?;
    if is_confirmed {
        return Ok(());
    }
    let kept = old.domains().filter(|domain| new.lists_domain(domain)).count();
    shrinkage(Shrunk::Domains, old.domain_count(), kept, shrink_max_percent)?;
    shrinkage(Shrunk::Pairs, old.pair_count(), new.pair_count(), shrink_max_percent)
}

fn dates(old: &WhiteList, new: &WhiteList) -> Result<(), ReplacementFault> {
    match (old.generation(), new.generation()) {
        (Some(in_force), Some(offered)) if offered < in_force => {
            Err(ReplacementFault::Rollback { in_force, offered })
        }
        (Some(in_force), Some(offered)) if offered == in_force && !new.has_the_pairs_of(old) => {
            Err(ReplacementFault::SameDateOtherContent { generated_at: offered })
        }
        _ => Ok(()),
    }
}

fn shrinkage(what: Shrunk, before: usize, after: usize, max_percent: u64) -> Result<(), ReplacementFault> {
    let lost = before.saturating_sub(after) as u128;
    if lost * 100 > u128::from(max_percent) * before as u128 {
        Err(ReplacementFault::Shrinkage { what, before, after })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(at: Option<i64>, pairs: impl IntoIterator<Item = (u32, u32)>) -> WhiteList {
        let mut list = at.map(|at| WhiteList::generated_at(Timestamp::from_secs(at))).unwrap_or_default();
        for (domain, certificate) in pairs {
            let domain = format!("d{domain}.example").parse().unwrap();
            list.add(domain, format!("CN=c{certificate}").parse().unwrap());
        }
        list
    }

    fn of(domains: std::ops::Range<u32>) -> impl Iterator<Item = (u32, u32)> {
        domains.map(|n| (n, n))
    }

    fn label(old: &WhiteList, new: &WhiteList, is_confirmed: bool) -> &'static str {
        replacement(Some(old), new, 20, is_confirmed).map_or_else(|fault| fault.label(), |()| "taken")
    }

    #[test]
    fn what_may_replace_the_list_in_force() {
        let old = list(Some(1000), of(0..10));
        for (name, new, unconfirmed, confirmed) in [
            ("newer", list(Some(1001), of(0..11)), "taken", "taken"),
            ("the same again", old.clone(), "taken", "taken"),
            ("older", list(Some(999), of(0..10)), "rollback", "rollback"),
            ("same date", list(Some(1000), of(0..11)), "same_date_other_content", "same_date_other_content"),
            ("empty", list(Some(1001), []), "empty", "empty"),
            ("a fifth less", list(Some(1001), of(0..8)), "taken", "taken"),
            ("more than a fifth less", list(Some(1001), of(0..7)), "shrinkage", "taken"),
            ("as many, but others", list(Some(1001), of(5..15)), "shrinkage", "taken"),
            ("without a date", list(None, of(0..10)), "taken", "taken"),
        ] {
            assert_eq!(label(&old, &new, false), unconfirmed, "{name}");
            assert_eq!(label(&old, &new, true), confirmed, "{name}, confirmed");
        }
    }

    #[test]
    fn every_certificate_may_be_renewed_at_once_but_not_lost() {
        let two_each = |shift: u32| (0..10).flat_map(move |n| [(n, n + shift), (n, n + shift + 50)]);
        let old = list(Some(1), two_each(0));
        assert_eq!(label(&old, &list(Some(2), two_each(500)), false), "taken");
        assert_eq!(
            replacement(Some(&old), &list(Some(2), of(0..10)), 20, false),
            Err(ReplacementFault::Shrinkage { what: Shrunk::Pairs, before: 20, after: 10 })
        );
    }

    #[test]
    fn a_first_list_needs_a_domain_only() {
        assert_eq!(replacement(None, &list(None, of(0..1)), 0, false), Ok(()));
        assert_eq!(replacement(None, &list(None, []), 100, true), Err(ReplacementFault::Empty));
    }
}
