//! Whether the key folder fits the keys of the database. Three tables hold wrapped keys, of mailboxes, of subjects of the audit trail and of the
//! operator; each row names the generation that wraps it, a file of the key folder.
//!
//! It does not know what the keys are for.

use crate::dialect::{Conn, on};
use crate::keys::{Keyring, month_name};
use crate::{Error, Store};
use mail_types::Timestamp;

/// One wrapped key of each table: the id of a subject, the name of an operator's key, the number of a mailbox, and the key.
type Sample = (Option<Vec<u8>>, String, i64, Vec<u8>);

/// One key of each table that a generation wraps, each with what it is bound to.
async fn samples(conn: Conn<'_>, generation: &str) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Error> {
    let rows: Vec<Sample> = on!(conn, c => sqlx::query_as(
        "SELECT id, '', CAST(0 AS BIGINT), wrapped FROM (SELECT id, wrapped FROM audit_subjects WHERE generation = $1 LIMIT 1) AS of_subjects \
         UNION ALL SELECT NULL, name, 0, wrapped FROM (SELECT name, wrapped FROM operator_keys WHERE generation = $1 LIMIT 1) AS of_operator \
         UNION ALL SELECT NULL, '', mailbox_id, wrapped FROM (SELECT mailbox_id, wrapped FROM mailbox_keys WHERE generation = $1 LIMIT 1) AS of_mailboxes")
        .bind(generation).fetch_all(&mut *c).await)?;
    let bound = |(subject, name, mailbox, wrapped): Sample| {
        let context = match subject {
            Some(subject) => subject,
            None if name.is_empty() => mailbox.to_be_bytes().to_vec(),
            None => name.into_bytes(),
        };
        (context, wrapped)
    };
    Ok(rows.into_iter().map(bound).collect())
}

impl Keyring {
    /// Refuses to wrap anything with the generation of the month while rows say that its file is lost, or is another one.
    ///
    /// # Errors
    /// [`Error::Key`], which names the file and the remedy.
    pub(crate) async fn assure_current(&self, conn: Conn<'_>, now: Timestamp) -> Result<(), Error> {
        let generation = month_name(now);
        // One in memory needs no file.
        if self.is_opened(&generation) { Ok(()) } else { self.assure(conn, &generation).await }
    }

    /// Opens one key of each table that a generation wraps.
    async fn assure(&self, conn: Conn<'_>, generation: &str) -> Result<(), Error> {
        let was_opened = self.is_opened(generation);
        for (context, wrapped) in samples(conn, generation).await? {
            if !was_opened && !self.has_file(generation) {
                return Err(self.lost_generation(generation));
            }
            self.unwrap_of(generation, &context, &wrapped)?;
        }
        Ok(())
    }
}

impl Store {
    /// Asks of every generation that wraps a key of this store whether its file is there and is the right one: before anything is served.
    ///
    /// # Errors
    /// [`Error::Key`], which names every file that is not, and the remedy.
    pub async fn check_keys(&self) -> Result<(), Error> {
        let mut reader = self.reader().await?;
        let generations: Vec<(String,)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT generation FROM mailbox_keys UNION SELECT generation FROM audit_subjects UNION SELECT generation FROM operator_keys ORDER BY 1")
            .fetch_all(&mut *c).await)?;
        let mut faults = Vec::new();
        for (generation,) in generations {
            match self.keyring().assure(reader.conn(), &generation).await {
                Err(Error::Key(fault)) => faults.push(fault),
                outcome => outcome?,
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(Error::Key(faults.join("; "))) }
    }
}
