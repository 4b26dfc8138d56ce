//! The judgement of a certificate chain: path, validity, usage, revocation.

use std::cell::Cell;

use mail_types::{PeerIdentity, RevocationState, Timestamp};
use rustls::CertificateError;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{
    EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage, RequiredEkuNotFoundContext,
    VerifiedPath,
};

use crate::crypto;
use crate::der;
use crate::leaf::Leaf;
use crate::ocsp::OcspQuestion;
use crate::points;
use crate::revocation::PathCertificate;
use crate::snapshot::TrustSnapshot;
use crate::verified::{self, VerifiedChain};

const SERVER_AUTH: &[usize] = &[1, 3, 6, 1, 5, 5, 7, 3, 1];
const CLIENT_AUTH: &[usize] = &[1, 3, 6, 1, 5, 5, 7, 3, 2];
const EMAIL_PROTECTION: &[usize] = &[1, 3, 6, 1, 5, 5, 7, 3, 4];
/// The same, as the content of its DER.
const EMAIL_PROTECTION_DER: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 4];
const DOCUMENT_SIGNING: &[usize] = &[1, 3, 6, 1, 5, 5, 7, 3, 36];
const ANY_PURPOSE: &[usize] = &[2, 5, 29, 37, 0];

/// What a certificate is used for: the side of TLS on which the peer stands, or a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// It connected to us and proves who it is.
    Client,
    /// We connected to it.
    Server,
    /// It signed a document: emailProtection, documentSigning or any purpose, whatever the [`EkuRule`], and a key usage, if it states one, of
    /// digitalSignature or nonRepudiation (RFC 5280 §4.2.1.3).
    Signer,
}

/// How the extended key usage of a peer is read (RFC 5280 §4.2.1.12). A certificate without the extension serves every use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EkuRule {
    /// clientAuth for clients, serverAuth for servers.
    #[default]
    Strict,
    /// Either one for either side: operators connect to one another with server certificates that may lack clientAuth.
    AnyTlsUsage,
}

/// Why a certificate is not worth anything. The chain is the peer's, so is the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.cause())]
pub enum Rejection {
    /// No path to a trust anchor: another authority, a forged signature, a violated constraint.
    Untrusted,
    /// A certificate of every path is past its end.
    Expired,
    /// A certificate of every path is not valid yet.
    NotYetValid,
    /// Not a certificate for this use, or a CA's own.
    WrongUsage,
    /// A certificate of every path is on a revocation list.
    Revoked,
    /// Not readable, or with an unknown critical extension.
    Malformed,
    /// Valid, but of another server than the one sought.
    NameMismatch,
}

impl Rejection {
    /// The cause in words for the log: no name of the peer in it.
    pub fn cause(self) -> &'static str {
        match self {
            Self::Untrusted => "the certificate does not lead to a trusted authority",
            Self::Expired => "the certificate or one of its issuers has expired",
            Self::NotYetValid => "the certificate or one of its issuers is not valid yet",
            Self::WrongUsage => "the certificate is not meant for this use",
            Self::Revoked => "the certificate or one of its issuers is revoked",
            Self::Malformed => "the certificate cannot be read",
            Self::NameMismatch => "the certificate names another server",
        }
    }

    /// The word for the journal and for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Untrusted => "untrusted",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::WrongUsage => "wrong_usage",
            Self::Revoked => "revoked",
            Self::Malformed => "malformed",
            Self::NameMismatch => "name_mismatch",
        }
    }

    /// As rustls reports it, which chooses the alert sent to the peer.
    pub(crate) fn certificate_error(self) -> CertificateError {
        match self {
            Self::Untrusted => CertificateError::UnknownIssuer,
            Self::Expired => CertificateError::Expired,
            Self::NotYetValid => CertificateError::NotValidYet,
            Self::WrongUsage => CertificateError::InvalidPurpose,
            Self::Revoked => CertificateError::Revoked,
            Self::Malformed => CertificateError::BadEncoding,
            Self::NameMismatch => CertificateError::NotValidForName,
        }
    }

    fn from_webpki(error: &Error) -> Self {
        match error {
            Error::CertExpired { .. } => Self::Expired,
            Error::CertNotValidYet { .. } => Self::NotYetValid,
            Error::CertRevoked => Self::Revoked,
            Error::RequiredEkuNotFoundContext(_) | Error::CaUsedAsEndEntity => Self::WrongUsage,
            Error::BadDer
            | Error::BadDerTime
            | Error::EmptyEkuExtension
            | Error::ExtensionValueInvalid
            | Error::InvalidCertValidity
            | Error::InvalidSerialNumber
            | Error::MalformedExtensions
            | Error::TrailingData(_)
            | Error::UnsupportedCertVersion
            | Error::UnsupportedCriticalExtension => Self::Malformed,
            _ => Self::Untrusted,
        }
    }
}

