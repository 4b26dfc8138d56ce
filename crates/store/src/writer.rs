//! The writer: waiting units of work share one transaction and one fsync.
//!
//! A unit is a closure over a [`WriteTx`]. Whatever waits when the writer is free is run inside one transaction, and each caller is answered
//! after the commit that holds its unit. When nothing else waits a unit commits at once: no delay is added. When a unit fails, the
//! whole transaction is rolled back and its units are run again one by one, so that one failing unit does not fail its neighbours and the
//! common case pays for no savepoint. Units may therefore run twice and must have no effect outside their transaction.

use crate::audit::AuditChains;
use crate::dialect::{Conn, Engine, OwnedConn, is_lost_race, on};
use crate::keys::Keyring;
use crate::notices::Notices;
use crate::{Acceptance, Accepted, Clock, Error};
use mail_types::{FolderId, Timestamp};
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Units in one transaction, at most.
const BATCH_MAX: usize = 128;
/// Times that a unit alone is run again because another process's transaction was preferred to it.
const LOST_RACES_MAX: usize = 8;
/// Units that may wait; past it callers wait to enter.
const WAITING_MAX: usize = 4096;

/// What a unit's closure returns.
pub(crate) type UnitFuture<'t, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 't>>;

/// The open transaction that units run in.
pub struct WriteTx {
    conn: OwnedConn,
    pub(crate) now: Timestamp,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) audit: AuditChains,
    changed: Vec<FolderId>,
    is_queue_changed: bool,
}

impl std::fmt::Debug for WriteTx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteTx").field("now", &self.now).finish_non_exhaustive()
    }
}

impl WriteTx {
    pub(crate) fn conn(&mut self) -> Conn<'_> {
        self.conn.conn()
    }

    /// Sessions on this folder are woken after the commit.
    pub(crate) fn changed(&mut self, folder: FolderId) {
        self.changed.push(folder);
    }

    /// The queue runner is woken after the commit.
    pub(crate) fn queue_changed(&mut self) {
        self.is_queue_changed = true;
    }

    async fn raw(&mut self, sql: &'static str) -> Result<(), Error> {
        on!(self.conn.conn(), c => sqlx::raw_sql(sql).execute(&mut *c).await.map(|_| ()))?;
        Ok(())
    }
}

/// A unit with the place where its answer goes.
trait Job: Send {
    fn run<'t>(&'t mut self, tx: &'t mut WriteTx) -> UnitFuture<'t, ()>;
    /// The message, for units that accept one: those of a batch are written together.
    fn acceptance(&self) -> Option<Arc<Acceptance>> {
        None
    }
    /// What came of a message that was written together with others.
    fn accepted(&mut self, _outcome: Accepted) {}
    /// Answers the caller: `Ok` after the commit, or why there was none.
    fn answer(self: Box<Self>, outcome: Result<(), Error>);
}

struct Unit<F, T> {
    run: F,
    value: Option<T>,
    caller: oneshot::Sender<Result<T, Error>>,
}

impl<F, T> Job for Unit<F, T>
where
    T: Send + 'static,
    F: for<'t> FnMut(&'t mut WriteTx) -> UnitFuture<'t, T> + Send,
{
    fn run<'t>(&'t mut self, tx: &'t mut WriteTx) -> UnitFuture<'t, ()> {
        Box::pin(async move {
            self.value = Some((self.run)(tx).await?);
            Ok(())
        })
    }

    fn answer(self: Box<Self>, outcome: Result<(), Error>) {
        let Self { run, value, caller } = *self;
        // What the unit held and did not store (the file of a duplicate's body) is gone before its caller hears of it.
        drop(run);
        let answer = outcome.and_then(|()| value.ok_or(Error::Inconsistent("a committed unit has no value")));
        // A caller that went away (a dropped connection) loses its answer, not its work.
        let _ = caller.send(answer);
    }
}

/// A unit that accepts a message.
struct AcceptUnit {
    acceptance: Arc<Acceptance>,
    outcome: Option<Accepted>,
    caller: oneshot::Sender<Result<Accepted, Error>>,
}

impl Job for AcceptUnit {
    fn run<'t>(&'t mut self, tx: &'t mut WriteTx) -> UnitFuture<'t, ()> {
        Box::pin(async move {
            self.outcome = Some(tx.accept(&self.acceptance).await?);
            Ok(())
        })
    }

    fn acceptance(&self) -> Option<Arc<Acceptance>> {
        Some(self.acceptance.clone())
    }

    fn accepted(&mut self, outcome: Accepted) {
        self.outcome = Some(outcome);
    }

    fn answer(self: Box<Self>, outcome: Result<(), Error>) {
        let Self { acceptance, outcome: accepted, caller } = *self;
        // The file of a duplicate's body is gone before its caller hears of it.
        drop(acceptance);
        let answer =
            outcome.and_then(|()| accepted.ok_or(Error::Inconsistent("a committed unit has no value")));
        let _ = caller.send(answer);
    }
}

