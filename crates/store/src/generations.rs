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

async fn check_value_told(conn: Conn<'_>, generation: &str) -> Result<Option<Vec<u8>>, Error> {
    let told: Option<(Vec<u8>,)> = on!(conn, c => sqlx::query_as("SELECT check_value FROM key_generations WHERE name = $1")
        .bind(generation).fetch_optional(&mut *c).await)?;
    Ok(told.map(|(value,)| value))
}

impl Keyring {
    /// Refuses to wrap anything with the generation of the month while rows say that its file is lost, or is another one.
    ///
    /// # Errors
    /// [`Error::Key`], which names the file and the remedy.
    pub(crate) async fn assure_current(&self, mut conn: Conn<'_>, now: Timestamp) -> Result<(), Error> {
        let generation = month_name(now);
        if self.is_agreed(&generation) {
            return Ok(());
        }
        // One in memory needs no file.
        if !self.is_opened(&generation) {
            self.assure(conn.again(), &generation).await?;
        }
        self.agree(conn, &generation).await
    }

    /// Makes sure that all nodes wrap with the same key of this name: the first one tells what checks it, in the transaction of what it wraps.
    async fn agree(&self, mut conn: Conn<'_>, generation: &str) -> Result<(), Error> {
        let ours = self.check_value(generation)?;
        let told = check_value_told(conn.again(), generation).await?;
        if told.as_deref() == Some(ours.as_slice()) {
            self.note_agreed(generation);
            return Ok(());
        }
        // A key that wraps nothing any more may have been destroyed.
        if samples(conn.again(), generation).await?.is_empty() {
            on!(conn.again(), c => sqlx::query(
                "INSERT INTO key_generations (name, check_value) VALUES ($1, $2) \
                 ON CONFLICT (name) DO UPDATE SET check_value = excluded.check_value WHERE key_generations.check_value = $3")
                .bind(generation).bind(ours.as_slice()).bind(told.as_deref()).execute(&mut *c).await.map(|_| ()))?;
        } else if told.is_none() {
            on!(conn.again(), c => sqlx::query(
                "INSERT INTO key_generations (name, check_value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
                .bind(generation).bind(ours.as_slice()).execute(&mut *c).await.map(|_| ()))?;
        }
        // Another node may have told its own meanwhile.
        match check_value_told(conn, generation).await? {
            Some(told) if told == ours => Ok(()),
            _ => {
                self.forget_generation(generation);
                Err(Error::Key(self.other_generation(generation)))
            }
        }
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
    /// Those that are `lost` for good are left out: what their keys seal cannot be read any more, and nobody asks for the file.
    ///
    /// # Errors
    /// [`Error::Key`], which names every file that is not, and the remedy.
    pub async fn check_keys(&self, lost: &[String]) -> Result<(), Error> {
        let mut reader = self.reader().await?;
        let generations: Vec<(String,)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT generation FROM mailbox_keys UNION SELECT generation FROM audit_subjects UNION SELECT generation FROM operator_keys ORDER BY 1")
            .fetch_all(&mut *c).await)?;
        let mut faults = Vec::new();
        for (generation,) in generations.into_iter().filter(|(generation,)| !lost.contains(generation)) {
            match self.keyring().assure(reader.conn(), &generation).await {
                Err(Error::Key(fault)) => faults.push(fault),
                outcome => outcome?,
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(Error::Key(faults.join("; "))) }
    }
}
