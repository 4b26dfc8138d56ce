//! What would become of a certificate that is shown to us, and why: one finding for the API and the command line.

use crate::ports::InForce;
use mail_types::{CertificateFacts, DistinguishedName, Domain, PeerIdentity, RevocationState, Timestamp};
use pki::{CertificateFileError, Rejection, RevocationListFacts, UnixTime, Usage};
use policy::{Bearer, Standing, WhiteList};
use std::time::Duration;

/// What would become of a certificate.
#[derive(Debug)]
pub struct Finding {
    /// What it says.
    pub facts: CertificateFacts,
    /// Whether it leads to an authority that is trusted, and is not revoked.
    pub judged: Result<PeerIdentity, Rejection>,
    /// The revocation list in which it was looked up.
    pub revocation_list: Option<RevocationListFacts>,
    /// Whether it speaks for the domain, once it is judged good.
    pub standing: Option<Standing>,
    /// The domains that the white list names it for.
    pub listed_for: Vec<Domain>,
    /// The listed name that is most like its own, where it is not listed.
    pub nearest: Option<Nearest>,
    domain: Option<Domain>,
}

/// A listed name beside that of the certificate.
#[derive(Debug)]
pub struct Nearest {
    /// What it is listed for.
    pub domain: Domain,
    /// The name.
    pub name: DistinguishedName,
    /// Attributes that only the listed name has.
    pub only_in_the_list: Vec<String>,
    /// Attributes that only the certificate has.
    pub only_in_the_certificate: Vec<String>,
}

impl Finding {
    /// Judges the first certificate of a file, followed by its issuers, by what is in force; as one that speaks for `domain`, or for any.
    ///
    /// # Errors
    /// The file holds no certificate that can be read.
    pub fn of(
        file: &[u8],
        usage: Usage,
        domain: Option<Domain>,
        in_force: &InForce,
        now: Timestamp,
    ) -> Result<Self, CertificateFileError> {
        let facts = pki::certificate_facts(file)?;
        let chain = pki::certificate_chain(file)?;
        let InForce { pki, list } = in_force;
        let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.secs()).unwrap_or(0)));
        let judged = pki.judge(&chain, usage, at);
        let revocation_list = pki.lists().into_iter().find(|list| list.issuer == facts.issuer);
        let standing = judged.as_ref().ok().map(|peer| match &domain {
            Some(domain) => list.standing(domain, peer, now),
            None => list.standing_of_any(peer, now),
        });
        let white_list = list.white_list.as_ref().map(|(list, _)| list.as_ref());
        let listed_for = white_list.map(|list| list.domains_of(&facts.subject).cloned().collect());
        let is_listed = standing == Some(Standing::Listed);
        let nearest =
            white_list.filter(|_| !is_listed).and_then(|list| nearest(list, domain.as_ref(), &facts.subject));
        let listed_for = listed_for.unwrap_or_default();
        Ok(Self { facts, judged, revocation_list, standing, listed_for, nearest, domain })
    }

    /// `accepted`, `deferred` or `refused`, and why in words.
    pub fn verdict(&self) -> (&'static str, String) {
        let peer = match &self.judged {
            Err(rejection) => return ("refused", format!("the handshake fails: {rejection}")),
            Ok(peer) => peer,
        };
        if let RevocationState::Unknown(cause) = peer.revocation {
            return ("deferred", format!("whether it is revoked cannot be said: {cause}"));
        }
        let whom = self.domain.as_ref().map_or_else(|| "any domain".to_owned(), ToString::to_string);
        match self.standing {
            Some(Standing::Listed) => ("accepted", format!("it speaks for {whom}")),
            Some(Standing::Doubtful(reason)) => {
                ("deferred", format!("whether it speaks for {whom} cannot be said: {}", reason.as_str()))
            }
            _ => ("refused", format!("it does not speak for {whom} (550 5.7.1 at MAIL)")),
        }
    }

    /// `good`, `revoked`, `unknown` or `not_asked`, and why it is unknown.
    pub fn revocation(&self) -> (&'static str, Option<&'static str>) {
        match &self.judged {
            Err(Rejection::Revoked) => ("revoked", None),
            Err(_) => ("not_asked", None),
            Ok(peer) => match peer.revocation {
                RevocationState::Good => ("good", None),
                RevocationState::Unknown(cause) => ("unknown", Some(cause)),
            },
        }
    }

    /// `good`, or why it leads to no authority that is trusted: a word.
    pub fn chain(&self) -> &'static str {
        self.judged.as_ref().err().map_or("good", |rejection| rejection.cause())
    }
}

/// The listed name that has most attributes in common with the subject.
fn nearest(list: &WhiteList, domain: Option<&Domain>, subject: &DistinguishedName) -> Option<Nearest> {
    let ours: Vec<_> = subject.attributes().collect();
    let alike =
        |name: &DistinguishedName| name.attributes().filter(|attribute| ours.contains(attribute)).count();
    let named = list.pairs().filter_map(|(listed, bearer)| match bearer {
        Bearer::Subject(name) if domain.is_none_or(|domain| domain == listed) => Some((listed, name)),
        _ => None,
    });
    let (domain, name) =
        named.max_by_key(|(_, name)| alike(name)).filter(|(_, name)| domain.is_some() || alike(name) > 1)?;
    let without = |name: &DistinguishedName, other: &DistinguishedName| -> Vec<String> {
        let other: Vec<_> = other.attributes().collect();
        let own = name.attributes().filter(|attribute| !other.contains(attribute));
        own.map(|(kind, value)| format!("{kind}={value}")).collect()
    };
    Some(Nearest {
        domain: domain.clone(),
        name: DistinguishedName::clone(name),
        only_in_the_list: without(name, subject),
        only_in_the_certificate: without(subject, name),
    })
}
