//! Giving space back: bodies that nothing refers to any more, containers that a crash left, and rows past their window.

use crate::dialect::on;
use crate::messages::body_id;
use crate::writer::{Touches, WriteTx};
use crate::{Error, Store};
use body_store::{Listed, Place};
use mail_types::{BodyId, Timestamp};
use std::collections::{HashMap, HashSet};

/// Bodies freed in one unit of work.
const SWEEP_BATCH: i64 = 200;
/// A body is freed this long after its release: a slow FETCH may hold its row and open its container later.
const SWEEP_AGE_MS: i64 = 10 * 60 * 1000;
/// Age at which a container without a row is an orphan, and an accepted unit is forgotten.
const ORPHAN_AGE_MS: i64 = 24 * 3600 * 1000;
/// A sweep of orphans stops at the end of the slice with which it has listed this many containers; the next one goes on from there.
const LISTED_MAX: usize = 200_000;
/// Ids asked for in one query.
const ASKED_MAX: usize = 500;

impl Store {
    /// Frees a batch of released bodies. How many were looked at: at zero there is nothing left to do.
    pub async fn sweep_released(&self) -> Result<usize, Error> {
        let (looked_at, outside) =
            self.write(Touches::nothing(), |tx| Box::pin(async move { tx.sweep_released().await })).await?;
        for (place, ids) in outside {
            self.bodies().remove(place, &ids).await?;
        }
        Ok(looked_at)
    }

    /// Gives back the space of a write-ahead log that grew (SQLite). True when there was something to do.
    pub async fn trim_log(&self) -> Result<bool, Error> {
        self.engine().trim_log().await
    }

    /// Removes spool files older than 24 h, and containers older than that which no row knows; forgets accepted units and resting writers past their window. A run lists a
    /// bounded number of containers and the next one goes on after them. How many files and objects went.
    ///
    /// Age is told by a wall clock, which may jump. It only spares work: what has a row stays, whatever its age, and so does what this process is about
    /// to give a row.
    pub async fn sweep_orphans(&self) -> Result<usize, Error> {
        let limit = self.now().plus_millis(-ORPHAN_AGE_MS);
        self.write(Touches::nothing(), move |tx| {
            Box::pin(async move {
                on!(tx.conn(), c => sqlx::query("DELETE FROM accepted_recipients WHERE accepted_at_ms < $1").bind(limit.0).execute(&mut *c).await.map(|_| ()))?;
                // A writer that goes on after a day of rest makes its row anew.
                on!(tx.conn(), c => sqlx::query("DELETE FROM writers WHERE at_ms < $1").bind(limit.0).execute(&mut *c).await.map(|_| ()))?;
                Ok(())
            })
        })
        .await?;
        let mut removed = self.bodies().sweep_spool(limit).await?;
        for place in self.bodies().places() {
            removed += self.sweep_place(place, limit).await?;
        }
        Ok(removed)
    }

    async fn sweep_place(&self, place: Place, limit: Timestamp) -> Result<usize, Error> {
        let (mut removed, mut listed_in_all) = (0, 0);
        for _ in 0..=u8::MAX {
            let listed = self.bodies().list(place, self.next_slice(place)).await?;
            let orphans = self.orphans(place, &listed, limit).await?;
            self.bodies().remove(place, &orphans).await?;
            removed += orphans.len();
            listed_in_all += listed.len();
            if listed_in_all >= LISTED_MAX {
                break;
            }
        }
        Ok(removed)
    }

    /// Those of `listed` that were last changed before `limit` and that no row places there.
    ///
    /// The order matters: listed, then seen not to be in flight, then looked for in the rows. What was in flight after the listing is left out; what no
    /// longer was has its row by now, or never gets one.
    pub(crate) async fn orphans(
        &self,
        place: Place,
        listed: &[Listed],
        limit: Timestamp,
    ) -> Result<Vec<BodyId>, Error> {
        let in_flight = self.bodies().in_flight();
        let old: Vec<BodyId> = listed
            .iter()
            .filter(|found| found.changed_at.0 < limit.0 && !in_flight.contains(&found.id))
            .map(|found| found.id)
            .collect();
        let known = self.with_row(place, &old).await?;
        Ok(old.into_iter().filter(|id| !known.contains(id)).collect())
    }

    /// Those of `ids` that have a row which places them there.
    pub(crate) async fn with_row(&self, place: Place, ids: &[BodyId]) -> Result<HashSet<BodyId>, Error> {
        let mut known = HashSet::new();
        let mut reader = self.reader().await?;
        for ids in ids.chunks(ASKED_MAX) {
            let rows: Vec<(Vec<u8>,)> = on!(reader.conn(), c => {
                let mut sql = sqlx::QueryBuilder::new("SELECT id FROM bodies WHERE place = ");
                sql.push_bind(place.as_str()).push(" AND id IN (");
                let mut list = sql.separated(", ");
                ids.iter().for_each(|id| {
                    list.push_bind(id.0.to_vec());
                });
                sql.push(")");
                sql.build_query_as().fetch_all(&mut *c).await
            })?;
            for (id,) in rows {
                known.insert(body_id(&id)?);
            }
        }
        Ok(known)
    }
}

impl WriteTx {
    /// How many released bodies were looked at, and whose containers may go once this is committed.
    async fn sweep_released(&mut self) -> Result<(usize, HashMap<Place, Vec<BodyId>>), Error> {
        let before = self.now.plus_millis(-SWEEP_AGE_MS).0;
        let rows: Vec<(Vec<u8>,)> = on!(self.conn(), c => sqlx::query_as("SELECT body_id FROM released_bodies WHERE released_at_ms <= $2 ORDER BY released_at_ms LIMIT $1")
            .bind(SWEEP_BATCH).bind(before).fetch_all(&mut *c).await)?;
        let mut outside: HashMap<Place, Vec<BodyId>> = HashMap::new();
        for (body,) in &rows {
            let place: Option<(String,)> = on!(self.conn(), c => sqlx::query_as(
                "DELETE FROM bodies WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM messages WHERE body_id = $1) \
                 AND NOT EXISTS (SELECT 1 FROM queue_entries WHERE body_id = $1) RETURNING place")
                .bind(body.as_slice()).fetch_optional(&mut *c).await)?;
            let place = [Place::File, Place::Object]
                .into_iter()
                .find(|known| place.as_ref().is_some_and(|(place,)| place == known.as_str()));
            if let Some(place) = place {
                outside.entry(place).or_default().push(body_id(body)?);
            }
            on!(self.conn(), c => sqlx::query("DELETE FROM released_bodies WHERE body_id = $1").bind(body.as_slice()).execute(&mut *c).await.map(|_| ()))?;
        }
        Ok((rows.len(), outside))
    }
}
