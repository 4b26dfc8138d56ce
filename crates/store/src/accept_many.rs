//! Many acceptances in one transaction, with as few statements as the engine allows.
//!
//! Each step is one multi-row statement, whatever the number of messages: `UNNEST` on PostgreSQL, `VALUES` on SQLite, where every statement
//! crosses a thread. Each folder and mailbox is counted once for the whole batch; on PostgreSQL their rows are locked in id order.

use crate::accept::{Acceptance, Accepted, WINDOW_MS};
use crate::dialect::Conn;
use crate::writer::WriteTx;
use crate::{AuditEntry, Error, LocalDelivery, RemoteDelivery};
use sqlx::QueryBuilder;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Rows of one SQLite statement: far below its bound on parameters, and few enough texts for the statement cache.
pub(crate) const ROWS_MAX: usize = 64;

/// One recipient of one message of the batch.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    unit: usize,
    acceptance: &'a Acceptance,
    target: Target<'a>,
    fingerprint: Option<[u8; 32]>,
}

#[derive(Clone, Copy)]
enum Target<'a> {
    Local(&'a LocalDelivery),
    Remote(&'a RemoteDelivery),
}

/// A message row to be written.
struct Row<'a> {
    acceptance: &'a Acceptance,
    delivery: &'a LocalDelivery,
    wrapped_key: Vec<u8>,
    uid: i64,
    modseq: i64,
}

/// What a batch adds to one folder or mailbox.
#[derive(Clone, Copy, Default)]
struct Added {
    messages: i64,
    bytes: i64,
}

impl WriteTx {
    /// Accepts every message of a batch. An error concerns the batch as a whole: its units are then tried one by one.
    ///
    /// A message sent again may come with fewer recipients than before (its sender was told of some and not of others), so each recipient is
    /// recognised on its own.
    pub(crate) async fn accept_many(&mut self, batch: &[Arc<Acceptance>]) -> Result<Vec<Accepted>, Error> {
        let candidates = self.first_times(self.candidates(batch)).await?;
        let mut is_stored = vec![false; batch.len()];
        candidates.iter().for_each(|candidate| is_stored[candidate.unit] = true);
        let news: Vec<&Acceptance> =
            batch.iter().zip(&is_stored).filter(|(_, new)| **new).map(|(a, _)| a.as_ref()).collect();
        self.insert_bodies(&news).await?;
        let mut rows = rows_of(&candidates);
        self.reserve(&mut rows).await?;
        self.insert_messages(&rows).await?;
        self.count_usages(&rows).await?;
        for row in &rows {
            self.changed(row.delivery.folder);
        }
        for candidate in &candidates {
            if let Target::Remote(delivery) = candidate.target {
                self.enqueue(candidate.acceptance, delivery).await?;
                self.queue_changed();
            }
        }
        let audit = batch.iter().zip(&is_stored).map(|(acceptance, stored)| match stored {
            true => acceptance.audit.clone(),
            false => AuditEntry { outcome: "duplicate", ..acceptance.audit.clone() },
        });
        self.audit_many(audit.collect()).await?;
        Ok(is_stored
            .into_iter()
            .map(|stored| if stored { Accepted::Stored } else { Accepted::Duplicate })
            .collect())
    }

