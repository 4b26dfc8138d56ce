//! Seals: each minute with activity, the heads of the chains that grew, linked to the seal before and signed. What a seal covers cannot be changed, removed or
//! cut off unnoticed; whoever kept the number and hash of a seal elsewhere would notice the loss of the seals themselves.

use super::ids::{fixed, hexadecimal, octets};
use super::{AuditKey, ChainId};
use crate::dialect::on;
use crate::keys::month_name;
use crate::writer::{Touches, WriteTx};
use crate::{Error, Store};
use aws_lc_rs::digest::{Context, SHA256};
use mail_types::Timestamp;
use std::fmt::Write;
use std::time::Duration;

/// Heads of one seal; what is left over goes into the next.
const HEADS_MAX: u16 = 2_000;
/// Seals made in one go.
const SEALS_MAX: usize = 100;
/// A chain whose month ended this long ago grows no more: far longer than any transaction.
const SETTLED_AFTER_MS: i64 = 2 * 24 * 3600 * 1000;

/// Number and hash of a seal: what is to be kept elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealMark {
    /// Its number, from 1 without gaps.
    pub seq: i64,
    /// Its hash.
    pub hash: [u8; 32],
}

impl std::fmt::Display for SealMark {
    /// `SEQ:HASH`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.seq, hexadecimal(&self.hash))
    }
}

impl std::str::FromStr for SealMark {
    type Err = mail_types::UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (seq, hash) = text.split_once(':')?;
            Some(Self { seq: seq.parse().ok().filter(|seq| *seq > 0)?, hash: octets(hash)? })
        };
        let expected = "a seal's number, a colon and its hash of 64 hexadecimal digits";
        read().ok_or_else(|| mail_types::UnknownWord { word: text.to_owned(), expected })
    }
}

/// How far a seal covers a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SealedHead {
    pub(super) chain: ChainId,
    pub(super) seq: i64,
    pub(super) hash: [u8; 32],
}

impl SealedHead {
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let head = Self {
            chain: words.next()?.parse().ok()?,
            seq: words.next()?.parse().ok()?,
            hash: octets(words.next()?)?,
        };
        words.next().is_none().then_some(head)
    }
}

/// A seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditSeal {
    /// Its number, from 1 without gaps.
    pub seq: i64,
    /// When it was made.
    pub at: Timestamp,
    /// One line for each chain that grew: the chain, the number of its last row, the hash of that row.
    pub heads: String,
    /// Hash of the seal before; zeros for the first.
    pub prev_hash: [u8; 32],
    /// Which key signed it.
    pub key_id: String,
    /// Ed25519, over [`AuditSeal::signed_text`].
    pub signature: Vec<u8>,
    /// SHA-256 over the signed text and the signature.
    pub hash: [u8; 32],
}

impl AuditSeal {
    /// What is signed.
    pub fn signed_text(&self) -> String {
        let prev = hexadecimal(&self.prev_hash);
        format!(
            "vaguemestre audit seal 1\nseq {}\nat_ms {}\nprev {prev}\nkey {}\n{}",
            self.seq, self.at.0, self.key_id, self.heads
        )
    }

    /// The hash as it must be.
    pub fn computed_hash(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        context.update(self.signed_text().as_bytes());
        context.update(&self.signature);
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        hash
    }

    /// Number and hash.
    pub fn mark(&self) -> SealMark {
        SealMark { seq: self.seq, hash: self.hash }
    }

