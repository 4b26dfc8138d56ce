//! Many acceptances in one transaction, with as few statements as the engine allows.
//!
//! On PostgreSQL each step is one multi-row statement (`UNNEST`), whatever the number of messages; folder and mailbox rows are locked in id order. On
//! SQLite, where a statement is a function call, rows are written one by one, but each folder and mailbox is counted once for the whole batch.

use crate::accept::{Acceptance, Accepted, WINDOW_MS};
use crate::bodies::Place;
use crate::dialect::Conn;
use crate::writer::WriteTx;
use crate::{AuditEntry, Error, LocalDelivery};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

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
    pub(crate) async fn accept_many(&mut self, batch: &[Arc<Acceptance>]) -> Result<Vec<Accepted>, Error> {
        let stored = self.first_times(batch).await?;
        let news: Vec<&Acceptance> =
            batch.iter().zip(&stored).filter(|(_, new)| **new).map(|(a, _)| a.as_ref()).collect();
        self.insert_bodies(&news).await?;
        let mut rows = rows_of(&news);
        self.reserve(&mut rows).await?;
        self.insert_messages(&rows).await?;
        self.count_usages(&rows).await?;
        for row in &rows {
            self.changed(row.delivery.folder);
        }
        for acceptance in &news {
            for delivery in &acceptance.remote {
                self.enqueue(acceptance, delivery).await?;
                self.queue_changed();
            }
        }
        let audit = batch.iter().zip(&stored).map(|(acceptance, new)| match new {
            true => acceptance.audit.clone(),
            false => AuditEntry { outcome: "duplicate", ..acceptance.audit.clone() },
        });
        self.audit_many(audit.collect()).await?;
        Ok(stored.into_iter().map(|new| if new { Accepted::Stored } else { Accepted::Duplicate }).collect())
    }

    /// Notes every unit; false for each whose fingerprint is known from within the window, or from earlier in the batch.
    async fn first_times(&mut self, batch: &[Arc<Acceptance>]) -> Result<Vec<bool>, Error> {
        let mut seen = HashSet::new();
        let candidates: Vec<bool> =
            batch.iter().map(|a| a.fingerprint.is_none_or(|f| seen.insert(f))).collect();
        let now = self.now.0;
        if let Conn::Postgres(c) = self.conn() {
            let chosen = || batch.iter().zip(&candidates).filter(|(_, is)| **is).map(|(a, _)| a);
            let units: Vec<Vec<u8>> = chosen().map(|a| a.unit.0.to_vec()).collect();
            let fingerprints: Vec<Option<Vec<u8>>> =
                chosen().map(|a| a.fingerprint.map(|f| f.to_vec())).collect();
            let inserted: Vec<(Vec<u8>,)> = sqlx::query_as(
                "INSERT INTO accepted_units (unit_id, fingerprint, accepted_at_ms) SELECT u, f, $3 FROM UNNEST($1::BYTEA[], $2::BYTEA[]) AS t (u, f) ORDER BY f \
                 ON CONFLICT (fingerprint) DO UPDATE SET unit_id = excluded.unit_id, accepted_at_ms = excluded.accepted_at_ms \
                 WHERE accepted_units.accepted_at_ms < $4 RETURNING unit_id",
            )
            .bind(&units)
            .bind(&fingerprints)
            .bind(now)
            .bind(now - WINDOW_MS)
            .fetch_all(&mut *c)
            .await?;
            let inserted: HashSet<Vec<u8>> = inserted.into_iter().map(|(unit,)| unit).collect();
            return Ok(batch.iter().map(|a| inserted.contains(a.unit.0.as_slice())).collect());
        }
        let mut first = Vec::with_capacity(batch.len());
        for (acceptance, candidate) in batch.iter().zip(candidates) {
            first.push(candidate && self.first_time(acceptance).await?);
        }
        Ok(first)
    }

    async fn insert_bodies(&mut self, news: &[&Acceptance]) -> Result<(), Error> {
        let now = self.now.0;
        let Conn::Postgres(c) = self.conn() else {
            for acceptance in news {
                self.insert_body(&acceptance.body).await?;
            }
            return Ok(());
        };
        let ids: Vec<&[u8]> = news.iter().map(|a| a.body.id.0.as_slice()).collect();
        let sizes: Vec<i64> = news.iter().map(|a| size_of(a)).collect();
        let places: Vec<&str> = news
            .iter()
            .map(|a| if matches!(a.body.place, Place::File) { "file" } else { "inline" })
            .collect();
        let structures: Vec<&[u8]> = news.iter().map(|a| a.body.structure.as_slice()).collect();
        let containers: Vec<Option<&[u8]>> = news
            .iter()
            .map(|a| match &a.body.place {
                Place::Inline(container) => Some(container.as_slice()),
                Place::File => None,
            })
            .collect();
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
        let now = self.now.0;
        let Conn::Postgres(c) = self.conn() else {
            for row in rows {
                self.insert_message(row).await?;
            }
            return Ok(());
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

    async fn insert_message(&mut self, row: &Row<'_>) -> Result<(), Error> {
        let now = self.now.0;
        crate::dialect::on!(self.conn(), c => sqlx::query(
            "INSERT INTO messages (folder_id, uid, mailbox_id, body_id, wrapped_key, size_bytes, internal_date_ms, saved_at_ms, flags, keywords, modseq) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $7, 0, 0, $8)")
            .bind(row.delivery.folder.0).bind(row.uid).bind(row.delivery.mailbox.0).bind(row.acceptance.body.id.0.as_slice())
            .bind(row.wrapped_key.as_slice()).bind(size_of(row.acceptance)).bind(now).bind(row.modseq)
            .execute(&mut *c).await.map(|_| ()))?;
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

/// Message rows to be written, in folder order, with their keys wrapped.
fn rows_of<'a>(news: &[&'a Acceptance]) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'a>> = news
        .iter()
        .flat_map(|&acceptance| acceptance.local.iter().map(move |delivery| (acceptance, delivery)))
        .map(|(acceptance, delivery)| {
            let wrapped_key = delivery.key.wrap(acceptance.body.id(), acceptance.body.key());
            Row { acceptance, delivery, wrapped_key, uid: 0, modseq: 0 }
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
