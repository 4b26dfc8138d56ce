//! What may be wrong with a revocation list.

/// A revocation list that was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrlFault {
    /// Index of the file among those given to [`crate::TrustSnapshot::build`].
    pub index: usize,
    /// What is wrong with it.
    pub cause: CrlFaultCause,
}

/// What is wrong with a revocation list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrlFaultCause {
    /// The file holds no revocation list.
    #[error("the file holds no revocation list")]
    Empty,
    /// Not DER, or not a CertificateList.
    #[error("the list cannot be read")]
    Malformed,
    /// None of the trust files holds its issuer.
    #[error("the issuer of the list is not among the trusted authorities")]
    UnknownIssuer,
    /// Its issuer has a KeyUsage without cRLSign.
    #[error("the issuer may not sign revocation lists")]
    IssuerMayNotSign,
    /// The signature was not made by the issuer, or with an unsupported algorithm.
    #[error("the signature of the list is not its issuer's")]
    BadSignature,
    /// A delta list (RFC 5280 §5.2.4).
    #[error("delta lists are not supported")]
    Delta,
    /// A list that speaks for other issuers (RFC 5280 §5.2.5).
    #[error("indirect lists are not supported")]
    Indirect,
    /// A list of some reasons or some kinds of certificates only (RFC 5280 §5.2.5).
    #[error("lists of some reasons or some kinds of certificates only are not supported")]
    Partitioned,
    /// A critical extension of an unknown kind.
    #[error("the list has an unknown critical extension")]
    UnknownCriticalExtension,
    /// thisUpdate is more than an hour ahead of our clock.
    #[error("the list is dated in the future")]
    FromTheFuture,
    /// One file was to hold one list.
    #[error("the file holds more than one revocation list")]
    Several,
    /// It was issued before the one in force.
    #[error("the list is older than the one in force, which stays")]
    Older,
    /// Dated later than the one in force, with a smaller number or none (RFC 5280 §5.2.3), while that one is current. What it revokes counts.
    #[error(
        "the list is dated later than the one in force but has a smaller number; the one in force stays, and what either revokes is revoked"
    )]
    NumberWentBack,
    /// The same, after the one in force went past its nextUpdate: the list was taken.
    #[error(
        "the list has a smaller number than the one before it, which was past its date: it was taken; ask its issuer"
    )]
    NumberStartedAnew,
}

impl CrlFaultCause {
    /// Whether the file may have stood for a list that is now missing.
    pub(crate) fn leaves_a_gap(self) -> bool {
        !matches!(self, Self::Older | Self::NumberWentBack | Self::NumberStartedAnew)
    }

    /// Whether the list is in force nonetheless.
    pub fn is_warning(self) -> bool {
        self == Self::NumberStartedAnew
    }
}
