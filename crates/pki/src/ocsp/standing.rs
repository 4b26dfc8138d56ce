//! What OCSP adds to a judgement made by the revocation lists.

use std::sync::Arc;

use mail_types::{PeerIdentity, RevocationState};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::answer::{CertificateStatus, OcspFault};
use super::cache::Known;
use super::client::{OcspClient, OcspRule};
use crate::handshake::HandshakeFailure;
use crate::judge::{Rejection, Usage};
use crate::trust::Trust;
use crate::verifier::Verdict;

impl Trust {
    /// The identity after a handshake, once a responder was asked: before anything is granted to the peer. An answer that the server stapled counts too.
    pub(crate) async fn settle(&self, verdict: &Verdict) -> Result<PeerIdentity, HandshakeFailure> {
        let refused = |rejection| HandshakeFailure::after(rejection, verdict.presented.clone());
        let judged = verdict.judgement.as_ref().map_err(|rejection| refused(*rejection))?;
        let Some((client, question)) = self.client().zip(judged.question.as_ref()) else {
            return Ok(judged.identity.clone());
        };
        let known = client.ask(question, &verdict.staple, &self.load()).await;
        settled(judged.identity.clone(), known, client.rule()).map_err(refused)
    }

    /// The judgement of an open session's certificate: the lists in force, and what is remembered of responders. What is not remembered any more is
    /// asked anew behind the session's back; an answer that takes something away has every session judged again ([`Trust::changes`]).
    pub(crate) fn judge_again(
        self: &Arc<Self>,
        chain: &[CertificateDer<'_>],
        usage: Usage,
        now: UnixTime,
    ) -> Result<PeerIdentity, Rejection> {
        let judged = self.load().judge_chain(chain, usage, now)?;
        self.want_lists(judged.wanted);
        let Some((client, question)) = self.client().zip(judged.question) else {
            return Ok(judged.identity);
        };
        if let Some(known) = client.remembered(&question) {
            return settled(judged.identity, known, client.rule());
        }
        // Until the answer is there, what was known last holds: asking anew makes nobody better.
        let last = client.known_last(&question).unwrap_or(Err(OcspFault::Unreachable));
        let identity = settled(judged.identity, last, client.rule());
        let trust = self.clone();
        tokio::spawn(async move {
            let answer = client.ask(&question, &[], &trust.load()).await;
            // What changes no judgement must wake nobody: a responder that is down would have every session judged again each time it is asked.
            let matters = match (answer, client.rule()) {
                (Ok(CertificateStatus::Good), _) | (Err(_), OcspRule::Prefer) => false,
                (Ok(CertificateStatus::Revoked), _) | (Err(_), OcspRule::Require) => true,
            };
            if matters {
                trust.note_change();
            }
        });
        identity
    }

    fn client(&self) -> Option<Arc<OcspClient>> {
        self.ocsp.load_full()
    }
}

fn settled(identity: PeerIdentity, known: Known, rule: OcspRule) -> Result<PeerIdentity, Rejection> {
    match (known, rule) {
        (Ok(CertificateStatus::Good), _) | (Err(_), OcspRule::Prefer) => Ok(identity),
        (Ok(CertificateStatus::Revoked), _) => Err(Rejection::Revoked),
        (Err(fault), OcspRule::Require) => Ok(in_doubt(identity, fault)),
    }
}

/// A doubt of the revocation lists goes first: it was there before.
fn in_doubt(identity: PeerIdentity, fault: OcspFault) -> PeerIdentity {
    let revocation = match identity.revocation {
        RevocationState::Good => RevocationState::Unknown(fault.cause()),
        doubt => doubt,
    };
    PeerIdentity { revocation, ..identity }
}
