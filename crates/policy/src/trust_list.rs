//! What speaks for which domain now: the white list in force, what an administrator decided beside it, and how much both are worth.
//!
//! Stale trust data never refuses for good: what a list that was not confirmed for long does not name is doubtful, no longer unlisted.

use crate::{Reason, WhiteList};
use mail_types::{DistinguishedName, Domain, PeerIdentity, Timestamp};
use std::collections::HashMap;
use std::sync::Arc;

/// Everything by which the pair (domain, certificate) is judged, as it stands at one moment.
#[derive(Clone, Debug, Default)]
pub struct TrustList {
    /// The white list, with when its source last confirmed it.
    pub white_list: Option<(Arc<WhiteList>, Timestamp)>,
    /// What an age means.
    pub ages: Ages,
    /// What an administrator decided.
    pub overlay: Overlay,
    /// Domains that left the list.
    pub departures: HashMap<Domain, Departure>,
}

/// How long a white list counts without a confirmation by its source, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ages {
    /// From here on it refuses nobody for good.
    pub stale_secs: i64,
    /// From here on it does not count.
    pub max_secs: i64,
    /// How far apart the first and the latest list without a domain must be before its queued mail bounces.
    pub departure_secs: i64,
}

impl Default for Ages {
    fn default() -> Self {
        Self { stale_secs: 86_400, max_secs: 604_800, departure_secs: 86_400 }
    }
}

/// Local decisions beside the white list. Each ends by itself at its date, if it has one.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    /// Domains with which no mail is exchanged for now.
    pub quarantined_domains: HashMap<Domain, Option<Timestamp>>,
    /// Certificates that are not believed for now.
    pub quarantined_certificates: Vec<(CertificateMark, Option<Timestamp>)>,
    /// Pairs that count as if the list named them.
    pub partners: HashMap<Domain, Vec<(DistinguishedName, Option<Timestamp>)>>,
}

/// By what an administrator names a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CertificateMark {
    /// Every certificate with this subject.
    Subject(DistinguishedName),
    /// Every certificate of this key: SHA-256 of its SubjectPublicKeyInfo.
    KeyPin([u8; 32]),
    /// One certificate.
    Serial {
        /// Who issued it.
        issuer: DistinguishedName,
        /// Its number, big endian, without leading zeros.
        serial: Vec<u8>,
    },
}

impl CertificateMark {
    fn is_of(&self, peer: &PeerIdentity) -> bool {
        match self {
            Self::Subject(subject) => *subject == peer.subject,
            Self::KeyPin(pin) => *pin == peer.key_pin,
            Self::Serial { issuer, serial } => *issuer == peer.issuer && *serial == peer.serial,
        }
    }
}

/// A domain that left the white list, by the dates of the lists that lack it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    /// The first such list.
    pub first_absent_at: Timestamp,
    /// The latest such list.
    pub latest_absent_at: Timestamp,
    /// Whether an administrator gave it up.
    pub is_given_up: bool,
}

/// Whether a certificate speaks for a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Listed,
    /// It does not, by a list that counts.
    NotListed,
    /// That cannot be said, or is suspended: the cause is ours, or passes.
    Doubtful(Reason),
}

/// Whether mail is exchanged with a domain at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DomainStanding {
    /// It is in the list, or a partner.
    Listed,
    /// It never was, as far as is known, by a list that counts.
    Absent,
    /// It left the list not long ago: mail for it is held.
    Departing,
    /// It left the list for good, or was given up.
    Departed,
    /// That cannot be said, or is suspended.
    Doubtful(Reason),
}

impl TrustList {
    /// Whether the certificate speaks for the domain.
    pub fn standing(&self, domain: &Domain, peer: &PeerIdentity, now: Timestamp) -> Standing {
        if self.overlay.quarantines(domain, now) || self.overlay.quarantines_certificate(peer, now) {
            return Standing::Doubtful(Reason::Quarantined);
        }
        let is_partner = self.overlay.is_partner(domain, &peer.subject, now);
        self.listed(is_partner, now, |list| list.lists(domain, &peer.subject))
    }

