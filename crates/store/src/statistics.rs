//! What mailboxes did, day by day (UTC): counted in the transaction that did it, one statement for each batch, and kept for a little over a year.
//!
//! Raw facts of each mailbox, from which totals of domains and months are made.

use crate::dialect::{Conn, answered, on};
use crate::rows::ROWS_MAX;
use crate::writer::{Touches, WriteTx};
use crate::{Error, Store};
use mail_types::{DomainId, MailboxId, Timestamp};
use sqlx::QueryBuilder;
use std::collections::BTreeMap;

/// How long the facts of a day are kept, in days.
const KEEP_DAYS: i64 = 400;
/// Rows removed in one unit of work.
const PRUNE_BATCH: i64 = 2_000;
const DAY_MS: i64 = 86_400_000;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    /// A message was delivered to it.
    Received,
    /// It sent a message: once, however many recipients.
    Sent,
    /// Another operator took a message of its for one recipient.
    Relayed,
    /// A message of its did not reach one recipient.
    Bounced,
    /// Somebody logged in.
    Login,
}

impl Counter {
    /// The word of the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Sent => "sent",
            Self::Relayed => "relayed",
            Self::Bounced => "bounced",
            Self::Login => "logins",
        }
    }
}

/// What the units of a batch counted.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<(MailboxId, Counter), (i64, i64)>);

impl Tally {
    /// One more, of so many octets.
    pub(crate) fn count(&mut self, mailbox: MailboxId, counter: Counter, octets: i64) {
        let (count, bytes) = self.0.entry((mailbox, counter)).or_default();
        (*count, *bytes) = (*count + 1, *bytes + octets);
    }
}

/// The counters of a mailbox or a domain on a day, or of several days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages delivered.
    pub received: u64,
    /// Their octets.
    pub received_bytes: u64,
    /// Messages sent.
    pub sent: u64,
    /// Their octets.
    pub sent_bytes: u64,
    /// Recipients at other operators that were reached.
    pub relayed: u64,
    /// Recipients that were not reached, and of which the sender was told.
    pub bounced: u64,
    /// Logins.
    pub logins: u64,
}

impl Counts {
    /// Both together.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        Self {
            received: self.received + other.received,
            received_bytes: self.received_bytes + other.received_bytes,
            sent: self.sent + other.sent,
            sent_bytes: self.sent_bytes + other.sent_bytes,
            relayed: self.relayed + other.relayed,
            bounced: self.bounced + other.bounced,
            logins: self.logins + other.logins,
        }
    }

    fn add(&mut self, name: &str, count: i64, bytes: i64) {
        let (count, bytes) = (count.unsigned_abs(), bytes.unsigned_abs());
        match name {
            "received" => {
                self.received += count;
                self.received_bytes += bytes;
            }
            "sent" => {
                self.sent += count;
                self.sent_bytes += bytes;
            }
            "relayed" => self.relayed += count,
            "bounced" => self.bounced += count,
            "logins" => self.logins += count,
            _ => {}
        }
    }
}

/// A day as the database has it: `2026-11-21`.
pub fn day_of(at: Timestamp) -> String {
    let (year, month, day) = crate::clock::civil(at.0.div_euclid(DAY_MS));
    format!("{year:04}-{month:02}-{day:02}")
}

