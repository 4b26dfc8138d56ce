//! Annotations of folders (RFC 5464): short values that clients keep beside them, for everybody or for one actor, sealed under the mailbox's key.
//!
//! They do not count against the quota; each list, that which all share and that of each actor, is bounded by itself. It does not know who may see
//! or change them.

use crate::dialect::on;
use crate::writer::{Touches, WriteTx};
use crate::{Error, MailboxKey, SpecialUse, Store};
use mail_types::{ActorId, FolderId, MailboxId};
use std::collections::HashMap;

/// Octets of one value.
pub const ANNOTATION_MAX: usize = 64 * 1024;
/// Annotations in one list of one folder.
const ENTRIES_MAX: usize = 100;
/// Octets of all values of one list in a mailbox.
const OCTETS_MAX: usize = 4 * 1024 * 1024;
/// Removed annotations of one list of one folder that are still told of.
const REMOVED_KEPT: i64 = 100;
/// What stands before the names of annotations that are their actor's alone.
const PRIVATE: &str = "/private/";

/// What an annotation is of, and who asks.
#[derive(Clone, Debug)]
pub struct Annotated {
    /// In this mailbox.
    pub mailbox: MailboxId,
    /// A folder; none for what is kept for a login as a whole.
    pub folder: Option<FolderId>,
    /// Whose private annotations are meant.
    pub actor: ActorId,
    /// Of the mailbox.
    pub key: MailboxKey,
}

/// Annotations to be set, all or none.
#[derive(Clone, Debug, Default)]
pub struct AnnotationChange {
    /// By name; without a value, it goes. A name stands once.
    pub values: Vec<(String, Option<Vec<u8>>)>,
    /// The use that the folder is to have, or none, if that is to change.
    pub special_use: Option<Option<SpecialUse>>,
    /// The name of the folder, for the audit trail.
    pub folder_name: String,
}

/// Why annotations were not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnnotationError {
    /// The folder is gone.
    #[error("no such folder")]
    NoFolder,
    /// A value is larger than [`ANNOTATION_MAX`].
    #[error("an annotation is too large")]
    TooLarge,
    /// The list holds as many as it may, or as many octets.
    #[error("too many annotations")]
    TooMany,
    /// Another folder has the use that was asked for.
    #[error("another folder has this use")]
    UseTaken,
}

impl Annotated {
    fn folder_id(&self) -> i64 {
        self.folder.map_or(0, |folder| folder.0)
    }

    /// Whose list a name is in; 0 for that which all share.
    fn list(&self, name: &str) -> i64 {
        if name.starts_with(PRIVATE) { self.actor.0 } else { 0 }
    }

    /// What a sealed value is bound to. Not the folder: the annotations of INBOX are copied when it is renamed.
    fn context(&self, name: &str) -> Vec<u8> {
        let list = self.list(name);
        [&self.mailbox.0.to_be_bytes(), &list.to_be_bytes(), name.as_bytes()].concat()
    }
}

