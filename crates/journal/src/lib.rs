//! The journal: what is told in the audit trail without keeping a session waiting.
//!
//! Two kinds of things come here: judgements of peers and certificates ([`Journal::record`]: category `trust`, action `trust.judged`), and refusals and other
//! entries that no change of the store tells of ([`Journal::note`]). Both go into a bounded queue; a task of its own writes them in batches. Whoever comes again
//! and again gets the first rows of each minute and then one row that says how often the same happened. What the queue cannot take is counted, in a
//! metric and in one row. It decides nothing.
//!
//! Read first: [`Judgement`], [`Journal`].
#![warn(missing_docs)]

mod judgement;
mod metrics;
mod recurrence;
mod task;

pub use judgement::{Certificate, Direction, Judgement, Ruling};
pub use metrics::JournalMetrics;

use crate::task::Writer;
use mail_types::Timestamp;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use store::{AuditEntry, Store};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What may wait to be written.
const WAITING_MAX: usize = 4096;

/// A handle on the journal; cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    metrics: JournalMetrics,
    /// Taken by [`Journal::close`]: without it the task writes what is left, and ends.
    queue: Mutex<Option<mpsc::Sender<Item>>>,
    /// What the queue could not take, since the task last looked.
    lost: Arc<Lost>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// What has no row, by kind.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    pub(crate) judgements: AtomicU64,
    pub(crate) notes: AtomicU64,
}

/// What is to be written.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Judged(Box<Dated>),
    Noted(Box<AuditEntry>),
}

/// A judgement with the time when it was made.
#[derive(Clone, Debug)]
pub(crate) struct Dated {
    pub(crate) judgement: Judgement,
    pub(crate) at: Timestamp,
}

impl Journal {
    /// A journal in `store`, with the task that writes it.
    pub fn start(store: Store, metrics: JournalMetrics) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        let lost = Arc::new(Lost::default());
        let writer = Writer::new(store.clone(), waiting, lost.clone(), metrics.clone());
        let task = Mutex::new(Some(tokio::spawn(writer.run())));
        Self(Arc::new(Shared { store, metrics, queue: Mutex::new(Some(queue)), lost, task }))
    }

    /// Notes a judgement. It returns at once, whatever the store does.
    pub fn record(&self, judgement: Judgement) {
        self.0.metrics.count(judgement.direction, judgement.ruling);
        let dated = Dated { at: self.0.store.now(), judgement };
        if !self.send(Item::Judged(Box::new(dated))) {
            self.0.lost.judgements.fetch_add(1, Ordering::Relaxed);
            self.0.metrics.lost.inc();
        }
    }

    /// Notes what happened and was not done: a refused login, a refused request. It returns at once, whatever the store does; what must be
    /// on stable storage before somebody is answered goes to [`Store::record_audit`] instead. Say whence: repetitions are counted by it.
    pub fn note(&self, entry: AuditEntry) {
        if !self.send(Item::Noted(Box::new(entry))) {
            self.0.lost.notes.fetch_add(1, Ordering::Relaxed);
            self.0.metrics.lost.inc();
        }
    }

    fn send(&self, item: Item) -> bool {
        let queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.as_ref().is_some_and(|queue| queue.try_send(item).is_ok())
    }

    /// Writes what waits, and the counts of the minute under way. What comes later is lost.
    pub async fn close(&self) {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        let task = self.0.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // A task that panicked has nothing left to write.
            let _ = task.await;
        }
    }
}
