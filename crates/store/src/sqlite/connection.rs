//! One connection.

use super::Sqlite;
use super::checkpoints;
use super::shape::{Column, Done, Row, Statement};
use super::value::Cell;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use rusqlite::OpenFlags;
use rusqlite::config::DbConfig;
use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::{Either, Error, Execute, SqlStr};
use sqlx_core::transaction::TransactionManager;
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Statements that a connection keeps prepared.
const STATEMENTS_MAX: usize = 600;

/// How a connection is opened.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The database file.
    pub(crate) file: PathBuf,
    /// Whether it may be made.
    pub(crate) create: bool,
    /// How long a lock that another process holds is waited for.
    pub(crate) busy: Duration,
    /// KiB of pages that the connection keeps.
    pub(crate) cache_kib: u32,
}

/// Where a connection runs its statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// On the thread that asks, which does nothing else meanwhile: for what is short, and for a thread that has nothing else to do.
    Here,
    /// On a thread for blocking work.
    Away,
}

/// A connection. It is opened when it is first asked.
pub(crate) struct SqliteConn {
    options: Arc<Options>,
    pace: Pace,
    /// None before the first statement, and after one whose answer nobody waited for.
    open: Option<Box<Open>>,
}

/// A connection to the file. The lock is never taken: it tells that nobody shares it.
struct Open(Mutex<rusqlite::Connection>);

/// A statement and its parameters.
struct Asked {
    sql: SqlStr,
    arguments: Vec<Cell>,
    /// Whether it is kept prepared.
    is_kept: bool,
    /// Rows that are wanted, at most.
    rows_max: usize,
}

type Answer = Result<(Vec<Row>, Done), Error>;

/// A part of an answer that is not kept in memory at once.
enum Part {
    Rows(Vec<Row>),
    End(Done),
}

/// Rows of a part.
const PART_ROWS: usize = 256;
/// Parts that wait to be taken.
const PARTS_WAITING: usize = 2;

impl fmt::Debug for SqliteConn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteConn").field("pace", &self.pace).finish_non_exhaustive()
    }
}

impl SqliteConn {
    pub(crate) fn new(options: &Arc<Options>, pace: Pace) -> Self {
        Self { options: options.clone(), pace, open: None }
    }

    /// The same connection, at another pace.
    pub(crate) fn at(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Opens the file, where that was not done.
    ///
    /// # Errors
    /// The file cannot be opened, or is no database.
    pub(crate) fn opened(mut self) -> Result<Self, Error> {
        if self.open.is_none() {
            self.open = Some(Box::new(Open::new(&self.options)?));
        }
        Ok(self)
    }

    /// Whether it is of use to the next one who asks: it is open, and outside a transaction.
    pub(crate) fn is_idle(&mut self) -> bool {
        self.open.as_mut().is_some_and(|open| open.conn().is_autocommit())
    }

    async fn ask(&mut self, asked: Asked) -> Answer {
        match self.pace {
            Pace::Here => self.ask_here(&asked),
            Pace::Away => self.ask_away(asked).await,
        }
    }

    fn ask_here(&mut self, asked: &Asked) -> Answer {
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(Box::new(Open::new(&self.options)?)),
        };
        open.run(asked)
    }

    /// Whoever stops waiting interrupts the statement, and leaves the connection behind.
    async fn ask_away(&mut self, asked: Asked) -> Answer {
        let (open, options) = (self.open.take(), self.options.clone());
        let (stop, stopped) = std::sync::mpsc::sync_channel(1);
        let interrupting = Interrupting(stopped);
        let asking = tokio::task::spawn_blocking(move || {
            let mut open = match open {
                Some(open) => open,
                None => Box::new(Open::new(&options)?),
            };
            stop.send(open.conn().get_interrupt_handle()).map_err(|_| nobody_waits())?;
            let answer = open.run(&asked);
            Ok::<_, Error>((open, answer))
        });
        let (open, answer) = asking.await.map_err(|_| Error::WorkerCrashed)??;
        interrupting.disarm();
        self.open = Some(open);
        answer
    }

