//! What is trusted at one moment: authorities and revocation lists, immutable once built.

use std::sync::Arc;

use mail_types::{DistinguishedName, Timestamp};
use rustls::DistinguishedName as Hint;
use rustls_pki_types::pem::SectionKind;
use rustls_pki_types::{CertificateDer, TrustAnchor};

use crate::authority::Authority;
use crate::crl::{CrlFault, CrlFaultCause, RevocationList};
use crate::encoding;
use crate::judge::EkuRule;
use crate::points;
use crate::revocation::RevocationIndex;
use crate::trust::RevocationListFacts;
use crate::verified::VerifiedPaths;

/// Why nothing can be trusted with these files. Indices are those of the trust files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// A file is neither PEM, DER nor P7B.
    #[error("trust file {0} cannot be read")]
    Unreadable(usize),
    /// A file holds a certificate that is not one of an authority (RFC 5280 §4.2.1.9: basicConstraints with cA).
    #[error("trust file {0} holds a certificate that is not an authority's")]
    NotAnAuthority(usize),
    /// No file holds a self-signed certificate.
    #[error("no self-signed authority certificate, so no trust anchor, was found")]
    NoAnchor,
    /// An authority is of the other PKI.
    #[error("trust file {file} holds the authority \"{subject}\", {}", .environment.objection())]
    WrongEnvironment {
        /// The file.
        file: usize,
        /// The name of the authority.
        subject: DistinguishedName,
        /// The environment that was asked for.
        environment: Environment,
    },
}

impl TrustError {
    /// Index of the file that is at fault, if it is one file.
    pub fn file(&self) -> Option<usize> {
        match self {
            Self::Unreadable(file) | Self::NotAnAuthority(file) | Self::WrongEnvironment { file, .. } => {
                Some(*file)
            }
            Self::NoAnchor => None,
        }
    }
}

/// Which of the two health PKIs is trusted. They are never mixed: whoever holds a test certificate would else speak for a real hospital.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// That of real mail. Authorities whose names say TEST are refused.
    Production,
    /// That of tests. Authorities whose names do not say TEST are refused.
    Test,
}

impl Environment {
    fn objection(self) -> &'static str {
        match self {
            Self::Production => {
                "whose name says TEST, and the environment is production: leave it out, or set the environment to test"
            }
            Self::Test => {
                "whose name does not say TEST, and the environment is test: leave it out, or set the environment to production"
            }
        }
    }
}

/// Trust anchors, intermediates and the revocation index, as they stand at one moment. See [`crate::Trust`] for the live holder.
#[derive(Clone, Debug)]
pub struct TrustSnapshot {
    authorities: Vec<Authority>,
    anchors: Vec<TrustAnchor<'static>>,
    intermediates: Vec<CertificateDer<'static>>,
    hints: Arc<[Hint]>,
    revocation: RevocationIndex,
    eku_rule: EkuRule,
    grace_secs: i64,
    /// Whether a revocation file could not be read.
    has_faults: bool,
    built_at: Timestamp,
    /// Shared with copies, which have the same anchors and intermediates.
    verified: Arc<VerifiedPaths>,
}

impl TrustSnapshot {
    /// Reads trust files and revocation lists: PEM, DER or P7B (certs-only PKCS#7), several certificates or lists in one.
    ///
    /// A self-signed CA certificate is a trust anchor; any other CA certificate is offered to path building and may have signed a list.
    /// A list that cannot be used is reported and passed over. Of several usable lists for the same certificates the freshest counts.
    pub fn build(
        anchors_pem: &[Vec<u8>],
        crls: &[Vec<u8>],
        now: Timestamp,
    ) -> Result<(Self, Vec<CrlFault>), TrustError> {
        let authorities = authorities(anchors_pem)?;
        let (anchors, others): (Vec<_>, Vec<_>) = authorities.iter().partition(|a| a.is_self_signed);
        if anchors.is_empty() {
            return Err(TrustError::NoAnchor);
        }
        let (revocation, faults) = revocation_index(crls, &authorities, now);
        let snapshot = Self {
            anchors: anchors.iter().map(|authority| authority.anchor.clone()).collect(),
            intermediates: others.iter().map(|authority| authority.certificate.clone()).collect(),
            hints: authorities.iter().map(|authority| Hint::in_sequence(authority.name())).collect(),
            revocation,
            eku_rule: EkuRule::default(),
            grace_secs: 0,
            has_faults: faults.iter().any(|fault| fault.cause.leaves_a_gap()),
            built_at: now,
            verified: Arc::default(),
            authorities,
        };
        Ok((snapshot, faults))
    }

