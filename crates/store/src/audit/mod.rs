//! The audit trail: append-only rows, chained by hash, written inside the transaction that they tell of.
//!
//! | part | what it does |
//! |---|---|
//! | [`entry`] | what a row says |
//! | [`chain`] | how rows are numbered, linked and hashed, and how they are written |
//! | [`subjects`] | the keys that seal personal fields, one for each person or mailbox |
//!
//! It does not know why something is told, nor who may read it. The format of rows and seals is decision 0015.

mod chain;
mod entry;
mod insert;
mod subjects;

pub(crate) use chain::AuditChains;
pub use entry::{AuditEntry, Category, Personal, Subject};
pub(crate) use subjects::SubjectKeys;

use crate::writer::Touches;
use crate::{Error, Store};

/// Rows of one unit of work.
const RECORD_MAX: usize = 1_000;

impl Store {
    /// Writes rows that tell of nothing else that is written: they are on stable storage when it returns.
    ///
    /// # Errors
    /// Nothing of a thousand rows that failed stands; those before them do.
    pub async fn record_audit(&self, entries: Vec<AuditEntry>) -> Result<(), Error> {
        for entries in entries.chunks(RECORD_MAX) {
            let entries = entries.to_vec();
            self.write(Touches::nothing(), move |tx| {
                let entries = entries.clone();
                Box::pin(async move { tx.audit_many(entries).await })
            })
            .await?;
        }
        Ok(())
    }
}
