//! Counters that change in the same transaction as what they stand for: a running server asks them often and reads again what changed.

use crate::dialect::on;
use crate::writer::WriteTx;
use crate::{Error, Store};

/// What a counter stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revision {
    /// Local decisions of trust, and departures from the white list.
    Trust,
    /// Something that an open session rests on was taken away or changed: a grant, a certificate rule, a password, a mailbox. What is only
    /// added leaves it.
    Directory,
}

impl Revision {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Trust => "trust",
            Self::Directory => "directory",
        }
    }
}

impl Store {
    /// The counter now. It never comes back to a value that it had.
    pub async fn revision(&self, of: Revision) -> Result<i64, Error> {
        let mut reader = self.reader().await?;
        let row: Option<(i64,)> = on!(reader.conn(), c => sqlx::query_as("SELECT revision FROM revisions WHERE name = $1")
            .bind(of.as_str()).fetch_optional(&mut *c).await)?;
        row.map(|(revision,)| revision).ok_or(Error::Inconsistent("a row of revisions is missing"))
    }
}

impl WriteTx {
    /// Moves the counter on, in this transaction.
    pub(crate) async fn revised(&mut self, what: Revision) -> Result<(), Error> {
        on!(self.conn(), c => sqlx::query("UPDATE revisions SET revision = revision + 1 WHERE name = $1")
            .bind(what.as_str()).execute(&mut *c).await.map(|_| ()))?;
        Ok(())
    }
}
