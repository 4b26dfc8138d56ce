//! Folders: what RFC 9051 calls mailboxes. Names are UTF-8 paths with `/` between levels; `INBOX` is always there.

use crate::dialect::on;
use crate::writer::{Touches, WriteTx};
use crate::{Error, Store};
use mail_types::{ActorId, FolderId, MailboxId, ModSeq, UidValidity};

/// Folders that one mailbox may have.
const FOLDERS_MAX: i64 = 5_000;

/// RFC 6154 uses that a folder can have, by their names on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpecialUse(pub &'static str);

impl SpecialUse {
    /// What was sent.
    pub const SENT: Self = Self("\\Sent");
    /// What waits to be gone for good.
    pub const TRASH: Self = Self("\\Trash");

    /// The uses that a client may ask for.
    pub const KNOWN: [&'static str; 5] = ["\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash"];

    /// The use of that name, whatever its case.
    pub fn named(name: &str) -> Option<Self> {
        Self::KNOWN.iter().find(|known| known.eq_ignore_ascii_case(name)).map(|known| Self(known))
    }
}

/// Folders that every new mailbox has.
pub(crate) const DEFAULT_FOLDERS: [(&str, Option<&str>); 6] = [
    ("INBOX", None),
    ("Archive", Some("\\Archive")),
    ("Drafts", Some("\\Drafts")),
    ("Junk", Some("\\Junk")),
    ("Sent", Some("\\Sent")),
    ("Trash", Some("\\Trash")),
];

/// A folder as LIST and STATUS see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderRow {
    /// Row.
    pub id: FolderId,
    /// Full path, UTF-8.
    pub name: String,
    /// RFC 6154 use.
    pub special_use: Option<String>,
    /// False for a name that only has children.
    pub selectable: bool,
}

/// Counters of a folder, as its reader sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FolderStatus {
    /// Row.
    pub id: FolderId,
    /// Validity of UIDs.
    pub uid_validity: UidValidity,
    /// Next UID to be given.
    pub uid_next: u32,
    /// Highest modification sequence.
    pub modseq: ModSeq,
    /// Messages.
    pub messages: u32,
    /// Messages that no session has seen as recent.
    pub recent: u32,
    /// Messages that this reader has not seen.
    pub unseen: u32,
    /// Messages marked `\Deleted`.
    pub deleted: u32,
    /// Octets of all messages.
    pub size_bytes: u64,
}

/// Why a folder operation was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FolderError {
    /// No folder of that name.
    #[error("no such folder")]
    NotFound,
    /// A folder of that name is there already.
    #[error("the folder exists already")]
    Exists,
    /// INBOX cannot be deleted, nor a name that is not a folder.
    #[error("this folder cannot be changed so")]
    Forbidden,
    /// The mailbox has as many folders as it may have.
    #[error("too many folders")]
    TooMany,
    /// Another folder has the use that was asked for.
    #[error("another folder has this use")]
    UseTaken,
}

