//! Reading a folder: the picture that SELECT takes, and the changes since.
//!
//! No read transaction is held between calls. A picture is taken with the folder's MODSEQ read *before* the rows: rows may be newer than
//! it, never older, and the next look at the change log repeats at worst what is known already. The folder's MODSEQ is taken under a lock
//! that is held to the end of the transaction, so that transactions become visible in the order of their MODSEQs: what one statement saw
//! is complete up to the largest MODSEQ among it, and that is where the next look begins.
//!
//! A reader that knows the folder as it was reads only what changed since ([`Store::read_folder`]); who keeps what is known is not known here.

use crate::dialect::{Reader, on};
use crate::seen_mode::is_apart;
use crate::writer::Touches;
use crate::{Error, FolderStatus, Store};
use futures_util::{Stream, TryStreamExt};
use mail_types::{ActorId, FolderId, ModSeq, SystemFlags, Uid, UidValidity};

/// Changed messages that are read where the caller stands.
const QUICK_MAX: usize = 500;
/// Messages for which room is made before they are read.
const ROOM_MAX: u32 = 1_000_000;

/// UID, flags, keywords, modification sequence.
type Columns = (i64, i64, i64, i64);

/// A message as a session's view holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewRow {
    /// UID.
    pub uid: Uid,
    /// System flags, `\Seen` as this reader has it.
    pub flags: SystemFlags,
    /// Keywords, one bit for each of the folder's.
    pub keywords: u64,
    /// Modification sequence.
    pub modseq: ModSeq,
}

/// What the change log says since a modification sequence.
enum Logged {
    /// There is no such folder.
    Gone,
    /// The log does not reach back so far.
    Forgotten,
    Changed {
        rows: Vec<ViewRow>,
        expunged: Vec<Uid>,
        is_seen_apart: bool,
    },
}

/// What a reader knows of a folder already.
#[derive(Clone, Copy, Debug)]
pub struct KnownFolder {
    /// Of the folder that it read.
    pub uid_validity: UidValidity,
    /// All changes up to here are known.
    pub modseq: ModSeq,
    /// How many messages that makes.
    pub messages: usize,
}

impl KnownFolder {
    /// Whether it is worth to read only what changed since.
    fn holds(&self, status: &FolderStatus) -> bool {
        let is_same = self.uid_validity == status.uid_validity && self.modseq <= status.modseq;
        // What is wrong in memory would stay so: where both must agree they are compared.
        is_same && (self.modseq < status.modseq || self.messages == status.messages as usize)
    }
}

/// A folder as SELECT finds it.
#[derive(Clone, Debug)]
pub struct FolderReading {
    /// Counters; the modification sequence is that up to which the rows are complete.
    pub status: FolderStatus,
    /// Keyword of each bit.
    pub keywords: Vec<String>,
    /// Messages by UID: all of them, or those that are new or changed.
    pub rows: Vec<ViewRow>,
    /// Messages that are gone, when not all are in `rows`.
    pub expunged: Vec<Uid>,
    /// Whether every message is in `rows`.
    pub is_whole: bool,
    /// Whether, once they were read, readers may have a `\Seen` of their own: who read the shared one may not know all then.
    pub is_seen_apart: bool,
}

/// What changed in a folder since a modification sequence.
#[derive(Clone, Debug)]
pub struct FolderChanges {
    /// Look from here next time.
    pub modseq: ModSeq,
    /// Keyword of each bit.
    pub keywords: Vec<String>,
    /// New or changed messages by UID.
    pub rows: Vec<ViewRow>,
    /// Messages that are gone.
    pub expunged: Vec<Uid>,
    /// Every message is in `rows`: it is not known any more what went, and when.
    pub is_whole: bool,
    /// Whether, once they were read, readers may have a `\Seen` of their own: who read the shared one may not know all then.
    pub is_seen_apart: bool,
}

