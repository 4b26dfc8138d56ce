//! The writers: waiting units of work share one transaction and one fsync.
//!
//! A unit is a closure over a [`WriteTx`]. Whatever waits when a writer is free is run inside one transaction, and each caller is answered
//! after the commit that holds its unit. When nothing else waits a unit commits at once: no delay is added. Units may run more than once and
//! must have no effect outside their transaction.
//!
//! SQLite has one writer. PostgreSQL has several: a unit goes to the writer of the first mailbox that it touches, and a batch first locks the
//! mailboxes of all its units, in id order, so that two writers (of this process or of another node) never wait for each other in a circle.
//!
//! It does not know what units do, nor who waits for them.

mod job;
mod shard;
mod touches;

pub(crate) use job::UnitFuture;
pub(crate) use touches::Touches;

use crate::audit::AuditChains;
use crate::dialect::{Conn, Engine, OwnedConn, on};
use crate::keys::Keyring;
use crate::notices::Notices;
use crate::statistics::Tally;
use crate::{Acceptance, Accepted, Act, Clock, Error};
use body_store::Claim;
use job::{AcceptUnit, Job, Unit};
use mail_types::{FolderId, MailboxId, Timestamp};
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Units that may wait for one writer; past it callers wait to enter.
const WAITING_MAX: usize = 4096;
/// KiB of bodies that may wait for one writer; past it callers wait to enter.
const WAITING_KIB_MAX: u32 = 64 * 1024;

/// The open transaction that units run in.
pub struct WriteTx {
    conn: OwnedConn,
    pub(crate) now: Timestamp,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) audit: AuditChains,
    /// For whom the unit that runs now is run.
    pub(crate) act: Option<Arc<Act>>,
    /// Containers outside the database that rows of this transaction refer to.
    pub(crate) claims: Vec<Arc<Claim>>,
    /// What the units of this transaction counted.
    pub(crate) tally: Tally,
    changed: Vec<FolderId>,
    mailboxes_changed: Vec<MailboxId>,
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

    /// Sessions that follow this mailbox are woken after the commit: something else than messages changed.
    pub(crate) fn mailbox_changed(&mut self, mailbox: MailboxId) {
        self.mailboxes_changed.push(mailbox);
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

/// The door to the writers.
#[derive(Clone)]
pub(crate) struct Writers {
    shards: Arc<[Door]>,
}

/// The door to one writer.
#[derive(Clone)]
struct Door {
    jobs: mpsc::Sender<Box<dyn Job>>,
    room: Arc<Semaphore>,
}

impl Writers {
    /// Starts the writer tasks; they connect when they have something to do, and end when every handle is dropped.
    pub(crate) fn start(
        engine: &Engine,
        keyring: &Arc<Keyring>,
        notices: &Arc<Notices>,
        clock: &Clock,
    ) -> (Self, Vec<tokio::task::JoinHandle<()>>) {
        let (shards, tasks): (Vec<_>, Vec<_>) = (0..engine.writers())
            .map(|_| {
                let (jobs, waiting) = mpsc::channel(WAITING_MAX);
                let shard = shard::Shard::new(engine, keyring, notices, clock, waiting);
                let room = Arc::new(Semaphore::new(WAITING_KIB_MAX as usize));
                (Door { jobs, room }, shard::start(shard))
            })
            .unzip();
        (Self { shards: shards.into() }, tasks)
    }

    /// Runs a unit; answers after its commit.
    pub(crate) async fn write<T, F>(
        &self,
        act: Option<Arc<Act>>,
        touches: Touches,
        run: F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnMut(&'t mut WriteTx) -> UnitFuture<'t, T> + Send + 'static,
    {
        self.write_weighing(act, 1, touches, run).await
    }

    /// The same, for a unit that holds so many KiB of bodies while it waits.
    pub(crate) async fn write_weighing<T, F>(
        &self,
        act: Option<Arc<Act>>,
        kib: u32,
        touches: Touches,
        run: F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnMut(&'t mut WriteTx) -> UnitFuture<'t, T> + Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        self.submit(&touches.clone(), kib.max(1), |room| {
            Box::new(Unit { run, act, touches, value: None, caller, room })
        })
        .await?;
        answer.await.map_err(|_| Error::Closing)?
    }

    /// Accepts a message; answers after its commit.
    pub(crate) async fn accept(
        &self,
        act: Option<Arc<Act>>,
        acceptance: Arc<Acceptance>,
    ) -> Result<Accepted, Error> {
        let (caller, answer) = oneshot::channel();
        let (touches, kib) = (Touches::of(&acceptance), acceptance.body.held_kib());
        self.submit(&touches, kib, |room| {
            Box::new(AcceptUnit { act, acceptance, outcome: None, caller, room })
        })
        .await?;
        answer.await.map_err(|_| Error::Closing)?
    }

    /// Hands a job to its writer once there is room for `kib` more.
    async fn submit(
        &self,
        touches: &Touches,
        kib: u32,
        job: impl FnOnce(tokio::sync::OwnedSemaphorePermit) -> Box<dyn Job>,
    ) -> Result<(), Error> {
        let door = &self.shards[touches.shard(self.shards.len())];
        let room = door.room.clone().acquire_many_owned(kib.min(WAITING_KIB_MAX));
        let room = room.await.map_err(|_| Error::Closing)?;
        door.jobs.send(job(room)).await.map_err(|_| Error::Closing)
    }
}
