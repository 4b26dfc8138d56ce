//! The keys that seal personal fields: one for each subject, known by a keyed hash, wrapped by a monthly generation.
//!
//! A key is made with the first row that needs it, in the same transaction. Once its row in `audit_subjects` is destroyed nothing opens what it sealed, while
//! the chains, which cover the sealed octets, stay whole.

use super::Subject;
use crate::dialect::{Conn, on};
use crate::keys::Keyring;
use crate::rows::ROWS_MAX;
use crate::seal::{RawKey, random, unwrap, wrap};
use crate::writer::WriteTx;
use crate::{Error, Store};
use aws_lc_rs::hmac;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// Keys kept opened in memory; past it the cache starts again.
const CACHE_MAX: usize = 50_000;

/// The keyed hash of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SubjectId(pub(crate) [u8; 16]);

/// What knows subjects, and the keys opened last.
pub(crate) struct SubjectKeys {
    hash: hmac::Key,
    opened: Mutex<HashMap<SubjectId, Arc<RawKey>>>,
}

/// Keys made in a transaction that is not committed yet.
pub(super) type FreshKeys = HashMap<SubjectId, Arc<RawKey>>;

impl SubjectKeys {
    /// Knows subjects by this key of the operator.
    pub(crate) fn new(key: &RawKey) -> Self {
        Self { hash: hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()), opened: Mutex::default() }
    }

    pub(crate) fn id(&self, subject: &Subject) -> SubjectId {
        let name = match subject {
            Subject::Mailbox(id) => format!("mailbox:{id}"),
            Subject::User(id) => format!("user:{id}"),
            Subject::Actor(id) => format!("actor:{id}"),
            Subject::Address(address) => format!("address:{}", address.to_lowercase()),
            Subject::Operator => "operator".to_owned(),
        };
        let mut id = [0; 16];
        id.copy_from_slice(&hmac::sign(&self.hash, name.as_bytes()).as_ref()[..16]);
        SubjectId(id)
    }

    fn get(&self, id: SubjectId) -> Option<Arc<RawKey>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Keys whose rows are on stable storage.
    pub(super) fn keep(&self, keys: impl IntoIterator<Item = (SubjectId, Arc<RawKey>)>) {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, key) in keys {
            if opened.len() >= CACHE_MAX {
                opened.clear();
            }
            opened.insert(id, key);
        }
    }

    fn forget(&self, id: SubjectId) {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

/// Seals the personal fields of one row; they open in that row only.
pub(super) fn seal(key: &RawKey, id: SubjectId, chain: &[u8; 16], seq: i64, text: &str) -> Vec<u8> {
    wrap(key, &place(id, chain, seq), text.as_bytes())
}

/// Opens what [`seal`] made.
pub(super) fn open(
    key: &RawKey,
    id: SubjectId,
    chain: &[u8; 16],
    seq: i64,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Error> {
    unwrap(key, &place(id, chain, seq), sealed)
        .map_err(|_| Error::Sealed("personal fields of an audit row do not open"))
}

fn place(id: SubjectId, chain: &[u8; 16], seq: i64) -> [u8; 40] {
    let mut place = [0; 40];
    place[..16].copy_from_slice(&id.0);
    place[16..32].copy_from_slice(chain);
    place[32..].copy_from_slice(&seq.to_be_bytes());
    place
}

impl WriteTx {
    /// The key of each subject, made where there is none.
    pub(super) async fn subject_keys(
        &mut self,
        ids: &BTreeSet<SubjectId>,
    ) -> Result<HashMap<SubjectId, Arc<RawKey>>, Error> {
        let mut keys = HashMap::with_capacity(ids.len());
        let mut absent = Vec::new();
        for id in ids {
            let known = self.audit.fresh.get(id).cloned().or_else(|| self.keyring.subjects().get(*id));
            match known {
                Some(key) => _ = keys.insert(*id, key),
                None => absent.push(*id),
            }
        }
        for absent in absent.chunks(ROWS_MAX) {
            let found = self.stored_or_new_keys(absent).await?;
            self.audit.fresh.extend(found.iter().map(|(id, key)| (*id, key.clone())));
            keys.extend(found);
        }
        Ok(keys)
    }

    /// Keys that memory does not have. `ids` are in order: two writers that make the same ones cannot wait for each other in a circle.
    async fn stored_or_new_keys(&mut self, ids: &[SubjectId]) -> Result<FreshKeys, Error> {
        let mut found = self.stored_keys(ids).await?;
        let new: Vec<SubjectId> = ids.iter().copied().filter(|id| !found.contains_key(id)).collect();
        if !new.is_empty() {
            let made = self.make_keys(&new).await?;
            // Another writer may have made one meanwhile: its row stands.
            let lost = new.iter().any(|id| !made.contains_key(id));
            found.extend(made);
            if lost {
                found.extend(self.stored_keys(&new).await?);
            }
        }
        if found.len() < ids.len() {
            return Err(Error::Inconsistent("a subject of the audit trail has no key"));
        }
        Ok(found)
    }

    async fn stored_keys(&mut self, ids: &[SubjectId]) -> Result<FreshKeys, Error> {
        let rows = key_rows(self.conn(), ids).await?;
        rows.iter().map(|row| opened(&self.keyring, row)).collect()
    }

    async fn make_keys(&mut self, ids: &[SubjectId]) -> Result<FreshKeys, Error> {
        let (keyring, now) = (self.keyring.clone(), self.now);
        keyring.assure_current(self.conn(), now).await?;
        let mut made = HashMap::with_capacity(ids.len());
        let mut wraps = Vec::with_capacity(ids.len());
        for id in ids {
            let key = Zeroizing::new(random::<32>());
            wraps.push((*id, self.keyring.wrap_now(&id.0, key.as_slice(), now)?));
            made.insert(*id, Arc::new(key));
        }
        let inserted: Vec<(Vec<u8>,)> = on!(self.conn(), c => {
            let mut sql = sqlx::QueryBuilder::new("INSERT INTO audit_subjects (id, generation, wrapped, created_at_ms) ");
            sql.push_values(&wraps, |mut row, (id, (generation, wrapped))| {
                row.push_bind(id.0.to_vec()).push_bind(generation.clone()).push_bind(wrapped.clone()).push_bind(now.0);
            });
            sql.push(" ON CONFLICT (id) DO NOTHING RETURNING id");
            sql.build_query_as().fetch_all(&mut *c).await
        })?;
        let stands = |id: &SubjectId| inserted.iter().any(|(row,)| row.as_slice() == id.0);
        made.retain(|id, _| stands(id));
        Ok(made)
    }
}

type KeyRow = (Vec<u8>, String, Vec<u8>);

async fn key_rows(conn: Conn<'_>, ids: &[SubjectId]) -> Result<Vec<KeyRow>, Error> {
    Ok(on!(conn, c => {
        let mut sql = sqlx::QueryBuilder::new("SELECT id, generation, wrapped FROM audit_subjects WHERE id IN (");
        let mut list = sql.separated(", ");
        ids.iter().for_each(|id| {
            list.push_bind(id.0.to_vec());
        });
        sql.push(")");
        sql.build_query_as().fetch_all(&mut *c).await
    })?)
}

fn opened(keyring: &Keyring, (id, generation, wrapped): &KeyRow) -> Result<(SubjectId, Arc<RawKey>), Error> {
    let id: [u8; 16] =
        id.as_slice().try_into().map_err(|_| Error::Inconsistent("a subject's id has not 16 octets"))?;
    Ok((SubjectId(id), Arc::new(keyring.unwrap_of(generation, &id, wrapped)?)))
}

impl Store {
    /// The keys of subjects that have one, read anew: a key that was destroyed elsewhere is not remembered here.
    pub(super) async fn stored_subject_keys(
        &self,
        ids: &BTreeSet<SubjectId>,
    ) -> Result<HashMap<SubjectId, Arc<RawKey>>, Error> {
        let ids: Vec<SubjectId> = ids.iter().copied().collect();
        let mut keys = HashMap::with_capacity(ids.len());
        let mut reader = self.reader().await?;
        for ids in ids.chunks(ROWS_MAX) {
            for row in key_rows(reader.conn(), ids).await? {
                let (id, key) = opened(self.keyring(), &row)?;
                keys.insert(id, key);
            }
        }
        Ok(keys)
    }

    /// Destroys the key of a subject: its personal fields in the audit trail open no more, here at once and everywhere once the key files of that
    /// time are destroyed; the chains stay whole. False when it had none.
    pub async fn forget_subject(&self, subject: &Subject) -> Result<bool, Error> {
        let id = self.keyring().subjects().id(subject);
        let forgotten = self
            .write(crate::writer::Touches::nothing(), move |tx| {
                Box::pin(async move {
                    let gone = on!(tx.conn(), c => sqlx::query("DELETE FROM audit_subjects WHERE id = $1")
                        .bind(id.0.as_slice()).execute(&mut *c).await.map(|r| r.rows_affected()))?;
                    Ok(gone > 0)
                })
            })
            .await?;
        self.keyring().subjects().forget(id);
        Ok(forgotten)
    }
}
