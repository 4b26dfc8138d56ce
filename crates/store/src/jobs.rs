//! Long work that somebody asked for: how far it is, and what came of it. Who runs it, and how, is not known here.

use crate::dialect::on;
use crate::directory::{admin, word};
use crate::writer::Touches;
use crate::{Error, Store};
use mail_types::{ActorId, JobId, Timestamp, UnknownWord};

/// A running job whose node said nothing for so long has lost it.
const SILENCE_MAX_MS: i64 = 5 * 60 * 1000;
/// Jobs removed in one unit of work.
const PRUNE_BATCH: i64 = 500;

/// What becomes of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It waits for others to end.
    Queued,
    /// It is under way.
    Running,
    /// It was done, and its result stands.
    Succeeded,
    /// It could not be done, and its result says why.
    Failed,
    /// Its node stopped before it was done.
    Interrupted,
    /// Somebody cancelled it.
    Cancelled,
}

impl JobState {
    /// Every state.
    pub const ALL: &[Self] =
        &[Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Interrupted, Self::Cancelled];

    /// The word of the database and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more will come of it.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

impl std::str::FromStr for JobState {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let expected = "queued, running, succeeded, failed, interrupted, cancelled";
        let known = Self::ALL.iter().copied().find(|state| state.as_str() == word);
        known.ok_or_else(|| UnknownWord { word: word.to_owned(), expected })
    }
}

/// A job as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRow {
    /// Row.
    pub id: JobId,
    /// What it does, a dotted word.
    pub kind: String,
    /// What became of it.
    pub state: JobState,
    /// How much of it is done, in its own measure.
    pub done: u64,
    /// How much there is to do, once that is known.
    pub total: Option<u64>,
    /// What it found, or why it failed, as JSON; empty until it ends.
    pub result: String,
    /// Who asked for it; nobody when it was the command line of this machine.
    pub actor: Option<ActorId>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its node last said something of it.
    pub updated_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// Which jobs somebody may see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobsSeen {
    /// Those that this actor asked for. Nobody: those of the command line.
    pub actor: Option<ActorId>,
    /// Those of these kinds, whoever asked.
    pub kinds: Vec<&'static str>,
}

impl JobsSeen {
    fn contain(&self, row: &JobRow) -> bool {
        row.actor == self.actor || self.kinds.contains(&row.kind.as_str())
    }
}

type Tuple = (i64, String, String, i64, Option<i64>, String, Option<i64>, i64, i64, Option<i64>);
const COLUMNS: &str =
    "id, kind, state, done, total, result, actor_id, created_at_ms, updated_at_ms, ended_at_ms";

fn row(
    (id, kind, state, done, total, result, actor, created_at, updated_at, ended_at): Tuple,
) -> Result<JobRow, Error> {
    Ok(JobRow {
        id: JobId(id),
        kind,
        state: word(&state)?,
        done: done.unsigned_abs(),
        total: total.map(i64::unsigned_abs),
        result,
        actor: actor.map(ActorId),
        created_at: Timestamp(created_at),
        updated_at: Timestamp(updated_at),
        ended_at: ended_at.map(Timestamp),
    })
}

fn count(of: u64) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}

impl Store {
    /// Enters a job that this node is about to run, for whomever this handle acts. Who asked is in the audit trail.
    pub async fn add_job(&self, kind: &'static str) -> Result<JobId, Error> {
        let (node, actor) = (self.node(), self.act.as_ref().and_then(|act| act.actor));
        self.write(Touches::nothing(), move |tx| {
            Box::pin(async move {
                let now = tx.now.0;
                let (id,): (i64,) = on!(tx.conn(), c => sqlx::query_as(
                    "INSERT INTO jobs (kind, state, actor_id, node_id, created_at_ms, updated_at_ms) VALUES ($1, 'queued', $2, $3, $4, $4) RETURNING id")
                    .bind(kind).bind(actor.map(|actor| actor.0)).bind(node.prefix()).bind(now).fetch_one(&mut *c).await)?;
                tx.audit(&admin("job.started", None, format!("kind={kind}")).on("job", JobId(id))).await?;
                Ok(JobId(id))
            })
        })
        .await
    }

    /// Says that a job is under way and how far it is. False when it is no longer to be done.
    pub async fn tell_job(&self, job: JobId, done: u64, total: Option<u64>) -> Result<bool, Error> {
        self.write(Touches::nothing(), move |tx| {
            Box::pin(async move {
                let now = tx.now.0;
                Ok(on!(tx.conn(), c => sqlx::query(
                    "UPDATE jobs SET state = 'running', done = $2, total = $3, updated_at_ms = $4 WHERE id = $1 AND state IN ('queued', 'running')")
                    .bind(job.0).bind(count(done)).bind(total.map(count)).bind(now).execute(&mut *c).await.map(|r| r.rows_affected() > 0))?)
            })
        })
        .await
    }

