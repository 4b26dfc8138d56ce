//! The audit trail: append-only rows, chained by hash, written inside the transaction that they tell of.
//!
//! One chain for each writer incarnation and category, so that no head is shared between writers. A row's hash covers the previous hash and every
//! column. Details hold no address, subject or body: ids and verdicts only.

use crate::Error;
use crate::dialect::{Conn, answered, on};
use crate::rows::ROWS_MAX;
use crate::seal::random;
use crate::writer::WriteTx;
use aws_lc_rs::digest::{Context, SHA256};
use mail_types::{ActorId, MailboxId, UnitId};
use sqlx::QueryBuilder;
use std::collections::HashMap;

/// Which chain a row belongs to; retention is set for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Category {
    /// Messages accepted, relayed, bounced.
    Mail,
    /// What administrators do.
    Admin,
    /// Judgements of peers and certificates; what changes the trust space.
    Trust,
}

impl Category {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Admin => "admin",
            Self::Trust => "trust",
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// Which chain.
    pub category: Category,
    /// What was done, a dotted word: `message.accepted`.
    pub action: &'static str,
    /// How it ended: `ok`, `duplicate`, `failed`…
    pub outcome: &'static str,
    /// Who, where known.
    pub actor: Option<ActorId>,
    /// In which mailbox, where one is meant.
    pub mailbox: Option<MailboxId>,
    /// The unit of work that it belongs to.
    pub unit: Option<UnitId>,
    /// Facts without personal data, as `key=value` pairs.
    pub detail: String,
}

impl AuditEntry {
    /// Something that went well; who did it, where and why comes from the [`Act`](crate::Act) that the unit is run for, unless it is said here.
    pub const fn new(category: Category, action: &'static str) -> Self {
        Self {
            category,
            action,
            outcome: "ok",
            actor: None,
            mailbox: None,
            unit: None,
            detail: String::new(),
        }
    }
}

/// Heads of the chains that one writer extends.
#[derive(Clone, Debug)]
pub(crate) struct AuditChains {
    heads: HashMap<Category, Head>,
}

#[derive(Clone, Debug)]
struct Head {
    chain: [u8; 16],
    next_seq: i64,
    hash: [u8; 32],
}

impl AuditChains {
    pub(crate) fn new() -> Self {
        Self { heads: HashMap::new() }
    }
}

impl WriteTx {
    /// Appends one row to the chain of its category.
    pub(crate) async fn audit(&mut self, entry: &AuditEntry) -> Result<(), Error> {
        self.audit_many(vec![entry.clone()]).await
    }

    /// Appends rows to the chains of their categories, in order.
    pub(crate) async fn audit_many(&mut self, entries: Vec<AuditEntry>) -> Result<(), Error> {
        let at = self.now.0;
        let mut rows = Vec::with_capacity(entries.len());
        for entry in entries {
            let head = match self.audit.heads.get(&entry.category) {
                Some(head) => head.clone(),
                None => self.begin_chain(entry.category).await?,
            };
            let hash = row_hash(&head, at, &entry);
            self.audit
                .heads
                .insert(entry.category, Head { chain: head.chain, next_seq: head.next_seq + 1, hash });
            rows.push(AuditRow { entry, head, hash });
        }
        match self.conn() {
            Conn::Postgres(c, is_stuck) => answered(is_stuck, insert_rows(c, at, &rows)).await?,
            Conn::Sqlite(c) => insert_rows_sqlite(c, at, &rows).await?,
        }
        Ok(())
    }

    async fn begin_chain(&mut self, category: Category) -> Result<Head, Error> {
        let head = Head { chain: random(), next_seq: 1, hash: [0; 32] };
        let now = self.now.0;
        on!(self.conn(), c => sqlx::query("INSERT INTO audit_chains (id, category, started_at_ms) VALUES ($1, $2, $3)")
            .bind(head.chain.as_slice()).bind(category.as_str()).bind(now).execute(&mut *c).await.map(|_| ()))?;
        Ok(head)
    }
}

/// A row to be written, with the head that it extends.
struct AuditRow {
    entry: AuditEntry,
    head: Head,
    hash: [u8; 32],
}