/// The door to the writer.
#[derive(Clone)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
}

impl Writer {
    /// Starts the writer task; it ends when every handle is dropped.
    pub(crate) async fn start(
        engine: Engine,
        keyring: Arc<Keyring>,
        notices: Arc<Notices>,
        clock: Clock,
    ) -> Result<(Self, tokio::task::JoinHandle<()>), Error> {
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let conn = engine.connect().await?;
        let tx = WriteTx {
            conn,
            now: clock.now(),
            keyring,
            audit: AuditChains::new(),
            changed: Vec::new(),
            is_queue_changed: false,
        };
        let task = tokio::spawn(fail_stop(Loop { engine, tx, notices, clock, waiting }));
        Ok((Self { jobs }, task))
    }

    /// Runs a unit; answers after its commit.
    pub(crate) async fn write<T, F>(&self, run: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnMut(&'t mut WriteTx) -> UnitFuture<'t, T> + Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let unit = Box::new(Unit { run, value: None, caller });
        self.jobs.send(unit).await.map_err(|_| Error::Closing)?;
        answer.await.map_err(|_| Error::Closing)?
    }

    /// Accepts a message; answers after its commit.
    pub(crate) async fn accept(&self, acceptance: Arc<Acceptance>) -> Result<Accepted, Error> {
        let (caller, answer) = oneshot::channel();
        let unit = Box::new(AcceptUnit { acceptance, outcome: None, caller });
        self.jobs.send(unit).await.map_err(|_| Error::Closing)?;
        answer.await.map_err(|_| Error::Closing)?
    }
}

/// Runs the writer to its end. A panic in a unit leaves a transaction that nobody understands: the process stops and is started again,
/// which loses nothing that was acknowledged, rather than answer every sender with a temporary failure for ever.
async fn fail_stop(writer: Loop) {
    if let Err(error) = tokio::spawn(writer.run()).await
        && error.is_panic()
    {
        tracing::error!("the writer panicked; stopping the process so that it is started again");
        std::process::abort();
    }
}

struct Loop {
    engine: Engine,
    tx: WriteTx,
    notices: Arc<Notices>,
    clock: Clock,
    waiting: mpsc::Receiver<Box<dyn Job>>,
}

impl Loop {
    async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while self.waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
            self.commit_together(&mut batch).await;
        }
    }

    async fn commit_together(&mut self, batch: &mut Vec<Box<dyn Job>>) {
        let mut outcome = self.attempt(batch).await;
        for _ in 0..LOST_RACES_MAX {
            match &outcome {
                Err(error) if batch.len() == 1 && is_lost_race(error) => outcome = self.attempt(batch).await,
                _ => break,
            }
        }
        match outcome {
            Ok(()) => batch.drain(..).for_each(|job| job.answer(Ok(()))),
            Err(error) if batch.len() == 1 => batch.drain(..).for_each(|job| {
                tracing::warn!(%error, "a unit of work was not committed");
                job.answer(Err(Error::Commit(error.to_string())));
            }),
            Err(_) => {
                for job in batch.drain(..) {
                    let mut alone = vec![job];
                    Box::pin(self.commit_together(&mut alone)).await;
                }
            }
        }
    }

    /// One transaction over the units of `batch`. On an error nothing of it stands.
    async fn attempt(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), Error> {
        let heads = self.tx.audit.clone();
        self.tx.now = self.clock.now();
        self.tx.changed.clear();
        self.tx.is_queue_changed = false;
        let outcome = self.run_all(batch).await;
        if let Err(error) = outcome {
            self.tx.audit = heads;
            if self.tx.raw("ROLLBACK").await.is_err() {
                self.reconnect().await;
            }
            return Err(error);
        }
        self.tx.changed.sort_unstable();
        self.tx.changed.dedup();
        self.tx.changed.drain(..).for_each(|folder| self.notices.publish(folder));
        if self.tx.is_queue_changed {
            self.notices.publish_queue();
        }
        Ok(())
    }

    async fn run_all(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), Error> {
        let begin = self.tx.conn.begin();
        self.tx.raw(begin).await?;
        let (mut messages, others): (Vec<_>, Vec<_>) =
            batch.iter_mut().partition(|job| job.acceptance().is_some());
        let acceptances: Vec<Arc<Acceptance>> = messages.iter().filter_map(|job| job.acceptance()).collect();
        if !acceptances.is_empty() {
            let outcomes = self.tx.accept_many(&acceptances).await?;
            messages.iter_mut().zip(outcomes).for_each(|(job, outcome)| job.accepted(outcome));
        }
        for job in others {
            job.run(&mut self.tx).await?;
        }
        self.tx.raw("COMMIT").await
    }

    /// A connection that cannot even roll back is replaced.
    async fn reconnect(&mut self) {
        match self.engine.connect().await {
            Ok(conn) => self.tx.conn = conn,
            Err(error) => {
                tracing::error!(%error, "the writer cannot reach the database; retrying with the next unit");
            }
        }
    }
}
