//! How rows are numbered, linked and hashed: one chain for each writer incarnation, category and month, so that no head is shared between writers.

use super::insert::insert_rows;
use super::subjects::{FreshKeys, SubjectId, seal};
use super::{AuditEntry, Category};
use crate::Error;
use crate::dialect::on;
use crate::keys::month_name;
use crate::seal::random;
use crate::writer::WriteTx;
use aws_lc_rs::digest::{SHA256, digest};
use std::collections::{BTreeSet, HashMap};

/// Heads of the chains that one writer extends, and the keys that its open transaction made.
#[derive(Clone)]
pub(crate) struct AuditChains {
    heads: HashMap<Category, Head>,
    pub(super) fresh: FreshKeys,
}

/// Where a chain ends.
#[derive(Clone)]
struct Head {
    chain: [u8; 16],
    month: String,
    next_seq: i64,
    hash: [u8; 32],
}

impl AuditChains {
    pub(crate) fn new() -> Self {
        Self { heads: HashMap::new(), fresh: HashMap::new() }
    }

    /// What was made in the transaction is on stable storage.
    pub(crate) fn stands(mut self, keyring: &crate::keys::Keyring) -> Self {
        keyring.subjects().keep(self.fresh.drain());
        self
    }
}

/// A row to be written.
pub(super) struct NewRow {
    pub(super) entry: AuditEntry,
    pub(super) chain: [u8; 16],
    pub(super) seq: i64,
    pub(super) at: i64,
    pub(super) subject: Option<[u8; 16]>,
    pub(super) sealed: Option<Vec<u8>>,
    pub(super) prev: [u8; 32],
    pub(super) hash: [u8; 32],
}

impl WriteTx {
    /// Appends one row to the chain of its category.
    pub(crate) async fn audit(&mut self, entry: &AuditEntry) -> Result<(), Error> {
        self.audit_many(vec![entry.clone()]).await
    }

    /// Appends rows to the chains of their categories, in order.
    pub(crate) async fn audit_many(&mut self, mut entries: Vec<AuditEntry>) -> Result<(), Error> {
        if !self.keyring.audits_mail() {
            entries.retain(|entry| entry.category != Category::Mail);
        }
        if entries.is_empty() {
            return Ok(());
        }
        if let Some(act) = self.act.clone() {
            entries.iter_mut().for_each(|entry| entry.stamp(&act));
        }
        let personal: Vec<Option<(SubjectId, String)>> =
            entries.iter().map(|entry| self.personal(entry)).collect();
        let subjects: BTreeSet<SubjectId> = personal.iter().flatten().map(|(id, _)| *id).collect();
        let keys = self.subject_keys(&subjects).await?;
        let (at, month) = (self.now.0, month_name(self.now));
        let mut rows = Vec::with_capacity(entries.len());
        for (entry, personal) in entries.into_iter().zip(personal) {
            let head = self.head(entry.category, &month).await?;
            let (chain, seq, prev) = (head.chain, head.next_seq, head.hash);
            let sealed =
                personal.as_ref().and_then(|(id, text)| Some(seal(keys.get(id)?, *id, &chain, seq, text)));
            let subject = personal.map(|(id, _)| id.0);
            let mut row = NewRow { entry, chain, seq, at, subject, sealed, prev, hash: [0; 32] };
            row.hash = row.hashed();
            self.audit.heads.insert(row.entry.category, Head { next_seq: seq + 1, hash: row.hash, ..head });
            rows.push(row);
        }
        insert_rows(self.conn(), &rows).await
    }

    /// What is to be sealed, and whose it is.
    fn personal(&self, entry: &AuditEntry) -> Option<(SubjectId, String)> {
        let text = entry.personal.text()?;
        Some((self.keyring.subjects().id(&entry.owner()), text))
    }

    /// Where the chain of this category and month ends; a month begins a new one.
    async fn head(&mut self, category: Category, month: &str) -> Result<Head, Error> {
        if let Some(head) = self.audit.heads.get(&category).filter(|head| head.month == month) {
            return Ok(head.clone());
        }
        let now = self.now.0;
        let chain: [u8; 16] = random();
        on!(self.conn(), c => sqlx::query("INSERT INTO audit_chains (id, category, month, started_at_ms) VALUES ($1, $2, $3, $4)")
            .bind(chain.as_slice()).bind(category.as_str()).bind(month).bind(now).execute(&mut *c).await.map(|_| ()))?;
        let hash = chain_hash(&chain, category.as_str(), month, now);
        Ok(Head { chain, month: month.to_owned(), next_seq: 1, hash })
    }
}

