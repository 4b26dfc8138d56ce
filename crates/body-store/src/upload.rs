//! From the spool to the bucket. An object counts only once the service confirmed it.
//!
//! A container of more than [`PART`] octets goes in parts. Before the first part the id of the upload is written beside the spool file: whatever ends
//! the process, the next sweep ends the upload too, and the service keeps no invisible parts.

use crate::files::{changed_at, remove_file};
use crate::objects::Objects;
use crate::spool::{DropFile, SpoolFile};
use crate::{Error, blocking, named_id};
use mail_types::{BodyId, Timestamp};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path as Name;
use object_store::{ObjectStoreExt, PutPayload, PutResult};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Octets of a part, and the largest container that goes in one piece.
const PART: u64 = 8 * 1024 * 1024;
/// Longest time for one container: senders wait ten minutes after the end of data (RFC 5321 section 4.5.3.2.6).
const UPLOAD_MAX: Duration = Duration::from_secs(300);
/// Longest time to take a failed upload back.
const UNDO_MAX: Duration = Duration::from_secs(20);
/// What the name of a file that tells of an upload ends in.
const UPLOAD_SUFFIX: &str = ".upload";

/// Uploads a spooled container and has it confirmed.
pub(crate) async fn upload(objects: &Objects, spool: &Path, spooled: SpoolFile) -> Result<(), Error> {
    // A task of its own: a sender that hangs up does not leave half an upload.
    let (objects, spool) = (objects.clone(), spool.to_owned());
    let task = tokio::spawn(async move {
        let name = objects.name(spooled.id());
        let late = || Error::Service("the upload did not end in time".to_owned());
        let uploaded = tokio::time::timeout(UPLOAD_MAX, put(&objects, &spool, &spooled, &name)).await;
        let outcome = uploaded.unwrap_or_else(|_| Err(late()));
        if outcome.is_err() {
            undo(&objects, &spool, &spooled).await;
        }
        outcome
    });
    task.await.map_err(|_| Error::Closing)?
}

async fn put(objects: &Objects, spool: &Path, spooled: &SpoolFile, name: &Name) -> Result<(), Error> {
    let put = if spooled.length() <= PART {
        put_whole(objects, spooled, name).await?
    } else {
        put_parts(objects, spool, spooled, name).await?
    };
    confirm(objects, name, spooled.length(), put.as_ref().and_then(|put| put.e_tag.as_deref())).await
}

async fn put_whole(objects: &Objects, spooled: &SpoolFile, name: &Name) -> Result<Option<PutResult>, Error> {
    let _room = objects.room().await?;
    let content = spooled.piece(0, length_of(spooled.length())?).await?;
    let put = objects.client.put(name, PutPayload::from(content)).await;
    put.map(Some).map_err(|error| Error::service(&error))
}

/// The parts in order, then the whole. A completion that failed may have been done, its answer lost, and be answered "no such upload" when it was made
/// again: the object tells.
async fn put_parts(
    objects: &Objects,
    spool: &Path,
    spooled: &SpoolFile,
    name: &Name,
) -> Result<Option<PutResult>, Error> {
    let created = objects.client.create_multipart(name).await;
    let upload = created.map_err(|error| Error::service(&error))?;
    let note = note_path(spool, spooled.id());
    let noted = upload.clone();
    blocking(move || Ok(std::fs::write(note, noted)?)).await?;
    let mut parts: Vec<PartId> = Vec::new();
    let mut offset = 0;
    while offset < spooled.length() {
        let _room = objects.room().await?;
        let length = PART.min(spooled.length() - offset);
        let content = PutPayload::from(spooled.piece(offset, length_of(length)?).await?);
        let part = objects.client.put_part(name, &upload, parts.len(), content).await;
        parts.push(part.map_err(|error| Error::service(&error))?);
        offset += length;
    }
    let completed = {
        let _room = objects.room().await?;
        objects.client.complete_multipart(name, &upload, parts).await
    };
    let completed = match completed {
        Ok(put) => Some(put),
        Err(error) => {
            let is_there = confirm(objects, name, spooled.length(), None).await.is_ok();
            is_there.then_some(None).ok_or_else(|| Error::service(&error))?
        }
    };
    drop(DropFile::new(note_path(spool, spooled.id())));
    Ok(completed)
}