impl Store {
    /// The names of the annotations there are, those of the actor among them, and the octets of each, by name.
    pub async fn annotation_sizes(&self, of: &Annotated) -> Result<Vec<(String, u64)>, Error> {
        let empty = of.key.seal_annotation(&[], &[]).len() as u64;
        let mut reader = self.quick_reader().await?;
        let rows: Vec<(String, i64)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT name, CAST(LENGTH(value) AS BIGINT) FROM annotations WHERE mailbox_id = $1 AND folder_id = $2 AND actor_id IN (0, $3) AND value IS NOT NULL")
            .bind(of.mailbox.0).bind(of.folder_id()).bind(of.actor.0).fetch_all(&mut *c).await)?;
        let mut sizes: Vec<(String, u64)> = rows
            .into_iter()
            .map(|(name, sealed)| (name, sealed.unsigned_abs().saturating_sub(empty)))
            .collect();
        sizes.sort_unstable();
        Ok(sizes)
    }

    /// The value of an annotation.
    pub async fn annotation(&self, of: &Annotated, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let mut reader = self.quick_reader().await?;
        let row: Option<(Vec<u8>,)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT value FROM annotations WHERE mailbox_id = $1 AND folder_id = $2 AND actor_id = $3 AND name = $4 AND value IS NOT NULL")
            .bind(of.mailbox.0).bind(of.folder_id()).bind(of.list(name)).bind(name).fetch_optional(&mut *c).await)?;
        row.map(|(sealed,)| of.key.open_annotation(&of.context(name), &sealed)).transpose()
    }

    /// The names of annotations that were set or removed since, those of the actor among them, with their folders, in order.
    pub async fn annotations_since(
        &self,
        mailbox: MailboxId,
        actor: ActorId,
        since: i64,
    ) -> Result<Vec<(Option<FolderId>, String)>, Error> {
        let mut reader = self.quick_reader().await?;
        let rows: Vec<(i64, String)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT folder_id, name FROM annotations WHERE mailbox_id = $1 AND seq > $2 AND actor_id IN (0, $3) ORDER BY seq, folder_id, name")
            .bind(mailbox.0).bind(since).bind(actor.0).fetch_all(&mut *c).await)?;
        let named = |(folder, name): (i64, String)| ((folder != 0).then_some(FolderId(folder)), name);
        Ok(rows.into_iter().map(named).collect())
    }

    /// Sets and removes annotations, all or none.
    pub async fn annotate(
        &self,
        of: Annotated,
        change: AnnotationChange,
    ) -> Result<Result<(), AnnotationError>, Error> {
        if change.values.iter().flat_map(|(_, value)| value).any(|value| value.len() > ANNOTATION_MAX) {
            return Ok(Err(AnnotationError::TooLarge));
        }
        let seal = |(name, value): &(String, Option<Vec<u8>>)| {
            let sealed = value.as_deref().map(|value| of.key.seal_annotation(&of.context(name), value));
            (name.clone(), sealed)
        };
        let sealed: Vec<_> = change.values.iter().map(seal).collect();
        let change = AnnotationChange { values: Vec::new(), ..change };
        self.write(Touches::from(of.mailbox), move |tx| {
            let (of, change, sealed) = (of.clone(), change.clone(), sealed.clone());
            Box::pin(async move { tx.annotate(&of, &change, &sealed).await })
        })
        .await
    }
}

impl WriteTx {
    async fn annotate(
        &mut self,
        of: &Annotated,
        change: &AnnotationChange,
        sealed: &[(String, Option<Vec<u8>>)],
    ) -> Result<Result<(), AnnotationError>, Error> {
        if let Some(folder) = of.folder {
            let there: Option<(i64,)> = on!(self.conn(), c => sqlx::query_as("SELECT id FROM folders WHERE id = $1 AND mailbox_id = $2")
                .bind(folder.0).bind(of.mailbox.0).fetch_optional(&mut *c).await)?;
            if there.is_none() {
                return Ok(Err(AnnotationError::NoFolder));
            }
        }
        // Nothing is written before everything is known to fit.
        if !self.annotations_fit(of, sealed).await? {
            return Ok(Err(AnnotationError::TooMany));
        }
        if let (Some(folder), Some(special_use)) = (of.folder, change.special_use)
            && !self.set_use(of.mailbox, folder, special_use).await?
        {
            return Ok(Err(AnnotationError::UseTaken));
        }
        if let (Some(folder), Some(special_use)) = (of.folder, change.special_use) {
            let detail = format!("use={}", special_use.map_or("none", |special_use| special_use.0));
            let names = (Some(change.folder_name.as_str()), None);
            self.tell_folder(of.mailbox, folder, "folder.annotated", names, detail).await?;
        }
        if sealed.is_empty() {
            return Ok(Ok(()));
        }
        let seq = self.next_annotation_seq(of.mailbox).await?;
        let folder = of.folder_id();
        for (name, value) in sealed {
            let sql = match value {
                Some(_) => {
                    "INSERT INTO annotations (mailbox_id, folder_id, actor_id, name, value, seq) VALUES ($1, $2, $3, $4, $5, $6) \
                     ON CONFLICT (mailbox_id, folder_id, actor_id, name) DO UPDATE SET value = excluded.value, seq = excluded.seq"
                }
                None => {
                    "UPDATE annotations SET value = $5, seq = $6 WHERE mailbox_id = $1 AND folder_id = $2 AND actor_id = $3 AND name = $4 AND value IS NOT NULL"
                }
            };
            on!(self.conn(), c => sqlx::query(sql).bind(of.mailbox.0).bind(folder).bind(of.list(name)).bind(name).bind(value.as_deref()).bind(seq)
                .execute(&mut *c).await.map(|_| ()))?;
        }
        for list in [0, of.actor.0] {
            on!(self.conn(), c => sqlx::query(
                "DELETE FROM annotations WHERE mailbox_id = $1 AND folder_id = $2 AND actor_id = $3 AND value IS NULL AND seq <= \
                 (SELECT seq FROM annotations WHERE mailbox_id = $1 AND folder_id = $2 AND actor_id = $3 AND value IS NULL ORDER BY seq DESC LIMIT 1 OFFSET $4)")
                .bind(of.mailbox.0).bind(folder).bind(list).bind(REMOVED_KEPT).execute(&mut *c).await.map(|_| ()))?;
        }
        let shared = sealed.iter().filter(|(name, _)| of.list(name) == 0).count();
        if let Some(folder) = of.folder.filter(|_| shared > 0) {
            let detail = format!("count={shared}");
            self.tell_folder(
                of.mailbox,
                folder,
                "folder.annotated",
                (Some(&change.folder_name), None),
                detail,
            )
            .await?;
        }
        Ok(Ok(()))
    }