impl Store {
    /// Reads a folder: what changed since it was `known`, where that can be told, else all of it. `None` when there is no such folder.
    pub async fn read_folder(
        &self,
        folder: FolderId,
        private_seen_of: Option<ActorId>,
        known: Option<KnownFolder>,
    ) -> Result<Option<FolderReading>, Error> {
        let Some(mut status) = self.folder_status(folder, private_seen_of).await? else { return Ok(None) };
        let logged = match known.filter(|known| known.holds(&status)) {
            Some(known) if known.modseq == status.modseq => {
                let is_seen_apart = self.is_seen_apart(folder).await?;
                Logged::Changed { rows: Vec::new(), expunged: Vec::new(), is_seen_apart }
            }
            Some(known) => self.changed_rows(folder, private_seen_of, known.modseq).await?,
            None => Logged::Forgotten,
        };
        let (rows, expunged, is_whole, is_seen_apart) = match logged {
            Logged::Gone => return Ok(None),
            Logged::Changed { rows, expunged, is_seen_apart } => (rows, expunged, false, is_seen_apart),
            Logged::Forgotten => {
                let rows = self.view_rows(folder, private_seen_of, status.messages).await?;
                (rows, Vec::new(), true, self.is_seen_apart(folder).await?)
            }
        };
        status.modseq = complete_up_to(status.modseq, &rows);
        let keywords = self.keywords(folder).await?;
        Ok(Some(FolderReading { status, keywords, rows, expunged, is_whole, is_seen_apart }))
    }

    /// From which UID on messages are recent for a session that reads a folder with these counters. With `claim` (SELECT, not EXAMINE) later
    /// sessions no longer see them so.
    pub async fn recent_from(&self, status: &FolderStatus, claim: bool) -> Result<u32, Error> {
        if status.recent == 0 {
            return Ok(status.uid_next);
        }
        let claimed = if claim { Some(self.claim_recent(status.id, status.uid_next).await) } else { None };
        match claimed {
            Some(Ok(from)) => Ok(from),
            // Messages that stay recent for one more session harm nobody; a folder that cannot be read does.
            None | Some(Err(Error::Full(_))) => self.recent_uid(status.id).await,
            Some(Err(error)) => Err(error),
        }
    }

    /// Every message of a folder in which about so many are expected.
    async fn view_rows(
        &self,
        folder: FolderId,
        private_seen_of: Option<ActorId>,
        expected: u32,
    ) -> Result<Vec<ViewRow>, Error> {
        let mut reader = self.reader().await?;
        let rows = match private_seen_of {
            None => on!(reader.conn(), c => gathered(sqlx::query_as(
                "SELECT uid, flags, keywords, modseq FROM messages WHERE folder_id = $1 ORDER BY uid")
                .bind(folder.0).fetch(&mut *c), expected).await)?,
            Some(actor) => on!(reader.conn(), c => gathered(sqlx::query_as(
                "SELECT m.uid, (m.flags & ~1) | COALESCE(s.is_set, m.flags & 1), m.keywords, CASE WHEN s.modseq > m.modseq THEN s.modseq ELSE m.modseq END FROM messages m \
                 LEFT JOIN seen s ON s.folder_id = m.folder_id AND s.actor_id = $2 AND s.uid = m.uid WHERE m.folder_id = $1 ORDER BY m.uid")
                .bind(folder.0).bind(actor.0).fetch(&mut *c), expected).await)?,
        };
        Ok(rows)
    }

    async fn recent_uid(&self, folder: FolderId) -> Result<u32, Error> {
        let mut reader = self.quick_reader().await?;
        let (uid,): (i64,) = on!(reader.conn(), c => sqlx::query_as("SELECT recent_uid FROM folders WHERE id = $1").bind(folder.0).fetch_one(&mut *c).await)?;
        Ok(u32::try_from(uid).unwrap_or(u32::MAX))
    }