    /// The same, if every authority is of this environment. The national PKI says TEST in the CN, O or OU of every authority of its test side.
    pub fn of_environment(self, environment: Environment) -> Result<Self, TrustError> {
        let for_tests = environment == Environment::Test;
        match self.authorities.iter().find(|authority| authority.is_for_tests() != for_tests) {
            Some(stranger) => Err(TrustError::WrongEnvironment {
                file: stranger.file,
                subject: stranger.subject.clone(),
                environment,
            }),
            None => Ok(self),
        }
    }

    /// The same, with this reading of the extended key usage of peers.
    #[must_use]
    pub fn with_eku_rule(self, eku_rule: EkuRule) -> Self {
        Self { eku_rule, ..self }
    }

    /// The same, but a list counts as current for this many seconds past its nextUpdate.
    #[must_use]
    pub fn with_grace_secs(self, grace_secs: i64) -> Self {
        Self { grace_secs: grace_secs.max(0), ..self }
    }

    /// The same, after `previous` was in force: a list is replaced only by its proper successor, one that is dated later and has a greater number
    /// (RFC 5280 §5.2.3), and what was revoked stays revoked until such a list says otherwise. So an older file put back changes nothing, and
    /// is told as a fault. A list that is gone leaves judgements in doubt; only a file that could not be read leaves the list in force that
    /// it stood for.
    #[must_use]
    pub fn replacing(mut self, previous: &Self) -> (Self, Vec<CrlFault>) {
        let mut faults = Vec::new();
        let authorities = &self.authorities;
        // The same authorities find the same paths: open sessions are many, and all are judged again now.
        if authorities.iter().map(|a| &a.certificate).eq(previous.authorities.iter().map(|a| &a.certificate))
        {
            self.verified = previous.verified.clone();
        }
        for former in previous.revocation.lists().filter(|list| have_signer_of(authorities, list)) {
            let is_replaced = self.revocation.counterpart(former).is_some();
            if !is_replaced && self.has_faults {
                self.revocation.insert(former.clone(), self.built_at);
            }
            faults.extend(self.revocation.follow(former, self.built_at));
            self.revocation.remember(former);
        }
        for former in previous.revocation.remembered().filter(|list| have_signer_of(authorities, list)) {
            self.revocation.remember(former);
        }
        (self, faults)
    }

    /// Checks one list (PEM or DER) as if it were to be put in force now, in the place of the one for the same certificates if there is one.
    /// What is returned is what the list would be; it may be in force already.
    pub fn examine_list(&self, bytes: &[u8], now: Timestamp) -> Result<RevocationListFacts, CrlFaultCause> {
        let mut lists = encoding::objects(bytes, SectionKind::Crl).into_iter();
        let list = lists.next().ok_or(CrlFaultCause::Empty)?.map_err(|_| CrlFaultCause::Malformed)?;
        if lists.next().is_some() {
            return Err(CrlFaultCause::Several);
        }
        let list = RevocationList::read(&list, &self.authorities, now)?;
        // A list that is gone is measured by too: otherwise losing it would let an older one in.
        let mut gone = self.revocation.remembered();
        if gone.any(|former| former.covers_the_same_as(&list) && former.is_fresher_than(&list)) {
            return Err(CrlFaultCause::Older);
        }
        let known = self.revocation.counterpart(&list);
        match known.and_then(|known| known.succession(&list, now).fault()) {
            Some(fault) if !fault.is_warning() => Err(fault),
            _ => Ok(self.list_facts(&list)),
        }
    }

    /// Where the authorities say that lists are published: the `http` and `https` distribution points of their certificates. The points of the
    /// lists that name leaves stand in the leaves: see [`crate::OwnIdentity::list_points`] and [`crate::Trust::take_wanted_lists`].
    pub fn list_points(&self) -> Vec<String> {
        let mut points: Vec<_> =
            self.authorities.iter().flat_map(|authority| points::fetchable(&authority.certificate)).collect();
        points.sort();
        points.dedup();
        points
    }

