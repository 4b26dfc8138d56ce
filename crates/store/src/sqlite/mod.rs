//! SQLite, spoken to from the thread that asks.
//!
//! sqlx runs every SQLite connection on a thread of its own, so that each statement costs two changes of thread, which is several times what the
//! statement itself costs when its pages are in memory. Here a statement runs where it stands: on the writer's own thread, or within a session
//! for a short read. A read that may take long is sent to a thread for blocking work instead.
//!
//! It is a database of sqlx like others, so that one text of a query, bound and decoded in one way, serves PostgreSQL too. It knows no table,
//! and not what a statement is for.

mod checkpoints;
mod connection;
mod readers;
mod shape;
mod value;

pub(crate) use checkpoints::Checkpoints;
pub(crate) use connection::{Options, Pace, SqliteConn};
pub(crate) use readers::{PooledConn, Readers};
pub(crate) use shape::Sqlite;

#[cfg(test)]
mod tests;