    /// How far it covers which chains; `None` where the lines are not what this program writes.
    pub(super) fn sealed_heads(&self) -> Option<Vec<SealedHead>> {
        self.heads.lines().map(SealedHead::read).collect()
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct SealColumns {
    seq: i64,
    at_ms: i64,
    heads: String,
    prev_hash: Vec<u8>,
    key_id: String,
    signature: Vec<u8>,
    hash: Vec<u8>,
}

pub(super) const SEAL: &str = "SELECT seq, at_ms, heads, prev_hash, key_id, signature, hash FROM audit_seals";

impl SealColumns {
    pub(super) fn seq(&self) -> i64 {
        self.seq
    }

    /// The seal, unless a digest has not the length of one.
    pub(super) fn read(self) -> Option<AuditSeal> {
        Some(AuditSeal {
            seq: self.seq,
            at: Timestamp(self.at_ms),
            heads: self.heads,
            prev_hash: fixed(&self.prev_hash)?,
            key_id: self.key_id,
            signature: self.signature,
            hash: fixed(&self.hash)?,
        })
    }
}

/// A chain, the number and the hash of its last row.
type HeadRow = (Vec<u8>, i64, Vec<u8>);

impl Store {
    /// Seals what was written since the last seal, by this process or any other. The last seal made; `None` when there was nothing to seal, or another
    /// node did it.
    pub async fn seal_audit(&self) -> Result<Option<AuditSeal>, Error> {
        let mut latest = None;
        for _ in 0..SEALS_MAX {
            let heads = self.unsealed_heads().await?;
            if heads.is_empty() {
                break;
            }
            // What is written meanwhile goes into the seal of the next time.
            let is_all = heads.len() < usize::from(HEADS_MAX);
            let seal = self
                .write(Touches::nothing(), move |tx| {
                    let heads = heads.clone();
                    Box::pin(async move { tx.seal(&heads).await })
                })
                .await?;
            // Without one, another node sealed at the same instant, perhaps less.
            let is_made = seal.is_some();
            latest = seal.or(latest);
            if is_all && is_made {
                break;
            }
        }
        self.settle_chains().await?;
        Ok(latest)
    }

    /// The same, unless a seal was made within about the interval by this process or any other: several nodes together make one each interval.
    pub async fn seal_audit_each(&self, interval: Duration) -> Result<Option<AuditSeal>, Error> {
        let interval = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
        // A tick that comes a little early is not put off for a whole interval.
        let since = self.now().0.saturating_sub(interval - interval / 4);
        let mut reader = self.reader().await?;
        let latest: Option<(i64,)> = on!(reader.conn(), c => sqlx::query_as("SELECT at_ms FROM audit_seals ORDER BY seq DESC LIMIT 1")
            .fetch_optional(&mut *c).await)?;
        drop(reader);
        // A seal of the future, by a clock that was put right since, puts nothing off.
        match latest {
            Some((at,)) if at > since && at <= self.now().0 => Ok(None),
            _ => self.seal_audit().await,
        }
    }

    /// The seal made last.
    pub async fn latest_seal(&self) -> Result<Option<AuditSeal>, Error> {
        let mut reader = self.reader().await?;
        let sql = format!("{SEAL} ORDER BY seq DESC LIMIT 1");
        let row: Option<SealColumns> =
            on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_optional(&mut *c).await)?;
        let malformed =
            || Error::Inconsistent("the latest seal of the audit trail cannot be read; verify the trail");
        row.map(|row| row.read().ok_or_else(malformed)).transpose()
    }

    /// How many rows no seal covers yet.
    pub async fn audit_rows_unsealed(&self) -> Result<u64, Error> {
        let mut reader = self.reader().await?;
        let rows: Vec<(i64, Option<i64>)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT sealed_seq, (SELECT MAX(seq) FROM audit_rows WHERE chain_id = c.id) FROM audit_chains c WHERE dropped_at_ms IS NULL")
            .fetch_all(&mut *c).await)?;
        let unsealed = rows.iter().map(|(sealed, last)| (last.unwrap_or(0) - sealed).max(0));
        Ok(unsealed.sum::<i64>().unsigned_abs())
    }

    /// The public key that the seals are verified with.
    pub fn audit_key(&self) -> AuditKey {
        self.keyring().signer().key()
    }

