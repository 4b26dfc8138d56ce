//! What one connection adds to the journal of judgements: its handshake, and each new pair of domain and verdict.

use crate::Service;
use journal::{Direction, Journal, Judgement, Ruling};
use mail_types::{ActorId, CertificateClaim, Domain, PeerIdentity, Timestamp};
use std::net::IpAddr;

/// Pairs remembered of one connection; one that asks for more domains than this has each of them journalled, as often as the journal lets it.
const REMEMBERED_MAX: usize = 64;

/// The judgements of one connection.
#[derive(Debug)]
pub(crate) struct Judgements {
    journal: Journal,
    direction: Direction,
    peer: IpAddr,
    tls: Option<(&'static str, &'static str)>,
    known: Vec<(Option<Domain>, &'static str)>,
}

/// By what it was judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Basis<'b> {
    pub(crate) certificate: Option<&'b PeerIdentity>,
    pub(crate) white_list: Option<Timestamp>,
    pub(crate) hello: &'b str,
}

impl Judgements {
    pub(crate) fn new(journal: Journal, service: Service, peer: IpAddr) -> Self {
        let direction = match service {
            Service::Mx => Direction::Inbound,
            Service::Submission => Direction::Access,
        };
        Self { journal, direction, peer, tls: None, known: Vec::new() }
    }

    /// A finished handshake. One of our users without a certificate was not judged by it.
    pub(crate) fn shook_hands(&mut self, tls: (&'static str, &'static str), basis: Basis<'_>) {
        self.tls = Some(tls);
        let reason = match basis.certificate {
            Some(_) => "handshake",
            None if self.direction == Direction::Access => return,
            None => "no_certificate",
        };
        self.record(Ruling::Accepted, reason, None, basis);
    }

    /// A handshake that failed, with what the certificate claimed.
    pub(crate) fn handshake_failed(
        &self,
        reason: &'static str,
        presented: Option<CertificateClaim>,
        white_list: Option<Timestamp>,
    ) {
        self.journal.record(Judgement {
            peer: Some(self.peer),
            certificate: presented.map(Into::into),
            white_list,
            ..Judgement::new(self.direction, Ruling::HandshakeFailed, reason)
        });
    }

    /// A domain was asked for, or a login. Noted once for each verdict: a connection may carry a thousand messages for one domain.
    pub(crate) fn judged(
        &mut self,
        ruling: Ruling,
        reason: &'static str,
        domain: Option<&Domain>,
        basis: Basis<'_>,
    ) {
        let is_known =
            |known: &(Option<Domain>, &'static str)| known.0.as_ref() == domain && known.1 == reason;
        if self.known.iter().any(is_known) {
            return;
        }
        if self.known.len() < REMEMBERED_MAX {
            self.known.push((domain.cloned(), reason));
        }
        self.record(ruling, reason, domain, basis);
    }

    /// A login by certificate, that succeeded or not.
    pub(crate) fn logged_in(
        &self,
        ruling: Ruling,
        reason: &'static str,
        actor: Option<ActorId>,
        basis: Basis<'_>,
    ) {
        self.journal.record(Judgement { actor, ..self.judgement(ruling, reason, None, basis) });
    }

    fn record(&self, ruling: Ruling, reason: &'static str, domain: Option<&Domain>, basis: Basis<'_>) {
        self.journal.record(self.judgement(ruling, reason, domain, basis));
    }

    fn judgement(
        &self,
        ruling: Ruling,
        reason: &'static str,
        domain: Option<&Domain>,
        basis: Basis<'_>,
    ) -> Judgement {
        Judgement {
            peer: Some(self.peer),
            host: (!basis.hello.is_empty()).then(|| basis.hello.to_owned()),
            certificate: basis.certificate.map(Into::into),
            tls: self.tls,
            domain: domain.cloned(),
            white_list: basis.white_list,
            ..Judgement::new(self.direction, ruling, reason)
        }
    }
}
