//! A row as it lies in the database.

use super::chain::Columns;
use super::ids::fixed;
use super::{AuditPlace, ChainId};
use crate::Error;

/// Every column of a row.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct RowColumns {
    pub(super) chain_id: Vec<u8>,
    pub(super) seq: i64,
    pub(super) at_ms: i64,
    pub(super) category: String,
    pub(super) action: String,
    pub(super) outcome: String,
    pub(super) actor_id: Option<i64>,
    pub(super) credential: Option<String>,
    pub(super) via: Option<String>,
    pub(super) target: Option<String>,
    pub(super) mailbox_id: Option<i64>,
    pub(super) unit_id: Option<Vec<u8>>,
    pub(super) request: Option<String>,
    pub(super) detail: String,
    pub(super) subject_id: Option<Vec<u8>>,
    pub(super) sealed: Option<Vec<u8>>,
    pub(super) prev_hash: Vec<u8>,
    pub(super) hash: Vec<u8>,
}

/// The columns, as a query names them.
pub(crate) const COLUMNS: &str = "chain_id, seq, at_ms, category, action, outcome, actor_id, credential, via, target, mailbox_id, unit_id, request, detail, \
                                  subject_id, sealed, prev_hash, hash";

impl RowColumns {
    /// The hash as it must be.
    pub(super) fn computed_hash(&self) -> [u8; 32] {
        let columns = Columns {
            chain: &self.chain_id,
            seq: self.seq,
            at: self.at_ms,
            category: &self.category,
            action: &self.action,
            outcome: &self.outcome,
            actor: self.actor_id,
            credential: self.credential.as_deref(),
            via: self.via.as_deref(),
            target: self.target.as_deref(),
            mailbox: self.mailbox_id,
            unit: self.unit_id.as_deref(),
            request: self.request.as_deref(),
            detail: &self.detail,
            subject: self.subject_id.as_deref(),
            sealed: self.sealed.as_deref(),
            prev: &self.prev_hash,
        };
        columns.hash()
    }

    /// What rows are ordered by, the oldest first.
    pub(crate) fn order(&self) -> (i64, &[u8], i64) {
        (self.at_ms, &self.chain_id, self.seq)
    }

    pub(super) fn place(&self) -> Result<AuditPlace, Error> {
        let chain =
            fixed(&self.chain_id).ok_or(Error::Inconsistent("a chain of the audit trail has no id"))?;
        Ok(AuditPlace { at_ms: self.at_ms, chain: ChainId(chain), seq: self.seq })
    }
}