    /// Settled chains are looked at too: whoever settles one that is alive would keep it out of the seals.
    async fn unsealed_heads(&self) -> Result<Vec<SealedHead>, Error> {
        let mut reader = self.reader().await?;
        let rows: Vec<HeadRow> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT c.id, r.seq, r.hash FROM audit_chains c JOIN audit_rows r ON r.chain_id = c.id AND r.seq = (SELECT MAX(seq) FROM audit_rows WHERE chain_id = c.id) \
             WHERE c.dropped_at_ms IS NULL AND r.seq > c.sealed_seq ORDER BY c.id LIMIT $1")
            .bind(i64::from(HEADS_MAX)).fetch_all(&mut *c).await)?;
        let read = |(chain, seq, hash): HeadRow| {
            Some(SealedHead { chain: ChainId(fixed(&chain)?), seq, hash: fixed(&hash)? })
        };
        let malformed = || Error::Inconsistent("a row of the audit trail has no hash; verify the trail");
        rows.into_iter().map(|row| read(row).ok_or_else(malformed)).collect()
    }

    /// Marks the chains that grow no more: those may expire.
    async fn settle_chains(&self) -> Result<(), Error> {
        let month = month_name(self.now().plus_millis(-SETTLED_AFTER_MS));
        let mut reader = self.reader().await?;
        let (count,): (i64,) = on!(reader.conn(), c => sqlx::query_as("SELECT COUNT(*) FROM audit_chains WHERE is_settled = 0 AND month < $1")
            .bind(&month).fetch_one(&mut *c).await)?;
        drop(reader);
        if count == 0 {
            return Ok(());
        }
        self.write(Touches::nothing(), move |tx| {
            let month = month.clone();
            Box::pin(async move {
                on!(tx.conn(), c => sqlx::query(
                    "UPDATE audit_chains SET is_settled = 1 WHERE is_settled = 0 AND month < $1 \
                     AND sealed_seq >= COALESCE((SELECT MAX(seq) FROM audit_rows WHERE chain_id = audit_chains.id), 0)")
                    .bind(&month).execute(&mut *c).await.map(|_| ()))?;
                Ok(())
            })
        })
        .await
    }
}

impl WriteTx {
    /// Writes the next seal. `None` when another node wrote one with that number meanwhile.
    async fn seal(&mut self, heads: &[SealedHead]) -> Result<Option<AuditSeal>, Error> {
        let last: Option<(i64, Vec<u8>)> = on!(self.conn(), c => sqlx::query_as("SELECT seq, hash FROM audit_seals ORDER BY seq DESC LIMIT 1")
            .fetch_optional(&mut *c).await)?;
        let (seq, prev) = last.unwrap_or((0, vec![0; 32]));
        let prev_hash =
            fixed(&prev).ok_or(Error::Inconsistent("the latest seal has no hash; verify the trail"))?;
        let mut lines = String::new();
        for head in heads {
            // Writing to a String does not fail.
            let _ = writeln!(lines, "{} {} {}", head.chain, head.seq, hexadecimal(&head.hash));
        }
        let signer = self.keyring.signer();
        let key_id = signer.key().id();
        let mut seal = AuditSeal {
            seq: seq + 1,
            at: self.now,
            heads: lines,
            prev_hash,
            key_id,
            signature: Vec::new(),
            hash: [0; 32],
        };
        seal.signature = signer.sign(seal.signed_text().as_bytes());
        seal.hash = seal.computed_hash();
        let written = on!(self.conn(), c => sqlx::query(
            "INSERT INTO audit_seals (seq, at_ms, heads, prev_hash, key_id, signature, hash) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (seq) DO NOTHING")
            .bind(seal.seq).bind(seal.at.0).bind(&seal.heads).bind(seal.prev_hash.as_slice()).bind(&seal.key_id).bind(&seal.signature).bind(seal.hash.as_slice())
            .execute(&mut *c).await.map(|r| r.rows_affected()))?;
        if written == 0 {
            return Ok(None);
        }
        for head in heads {
            on!(self.conn(), c => sqlx::query("UPDATE audit_chains SET sealed_seq = $2 WHERE id = $1 AND sealed_seq < $2")
                .bind(head.chain.0.as_slice()).bind(head.seq).execute(&mut *c).await.map(|_| ()))?;
        }
        Ok(Some(seal))
    }
}
