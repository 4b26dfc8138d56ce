//! The two engines: how they are opened, and the few places where their SQL differs.

use crate::Error;
use crate::sqlite::{Options, Pace, PooledConn, Readers, SqliteConn};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, PgPool, Postgres};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// Runs one statement, type-checked for both drivers, on whichever connection is there. PostgreSQL has [`ANSWER_MAX`] to answer, or as long as
/// it takes for a `patient` one.
macro_rules! on {
    (patient $conn:expr, $c:ident => $body:expr) => {
        match $conn {
            $crate::dialect::Conn::Sqlite($c) => $body,
            $crate::dialect::Conn::Postgres($c, _) => $body,
        }
    };
    ($conn:expr, $c:ident => $body:expr) => {
        match $conn {
            $crate::dialect::Conn::Sqlite($c) => $body,
            $crate::dialect::Conn::Postgres($c, is_stuck) => {
                $crate::dialect::answered(is_stuck, async { $body }).await
            }
        }
    };
}
pub(crate) use on;

/// How long PostgreSQL may take to answer one statement. A database that is stopped or cut off never answers, and says nothing of it.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// How long it may take to let us in.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Waits for an answer of PostgreSQL, for a time. Meanwhile, and for ever if none comes, the connection is stuck: of no use to anybody else.
pub(crate) async fn answered<T>(
    is_stuck: &mut bool,
    statement: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    *is_stuck = true;
    let answer = tokio::time::timeout(ANSWER_MAX, statement).await;
    *is_stuck = answer.is_err();
    answer.unwrap_or_else(|_| Err(no_answer("the database did not answer in time")))
}

fn no_answer(cause: &'static str) -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, cause))
}

/// A borrowed connection of either engine.
pub(crate) enum Conn<'c> {
    Sqlite(&'c mut SqliteConn),
    /// With whether it is stuck, see [`answered`].
    Postgres(&'c mut PgConnection, &'c mut bool),
}

impl Conn<'_> {
    /// The same connection, for one statement of several.
    pub(crate) fn again(&mut self) -> Conn<'_> {
        match self {
            Self::Sqlite(c) => Conn::Sqlite(c),
            Self::Postgres(c, is_stuck) => Conn::Postgres(c, is_stuck),
        }
    }
}

/// A connection owned by a writer.
pub(crate) enum OwnedConn {
    Sqlite(SqliteConn),
    Postgres(Box<PgConnection>, bool),
}

impl OwnedConn {
    pub(crate) fn conn(&mut self) -> Conn<'_> {
        match self {
            Self::Sqlite(c) => Conn::Sqlite(c),
            Self::Postgres(c, is_stuck) => Conn::Postgres(c, is_stuck),
        }
    }

    /// The statement that opens a write transaction.
    pub(crate) fn begin(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "BEGIN IMMEDIATE",
            Self::Postgres(..) => "BEGIN",
        }
    }

    /// Whether an error that COMMIT met says for certain that the transaction does not stand. SQLite's always do. PostgreSQL's do when
    /// they speak of the transaction, and not of the server or the connection.
    pub(crate) fn is_refusal(&self, error: &Error) -> bool {
        match self {
            Self::Sqlite(_) => true,
            Self::Postgres(..) => code(error).is_some_and(|code| {
                ["22", "23", "25", "40", "42", "44"].iter().any(|class| code.starts_with(class))
            }),
        }
    }
}

/// A pooled connection for reading.
pub(crate) struct Reader(Pooled);

enum Pooled {
    Sqlite(PooledConn),
    Postgres(PoolConnection<Postgres>, bool),
}

impl Reader {
    pub(crate) fn conn(&mut self) -> Conn<'_> {
        match &mut self.0 {
            Pooled::Sqlite(c) => Conn::Sqlite(c),
            Pooled::Postgres(c, is_stuck) => Conn::Postgres(c, is_stuck),
        }
    }
}

impl Drop for Reader {
    /// A connection whose answer was not waited for is closed: the pool would wait for it, with a place taken.
    fn drop(&mut self) {
        if let Pooled::Postgres(conn, true) = &mut self.0 {
            conn.close_on_drop();
        }
    }
}

/// Octets of SQLite's write-ahead log above which it is emptied.
const WAL_MAX: u64 = 64 * 1024 * 1024;

/// Where an operator's rows are, and the pool that reads them.
#[derive(Clone, Debug)]
pub(crate) enum Engine {
    Sqlite { options: Arc<Options>, readers: Readers },
    Postgres { options: Box<PgConnectOptions>, readers: PgPool, writers: usize },
}

