//! The journal of judgements: who was let in or refused, by which certificate, list and reason.
//!
//! [`Journal::record`] never keeps a session waiting: judgements go into a bounded queue, a task of its own writes them in batches as audit rows
//! (category `trust`, action `trust.judged`). A peer that comes again and again gets its first rows of each minute and then one row that says how
//! often the same was judged. What the queue cannot take is counted, in a metric and in one row. It decides nothing.
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
use store::Store;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Judgements that wait to be written.
const WAITING_MAX: usize = 4096;

/// A handle on the journal; cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    metrics: JournalMetrics,
    /// Taken by [`Journal::close`]: without it the task writes what is left, and ends.
    queue: Mutex<Option<mpsc::Sender<Dated>>>,
    /// Judgements that the queue could not take, since the task last looked.
    lost: Arc<AtomicU64>,
    task: Mutex<Option<JoinHandle<()>>>,
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
        let lost = Arc::new(AtomicU64::new(0));
        let writer = Writer::new(store.clone(), waiting, lost.clone(), metrics.clone());
        let task = Mutex::new(Some(tokio::spawn(writer.run())));
        Self(Arc::new(Shared { store, metrics, queue: Mutex::new(Some(queue)), lost, task }))
    }

    /// Notes a judgement. It returns at once, whatever the store does.
    pub fn record(&self, judgement: Judgement) {
        self.0.metrics.count(judgement.direction, judgement.ruling);
        let dated = Dated { at: self.0.store.now(), judgement };
        let queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.as_ref().is_none_or(|queue| queue.try_send(dated).is_err()) {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
            self.0.metrics.lost.inc();
        }
    }

    /// Writes what waits, and the counts of the minute under way. Later judgements are lost.
    pub async fn close(&self) {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        let task = self.0.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // A task that panicked has nothing left to write.
            let _ = task.await;
        }
    }
}
