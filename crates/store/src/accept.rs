//! Responsibility accepted: one transaction writes the body, a message for each local mailbox, a queue entry for each remote recipient.

use crate::dialect::on;
use crate::writer::WriteTx;
use crate::{AuditEntry, Error, MailboxKey, SealedBody, Store};
use mail_types::{
    ActorId, Address, FolderId, MailboxId, ModSeq, QueueId, ReversePath, Timestamp, Uid, UidValidity, UnitId,
};
use std::sync::Arc;

/// A message within this time with the same fingerprint was accepted already.
pub(crate) const WINDOW_MS: i64 = 24 * 3600 * 1000;

/// A local recipient.
#[derive(Clone, Debug)]
pub struct LocalDelivery {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Its INBOX.
    pub folder: FolderId,
    /// Its opened key.
    pub key: MailboxKey,
}

/// The copy of a submitted message that stays with its sender. It is seen.
#[derive(Clone, Debug)]
pub struct SentCopy {
    /// The mailbox, the folder for what it sends, its opened key.
    pub to: LocalDelivery,
    /// Who sent it: they alone have seen it where the mailbox keeps that apart.
    pub seen_by: Option<ActorId>,
}

/// A remote recipient, to become a queue entry.
#[derive(Clone, Debug)]
pub struct RemoteDelivery {
    /// The recipient.
    pub recipient: Address,
    /// RFC 3461 ORCPT as received.
    pub original_recipient: Option<String>,
    /// RFC 3461 NOTIFY as received (`NEVER`, or a list).
    pub notify: Option<String>,
}

/// A whole accepted message.
#[derive(Debug)]
pub struct Acceptance {
    /// The unit of work.
    pub unit: UnitId,
    /// Keyed hash of peer, reverse-path and content as received, when the origin may send again what it already sent. Recipients are told apart by the store.
    pub fingerprint: Option<[u8; 32]>,
    /// Who is told of failures.
    pub reverse_path: ReversePath,
    /// Our mailbox that sent it, for submissions.
    pub sender_mailbox: Option<MailboxId>,
    /// The body.
    pub body: SealedBody,
    /// Octets at the start of the body (Return-Path) that are for our mailboxes only.
    pub content_offset: u64,
    /// Whether the content has octets over 127.
    pub eight_bit: bool,
    /// Local recipients, each mailbox once.
    pub local: Vec<LocalDelivery>,
    /// Remote recipients.
    pub remote: Vec<RemoteDelivery>,
    /// The copy that its sender keeps. Whether it fits the quota is asked before.
    pub sent_copy: Option<SentCopy>,
    /// When queue entries are given up.
    pub expires_at: Timestamp,
    /// RFC 3461 RET and ENVID as received.
    pub ret: Option<String>,
    /// RFC 3461 ENVID as received.
    pub envid: Option<String>,
    /// What the audit trail says of it.
    pub audit: AuditEntry,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Stored and queued.
    Stored,
    /// The same, and this is where the [copy](SentCopy) of its sender went.
    Filed(Appended),
    /// The same message came from the same peer within the window: nothing was stored again.
    Duplicate,
}

/// Where an APPEND went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Validity of the folder's UIDs.
    pub uid_validity: UidValidity,
    /// UID given.
    pub uid: Uid,
    /// Modification sequence of the message.
    pub modseq: ModSeq,
}

impl Store {
    /// Takes responsibility for a message: returns after the commit.
    pub async fn accept(&self, mut acceptance: Acceptance) -> Result<Accepted, Error> {
        // One transaction takes messages of many senders: each row says itself for whom it was written.
        if let Some(act) = self.act.as_deref() {
            acceptance.audit.stamp(act);
        }
        self.accept_unit(Arc::new(acceptance)).await
    }

    /// The keyed hash that recognises a message sent again: over whatever `parts` identify peer, envelope and content.
    pub fn fingerprint(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = aws_lc_rs::hmac::Context::with_key(&self.keyring().fingerprint_key());
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    }
}

impl WriteTx {
    /// Everything that one acceptance writes.
    pub(crate) async fn accept(&mut self, acceptance: &Arc<Acceptance>) -> Result<Accepted, Error> {
        let accepted = self.accept_many(std::slice::from_ref(acceptance)).await?;
        accepted.first().copied().ok_or(Error::Inconsistent("an acceptance has no outcome"))
    }

    pub(crate) async fn enqueue(
        &mut self,
        acceptance: &Acceptance,
        delivery: &RemoteDelivery,
    ) -> Result<QueueId, Error> {
        let body = acceptance.body.id();
        let wrapped = self.keyring.wrap_for_queue(body, acceptance.body.key());
        let (unit, now) = (acceptance.unit.0, self.now.0);
        let offset = i64::try_from(acceptance.content_offset).map_err(|_| Error::TooBig)?;
        let recipient = delivery.recipient.to_string();
        let (id,): (i64,) = on!(self.conn(), c => sqlx::query_as(
            "INSERT INTO queue_entries (unit_id, body_id, wrapped_key, content_offset, eight_bit, reverse_path, sender_mailbox_id, recipient, \
             recipient_domain, original_recipient, notify, ret, envid, state, created_at_ms, next_attempt_at_ms, expires_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 'queued', $14, $14, $15) RETURNING id")
            .bind(unit.as_slice()).bind(body.0.as_slice()).bind(wrapped.as_slice()).bind(offset).bind(i64::from(acceptance.eight_bit))
            .bind(acceptance.reverse_path.to_string()).bind(acceptance.sender_mailbox.map(|id| id.0)).bind(&recipient)
            .bind(delivery.recipient.domain().as_str()).bind(delivery.original_recipient.as_deref()).bind(delivery.notify.as_deref())
            .bind(acceptance.ret.as_deref()).bind(acceptance.envid.as_deref()).bind(now).bind(acceptance.expires_at.0)
            .fetch_one(&mut *c).await)?;
        Ok(QueueId(id))
    }
}
