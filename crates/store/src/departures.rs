//! Domains that left the white list, and the audit row of each list that was adopted.

use crate::dialect::on;
use crate::trust_overlay::audit;
use crate::writer::{Touches, WriteTx};
use crate::{Error, Revision, Store};
use mail_types::{Domain, Timestamp};

/// A domain that left the white list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepartureRow {
    /// Which.
    pub domain: Domain,
    /// Date of the first list without it.
    pub first_absent_at: Timestamp,
    /// Date of the latest list without it.
    pub latest_absent_at: Timestamp,
    /// When an administrator gave it up.
    pub given_up_at: Option<Timestamp>,
}

/// A list that was adopted, as far as departures are concerned.
#[derive(Clone, Debug)]
pub struct Adoption {
    /// Date of the list.
    pub at: Timestamp,
    /// Domains that the former list had or that had left before, and that this one lacks.
    pub absent: Vec<Domain>,
    /// Domains that had left and are in this list.
    pub returned: Vec<Domain>,
    /// Counts and dates for the audit row, as `key=value` pairs.
    pub detail: String,
}

impl Store {
    /// Every domain that left the white list and did not come back, by name.
    pub async fn departures(&self) -> Result<Vec<DepartureRow>, Error> {
        let mut reader = self.reader().await?;
        let rows: Vec<(String, i64, i64, Option<i64>)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT domain, first_absent_at_ms, latest_absent_at_ms, given_up_at_ms FROM white_list_departures ORDER BY domain")
            .fetch_all(&mut *c).await)?;
        let read = |(domain, first, latest, given_up): (String, i64, i64, Option<i64>)| {
            Some(DepartureRow {
                domain: domain.parse().ok()?,
                first_absent_at: Timestamp(first),
                latest_absent_at: Timestamp(latest),
                given_up_at: given_up.map(Timestamp),
            })
        };
        let inconsistent = || Error::Inconsistent("a row of white_list_departures cannot be read");
        rows.into_iter().map(|row| read(row).ok_or_else(inconsistent)).collect()
    }

    /// Notes which domains a newly adopted white list lacks and which came back, with one audit row. The same list twice changes nothing but the audit trail.
    pub async fn adopt_white_list(&self, adoption: Adoption) -> Result<(), Error> {
        self.write(Touches::nothing(), move |tx| {
            let adoption = adoption.clone();
            Box::pin(async move {
                for domain in &adoption.absent {
                    note_absence(tx, domain, adoption.at).await?;
                }
                for domain in &adoption.returned {
                    on!(tx.conn(), c => sqlx::query("DELETE FROM white_list_departures WHERE domain = $1")
                        .bind(domain.as_str()).execute(&mut *c).await.map(|_| ()))?;
                }
                tx.audit(&audit("whitelist.adopted", adoption.detail.clone())).await?;
                tx.revised(Revision::Trust).await.map(drop)
            })
        })
        .await
    }

    /// Gives up a domain that left the white list, or that mail waits for: the mail goes back. False when neither is so.
    pub async fn give_up_domain(&self, domain: &Domain, reason: &str) -> Result<bool, Error> {
        let (domain, reason) = (domain.clone(), reason.to_owned());
        self.write(Touches::nothing(), move |tx| {
            let (domain, reason) = (domain.clone(), reason.clone());
            Box::pin(async move {
                let now = tx.now.0;
                let known = on!(tx.conn(), c => sqlx::query(
                    "UPDATE white_list_departures SET given_up_at_ms = COALESCE(given_up_at_ms, $2) WHERE domain = $1")
                    .bind(domain.as_str()).bind(now).execute(&mut *c).await.map(|r| r.rows_affected()))?;
                let known = if known > 0 { known } else { give_up_waiting(tx, &domain, now).await? };
                if known > 0 {
                    tx.audit(&audit("whitelist.given-up", format!("domain={domain}")).why(reason.as_str()).on("domain", domain.as_str())).await?;
                    tx.revised(Revision::Trust).await?;
                }
                Ok(known > 0)
            })
        })
        .await
    }
}

/// A domain that no list was seen to lose, but that mail waits for: 1, or 0 when none does.
async fn give_up_waiting(tx: &mut WriteTx, domain: &Domain, now: i64) -> Result<u64, Error> {
    let added = on!(tx.conn(), c => sqlx::query(
        "INSERT INTO white_list_departures (domain, first_absent_at_ms, latest_absent_at_ms, given_up_at_ms) SELECT $1, $2, $2, $2 \
         WHERE EXISTS (SELECT 1 FROM queue_entries WHERE recipient_domain = $1 AND state IN ('queued', 'deferred', 'held'))")
        .bind(domain.as_str()).bind(now).execute(&mut *c).await.map(|r| r.rows_affected()))?;
    Ok(added)
}

async fn note_absence(tx: &mut WriteTx, domain: &Domain, at: Timestamp) -> Result<(), Error> {
    on!(tx.conn(), c => sqlx::query(
        "INSERT INTO white_list_departures (domain, first_absent_at_ms, latest_absent_at_ms) VALUES ($1, $2, $2) \
         ON CONFLICT (domain) DO UPDATE SET latest_absent_at_ms = \
         CASE WHEN excluded.latest_absent_at_ms > white_list_departures.latest_absent_at_ms \
         THEN excluded.latest_absent_at_ms ELSE white_list_departures.latest_absent_at_ms END")
        .bind(domain.as_str()).bind(at.0).execute(&mut *c).await.map(|_| ()))?;
    Ok(())
}