impl Store {
    /// Every folder of a mailbox, by name.
    pub async fn folders(&self, mailbox: MailboxId) -> Result<Vec<FolderRow>, Error> {
        let mut reader = self.quick_reader().await?;
        let rows: Vec<(i64, String, Option<String>, i64)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT id, name, special_use, selectable FROM folders WHERE mailbox_id = $1 ORDER BY name")
            .bind(mailbox.0).fetch_all(&mut *c).await)?;
        Ok(rows.into_iter().map(folder_row).collect())
    }

    /// The folder of that name.
    pub async fn folder(&self, mailbox: MailboxId, name: &str) -> Result<Option<FolderRow>, Error> {
        let mut reader = self.quick_reader().await?;
        let row: Option<(i64, String, Option<String>, i64)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT id, name, special_use, selectable FROM folders WHERE mailbox_id = $1 AND name = $2")
            .bind(mailbox.0).bind(name).fetch_optional(&mut *c).await)?;
        Ok(row.map(folder_row))
    }

    /// The folder that has that use; the oldest of several.
    pub async fn folder_with_use(
        &self,
        mailbox: MailboxId,
        special_use: SpecialUse,
    ) -> Result<Option<FolderRow>, Error> {
        let mut reader = self.quick_reader().await?;
        let row: Option<(i64, String, Option<String>, i64)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT id, name, special_use, selectable FROM folders WHERE mailbox_id = $1 AND special_use = $2 AND selectable = 1 ORDER BY id LIMIT 1")
            .bind(mailbox.0).bind(special_use.0).fetch_optional(&mut *c).await)?;
        Ok(row.map(folder_row))
    }

    /// Counters of a folder. With `private_seen_of`, what that actor has seen counts; otherwise the shared `\Seen`.
    pub async fn folder_status(
        &self,
        folder: FolderId,
        private_seen_of: Option<ActorId>,
    ) -> Result<Option<FolderStatus>, Error> {
        let mut reader = self.quick_reader().await?;
        let row: Option<StatusTuple> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT uid_validity, uid_next, recent_uid, modseq, message_count, seen_count, deleted_count, size_bytes FROM folders WHERE id = $1")
            .bind(folder.0).fetch_optional(&mut *c).await)?;
        let Some((validity, next, recent_uid, modseq, messages, seen, deleted, size)) = row else {
            return Ok(None);
        };
        let seen = match private_seen_of {
            None => seen,
            Some(actor) => on!(reader.conn(), c => sqlx::query_as::<_, (i64,)>(
                "SELECT seen_count FROM seen_counts WHERE folder_id = $1 AND actor_id = $2")
                .bind(folder.0).bind(actor.0).fetch_optional(&mut *c).await)?
            .map_or(seen, |(more,)| seen + more),
        };
        let recent_uid = recent_uid.max(i64::from(self.recent_told(folder)));
        let recent = if recent_uid < next {
            let (count,): (i64,) = on!(reader.conn(), c => sqlx::query_as(
                "SELECT COUNT(*) FROM messages WHERE folder_id = $1 AND uid >= $2").bind(folder.0).bind(recent_uid).fetch_one(&mut *c).await)?;
            count
        } else {
            0
        };
        Ok(Some(FolderStatus {
            id: folder,
            uid_validity: UidValidity(clip(validity)),
            uid_next: clip(next),
            modseq: ModSeq(modseq.unsigned_abs()),
            messages: clip(messages),
            recent: clip(recent),
            unseen: clip((messages - seen).max(0)),
            deleted: clip(deleted),
            size_bytes: size.unsigned_abs(),
        }))
    }

    /// Makes a folder and the missing levels above it. A use that another folder has is not given twice.
    pub async fn create_folder(
        &self,
        mailbox: MailboxId,
        name: &str,
        special_use: Option<SpecialUse>,
    ) -> Result<Result<FolderId, FolderError>, Error> {
        let name = name.to_owned();
        self.write(Touches::from(mailbox), move |tx| {
            let name = name.clone();
            Box::pin(async move {
                let created = tx.create_folder(mailbox, &name, special_use).await?;
                if let Ok(folder) = created {
                    let names = (None, Some(name.as_str()));
                    tx.tell_folder(mailbox, folder, "folder.created", names, String::new()).await?;
                }
                Ok(created)
            })
        })
        .await
    }

    /// Deletes a folder with its messages. One that has children stays as a name that cannot be selected (RFC 9051 §6.3.5).
    pub async fn delete_folder(
        &self,
        mailbox: MailboxId,
        name: &str,
    ) -> Result<Result<(), FolderError>, Error> {
        let name = name.to_owned();
        self.write(Touches::from(mailbox), move |tx| {
            let name = name.clone();
            Box::pin(async move { tx.delete_folder(mailbox, &name).await })
        })
        .await
    }

    /// Renames a folder and everything below it. Renaming INBOX moves its messages to the new name (RFC 9051 §6.3.6).
    pub async fn rename_folder(
        &self,
        mailbox: MailboxId,
        from: &str,
        to: &str,
    ) -> Result<Result<(), FolderError>, Error> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.write(Touches::from(mailbox), move |tx| {
            let (from, to) = (from.clone(), to.clone());
            Box::pin(async move { tx.rename_folder(mailbox, &from, &to).await })
        })
        .await
    }

    /// Names that an actor subscribed to in a mailbox.
    pub async fn subscriptions(&self, mailbox: MailboxId, actor: ActorId) -> Result<Vec<String>, Error> {
        let mut reader = self.quick_reader().await?;
        let rows: Vec<(String,)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT name FROM subscriptions WHERE mailbox_id = $1 AND actor_id = $2 ORDER BY name")
            .bind(mailbox.0).bind(actor.0).fetch_all(&mut *c).await)?;
        Ok(rows.into_iter().map(|(name,)| name).collect())
    }

    /// Subscribes an actor to a name, or ends it. Either is fine twice.
    pub async fn subscribe(
        &self,
        mailbox: MailboxId,
        actor: ActorId,
        name: &str,
        is_subscribed: bool,
    ) -> Result<(), Error> {
        let name = name.to_owned();
        self.write(Touches::from(mailbox), move |tx| {
            let name = name.clone();
            Box::pin(async move {
                if is_subscribed {
                    tx.subscribe(mailbox, actor, &name).await
                } else {
                    tx.unsubscribe(mailbox, actor, &name).await
                }
            })
        })
        .await
    }
}

