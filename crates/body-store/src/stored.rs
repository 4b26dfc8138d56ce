//! A settled container that no committed row names yet.

use crate::{BodyStore, InFlight, Place};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A durable container, removed when dropped unless a row keeps it.
#[derive(Debug)]
pub struct Stored {
    place: Place,
    claim: Arc<Claim>,
}

impl Stored {
    pub(crate) fn new(store: BodyStore, place: Place, flight: InFlight) -> Self {
        Self { place, claim: Arc::new(Claim { store, place, is_kept: AtomicBool::new(false), flight }) }
    }

    /// Where it lies.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Who answers for it: [`Claim::keep`] before a commit, [`Claim::release`] after a certain rollback.
    pub fn claim(&self) -> &Arc<Claim> {
        &self.claim
    }
}

/// Says whether a container stays when nobody holds it any more.
///
/// A transaction that writes a row for it keeps it *before* the commit is sent, because after that nobody can tell whether the row stands: the
/// caller may be gone and the answer lost. If the transaction was rolled back for certain, the container is released: it goes as soon as the
/// last holder drops it, not a day later, so that a full disk does not feed itself. If the outcome is not known it stays kept; should there be no row
/// after all, the sweep of orphans removes it.
#[derive(Debug)]
pub struct Claim {
    store: BodyStore,
    place: Place,
    is_kept: AtomicBool,
    flight: InFlight,
}

impl Claim {
    /// A row that names the container may be committed from now on: it stays.
    pub fn keep(&self) {
        self.is_kept.store(true, Ordering::Release);
    }

    /// No row names the container, for certain: it goes when its last holder drops it.
    pub fn release(&self) {
        self.is_kept.store(false, Ordering::Release);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.is_kept.load(Ordering::Acquire) {
            return;
        }
        // What cannot be removed now is an orphan that the sweep finds.
        let (store, id) = (self.store.clone(), self.flight.id());
        match self.place {
            Place::File => {
                let _ = crate::files::remove_file(&store.file_path(id));
            }
            Place::Object => {
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    runtime.spawn(async move {
                        let _ = store.remove(Place::Object, &[id]).await;
                    });
                }
            }
        }
    }
}