    /// Later sessions no longer see messages with a UID below `up_to` as recent. Returns the UID from which on they were recent until now.
    pub async fn claim_recent(&self, folder: FolderId, up_to: u32) -> Result<u32, Error> {
        self.write(Touches::from(folder), move |tx| {
            Box::pin(async move {
                let (from,): (i64,) = on!(tx.conn(), c => sqlx::query_as("SELECT recent_uid FROM folders WHERE id = $1").bind(folder.0).fetch_one(&mut *c).await)?;
                on!(tx.conn(), c => sqlx::query("UPDATE folders SET recent_uid = $2 WHERE id = $1 AND recent_uid < $2")
                    .bind(folder.0).bind(i64::from(up_to)).execute(&mut *c).await.map(|_| ()))?;
                Ok(u32::try_from(from).unwrap_or(u32::MAX))
            })
        })
        .await
    }

    /// The keyword of each bit of a folder.
    pub async fn keywords(&self, folder: FolderId) -> Result<Vec<String>, Error> {
        let mut reader = self.quick_reader().await?;
        let rows: Vec<(i64, String)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT bit, name FROM folder_keywords WHERE folder_id = $1 ORDER BY bit").bind(folder.0).fetch_all(&mut *c).await)?;
        Ok(rows.into_iter().map(|(_, name)| name).collect())
    }

    /// The highest modification sequence of a folder; `None` when it is gone.
    pub async fn folder_modseq(&self, folder: FolderId) -> Result<Option<ModSeq>, Error> {
        let mut reader = self.quick_reader().await?;
        let now: Option<(i64,)> = on!(reader.conn(), c => sqlx::query_as("SELECT modseq FROM folders WHERE id = $1").bind(folder.0).fetch_optional(&mut *c).await)?;
        Ok(now.map(|(modseq,)| ModSeq(modseq.unsigned_abs())))
    }

    /// What changed since `since`; `None` when the folder is gone.
    pub async fn changes(
        &self,
        folder: FolderId,
        private_seen_of: Option<ActorId>,
        since: ModSeq,
    ) -> Result<Option<FolderChanges>, Error> {
        let Some(now) = self.folder_modseq(folder).await? else { return Ok(None) };
        if now <= since {
            return Ok(Some(FolderChanges {
                modseq: since,
                keywords: Vec::new(),
                rows: Vec::new(),
                expunged: Vec::new(),
                is_whole: false,
                is_seen_apart: private_seen_of.is_some(),
            }));
        }
        self.changes_until(folder, private_seen_of, since, now).await
    }

    /// The same, for who has just read the folder's MODSEQ: it is `now`, and larger than `since`.
    pub async fn changes_until(
        &self,
        folder: FolderId,
        private_seen_of: Option<ActorId>,
        since: ModSeq,
        now: ModSeq,
    ) -> Result<Option<FolderChanges>, Error> {
        let (rows, expunged, is_whole, is_seen_apart) =
            match self.changed_rows(folder, private_seen_of, since).await? {
                Logged::Gone => return Ok(None),
                Logged::Changed { rows, expunged, is_seen_apart } => (rows, expunged, false, is_seen_apart),
                Logged::Forgotten => {
                    let rows = self.view_rows(folder, private_seen_of, 0).await?;
                    (rows, Vec::new(), true, self.is_seen_apart(folder).await?)
                }
            };
        let keywords = self.keywords(folder).await?;
        let modseq = complete_up_to(now, &rows);
        Ok(Some(FolderChanges { modseq, keywords, rows, expunged, is_whole, is_seen_apart }))
    }

