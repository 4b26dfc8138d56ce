//! The words of the house: addresses, envelopes, replies, identifiers, roles, secrets.
//!
//! Every other crate speaks in these types; they are parsed once, at the edge, and carried by value.
//! This crate knows nothing else: no I/O, no clock, no SQL, no TLS library, no policy.
//!
//! Read first: [`Address`], [`Reply`], [`PeerIdentity`], [`Principal`].
#![warn(missing_docs)]

mod address;
mod admin_role;
mod authorization;
mod certificate;
mod criteria;
mod dn;
mod envelope;
mod flags;
mod folder_name;
mod identifiers;
mod ids;
mod life_cycle;
mod mailbox;
mod peer;
mod principal;
mod protocols;
mod reply;
mod rights;
mod secret;
mod timestamp;

pub use address::{Address, AddressError, Domain};
pub use admin_role::AdminRole;
pub use authorization::{AuthorizationIdentity, AuthorizationIdentityError};
pub use certificate::{CertificateFacts, CertificateUsage, Fingerprint};
pub use criteria::{AlternativeName, AlternativeNameError, CertificateCriteria, TooWide};
pub use dn::{DistinguishedName, DnError};
pub use envelope::{BodyKind, DsnNotify, DsnRet, ForwardPath, MailParameters, RcptParameters, ReversePath};
pub use flags::{SystemFlags, is_keyword};
pub use folder_name::{OTHER_USERS, SHARED, is_folder_name, is_others_name};
pub use identifiers::{Adeli, Finess, IdentifierError, KeyCheck, Rpps, Siret};
pub use ids::{
    ActorId, BodyId, DomainId, FolderId, JobId, MailboxId, ModSeq, QueueId, Uid, UidValidity, UnitId, UserId,
};
pub use life_cycle::{DeliveryRule, LifeCycle, StateRule};
pub use mailbox::{MailboxKind, MailboxStatus, UnknownWord, Workflow};
pub use peer::{CertificateClaim, PeerIdentity, RevocationState};
pub use principal::{Actor, ActorKind, Principal};
pub use protocols::{Protocol, Protocols};
pub use reply::{EnhancedCode, Reply};
pub use rights::{FolderFacts, Grant, Rights, RightsChange, Role};
pub use secret::Secret;
pub use timestamp::Timestamp;
