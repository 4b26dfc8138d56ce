//! What is in the write-ahead log is brought into the database file beside the writer: no commit waits for it.
//!
//! SQLite's own way is to do so within the commit that makes the log long, and within each one that follows while readers keep the log from being begun anew: each
//! then waits for the disk three times.
//!
//! It does not know when a log is too long for its folder: see [`Engine::trim_log`](crate::dialect::Engine::trim_log).

use super::connection::{Options, Pace, SqliteConn};
use rusqlite::hooks::Wal;
use std::cell::Cell;
use std::ffi::c_int;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Pages that came to the log since the last one and are worth another: 8 MiB.
const STEP: u32 = 2_000;
/// A log of so many pages is to be begun anew, which it can be only when all of it is in the file: the writer pauses for the last few.
const LONG: u32 = 8_000;
/// A log of so many pages gets no longer while a checkpoint is under way: its writer waits.
const TOO_LONG: u32 = 12_000;

thread_local! {
    /// Pages of the log after the last commit on this thread.
    static LOGGED: Cell<u32> = const { Cell::new(0) };
}

/// Notes how long the log is after a commit, and does nothing about it.
pub(super) fn note(_: &Wal, pages: c_int) -> rusqlite::Result<()> {
    LOGGED.set(u32::try_from(pages).unwrap_or(0));
    Ok(())
}

/// Of one writer, which stays on one thread.
pub(crate) struct Checkpoints {
    options: Arc<Options>,
    /// Pages of the log when the last one began: one that failed, or that a reader held back, is not tried again with each commit.
    begun: u32,
    /// Pages of the log that are in the file.
    done: u32,
    under_way: Option<JoinHandle<Result<u32, sqlx::Error>>>,
}

impl Checkpoints {
    pub(crate) fn new(options: &Arc<Options>) -> Self {
        Self { options: options.clone(), begun: 0, done: 0, under_way: None }
    }

    /// Looks at the log between two commits of `writer`.
    pub(crate) async fn keep_up(&mut self, writer: &mut SqliteConn) {
        let logged = LOGGED.get();
        if logged < TOO_LONG && self.under_way.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        if let Some(task) = self.under_way.take() {
            self.take(task.await.unwrap_or(Err(sqlx::Error::WorkerCrashed)));
            if logged >= LONG && logged > self.done {
                let rest = checkpoint(writer).await;
                self.take(rest);
            }
        }
        if logged < self.begun {
            // The log was begun anew.
            (self.begun, self.done) = (0, 0);
        }
        if logged - self.begun >= STEP {
            self.begun = logged;
            let mut conn = SqliteConn::new(&self.options, Pace::Away);
            self.under_way = Some(tokio::spawn(async move { checkpoint(&mut conn).await }));
        }
    }

    fn take(&mut self, done: Result<u32, sqlx::Error>) {
        match done {
            Ok(done) => self.done = done,
            // The log keeps what the file lacks.
            Err(error) => {
                tracing::warn!(%error, "the write-ahead log was not brought into the database file");
            }
        }
    }
}

/// Brings into the file what no reader keeps from it, and waits for nobody. How many pages of the log are there.
async fn checkpoint(conn: &mut SqliteConn) -> Result<u32, sqlx::Error> {
    let (_, _, done): (i64, i64, i64) =
        sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(conn).await?;
    Ok(u32::try_from(done).unwrap_or(0))
}