/// A chain that was found good.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) identity: PeerIdentity,
    /// What an OCSP responder can be asked about it.
    pub(crate) question: Option<OcspQuestion>,
    /// Where the lists are published that were missing or past their date.
    pub(crate) wanted: Vec<String>,
}

impl TrustSnapshot {
    /// Judges a chain, leaf first. The other certificates help to find a path and are not trusted themselves.
    ///
    /// A path that leads over a revoked certificate is no path, even when the list is outdated. Without a current list of every issuer
    /// of the path the identity is given with [`RevocationState::Unknown`]: the cause is ours, and the caller decides.
    ///
    /// An empty chain is [`Rejection::Malformed`].
    pub fn judge(
        &self,
        chain: &[CertificateDer<'_>],
        usage: Usage,
        now: UnixTime,
    ) -> Result<PeerIdentity, Rejection> {
        self.judge_chain(chain, usage, now).map(|judged| judged.identity)
    }

    /// The same, with what must be known to judge better next time.
    pub(crate) fn judge_chain(
        &self,
        chain: &[CertificateDer<'_>],
        usage: Usage,
        now: UnixTime,
    ) -> Result<Judged, Rejection> {
        let (leaf, intermediates) = chain.split_first().ok_or(Rejection::Malformed)?;
        self.judge_leaf(leaf, intermediates, usage, now)
    }

    /// The same, with the leaf apart.
    pub(crate) fn judge_leaf(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        usage: Usage,
        now: UnixTime,
    ) -> Result<Judged, Rejection> {
        let key = verified::key(usage, self.eku_rule(), std::iter::once(leaf).chain(intermediates));
        if let Some(known) = self.verified().get(&key).filter(|known| self.still_holds(known, now)) {
            return Ok(self.judged(known.leaf.clone(), &known.certificates(), now));
        }
        let facts = Leaf::read(leaf).ok_or(Rejection::Malformed)?;
        if usage == Usage::Signer && !facts.may_sign {
            return Err(Rejection::WrongUsage);
        }
        let leaf = EndEntityCert::try_from(leaf).map_err(|error| Rejection::from_webpki(&error))?;
        let offered: Vec<_> = intermediates
            .iter()
            .chain(self.intermediates())
            .map(|certificate| CertificateDer::from(certificate.as_ref()))
            .collect();
        // webpki reports the most telling error of all attempts, by its own ranking: revocation must not be lost in it.
        let revoked = Cell::new(false);
        let accept = |path: &VerifiedPath<'_>| self.accept(path, now, &revoked);
        let path = leaf.verify_for_usage(
            crypto::signature_algorithms().all,
            self.anchors(),
            &offered,
            now,
            Purpose { usage, rule: self.eku_rule() },
            None,
            Some(&accept),
        );
        match path {
            Ok(path) => {
                let certificates = certificates(&path);
                if let Some(known) = VerifiedChain::of(&facts, &certificates, path.anchor()) {
                    self.verified().insert(key, known);
                }
                Ok(self.judged(facts, &certificates, now))
            }
            Err(_) if revoked.get() => Err(Rejection::Revoked),
            Err(error) => Err(Rejection::from_webpki(&error)),
        }
    }

    /// What webpki does not look at: revocation by our index, and the dates of the anchor.
    fn accept(&self, path: &VerifiedPath<'_>, now: UnixTime, revoked: &Cell<bool>) -> Result<(), Error> {
        if !self.anchor_is_valid(path.anchor(), timestamp(now)) {
            return Err(Error::CertExpired { time: now, not_after: now });
        }
        if certificates(path).iter().any(|certificate| self.revocation().revokes(certificate)) {
            revoked.set(true);
            return Err(Error::CertRevoked);
        }
        Ok(())
    }

    /// Whether a path that was found earlier is one at `now`. There may be another when it is not.
    fn still_holds(&self, known: &VerifiedChain, now: UnixTime) -> bool {
        let now = timestamp(now);
        known.is_valid_at(now)
            && self.anchor_is_valid(&known.anchor, now)
            && !known.certificates().iter().any(|certificate| self.revocation().revokes(certificate))
    }

    fn judged(&self, leaf: Leaf, path: &[PathCertificate<'_>], now: UnixTime) -> Judged {
        let due = self.lists_due(timestamp(now));
        let (mut state, mut wanted) = (RevocationState::Good, Vec::new());
        for certificate in path.iter().rev() {
            if let Some(doubt) = self.revocation().doubt(certificate, due) {
                state = RevocationState::Unknown(doubt);
                wanted.extend(points::fetchable(&certificate.der));
            }
        }
        let number = path.first().and_then(|leaf| self.revocation().number(leaf, due));
        let identity = leaf.into_identity(state, number.map(ToString::to_string));
        Judged { identity, question: path.first().map(OcspQuestion::about), wanted }
    }
}

/// The certificates of a path, leaf first, without the anchor.
fn certificates<'p>(path: &'p VerifiedPath<'p>) -> Vec<PathCertificate<'p>> {
    let mut issuers = path.intermediate_certificates();
    let mut certificate: Option<&'p webpki::Cert<'p>> = Some(path.end_entity());
    let mut certificates = Vec::new();
    while let Some(current) = certificate {
        let issuer = issuers.next();
        let issuer_key = match issuer {
            Some(issuer) => der::content(&issuer.subject_public_key_info()).unwrap_or_default().to_vec(),
            None => path.anchor().subject_public_key_info.to_vec(),
        };
        certificates.push(PathCertificate {
            der: current.der(),
            serial: current.serial(),
            issuer_name: current.issuer(),
            issuer_key,
        });
        certificate = issuer;
    }
    certificates
}

fn timestamp(now: UnixTime) -> Timestamp {
    Timestamp::from_secs(i64::try_from(now.as_secs()).unwrap_or(i64::MAX))
}

/// The rule for the extended key usage of every certificate of the path.
struct Purpose {
    usage: Usage,
    rule: EkuRule,
}

impl Purpose {
    fn allows(&self, purpose: &[usize]) -> bool {
        match (self.rule, self.usage) {
            (_, Usage::Signer) => [EMAIL_PROTECTION, DOCUMENT_SIGNING, ANY_PURPOSE].contains(&purpose),
            (EkuRule::AnyTlsUsage, _) => purpose == SERVER_AUTH || purpose == CLIENT_AUTH,
            (EkuRule::Strict, Usage::Client) => purpose == CLIENT_AUTH,
            (EkuRule::Strict, Usage::Server) => purpose == SERVER_AUTH,
        }
    }
}

impl ExtendedKeyUsageValidator for Purpose {
    /// webpki hands over an empty list for an absent extension, and refuses a present and empty one itself.
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        let mut present = Vec::new();
        for purpose in purposes {
            let purpose = purpose?.to_decoded_oid();
            if self.allows(&purpose) {
                return Ok(());
            }
            present.push(purpose);
        }
        if present.is_empty() {
            return Ok(());
        }
        let required = match self.usage {
            Usage::Client => KeyUsage::client_auth(),
            Usage::Server => KeyUsage::server_auth(),
            Usage::Signer => KeyUsage::required(EMAIL_PROTECTION_DER),
        };
        Err(Error::RequiredEkuNotFoundContext(RequiredEkuNotFoundContext { required, present }))
    }
}
