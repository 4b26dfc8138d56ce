//! What sqlx asks of a database: its name, its rows and columns, its parameters.

use super::connection::SqliteConn;
use super::value::{Cell, Class};
use sqlx::error::BoxDynError;
use sqlx::{ColumnIndex, Database, Encode, Error, SqlStr, Type};
use std::sync::Arc;

/// The database.
#[derive(Debug)]
pub(crate) struct Sqlite;

impl sqlx_core::database::HasStatementCache for Sqlite {}

impl Database for Sqlite {
    type Connection = SqliteConn;
    type TransactionManager = super::connection::NoTransactions;
    type Row = Row;
    type QueryResult = Done;
    type Column = Column;
    type TypeInfo = Class;
    type Value = Cell;
    type ValueRef<'r> = &'r Cell;
    type Arguments = Arguments;
    type ArgumentBuffer = Vec<Cell>;
    type Statement = Statement;
    const NAME: &'static str = "SQLite";
    const URL_SCHEMES: &'static [&'static str] = &["sqlite"];
}

/// What a statement did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    pub(super) changes: u64,
}

impl Done {
    /// Rows that it inserted, changed or deleted.
    pub(crate) fn rows_affected(&self) -> u64 {
        self.changes
    }
}

impl Extend<Self> for Done {
    fn extend<T: IntoIterator<Item = Self>>(&mut self, others: T) {
        self.changes += others.into_iter().map(|other| other.changes).sum::<u64>();
    }
}

/// One row.
#[derive(Debug)]
pub(crate) struct Row {
    pub(super) cells: Vec<Cell>,
    pub(super) columns: Arc<[Column]>,
}

/// One column of the rows of a statement.
#[derive(Debug)]
pub(crate) struct Column {
    pub(super) ordinal: usize,
    pub(super) name: Box<str>,
}

impl sqlx::Column for Column {
    type Database = Sqlite;

    fn ordinal(&self) -> usize {
        self.ordinal
    }

    fn name(&self) -> &str {
        &self.name
    }

    /// Each value says its own.
    fn type_info(&self) -> &Class {
        &Class::Null
    }
}

impl sqlx::Row for Row {
    type Database = Sqlite;

    fn len(&self) -> usize {
        self.cells.len()
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn try_get_raw<I: ColumnIndex<Self>>(&self, index: I) -> Result<&Cell, Error> {
        let (index, len) = (index.index(self)?, self.cells.len());
        self.cells.get(index).ok_or(Error::ColumnIndexOutOfBounds { index, len })
    }
}

impl ColumnIndex<Row> for usize {
    fn index(&self, _: &Row) -> Result<usize, Error> {
        Ok(*self)
    }
}

impl ColumnIndex<Row> for str {
    fn index(&self, row: &Row) -> Result<usize, Error> {
        let found = row.columns.iter().position(|column| &*column.name == self);
        found.ok_or_else(|| Error::ColumnNotFound(self.to_owned()))
    }
}

/// The parameters of a statement.
#[derive(Debug, Default)]
pub(crate) struct Arguments(pub(super) Vec<Cell>);

impl sqlx::Arguments for Arguments {
    type Database = Sqlite;

    fn reserve(&mut self, additional: usize, _: usize) {
        self.0.reserve(additional);
    }

    fn add<'t, T>(&mut self, value: T) -> Result<(), BoxDynError>
    where
        T: Encode<'t, Sqlite> + Type<Sqlite>,
    {
        if value.encode(&mut self.0)?.is_null() {
            self.0.push(Cell::Null);
        }
        Ok(())
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

impl sqlx::IntoArguments<Sqlite> for Arguments {
    fn into_arguments(self) -> Self {
        self
    }
}

/// A statement that was prepared by itself. Nothing here does so: every connection keeps its own by their text.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(super) sql: SqlStr,
}

impl sqlx::Statement for Statement {
    type Database = Sqlite;

    fn into_sql(self) -> SqlStr {
        self.sql
    }

    fn sql(&self) -> &SqlStr {
        &self.sql
    }

    fn parameters(&self) -> Option<sqlx::Either<&[Class], usize>> {
        None
    }

    fn columns(&self) -> &[Column] {
        &[]
    }

    sqlx_core::impl_statement_query!(Arguments);
}

impl ColumnIndex<Statement> for usize {
    fn index(&self, _: &Statement) -> Result<usize, Error> {
        Ok(*self)
    }
}