/// Asks for the object that the service said it took: there, as long as what was sent, and the same as the answer to the upload told.
async fn confirm(objects: &Objects, name: &Name, length: u64, e_tag: Option<&str>) -> Result<(), Error> {
    let _room = objects.room().await?;
    let found = match objects.client.head(name).await.map_err(|error| Error::service(&error)) {
        Ok(found) => found,
        Err(Error::NotFound) => return Err(Error::Unconfirmed("the object is not there")),
        Err(error) => return Err(error),
    };
    if found.size != length {
        return Err(Error::Unconfirmed("the object has another length"));
    }
    match (e_tag, found.e_tag.as_deref()) {
        (Some(told), Some(found)) if told != found => Err(Error::Unconfirmed("the object has another ETag")),
        _ => Ok(()),
    }
}

/// Takes back what a failed upload may have left: parts and, should the answer only have been lost, the object. Where the service does not answer,
/// the note of the upload stays for the sweep, and the object is an orphan.
async fn undo(objects: &Objects, spool: &Path, spooled: &SpoolFile) {
    let id = spooled.id();
    let undone = tokio::time::timeout(UNDO_MAX, async {
        let note = note_path(spool, id);
        if note.exists() {
            end_upload(objects, id, &note).await?;
        }
        objects.remove(&[id]).await
    });
    if !matches!(undone.await, Ok(Ok(()))) {
        tracing::warn!(body = %id, "a failed upload could not be taken back now; the sweep of orphans does it");
    }
}

/// Ends the upload that a note tells of, and removes the note.
async fn end_upload(objects: &Objects, id: BodyId, note: &Path) -> Result<(), Error> {
    let path = note.to_owned();
    let upload = blocking(move || Ok(std::fs::read_to_string(path)?)).await?;
    let _room = objects.room().await?;
    let ended = objects.client.abort_multipart(&objects.name(id), &upload).await;
    match ended.map_err(|error| Error::service(&error)) {
        Ok(()) | Err(Error::NotFound) => remove_file(note),
        Err(error) => Err(error),
    }
}

fn note_path(spool: &Path, id: BodyId) -> PathBuf {
    spool.join(format!("{id}{UPLOAD_SUFFIX}"))
}

fn length_of(length: u64) -> Result<usize, Error> {
    usize::try_from(length).map_err(|_| Error::Options("a part is larger than memory".to_owned()))
}

/// Removes what was last changed in the spool before `limit`: notes once their upload is ended, everything else at once.
pub(crate) async fn sweep(
    objects: Option<&Objects>,
    spool: &Path,
    limit: Timestamp,
    in_flight: &HashSet<BodyId>,
) -> Result<usize, Error> {
    let spool = spool.to_owned();
    let old = blocking(move || old_files(&spool, limit)).await?;
    let mut removed = 0;
    for path in old {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let stem = name.strip_suffix(UPLOAD_SUFFIX);
        let id = named_id(stem.unwrap_or(name));
        match (id, stem, objects) {
            (Some(id), _, _) if in_flight.contains(&id) => continue,
            (Some(id), Some(_), Some(objects)) => end_upload(objects, id, &path).await?,
            // Without a service nobody can end the upload: the note waits until there is one again.
            (Some(_), Some(_), None) => continue,
            _ => remove_file(&path)?,
        }
        removed += 1;
    }
    Ok(removed)
}

fn old_files(dir: &Path, limit: Timestamp) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_file() && changed_at(&metadata).0 < limit.0 {
            files.push(entry.path());
        }
    }
    Ok(files)
}
