//! What an administrator decided beside the white list: quarantines and partners. A row that ended stays.

use crate::dialect::on;
use crate::writer::Touches;
use crate::{AuditEntry, Category, Error, Revision, Store};
use mail_types::{DistinguishedName, Domain, Timestamp};

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// No mail is exchanged with the domain.
    QuarantineDomain(Domain),
    /// No certificate with this subject is believed.
    QuarantineSubject(DistinguishedName),
    /// No certificate of this key is believed: SHA-256 of its SubjectPublicKeyInfo.
    QuarantineKey([u8; 32]),
    /// One certificate is not believed.
    QuarantineSerial {
        /// Who issued it.
        issuer: DistinguishedName,
        /// Its number, big endian, without leading zeros.
        serial: Vec<u8>,
    },
    /// The pair counts as if the white list named it.
    Partner {
        /// The domain.
        domain: Domain,
        /// The subject of its certificate.
        subject: DistinguishedName,
    },
}

impl Ruling {
    const fn kind(&self) -> &'static str {
        match self {
            Self::QuarantineDomain(_) => "quarantine_domain",
            Self::QuarantineSubject(_) | Self::QuarantineKey(_) | Self::QuarantineSerial { .. } => {
                "quarantine_certificate"
            }
            Self::Partner { .. } => "partner",
        }
    }
}

impl std::fmt::Display for Ruling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::QuarantineDomain(domain) => write!(f, "domain {domain}"),
            Self::QuarantineSubject(subject) => write!(f, "certificates of {subject}"),
            Self::QuarantineKey(pin) => write!(f, "certificates of the key {}", hex(pin)),
            Self::QuarantineSerial { issuer, serial } => {
                write!(f, "certificate {} of {issuer}", hex(serial))
            }
            Self::Partner { domain, subject } => write!(f, "{domain} for {subject}"),
        }
    }
}

/// A decision, with its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulingRow {
    /// Row.
    pub id: i64,
    /// What was decided.
    pub ruling: Ruling,
    /// Why, in the words of who decided it.
    pub reason: String,
    /// When.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
    /// When it was ended before that.
    pub ended_at: Option<Timestamp>,
}

type Columns = (
    i64,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    String,
    i64,
    Option<i64>,
    Option<i64>,
);