    /// Every recipient of every message, without repetitions within the batch.
    fn candidates<'a>(&self, batch: &'a [Arc<Acceptance>]) -> Vec<Candidate<'a>> {
        let key = self.keyring.fingerprint_key();
        let mut seen = HashSet::new();
        let mut candidates = Vec::with_capacity(batch.len());
        for (unit, acceptance) in batch.iter().enumerate() {
            let local = acceptance.local.iter().map(Target::Local);
            for target in local.chain(acceptance.remote.iter().map(Target::Remote)) {
                let fingerprint =
                    acceptance.fingerprint.map(|message| recipient_fingerprint(&key, &message, target));
                if fingerprint.is_none_or(|fingerprint| seen.insert(fingerprint)) {
                    candidates.push(Candidate { unit, acceptance, target, fingerprint });
                }
            }
        }
        candidates
    }

    /// Notes the fingerprints, and keeps the candidates whose fingerprint was not known from within the window.
    async fn first_times<'a>(
        &mut self,
        mut candidates: Vec<Candidate<'a>>,
    ) -> Result<Vec<Candidate<'a>>, Error> {
        let (now, unit) = (self.now.0, |candidate: &Candidate<'_>| candidate.acceptance.unit.0.to_vec());
        let mut noted: Vec<(Vec<u8>, Vec<u8>)> = candidates
            .iter()
            .filter_map(|candidate| Some((candidate.fingerprint?.to_vec(), unit(candidate))))
            .collect();
        if noted.is_empty() {
            return Ok(candidates);
        }
        // Two writers that note the same fingerprints in one order cannot wait for each other.
        noted.sort_unstable();
        let inserted: Vec<(Vec<u8>,)> = match self.conn() {
            Conn::Postgres(c) => {
                let (fingerprints, units): (Vec<Vec<u8>>, Vec<Vec<u8>>) = noted.into_iter().unzip();
                sqlx::query_as(
                    "INSERT INTO accepted_recipients (fingerprint, unit_id, accepted_at_ms) SELECT f, u, $3 FROM UNNEST($1::BYTEA[], $2::BYTEA[]) AS t (f, u) \
                     ON CONFLICT (fingerprint) DO UPDATE SET unit_id = excluded.unit_id, accepted_at_ms = excluded.accepted_at_ms \
                     WHERE accepted_recipients.accepted_at_ms < $4 RETURNING fingerprint",
                )
                .bind(fingerprints)
                .bind(units)
                .bind(now)
                .bind(now - WINDOW_MS)
                .fetch_all(&mut *c)
                .await?
            }
            Conn::Sqlite(c) => {
                let mut inserted = Vec::with_capacity(noted.len());
                for noted in noted.chunks(ROWS_MAX) {
                    let mut sql = QueryBuilder::new(
                        "INSERT INTO accepted_recipients (fingerprint, unit_id, accepted_at_ms) ",
                    );
                    sql.push_values(noted, |mut row, (fingerprint, unit)| {
                        row.push_bind(fingerprint.as_slice()).push_bind(unit.as_slice()).push_bind(now);
                    });
                    sql.push(
                    " ON CONFLICT (fingerprint) DO UPDATE SET unit_id = excluded.unit_id, accepted_at_ms = excluded.accepted_at_ms \
                     WHERE accepted_recipients.accepted_at_ms < ",
                );
                    sql.push_bind(now - WINDOW_MS).push(" RETURNING fingerprint");
                    let rows: Vec<(Vec<u8>,)> = sql.build_query_as().fetch_all(&mut *c).await?;
                    inserted.extend(rows);
                }
                inserted
            }
        };
        let new: HashSet<Vec<u8>> = inserted.into_iter().map(|(fingerprint,)| fingerprint).collect();
        candidates.retain(|candidate| {
            candidate.fingerprint.is_none_or(|fingerprint| new.contains(fingerprint.as_slice()))
        });
        Ok(candidates)
    }

    async fn insert_bodies(&mut self, news: &[&Acceptance]) -> Result<(), Error> {
        if news.is_empty() {
            return Ok(());
        }
        let now = self.now.0;
        let c = match self.conn() {
            Conn::Postgres(c) => c,
            Conn::Sqlite(c) => {
                for news in news.chunks(ROWS_MAX) {
                    let mut sql = QueryBuilder::new(
                        "INSERT INTO bodies (id, size_bytes, place, created_at_ms, structure, container) ",
                    );
                    sql.push_values(news, |mut row, a| {
                        row.push_bind(a.body.id.0.to_vec())
                            .push_bind(size_of(a))
                            .push_bind(a.body.place.as_str())
                            .push_bind(now);
                        row.push_bind(a.body.structure.as_slice()).push_bind(a.body.place.container());
                    });
                    sql.build().execute(&mut *c).await?;
                }
                news.iter().for_each(|a| a.body.keep());
                return Ok(());
            }
        };
        let ids: Vec<&[u8]> = news.iter().map(|a| a.body.id.0.as_slice()).collect();
        let sizes: Vec<i64> = news.iter().map(|a| size_of(a)).collect();
        let places: Vec<&str> = news.iter().map(|a| a.body.place.as_str()).collect();
        let structures: Vec<&[u8]> = news.iter().map(|a| a.body.structure.as_slice()).collect();
        let containers: Vec<Option<&[u8]>> = news.iter().map(|a| a.body.place.container()).collect();
        sqlx::query(
            "INSERT INTO bodies (id, size_bytes, place, created_at_ms, structure, container) \
             SELECT i, s, p, $6, t, c FROM UNNEST($1::BYTEA[], $2::BIGINT[], $3::TEXT[], $4::BYTEA[], $5::BYTEA[]) AS r (i, s, p, t, c)",
        )
        .bind(ids)
        .bind(sizes)
        .bind(places)
        .bind(structures)
        .bind(containers)
        .bind(now)
        .execute(&mut *c)
        .await?;
        news.iter().for_each(|a| a.body.keep());
        Ok(())
    }

    /// Gives each row its UID and MODSEQ, and counts the folders. Rows are in folder order.
    async fn reserve(&mut self, rows: &mut [Row<'_>]) -> Result<(), Error> {
        let added = added(rows, |row| row.delivery.folder.0);
        let mut next: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
        if let Conn::Postgres(c) = self.conn() {
            let (ids, counts, bytes) = columns(&added);
            let reserved: Vec<(i64, i64, i64)> = sqlx::query_as(
                "WITH locked AS (SELECT id FROM folders WHERE id = ANY($1) ORDER BY id FOR UPDATE) \
                 UPDATE folders f SET uid_next = f.uid_next + d.n, modseq = f.modseq + d.n, message_count = f.message_count + d.n, size_bytes = f.size_bytes + d.s \
                 FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[]) AS d (id, n, s), locked WHERE f.id = d.id AND locked.id = f.id \
                 RETURNING f.id, f.uid_next - d.n, f.modseq - d.n + 1",
            )
            .bind(ids)
            .bind(counts)
            .bind(bytes)
            .fetch_all(&mut *c)
            .await?;
            next.extend(reserved.into_iter().map(|(id, uid, modseq)| (id, (uid, modseq))));
        } else {
            for (id, added) in &added {
                if let Some(reserved) = self.reserve_one(*id, *added).await? {
                    next.insert(*id, reserved);
                }
            }
        }
        for row in rows {
            let (uid, modseq) =
                next.get_mut(&row.delivery.folder.0).ok_or(Error::Inconsistent("the folder is gone"))?;
            if u32::try_from(*uid).is_err() {
                return Err(Error::Inconsistent("the folder has no UID left"));
            }
            (row.uid, row.modseq) = (*uid, *modseq);
            *uid += 1;
            *modseq += 1;
        }
        Ok(())
    }

    async fn reserve_one(&mut self, folder: i64, added: Added) -> Result<Option<(i64, i64)>, Error> {
        Ok(crate::dialect::on!(self.conn(), c => sqlx::query_as(
            "UPDATE folders SET uid_next = uid_next + $2, modseq = modseq + $2, message_count = message_count + $2, size_bytes = size_bytes + $3 \
             WHERE id = $1 RETURNING uid_next - $2, modseq - $2 + 1")
            .bind(folder).bind(added.messages).bind(added.bytes).fetch_optional(&mut *c).await)?)
    }

    async fn insert_messages(&mut self, rows: &[Row<'_>]) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let now = self.now.0;
        let c = match self.conn() {
            Conn::Postgres(c) => c,
            Conn::Sqlite(c) => {
                for rows in rows.chunks(ROWS_MAX) {
                    let mut sql = QueryBuilder::new(
                        "INSERT INTO messages (folder_id, uid, mailbox_id, body_id, wrapped_key, size_bytes, internal_date_ms, saved_at_ms, flags, keywords, modseq) ",
                    );
                    sql.push_values(rows, |mut values, row| {
                        values
                            .push_bind(row.delivery.folder.0)
                            .push_bind(row.uid)
                            .push_bind(row.delivery.mailbox.0);
                        values
                            .push_bind(row.acceptance.body.id.0.to_vec())
                            .push_bind(row.wrapped_key.as_slice());
                        values
                            .push_bind(size_of(row.acceptance))
                            .push_bind(now)
                            .push_bind(now)
                            .push("0")
                            .push("0")
                            .push_bind(row.modseq);
                    });
                    sql.build().execute(&mut *c).await?;
                }
                return Ok(());
            }
        };
        let folders: Vec<i64> = rows.iter().map(|row| row.delivery.folder.0).collect();
        let uids: Vec<i64> = rows.iter().map(|row| row.uid).collect();
        let mailboxes: Vec<i64> = rows.iter().map(|row| row.delivery.mailbox.0).collect();
        let bodies: Vec<&[u8]> = rows.iter().map(|row| row.acceptance.body.id.0.as_slice()).collect();
        let keys: Vec<&[u8]> = rows.iter().map(|row| row.wrapped_key.as_slice()).collect();
        let sizes: Vec<i64> = rows.iter().map(|row| size_of(row.acceptance)).collect();
        let modseqs: Vec<i64> = rows.iter().map(|row| row.modseq).collect();
        sqlx::query(
            "INSERT INTO messages (folder_id, uid, mailbox_id, body_id, wrapped_key, size_bytes, internal_date_ms, saved_at_ms, flags, keywords, modseq) \
             SELECT f, u, m, b, k, s, $8, $8, 0, 0, q FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BYTEA[], $5::BYTEA[], $6::BIGINT[], $7::BIGINT[]) \
             AS r (f, u, m, b, k, s, q)",
        )
        .bind(folders)
        .bind(uids)
        .bind(mailboxes)
        .bind(bodies)
        .bind(keys)
        .bind(sizes)
        .bind(modseqs)
        .bind(now)
        .execute(&mut *c)
        .await?;
        Ok(())
    }

    async fn count_usages(&mut self, rows: &[Row<'_>]) -> Result<(), Error> {
        let added = added(rows, |row| row.delivery.mailbox.0);
        if let Conn::Postgres(c) = self.conn() {
            let (ids, counts, bytes) = columns(&added);
            sqlx::query(
                "WITH locked AS (SELECT id FROM mailboxes WHERE id = ANY($1) ORDER BY id FOR UPDATE) \
                 UPDATE mailboxes m SET used_bytes = m.used_bytes + d.s, used_messages = m.used_messages + d.n \
                 FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[]) AS d (id, n, s), locked WHERE m.id = d.id AND locked.id = m.id",
            )
            .bind(ids)
            .bind(counts)
            .bind(bytes)
            .execute(&mut *c)
            .await?;
            return Ok(());
        }
        for (id, added) in added {
            self.count_usage(mail_types::MailboxId(id), added.bytes, added.messages).await?;
        }
        Ok(())
    }
}

/// The fingerprint of a message (peer, reverse-path, content) for one of its recipients.
fn recipient_fingerprint(key: &aws_lc_rs::hmac::Key, message: &[u8; 32], target: Target<'_>) -> [u8; 32] {
    let mut context = aws_lc_rs::hmac::Context::with_key(key);
    context.update(message);
    match target {
        Target::Local(delivery) => context.update(&delivery.mailbox.0.to_be_bytes()),
        Target::Remote(delivery) => context.update(delivery.recipient.canonical().as_bytes()),
    }
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(context.sign().as_ref());
    fingerprint
}

/// Message rows to be written, in folder order, with their keys wrapped.
fn rows_of<'a>(candidates: &[Candidate<'a>]) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'a>> = candidates
        .iter()
        .filter_map(|candidate| match candidate.target {
            Target::Remote(_) => None,
            Target::Local(delivery) => {
                let acceptance = candidate.acceptance;
                let wrapped_key = delivery.key.wrap(acceptance.body.id(), acceptance.body.key());
                Some(Row { acceptance, delivery, wrapped_key, uid: 0, modseq: 0 })
            }
        })
        .collect();
    rows.sort_by_key(|row| row.delivery.folder);
    rows
}

fn size_of(acceptance: &Acceptance) -> i64 {
    i64::try_from(acceptance.body.size()).unwrap_or(i64::MAX)
}

fn added(rows: &[Row<'_>], key: impl Fn(&Row<'_>) -> i64) -> BTreeMap<i64, Added> {
    let mut added: BTreeMap<i64, Added> = BTreeMap::new();
    for row in rows {
        let entry = added.entry(key(row)).or_default();
        entry.messages += 1;
        entry.bytes += size_of(row.acceptance);
    }
    added
}

fn columns(added: &BTreeMap<i64, Added>) -> (Vec<i64>, Vec<i64>, Vec<i64>) {
    let ids = added.keys().copied().collect();
    let counts = added.values().map(|added| added.messages).collect();
    (ids, counts, added.values().map(|added| added.bytes).collect())
}
