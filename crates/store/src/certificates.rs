//! The certificate inventory: which certificates are ours and our applications', for how long, and what they are for.
//!
//! It is a register, not a judge: a withdrawn row is no longer watched for its expiry, and opens or closes nothing by itself. What a certificate says
//! arrives as [`CertificateFacts`]; nothing here reads one.

use crate::dialect::on;
use crate::directory::word;
use crate::operators::Ending;
use crate::revisions::Revision;
use crate::writer::{Touches, WriteTx};
use crate::{AuditEntry, Category, Error, Store};
use mail_types::{ActorId, CertificateFacts, CertificateUsage, DistinguishedName, Fingerprint, Timestamp};

/// Rows that one question about the inventory gives at most.
const ROWS_MAX: u32 = 10_000;
/// Octets of the longest certificate that is kept.
const DER_MAX: usize = 64 * 1024;

/// Whose certificate it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateHolder {
    /// This operator's.
    Own,
    /// An application's.
    Application(ActorId),
}

impl CertificateHolder {
    /// The word of the command line and the database: `own` or `application`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Application(_) => "application",
        }
    }

    const fn actor(self) -> Option<ActorId> {
        match self {
            Self::Own => None,
            Self::Application(actor) => Some(actor),
        }
    }
}

/// A certificate of the inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRow {
    /// Row.
    pub id: i64,
    /// Whose it is.
    pub holder: CertificateHolder,
    /// What it says.
    pub facts: CertificateFacts,
    /// What an administrator wrote beside it.
    pub note: String,
    /// When it was entered.
    pub added_at: Timestamp,
    /// When it was withdrawn, if it was.
    pub withdrawn_at: Option<Timestamp>,
    /// Moves with every change.
    pub revision: i64,
}

/// How long a certificate of the inventory has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateExpiry {
    /// Row.
    pub id: i64,
    /// Whose it is.
    pub holder: CertificateHolder,
    /// What it is for.
    pub usage: CertificateUsage,
    /// Which it is.
    pub fingerprint: Fingerprint,
    /// Last instant at which it is valid.
    pub not_after: Timestamp,
}

/// Why a change to the inventory was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It stands in the inventory under another holder.
    #[error(
        "this certificate is in the inventory under another holder; withdraw it there and use another certificate here"
    )]
    OtherHolder,
    /// No such row.
    #[error("no such certificate in the inventory; `certificate list` shows them")]
    Unknown,
    /// It changed since it was read.
    #[error("the certificate changed since it was read")]
    Changed,
    /// The certificate is too long to be kept.
    #[error("the certificate is longer than 64 KiB")]
    TooLong,
    /// Nobody would administer the operator any more: it lets in the one application that does.
    #[error(
        "no other key or application administers the operator for good; make a key with the role operator first, or insist with force"
    )]
    LastOperator,
}

type Refusable<T> = Result<Result<T, CertificateError>, Error>;

impl Store {
    /// Enters a certificate; fine twice with the same holder. One that was withdrawn is back. Gives its row's id and whether it is new or back.
    pub async fn add_certificate(
        &self,
        holder: CertificateHolder,
        facts: CertificateFacts,
    ) -> Refusable<(i64, bool)> {
        self.write(Touches::nothing(), move |tx| {
            let facts = facts.clone();
            Box::pin(async move { tx.add_certificate(holder, &facts).await })
        })
        .await
    }

    /// Marks a certificate withdrawn; fine twice. With `force`, also when nobody is left who administers the operator.
    pub async fn withdraw_certificate(&self, id: i64, force: bool) -> Refusable<()> {
        self.write(Touches::nothing(), move |tx| {
            Box::pin(async move { tx.withdraw_certificate(id, force).await })
        })
        .await
    }

    /// Replaces the note beside a certificate, if it is still as `expected` was.
    pub async fn note_certificate(&self, id: i64, expected: Option<i64>, note: &str) -> Refusable<()> {
        let note = note.to_owned();
        self.write(Touches::nothing(), move |tx| {
            let note = note.clone();
            Box::pin(async move { tx.note_certificate(id, expected, &note).await })
        })
        .await
    }