impl Store {
    /// Every decision that is in force at `now`, and with `ended` those that were; the latest last.
    ///
    /// # Errors
    /// A row that cannot be read is an error, not a decision less: a quarantine must not vanish.
    pub async fn rulings(&self, now: Timestamp, ended: bool) -> Result<Vec<RulingRow>, Error> {
        let mut reader = self.reader().await?;
        let rows: Vec<Columns> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT id, kind, domain, subject, issuer, serial, key_pin, reason, created_at_ms, until_ms, ended_at_ms FROM trust_overlay \
             WHERE $1 OR (ended_at_ms IS NULL AND (until_ms IS NULL OR until_ms > $2)) ORDER BY id")
            .bind(ended).bind(now.0).fetch_all(&mut *c).await)?;
        let read = |columns| row(columns).ok_or(Error::Inconsistent("a row of trust_overlay cannot be read"));
        rows.into_iter().map(read).collect()
    }

    /// Puts a decision in force, until its date if it has one. Gives its row.
    pub async fn rule(&self, ruling: Ruling, until: Option<Timestamp>, reason: &str) -> Result<i64, Error> {
        let reason = reason.to_owned();
        self.write(Touches::nothing(), move |tx| {
            let (ruling, reason) = (ruling.clone(), reason.clone());
            Box::pin(async move {
                let now = tx.now.0;
                let (domain, subject, issuer, serial, pin) = columns(&ruling);
                let (id,): (i64,) = on!(tx.conn(), c => sqlx::query_as(
                    "INSERT INTO trust_overlay (kind, domain, subject, issuer, serial, key_pin, reason, created_at_ms, until_ms) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id")
                    .bind(ruling.kind()).bind(domain).bind(subject).bind(issuer).bind(serial).bind(pin).bind(&reason)
                    .bind(now).bind(until.map(|at| at.0)).fetch_one(&mut *c).await)?;
                let end = until.map_or_else(|| "none".to_owned(), |at| at.0.to_string());
                let detail = format!("kind={} what={:?} until_ms={end}", ruling.kind(), ruling.to_string());
                tx.audit(&audit("trust.ruled", detail).on("ruling", id).why(reason.as_str())).await?;
                tx.revised(Revision::Trust).await?;
                Ok(id)
            })
        })
        .await
    }

    /// Tells the audit trail of something that an administrator had done and that leaves no other trace.
    pub async fn note_administration(&self, action: &'static str, detail: String) -> Result<(), Error> {
        self.write(Touches::nothing(), move |tx| {
            let entry = audit(action, detail.clone());
            Box::pin(async move { tx.audit(&entry).await })
        })
        .await
    }

    /// Ends a decision now; whether it was in force.
    pub async fn release_ruling(&self, id: i64, reason: &str) -> Result<bool, Error> {
        let reason = reason.to_owned();
        self.write(Touches::nothing(), move |tx| {
            let reason = reason.clone();
            Box::pin(async move {
                let now = tx.now.0;
                let released = on!(tx.conn(), c => sqlx::query(
                    "UPDATE trust_overlay SET ended_at_ms = $2 WHERE id = $1 AND ended_at_ms IS NULL AND (until_ms IS NULL OR until_ms > $2)")
                    .bind(id).bind(now).execute(&mut *c).await.map(|r| r.rows_affected()))?;
                if released > 0 {
                    tx.audit(&audit("trust.released", String::new()).on("ruling", id).why(reason.as_str())).await?;
                    tx.revised(Revision::Trust).await?;
                }
                Ok(released > 0)
            })
        })
        .await
    }
}

pub(crate) fn audit(action: &'static str, detail: String) -> AuditEntry {
    AuditEntry { detail, ..AuditEntry::new(Category::Admin, action) }
}

type RulingColumns = (Option<String>, Option<String>, Option<String>, Option<Vec<u8>>, Option<Vec<u8>>);

/// Domain, subject, issuer, serial, key pin.
fn columns(ruling: &Ruling) -> RulingColumns {
    match ruling {
        Ruling::QuarantineDomain(domain) => (Some(domain.to_string()), None, None, None, None),
        Ruling::QuarantineSubject(subject) => (None, Some(subject.to_string()), None, None, None),
        Ruling::QuarantineKey(pin) => (None, None, None, None, Some(pin.to_vec())),
        Ruling::QuarantineSerial { issuer, serial } => {
            (None, None, Some(issuer.to_string()), Some(serial.clone()), None)
        }
        Ruling::Partner { domain, subject } => {
            (Some(domain.to_string()), Some(subject.to_string()), None, None, None)
        }
    }
}

fn row(columns: Columns) -> Option<RulingRow> {
    let (id, kind, domain, subject, issuer, serial, pin, reason, created_at, until, ended_at) = columns;
    let domain = || domain?.parse().ok();
    let name = |text: Option<String>| text?.parse().ok();
    let ruling = match (kind.as_str(), serial, pin) {
        ("quarantine_domain", None, None) => Ruling::QuarantineDomain(domain()?),
        ("quarantine_certificate", Some(serial), None) => {
            Ruling::QuarantineSerial { issuer: name(issuer)?, serial }
        }
        ("quarantine_certificate", None, Some(pin)) => Ruling::QuarantineKey(pin.try_into().ok()?),
        ("quarantine_certificate", None, None) => Ruling::QuarantineSubject(name(subject)?),
        ("partner", None, None) => Ruling::Partner { domain: domain()?, subject: name(subject)? },
        _ => return None,
    };
    Some(RulingRow {
        id,
        ruling,
        reason,
        created_at: Timestamp(created_at),
        until: until.map(Timestamp),
        ended_at: ended_at.map(Timestamp),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