impl Store {
    /// The counters of each domain on a day, by name of the domain; those without any are left out.
    pub async fn domain_counts(&self, day: &str) -> Result<Vec<(DomainId, String, Counts)>, Error> {
        let mut reader = self.reader().await?;
        let rows: Vec<(i64, String, String, i64, i64)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT d.id, d.name, n.name, CAST(SUM(n.count) AS BIGINT), CAST(SUM(n.bytes) AS BIGINT) FROM daily_counters n \
             JOIN mailboxes m ON m.id = n.mailbox_id JOIN domains d ON d.id = m.domain_id WHERE n.day = $1 GROUP BY d.id, d.name, n.name ORDER BY d.name")
            .bind(day).fetch_all(&mut *c).await)?;
        let mut domains: Vec<(DomainId, String, Counts)> = Vec::new();
        for (id, domain, name, count, bytes) in rows {
            if domains.last().is_none_or(|(last, ..)| last.0 != id) {
                domains.push((DomainId(id), domain, Counts::default()));
            }
            if let Some((.., counts)) = domains.last_mut() {
                counts.add(&name, count, bytes);
            }
        }
        Ok(domains)
    }

    /// The counters of a mailbox from one day to another, both included; days without any are left out. None when there is no such mailbox.
    pub async fn mailbox_counts(
        &self,
        mailbox: MailboxId,
        from: &str,
        to: &str,
    ) -> Result<Option<(DomainId, Vec<(String, Counts)>)>, Error> {
        let mut reader = self.reader().await?;
        let domain: Option<(i64,)> = on!(reader.conn(), c => sqlx::query_as("SELECT domain_id FROM mailboxes WHERE id = $1")
            .bind(mailbox.0).fetch_optional(&mut *c).await)?;
        let Some((domain,)) = domain else { return Ok(None) };
        let rows: Vec<(String, String, i64, i64)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT day, name, count, bytes FROM daily_counters WHERE mailbox_id = $1 AND day >= $2 AND day <= $3 ORDER BY day")
            .bind(mailbox.0).bind(from).bind(to).fetch_all(&mut *c).await)?;
        let mut days: Vec<(String, Counts)> = Vec::new();
        for (day, name, count, bytes) in rows {
            if days.last().is_none_or(|(last, _)| *last != day) {
                days.push((day, Counts::default()));
            }
            if let Some((_, counts)) = days.last_mut() {
                counts.add(&name, count, bytes);
            }
        }
        Ok(Some((DomainId(domain), days)))
    }

    /// Forgets a batch of counters that had their time. How many went: at zero there is nothing left to do.
    pub async fn prune_counters(&self) -> Result<u64, Error> {
        let limit = day_of(self.now().plus_millis(-KEEP_DAYS * DAY_MS));
        let mut reader = self.reader().await?;
        let oldest: Option<(String,)> = on!(reader.conn(), c => sqlx::query_as("SELECT day FROM daily_counters WHERE day < $1 ORDER BY day LIMIT 1")
            .bind(&limit).fetch_optional(&mut *c).await)?;
        drop(reader);
        let Some((day,)) = oldest else { return Ok(0) };
        self.write(Touches::nothing(), move |tx| {
            let day = day.clone();
            Box::pin(async move {
                Ok(on!(tx.conn(), c => sqlx::query("DELETE FROM daily_counters WHERE day = $1 AND mailbox_id IN \
                     (SELECT mailbox_id FROM daily_counters WHERE day = $1 ORDER BY mailbox_id LIMIT $2)")
                    .bind(&day).bind(PRUNE_BATCH).execute(&mut *c).await.map(|r| r.rows_affected()))?)
            })
        })
        .await
    }
}

impl WriteTx {
    /// Writes what the units of this batch counted: the last statement before the commit, its rows in one order for every writer.
    pub(crate) async fn write_tally(&mut self) -> Result<(), Error> {
        let tally = std::mem::take(&mut self.tally);
        if tally.0.is_empty() {
            return Ok(());
        }
        let day = day_of(self.now);
        let rows: Vec<TallyRow> = tally
            .0
            .into_iter()
            .map(|((mailbox, counter), (count, bytes))| (mailbox.0, counter.as_str(), count, bytes))
            .collect();
        match self.conn() {
            Conn::Postgres(c, is_stuck) => answered(is_stuck, add_postgres(c, &day, rows)).await?,
            Conn::Sqlite(c) => add_sqlite(c, &day, &rows).await?,
        }
        Ok(())
    }
}

/// Mailbox, name, count, octets.
type TallyRow = (i64, &'static str, i64, i64);

const ADD: &str = " ON CONFLICT (day, mailbox_id, name) DO UPDATE SET count = daily_counters.count + excluded.count, bytes = daily_counters.bytes + excluded.bytes";

async fn add_postgres(c: &mut sqlx::PgConnection, day: &str, rows: Vec<TallyRow>) -> Result<(), sqlx::Error> {
    let sql = format!(
        "INSERT INTO daily_counters (day, mailbox_id, name, count, bytes) SELECT $1, m, n, c, b FROM \
         UNNEST($2::BIGINT[], $3::TEXT[], $4::BIGINT[], $5::BIGINT[]) AS t (m, n, c, b) ORDER BY m, n{ADD}"
    );
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(day)
        .bind(rows.iter().map(|row| row.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.1).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.2).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.3).collect::<Vec<_>>())
        .execute(c)
        .await?;
    Ok(())
}

async fn add_sqlite(
    c: &mut crate::sqlite::SqliteConn,
    day: &str,
    rows: &[TallyRow],
) -> Result<(), sqlx::Error> {
    for rows in rows.chunks(ROWS_MAX) {
        let mut sql = QueryBuilder::new("INSERT INTO daily_counters (day, mailbox_id, name, count, bytes) ");
        sql.push_values(rows, |mut values, (mailbox, name, count, bytes)| {
            values.push_bind(day).push_bind(*mailbox).push_bind(*name).push_bind(*count).push_bind(*bytes);
        });
        sql.push(ADD);
        sql.build().execute(&mut *c).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_named_by_its_date() {
        for (at, day) in [
            (0, "1970-01-01"),
            (DAY_MS - 1, "1970-01-01"),
            (951_782_400_000, "2000-02-29"),
            (1_795_248_240_500, "2026-11-21"),
            (4_107_542_399_999, "2100-02-28"),
            (4_107_542_400_000, "2100-03-01"),
        ] {
            assert_eq!(day_of(Timestamp(at)), day);
        }
    }
}