impl Engine {
    /// Opens `sqlite:PATH` or `postgres://…`, the latter with that many writers. A relative path is taken from `base`.
    pub(crate) async fn open(url: &str, base: &Path, writers: usize, create: bool) -> Result<Self, Error> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").filter(|p| p.starts_with('/')).unwrap_or(path);
            return Self::open_sqlite(&base.join(PathBuf::from(path)), create).await;
        }
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            return Self::open_postgres(url, writers.max(1)).await;
        }
        Err(Error::Options("[store] url must begin with `sqlite:` or `postgres:`".to_owned()))
    }

    async fn open_sqlite(path: &Path, create: bool) -> Result<Self, Error> {
        if create {
            // The journal files take over the mode of the database file.
            std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        }
        let options =
            Options { file: path.to_owned(), create, busy: Duration::from_secs(20), cache_kib: 16_384 };
        let readers = Readers::open(Options { cache_kib: 8_192, ..options.clone() })?;
        Ok(Self::Sqlite { options: Arc::new(options), readers })
    }

    async fn open_postgres(url: &str, writers: usize) -> Result<Self, Error> {
        let options = PgConnectOptions::from_str(url)?
            .application_name("vaguemestre")
            .statement_cache_capacity(600)
            .disable_statement_logging();
        let readers = PgPoolOptions::new()
            .max_connections(8)
            .acquire_timeout(CONNECT_MAX)
            .after_connect(|conn, _| Box::pin(settle_session(conn)))
            .connect_with(options.clone())
            .await?;
        Ok(Self::Postgres { options: Box::new(options), readers, writers })
    }

    /// How many writers there are.
    pub(crate) fn writers(&self) -> usize {
        match self {
            Self::Sqlite { .. } => 1,
            Self::Postgres { writers, .. } => *writers,
        }
    }

    /// A connection for a writer.
    pub(crate) async fn connect(&self) -> Result<OwnedConn, Error> {
        Ok(match self {
            Self::Sqlite { options, .. } => OwnedConn::Sqlite(SqliteConn::new(options, Pace::Here).opened()?),
            Self::Postgres { options, .. } => {
                let connecting = async {
                    let mut conn = PgConnection::connect_with(options).await?;
                    settle_session(&mut conn).await?;
                    Ok(conn)
                };
                let conn = tokio::time::timeout(CONNECT_MAX, connecting)
                    .await
                    .unwrap_or_else(|_| Err(no_answer("the database did not let us in in time")))?;
                OwnedConn::Postgres(Box::new(conn), false)
            }
        })
    }

    /// A pooled connection for reading what may take long.
    pub(crate) async fn reader(&self) -> Result<Reader, Error> {
        self.reader_at(Pace::Away).await
    }

    /// A pooled connection for reading a few rows by their keys, or a bounded page of them. On SQLite they are read on the thread of the caller.
    pub(crate) async fn quick_reader(&self) -> Result<Reader, Error> {
        self.reader_at(Pace::Here).await
    }

    async fn reader_at(&self, pace: Pace) -> Result<Reader, Error> {
        Ok(Reader(match self {
            Self::Sqlite { readers, .. } => Pooled::Sqlite(readers.acquire(pace).await?),
            Self::Postgres { readers, .. } => Pooled::Postgres(readers.acquire().await?, false),
        }))
    }

    /// Applies every forward migration that this program carries.
    pub(crate) async fn migrate(&self) -> Result<(), Error> {
        let migrated = match self {
            Self::Sqlite { options, .. } => {
                let options = SqliteConnectOptions::new().filename(&options.file).busy_timeout(options.busy);
                let mut conn = SqliteConnection::connect_with(&options.foreign_keys(true)).await?;
                let migrated = sqlx::migrate!("../../migrations/sqlite").run(&mut conn).await;
                conn.close().await?;
                migrated
            }
            Self::Postgres { readers, .. } => sqlx::migrate!("../../migrations/postgres").run(readers).await,
        };
        Ok(migrated?)
    }

    /// The versions applied, against those that this program carries: equal, or an error that says what to do.
    pub(crate) async fn check_schema(&self) -> Result<(), Error> {
        if self.is_schema_behind().await? {
            return Err(Error::Options(
                "the database schema is older than this program; run `vaguemestre migrate --config FILE`"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// Whether a migration that this program carries is still to be applied.
    ///
    /// # Errors
    /// A later program wrote the database; the text says what to do.
    pub(crate) async fn is_schema_behind(&self) -> Result<bool, Error> {
        let known: Vec<i64> = sqlx::migrate!("../../migrations/sqlite").iter().map(|m| m.version).collect();
        let mut reader = self.reader().await?;
        let applied: Result<Vec<(i64,)>, sqlx::Error> = on!(reader.conn(), c =>
            sqlx::query_as("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version").fetch_all(&mut *c).await);
        let applied = match applied {
            Err(sqlx::Error::Database(error)) if is_missing_table(&*error) => Vec::new(),
            other => other?,
        };
        let applied: Vec<i64> = applied.into_iter().map(|(version,)| version).collect();
        if let Some(future) = applied.iter().find(|version| !known.contains(version)) {
            return Err(Error::Options(format!(
                "the database has schema version {future}, which this program does not know; run the program version that wrote it"
            )));
        }
        Ok(applied.len() < known.len())
    }

    /// SQLite: empties a write-ahead log that grew past [`WAL_MAX`]. Under steady reads the checkpoints of the writer never find a moment to start the log
    /// anew; this one waits for that moment, a few milliseconds, with writers held back. True when there was something to do.
    pub(crate) async fn trim_log(&self) -> Result<bool, Error> {
        let Self::Sqlite { options, .. } = self else { return Ok(false) };
        let mut log = options.file.as_os_str().to_owned();
        log.push("-wal");
        let size = std::fs::metadata(log).map_or(0, |metadata| metadata.len());
        if size <= WAL_MAX {
            return Ok(false);
        }
        let options = Options { busy: Duration::from_secs(2), ..options.as_ref().clone() };
        let mut conn = SqliteConn::new(&Arc::new(options), Pace::Away);
        sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut conn).await?;
        Ok(true)
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { readers, .. } => readers.close(),
            Self::Postgres { readers, .. } => readers.close().await,
        }
    }
}

/// Whether a statement named a table that was never made, as opposed to a database that does not answer.
fn is_missing_table(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.code().as_deref() == Some("42P01") || error.message().starts_with("no such table")
}

/// What every session with PostgreSQL asks for: that a commit means stable storage, and that the server lets go of what a lost connection holds.
/// A setting that this server does not know (another engine that speaks its protocol) is done without.
async fn settle_session(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    for setting in [
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
        "SET idle_in_transaction_session_timeout = '60s'",
        "SET client_connection_check_interval = '5s'",
        "SET tcp_keepalives_idle = 30",
        "SET tcp_keepalives_interval = 10",
        "SET tcp_keepalives_count = 3",
    ] {
        match sqlx::raw_sql(setting).execute(&mut *conn).await {
            Ok(_) => {}
            Err(sqlx::Error::Database(error)) if !is_lost_code(error.code().as_deref().unwrap_or("")) => {
                tracing::debug!(%error, setting, "the database does not know a session setting");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The SQLSTATE, or SQLite's extended result code in decimal.
fn code(error: &Error) -> Option<String> {
    let Error::Database(sqlx::Error::Database(error)) = error else { return None };
    error.code().map(|code| code.into_owned())
}

/// SQLSTATE classes that end the session: connection exceptions, and the server going down or coming up.
fn is_lost_code(code: &str) -> bool {
    code.starts_with("08") || code.starts_with("57P")
}

/// Whether the connection is of no further use: nothing was heard of the transaction, and the database undoes it.
pub(crate) fn is_lost(error: &Error) -> bool {
    match error {
        Error::Database(sqlx::Error::Database(_)) => code(error).is_some_and(|code| is_lost_code(&code)),
        Error::Database(
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed,
        ) => true,
        _ => false,
    }
}

/// Whether the database can do nothing just now, whoever asks: it is away, locked by another process, or out of disk, memory or connections.
pub(crate) fn is_unavailable(error: &Error) -> bool {
    /// SQLite's primary result codes: BUSY, LOCKED, NOMEM, READONLY, IOERR, CORRUPT, FULL, CANTOPEN.
    const SQLITE: [u32; 8] = [5, 6, 7, 8, 10, 11, 13, 14];
    is_lost(error)
        || code(error).is_some_and(|code| match code.parse::<u32>() {
            // A SQLSTATE that is all digits has five of them; SQLite's codes have fewer.
            Ok(number) if code.len() < 5 => SQLITE.contains(&(number & 0xff)),
            _ => code.starts_with("53") || code.starts_with("58"),
        })
}

/// Whether the disk of the database is full: SQLITE_FULL, or SQLSTATE 53100.
pub(crate) fn is_disk_full(error: &Error) -> bool {
    code(error).is_some_and(|code| code == "13" || code == "53100")
}

/// Whether a transaction was undone only because it met another one (deadlock, serialization failure): run again, it may stand.
pub(crate) fn is_lost_race(error: &Error) -> bool {
    code(error).is_some_and(|code| code == "40P01" || code == "40001")
}
