//! The live holder of what is trusted, and its state for status pages and metrics.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use mail_types::{DistinguishedName, PeerIdentity, Timestamp};
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::sync::watch;

use crate::crl::CrlNumber;
use crate::judge::{Rejection, Usage};
use crate::leaf::sha256;
use crate::ocsp::OcspClient;
use crate::points::WantedLists;
use crate::snapshot::TrustSnapshot;

/// The snapshot now in force. Each handshake loads it anew, so a swap takes effect on the next one.
///
/// Sessions already open are judged again by their owners, who learn from [`Trust::changes`] when.
#[derive(Debug)]
pub struct Trust {
    snapshot: ArcSwap<TrustSnapshot>,
    version: watch::Sender<u64>,
    wanted: WantedLists,
    pub(crate) ocsp: ArcSwapOption<OcspClient>,
}

impl Trust {
    /// Puts a first snapshot in force.
    pub fn new(snapshot: TrustSnapshot) -> Self {
        Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            version: watch::Sender::new(0),
            wanted: WantedLists::default(),
            ocsp: ArcSwapOption::empty(),
        }
    }

    /// Puts another snapshot in force.
    pub fn swap(&self, snapshot: TrustSnapshot) {
        self.snapshot.store(Arc::new(snapshot));
        self.note_change();
    }

    /// Tells those who follow [`Trust::changes`] that something by which open sessions are judged has changed: the white list, say.
    pub fn note_change(&self) {
        self.version.send_modify(|version| *version = version.wrapping_add(1));
    }

    /// A number that is another one after each swap of the snapshot and each [`Trust::note_change`]. An owner of an open session that sees it
    /// change judges the session again.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// The number that [`Trust::changes`] shows now.
    pub(crate) fn version(&self) -> u64 {
        *self.version.borrow()
    }

    /// Where to fetch the lists that were missing or past their date when a certificate was judged, since the last call: `http` and `https` distribution
    /// points of certificates whose signatures lead to an anchor, a bounded number of them.
    pub fn take_wanted_lists(&self) -> Vec<String> {
        self.wanted.take()
    }

    pub(crate) fn want_lists(&self, points: Vec<String>) {
        self.wanted.add(points);
    }

    /// The snapshot in force.
    pub fn load(&self) -> Arc<TrustSnapshot> {
        self.snapshot.load_full()
    }

    /// Has responders asked about peers after each handshake from now on, or no longer with `None`. Open sessions are judged again.
    pub fn set_ocsp(&self, client: Option<Arc<OcspClient>>) {
        self.ocsp.store(client);
        self.note_change();
    }

    /// [`TrustSnapshot::judge`] by the snapshot in force; lists that were missed are wanted from then on.
    pub fn judge(
        &self,
        chain: &[CertificateDer<'_>],
        usage: Usage,
        now: UnixTime,
    ) -> Result<PeerIdentity, Rejection> {
        let judged = self.load().judge_chain(chain, usage, now)?;
        self.want_lists(judged.wanted);
        Ok(judged.identity)
    }

    /// What is in force, for status pages and metrics.
    pub fn facts(&self) -> TrustFacts {
        let snapshot = self.load();
        let authorities = snapshot.authorities().iter().map(|authority| AuthorityFacts {
            subject: authority.subject.clone(),
            issuer: authority.issuer.clone(),
            serial: authority.serial.clone(),
            fingerprint: sha256(&authority.certificate),
            is_anchor: authority.is_self_signed,
            not_before: authority.not_before,
            not_after: authority.not_after,
        });
        TrustFacts { authorities: authorities.collect(), revocation_lists: snapshot.lists() }
    }
}

/// What is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustFacts {
    /// Trust anchors and intermediates, in the order of the files.
    pub authorities: Vec<AuthorityFacts>,
    /// Revocation lists, by issuer.
    pub revocation_lists: Vec<RevocationListFacts>,
}

/// One authority in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityFacts {
    /// Its name.
    pub subject: DistinguishedName,
    /// The name of who issued its certificate: its own for an anchor.
    pub issuer: DistinguishedName,
    /// Serial number of its certificate, big endian, without leading zeros.
    pub serial: Vec<u8>,
    /// SHA-256 of its certificate.
    pub fingerprint: [u8; 32],
    /// Whether it is a trust anchor rather than an intermediate.
    pub is_anchor: bool,
    /// Its first valid instant.
    pub not_before: Timestamp,
    /// Its last valid instant.
    pub not_after: Timestamp,
}

/// One revocation list, in force or examined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationListFacts {
    /// Its issuer.
    pub issuer: DistinguishedName,
    /// Its number, if it has one.
    pub number: Option<CrlNumber>,
    /// When it was issued.
    pub this_update: Timestamp,
    /// When the next one is due; past this and the grace, or without it, the list proves nothing good.
    pub next_update: Option<Timestamp>,
    /// How long it counts beyond, in seconds.
    pub grace_secs: i64,
    /// How many certificates it revokes.
    pub entries: usize,
}

/// Whether a revocation list still speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListStanding {
    /// Its successor is not due yet.
    Current,
    /// Its successor is due, and it counts for the configured grace.
    InGrace,
    /// It proves nothing good any more: what it would have to say is in doubt.
    Past,
}

impl RevocationListFacts {
    /// How it stands at `now`.
    pub fn standing(&self, now: Timestamp) -> ListStanding {
        match self.next_update {
            Some(next_update) if now <= next_update => ListStanding::Current,
            Some(next_update) if now <= next_update.plus_secs(self.grace_secs) => ListStanding::InGrace,
            _ => ListStanding::Past,
        }
    }
}