    /// Reads on a thread for blocking work, no further ahead than [`PARTS_WAITING`]. The connection is there again after the last part.
    fn stream_away(&mut self, asked: Asked) -> BoxStream<'_, Result<Part, Error>> {
        let (open, options) = (self.open.take(), self.options.clone());
        let (parts, taken) = tokio::sync::mpsc::channel(PARTS_WAITING);
        let reading = tokio::task::spawn_blocking(move || {
            let mut open = match open {
                Some(open) => open,
                None => Box::new(Open::new(&options)?),
            };
            let done = open.stream(&asked, |rows| parts.blocking_send(rows).is_ok())?;
            Ok::<_, Error>((open, done))
        });
        let parts = stream::unfold((self, taken, Some(reading)), async |(conn, mut taken, mut reading)| {
            if let Some(rows) = taken.recv().await {
                return Some((Ok(Part::Rows(rows)), (conn, taken, reading)));
            }
            let end = match reading.take()?.await {
                Ok(Ok((open, done))) => {
                    conn.open = Some(open);
                    Ok(Part::End(done))
                }
                Ok(Err(error)) => Err(error),
                Err(_) => Err(Error::WorkerCrashed),
            };
            Some((end, (conn, taken, reading)))
        });
        parts.boxed()
    }
}

fn nobody_waits() -> Error {
    Error::Protocol("nobody waits for the answer".to_owned())
}

/// Interrupts a statement when it is dropped.
struct Interrupting(std::sync::mpsc::Receiver<rusqlite::InterruptHandle>);

impl Interrupting {
    /// The statement was answered: what would interrupt it is let go of.
    fn disarm(self) {
        drop(self.0.try_recv());
    }
}

impl Drop for Interrupting {
    fn drop(&mut self) {
        if let Ok(handle) = self.0.try_recv() {
            handle.interrupt();
        }
    }
}

impl Open {
    fn new(options: &Options) -> Result<Self, Error> {
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        flags.set(OpenFlags::SQLITE_OPEN_CREATE, options.create);
        let conn = rusqlite::Connection::open_with_flags(&options.file, flags).map_err(told)?;
        conn.busy_timeout(options.busy).map_err(told)?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        // Otherwise each new value of a LIMIT or a LIKE has the statement prepared again, which costs more than to run it.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(told)?;
        // The first three settle the form of a new file, in this order.
        let settings = format!(
            "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
             PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA journal_size_limit = 67108864; \
             PRAGMA cache_size = -{}",
            options.cache_kib
        );
        conn.execute_batch(&settings).map_err(told)?;
        // In place of SQLite's own.
        conn.wal_hook(Some(checkpoints::note));
        Ok(Self(Mutex::new(conn)))
    }

