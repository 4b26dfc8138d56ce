//! The live holder of what is trusted, and its state for status pages and metrics.

use std::sync::Arc;

use arc_swap::ArcSwap;
use mail_types::{DistinguishedName, Timestamp};
use tokio::sync::watch;

use crate::crl::CrlNumber;
use crate::snapshot::TrustSnapshot;

/// The snapshot now in force. Each handshake loads it anew, so a swap takes effect on the next one.
///
/// Sessions already open are judged again by their owners, who learn from [`Trust::changes`] when.
#[derive(Debug)]
pub struct Trust {
    snapshot: ArcSwap<TrustSnapshot>,
    version: watch::Sender<u64>,
}

impl Trust {
    /// Puts a first snapshot in force.
    pub fn new(snapshot: TrustSnapshot) -> Self {
        Self { snapshot: ArcSwap::from_pointee(snapshot), version: watch::Sender::new(0) }
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

    /// The snapshot in force.
    pub fn load(&self) -> Arc<TrustSnapshot> {
        self.snapshot.load_full()
    }

    /// What is in force, for status pages and metrics.
    pub fn facts(&self) -> TrustFacts {
        let snapshot = self.load();
        let mut revocation_lists: Vec<_> = snapshot
            .revocation()
            .lists()
            .map(|list| RevocationListFacts {
                issuer: list.issuer.clone(),
                number: list.number.clone(),
                this_update: list.this_update,
                next_update: list.next_update,
                entries: list.entries(),
            })
            .collect();
        revocation_lists.sort_by(|a, b| a.issuer.cmp(&b.issuer));
        let authorities = snapshot.authorities().iter().map(|authority| AuthorityFacts {
            subject: authority.subject.clone(),
            is_anchor: authority.is_self_signed,
            not_after: authority.not_after,
        });
        TrustFacts { authorities: authorities.collect(), revocation_lists }
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
    /// Whether it is a trust anchor rather than an intermediate.
    pub is_anchor: bool,
    /// Its last valid instant.
    pub not_after: Timestamp,
}

/// One revocation list in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationListFacts {
    /// Its issuer.
    pub issuer: DistinguishedName,
    /// Its number, if it has one.
    pub number: Option<CrlNumber>,
    /// When it was issued.
    pub this_update: Timestamp,
    /// When the next one is due; past this, or without it, the list proves nothing good.
    pub next_update: Option<Timestamp>,
    /// How many certificates it revokes.
    pub entries: usize,
}
