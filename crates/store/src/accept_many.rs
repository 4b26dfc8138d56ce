//! Many acceptances in one transaction, with as few statements as the engine allows: each step is one multi-row statement, whatever the number
//! of messages. Each folder and mailbox is counted once for the whole batch.

use crate::accept::{Acceptance, Accepted, Appended, SentCopy, WINDOW_MS};
use crate::dialect::{Conn, answered};
use crate::rows::{BodyRow, MessageEntry, ROWS_MAX};
use crate::statistics::Counter;
use crate::writer::WriteTx;
use crate::{AuditEntry, Category, Error, LocalDelivery, RemoteDelivery, Subject};
use mail_types::{FolderId, ModSeq, QueueId, SystemFlags, Uid, UidValidity};
use sqlx::QueryBuilder;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

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
    Sent(&'a SentCopy),
}

impl WriteTx {
    /// Accepts every message of a batch. An error concerns the batch as a whole.
    ///
    /// A message sent again may come with fewer recipients than before (its sender was told of some and not of others), so each recipient is
    /// recognised on its own.
    pub(crate) async fn accept_many(&mut self, batch: &[Arc<Acceptance>]) -> Result<Vec<Accepted>, Error> {
        let candidates = self.first_times(self.candidates(batch)).await?;
        let mut accepted = vec![Accepted::Duplicate; batch.len()];
        candidates.iter().for_each(|candidate| accepted[candidate.unit] = Accepted::Stored);
        let news = batch.iter().zip(&accepted).filter(|(_, outcome)| **outcome != Accepted::Duplicate);
        let bodies: Vec<BodyRow<'_>> = news.map(|(acceptance, _)| BodyRow::of(&acceptance.body)).collect();
        let apart = self.sent_apart(&candidates).await?;
        let mut entries = self.entries(&candidates, &apart)?;
        let validities = self.enter(&bodies, &mut entries).await?;
        let mut queued = Vec::new();
        for candidate in &candidates {
            if let Target::Remote(delivery) = candidate.target {
                queued.push(self.enqueue(candidate.acceptance, delivery).await?);
                self.queue_changed();
            }
        }
        for candidate in &candidates {
            if let Target::Sent(copy) = candidate.target {
                let filed = self.filed(candidate.acceptance, copy, &entries, &validities, &apart).await?;
                accepted[candidate.unit] = Accepted::Filed(filed);
            }
        }
        self.tally_accepted(&candidates, batch, &accepted)?;
        if self.keyring.audits_mail() {
            self.audit_many(audit_rows(batch, &accepted, &candidates, &entries, &queued)).await?;
        }
        Ok(accepted)
    }