/// uid_validity, uid_next, recent_uid, modseq, message_count, seen_count, deleted_count, size_bytes
type StatusTuple = (i64, i64, i64, i64, i64, i64, i64, i64);

fn folder_row((id, name, special_use, selectable): (i64, String, Option<String>, i64)) -> FolderRow {
    FolderRow { id: FolderId(id), name, special_use, selectable: selectable != 0 }
}

pub(crate) fn clip(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(if value < 0 { 0 } else { u32::MAX })
}

impl WriteTx {
    pub(crate) async fn find_folder(
        &mut self,
        mailbox: MailboxId,
        name: &str,
    ) -> Result<Option<FolderRow>, Error> {
        let row: Option<(i64, String, Option<String>, i64)> = on!(self.conn(), c => sqlx::query_as(
            "SELECT id, name, special_use, selectable FROM folders WHERE mailbox_id = $1 AND name = $2")
            .bind(mailbox.0).bind(name).fetch_optional(&mut *c).await)?;
        Ok(row.map(folder_row))
    }

    async fn create_folder(
        &mut self,
        mailbox: MailboxId,
        name: &str,
        special_use: Option<SpecialUse>,
    ) -> Result<Result<FolderId, FolderError>, Error> {
        let (count,): (i64,) = on!(self.conn(), c => sqlx::query_as("SELECT COUNT(*) FROM folders WHERE mailbox_id = $1")
            .bind(mailbox.0).fetch_one(&mut *c).await)?;
        if count >= FOLDERS_MAX {
            return Ok(Err(FolderError::TooMany));
        }
        let there = self.find_folder(mailbox, name).await?;
        if there.as_ref().is_some_and(|folder| folder.selectable) {
            return Ok(Err(FolderError::Exists));
        }
        if let Some(special_use) = special_use
            && self.has_use(mailbox, special_use).await?
        {
            return Ok(Err(FolderError::UseTaken));
        }
        for (end, _) in name.match_indices('/') {
            let parent = &name[..end];
            if self.find_folder(mailbox, parent).await?.is_none() {
                self.insert_below(mailbox, parent, None).await?;
            }
        }
        let Some(folder) = there else {
            return Ok(Ok(self.insert_below(mailbox, name, special_use.map(|s| s.0)).await?));
        };
        self.folders_changed(mailbox).await?;
        on!(self.conn(), c => sqlx::query("UPDATE folders SET selectable = 1, special_use = $2 WHERE id = $1")
            .bind(folder.id.0).bind(special_use.map(|s| s.0)).execute(&mut *c).await.map(|_| ()))?;
        Ok(Ok(folder.id))
    }

    /// Gives a folder a use, or takes it away. False when another folder has it.
    pub(crate) async fn set_use(
        &mut self,
        mailbox: MailboxId,
        folder: FolderId,
        special_use: Option<SpecialUse>,
    ) -> Result<bool, Error> {
        let taken: Option<(i64,)> = on!(self.conn(), c => sqlx::query_as(
            "SELECT id FROM folders WHERE mailbox_id = $1 AND special_use = $2 AND id <> $3 LIMIT 1")
            .bind(mailbox.0).bind(special_use.map(|s| s.0)).bind(folder.0).fetch_optional(&mut *c).await)?;
        if taken.is_some() {
            return Ok(false);
        }
        self.folders_changed(mailbox).await?;
        on!(self.conn(), c => sqlx::query("UPDATE folders SET special_use = $2 WHERE id = $1")
            .bind(folder.0).bind(special_use.map(|s| s.0)).execute(&mut *c).await.map(|_| ()))?;
        Ok(true)
    }

