//! The task that writes the journal, in batches.

use crate::recurrence::{Recurrence, Windows};
use crate::{Item, JournalMetrics, Lost};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::{AuditEntry, Category, Store};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Rows of one batch.
const BATCH_MAX: usize = 256;
/// How long the first judgement of a batch waits for others: one transaction serves them all.
const GATHER: Duration = Duration::from_millis(200);
/// Between two looks for windows that are over.
const LOOK: Duration = Duration::from_secs(5);
/// The first pause after a batch that could not be written; each is twice the one before, up to [`PAUSE_MAX`].
const PAUSE_FIRST: Duration = Duration::from_millis(250);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A journal that is being closed does not wait longer for a store that does not answer.
const CLOSE_MAX: Duration = Duration::from_secs(2);

pub(crate) struct Writer {
    store: Store,
    waiting: mpsc::Receiver<Item>,
    lost: Arc<Lost>,
    metrics: JournalMetrics,
    windows: Windows,
    rows: Vec<AuditEntry>,
}

impl Writer {
    pub(crate) fn new(
        store: Store,
        waiting: mpsc::Receiver<Item>,
        lost: Arc<Lost>,
        metrics: JournalMetrics,
    ) -> Self {
        Self { store, waiting, lost, metrics, windows: Windows::default(), rows: Vec::new() }
    }

    /// Writes until the journal is closed, then what is left.
    pub(crate) async fn run(mut self) {
        let mut look = tokio::time::interval(LOOK);
        let mut taken = Vec::with_capacity(BATCH_MAX);
        loop {
            tokio::select! {
                count = self.waiting.recv_many(&mut taken, BATCH_MAX) => {
                    if count == 0 {
                        break;
                    }
                    if count < BATCH_MAX && !self.waiting.is_closed() {
                        tokio::time::sleep(GATHER).await;
                        while taken.len() < BATCH_MAX && let Ok(item) = self.waiting.try_recv() {
                            taken.push(item);
                        }
                    }
                    taken.drain(..).for_each(|item| self.note(item));
                }
                _ = look.tick() => {
                    let closed = self.windows.close(Instant::now());
                    self.take_counts(closed);
                }
            }
            self.write().await;
        }
        let closed = self.windows.close_all();
        self.take_counts(closed);
        self.write().await;
    }

    fn note(&mut self, item: Item) {
        match self.windows.note(&item, Instant::now()) {
            Recurrence::Row => self.rows.push(row(item, 0)),
            Recurrence::Counted => {}
            Recurrence::Lost => {
                self.metrics.lost.inc();
                let lost = match item {
                    Item::Judged(_) => &self.lost.judgements,
                    Item::Noted(_) => &self.lost.notes,
                };
                lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn take_counts(&mut self, closed: Vec<(Item, u64)>) {
        self.rows.extend(closed.into_iter().map(|(item, repeats)| row(item, repeats)));
        let judgements = self.lost.judgements.swap(0, Ordering::Relaxed);
        let notes = self.lost.notes.swap(0, Ordering::Relaxed);
        if judgements + notes > 0 {
            tracing::error!(
                judgements,
                notes,
                "the journal could not keep up; their number is in a row of its own"
            );
        }
        if judgements > 0 {
            let detail = format!("{{\"count\":{judgements}}}");
            let entry = AuditEntry::new(Category::Trust, "trust.judgements_lost");
            self.rows.push(AuditEntry { outcome: "lost", detail, ..entry });
        }
        if notes > 0 {
            let entry = AuditEntry::new(Category::Access, "access.notes_lost");
            self.rows.push(AuditEntry { outcome: "lost", detail: format!("count={notes}"), ..entry });
        }
    }

    /// Writes the rows at hand. A store that does not answer is asked again; meanwhile the queue fills, and what it cannot take is counted.
    async fn write(&mut self) {
        let mut pause = PAUSE_FIRST;
        let mut closing_since = None;
        while !self.rows.is_empty() {
            let batch = self.rows[..self.rows.len().min(BATCH_MAX)].to_vec();
            let count = batch.len();
            match self.store.record_audit(batch).await {
                Ok(()) => {
                    self.metrics.rows.inc_by(count as u64);
                    self.rows.drain(..count);
                    continue;
                }
                Err(store::Error::Closing) => {
                    tracing::error!(
                        rows = self.rows.len(),
                        "the store closed before the journal was written"
                    );
                    return self.rows.clear();
                }
                Err(error) => {
                    tracing::warn!(%error, "the journal could not be written; trying again");
                }
            }
            if self.waiting.is_closed()
                && closing_since.get_or_insert_with(Instant::now).elapsed() >= CLOSE_MAX
            {
                tracing::error!(rows = self.rows.len(), "the journal ends without its last rows");
                return self.rows.clear();
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// The row of what came; `repeats` says for how many more like it the row stands.
fn row(item: Item, repeats: u64) -> AuditEntry {
    match item {
        Item::Judged(dated) => {
            let entry = AuditEntry {
                outcome: dated.judgement.ruling.as_str(),
                actor: dated.judgement.actor,
                credential: dated.judgement.credential(),
                detail: dated.judgement.line(dated.at, repeats),
                ..AuditEntry::new(Category::Trust, "trust.judged")
            };
            match dated.judgement.peer {
                Some(peer) => entry.whence(peer),
                None => entry,
            }
        }
        Item::Noted(entry) if repeats > 0 => {
            let space = if entry.detail.is_empty() { "" } else { " " };
            AuditEntry { detail: format!("{}{space}repeats={repeats}", entry.detail), ..*entry }
        }
        Item::Noted(entry) => *entry,
    }
}