    /// Messages that changed or came since, and those that went.
    async fn changed_rows(
        &self,
        folder: FolderId,
        private_seen_of: Option<ActorId>,
        since: ModSeq,
    ) -> Result<Logged, Error> {
        let since = i64::try_from(since.0).unwrap_or(i64::MAX);
        let rows =
            self.rows_since(self.quick_reader().await?, folder, private_seen_of, since, QUICK_MAX).await?;
        let rows = match rows.len() < QUICK_MAX {
            true => rows,
            false => {
                self.rows_since(self.reader().await?, folder, private_seen_of, since, usize::MAX).await?
            }
        };
        // One statement, after the rows: how far back the log is whole, as it is read, and whose `\Seen` the rows may lack.
        let mut reader = self.quick_reader().await?;
        let gone: Vec<(i64, i64, Option<i64>)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT f.expunged_floor, m.private_seen, e.uid FROM folders f JOIN mailboxes m ON m.id = f.mailbox_id \
             LEFT JOIN expunged e ON e.folder_id = f.id AND e.modseq > $2 WHERE f.id = $1 ORDER BY e.uid")
            .bind(folder.0).bind(since).fetch_all(&mut *c).await)?;
        let Some((floor, private_seen, _)) = gone.first() else { return Ok(Logged::Gone) };
        if *floor > since {
            return Ok(Logged::Forgotten);
        }
        let is_seen_apart = is_apart(*private_seen);
        let uid = |uid: i64| Uid(u32::try_from(uid).unwrap_or(u32::MAX));
        let expunged = gone.into_iter().filter_map(|(.., gone)| gone.map(uid)).collect();
        Ok(Logged::Changed { rows: rows.into_iter().map(view_row).collect(), expunged, is_seen_apart })
    }

    /// The first of the rows that changed since, by UID.
    async fn rows_since(
        &self,
        mut reader: Reader,
        folder: FolderId,
        private_seen_of: Option<ActorId>,
        since: i64,
        most: usize,
    ) -> Result<Vec<Columns>, Error> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = match private_seen_of {
            None => on!(reader.conn(), c => sqlx::query_as(
                "SELECT uid, flags, keywords, modseq FROM messages WHERE folder_id = $1 AND modseq > $2 ORDER BY uid LIMIT $3")
                .bind(folder.0).bind(since).bind(most).fetch_all(&mut *c).await)?,
            Some(actor) => on!(reader.conn(), c => sqlx::query_as(
                "SELECT m.uid, (m.flags & ~1) | COALESCE(s.is_set, m.flags & 1), m.keywords, CASE WHEN s.modseq > m.modseq THEN s.modseq ELSE m.modseq END FROM messages m \
                 LEFT JOIN seen s ON s.folder_id = m.folder_id AND s.actor_id = $3 AND s.uid = m.uid \
                 WHERE m.folder_id = $1 AND (m.modseq > $2 OR m.uid IN (SELECT uid FROM seen WHERE folder_id = $1 AND actor_id = $3 AND modseq > $2)) ORDER BY m.uid LIMIT $4")
                .bind(folder.0).bind(since).bind(actor.0).bind(most).fetch_all(&mut *c).await)?,
        };
        Ok(rows)
    }
}

/// See the module.
fn complete_up_to(read_before: ModSeq, rows: &[ViewRow]) -> ModSeq {
    rows.iter().map(|row| row.modseq).max().map_or(read_before, |largest| largest.max(read_before))
}

/// One by one: a large folder is in memory once as it is read.
async fn gathered(
    mut rows: impl Stream<Item = Result<Columns, sqlx::Error>> + Unpin,
    expected: u32,
) -> Result<Vec<ViewRow>, sqlx::Error> {
    let mut gathered = Vec::with_capacity(expected.min(ROOM_MAX) as usize);
    while let Some(row) = rows.try_next().await? {
        gathered.push(view_row(row));
    }
    Ok(gathered)
}

fn view_row((uid, flags, keywords, modseq): Columns) -> ViewRow {
    ViewRow {
        uid: Uid(u32::try_from(uid).unwrap_or(u32::MAX)),
        flags: SystemFlags(u32::try_from(flags).unwrap_or(0)),
        keywords: keywords.unsigned_abs(),
        modseq: ModSeq(modseq.unsigned_abs()),
    }
}
