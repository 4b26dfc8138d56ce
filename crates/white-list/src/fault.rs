//! Why a list is not taken. Every fault leaves the list in force where it is.

use pki::Rejection;

use crate::EntryFault;

/// Why a whole list is refused: the cause, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListFault {
    /// More octets than the caller allows.
    #[error(
        "the list is larger than {size_max} octets: look at what the source serves, or raise whitelist_size_max"
    )]
    TooLarge {
        /// The bound.
        size_max: u64,
    },
    /// More entries, elements or attributes than any list has.
    #[error("the list has more {0} than are read: look at what the source serves")]
    TooMany(&'static str),
    /// Not UTF-8, or it declares another encoding.
    #[error("the list is not UTF-8 text: look at what the source serves")]
    NotUtf8,
    /// Not well-formed XML.
    #[error("the list is not well-formed XML (line {line}): look at what the source serves")]
    NotXml {
        /// Counted from 1.
        line: u32,
    },
    /// It ends before its end.
    #[error("the list is cut off: the transfer was not complete, the next one will do")]
    Truncated,
    /// A document type, with or without entities. Also what a web page in place of the list has.
    #[error(
        "the list has a document type declaration, which no list has: look at what the source serves, perhaps a web page"
    )]
    Doctype,
    /// Two elements with one identifier.
    #[error("two elements of the list have the same identifier: it was tampered with, look at the source")]
    DuplicateId,
    /// Not signed.
    #[error("the list is not signed: look at the source, or set whitelist_format to what it serves")]
    NoSignature,
    /// Signed more than once.
    #[error("the list has more than one signature: it was tampered with, look at the source")]
    SeveralSignatures,
    /// A signature of another shape than that of the national list, so that it might cover something else than what is read.
    #[error("the signature of the list has not the shape of the national list ({0}): look at the source")]
    Wrapping(&'static str),
    /// An algorithm that is not accepted.
    #[error("the signature of the list uses an algorithm that is not accepted ({0}): ask the publisher")]
    Algorithm(&'static str),
    /// What was signed is not what is there.
    #[error(
        "the content of the list is not what was signed: it was altered on its way, fetch it again or look at the source"
    )]
    BadDigest,
    /// The signature is not of the certificate's key.
    #[error(
        "the signature of the list is not valid: it was altered on its way, fetch it again or look at the source"
    )]
    BadSignature,
    /// No certificate in the signature, or several, or one that cannot be read.
    #[error("the signature of the list does not hold one readable certificate: look at the source")]
    NoCertificate,
    /// The signer's certificate is not worth anything.
    #[error("the signer of the list is not believed: {0}; check whitelist_authorities, or ask the publisher")]
    UnknownSigner(Rejection),
    /// Whether the signer's certificate is revoked cannot be said.
    #[error(
        "whether the signer of the list is revoked cannot be said: {0}; it will be tried again once the revocation lists are there"
    )]
    SignerUnverifiable(&'static str),
    /// A certificate of the right authority, of somebody else.
    #[error(
        "the list is signed by {found}, not by {expected}: if the publisher changed its name, set whitelist_signer, else look at the source"
    )]
    OtherSigner {
        /// The name configured.
        expected: String,
        /// The names of the certificate.
        found: String,
    },
    /// Not the elements of the national list, or not the header of the CSV.
    #[error(
        "the list has not the expected form (line {line}): {expected} was expected; ask the publisher whether the format changed"
    )]
    Schema {
        /// Counted from 1; in a list whose tags or comments run over several lines it is the line without these.
        line: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// `DateDeGeneration` is not an xsd:dateTime.
    #[error("the date of the list cannot be read: ask the publisher")]
    BadDate,
    /// Made in the future.
    #[error(
        "the date of the list lies in the future: check the clock of this machine, then ask the publisher"
    )]
    FutureDate,
    /// No domain is left.
    #[error("the list names no domain: look at the source")]
    NoDomain,
    /// So many entries cannot be read that the list itself is at fault.
    #[error(
        "{bad} of {entries} entries of the list cannot be read, the first of them: {first}; ask the publisher"
    )]
    TooManyBadEntries {
        /// How many.
        bad: usize,
        /// Of how many.
        entries: usize,
        /// One of them.
        first: EntryFault,
    },
}

impl ListFault {
    /// One word for metrics and status.
    pub fn label(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::TooMany(_) => "too_many",
            Self::NotUtf8 => "not_utf8",
            Self::NotXml { .. } => "not_xml",
            Self::Truncated => "truncated",
            Self::Doctype => "doctype",
            Self::DuplicateId => "duplicate_id",
            Self::NoSignature => "no_signature",
            Self::SeveralSignatures => "several_signatures",
            Self::Wrapping(_) => "wrapping",
            Self::Algorithm(_) => "algorithm",
            Self::BadDigest => "bad_digest",
            Self::BadSignature => "bad_signature",
            Self::NoCertificate => "no_certificate",
            Self::UnknownSigner(_) => "unknown_signer",
            Self::SignerUnverifiable(_) => "signer_unverifiable",
            Self::OtherSigner { .. } => "other_signer",
            Self::Schema { .. } => "schema",
            Self::BadDate => "bad_date",
            Self::FutureDate => "future_date",
            Self::NoDomain => "no_domain",
            Self::TooManyBadEntries { .. } => "too_many_bad_entries",
        }
    }
}
