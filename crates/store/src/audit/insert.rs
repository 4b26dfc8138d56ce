//! Rows go into the database many at a time.

use super::chain::NewRow;
use crate::Error;
use crate::dialect::{Conn, answered};
use crate::rows::ROWS_MAX;
use sqlx::QueryBuilder;

/// Writes rows in order, with as few statements as the engine allows.
pub(super) async fn insert_rows(conn: Conn<'_>, rows: &[NewRow]) -> Result<(), Error> {
    match conn {
        Conn::Postgres(c, is_stuck) => answered(is_stuck, insert_postgres(c, rows)).await?,
        Conn::Sqlite(c) => insert_sqlite(c, rows).await?,
    }
    Ok(())
}

async fn insert_sqlite(c: &mut crate::sqlite::SqliteConn, rows: &[NewRow]) -> Result<(), sqlx::Error> {
    for rows in rows.chunks(ROWS_MAX) {
        let mut sql = QueryBuilder::new(
            "INSERT INTO audit_rows (chain_id, seq, at_ms, category, action, outcome, actor_id, credential, via, target, mailbox_id, unit_id, request, detail, \
             subject_id, sealed, prev_hash, hash) ",
        );
        sql.push_values(rows, |mut values, row| {
            let entry = &row.entry;
            values.push_bind(row.chain.as_slice()).push_bind(row.seq).push_bind(row.at);
            values.push_bind(entry.category.as_str()).push_bind(entry.action).push_bind(entry.outcome);
            values.push_bind(entry.actor.map(|id| id.0)).push_bind(entry.credential.as_deref());
            values.push_bind(entry.via.map(crate::Via::as_str)).push_bind(entry.target.as_deref());
            values.push_bind(entry.mailbox.map(|id| id.0));
            values.push_bind(entry.unit.as_ref().map(|unit| unit.0.as_slice()));
            values.push_bind(entry.request.as_deref()).push_bind(entry.detail.as_str());
            values.push_bind(row.subject.as_ref().map(<[u8; 16]>::as_slice));
            values.push_bind(row.sealed.as_deref());
            values.push_bind(row.prev.as_slice()).push_bind(row.hash.as_slice());
        });
        sql.build().execute(&mut *c).await?;
    }
    Ok(())
}

async fn insert_postgres(c: &mut sqlx::PgConnection, rows: &[NewRow]) -> Result<(), sqlx::Error> {
    macro_rules! column {
        ($row:ident => $value:expr) => {
            rows.iter().map(|$row| $value).collect::<Vec<_>>()
        };
    }
    sqlx::query(
        "INSERT INTO audit_rows (chain_id, seq, at_ms, category, action, outcome, actor_id, credential, via, target, mailbox_id, unit_id, request, detail, \
         subject_id, sealed, prev_hash, hash) \
         SELECT * FROM UNNEST($1::BYTEA[], $2::BIGINT[], $3::BIGINT[], $4::TEXT[], $5::TEXT[], $6::TEXT[], $7::BIGINT[], $8::TEXT[], $9::TEXT[], $10::TEXT[], \
         $11::BIGINT[], $12::BYTEA[], $13::TEXT[], $14::TEXT[], $15::BYTEA[], $16::BYTEA[], $17::BYTEA[], $18::BYTEA[])",
    )
    .bind(column!(row => row.chain.as_slice()))
    .bind(column!(row => row.seq))
    .bind(column!(row => row.at))
    .bind(column!(row => row.entry.category.as_str()))
    .bind(column!(row => row.entry.action))
    .bind(column!(row => row.entry.outcome))
    .bind(column!(row => row.entry.actor.map(|id| id.0)))
    .bind(column!(row => row.entry.credential.as_deref()))
    .bind(column!(row => row.entry.via.map(crate::Via::as_str)))
    .bind(column!(row => row.entry.target.as_deref()))
    .bind(column!(row => row.entry.mailbox.map(|id| id.0)))
    .bind(column!(row => row.entry.unit.as_ref().map(|unit| unit.0.as_slice())))
    .bind(column!(row => row.entry.request.as_deref()))
    .bind(column!(row => row.entry.detail.as_str()))
    .bind(column!(row => row.subject.as_ref().map(<[u8; 16]>::as_slice)))
    .bind(column!(row => row.sealed.as_deref()))
    .bind(column!(row => row.prev.as_slice()))
    .bind(column!(row => row.hash.as_slice()))
    .execute(&mut *c)
    .await?;
    Ok(())
}
