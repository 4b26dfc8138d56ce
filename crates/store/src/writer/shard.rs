//! One writer: takes what waits, commits it together, and finds out what stands when that goes wrong.
//!
//! | what went wrong | what is done |
//! |---|---|
//! | another transaction was preferred (deadlock, serialization) | the batch is run again, a few times |
//! | a unit failed | the batch is rolled back and tried by halves, down to the unit, so that its neighbours are committed |
//! | the database went away before COMMIT | nothing stands: one new connection and one more try, then every caller is told |
//! | the answer to COMMIT was lost | the writer's row says whether the batch stands, before any caller is answered |

use super::job::Job;
use super::{Touches, WriteTx};
use crate::audit::AuditChains;
use crate::dialect::{Conn, Engine, OwnedConn, is_disk_full, is_lost, is_lost_race, is_unavailable, on};
use crate::keys::Keyring;
use crate::notices::Notices;
use crate::seal::random;
use crate::sqlite::Checkpoints;
use crate::{Acceptance, Clock, Error};
use mail_types::{FolderId, MailboxId, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// Units in one transaction, at most.
const BATCH_MAX: usize = 128;
/// Times that a batch is run again because another transaction was preferred to it.
const LOST_RACES_MAX: u32 = 8;
/// How long a commit whose answer was lost is asked after.
const RESOLVE_MAX: Duration = Duration::from_secs(60);
const RESOLVE_PAUSE: Duration = Duration::from_millis(500);
/// A writer's row is made sure of this often: far less than the day after which it is swept.
const NOTED_FOR_MS: i64 = 3600 * 1000;

type Batch = Vec<Box<dyn Job>>;

/// What an attempt at a batch came to, when it was not committed.
enum Failure {
    /// Nothing stands, and trying by halves may help.
    Units(Error),
    /// Nothing stands, and the same again may.
    LostRace(Error),
    /// Nothing stands, and nothing would just now.
    Unavailable(Error),
    /// Nobody can say whether it stands.
    Unknown(Error),
}

/// Starts a writer, which ends when every door to it is closed. A panic in a unit leaves a transaction that nobody understands: the process
/// stops and is started again, which loses nothing that was acknowledged, rather than answer every sender with a temporary failure for ever.
pub(super) fn start(shard: Shard) -> JoinHandle<()> {
    let running = match shard.engine {
        Engine::Sqlite { .. } => on_its_own_thread(shard),
        Engine::Postgres { .. } => tokio::spawn(shard.run()),
    };
    tokio::spawn(async {
        if let Err(error) = running.await
            && error.is_panic()
        {
            tracing::error!("a writer panicked; stopping the process so that it is started again");
            std::process::abort();
        }
    })
}

/// SQLite's statements run where they are asked for, and a commit waits for the disk: nobody else may have to wait for that thread.
fn on_its_own_thread(shard: Shard) -> JoinHandle<()> {
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || runtime.block_on(shard.run()))
}

pub(super) struct Shard {
    engine: Engine,
    keyring: Arc<Keyring>,
    notices: Arc<Notices>,
    clock: Clock,
    waiting: mpsc::Receiver<Box<dyn Job>>,
    conn: Option<OwnedConn>,
    /// Of SQLite's log.
    checkpoints: Option<Checkpoints>,
    incarnation: Incarnation,
}

/// A writer between two moments in which it no longer knew what stands: its row, and its audit chains.
struct Incarnation {
    id: [u8; 16],
    /// Number of the batch begun last.
    batch: i64,
    /// When its row was last made sure of.
    noted_at: Option<Timestamp>,
    audit: AuditChains,
}

impl Incarnation {
    fn new() -> Self {
        Self { id: random(), batch: 0, noted_at: None, audit: AuditChains::new() }
    }
}

impl Shard {
    pub(super) fn new(
        engine: &Engine,
        keyring: &Arc<Keyring>,
        notices: &Arc<Notices>,
        clock: &Clock,
        waiting: mpsc::Receiver<Box<dyn Job>>,
    ) -> Self {
        Self {
            engine: engine.clone(),
            keyring: keyring.clone(),
            notices: notices.clone(),
            clock: clock.clone(),
            waiting,
            conn: None,
            checkpoints: match engine {
                Engine::Sqlite { options, .. } => Some(Checkpoints::new(options)),
                Engine::Postgres { .. } => None,
            },
            incarnation: Incarnation::new(),
        }
    }