    fn conn(&mut self) -> &mut rusqlite::Connection {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a statement to its end, or to the last row that is wanted.
    fn run(&mut self, asked: &Asked) -> Answer {
        let mut gathered = Vec::new();
        let done = self.step(asked, |row| {
            gathered.push(row);
            gathered.len() < asked.rows_max
        })?;
        Ok((gathered, done))
    }

    /// Hands rows on in parts, as long as they are taken.
    fn stream(&mut self, asked: &Asked, mut take: impl FnMut(Vec<Row>) -> bool) -> Result<Done, Error> {
        let mut part = Vec::with_capacity(PART_ROWS);
        let done = self.step(asked, |row| {
            part.push(row);
            part.len() < PART_ROWS || take(std::mem::replace(&mut part, Vec::with_capacity(PART_ROWS)))
        })?;
        if !part.is_empty() {
            take(part);
        }
        Ok(done)
    }

    fn step(&mut self, asked: &Asked, take: impl FnMut(Row) -> bool) -> Result<Done, Error> {
        let (conn, sql) = (self.conn(), asked.sql.as_str());
        let stepped = if asked.is_kept {
            conn.prepare_cached(sql).and_then(|mut statement| step(&mut statement, &asked.arguments, take))
        } else {
            conn.prepare(sql).and_then(|mut statement| step(&mut statement, &asked.arguments, take))
        };
        match stepped {
            // A schema in a test, or settings: texts of several statements that take nothing and bring nothing.
            Err(rusqlite::Error::MultipleStatement) if asked.arguments.is_empty() => conn.execute_batch(sql),
            other => other,
        }
        .map_err(told)?;
        Ok(Done { changes: conn.changes() })
    }
}

/// Runs a statement as long as its rows are taken.
fn step(
    statement: &mut rusqlite::Statement<'_>,
    arguments: &[Cell],
    mut take: impl FnMut(Row) -> bool,
) -> rusqlite::Result<()> {
    for place in 1..=statement.parameter_count() {
        // `$2` is the second argument, wherever it stands; a bare `?` is the next one.
        let number = statement.parameter_name(place).and_then(|name| name.get(1..)?.parse().ok());
        let argument = number.unwrap_or(place).checked_sub(1).and_then(|at| arguments.get(at));
        let argument = argument.ok_or(rusqlite::Error::InvalidParameterCount(arguments.len(), place))?;
        statement.raw_bind_parameter(place, argument)?;
    }
    let count = statement.column_count();
    let mut columns: Option<Arc<[Column]>> = None;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        let columns = columns.get_or_insert_with(|| named(row.as_ref())).clone();
        let mut cells = Vec::with_capacity(count);
        for at in 0..count {
            cells.push(row.get_ref(at)?.into());
        }
        if !take(Row { cells, columns }) {
            break;
        }
    }
    Ok(())
}

fn named(statement: &rusqlite::Statement<'_>) -> Arc<[Column]> {
    let names = statement.column_names().into_iter().enumerate();
    names.map(|(ordinal, name)| Column { ordinal, name: name.into() }).collect()
}

/// An error as sqlx tells one of a database.
#[derive(Debug)]
struct Told {
    message: String,
    extended_code: i32,
}

fn told(error: rusqlite::Error) -> Error {
    let (extended_code, message) = match error {
        rusqlite::Error::SqliteFailure(code, Some(message)) => (code.extended_code, message),
        rusqlite::Error::SqliteFailure(code, None) => (code.extended_code, code.to_string()),
        other => return Error::Protocol(other.to_string()),
    };
    Error::Database(Box::new(Told { message, extended_code }))
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(code: {}) {}", self.extended_code, self.message)
    }
}

impl std::error::Error for Told {}

impl DatabaseError for Told {
    fn message(&self) -> &str {
        &self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.extended_code.to_string().into())
    }

    fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        use rusqlite::ffi;
        match self.extended_code {
            ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => ErrorKind::UniqueViolation,
            ffi::SQLITE_CONSTRAINT_FOREIGNKEY => ErrorKind::ForeignKeyViolation,
            ffi::SQLITE_CONSTRAINT_NOTNULL => ErrorKind::NotNullViolation,
            ffi::SQLITE_CONSTRAINT_CHECK => ErrorKind::CheckViolation,
            _ => ErrorKind::Other,
        }
    }
}

fn asked<'q, E: Execute<'q, Sqlite>>(mut query: E, rows_max: usize) -> Result<Asked, Error> {
    let arguments = query.take_arguments().map_err(Error::Encode)?.unwrap_or_default();
    let is_kept = query.persistent();
    Ok(Asked { arguments: arguments.0, is_kept, sql: query.sql(), rows_max })
}

