//! The health PKI seen from one server: trust anchors, revocation, peer identities, TLS configurations.
//!
//! This crate is the only maker of [`mail_types::PeerIdentity`] and the only builder of rustls configurations. It knows
//! nothing of the store, of SMTP or IMAP, of files or of HTTP: certificates and lists arrive as bytes, the caller fetches them.
//! It decides nothing either: it says what a certificate is worth, `policy` says what follows.
//!
//! Read first: [`TrustSnapshot`] (what is trusted now, and [`TrustSnapshot::judge`]), then the three ends of TLS: [`MxServerTls`]
//! (port 25), [`AccessServerTls`] (our users), [`PeerClientTls`] (towards another operator).
//!
//! # Traps of the libraries beneath, and what this crate does instead
//!
//! * webpki takes an empty list of CRLs for "no revocation check", ignores the expiry of a CRL unless told otherwise, uses the first of
//!   two CRLs of one issuer and verifies the whole CRL again at each handshake. So webpki builds the path and this crate looks every
//!   certificate of it up in its own index, checked once when it was loaded.
//! * A resumed session never meets the verifier. So the sides that verify a certificate never resume.
#![warn(missing_docs)]

mod access_server;
mod administrator;
mod auditor;
mod authority;
mod certificate;
mod crl;
mod crypto;
mod der;
pub mod development;
mod encoding;
mod handshake;
mod https_client;
mod judge;
mod judged_server;
mod leaf;
mod mx_server;
mod names;
mod ocsp;
mod own;
mod peer_client;
mod points;
mod presented;
mod reference;
mod request;
mod revocation;
mod snapshot;
mod trust;
mod verified;
mod verifier;

pub use access_server::{AccessServerTls, ClientCertificates};
pub use administrator::administrator_https_config;
pub use auditor::{Audited, AuditedVersion, AuditorTls, Duplex, alert_of};
pub use certificate::{CertificateFileError, certificate_chain, certificate_facts, certificate_names};
pub use crl::{CrlFault, CrlFaultCause, CrlNumber};
pub use crypto::{TlsSettings, TlsSettingsError};
pub use handshake::{HandshakeFailure, TlsSetupError};
pub use judge::{EkuRule, Rejection, Usage};
pub use judged_server::{Accepted, LastJudgement};
pub use mx_server::MxServerTls;
pub use ocsp::{
    OCSP_ANSWER_MAX, OCSP_TIME_MAX, OcspClient, OcspFault, OcspOutcome, OcspRule, RevocationAnswer,
    RevocationQuery, StapleError, refresh_staple,
};
pub use own::{IdentityError, OwnIdentity};
pub use peer_client::{PeerClientTls, PeerConnected};
pub use reference::ReferenceNames;
pub use request::{CertificateRequest, RequestError, RequestKey, certificate_request};
pub use snapshot::{Environment, TrustError, TrustSnapshot};
pub use trust::{AuthorityFacts, ListStanding, RevocationListFacts, Trust, TrustFacts};

/// The certificate and time types of [`TrustSnapshot::judge`].
pub use rustls_pki_types::{CertificateDer, UnixTime};