    /// What is known of the revocation lists in force, by issuer.
    pub fn lists(&self) -> Vec<RevocationListFacts> {
        let mut lists: Vec<_> = self.revocation.lists().map(|list| self.list_facts(list)).collect();
        lists.sort_by(|a, b| (&a.issuer, a.this_update).cmp(&(&b.issuer, b.this_update)));
        lists
    }

    fn list_facts(&self, list: &RevocationList) -> RevocationListFacts {
        RevocationListFacts {
            issuer: list.issuer.clone(),
            number: list.number.clone(),
            this_update: list.this_update,
            next_update: list.next_update,
            grace_secs: self.grace_secs,
            entries: list.entries(),
        }
    }

    /// Whether no revocation list is loaded: every judgement is then in doubt.
    pub fn is_without_revocation_lists(&self) -> bool {
        self.revocation.lists().next().is_none()
    }

    pub(crate) fn authorities(&self) -> &[Authority] {
        &self.authorities
    }

    pub(crate) fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    pub(crate) fn intermediates(&self) -> &[CertificateDer<'static>] {
        &self.intermediates
    }

    pub(crate) fn revocation(&self) -> &RevocationIndex {
        &self.revocation
    }

    /// The instant at which a list must not be past its nextUpdate to be current at `now`.
    pub(crate) fn lists_due(&self, now: Timestamp) -> Timestamp {
        now.plus_secs(-self.grace_secs)
    }

    pub(crate) fn verified(&self) -> &VerifiedPaths {
        &self.verified
    }

    pub(crate) fn eku_rule(&self) -> EkuRule {
        self.eku_rule
    }

    /// Names of the authorities, for the certificate request (RFC 8446 §4.2.4). Intermediates too: some clients look one step up only.
    pub(crate) fn hints(&self) -> &[Hint] {
        &self.hints
    }

    /// webpki takes anchors for timeless; an authority past its end vouches for nobody.
    pub(crate) fn anchor_is_valid(&self, anchor: &TrustAnchor<'_>, now: Timestamp) -> bool {
        let mut same = self.authorities.iter().filter(|authority| authority.anchor == *anchor);
        same.any(|authority| authority.is_self_signed && authority.is_valid_at(now))
    }
}

fn authorities(files: &[Vec<u8>]) -> Result<Vec<Authority>, TrustError> {
    let mut authorities: Vec<Authority> = Vec::new();
    for (index, file) in files.iter().enumerate() {
        for certificate in encoding::objects(file, SectionKind::Certificate) {
            let certificate = certificate.map_err(|_| TrustError::Unreadable(index))?;
            let authority = Authority::read(certificate, index).ok_or(TrustError::NotAnAuthority(index))?;
            if !authorities.iter().any(|known| known.certificate == authority.certificate) {
                authorities.push(authority);
            }
        }
    }
    Ok(authorities)
}

fn have_signer_of(authorities: &[Authority], list: &RevocationList) -> bool {
    let mut authorities = authorities.iter();
    authorities.any(|a| a.name() == list.issuer_name && a.key() == list.signer_key)
}

fn revocation_index(
    files: &[Vec<u8>],
    authorities: &[Authority],
    now: Timestamp,
) -> (RevocationIndex, Vec<CrlFault>) {
    let (mut lists_read, mut faults) = (Vec::new(), Vec::new());
    for (index, file) in files.iter().enumerate() {
        let lists = encoding::objects(file, SectionKind::Crl);
        if lists.is_empty() {
            faults.push(CrlFault { index, cause: CrlFaultCause::Empty });
        }
        for list in lists {
            let list = list.map_err(|_| CrlFaultCause::Malformed);
            match list.and_then(|list| RevocationList::read(&list, authorities, now)) {
                Ok(mut list) => {
                    list.file = index;
                    lists_read.push(list);
                }
                Err(cause) => faults.push(CrlFault { index, cause }),
            }
        }
    }
    lists_read.sort_by(|a, b| a.freshness().cmp(&b.freshness()));
    let mut revocation = RevocationIndex::default();
    for list in lists_read {
        let index = list.file;
        faults.extend(revocation.insert(Arc::new(list), now).map(|cause| CrlFault { index, cause }));
    }
    faults.sort_by_key(|fault| fault.index);
    (revocation, faults)
}