    /// Whether the certificate speaks for any domain, as the null sender needs.
    pub fn standing_of_any(&self, peer: &PeerIdentity, now: Timestamp) -> Standing {
        if self.overlay.quarantines_certificate(peer, now) {
            return Standing::Doubtful(Reason::Quarantined);
        }
        let is_open = |domain: &Domain| !self.overlay.quarantines(domain, now);
        let mut partners = self.overlay.partners_of(&peer.subject, now);
        match self.listed(partners.any(is_open), now, |list| list.domains_of(&peer.subject).any(is_open)) {
            // One that is named for suspended domains only is suspended with them.
            Standing::NotListed if self.is_named(peer, now) => Standing::Doubtful(Reason::Quarantined),
            standing => standing,
        }
    }

    fn is_named(&self, peer: &PeerIdentity, now: Timestamp) -> bool {
        let list = self.white_list.as_ref();
        self.overlay.partners_of(&peer.subject, now).next().is_some()
            || list.is_some_and(|(list, _)| list.lists_certificate(&peer.subject))
    }

    /// Whether mail is exchanged with the domain.
    pub fn domain(&self, domain: &Domain, now: Timestamp) -> DomainStanding {
        if self.overlay.quarantines(domain, now) {
            return DomainStanding::Doubtful(Reason::Quarantined);
        }
        let mut partners = self.overlay.partners.get(domain).into_iter().flatten();
        let is_partner = partners.any(|(_, until)| is_in_force(*until, now));
        let departure = self.departures.get(domain);
        match self.listed(is_partner, now, |list| list.lists_domain(domain)) {
            Standing::Listed => DomainStanding::Listed,
            // A command does not wait for a list that is confirmed.
            Standing::Doubtful(Reason::WhiteListStale)
                if departure.is_some_and(|known| known.is_given_up) =>
            {
                DomainStanding::Departed
            }
            Standing::Doubtful(reason) => DomainStanding::Doubtful(reason),
            Standing::NotListed => match departure {
                None => DomainStanding::Absent,
                Some(departure) if departure.is_final(self.ages) => DomainStanding::Departed,
                Some(_) => DomainStanding::Departing,
            },
        }
    }

    /// The date of the white list in force, if there is one: its publisher's, or when its source last confirmed it.
    pub fn white_list_date(&self) -> Option<Timestamp> {
        self.white_list.as_ref().map(|(list, confirmed_at)| list.generation().unwrap_or(*confirmed_at))
    }

    fn listed(&self, is_partner: bool, now: Timestamp, is_named: impl Fn(&WhiteList) -> bool) -> Standing {
        if is_partner {
            return Standing::Listed;
        }
        let Some((list, confirmed_at)) = &self.white_list else {
            return Standing::Doubtful(Reason::NoWhiteList);
        };
        let age_secs = now.secs().saturating_sub(confirmed_at.secs());
        if age_secs >= self.ages.max_secs {
            Standing::Doubtful(Reason::NoWhiteList)
        } else if is_named(list) {
            Standing::Listed
        } else if age_secs >= self.ages.stale_secs {
            Standing::Doubtful(Reason::WhiteListStale)
        } else {
            Standing::NotListed
        }
    }
}

impl Overlay {
    fn quarantines(&self, domain: &Domain, now: Timestamp) -> bool {
        self.quarantined_domains.get(domain).is_some_and(|until| is_in_force(*until, now))
    }

    fn quarantines_certificate(&self, peer: &PeerIdentity, now: Timestamp) -> bool {
        self.quarantined_certificates.iter().any(|(mark, until)| is_in_force(*until, now) && mark.is_of(peer))
    }

    /// The domains for which a certificate counts as listed by decision.
    fn partners_of<'l>(
        &'l self,
        subject: &'l DistinguishedName,
        now: Timestamp,
    ) -> impl Iterator<Item = &'l Domain> {
        self.partners.keys().filter(move |domain| self.is_partner(domain, subject, now))
    }

    fn is_partner(&self, domain: &Domain, subject: &DistinguishedName, now: Timestamp) -> bool {
        let mut pairs = self.partners.get(domain).into_iter().flatten();
        pairs.any(|(known, until)| known == subject && is_in_force(*until, now))
    }
}

impl Departure {
    fn is_final(self, ages: Ages) -> bool {
        let apart = self.latest_absent_at.secs().saturating_sub(self.first_absent_at.secs());
        self.is_given_up || (self.latest_absent_at > self.first_absent_at && apart >= ages.departure_secs)
    }
}

fn is_in_force(until: Option<Timestamp>, now: Timestamp) -> bool {
    until.is_none_or(|until| now < until)
}