    async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while self.waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
            self.commit_all(std::mem::take(&mut batch)).await;
            if let (Some(checkpoints), Some(OwnedConn::Sqlite(conn))) =
                (&mut self.checkpoints, &mut self.conn)
            {
                checkpoints.keep_up(conn).await;
            }
        }
    }

    /// Commits every unit that can be, and answers all of them.
    async fn commit_all(&mut self, batch: Batch) {
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            match self.commit(&mut part).await {
                Ok(()) => part.into_iter().for_each(|job| job.answer(Ok(()))),
                Err(Failure::Units(_) | Failure::LostRace(_)) if part.len() > 1 => {
                    let second = part.split_off(part.len() / 2);
                    parts.extend([second, part]);
                }
                Err(
                    Failure::Units(error)
                    | Failure::LostRace(error)
                    | Failure::Unavailable(error)
                    | Failure::Unknown(error),
                ) => refuse(part, &error),
            }
        }
    }

    /// One batch, run again where that may help.
    async fn commit(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), Failure> {
        let mut lost_races = 0;
        let mut is_reconnected = self.conn.is_none();
        loop {
            match self.attempt(batch).await {
                Err(Failure::LostRace(_)) if lost_races < LOST_RACES_MAX => {
                    lost_races += 1;
                    // Two that met once would meet again at the same pace.
                    let [jitter] = random::<1>();
                    sleep(Duration::from_millis(u64::from(jitter % 16) * u64::from(lost_races))).await;
                }
                Err(Failure::Unavailable(_)) if !is_reconnected && self.conn.is_none() => {
                    is_reconnected = true;
                }
                outcome => return outcome,
            }
        }
    }

    /// One transaction over the units of `batch`.
    async fn attempt(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), Failure> {
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.engine.connect().await.map_err(Failure::Unavailable)?,
        };
        self.note(&mut conn).await.map_err(Failure::Unavailable)?;
        let mut tx = WriteTx {
            conn,
            now: self.clock.now(),
            keyring: self.keyring.clone(),
            audit: self.incarnation.audit.clone(),
            act: None,
            claims: Vec::new(),
            tally: Default::default(),
            changed: Vec::new(),
            mailboxes_changed: Vec::new(),
            is_queue_changed: false,
        };
        self.incarnation.batch += 1;
        if let Err(error) = self.run_units(&mut tx, batch).await {
            return Err(self.roll_back(tx, error).await);
        }
        tx.claims.iter().for_each(|claim| claim.keep());
        match tx.raw("COMMIT").await {
            Ok(()) => {}
            Err(error) if tx.conn.is_refusal(&error) => {
                tx.claims.iter().for_each(|claim| claim.release());
                return Err(self.roll_back(tx, error).await);
            }
            Err(error) => {
                drop(tx.conn);
                if let Err(failure) = self.resolve(error).await {
                    if !matches!(failure, Failure::Unknown(_)) {
                        tx.claims.iter().for_each(|claim| claim.release());
                    }
                    return Err(failure);
                }
                return self.stands(tx.audit, (tx.mailboxes_changed, tx.changed), tx.is_queue_changed);
            }
        }
        self.conn = Some(tx.conn);
        self.stands(tx.audit, (tx.mailboxes_changed, tx.changed), tx.is_queue_changed)
    }

    /// PostgreSQL: commits the writer's row before the first batch and after a rest. A row that a lost transaction is about to make cannot be waited
    /// for, one that it is about to change can.
    async fn note(&mut self, conn: &mut OwnedConn) -> Result<(), Error> {
        let now = self.clock.now();
        let is_fresh = |at: Timestamp| (0..NOTED_FOR_MS).contains(&(now.0 - at.0));
        let Conn::Postgres(c, is_stuck) = conn.conn() else { return Ok(()) };
        if self.incarnation.noted_at.is_some_and(is_fresh) {
            return Ok(());
        }
        let noting = sqlx::query(
            "INSERT INTO writers (id, batch, at_ms) VALUES ($1, 0, $2) ON CONFLICT (id) DO UPDATE SET at_ms = excluded.at_ms",
        )
        .bind(self.incarnation.id.as_slice())
        .bind(now.0);
        crate::dialect::answered(is_stuck, noting.execute(c)).await?;
        self.incarnation.noted_at = Some(now);
        Ok(())
    }

    async fn run_units(&self, tx: &mut WriteTx, batch: &mut [Box<dyn Job>]) -> Result<(), Error> {
        let begin = tx.conn.begin();
        tx.raw(begin).await?;
        let touches: Vec<Touches> = batch.iter().map(|job| job.touches()).collect();
        tx.lock(&self.incarnation, &touches).await?;
        let (mut messages, others): (Vec<_>, Vec<_>) =
            batch.iter_mut().partition(|job| job.acceptance().is_some());
        let acceptances: Vec<Arc<Acceptance>> = messages.iter().filter_map(|job| job.acceptance()).collect();
        if !acceptances.is_empty() {
            let outcomes = tx.accept_many(&acceptances).await?;
            messages.iter_mut().zip(outcomes).for_each(|(job, outcome)| job.accepted(outcome));
            let marks: Vec<_> = messages.iter().filter_map(|job| job.mark()).collect();
            for mark in &marks {
                tx.mark_request(mark).await?;
            }
        }
        for job in others {
            job.run(tx).await?;
        }
        tx.write_tally().await
    }

    /// Nothing of the transaction stands: either the rollback is done, or the connection is gone and the database does it.
    async fn roll_back(&mut self, mut tx: WriteTx, error: Error) -> Failure {
        if !is_lost(&error) && tx.raw("ROLLBACK").await.is_ok() {
            self.conn = Some(tx.conn);
        }
        if is_unavailable(&error) {
            Failure::Unavailable(error)
        } else if is_lost_race(&error) {
            Failure::LostRace(error)
        } else {
            Failure::Units(error)
        }
    }

    /// The batch is on stable storage.
    fn stands(
        &mut self,
        audit: AuditChains,
        (mut mailboxes, mut changed): (Vec<MailboxId>, Vec<FolderId>),
        is_queue_changed: bool,
    ) -> Result<(), Failure> {
        self.incarnation.audit = audit.stands(&self.keyring);
        changed.sort_unstable();
        changed.dedup();
        mailboxes.sort_unstable();
        mailboxes.dedup();
        self.notices.mailboxes.publish(&mailboxes, &changed);
        changed.into_iter().for_each(|folder| self.notices.publish(folder));
        if is_queue_changed {
            self.notices.publish_queue();
        }
        Ok(())
    }

    /// Finds out whether the batch begun last stands, after the answer to its COMMIT was lost.
    async fn resolve(&mut self, lost: Error) -> Result<(), Failure> {
        let begin = Instant::now();
        tracing::warn!(error = %lost, "the answer to a commit was lost; asking the database whether it stands");
        loop {
            match self.committed_batch().await {
                Ok(batch) if batch == Some(self.incarnation.batch) => return Ok(()),
                // It does not stand: as good as a lost race.
                Ok(_) => return Err(Failure::LostRace(lost)),
                Err(_) if begin.elapsed() < RESOLVE_MAX => sleep(RESOLVE_PAUSE).await,
                Err(error) => {
                    tracing::error!(%error, "nobody can say whether a commit stands; its senders are asked to send again, and what stands is recognised then");
                    // The heads of the chains are not known either: new ones begin.
                    self.incarnation = Incarnation::new();
                    return Err(Failure::Unknown(lost));
                }
            }
        }
    }

    /// Number of the latest batch that stands. Waits, by the row's lock, for a transaction of the lost connection that is still on its way.
    async fn committed_batch(&mut self) -> Result<Option<i64>, Error> {
        let mut conn = self.engine.connect().await?;
        let row: Option<(i64,)> = on!(conn.conn(), c => sqlx::query_as("SELECT batch FROM writers WHERE id = $1 FOR UPDATE")
            .bind(self.incarnation.id.as_slice()).fetch_optional(&mut *c).await)?;
        self.conn = Some(conn);
        Ok(row.map(|(batch,)| batch))
    }
}