    /// Ends a job that had not ended. Whether it had not. Who cancels one is in the audit trail.
    pub async fn end_job(&self, job: JobId, state: JobState, result: String) -> Result<bool, Error> {
        self.write(Touches::nothing(), move |tx| {
            let result = result.clone();
            Box::pin(async move {
                let now = tx.now.0;
                let ended: Option<(String,)> = on!(tx.conn(), c => sqlx::query_as(
                    "UPDATE jobs SET state = $2, result = $3, updated_at_ms = $4, ended_at_ms = $4 WHERE id = $1 AND state IN ('queued', 'running') RETURNING kind")
                    .bind(job.0).bind(state.as_str()).bind(&result).bind(now).fetch_optional(&mut *c).await)?;
                let Some((kind,)) = ended else { return Ok(false) };
                if state == JobState::Cancelled {
                    tx.audit(&admin("job.cancelled", None, format!("kind={kind}")).on("job", job)).await?;
                }
                Ok(true)
            })
        })
        .await
    }

    /// The job of that id, if it may be seen.
    pub async fn job(&self, id: JobId, seen: &JobsSeen) -> Result<Option<JobRow>, Error> {
        let mut reader = self.reader().await?;
        let sql = format!("SELECT {COLUMNS} FROM jobs WHERE id = $1");
        let found: Option<Tuple> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id.0).fetch_optional(&mut *c).await)?;
        Ok(found.map(row).transpose()?.filter(|row| seen.contain(row)))
    }

    /// Jobs that may be seen, the latest first, before `before`, at most `limit`.
    pub async fn jobs(
        &self,
        seen: &JobsSeen,
        state: Option<JobState>,
        before: JobId,
        limit: u32,
    ) -> Result<Vec<JobRow>, Error> {
        let mut reader = self.reader().await?;
        let rows: Vec<Tuple> = on!(reader.conn(), c => {
            let mut sql = sqlx::QueryBuilder::new(format!("SELECT {COLUMNS} FROM jobs WHERE id < "));
            sql.push_bind(before.0);
            if let Some(state) = state {
                sql.push(" AND state = ").push_bind(state.as_str());
            }
            sql.push(" AND (");
            match seen.actor {
                Some(actor) => sql.push("actor_id = ").push_bind(actor.0),
                None => sql.push("actor_id IS NULL"),
            };
            for kind in &seen.kinds {
                sql.push(" OR kind = ").push_bind(*kind);
            }
            sql.push(") ORDER BY id DESC LIMIT ").push_bind(i64::from(limit));
            sql.build_query_as().fetch_all(&mut *c).await
        })?;
        rows.into_iter().map(row).collect()
    }

    /// Ends the jobs that nobody runs any more: those of an earlier process in this data folder, whose lock says that it is dead, and those of
    /// nodes that have been silent for minutes. How many there were.
    pub async fn interrupt_jobs_of_the_dead(&self) -> Result<u64, Error> {
        let node = self.node();
        self.interrupt_jobs(Some(node.prefix().to_vec())).await
    }

    /// Ends the jobs of nodes that have been silent for minutes. How many there were.
    pub async fn interrupt_silent_jobs(&self) -> Result<u64, Error> {
        self.interrupt_jobs(None).await
    }

    async fn interrupt_jobs(&self, node: Option<Vec<u8>>) -> Result<u64, Error> {
        self.write(Touches::nothing(), move |tx| {
            let node = node.clone();
            Box::pin(async move {
                let now = tx.now.0;
                Ok(on!(tx.conn(), c => sqlx::query(
                    "UPDATE jobs SET state = 'interrupted', updated_at_ms = $1, ended_at_ms = $1 WHERE state IN ('queued', 'running') AND (node_id = $2 OR updated_at_ms < $3)")
                    .bind(now).bind(node).bind(now - SILENCE_MAX_MS).execute(&mut *c).await.map(|r| r.rows_affected()))?)
            })
        })
        .await
    }

    /// Forgets jobs that ended more than `keep_days` ago, a batch of them. How many went: at zero there is nothing left to do.
    pub async fn prune_jobs(&self, keep_days: u32) -> Result<u64, Error> {
        let limit = self.now().plus_millis(-i64::from(keep_days) * 24 * 3600 * 1000);
        let mut reader = self.reader().await?;
        let any: Option<(i64,)> = on!(reader.conn(), c => sqlx::query_as("SELECT id FROM jobs WHERE ended_at_ms < $1 LIMIT 1")
            .bind(limit.0).fetch_optional(&mut *c).await)?;
        drop(reader);
        if any.is_none() {
            return Ok(0);
        }
        self.write(Touches::nothing(), move |tx| {
            Box::pin(async move {
                Ok(on!(tx.conn(), c => sqlx::query(
                    "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE ended_at_ms < $1 ORDER BY id LIMIT $2)")
                    .bind(limit.0).bind(PRUNE_BATCH).execute(&mut *c).await.map(|r| r.rows_affected()))?)
            })
        })
        .await
    }
}