    /// The certificates of the inventory, the first to expire first, at most ten thousand; withdrawn ones only when they are asked for.
    pub async fn certificates(&self, with_withdrawn: bool) -> Result<Vec<CertificateRow>, Error> {
        let mut reader = self.reader().await?;
        let rows: Vec<Tuple> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT id, actor_id, fingerprint, usage, subject, issuer, serial, key_pin, not_before_ms, not_after_ms, der, note, added_at_ms, withdrawn_at_ms, revision \
             FROM certificates WHERE withdrawn_at_ms IS NULL OR $1 <> 0 ORDER BY not_after_ms, id LIMIT $2")
            .bind(i64::from(with_withdrawn)).bind(i64::from(ROWS_MAX)).fetch_all(&mut *c).await)?;
        rows.into_iter().map(certificate_row).collect()
    }

    /// When the certificates that are not withdrawn expire, the first one first, at most ten thousand.
    pub async fn certificate_expiries(&self) -> Result<Vec<CertificateExpiry>, Error> {
        let mut reader = self.reader().await?;
        let rows: Vec<ExpiryTuple> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT id, actor_id, usage, fingerprint, not_after_ms FROM certificates WHERE withdrawn_at_ms IS NULL ORDER BY not_after_ms, id LIMIT $1")
            .bind(i64::from(ROWS_MAX)).fetch_all(&mut *c).await)?;
        let expiry = |(id, actor, usage, fingerprint, not_after): ExpiryTuple| {
            Ok(CertificateExpiry {
                id,
                holder: holder(actor),
                usage: word(&usage)?,
                fingerprint: Fingerprint(digest(fingerprint)?),
                not_after: Timestamp(not_after),
            })
        };
        rows.into_iter().map(expiry).collect()
    }

    /// One certificate of the inventory, withdrawn or not.
    pub async fn certificate(&self, id: i64) -> Result<Option<CertificateRow>, Error> {
        let mut reader = self.reader().await?;
        let row: Option<Tuple> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT id, actor_id, fingerprint, usage, subject, issuer, serial, key_pin, not_before_ms, not_after_ms, der, note, added_at_ms, withdrawn_at_ms, revision \
             FROM certificates WHERE id = $1").bind(id).fetch_optional(&mut *c).await)?;
        row.map(certificate_row).transpose()
    }
}

impl WriteTx {
    /// Enters a certificate within a unit that does more.
    pub(crate) async fn add_certificate(
        &mut self,
        holder: CertificateHolder,
        facts: &CertificateFacts,
    ) -> Refusable<(i64, bool)> {
        if facts.der.len() > DER_MAX {
            return Ok(Err(CertificateError::TooLong));
        }
        let added = self.insert_certificate(holder, facts).await?;
        let (id, actor): (i64, Option<i64>) = on!(self.conn(), c => sqlx::query_as("SELECT id, actor_id FROM certificates WHERE fingerprint = $1")
            .bind(facts.fingerprint.0.as_slice()).fetch_one(&mut *c).await)?;
        if actor.map(ActorId) != holder.actor() {
            return Ok(Err(CertificateError::OtherHolder));
        }
        let is_new = added || self.bring_back(id).await?;
        if is_new {
            let detail = format!("fingerprint={} usage={}", facts.fingerprint.short(), facts.usage);
            self.audit(&entry("certificate.added", id, holder.actor(), detail)).await?;
        }
        Ok(Ok((id, is_new)))
    }

    async fn insert_certificate(
        &mut self,
        holder: CertificateHolder,
        facts: &CertificateFacts,
    ) -> Result<bool, Error> {
        let now = self.now.0;
        let inserted = on!(self.conn(), c => sqlx::query(
            "INSERT INTO certificates (fingerprint, holder, actor_id, usage, subject, issuer, serial, key_pin, not_before_ms, not_after_ms, der, added_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (fingerprint) DO NOTHING")
            .bind(facts.fingerprint.0.as_slice()).bind(holder.as_str()).bind(holder.actor().map(|actor| actor.0)).bind(facts.usage.as_str())
            .bind(facts.subject.to_string()).bind(facts.issuer.to_string()).bind(facts.serial.as_slice()).bind(facts.key_pin.as_slice())
            .bind(facts.not_before.0).bind(facts.not_after.0).bind(facts.der.as_slice()).bind(now)
            .execute(&mut *c).await.map(|r| r.rows_affected()))?;
        Ok(inserted > 0)
    }

    async fn bring_back(&mut self, id: i64) -> Result<bool, Error> {
        let changed = on!(self.conn(), c => sqlx::query("UPDATE certificates SET withdrawn_at_ms = NULL, revision = revision + 1 WHERE id = $1 AND withdrawn_at_ms IS NOT NULL")
            .bind(id).execute(&mut *c).await.map(|r| r.rows_affected()))?;
        Ok(changed > 0)
    }