fn refuse(batch: Batch, error: &Error) {
    tracing::warn!(%error, units = batch.len(), "units of work were not committed; their senders are told to try again");
    let answer = if is_disk_full(error) { Error::Full } else { Error::Commit };
    batch.into_iter().for_each(|job| job.answer(Err(answer(error.to_string()))));
}

impl WriteTx {
    /// PostgreSQL: marks the batch in the writer's row, and locks every mailbox that its units touch, in id order. Folders, messages and
    /// counters of a mailbox are changed under its lock only. SQLite has one writer and needs neither.
    async fn lock(&mut self, incarnation: &Incarnation, touches: &[Touches]) -> Result<(), Error> {
        let now = self.now.0;
        let Conn::Postgres(c, is_stuck) = self.conn() else { return Ok(()) };
        let mailboxes: Vec<i64> = touches.iter().flat_map(|t| &t.mailboxes).map(|id| id.0).collect();
        let folders: Vec<i64> = touches.iter().flat_map(|t| &t.folders).map(|id| id.0).collect();
        let marked = sqlx::query(
            "WITH mark AS (INSERT INTO writers (id, batch, at_ms) VALUES ($3, $4, $5) \
             ON CONFLICT (id) DO UPDATE SET batch = excluded.batch, at_ms = excluded.at_ms) \
             SELECT id FROM mailboxes WHERE id = ANY(ARRAY(SELECT UNNEST($1::BIGINT[]) UNION SELECT mailbox_id FROM folders WHERE id = ANY($2))) \
             ORDER BY id FOR NO KEY UPDATE",
        )
        .bind(mailboxes)
        .bind(folders)
        .bind(incarnation.id.as_slice())
        .bind(incarnation.batch)
        .bind(now);
        crate::dialect::answered(is_stuck, marked.execute(c)).await?;
        Ok(())
    }
}
