//! Verification: every row against its hash, its link and its number; every chain against the seals; every seal against its signature and its link.
//!
//! Rows and seals are read a page at a time. What stays in memory is one entry for each chain, and the first faults.

use super::chain::chain_hash;
use super::fault::AuditFault;
use super::ids::fixed;
use super::proof::is_timely;
use super::retention::DropStatement;
use super::row::RowColumns;
use super::seals::{SEAL, SealColumns, SealedHead};
use super::{AuditEntry, AuditSeal, Category, ChainId, SealMark};
use crate::dialect::on;
use crate::{Error, Store};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};

/// Chains and seals read at one time.
const PAGE: i64 = 200;
/// Heads of a seal looked up in one statement.
const HEADS_PAGE: usize = 200;
/// A seal covers each row that was written this long before it: far longer than any transaction, and than clocks are apart.
const LEFT_OUT_MS: i64 = 10 * 60 * 1000;
/// Faults that are told one by one; all are counted.
pub const AUDIT_FAULTS_MAX: usize = 1_000;

/// What a verification found.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// Chains with rows.
    pub chains: u64,
    /// Rows whose hash was computed.
    pub rows: u64,
    /// Seals whose signature was verified.
    pub seals: u64,
    /// Chains whose rows had their time and were dropped.
    pub dropped: u64,
    /// Rows that no seal covers yet: a change of these is found only if it breaks their chain.
    pub unsealed: u64,
    /// The latest seal.
    pub latest: Option<SealMark>,
    /// The first faults, at most [`AUDIT_FAULTS_MAX`].
    pub faults: Vec<AuditFault>,
    /// How many there are.
    pub faults_total: u64,
}

impl Verification {
    /// Whether nothing was changed, removed or forged.
    pub fn is_sound(&self) -> bool {
        self.faults_total == 0
    }

    /// What was found, as JSON: what the API and the command line show.
    pub fn json(&self) -> Value {
        let fault = |fault: &AuditFault| {
            json!({
                "kind": fault.kind(),
                "chain": fault.chain().map(|chain| chain.to_string()),
                "seq": fault.row(),
                "seal": fault.seal(),
                "detail": fault.to_string(),
            })
        };
        json!({
            "sound": self.is_sound(),
            "chains": self.chains,
            "rows": self.rows,
            "seals": self.seals,
            "dropped": self.dropped,
            "unsealed": self.unsealed,
            "latestSeal": self.latest.map(|mark| mark.to_string()),
            "faultsTotal": self.faults_total,
            "faults": self.faults.iter().map(fault).collect::<Vec<_>>(),
        })
    }

    /// The row that tells of it.
    fn told(&self, known_seal: Option<SealMark>) -> AuditEntry {
        let Self { rows, seals, unsealed, faults_total, .. } = self;
        let known = known_seal.map(|mark| format!(" seal={mark}")).unwrap_or_default();
        AuditEntry {
            outcome: if self.is_sound() { "ok" } else { "unsound" },
            detail: format!("rows={rows} seals={seals} unsealed={unsealed} faults={faults_total}{known}"),
            ..AuditEntry::new(Category::Access, "audit.verified")
        }
    }

    fn found(&mut self, fault: AuditFault) {
        self.faults_total += 1;
        if self.faults.len() < AUDIT_FAULTS_MAX {
            self.faults.push(fault);
        }
    }
}

#[derive(sqlx::FromRow)]
struct ChainColumns {
    id: Vec<u8>,
    category: String,
    month: String,
    started_at_ms: i64,
    sealed_seq: i64,
    dropped_at_ms: Option<i64>,
    dropped_seq: Option<i64>,
    dropped_hash: Option<Vec<u8>>,
    dropped_signature: Option<Vec<u8>>,
}

const CHAIN: &str = "SELECT id, category, month, started_at_ms, sealed_seq, dropped_at_ms, dropped_seq, dropped_hash, dropped_signature FROM audit_chains";

