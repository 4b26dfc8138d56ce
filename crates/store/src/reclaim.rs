//! Giving space back: bodies that nothing refers to any more, files that a crash left, and rows past their window.

use crate::dialect::on;
use crate::messages::body_id;
use crate::writer::{Touches, WriteTx};
use crate::{Error, Store};
use mail_types::{BodyId, Timestamp};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Bodies freed in one unit of work.
const SWEEP_BATCH: i64 = 200;
/// A body is freed this long after its release: a slow FETCH may hold its row and open its file later.
const SWEEP_AGE_MS: i64 = 10 * 60 * 1000;
/// Age at which a file without a row is an orphan, and an accepted unit is forgotten.
const ORPHAN_AGE_MS: i64 = 24 * 3600 * 1000;

impl Store {
    /// Frees a batch of released bodies. How many were looked at: at zero there is nothing left to do.
    pub async fn sweep_released(&self) -> Result<usize, Error> {
        let (looked_at, files) =
            self.write(Touches::nothing(), |tx| Box::pin(async move { tx.sweep_released().await })).await?;
        for id in files {
            match std::fs::remove_file(self.bodies().path(id)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
                _ => {}
            }
        }
        Ok(looked_at)
    }

    /// Gives back the space of a write-ahead log that grew (SQLite). True when there was something to do.
    pub async fn trim_log(&self) -> Result<bool, Error> {
        self.engine().trim_log().await
    }

    /// Removes spool files and body files older than 24 h that no row knows, and forgets accepted units past their window. How many files went.
    pub async fn sweep_orphans(&self) -> Result<usize, Error> {
        let limit = self.now().plus_millis(-ORPHAN_AGE_MS);
        self.write(Touches::nothing(), move |tx| {
            Box::pin(async move {
                on!(tx.conn(), c => sqlx::query("DELETE FROM accepted_recipients WHERE accepted_at_ms < $1").bind(limit.0).execute(&mut *c).await.map(|_| ()))?;
                Ok(())
            })
        })
        .await?;
        let mut removed = 0;
        for file in old_files(self.bodies().spool(), limit)? {
            std::fs::remove_file(file)?;
            removed += 1;
        }
        for prefix in std::fs::read_dir(self.bodies().bodies())? {
            let files = old_files(&prefix?.path(), limit)?;
            let known = self.known_bodies(&files).await?;
            for file in files.iter().filter(|file| file_id(file).is_none_or(|id| !known.contains(&id))) {
                std::fs::remove_file(file)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    async fn known_bodies(&self, files: &[PathBuf]) -> Result<HashSet<BodyId>, Error> {
        let mut known = HashSet::new();
        let mut reader = self.reader().await?;
        for id in files.iter().filter_map(|file| file_id(file)) {
            let row: Option<(i64,)> = on!(reader.conn(), c => sqlx::query_as("SELECT size_bytes FROM bodies WHERE id = $1").bind(id.0.as_slice()).fetch_optional(&mut *c).await)?;
            if row.is_some() {
                known.insert(id);
            }
        }
        Ok(known)
    }
}

/// The body id that a file is named by.
pub(crate) fn file_id(path: &Path) -> Option<BodyId> {
    let name = path.file_name()?.to_str().filter(|name| name.len() == 32 && name.is_ascii())?;
    let mut id = [0; 16];
    for (i, octet) in id.iter_mut().enumerate() {
        *octet = u8::from_str_radix(&name[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(BodyId(id))
}

fn old_files(dir: &Path, limit: Timestamp) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        // A file that vanishes while we look was somebody's to remove.
        let Ok(metadata) = entry.metadata() else { continue };
        let age = metadata.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let modified = age.map_or(i64::MAX, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        if metadata.is_file() && modified < limit.0 {
            files.push(entry.path());
        }
    }
    Ok(files)
}

impl WriteTx {
    /// How many released bodies were looked at, and whose files may go once this is committed.
    async fn sweep_released(&mut self) -> Result<(usize, Vec<BodyId>), Error> {
        let before = self.now.plus_millis(-SWEEP_AGE_MS).0;
        let rows: Vec<(Vec<u8>,)> = on!(self.conn(), c => sqlx::query_as("SELECT body_id FROM released_bodies WHERE released_at_ms <= $2 ORDER BY released_at_ms LIMIT $1")
            .bind(SWEEP_BATCH).bind(before).fetch_all(&mut *c).await)?;
        let mut files = Vec::new();
        for (body,) in &rows {
            let place: Option<(String,)> = on!(self.conn(), c => sqlx::query_as(
                "DELETE FROM bodies WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM messages WHERE body_id = $1) \
                 AND NOT EXISTS (SELECT 1 FROM queue_entries WHERE body_id = $1) RETURNING place")
                .bind(body.as_slice()).fetch_optional(&mut *c).await)?;
            if place.is_some_and(|(place,)| place == "file") {
                files.push(body_id(body)?);
            }
            on!(self.conn(), c => sqlx::query("DELETE FROM released_bodies WHERE body_id = $1").bind(body.as_slice()).execute(&mut *c).await.map(|_| ()))?;
        }
        Ok((rows.len(), files))
    }
}