impl<'c> sqlx::Executor<'c> for &'c mut SqliteConn {
    type Database = Sqlite;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<Done, Row>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Sqlite>,
    {
        let asked = asked(query, usize::MAX);
        let parts = async move {
            let asked = asked?;
            Ok::<_, Error>(match self.pace {
                Pace::Here => {
                    let (rows, done) = self.ask_here(&asked)?;
                    stream::iter([Ok(Part::Rows(rows)), Ok(Part::End(done))]).boxed()
                }
                Pace::Away => self.stream_away(asked),
            })
        };
        let steps = |part| match part {
            Part::Rows(rows) => stream::iter(rows).map(|row| Ok(Either::Right(row))).boxed(),
            Part::End(done) => stream::iter([Ok(Either::Left(done))]).boxed(),
        };
        stream::once(parts).try_flatten().map_ok(steps).try_flatten().boxed()
    }

    fn execute<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Done, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Sqlite>,
    {
        let asked = asked(query, usize::MAX);
        Box::pin(async move { Ok(self.ask(asked?).await?.1) })
    }

    fn fetch_all<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Vec<Row>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Sqlite>,
    {
        let asked = asked(query, usize::MAX);
        Box::pin(async move { Ok(self.ask(asked?).await?.0) })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<Row>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Sqlite>,
    {
        let asked = asked(query, 1);
        Box::pin(async move { Ok(self.ask(asked?).await?.0.pop()) })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        _: &'e [super::value::Class],
    ) -> BoxFuture<'e, Result<Statement, Error>>
    where
        'c: 'e,
    {
        Box::pin(async { Ok(Statement { sql }) })
    }

    fn describe<'e>(self, _: SqlStr) -> BoxFuture<'e, Result<sqlx::Describe<Sqlite>, Error>>
    where
        'c: 'e,
    {
        Box::pin(async { Err(Error::Protocol("statements are not described".to_owned())) })
    }
}

impl sqlx::Connection for SqliteConn {
    type Database = Sqlite;
    type Options = Options;

    async fn close(self) -> Result<(), Error> {
        Ok(())
    }

    async fn close_hard(self) -> Result<(), Error> {
        Ok(())
    }

    async fn ping(&mut self) -> Result<(), Error> {
        Ok(())
    }

    async fn begin(&mut self) -> Result<sqlx::Transaction<'_, Sqlite>, Error> {
        Err(no_transactions())
    }

    fn shrink_buffers(&mut self) {}

    async fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn should_flush(&self) -> bool {
        false
    }
}

impl FromStr for Options {
    type Err = Error;

    fn from_str(_: &str) -> Result<Self, Error> {
        Err(Error::Configuration("a connection is made from options, not from a URL".into()))
    }
}

impl sqlx::ConnectOptions for Options {
    type Connection = SqliteConn;

    fn from_url(url: &sqlx_core::Url) -> Result<Self, Error> {
        url.as_str().parse()
    }

    async fn connect(&self) -> Result<SqliteConn, Error> {
        Ok(SqliteConn::new(&Arc::new(self.clone()), Pace::Here))
    }

    fn log_statements(self, _: log::LevelFilter) -> Self {
        self
    }

    fn log_slow_statements(self, _: log::LevelFilter, _: Duration) -> Self {
        self
    }
}

/// The writer says BEGIN and COMMIT itself.
#[derive(Debug)]
pub(crate) struct NoTransactions;

fn no_transactions() -> Error {
    Error::InvalidSavePointStatement
}

impl TransactionManager for NoTransactions {
    type Database = Sqlite;

    async fn begin(_: &mut SqliteConn, _: Option<SqlStr>) -> Result<(), Error> {
        Err(no_transactions())
    }

    async fn commit(_: &mut SqliteConn) -> Result<(), Error> {
        Err(no_transactions())
    }

    async fn rollback(_: &mut SqliteConn) -> Result<(), Error> {
        Err(no_transactions())
    }

    fn start_rollback(_: &mut SqliteConn) {}

    fn get_transaction_depth(_: &SqliteConn) -> usize {
        0
    }
}