    /// Whether a folder of the mailbox has that use.
    async fn has_use(&mut self, mailbox: MailboxId, special_use: SpecialUse) -> Result<bool, Error> {
        let found: Option<(i64,)> = on!(self.conn(), c => sqlx::query_as("SELECT id FROM folders WHERE mailbox_id = $1 AND special_use = $2 LIMIT 1")
            .bind(mailbox.0).bind(special_use.0).fetch_optional(&mut *c).await)?;
        Ok(found.is_some())
    }

    /// A new row, in which is given what was given in the folder above it.
    async fn insert_below(
        &mut self,
        mailbox: MailboxId,
        name: &str,
        special_use: Option<&str>,
    ) -> Result<FolderId, Error> {
        let above = match name.rsplit_once('/') {
            Some((above, _)) => self.find_folder(mailbox, above).await?,
            None => None,
        };
        let folder = self.insert_folder(mailbox, name, special_use).await?;
        if let Some(above) = above {
            self.give_as_in(above.id, folder).await?;
        }
        Ok(folder)
    }

    /// What was given in one folder is given in another, where nothing is given yet.
    async fn give_as_in(&mut self, from: FolderId, to: FolderId) -> Result<(), Error> {
        let now = self.now.0;
        on!(self.conn(), c => sqlx::query(
            "INSERT INTO grants (mailbox_id, folder_id, actor_id, rights, role, expires_at_ms, granted_by_actor_id, granted_at_ms, revision) \
             SELECT mailbox_id, $2, actor_id, rights, role, expires_at_ms, granted_by_actor_id, granted_at_ms, $3 FROM grants WHERE folder_id = $1")
            .bind(from.0).bind(to.0).bind(now).execute(&mut *c).await.map(|_| ()))?;
        Ok(())
    }

    /// A new row, with a UIDVALIDITY that no folder of the mailbox ever had.
    pub(crate) async fn insert_folder(
        &mut self,
        mailbox: MailboxId,
        name: &str,
        special_use: Option<&str>,
    ) -> Result<FolderId, Error> {
        let (validity,): (i64,) = on!(self.conn(), c => sqlx::query_as(
            "UPDATE mailboxes SET next_uid_validity = next_uid_validity + 1, folder_seq = folder_seq + 1 WHERE id = $1 RETURNING next_uid_validity - 1")
            .bind(mailbox.0).fetch_one(&mut *c).await)?;
        self.mailbox_changed(mailbox);
        let now = self.now.0;
        let (id,): (i64,) = on!(self.conn(), c => sqlx::query_as(
            "INSERT INTO folders (mailbox_id, name, special_use, uid_validity, created_at_ms) VALUES ($1, $2, $3, $4, $5) RETURNING id")
            .bind(mailbox.0).bind(name).bind(special_use).bind(validity).bind(now).fetch_one(&mut *c).await)?;
        Ok(FolderId(id))
    }

    pub(crate) async fn delete_folder(
        &mut self,
        mailbox: MailboxId,
        name: &str,
    ) -> Result<Result<(), FolderError>, Error> {
        if name == "INBOX" {
            return Ok(Err(FolderError::Forbidden));
        }
        let Some(folder) = self.find_folder(mailbox, name).await? else {
            return Ok(Err(FolderError::NotFound));
        };
        let has_children = !self.children(mailbox, name).await?.is_empty();
        if has_children && !folder.selectable {
            return Ok(Err(FolderError::Forbidden));
        }
        let messages = self.empty_folder(mailbox, folder.id).await?;
        let detail = format!("messages={messages}");
        self.tell_folder(mailbox, folder.id, "folder.removed", (Some(name), None), detail).await?;
        // Sessions on an empty folder have to learn of it too.
        self.changed(folder.id);
        self.folders_changed(mailbox).await?;
        on!(self.conn(), c => sqlx::query("DELETE FROM annotations WHERE mailbox_id = $1 AND folder_id = $2")
            .bind(mailbox.0).bind(folder.id.0).execute(&mut *c).await.map(|_| ()))?;
        if has_children {
            on!(self.conn(), c => sqlx::query("UPDATE folders SET selectable = 0, special_use = NULL WHERE id = $1")
                .bind(folder.id.0).execute(&mut *c).await.map(|_| ()))?;
            return Ok(Ok(()));
        }
        for sql in [
            "DELETE FROM expunged WHERE folder_id = $1",
            "DELETE FROM seen WHERE folder_id = $1",
            "DELETE FROM seen_counts WHERE folder_id = $1",
            "DELETE FROM folder_keywords WHERE folder_id = $1",
            "DELETE FROM grants WHERE folder_id = $1",
            "DELETE FROM folders WHERE id = $1",
        ] {
            on!(self.conn(), c => sqlx::query(sql).bind(folder.id.0).execute(&mut *c).await.map(|_| ()))?;
        }
        Ok(Ok(()))
    }

