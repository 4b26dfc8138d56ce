//! Migrations, and opening what they made.

use crate::support::{Engine, Fixture, Raw, is_wanted, on_both_engines};
use std::collections::BTreeSet;
use std::path::Path;
use store::{Error, Store};

on_both_engines!(
    a_store_is_created_twice_and_opened_again,
    a_schema_from_the_future_is_refused,
    an_older_schema_says_migrate,
    a_schema_that_cannot_be_read_is_not_called_older,
    a_closed_store_takes_no_writes,
);

async fn a_store_is_created_twice_and_opened_again(store: &Fixture) {
    let holder = store.personal("marie").await;
    store.deliver(&holder, b"kept").await;
    Store::create(&store.options).await.unwrap();
    store.close().await;
    let again = store.open_again().await.unwrap();
    again.ping().await.unwrap();
    assert_eq!(again.folder_status(holder.inbox, None).await.unwrap().unwrap().messages, 1);
    assert!(again.mailbox_key(holder.mailbox).await.is_ok());
    again.close().await;
}

async fn a_schema_from_the_future_is_refused(store: &Fixture) {
    let future = "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
        SELECT 9999, description, installed_on, success, checksum, execution_time FROM _sqlx_migrations WHERE version = 1";
    store.raw.execute(future).await;
    let error = store.open_again().await.unwrap_err();
    assert!(
        matches!(&error, Error::Options(text) if text.contains("9999") && text.contains("does not know")),
        "{error}"
    );
    assert!(Store::create(&store.options).await.is_err());
}

async fn an_older_schema_says_migrate(store: &Fixture) {
    store.raw.execute("DELETE FROM _sqlx_migrations").await;
    let error = store.open_again().await.unwrap_err();
    assert!(matches!(&error, Error::Options(text) if text.contains("`vaguemestre migrate")), "{error}");
    store.raw.execute("DROP TABLE _sqlx_migrations").await;
    let error = store.open_again().await.unwrap_err();
    assert!(matches!(&error, Error::Options(text) if text.contains("`vaguemestre migrate")), "{error}");
}

async fn a_schema_that_cannot_be_read_is_not_called_older(store: &Fixture) {
    store.raw.execute("ALTER TABLE _sqlx_migrations RENAME COLUMN success TO succeeded").await;
    let error = store.open_again().await.unwrap_err();
    assert!(matches!(error, Error::Database(_)), "{error}");
}

async fn a_closed_store_takes_no_writes(store: &Fixture) {
    store.close().await;
    assert!(matches!(store.add_domain("late.example".parse().unwrap()).await, Err(Error::Closing)));
}

#[test]
fn migrations_come_in_pairs_of_the_same_number_and_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
    let names = |engine: &str| -> BTreeSet<String> {
        let files = std::fs::read_dir(root.join(engine)).unwrap();
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    };
    let sqlite = names("sqlite");
    assert!(!sqlite.is_empty());
    assert_eq!(sqlite, names("postgres"));
}

#[tokio::test]
async fn migrations_make_the_same_tables_columns_and_indexes() {
    if ![Engine::Sqlite, Engine::Postgres].into_iter().all(is_wanted) {
        return;
    }
    let (sqlite, postgres) = (Fixture::new(Engine::Sqlite).await, Fixture::new(Engine::Postgres).await);
    let (left, right) = (shape(&sqlite.raw).await, shape(&postgres.raw).await);
    assert!(left.len() > 100, "{left:?}");
    assert_eq!(left.difference(&right).collect::<Vec<_>>(), Vec::<&String>::new(), "only on SQLite");
    assert_eq!(right.difference(&left).collect::<Vec<_>>(), Vec::<&String>::new(), "only on PostgreSQL");
}

/// One line for each column, index and reference, in words that both engines share.
async fn shape(raw: &Raw) -> BTreeSet<String> {
    let queries: [&str; 3] = match raw {
        Raw::Sqlite(_) => SQLITE_SHAPE,
        Raw::Postgres(_) => POSTGRES_SHAPE,
    };
    let mut lines = BTreeSet::new();
    for query in queries {
        lines.extend(raw.texts(query).await);
    }
    lines
}

const SQLITE_SHAPE: [&str; 3] = [
    "SELECT 'column ' || t.name || '.' || c.name || ' ' || CASE c.type WHEN 'INTEGER' THEN 'bigint' ELSE replace(lower(c.type), 'blob', 'bytea') END \
     || CASE WHEN c.\"notnull\" OR c.pk > 0 THEN ' required' ELSE '' END || CASE WHEN c.dflt_value IS NULL THEN '' ELSE ' with default' END \
     FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name <> '_sqlx_migrations'",
    "SELECT 'index ' || tbl || ' ' || uniq || ' ' || cols FROM ( \
       SELECT t.name AS tbl, i.\"unique\" AS uniq, (SELECT group_concat(COALESCE(x.name, 'expression')) FROM pragma_index_info(i.name) x) AS cols \
       FROM sqlite_schema t, pragma_index_list(t.name) i WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name <> '_sqlx_migrations' \
       UNION SELECT t.name, 1, (SELECT group_concat(c.name) FROM pragma_table_info(t.name) c WHERE c.pk > 0) \
       FROM sqlite_schema t WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name <> '_sqlx_migrations')",
    "SELECT 'reference ' || t.name || '.' || k.\"from\" || ' to ' || k.\"table\" || ' ' || lower(k.on_delete) FROM sqlite_schema t, pragma_foreign_key_list(t.name) k \
     WHERE t.type = 'table'",
];

const POSTGRES_SHAPE: [&str; 3] = [
    "SELECT 'column ' || table_name || '.' || column_name || ' ' || data_type || CASE is_nullable WHEN 'NO' THEN ' required' ELSE '' END \
     || CASE WHEN column_default IS NULL THEN '' ELSE ' with default' END \
     FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'",
    "SELECT 'index ' || t.relname || ' ' || i.indisunique::int || ' ' || (SELECT string_agg(COALESCE(a.attname, 'expression'), ',' ORDER BY k.n) \
       FROM unnest(i.indkey::int[]) WITH ORDINALITY AS k(att, n) LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.att AND k.att > 0) \
     FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace s ON s.oid = t.relnamespace \
     WHERE s.nspname = 'public' AND t.relname <> '_sqlx_migrations'",
    "SELECT 'reference ' || t.relname || '.' || a.attname || ' to ' || r.relname || ' ' || CASE c.confdeltype WHEN 'a' THEN 'no action' WHEN 'c' THEN 'cascade' ELSE 'other' END \
     FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class r ON r.oid = c.confrelid \
     JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = ANY (c.conkey) WHERE c.contype = 'f'",
];