/// What the hash covers, and how; a row that is hashed otherwise has another number.
const HASH_VERSION: u8 = 2;

/// What the first row of a chain is linked to: SHA-256 over what the chain itself is.
pub(super) fn chain_hash(chain: &[u8; 16], category: &str, month: &str, started_at: i64) -> [u8; 32] {
    let mut parts = Parts::new();
    parts.put(&[HASH_VERSION]);
    parts.put(b"chain");
    parts.put(chain);
    parts.put(category.as_bytes());
    parts.put(month.as_bytes());
    parts.put(&started_at.to_be_bytes());
    parts.hash()
}

/// Octets to be hashed: each part preceded by its length, one that is not there by a length that none has.
pub(super) struct Parts(Vec<u8>);

impl Parts {
    pub(super) fn new() -> Self {
        Self(Vec::with_capacity(512))
    }

    pub(super) fn put(&mut self, part: &[u8]) {
        self.0.extend((part.len() as u64).to_be_bytes());
        self.0.extend(part);
    }

    pub(super) fn put_if(&mut self, part: Option<&[u8]>) {
        match part {
            Some(part) => self.put(part),
            None => self.0.extend(u64::MAX.to_be_bytes()),
        }
    }

    pub(super) fn put_id(&mut self, id: Option<i64>) {
        self.put_if(id.map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice));
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(digest(&SHA256, &self.0).as_ref());
        out
    }
}

/// Every column of a row but its hash.
pub(super) struct Columns<'a> {
    pub(super) chain: &'a [u8],
    pub(super) seq: i64,
    pub(super) at: i64,
    pub(super) category: &'a str,
    pub(super) action: &'a str,
    pub(super) outcome: &'a str,
    pub(super) actor: Option<i64>,
    pub(super) credential: Option<&'a str>,
    pub(super) via: Option<&'a str>,
    pub(super) target: Option<&'a str>,
    pub(super) mailbox: Option<i64>,
    pub(super) unit: Option<&'a [u8]>,
    pub(super) request: Option<&'a str>,
    pub(super) detail: &'a str,
    pub(super) subject: Option<&'a [u8]>,
    pub(super) sealed: Option<&'a [u8]>,
    pub(super) prev: &'a [u8],
}

impl Columns<'_> {
    /// SHA-256 over every column, in their order in the table.
    pub(super) fn hash(&self) -> [u8; 32] {
        let mut parts = Parts::new();
        parts.put(&[HASH_VERSION]);
        parts.put(self.chain);
        parts.put(&self.seq.to_be_bytes());
        parts.put(&self.at.to_be_bytes());
        parts.put(self.category.as_bytes());
        parts.put(self.action.as_bytes());
        parts.put(self.outcome.as_bytes());
        parts.put_id(self.actor);
        parts.put_if(self.credential.map(str::as_bytes));
        parts.put_if(self.via.map(str::as_bytes));
        parts.put_if(self.target.map(str::as_bytes));
        parts.put_id(self.mailbox);
        parts.put_if(self.unit);
        parts.put_if(self.request.map(str::as_bytes));
        parts.put(self.detail.as_bytes());
        parts.put_if(self.subject);
        parts.put_if(self.sealed);
        parts.put(self.prev);
        parts.hash()
    }
}

impl NewRow {
    fn hashed(&self) -> [u8; 32] {
        let entry = &self.entry;
        let columns = Columns {
            chain: &self.chain,
            seq: self.seq,
            at: self.at,
            category: entry.category.as_str(),
            action: entry.action,
            outcome: entry.outcome,
            actor: entry.actor.map(|id| id.0),
            credential: entry.credential.as_deref(),
            via: entry.via.map(crate::Via::as_str),
            target: entry.target.as_deref(),
            mailbox: entry.mailbox.map(|id| id.0),
            unit: entry.unit.as_ref().map(|unit| unit.0.as_slice()),
            request: entry.request.as_deref(),
            detail: &entry.detail,
            subject: self.subject.as_ref().map(<[u8; 16]>::as_slice),
            sealed: self.sealed.as_deref(),
            prev: &self.prev,
        };
        columns.hash()
    }
}
