//! What a login leaves behind: a row of the audit trail, the last use of the password, and that the account was seen at this address.
//!
//! Accounts and addresses are kept as keyed hashes: a row tells nobody who was where.

use crate::dialect::on;
use crate::statistics::Counter;
use crate::writer::{Touches, WriteTx};
use crate::{Act, AuditEntry, Category, Error, Store};
use aws_lc_rs::hmac;
use mail_types::{MailboxId, Timestamp};
use std::net::IpAddr;

/// How long it is remembered that an account was seen at an address: ninety days.
const KNOWN_MS: i64 = 90 * 86_400_000;
/// How exactly it is known when an account was last seen at an address.
const SEEN_MS: i64 = 86_400_000;
/// How exactly the last use of a password is known.
const USE_MS: i64 = 60_000;
/// Rows that are forgotten in one unit of work.
const FORGET_MAX: i64 = 1_000;

/// An account and the address that somebody comes from, as keyed hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginTrace {
    /// The name that was given, known or not.
    pub account: [u8; 32],
    /// The address; of IPv6 the /64.
    pub address: [u8; 32],
}

/// A login to be written down.
#[derive(Clone, Debug)]
pub struct LoginRecord {
    /// Who, by which door, whence, and by what credential.
    pub act: Act,
    /// Into which mailbox; none for an administrator.
    pub mailbox: Option<MailboxId>,
    /// The application password that was used.
    pub password: Option<i64>,
    /// From now on the address is known of the account, if it was not lately.
    pub trace: Option<LoginTrace>,
}

impl Store {
    /// What a login with that name from that address leaves behind.
    pub fn login_trace(&self, account: &str, address: IpAddr) -> LoginTrace {
        let key = self.keyring().fingerprint_key();
        let digest = |kind: &[u8], value: &[u8]| {
            let mut digest = [0; 32];
            let mut context = hmac::Context::with_key(&key);
            context.update(kind);
            context.update(value);
            digest.copy_from_slice(context.sign().as_ref());
            digest
        };
        let address = match address.to_canonical() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets()[..8].to_vec(),
        };
        LoginTrace {
            account: digest(b"login account:", account.as_bytes()),
            address: digest(b"login address:", &address),
        }
    }

    /// When the account logged in from the address before, to the day; `None` when that is long ago or never was.
    pub async fn known_since(&self, trace: &LoginTrace, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        let mut reader = self.reader().await?;
        let row: Option<(i64,)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT last_at_ms FROM known_addresses WHERE account = $1 AND address = $2 AND last_at_ms > $3")
            .bind(trace.account.as_slice()).bind(trace.address.as_slice()).bind(now.0 - KNOWN_MS).fetch_optional(&mut *c).await)?;
        Ok(row.map(|(at,)| Timestamp(at)))
    }

    /// Writes a login down. It is on stable storage when this returns.
    pub async fn record_login(&self, record: LoginRecord) -> Result<(), Error> {
        let store = self.acting(record.act.clone());
        store
            .write(Touches::nothing(), move |tx| {
                let record = record.clone();
                Box::pin(async move { tx.record_login(&record).await })
            })
            .await
    }

    /// Forgets addresses that were not seen for long. How many; there may be more.
    pub async fn forget_addresses(&self) -> Result<u64, Error> {
        self.write(Touches::nothing(), |tx| {
            Box::pin(async move {
                let before = tx.now.0 - KNOWN_MS;
                Ok(on!(tx.conn(), c => sqlx::query(
                    "DELETE FROM known_addresses WHERE (account, address) IN (SELECT account, address FROM known_addresses WHERE last_at_ms <= $1 LIMIT $2)")
                    .bind(before).bind(FORGET_MAX).execute(&mut *c).await.map(|r| r.rows_affected()))?)
            })
        })
        .await
    }
}

impl WriteTx {
    async fn record_login(&mut self, record: &LoginRecord) -> Result<(), Error> {
        let now = self.now.0;
        if let Some(password) = record.password {
            on!(self.conn(), c => sqlx::query(
                "UPDATE application_passwords SET last_used_at_ms = $2 WHERE id = $1 AND (last_used_at_ms IS NULL OR last_used_at_ms < $3)")
                .bind(password).bind(now).bind(now - USE_MS).execute(&mut *c).await.map(|_| ()))?;
        }
        if let Some(trace) = record.trace {
            on!(self.conn(), c => sqlx::query(
                "INSERT INTO known_addresses (account, address, last_at_ms) VALUES ($1, $2, $3) \
                 ON CONFLICT (account, address) DO UPDATE SET last_at_ms = excluded.last_at_ms WHERE known_addresses.last_at_ms < $4")
                .bind(trace.account.as_slice()).bind(trace.address.as_slice()).bind(now).bind(now - SEEN_MS).execute(&mut *c).await.map(|_| ()))?;
        }
        if let Some(mailbox) = record.mailbox {
            self.tally.count(mailbox, Counter::Login, 0);
        }
        self.audit(&AuditEntry { mailbox: record.mailbox, ..AuditEntry::new(Category::Access, "login") })
            .await
    }
}
