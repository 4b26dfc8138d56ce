//! The rustls verifiers: they call the judge, and leave the verdict where the end of the handshake finds it.
//!
//! One verifier serves one handshake, so that the identity handed on is the one that was judged, not one read again later.

use std::sync::{Arc, OnceLock};

use mail_types::CertificateClaim;
use rustls::Error;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::crypto::handshake_signatures;
use crate::judge::{Judged, Rejection, Usage};
use crate::leaf::Leaf;
use crate::reference::ReferenceNames;
use crate::snapshot::TrustSnapshot;
use crate::trust::Trust;

/// What was presented in one handshake and what it is worth.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) presented: Option<CertificateClaim>,
    pub(crate) judgement: Result<Judged, Rejection>,
    /// The OCSP answer that a server sent along, unread; empty without one.
    pub(crate) staple: Vec<u8>,
}

/// Where the verifier of one handshake leaves its verdict.
pub(crate) type VerdictSlot = Arc<OnceLock<Verdict>>;

/// Judges the chain of a peer, in one handshake.
#[derive(Debug)]
struct Judge {
    trust: Arc<Trust>,
    /// What is in force when the handshake begins.
    snapshot: Arc<TrustSnapshot>,
    slot: VerdictSlot,
}

impl Judge {
    fn new(trust: Arc<Trust>, slot: VerdictSlot) -> Self {
        Self { snapshot: trust.load(), trust, slot }
    }

    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        usage: Usage,
        names: Option<&ReferenceNames>,
        staple: &[u8],
        now: UnixTime,
    ) -> Result<(), Error> {
        let judged = self.snapshot.judge_leaf(leaf, intermediates, usage, now);
        let presented = match &judged {
            Ok(Judged { identity, .. }) => {
                Some(CertificateClaim { subject: identity.subject.clone(), serial: identity.serial.clone() })
            }
            Err(_) => {
                Leaf::read(leaf).map(|leaf| CertificateClaim { subject: leaf.subject, serial: leaf.serial })
            }
        };
        let judgement = judged.and_then(|mut judged| {
            self.trust.want_lists(std::mem::take(&mut judged.wanted));
            let is_named = names.is_none_or(|names| names.matches(&judged.identity));
            if is_named { Ok(judged) } else { Err(Rejection::NameMismatch) }
        });
        let refusal = judgement.as_ref().err().map(|rejection| rejection.certificate_error());
        // The first verdict stands: rustls asks once in a handshake.
        let _ = self.slot.set(Verdict { presented, judgement, staple: staple.to_vec() });
        refusal.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// Whether a client may go without a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CertificateDemand {
    /// It may.
    Optional,
    /// It may not: the handshake fails.
    Mandatory,
}

/// For our side of a connection a peer made.
#[derive(Debug)]
pub(crate) struct ClientVerifier {
    judge: Judge,
    demand: CertificateDemand,
}

impl ClientVerifier {
    pub(crate) fn new(trust: Arc<Trust>, slot: VerdictSlot, demand: CertificateDemand) -> Self {
        Self { judge: Judge::new(trust, slot), demand }
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.demand == CertificateDemand::Mandatory
    }

    fn root_hint_subjects(&self) -> &[rustls::DistinguishedName] {
        self.judge.snapshot.hints()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge.judge(end_entity, intermediates, Usage::Client, None, &[], now)?;
        Ok(ClientCertVerified::assertion())
    }

    handshake_signatures!();
}

/// For our side of a connection we made: the chain and the name must hold.
#[derive(Debug)]
pub(crate) struct ServerVerifier {
    judge: Judge,
    names: ReferenceNames,
}

impl ServerVerifier {
    pub(crate) fn new(trust: Arc<Trust>, slot: VerdictSlot, names: ReferenceNames) -> Self {
        Self { judge: Judge::new(trust, slot), names }
    }
}

impl ServerCertVerifier for ServerVerifier {
    /// The server name is what was sent; the names that count are the reference names.
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge.judge(end_entity, intermediates, Usage::Server, Some(&self.names), ocsp_response, now)?;
        Ok(ServerCertVerified::assertion())
    }

    handshake_signatures!();
}