impl ChainColumns {
    fn chain(&self) -> Option<ChainId> {
        fixed(&self.id).map(ChainId)
    }

    /// The signed statement of a chain that was dropped.
    fn drop_statement(&self) -> Option<(DropStatement<'_>, &[u8])> {
        let statement = DropStatement {
            chain: self.chain()?,
            category: &self.category,
            month: &self.month,
            started_at_ms: self.started_at_ms,
            last_seq: self.dropped_seq?,
            last_hash: fixed(self.dropped_hash.as_deref()?)?,
            at_ms: self.dropped_at_ms?,
        };
        Some((statement, self.dropped_signature.as_deref()?))
    }
}

/// What is remembered of a chain between its rows and the seals.
#[derive(Clone, Copy)]
struct Known {
    /// Its last row.
    last: i64,
    /// How far it is marked as sealed.
    marked: i64,
    /// How far a seal covers it.
    covered: i64,
    /// When it began, by the table of chains.
    started_at_ms: Option<i64>,
    /// Of a dropped chain: the hash of its last row.
    dropped_hash: Option<[u8; 32]>,
}

/// A verification under way.
struct Verifier<'s, P> {
    store: &'s Store,
    progress: P,
    found: Verification,
    known: HashMap<ChainId, Known>,
    /// When the latest seal was made.
    sealed_at: Option<i64>,
    /// Chains whose end or whole was told of as missing, so that it is told once.
    told: HashSet<ChainId>,
}

impl Store {
    /// Verifies the whole audit trail, as [`Store::examine_audit`] does. That it was verified, and how that ended, is itself a row of the trail; where a
    /// damaged database takes none, what was found is told all the same, and the log says so.
    ///
    /// # Errors
    /// The database does not answer. What was tampered with is no error: it is in the result.
    pub async fn verify_audit(
        &self,
        known_seal: Option<SealMark>,
        progress: impl FnMut(u64) + Send,
    ) -> Result<Verification, Error> {
        let found = self.examine_audit(known_seal, progress).await?;
        if let Err(error) = self.record_audit(vec![found.told(known_seal)]).await {
            tracing::error!(%error, "the audit trail was verified without a row that says so");
        }
        Ok(found)
    }

    /// Verifies the whole audit trail, against a seal kept elsewhere too if one is given, and writes nothing. `progress` hears how many rows were
    /// verified.
    ///
    /// # Errors
    /// The database does not answer. What was tampered with is no error: it is in the result.
    pub async fn examine_audit(
        &self,
        known_seal: Option<SealMark>,
        progress: impl FnMut(u64) + Send,
    ) -> Result<Verification, Error> {
        let mut verifier = Verifier {
            store: self,
            progress,
            found: Verification::default(),
            known: HashMap::new(),
            sealed_at: None,
            told: HashSet::new(),
        };
        verifier.chains().await?;
        verifier.unknown_chains().await?;
        verifier.seals(known_seal).await?;
        verifier.compare().await?;
        Ok(verifier.found)
    }
}

