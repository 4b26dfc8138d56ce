//! What changed in the API, the latest first: a list that is written by hand with each change.

use crate::problem::Language;

/// What a change is to whoever uses the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something new; what used the API goes on.
    Added,
}

impl Kind {
    /// The word of the change log.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
        }
    }
}

/// One change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    /// Version of the API that brought it.
    pub(crate) version: &'static str,
    /// `YYYY-MM-DD`.
    pub(crate) date: &'static str,
    /// What it is to whoever uses the API.
    pub(crate) kind: Kind,
    english: &'static str,
    french: &'static str,
}

impl Change {
    /// What changed, in a language.
    pub(crate) const fn text(&self, language: Language) -> &'static str {
        language.of_two(self.english, self.french)
    }
}

/// Every change, the latest first.
pub(crate) const CHANGES: &[Change] = &[
    Change {
        version: "1.3.0",
        date: "2026-11-22",
        kind: Kind::Added,
        english: "POST /mailboxes takes the certificate of an applicative mailbox (certificate).",
        french: "POST /mailboxes accepte le certificat d'une boîte applicative (certificate).",
    },
    Change {
        version: "1.2.0",
        date: "2026-11-22",
        kind: Kind::Added,
        english: "An application password can be made for some protocols only (protocols), which lists show.",
        french: "Un mot de passe d'application peut n'être fait que pour certains protocoles (protocols), que les listes montrent.",
    },
    Change {
        version: "1.1.0",
        date: "2026-11-22",
        kind: Kind::Added,
        english: "An application can be renamed (PATCH /applications/{id}); applications have an ETag.",
        french: "Une application peut être renommée (PATCH /applications/{id}) ; les applications ont un ETag.",
    },
    Change {
        version: "1.0.0",
        date: "2026-11-21",
        kind: Kind::Added,
        english: "First version: domains, persons, mailboxes, delegations, passwords, keys, certificates, trust, queue, messages, audit, statistics, jobs.",
        french: "Première version : domaines, personnes, boîtes, délégations, mots de passe, clés, certificats, confiance, file, messages, audit, statistiques, travaux.",
    },
];

/// The version of the API that this program answers.
pub(crate) fn version() -> &'static str {
    CHANGES.first().map_or("", |change| change.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_stand_from_the_latest_to_the_first() {
        let key = |change: &Change| {
            let numbers: Vec<u32> = change.version.split('.').map(|number| number.parse().unwrap()).collect();
            assert_eq!(numbers.len(), 3);
            (numbers, change.date)
        };
        assert!(CHANGES.windows(2).all(|two| key(&two[0]) > key(&two[1])));
        assert_eq!(crate::api::document().info.version, version());
    }
}
