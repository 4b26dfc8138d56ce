//! A mailbox's folders as its reader sees them: counted, a page at a time, found by row.

use crate::dialect::on;
use crate::writer::Touches;
use crate::{Error, FolderError, FolderRow, Store};
use mail_types::{ActorId, FolderId, MailboxId, UidValidity};

/// A folder with its counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderSummary {
    /// The folder.
    pub row: FolderRow,
    /// Validity of its UIDs.
    pub uid_validity: UidValidity,
    /// Messages.
    pub messages: u64,
    /// Messages that this reader has not seen.
    pub unseen: u64,
    /// Octets of all messages.
    pub size_bytes: u64,
}

/// id, name, special_use, selectable, uid_validity, message_count, seen, size_bytes
type Tuple = (i64, String, Option<String>, i64, i64, i64, i64, i64);

macro_rules! summary {
    ($where:literal) => {
        concat!(
            "SELECT f.id, f.name, f.special_use, f.selectable, f.uid_validity, f.message_count, \
             f.seen_count + COALESCE((SELECT s.seen_count FROM seen_counts s WHERE s.folder_id = f.id AND s.actor_id = $2), 0), \
             f.size_bytes FROM folders f WHERE f.mailbox_id = $1 AND ",
            $where
        )
    };
}

fn summary((id, name, special_use, selectable, validity, messages, seen, size): Tuple) -> FolderSummary {
    FolderSummary {
        row: FolderRow { id: FolderId(id), name, special_use, selectable: selectable != 0 },
        uid_validity: UidValidity(u32::try_from(validity).unwrap_or(u32::MAX)),
        messages: messages.max(0).unsigned_abs(),
        unseen: (messages - seen).max(0).unsigned_abs(),
        size_bytes: size.max(0).unsigned_abs(),
    }
}

impl Store {
    /// Folders of a mailbox by name, after `after`, at most `limit`. With `private_seen_of`, what that actor has seen counts.
    pub async fn folder_summaries(
        &self,
        mailbox: MailboxId,
        private_seen_of: Option<ActorId>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<FolderSummary>, Error> {
        let mut reader = self.reader().await?;
        let actor = private_seen_of.map_or(-1, |actor| actor.0);
        let rows: Vec<Tuple> = on!(reader.conn(), c => sqlx::query_as(summary!("f.name > $3 ORDER BY f.name LIMIT $4"))
            .bind(mailbox.0).bind(actor).bind(after).bind(i64::from(limit)).fetch_all(&mut *c).await)?;
        Ok(rows.into_iter().map(summary).collect())
    }

    /// One folder of a mailbox.
    pub async fn folder_summary(
        &self,
        mailbox: MailboxId,
        private_seen_of: Option<ActorId>,
        folder: FolderId,
    ) -> Result<Option<FolderSummary>, Error> {
        let mut reader = self.reader().await?;
        let actor = private_seen_of.map_or(-1, |actor| actor.0);
        let row: Option<Tuple> = on!(reader.conn(), c => sqlx::query_as(summary!("f.id = $3"))
            .bind(mailbox.0).bind(actor).bind(folder.0).fetch_optional(&mut *c).await)?;
        Ok(row.map(summary))
    }

    /// Renames a folder, if it still has the name that is expected. [`FolderError::NotFound`] when it has not.
    pub async fn rename_folder_named(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        expected: &str,
        to: &str,
    ) -> Result<Result<(), FolderError>, Error> {
        let (expected, to) = (expected.to_owned(), to.to_owned());
        self.write(Touches::from(mailbox), move |tx| {
            let (expected, to) = (expected.clone(), to.clone());
            Box::pin(async move {
                let found = tx.find_folder(mailbox, &expected).await?;
                if found.is_none_or(|row| row.id != folder) {
                    return Ok(Err(FolderError::NotFound));
                }
                tx.rename_folder(mailbox, &expected, &to).await
            })
        })
        .await
    }

    /// Deletes a folder with its messages, if it still has the name that is expected. [`FolderError::NotFound`] when it has not.
    pub async fn delete_folder_named(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        expected: &str,
    ) -> Result<Result<(), FolderError>, Error> {
        let expected = expected.to_owned();
        self.write(Touches::from(mailbox), move |tx| {
            let expected = expected.clone();
            Box::pin(async move {
                let found = tx.find_folder(mailbox, &expected).await?;
                if found.is_none_or(|row| row.id != folder) {
                    return Ok(Err(FolderError::NotFound));
                }
                tx.delete_folder(mailbox, &expected).await
            })
        })
        .await
    }
}