    /// (id, name) of every folder below `name`.
    async fn children(&mut self, mailbox: MailboxId, name: &str) -> Result<Vec<(i64, String)>, Error> {
        let rows: Vec<(i64, String)> = on!(self.conn(), c => sqlx::query_as(
            "SELECT id, name FROM folders WHERE mailbox_id = $1 AND substr(name, 1, CAST($2 AS INTEGER)) = $3 ORDER BY name")
            .bind(mailbox.0).bind(i64::try_from(name.chars().count()).unwrap_or(i64::MAX) + 1).bind(format!("{name}/"))
            .fetch_all(&mut *c).await)?;
        Ok(rows)
    }

    pub(crate) async fn rename_folder(
        &mut self,
        mailbox: MailboxId,
        from: &str,
        to: &str,
    ) -> Result<Result<(), FolderError>, Error> {
        let Some(folder) = self.find_folder(mailbox, from).await? else {
            return Ok(Err(FolderError::NotFound));
        };
        let inside_itself = to.strip_prefix(from).is_some_and(|rest| rest.starts_with('/'));
        if to == "INBOX" || (inside_itself && from != "INBOX") {
            return Ok(Err(FolderError::Forbidden));
        }
        if self.find_folder(mailbox, to).await?.is_some() {
            return Ok(Err(FolderError::Exists));
        }
        if from == "INBOX" {
            return match self.create_folder(mailbox, to, None).await? {
                Ok(target) => {
                    // Who was kept from these messages, or let at them, still is.
                    on!(self.conn(), c => sqlx::query("DELETE FROM grants WHERE folder_id = $1").bind(target.0).execute(&mut *c).await.map(|_| ()))?;
                    self.give_as_in(folder.id, target).await?;
                    let moved = self.move_messages(mailbox, folder.id, target, None, None).await?;
                    let Ok(moved) = moved else { return Ok(Err(FolderError::TooMany)) };
                    self.copy_annotations(mailbox, folder.id, target).await?;
                    let detail = format!("messages={} to={target}", moved.uids.len());
                    self.tell_folder(mailbox, folder.id, "folder.renamed", (Some(from), Some(to)), detail)
                        .await?;
                    Ok(Ok(()))
                }
                Err(error) => Ok(Err(error)),
            };
        }
        for (end, _) in to.match_indices('/') {
            if self.find_folder(mailbox, &to[..end]).await?.is_none() {
                self.insert_below(mailbox, &to[..end], None).await?;
            }
        }
        self.folders_changed(mailbox).await?;
        let mut moves = self.children(mailbox, from).await?;
        let detail = format!("folders_below={}", moves.len());
        self.tell_folder(mailbox, folder.id, "folder.renamed", (Some(from), Some(to)), detail).await?;
        moves.push((folder.id.0, from.to_owned()));
        for (id, name) in moves {
            let renamed = format!("{to}{}", &name[from.len()..]);
            on!(self.conn(), c => sqlx::query("UPDATE folders SET name = $2 WHERE id = $1").bind(id).bind(&renamed).execute(&mut *c).await.map(|_| ()))?;
        }
        Ok(Ok(()))
    }

    pub(crate) async fn subscribe(
        &mut self,
        mailbox: MailboxId,
        actor: ActorId,
        name: &str,
    ) -> Result<(), Error> {
        on!(self.conn(), c => sqlx::query(
            "INSERT INTO subscriptions (mailbox_id, actor_id, name) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(mailbox.0).bind(actor.0).bind(name).execute(&mut *c).await.map(|_| ()))?;
        self.subscriptions_changed(mailbox).await
    }

    async fn unsubscribe(&mut self, mailbox: MailboxId, actor: ActorId, name: &str) -> Result<(), Error> {
        on!(self.conn(), c => sqlx::query("DELETE FROM subscriptions WHERE mailbox_id = $1 AND actor_id = $2 AND name = $3")
            .bind(mailbox.0).bind(actor.0).bind(name).execute(&mut *c).await.map(|_| ()))?;
        self.subscriptions_changed(mailbox).await
    }
}