    /// Folders of the copies that senders keep, where each reader has a `\Seen` of their own.
    async fn sent_apart(&mut self, candidates: &[Candidate<'_>]) -> Result<HashSet<i64>, Error> {
        let copies = candidates.iter().filter_map(|candidate| match candidate.target {
            Target::Sent(copy) if copy.seen_by.is_some() => Some(copy.to.folder.0),
            _ => None,
        });
        self.kept_apart(copies.collect()).await
    }

    /// Where the copy of a sender went, which is then seen.
    async fn filed(
        &mut self,
        acceptance: &Acceptance,
        copy: &SentCopy,
        entries: &[MessageEntry<'_>],
        validities: &BTreeMap<i64, UidValidity>,
        apart: &HashSet<i64>,
    ) -> Result<Appended, Error> {
        let (folder, body) = (copy.to.folder, acceptance.body.id());
        let is_it = |entry: &&MessageEntry<'_>| entry.folder == folder && entry.body == body.0.as_slice();
        let entry = entries.iter().find(is_it).ok_or(Error::Inconsistent("a copy was not written"))?;
        if let Some(actor) = copy.seen_by.filter(|_| apart.contains(&folder.0)) {
            self.set_private_seen(folder, actor, &[entry.uid], true, None).await?;
        }
        Ok(Appended {
            uid_validity: validities.get(&folder.0).copied().unwrap_or(UidValidity(0)),
            uid: Uid(u32::try_from(entry.uid).unwrap_or(u32::MAX)),
            modseq: ModSeq(entry.modseq.unsigned_abs()),
        })
    }

    /// Counts what each mailbox received, and each message once for the mailbox that sent it.
    fn tally_accepted(
        &mut self,
        candidates: &[Candidate<'_>],
        batch: &[Arc<Acceptance>],
        accepted: &[Accepted],
    ) -> Result<(), Error> {
        let octets =
            |acceptance: &Acceptance| i64::try_from(acceptance.body.size()).map_err(|_| Error::TooBig);
        for candidate in candidates {
            if let Target::Local(delivery) = candidate.target {
                let octets = octets(candidate.acceptance)?;
                self.tally.count(delivery.mailbox, Counter::Received, octets);
            }
        }
        for (acceptance, outcome) in batch.iter().zip(accepted) {
            if *outcome == Accepted::Duplicate {
                continue;
            }
            if let Some(sender) = acceptance.sender_mailbox {
                self.tally.count(sender, Counter::Sent, octets(acceptance)?);
            }
        }
        Ok(())
    }

    /// Every recipient of every message, without repetitions within the batch.
    fn candidates<'a>(&self, batch: &'a [Arc<Acceptance>]) -> Vec<Candidate<'a>> {
        let key = self.keyring.fingerprint_key();
        let mut seen = HashSet::new();
        let mut candidates = Vec::with_capacity(batch.len());
        for (unit, acceptance) in batch.iter().enumerate() {
            let local = acceptance.local.iter().map(Target::Local);
            let remote = acceptance.remote.iter().map(Target::Remote);
            for target in local.chain(remote).chain(acceptance.sent_copy.iter().map(Target::Sent)) {
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
        let mut noted: Vec<Noted> = candidates
            .iter()
            .filter_map(|candidate| {
                Some((candidate.fingerprint?.to_vec(), candidate.acceptance.unit.0.to_vec()))
            })
            .collect();
        if noted.is_empty() {
            return Ok(candidates);
        }
        // Two writers that note the same fingerprints in one order cannot wait for each other.
        noted.sort_unstable();
        let now = self.now.0;
        let inserted = match self.conn() {
            Conn::Postgres(c, is_stuck) => answered(is_stuck, note_postgres(c, noted, now)).await?,
            Conn::Sqlite(c) => note_sqlite(c, &noted, now).await?,
        };
        let new: HashSet<Vec<u8>> = inserted.into_iter().map(|(fingerprint,)| fingerprint).collect();
        candidates.retain(|candidate| {
            candidate.fingerprint.is_none_or(|fingerprint| new.contains(fingerprint.as_slice()))
        });
        Ok(candidates)
    }

    /// A message for each local recipient and each copy kept, in folder order, with its key wrapped.
    fn entries<'a>(
        &self,
        candidates: &[Candidate<'a>],
        apart: &HashSet<i64>,
    ) -> Result<Vec<MessageEntry<'a>>, Error> {
        let mut entries = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let (delivery, flags) = match candidate.target {
                Target::Local(delivery) => (delivery, SystemFlags::default()),
                Target::Sent(SentCopy { to, seen_by: Some(_) }) if apart.contains(&to.folder.0) => {
                    (to, SystemFlags::default())
                }
                Target::Sent(SentCopy { to, .. }) => (to, SystemFlags::SEEN),
                Target::Remote(_) => continue,
            };
            let body = &candidate.acceptance.body;
            entries.push(MessageEntry {
                mailbox: delivery.mailbox,
                folder: delivery.folder,
                body: &body.id.0,
                wrapped_key: delivery.key.wrap(body.id(), body.key()).into(),
                size: i64::try_from(body.size()).map_err(|_| Error::TooBig)?,
                internal_date: self.now,
                flags,
                keywords: 0,
                uid: 0,
                modseq: 0,
            });
        }
        entries.sort_by_key(|entry| entry.folder);
        Ok(entries)
    }
}

/// What the audit trail says: of each message that it was accepted, or came again; of each recipient that it was delivered or queued.
fn audit_rows(
    batch: &[Arc<Acceptance>],
    accepted: &[Accepted],
    candidates: &[Candidate<'_>],
    entries: &[MessageEntry<'_>],
    queued: &[QueueId],
) -> Vec<AuditEntry> {
    let messages = batch.iter().zip(accepted).map(|(acceptance, outcome)| match outcome {
        Accepted::Stored | Accepted::Filed(_) => acceptance.audit.clone(),
        Accepted::Duplicate => AuditEntry { outcome: "duplicate", ..acceptance.audit.clone() },
    });
    let uids: HashMap<(&[u8], FolderId), i64> =
        entries.iter().map(|entry| ((entry.body, entry.folder), entry.uid)).collect();
    let mut queued = queued.iter();
    let recipients = candidates.iter().map(|candidate| {
        let acceptance = candidate.acceptance;
        let entry = |action| AuditEntry {
            actor: acceptance.audit.actor,
            credential: acceptance.audit.credential.clone(),
            via: acceptance.audit.via,
            request: acceptance.audit.request.clone(),
            unit: Some(acceptance.unit),
            ..AuditEntry::new(Category::Mail, action)
        };
        let placed = |to: &LocalDelivery, action| {
            let uid = uids.get(&(acceptance.body.id.0.as_slice(), to.folder)).copied().unwrap_or(0);
            let detail = format!("uid={uid}");
            AuditEntry { mailbox: Some(to.mailbox), detail, ..entry(action) }.on("folder", to.folder)
        };
        match candidate.target {
            Target::Local(delivery) => placed(delivery, "message.delivered"),
            Target::Sent(copy) => placed(&copy.to, "message.filed"),
            Target::Remote(delivery) => {
                let entry = AuditEntry { mailbox: acceptance.sender_mailbox, ..entry("message.queued") };
                let entry = entry.subject(Subject::address(&delivery.recipient));
                let entry = entry.personal("to", delivery.recipient.to_string());
                queued.next().map_or(entry.clone(), |id| entry.on("queue", id))
            }
        }
    });
    messages.chain(recipients).collect()
}

/// A fingerprint and its unit.
type Noted = (Vec<u8>, Vec<u8>);

async fn note_postgres(
    c: &mut sqlx::PgConnection,
    noted: Vec<Noted>,
    now: i64,
) -> Result<Vec<(Vec<u8>,)>, sqlx::Error> {
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
    .fetch_all(c)
    .await
}

async fn note_sqlite(
    c: &mut crate::sqlite::SqliteConn,
    noted: &[Noted],
    now: i64,
) -> Result<Vec<(Vec<u8>,)>, sqlx::Error> {
    let mut inserted = Vec::with_capacity(noted.len());
    for noted in noted.chunks(ROWS_MAX) {
        let mut sql =
            QueryBuilder::new("INSERT INTO accepted_recipients (fingerprint, unit_id, accepted_at_ms) ");
        sql.push_values(noted, |mut row, (fingerprint, unit)| {
            row.push_bind(fingerprint.as_slice()).push_bind(unit.as_slice()).push_bind(now);
        });
        sql.push(
            " ON CONFLICT (fingerprint) DO UPDATE SET unit_id = excluded.unit_id, accepted_at_ms = excluded.accepted_at_ms \
             WHERE accepted_recipients.accepted_at_ms < ",
        );
        sql.push_bind(now - WINDOW_MS).push(" RETURNING fingerprint");
        inserted.extend(sql.build_query_as().fetch_all(&mut *c).await?);
    }
    Ok(inserted)
}

/// The fingerprint of a message (peer, reverse-path, content) for one of its recipients.
fn recipient_fingerprint(key: &aws_lc_rs::hmac::Key, message: &[u8; 32], target: Target<'_>) -> [u8; 32] {
    let mut context = aws_lc_rs::hmac::Context::with_key(key);
    context.update(message);
    match target {
        Target::Local(delivery) => context.update(&delivery.mailbox.0.to_be_bytes()),
        Target::Remote(delivery) => context.update(delivery.recipient.canonical().as_bytes()),
        Target::Sent(copy) => {
            context.update(b"sent");
            context.update(&copy.to.mailbox.0.to_be_bytes());
        }
    }
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(context.sign().as_ref());
    fingerprint
}
