//! Rows of the journal of judgements: audit rows of category `trust`, written a batch at a time.

use crate::dialect::on;
use crate::writer::Touches;
use crate::{AuditEntry, Category, Error, Store};
use mail_types::{ActorId, Timestamp};

/// A judgement to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgementEntry {
    /// `trust.judged`, or another dotted word.
    pub action: &'static str,
    /// How it was judged.
    pub outcome: &'static str,
    /// Who logged in.
    pub actor: Option<ActorId>,
    /// One line of JSON.
    pub detail: String,
}

impl JudgementEntry {
    /// The row that stands for judgements without one.
    pub fn lost(count: u64) -> Self {
        Self {
            action: "trust.judgements_lost",
            outcome: "lost",
            actor: None,
            detail: format!("{{\"count\":{count}}}"),
        }
    }
}

/// A judgement as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgementRow {
    /// When the row was written; the line says when the judgement was made.
    pub at: Timestamp,
    /// `trust.judged`, or another dotted word.
    pub action: String,
    /// How it was judged.
    pub outcome: String,
    /// One line of JSON.
    pub detail: String,
}

impl Store {
    /// Writes judgements, in one unit of work.
    pub async fn record_judgements(&self, entries: Vec<JudgementEntry>) -> Result<(), Error> {
        let rows: Vec<AuditEntry> = entries
            .into_iter()
            .map(|entry| AuditEntry {
                outcome: entry.outcome,
                actor: entry.actor,
                detail: entry.detail,
                ..AuditEntry::new(Category::Trust, entry.action)
            })
            .collect();
        self.write(Touches::nothing(), move |tx| {
            let rows = rows.clone();
            Box::pin(async move { tx.audit_many(rows).await })
        })
        .await
    }

    /// The latest judgements, newest first.
    pub async fn judgements(&self, limit: u32) -> Result<Vec<JudgementRow>, Error> {
        let mut reader = self.reader().await?;
        let chains: Vec<(Vec<u8>,)> = on!(reader.conn(), c => sqlx::query_as("SELECT id FROM audit_chains WHERE category = $1")
            .bind(Category::Trust.as_str()).fetch_all(&mut *c).await)?;
        let mut rows = Vec::new();
        for (chain,) in chains {
            // Along the primary key: no index over every row of every category is kept for this.
            let latest: Vec<(i64, i64, String, String, String)> = on!(reader.conn(), c => sqlx::query_as(
                "SELECT at_ms, seq, action, outcome, detail FROM audit_rows WHERE chain_id = $1 ORDER BY seq DESC LIMIT $2")
                .bind(chain.as_slice()).bind(i64::from(limit)).fetch_all(&mut *c).await)?;
            rows.extend(latest);
        }
        rows.sort_unstable_by_key(|row| std::cmp::Reverse((row.0, row.1)));
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let row =
            |(at, _, action, outcome, detail)| JudgementRow { at: Timestamp(at), action, outcome, detail };
        Ok(rows.into_iter().map(row).collect())
    }
}
