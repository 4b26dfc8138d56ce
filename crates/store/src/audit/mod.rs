//! The audit trail: append-only rows, chained by hash, written inside the transaction that they tell of.
//!
//! | part | what it does |
//! |---|---|
//! | [`entry`] | what a row says |
//! | [`chain`] | how rows are numbered, linked and hashed, and how they are written |
//! | [`subjects`] | the keys that seal personal fields, one for each person or mailbox |
//! | [`seals`] | the heads of all chains, signed each minute |
//! | [`verify`] | finds what was changed, removed, cut off or forged |
//! | [`search`], [`export`] | reads rows, with their personal fields opened |
//! | [`proof`] | what a chain is, by its rows and seals and not by what is said of it |
//! | [`retention`], [`holds`] | lets go of what had its time, unless it is held |
//!
//! It does not know why something is told, nor who may read it. The format of rows and seals is decision 0015.

mod chain;
mod entry;
mod export;
mod fault;
mod holds;
mod ids;
mod insert;
mod proof;
mod retention;
mod row;
mod seals;
mod search;
mod signer;
mod subjects;
mod verify;

pub(crate) use chain::AuditChains;
pub use entry::{AuditEntry, Category, Personal, Subject};
pub use export::{AuditExport, ExportError, ExportFormat, ExportSignature, ExportVerifier};
pub use fault::AuditFault;
pub use holds::{HoldRow, NewHold};
pub use ids::{AuditPlace, ChainId, hexadecimal};
pub use retention::{AuditKeepDays, Expiry};
pub(crate) use row::{COLUMNS as AUDIT_COLUMNS, RowColumns as AuditColumns};
pub use seals::{AuditSeal, SealMark};
pub use search::{AuditFilter, AuditPage, AuditRow, Opened};
pub use signer::AuditKey;
pub(crate) use signer::AuditSigner;
pub(crate) use subjects::SubjectKeys;
pub use verify::{AUDIT_FAULTS_MAX, Verification};

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
