//! The two engines: how they are opened, and the few places where their SQL differs.

use crate::Error;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, PgPool, Postgres, Sqlite, SqlitePool};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// Runs one body, type-checked for both drivers, on whichever connection is there.
macro_rules! on {
    ($conn:expr, $c:ident => $body:expr) => {
        match $conn {
            $crate::dialect::Conn::Sqlite($c) => $body,
            $crate::dialect::Conn::Postgres($c) => $body,
        }
    };
}
pub(crate) use on;

/// A borrowed connection of either engine.
pub(crate) enum Conn<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

/// A connection owned by the writer.
pub(crate) enum OwnedConn {
    Sqlite(SqliteConnection),
    Postgres(Box<PgConnection>),
}

impl OwnedConn {
    pub(crate) fn conn(&mut self) -> Conn<'_> {
        match self {
            Self::Sqlite(c) => Conn::Sqlite(c),
            Self::Postgres(c) => Conn::Postgres(c),
        }
    }

    /// The statement that opens a write transaction.
    pub(crate) fn begin(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "BEGIN IMMEDIATE",
            Self::Postgres(_) => "BEGIN",
        }
    }
}

/// A pooled connection for reading.
pub(crate) enum Reader {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Reader {
    pub(crate) fn conn(&mut self) -> Conn<'_> {
        match self {
            Self::Sqlite(c) => Conn::Sqlite(c),
            Self::Postgres(c) => Conn::Postgres(c),
        }
    }
}

/// Octets of SQLite's write-ahead log above which it is emptied.
const WAL_MAX: u64 = 64 * 1024 * 1024;

/// Where an operator's rows are, and the pool that reads them.
#[derive(Clone, Debug)]
pub(crate) enum Engine {
    Sqlite { options: Box<SqliteConnectOptions>, readers: SqlitePool },
    Postgres { options: Box<PgConnectOptions>, readers: PgPool },
}

impl Engine {
    /// Opens `sqlite:PATH` or `postgres://…`. A relative path is taken from `base`.
    pub(crate) async fn open(url: &str, base: &Path, create: bool) -> Result<Self, Error> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").filter(|p| p.starts_with('/')).unwrap_or(path);
            return Self::open_sqlite(&base.join(PathBuf::from(path)), create).await;
        }
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            return Self::open_postgres(url).await;
        }
        Err(Error::Options("[store] url must begin with `sqlite:` or `postgres:`".to_owned()))
    }

    async fn open_sqlite(path: &Path, create: bool) -> Result<Self, Error> {
        if create {
            // The journal files take over the mode of the database file.
            std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(create)
            .page_size(8192)
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(20))
            .statement_cache_capacity(600)
            .pragma("secure_delete", "ON")
            .pragma("journal_size_limit", "67108864")
            .pragma("cache_size", "-16384");
        let readers = SqlitePoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(20))
            .connect_with(options.clone().pragma("cache_size", "-8192"))
            .await?;
        Ok(Self::Sqlite { options: Box::new(options), readers })
    }

    async fn open_postgres(url: &str) -> Result<Self, Error> {
        let options = PgConnectOptions::from_str(url)?
            .application_name("vaguemestre")
            .statement_cache_capacity(600)
            .disable_statement_logging();
        let readers = PgPoolOptions::new()
            .max_connections(8)
            .acquire_timeout(Duration::from_secs(20))
            .connect_with(options.clone())
            .await?;
        Ok(Self::Postgres { options: Box::new(options), readers })
    }

    /// Whether one process alone serves this database.
    pub(crate) fn is_exclusive(&self) -> bool {
        matches!(self, Self::Sqlite { .. })
    }

    /// A connection for the writer.
    pub(crate) async fn connect(&self) -> Result<OwnedConn, Error> {
        Ok(match self {
            Self::Sqlite { options, .. } => OwnedConn::Sqlite(SqliteConnection::connect_with(options).await?),
            Self::Postgres { options, .. } => {
                OwnedConn::Postgres(Box::new(PgConnection::connect_with(options).await?))
            }
        })
    }

    /// A pooled connection for reading.
    pub(crate) async fn reader(&self) -> Result<Reader, Error> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Reader::Sqlite(readers.acquire().await?),
            Self::Postgres { readers, .. } => Reader::Postgres(readers.acquire().await?),
        })
    }

    /// Applies every forward migration that this program carries.
    pub(crate) async fn migrate(&self) -> Result<(), Error> {
        let migrated = match self {
            Self::Sqlite { readers, .. } => sqlx::migrate!("../../migrations/sqlite").run(readers).await,
            Self::Postgres { readers, .. } => sqlx::migrate!("../../migrations/postgres").run(readers).await,
        };
        Ok(migrated?)
    }

    /// The versions applied, against those that this program carries: equal, or an error that says what to do.
    pub(crate) async fn check_schema(&self) -> Result<(), Error> {
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
        if applied.len() < known.len() {
            return Err(Error::Options(
                "the database schema is older than this program; run `vaguemestre migrate --config FILE`"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// SQLite: empties a write-ahead log that grew past [`WAL_MAX`]. Under steady reads the checkpoints of the writer never find a moment to start the log
    /// anew; this one waits for that moment, a few milliseconds, with writers held back. True when there was something to do.
    pub(crate) async fn trim_log(&self) -> Result<bool, Error> {
        let Self::Sqlite { options, .. } = self else { return Ok(false) };
        let mut log = options.get_filename().as_os_str().to_owned();
        log.push("-wal");
        let size = std::fs::metadata(log).map_or(0, |metadata| metadata.len());
        if size <= WAL_MAX {
            return Ok(false);
        }
        let options = options.as_ref().clone().busy_timeout(Duration::from_secs(2));
        let mut conn = SqliteConnection::connect_with(&options).await?;
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut conn).await?;
        conn.close().await?;
        Ok(true)
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { readers, .. } => readers.close().await,
            Self::Postgres { readers, .. } => readers.close().await,
        }
    }
}

/// Whether a statement named a table that was never made, as opposed to a database that does not answer.
fn is_missing_table(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.code().as_deref() == Some("42P01") || error.message().starts_with("no such table")
}

/// Whether a transaction was undone only because it met another one (deadlock, serialization failure): run again, it may stand.
pub(crate) fn is_lost_race(error: &Error) -> bool {
    let Error::Database(sqlx::Error::Database(error)) = error else { return false };
    matches!(error.code().as_deref(), Some("40P01" | "40001"))
}