impl<P: FnMut(u64) + Send> Verifier<'_, P> {
    async fn chains(&mut self) -> Result<(), Error> {
        let mut after = Vec::new();
        loop {
            let mut reader = self.store.reader().await?;
            let sql = format!("{CHAIN} WHERE id > $1 ORDER BY id LIMIT $2");
            let rows: Vec<ChainColumns> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(&after).bind(PAGE).fetch_all(&mut *c).await)?;
            drop(reader);
            let Some(last) = rows.last() else { return Ok(()) };
            after.clone_from(&last.id);
            for row in &rows {
                self.chain(row).await?;
            }
        }
    }

    async fn chain(&mut self, row: &ChainColumns) -> Result<(), Error> {
        // An id that is none cannot be one that a seal names: its rows are found as those of an unknown chain.
        let Some(chain) = row.chain() else { return Ok(()) };
        let known = if row.dropped_at_ms.is_some() {
            self.dropped(chain, row)
        } else {
            self.rows(chain, row).await?
        };
        self.known
            .insert(chain, Known { marked: row.sealed_seq, started_at_ms: Some(row.started_at_ms), ..known });
        Ok(())
    }

    /// A dropped chain stands by the operator's signature.
    fn dropped(&mut self, chain: ChainId, row: &ChainColumns) -> Known {
        let key = self.store.audit_key();
        let statement = row.drop_statement();
        let signed = statement.filter(|(text, signature)| {
            text.beginning().is_of_its_month() && key.verifies(text.text().as_bytes(), signature)
        });
        match signed {
            Some((statement, _)) => {
                self.found.dropped += 1;
                Known {
                    last: statement.last_seq,
                    marked: 0,
                    covered: 0,
                    started_at_ms: Some(statement.started_at_ms),
                    dropped_hash: Some(statement.last_hash),
                }
            }
            None => {
                self.found.found(AuditFault::DropForged { chain });
                self.told.insert(chain);
                Known { last: 0, marked: 0, covered: 0, started_at_ms: None, dropped_hash: None }
            }
        }
    }

    async fn rows(&mut self, chain: ChainId, row: &ChainColumns) -> Result<Known, Error> {
        let beginning = chain_hash(&chain.0, &row.category, &row.month, row.started_at_ms);
        let (mut last, mut hash) = (0, beginning.to_vec());
        loop {
            let rows = self.store.rows_after(chain, last).await?;
            let Some(end) = rows.last() else { break };
            let end = (end.seq, end.hash.clone());
            for row in &rows {
                self.row(chain, row, last, &hash);
                (last, hash) = (row.seq, row.hash.clone());
            }
            self.found.rows += rows.len() as u64;
            (self.progress)(self.found.rows);
            (last, hash) = end;
        }
        self.found.chains += u64::from(last > 0);
        Ok(Known { last, marked: 0, covered: 0, started_at_ms: None, dropped_hash: None })
    }

    /// One row, after the row `last` with its `hash`.
    fn row(&mut self, chain: ChainId, row: &RowColumns, last: i64, hash: &[u8]) {
        let seq = row.seq;
        let is_gap = seq != last + 1;
        if is_gap {
            self.found.found(AuditFault::RowsMissing { chain, first: last + 1, last: seq - 1 });
        }
        if row.hash != row.computed_hash() {
            self.found.found(AuditFault::RowChanged { chain, seq });
        } else if !is_gap && row.prev_hash != hash {
            let fault = match seq {
                1 => AuditFault::ChainChanged { chain },
                _ => AuditFault::RowUnlinked { chain, seq },
            };
            self.found.found(fault);
        }
    }

    /// Rows whose chain is not in the table of chains.
    async fn unknown_chains(&mut self) -> Result<(), Error> {
        let mut reader = self.store.reader().await?;
        let mut after = Vec::new();
        loop {
            // From chain to chain along the primary key.
            let next: Option<(Vec<u8>,)> = on!(reader.conn(), c => sqlx::query_as("SELECT chain_id FROM audit_rows WHERE chain_id > $1 ORDER BY chain_id LIMIT 1")
                .bind(&after).fetch_optional(&mut *c).await)?;
            let Some((id,)) = next else { return Ok(()) };
            let chain = fixed(&id).map(ChainId);
            if chain.is_none_or(|chain| !self.known.contains_key(&chain)) && !self.is_chain(&id).await? {
                let chain = chain.unwrap_or(ChainId([0; 16]));
                self.found.found(AuditFault::ChainUnknown { chain });
                self.told.insert(chain);
            }
            after = id;
        }
    }

    /// Whether there is such a chain by now.
    async fn is_chain(&self, id: &[u8]) -> Result<bool, Error> {
        let mut reader = self.store.reader().await?;
        let row: Option<(i64,)> = on!(reader.conn(), c => sqlx::query_as("SELECT started_at_ms FROM audit_chains WHERE id = $1").bind(id)
            .fetch_optional(&mut *c).await)?;
        Ok(row.is_some() && id.len() == 16)
    }

    async fn seals(&mut self, known_seal: Option<SealMark>) -> Result<(), Error> {
        let (mut last, mut hash) = (0, [0; 32]);
        let mut is_known_there = known_seal.is_none();
        loop {
            let mut reader = self.store.reader().await?;
            let sql = format!("{SEAL} WHERE seq > $1 ORDER BY seq LIMIT $2");
            let rows: Vec<SealColumns> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(last).bind(PAGE).fetch_all(&mut *c).await)?;
            drop(reader);
            if rows.is_empty() {
                break;
            }
            for row in rows {
                let seq = row.seq();
                if seq != last + 1 {
                    self.found.found(AuditFault::SealsMissing { first: last + 1, last: seq - 1 });
                }
                match row.read() {
                    Some(seal) => {
                        self.seal(&seal, (seq == last + 1).then_some(&hash)).await?;
                        is_known_there |= known_seal == Some(seal.mark());
                        hash = seal.hash;
                        self.found.latest = Some(seal.mark());
                    }
                    None => self.found.found(AuditFault::SealForged { seal: seq }),
                }
                last = seq;
            }
        }
        if let Some(mark) = known_seal.filter(|_| !is_known_there) {
            self.found.found(AuditFault::KnownSealAbsent { mark });
        }
        Ok(())
    }

    /// One seal, after the one with the hash `prev` where that one is there.
    async fn seal(&mut self, seal: &AuditSeal, prev: Option<&[u8; 32]>) -> Result<(), Error> {
        let key = self.store.audit_key();
        let is_signed = key.verifies(seal.signed_text().as_bytes(), &seal.signature);
        let heads = seal.sealed_heads().filter(|_| is_signed && seal.computed_hash() == seal.hash);
        let Some(heads) = heads else {
            self.found.found(AuditFault::SealForged { seal: seal.seq });
            return Ok(());
        };
        self.found.seals += 1;
        self.sealed_at = Some(seal.at.0);
        if prev.is_some_and(|prev| *prev != seal.prev_hash) {
            self.found.found(AuditFault::SealUnlinked { seal: seal.seq });
        }
        for heads in heads.chunks(HEADS_PAGE) {
            let hashes = self.hashes(heads).await?;
            for head in heads {
                self.head(seal, head, hashes.get(&(head.chain, head.seq))).await?;
            }
        }
        Ok(())
    }

    /// The hashes of sealed rows that are there.
    async fn hashes(&self, heads: &[SealedHead]) -> Result<HashMap<(ChainId, i64), Vec<u8>>, Error> {
        let mut reader = self.store.reader().await?;
        let rows: Vec<(Vec<u8>, i64, Vec<u8>)> = on!(reader.conn(), c => {
            let mut sql = sqlx::QueryBuilder::new("SELECT chain_id, seq, hash FROM audit_rows WHERE (chain_id, seq) IN (");
            sql.push_values(heads, |mut row, head| {
                row.push_bind(head.chain.0.to_vec()).push_bind(head.seq);
            });
            sql.push(")");
            sql.build_query_as().fetch_all(&mut *c).await
        })?;
        let hash = |(chain, seq, hash): (Vec<u8>, i64, Vec<u8>)| Some(((ChainId(fixed(&chain)?), seq), hash));
        Ok(rows.into_iter().filter_map(hash).collect())
    }

    /// A row that a seal covers must be there, with the hash that was sealed, unless its chain was dropped with the operator's signature.
    async fn head(
        &mut self,
        seal: &AuditSeal,
        head: &SealedHead,
        hash: Option<&Vec<u8>>,
    ) -> Result<(), Error> {
        let AuditSeal { seq: seal, at: sealed_at, .. } = *seal;
        let SealedHead { chain, seq, .. } = *head;
        let mut known = self.known.get(&chain).copied();
        if hash.is_none() && known.is_none_or(|known| known.dropped_hash.is_none()) {
            // It may have been dropped since the chains were read.
            known = self.chain_now(chain).await?.or(known);
        }
        // It may have been begun since.
        let begun =
            hash.map(|_| Known { last: seq, marked: 0, covered: 0, started_at_ms: None, dropped_hash: None });
        let Some(mut known) = known.or(begun) else {
            if self.told.insert(chain) {
                self.found.found(AuditFault::ChainMissing { chain, sealed: seq });
            }
            return Ok(());
        };
        known.covered = known.covered.max(seq);
        self.known.insert(chain, known);
        let is_timely = known.started_at_ms.is_none_or(|started| is_timely(started, sealed_at.0));
        match (hash, known.dropped_hash) {
            (_, Some(_)) if !is_timely => {
                // The statement is signed, and yet the seals are of another time than it says.
                if self.told.insert(chain) {
                    self.found.found(AuditFault::DropForged { chain });
                }
            }
            (_, Some(last)) if seq == known.last && last != head.hash => {
                self.found.found(AuditFault::SealedRowChanged { chain, seq, seal });
            }
            (_, Some(_)) if seq <= known.last => {}
            (Some(hash), None) if hash.as_slice() == head.hash => {}
            (Some(_), None) => self.found.found(AuditFault::SealedRowChanged { chain, seq, seal }),
            // A gap within the chain was told of already.
            (None, None) if seq < known.last => {}
            (None | Some(_), _) => {
                if self.told.insert(chain) {
                    self.found.found(AuditFault::TailMissing { chain, last: known.last, sealed: seq });
                }
            }
        }
        Ok(())
    }

    /// What is known of a chain that was dropped meanwhile.
    async fn chain_now(&mut self, chain: ChainId) -> Result<Option<Known>, Error> {
        if self.told.contains(&chain) {
            return Ok(None);
        }
        let mut reader = self.store.reader().await?;
        let sql = format!("{CHAIN} WHERE id = $1");
        let row: Option<ChainColumns> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(chain.0.as_slice())
            .fetch_optional(&mut *c).await)?;
        drop(reader);
        Ok(row.filter(|row| row.dropped_at_ms.is_some()).map(|row| self.dropped(chain, &row)))
    }

    /// What can be said of chains only once every seal was read.
    async fn compare(&mut self) -> Result<(), Error> {
        let told = std::mem::take(&mut self.told);
        let mut chains: Vec<_> =
            std::mem::take(&mut self.known).into_iter().filter(|(chain, _)| !told.contains(chain)).collect();
        chains.sort_unstable_by_key(|(chain, _)| *chain);
        for (chain, known) in chains {
            if known.marked > known.covered {
                self.found.found(AuditFault::SealTailMissing { chain, sealed: known.marked });
            } else if known.dropped_hash.is_none() && known.last > known.covered {
                self.found.unsealed += (known.last - known.covered).unsigned_abs();
                self.left_out(chain, known.covered).await?;
            }
        }
        Ok(())
    }

    /// A chain that the latest seal leaves out although it had rows well before.
    async fn left_out(&mut self, chain: ChainId, covered: i64) -> Result<(), Error> {
        let Some(sealed_at) = self.sealed_at else { return Ok(()) };
        let mut reader = self.store.reader().await?;
        let row: Option<(i64, i64)> = on!(reader.conn(), c => sqlx::query_as("SELECT seq, at_ms FROM audit_rows WHERE chain_id = $1 AND seq > $2 ORDER BY seq LIMIT 1")
            .bind(chain.0.as_slice()).bind(covered).fetch_optional(&mut *c).await)?;
        if let Some((seq, _)) = row.filter(|(_, at_ms)| sealed_at.saturating_sub(*at_ms) > LEFT_OUT_MS) {
            self.found.found(AuditFault::SealOmits { chain, seq });
        }
        Ok(())
    }
}
