//! Connections for reading, shared by all who read.

use super::connection::{Options, Pace, SqliteConn};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections at one time.
const READERS_MAX: usize = 4;
/// How long one is waited for.
const ACQUIRE_MAX: Duration = Duration::from_secs(20);

/// The pool.
#[derive(Clone)]
pub(crate) struct Readers(Arc<Shared>);

struct Shared {
    options: Arc<Options>,
    idle: Mutex<Vec<SqliteConn>>,
    places: Arc<Semaphore>,
}

/// A connection for as long as it is held.
pub(crate) struct PooledConn {
    conn: SqliteConn,
    readers: Readers,
    _place: OwnedSemaphorePermit,
}

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Readers")
    }
}

impl Readers {
    /// A pool whose first connection is open.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(crate) fn open(options: Options) -> Result<Self, sqlx::Error> {
        let options = Arc::new(options);
        let first = SqliteConn::new(&options, Pace::Here).opened()?;
        let places = Arc::new(Semaphore::new(READERS_MAX));
        Ok(Self(Arc::new(Shared { options, idle: Mutex::new(vec![first]), places })))
    }

    /// A connection, once there is one to spare.
    ///
    /// # Errors
    /// All are in use for a long time, or the pool is closed.
    pub(crate) async fn acquire(&self, pace: Pace) -> Result<PooledConn, sqlx::Error> {
        let place = match self.0.places.clone().try_acquire_owned() {
            Ok(place) => place,
            Err(_) => tokio::time::timeout(ACQUIRE_MAX, self.0.places.clone().acquire_owned())
                .await
                .map_err(|_| sqlx::Error::PoolTimedOut)?
                .map_err(|_| sqlx::Error::PoolClosed)?,
        };
        if pace == Pace::Here {
            // What is read at once never waits: without this a session that reads much would not let others have their turn.
            tokio::task::coop::consume_budget().await;
        }
        let idle = self.idle().pop();
        let conn = idle.unwrap_or_else(|| SqliteConn::new(&self.0.options, pace)).at(pace);
        Ok(PooledConn { conn, readers: self.clone(), _place: place })
    }

    /// Ends those that nobody uses, and lets nobody have one any more.
    pub(crate) fn close(&self) {
        self.0.places.close();
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<SqliteConn>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for PooledConn {
    type Target = SqliteConn;

    fn deref(&self) -> &SqliteConn {
        &self.conn
    }
}

impl DerefMut for PooledConn {
    fn deref_mut(&mut self) -> &mut SqliteConn {
        &mut self.conn
    }
}

impl Drop for PooledConn {
    fn drop(&mut self) {
        if self.conn.is_idle() && !self.readers.0.places.is_closed() {
            let nothing = SqliteConn::new(&self.readers.0.options, Pace::Here);
            self.readers.idle().push(std::mem::replace(&mut self.conn, nothing));
        }
    }
}