async fn insert_rows_sqlite(
    c: &mut sqlx::SqliteConnection,
    at: i64,
    rows: &[AuditRow],
) -> Result<(), sqlx::Error> {
    for rows in rows.chunks(ROWS_MAX) {
        let mut sql = QueryBuilder::new(
            "INSERT INTO audit_rows (chain_id, seq, at_ms, action, outcome, actor_id, mailbox_id, unit_id, detail, prev_hash, hash) ",
        );
        sql.push_values(rows, |mut values, AuditRow { entry, head, hash }| {
            values
                .push_bind(head.chain.as_slice())
                .push_bind(head.next_seq)
                .push_bind(at)
                .push_bind(entry.action)
                .push_bind(entry.outcome);
            values
                .push_bind(entry.actor.map(|id| id.0))
                .push_bind(entry.mailbox.map(|id| id.0))
                .push_bind(entry.unit.map(|unit| unit.0.to_vec()));
            values
                .push_bind(entry.detail.as_str())
                .push_bind(head.hash.as_slice())
                .push_bind(hash.as_slice());
        });
        sql.build().execute(&mut *c).await?;
    }
    Ok(())
}

/// One multi-row statement.
async fn insert_rows(c: &mut sqlx::PgConnection, at: i64, rows: &[AuditRow]) -> Result<(), sqlx::Error> {
    let entries = || rows.iter().map(|row| &row.entry);
    sqlx::query(
        "INSERT INTO audit_rows (chain_id, seq, at_ms, action, outcome, actor_id, mailbox_id, unit_id, detail, prev_hash, hash) \
         SELECT c, s, $11, a, o, i, m, u, d, p, h FROM UNNEST($1::BYTEA[], $2::BIGINT[], $3::TEXT[], $4::TEXT[], $5::BIGINT[], $6::BIGINT[], $7::BYTEA[], \
         $8::TEXT[], $9::BYTEA[], $10::BYTEA[]) AS r (c, s, a, o, i, m, u, d, p, h)",
    )
    .bind(rows.iter().map(|row| row.head.chain.as_slice()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.head.next_seq).collect::<Vec<_>>())
    .bind(entries().map(|entry| entry.action).collect::<Vec<_>>())
    .bind(entries().map(|entry| entry.outcome).collect::<Vec<_>>())
    .bind(entries().map(|entry| entry.actor.map(|id| id.0)).collect::<Vec<_>>())
    .bind(entries().map(|entry| entry.mailbox.map(|id| id.0)).collect::<Vec<_>>())
    .bind(entries().map(|entry| entry.unit.map(|unit| unit.0.to_vec())).collect::<Vec<_>>())
    .bind(entries().map(|entry| entry.detail.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.head.hash.as_slice()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.hash.as_slice()).collect::<Vec<_>>())
    .bind(at)
    .execute(&mut *c)
    .await?;
    Ok(())
}

/// What the hash covers, and how; a row that is hashed otherwise has another number.
const HASH_VERSION: u8 = 1;

/// SHA-256 over version, category, the previous hash and each column that is written (the sealed ones are not yet), every part preceded by its length.
fn row_hash(head: &Head, at: i64, entry: &AuditEntry) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    let mut part = |bytes: &[u8]| {
        hash.update(&(bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(&[HASH_VERSION]);
    part(entry.category.as_str().as_bytes());
    part(&head.hash);
    part(&head.chain);
    part(&head.next_seq.to_be_bytes());
    part(&at.to_be_bytes());
    part(entry.action.as_bytes());
    part(entry.outcome.as_bytes());
    part(&entry.actor.map_or_else(Vec::new, |id| id.0.to_be_bytes().to_vec()));
    part(&entry.mailbox.map_or_else(Vec::new, |id| id.0.to_be_bytes().to_vec()));
    part(&entry.unit.map_or_else(Vec::new, |id| id.0.to_vec()));
    part(entry.detail.as_bytes());
    let mut out = [0; 32];
    out.copy_from_slice(hash.finish().as_ref());
    out
}