    async fn next_annotation_seq(&mut self, mailbox: MailboxId) -> Result<i64, Error> {
        let (seq,): (i64,) = on!(self.conn(), c => sqlx::query_as("UPDATE mailboxes SET annotation_seq = annotation_seq + 1 WHERE id = $1 RETURNING annotation_seq")
            .bind(mailbox.0).fetch_one(&mut *c).await)?;
        self.mailbox_changed(mailbox);
        Ok(seq)
    }

    /// Whether both lists are within their bounds afterwards, or no larger than they were.
    async fn annotations_fit(
        &mut self,
        of: &Annotated,
        sealed: &[(String, Option<Vec<u8>>)],
    ) -> Result<bool, Error> {
        for list in [0, of.actor.0] {
            let changes: Vec<_> = sealed.iter().filter(|(name, _)| of.list(name) == list).collect();
            if changes.is_empty() {
                continue;
            }
            let rows: Vec<(String, i64)> = on!(self.conn(), c => sqlx::query_as(
                "SELECT name, CAST(LENGTH(value) AS BIGINT) FROM annotations WHERE mailbox_id = $1 AND folder_id = $2 AND actor_id = $3 AND value IS NOT NULL")
                .bind(of.mailbox.0).bind(of.folder_id()).bind(list).fetch_all(&mut *c).await)?;
            let (all,): (i64,) = on!(self.conn(), c => sqlx::query_as(
                "SELECT CAST(COALESCE(SUM(LENGTH(value)), 0) AS BIGINT) FROM annotations WHERE mailbox_id = $1 AND actor_id = $2")
                .bind(of.mailbox.0).bind(list).fetch_one(&mut *c).await)?;
            let mut entries: HashMap<&str, usize> = rows
                .iter()
                .map(|(name, octets)| (name.as_str(), usize::try_from(*octets).unwrap_or(0)))
                .collect();
            let (count, here) = (entries.len(), entries.values().sum::<usize>());
            for (name, value) in changes {
                match value {
                    Some(value) => entries.insert(name, value.len()),
                    None => entries.remove(name.as_str()),
                };
            }
            let elsewhere = usize::try_from(all).unwrap_or(0).saturating_sub(here);
            let becomes = entries.values().sum::<usize>();
            let is_more = entries.len() > count && entries.len() > ENTRIES_MAX;
            if is_more || (becomes > here && elsewhere + becomes > OCTETS_MAX) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What is annotated in one folder is annotated in the other too, where the mailbox has room for it.
    pub(crate) async fn copy_annotations(
        &mut self,
        mailbox: MailboxId,
        from: FolderId,
        to: FolderId,
    ) -> Result<(), Error> {
        // All lists together, so that none of them grows past its bound.
        let (all, copied): (i64, i64) = on!(self.conn(), c => sqlx::query_as(
            "SELECT CAST(COALESCE(SUM(LENGTH(value)), 0) AS BIGINT), CAST(COALESCE(SUM(CASE WHEN folder_id = $2 THEN LENGTH(value) ELSE 0 END), 0) AS BIGINT) \
             FROM annotations WHERE mailbox_id = $1 AND value IS NOT NULL").bind(mailbox.0).bind(from.0).fetch_one(&mut *c).await)?;
        if usize::try_from(all + copied).unwrap_or(usize::MAX) > OCTETS_MAX {
            return Ok(());
        }
        let seq = self.next_annotation_seq(mailbox).await?;
        on!(self.conn(), c => sqlx::query(
            "INSERT INTO annotations (mailbox_id, folder_id, actor_id, name, value, seq) \
             SELECT mailbox_id, $3, actor_id, name, value, $4 FROM annotations WHERE mailbox_id = $1 AND folder_id = $2 AND value IS NOT NULL")
            .bind(mailbox.0).bind(from.0).bind(to.0).bind(seq).execute(&mut *c).await.map(|_| ()))?;
        Ok(())
    }
}
