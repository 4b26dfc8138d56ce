//! Judgements read back from the audit trail: rows of category `trust`.

use crate::audit::{AUDIT_COLUMNS, AuditColumns};
use crate::dialect::on;
use crate::{AuditPlace, AuditRow, Category, Error, Opened, Store};
use mail_types::{Timestamp, UnknownWord};
use std::net::IpAddr;

/// A judgement as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgementRow {
    /// Which row it is.
    pub place: JudgementPlace,
    /// When the row was written; the line says when the judgement was made.
    pub at: Timestamp,
    /// `trust.judged`, or another dotted word.
    pub action: String,
    /// How it was judged.
    pub outcome: String,
    /// One line of JSON.
    pub detail: String,
    /// The peer's address, unless it is not known or was erased.
    pub peer: Option<IpAddr>,
}

impl From<AuditRow> for JudgementRow {
    fn from(row: AuditRow) -> Self {
        let peer = match &row.personal {
            Opened::Fields(fields) => fields.get("whence").and_then(|at| at.as_str()?.parse().ok()),
            Opened::Nothing | Opened::Erased | Opened::Damaged => None,
        };
        let AuditPlace { at_ms, chain, seq } = row.place;
        Self {
            place: JudgementPlace { at: at_ms, chain: chain.0.to_vec(), seq },
            at: Timestamp(at_ms),
            action: row.action,
            outcome: row.outcome,
            detail: row.detail,
            peer,
        }
    }
}

impl Store {
    /// The latest judgements, newest first: all, or those before a row.
    pub async fn judgements(
        &self,
        before: Option<JudgementPlace>,
        limit: u32,
    ) -> Result<Vec<JudgementRow>, Error> {
        let before = before.unwrap_or(JudgementPlace { at: i64::MAX, chain: Vec::new(), seq: 0 });
        let mut reader = self.reader().await?;
        let chains: Vec<(Vec<u8>,)> = on!(reader.conn(), c => sqlx::query_as("SELECT id FROM audit_chains WHERE category = $1 AND started_at_ms <= $2")
            .bind(Category::Trust.as_str()).bind(before.at).fetch_all(&mut *c).await)?;
        let sql = format!(
            "SELECT {AUDIT_COLUMNS} FROM audit_rows WHERE chain_id = $1 \
             AND (at_ms < $2 OR (at_ms = $2 AND ($1 < $3 OR ($1 = $3 AND seq < $4)))) ORDER BY seq DESC LIMIT $5"
        );
        let mut rows: Vec<AuditColumns> = Vec::new();
        for (chain,) in chains {
            // Along the primary key: no index over every row of every category is kept for this.
            let latest: Vec<AuditColumns> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql.as_str()))
                .bind(chain.as_slice()).bind(before.at).bind(before.chain.as_slice()).bind(before.seq).bind(i64::from(limit))
                .fetch_all(&mut *c).await)?;
            rows.extend(latest);
        }
        drop(reader);
        rows.sort_unstable_by(|one, other| other.order().cmp(&one.order()));
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(self.opened(rows).await?.into_iter().map(JudgementRow::from).collect())
    }
}

/// The place of a judgement among all: those before it are older. Printed and parsed as a cursor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JudgementPlace {
    at: i64,
    chain: Vec<u8>,
    seq: i64,
}

impl std::fmt::Display for JudgementPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ", self.at, self.seq)?;
        self.chain.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl std::str::FromStr for JudgementPlace {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let mut words = text.split(' ');
        let mut read = || {
            let (at, seq) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            let chain = words.next()?.as_bytes().chunks(2).map(octet).collect::<Option<Vec<u8>>>()?;
            Some(Self { at, chain, seq })
        };
        read().ok_or_else(|| UnknownWord { word: text.to_owned(), expected: "the place of a judgement" })
    }
}
