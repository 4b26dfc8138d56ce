//! What a connection answers, at either pace.

use super::{Checkpoints, Options, Pace, Readers, Sqlite, SqliteConn};
use futures_util::TryStreamExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn readers(dir: &tempfile::TempDir) -> Readers {
    let options = Options {
        file: dir.path().join("rows.db"),
        create: true,
        busy: Duration::from_secs(1),
        cache_kib: 1_024,
    };
    Readers::open(options).unwrap()
}

/// Numbers from one to a million, each after some work.
const MANY: &str =
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT i FROM n";

#[tokio::test]
async fn an_argument_goes_where_its_number_stands_at_either_pace() {
    let dir = tempfile::tempdir().unwrap();
    let readers = readers(&dir);
    for pace in [Pace::Here, Pace::Away] {
        let mut conn = readers.acquire(pace).await.unwrap();
        let row: (String, i64, Option<i64>, Vec<u8>, String) = sqlx::query_as("SELECT $2, $1, $3, $4, $2")
            .bind(7)
            .bind("sept")
            .bind(None::<i64>)
            .bind(&[0_u8, 255][..])
            .fetch_one(&mut *conn)
            .await
            .unwrap();
        assert_eq!(row, ("sept".to_owned(), 7, None, vec![0, 255], "sept".to_owned()));
        let row: (i64, i64) =
            sqlx::query_as("SELECT ?, ?").bind(1).bind(2).fetch_one(&mut *conn).await.unwrap();
        assert_eq!(row, (1, 2));
        let missing = sqlx::query("SELECT $1, $2").bind(1).execute(&mut *conn).await;
        assert!(missing.is_err(), "an argument that nobody gave is not NULL");
    }
}

#[tokio::test]
async fn a_value_of_another_class_is_an_error_and_a_text_that_is_none_is_octets() {
    let dir = tempfile::tempdir().unwrap();
    let readers = readers(&dir);
    let mut conn = readers.acquire(Pace::Here).await.unwrap();
    let number: Result<(i64,), _> = sqlx::query_as("SELECT 'x'").fetch_one(&mut *conn).await;
    assert!(number.is_err());
    let small: Result<(u8,), _> = sqlx::query_as("SELECT 256").fetch_one(&mut *conn).await;
    assert!(small.is_err());
    let broken = "SELECT CAST(x'ff' AS TEXT)";
    let text: Result<(String,), _> = sqlx::query_as(broken).fetch_one(&mut *conn).await;
    assert!(text.is_err());
    let octets: (Vec<u8>,) = sqlx::query_as(broken).fetch_one(&mut *conn).await.unwrap();
    assert_eq!(octets.0, [255]);
}

#[tokio::test]
async fn what_does_not_fit_into_one_part_is_read_whole_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let readers = readers(&dir);
    for count in [0_i64, 1, 255, 256, 257, 10_000] {
        let mut conn = readers.acquire(Pace::Away).await.unwrap();
        let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT i FROM n WHERE $1 > 0";
        let rows = sqlx::query_as::<Sqlite, (i64,)>(sql).bind(count).fetch(&mut *conn);
        let rows: Vec<(i64,)> = rows.try_collect().await.unwrap();
        assert!(rows.iter().map(|row| row.0).eq(1..=count), "{count}");
        assert!(conn.is_idle(), "the connection is there again");
    }
}

#[tokio::test]
async fn a_statement_that_nobody_waits_for_ends_and_the_next_one_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let readers = readers(&dir);
    let begin = Instant::now();
    for _ in 0..8 {
        let mut conn = readers.acquire(Pace::Away).await.unwrap();
        // It would take hours.
        let asked = sqlx::query_as::<Sqlite, (i64,)>("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT MAX(i) FROM n")
            .bind(i64::MAX)
            .fetch_one(&mut *conn);
        assert!(tokio::time::timeout(Duration::from_millis(50), asked).await.is_err());
        let streamed =
            sqlx::query_as::<Sqlite, (i64,)>(MANY).bind(i64::MAX).fetch(&mut *conn).try_next().await;
        assert_eq!(streamed.unwrap(), Some((1,)), "the rest is not read");
    }
    let mut conn = readers.acquire(Pace::Away).await.unwrap();
    let one: (i64,) = sqlx::query_as("SELECT 1").fetch_one(&mut *conn).await.unwrap();
    assert_eq!(one.0, 1);
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_connection_that_is_left_within_a_transaction_is_nobodys_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let readers = readers(&dir);
    let mut conn = readers.acquire(Pace::Here).await.unwrap();
    sqlx::raw_sql("CREATE TABLE t (x)").execute(&mut *conn).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *conn).await.unwrap();
    drop(conn);
    let mut conn = readers.acquire(Pace::Here).await.unwrap();
    let done = sqlx::query("INSERT INTO t VALUES (1), (2)").execute(&mut *conn).await.unwrap();
    assert_eq!(done.rows_affected(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_writer_that_goes_on_and_on_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rows.db");
    let options = Options { file, create: true, busy: Duration::from_secs(1), cache_kib: 1_024 };
    let options = Arc::new(options);
    let mut writer = SqliteConn::new(&options, Pace::Here);
    let mut checkpoints = Checkpoints::new(&options);
    sqlx::raw_sql("CREATE TABLE t (x)").execute(&mut writer).await.unwrap();
    let log = dir.path().join("rows.db-wal");
    // 96 MiB in all.
    for written in 1..=384 {
        sqlx::query("INSERT INTO t VALUES (zeroblob(262144))").execute(&mut writer).await.unwrap();
        checkpoints.keep_up(&mut writer).await;
        let length = std::fs::metadata(&log).unwrap().len();
        assert!(length < 56 << 20, "{length} octets of log after {written} x 256 KiB");
    }
    let (count,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM t").fetch_one(&mut writer).await.unwrap();
    assert_eq!(count, 384);
}