    async fn withdraw_certificate(&mut self, id: i64, force: bool) -> Refusable<()> {
        let now = self.now.0;
        let Some(holder) = self.certificate_actor(id).await? else {
            return Ok(Err(CertificateError::Unknown));
        };
        let asked = holder.filter(|_| !force);
        if let Some(application) = asked {
            // One such change at a time: the last two certificates that let an administrator in do not both go.
            self.revised(Revision::Directory).await?;
            if self.lets_in_last_operator(application, Ending::Certificate(id)).await? {
                return Ok(Err(CertificateError::LastOperator));
            }
        }
        let changed = on!(self.conn(), c => sqlx::query("UPDATE certificates SET withdrawn_at_ms = $2, revision = revision + 1 WHERE id = $1 AND withdrawn_at_ms IS NULL")
            .bind(id).bind(now).execute(&mut *c).await.map(|r| r.rows_affected()))?;
        if changed > 0 {
            self.audit(&entry("certificate.withdrawn", id, holder, String::new())).await?;
            // A rule that names it is no longer in force.
            if asked.is_none() {
                self.revised(Revision::Directory).await?;
            }
        }
        Ok(Ok(()))
    }

    async fn note_certificate(&mut self, id: i64, expected: Option<i64>, note: &str) -> Refusable<()> {
        let Some(holder) = self.certificate_actor(id).await? else {
            return Ok(Err(CertificateError::Unknown));
        };
        let changed = on!(self.conn(), c => sqlx::query("UPDATE certificates SET note = $2, revision = revision + 1 WHERE id = $1 AND revision = COALESCE($3, revision)")
            .bind(id).bind(note).bind(expected).execute(&mut *c).await.map(|r| r.rows_affected()))?;
        if changed == 0 {
            return Ok(Err(CertificateError::Changed));
        }
        self.audit(&entry("certificate.noted", id, holder, String::new())).await?;
        Ok(Ok(()))
    }

    /// The application that a row belongs to, if it is one's; `None` without such a row.
    async fn certificate_actor(&mut self, id: i64) -> Result<Option<Option<ActorId>>, Error> {
        let row: Option<(Option<i64>,)> = on!(self.conn(), c => sqlx::query_as("SELECT actor_id FROM certificates WHERE id = $1")
            .bind(id).fetch_optional(&mut *c).await)?;
        Ok(row.map(|(actor,)| actor.map(ActorId)))
    }
}

/// What was done to a certificate, and whose it is.
fn entry(action: &'static str, id: i64, holder: Option<ActorId>, mut detail: String) -> AuditEntry {
    if let Some(application) = holder {
        let space = if detail.is_empty() { "" } else { " " };
        detail = format!("application={application}{space}{detail}");
    }
    AuditEntry { detail, ..AuditEntry::new(Category::Admin, action) }.on("certificate", id)
}

/// id, actor, fingerprint, usage, subject, issuer, serial, key pin, not before, not after, der, note, added, withdrawn, revision.
type Tuple = (
    i64,
    Option<i64>,
    Vec<u8>,
    String,
    String,
    String,
    Vec<u8>,
    Vec<u8>,
    i64,
    i64,
    Vec<u8>,
    String,
    i64,
    Option<i64>,
    i64,
);

/// id, actor, usage, fingerprint, not after.
type ExpiryTuple = (i64, Option<i64>, String, Vec<u8>, i64);

fn certificate_row(row: Tuple) -> Result<CertificateRow, Error> {
    let (
        id,
        actor,
        fingerprint,
        usage,
        subject,
        issuer,
        serial,
        pin,
        from,
        to,
        der,
        note,
        added,
        withdrawn,
        revision,
    ) = row;
    Ok(CertificateRow {
        id,
        holder: holder(actor),
        facts: CertificateFacts {
            fingerprint: Fingerprint(digest(fingerprint)?),
            usage: word(&usage)?,
            subject: name(&subject)?,
            issuer: name(&issuer)?,
            serial,
            key_pin: digest(pin)?,
            not_before: Timestamp(from),
            not_after: Timestamp(to),
            der,
        },
        note,
        added_at: Timestamp(added),
        withdrawn_at: withdrawn.map(Timestamp),
        revision,
    })
}

fn holder(actor: Option<i64>) -> CertificateHolder {
    actor.map_or(CertificateHolder::Own, |actor| CertificateHolder::Application(ActorId(actor)))
}

fn digest(bytes: Vec<u8>) -> Result<[u8; 32], Error> {
    <[u8; 32]>::try_from(bytes).map_err(|_| Error::Inconsistent("a certificate's digest is not of 32 octets"))
}

/// A certificate whose names stand in subjectAltName alone has an empty subject.
fn name(text: &str) -> Result<DistinguishedName, Error> {
    if text.is_empty() {
        return Ok(DistinguishedName::from_attributes::<&str, &str>([]));
    }
    text.parse().map_err(|_| Error::Inconsistent("a certificate has a malformed name"))
}
