//! SQL past the store: to look at rows, and to tamper with them.

use super::Engine;
use super::postgres::Server;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool, SqlitePool};
use std::str::FromStr;
use std::time::Duration;
use store::StoreOptions;

/// Its own connections to the database of a fixture.
#[derive(Clone, Debug)]
pub(crate) enum Raw {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

macro_rules! on_pool {
    ($raw:expr, $pool:ident => $body:expr) => {
        match $raw {
            Raw::Sqlite($pool) => $body.unwrap(),
            Raw::Postgres($pool) => $body.unwrap(),
        }
    };
}

impl Raw {
    pub(super) async fn open(engine: Engine, options: &StoreOptions) -> Self {
        match engine {
            Engine::Sqlite => {
                let file = options.data_dir.join(options.url.trim_start_matches("sqlite:"));
                let connect = sqlx::sqlite::SqliteConnectOptions::new()
                    .filename(file)
                    .busy_timeout(Duration::from_secs(20));
                Self::Sqlite(
                    sqlx::sqlite::SqlitePoolOptions::new()
                        .max_connections(1)
                        .connect_with(connect)
                        .await
                        .unwrap(),
                )
            }
            Engine::Postgres => {
                let connect = sqlx::postgres::PgConnectOptions::from_str(&options.url)
                    .unwrap()
                    .disable_statement_logging();
                Self::Postgres(
                    sqlx::postgres::PgPoolOptions::new()
                        .max_connections(1)
                        .connect_with(connect)
                        .await
                        .unwrap(),
                )
            }
        }
    }

    /// Runs a statement; how many rows it touched.
    pub(crate) async fn execute(&self, sql: &str) -> u64 {
        let sql = AssertSqlSafe(sql.to_owned());
        on_pool!(self, pool => sqlx::query(sql).execute(pool).await.map(|done| done.rows_affected()))
    }

    /// The one integer of the one row; counts and stored integers, not sums.
    pub(crate) async fn int(&self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        on_pool!(self, pool => sqlx::query_scalar(sql).fetch_one(pool).await)
    }

    /// The first column of every row, as text.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        let sql = AssertSqlSafe(sql.to_owned());
        on_pool!(self, pool => sqlx::query_scalar(sql).fetch_all(pool).await)
    }

    /// The first column of every row, as octets.
    pub(crate) async fn blobs(&self, sql: &str) -> Vec<Vec<u8>> {
        let sql = AssertSqlSafe(sql.to_owned());
        on_pool!(self, pool => sqlx::query_scalar(sql).fetch_all(pool).await)
    }

    /// Whole rows.
    pub(crate) async fn rows<T>(&self, sql: &str) -> Vec<T>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow>
            + for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>
            + Send
            + Unpin,
    {
        let sql = AssertSqlSafe(sql.to_owned());
        on_pool!(self, pool => sqlx::query_as(sql).fetch_all(pool).await)
    }
}

/// The URL of a new, empty database on `server`.
pub(super) async fn fresh_database(server: &Server) -> String {
    let name = server.fresh_name();
    let mut admin = PgConnection::connect(&server.url("postgres")).await.unwrap();
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await.unwrap();
    admin.close().await.unwrap();
    server.url(&name)
}
