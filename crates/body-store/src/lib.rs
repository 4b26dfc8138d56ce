//! Where sealed containers lie that are too large for a row: local files, or objects of an S3-compatible service.
//!
//! A container is spooled on the local disk while it arrives ([`SpoolFile`]), then [settled](BodyStore::settle): a file is fsynced, renamed and its folder
//! fsynced; an object is uploaded and confirmed. Only what was settled may be named by a row. Both places are read at any time, so that a
//! store can move from files to objects without rewriting anything; new containers go to one of them.
//!
//! It exists to keep `object_store` and its HTTP stack out of `store`. It knows no row, no key and no frame: a container is a run of octets
//! with an id and, for objects, a tail that the reader asks for first.
//!
//! Read first: [`BodyStore`], [`Stored`].
#![warn(missing_docs)]

mod credentials;
mod error;
mod files;
mod objects;
mod options;
mod spool;
mod stored;
mod upload;

pub use credentials::{Credentials, CredentialsError};
pub use error::Error;
pub use objects::ObjectReader;
pub use options::{Endpoint, EndpointError, S3Options};
pub use spool::SpoolFile;
pub use stored::{Claim, Stored};

use files::Files;
use mail_types::{BodyId, Timestamp};
use objects::Objects;
use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Where a container lies outside its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// In the body folder.
    File,
    /// In the bucket.
    Object,
}

impl Place {
    /// The word of the row.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Object => "object",
        }
    }
}

/// A container found by listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: BodyId,
    /// When it was last changed, by the clock of the file system or of the service.
    pub changed_at: Timestamp,
}

/// An opened container.
#[derive(Debug)]
pub enum Opened {
    /// A file; its reader walks it.
    File(std::fs::File),
    /// An object, with the octets at its end.
    Object {
        /// Reads ranges.
        reader: ObjectReader,
        /// The last octets, as many as were asked for or all there are.
        tail: Vec<u8>,
    },
}

/// Both places; cheap to clone.
#[derive(Clone, Debug)]
pub struct BodyStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    files: Files,
    objects: Option<Objects>,
    new_ones: Place,
    /// Containers that are being settled, or whose row may not be committed yet: no sweep of this process touches them, whatever the clock says.
    in_flight: Mutex<HashSet<BodyId>>,
}

impl BodyStore {
    /// Opens the folders under `data_dir`, making them where they are missing. With `s3` objects can be read; new containers go to `new_ones`.
    /// The service is not asked anything: that is [`BodyStore::check`].
    ///
    /// # Errors
    /// A folder cannot be made, the S3 options cannot be used, or `new_ones` is [`Place::Object`] without them.
    pub fn open(data_dir: &Path, s3: Option<&S3Options>, new_ones: Place) -> Result<Self, Error> {
        let objects = s3.map(Objects::new).transpose()?;
        if new_ones == Place::Object && objects.is_none() {
            return Err(Error::Options("bodies go to S3, and no S3 service is configured".to_owned()));
        }
        let files = Files::open(data_dir)?;
        Ok(Self { shared: Arc::new(Shared { files, objects, new_ones, in_flight: Mutex::default() }) })
    }

    /// Where new containers go.
    pub fn new_ones(&self) -> Place {
        self.shared.new_ones
    }

    /// The path that the file of a body has.
    pub fn file_path(&self, id: BodyId) -> std::path::PathBuf {
        self.shared.files.path(id)
    }

    /// The folder of the spool.
    pub fn spool_folder(&self) -> &Path {
        self.shared.files.spool()
    }

    /// A new file in the spool. It goes when dropped.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn spool(&self, id: BodyId) -> Result<SpoolFile, Error> {
        SpoolFile::create(self.shared.files.spool(), id)
    }

    /// Makes a spooled container durable where new ones go. It goes again when the [`Stored`] is dropped, unless it was kept.
    ///
    /// # Errors
    /// Nothing can be counted on: what was written is removed, now or by a later sweep. Every error is temporary for the sender.
    pub async fn settle(&self, spooled: SpoolFile) -> Result<Stored, Error> {
        let id = spooled.id();
        let flight = InFlight::begin(self, id);
        match (self.shared.new_ones, &self.shared.objects) {
            (Place::Object, Some(objects)) => {
                upload::upload(objects, self.shared.files.spool(), spooled).await?;
            }
            _ => self.shared.files.settle(spooled).await?,
        }
        Ok(Stored::new(self.clone(), self.shared.new_ones, flight))
    }

    /// Opens a container. Of an object the last `tail_max` octets come with it, in one request.
    ///
    /// # Errors
    /// It is not there, or cannot be reached.
    pub async fn open_container(&self, place: Place, id: BodyId, tail_max: u64) -> Result<Opened, Error> {
        match place {
            Place::File => Ok(Opened::File(self.shared.files.open_file(id).await?)),
            Place::Object => {
                let (reader, tail) = self.objects()?.open_object(id, tail_max).await?;
                Ok(Opened::Object { reader, tail })
            }
        }
    }

    /// Removes containers; those that are gone already are no error.
    ///
    /// # Errors
    /// Some could not be removed; the sweep of orphans finds them.
    pub async fn remove(&self, place: Place, ids: &[BodyId]) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        match place {
            Place::File => self.shared.files.remove(ids.to_vec()).await,
            Place::Object => self.objects()?.remove(ids).await,
        }
    }

    /// The places that can hold containers: the bucket only where one is configured.
    pub fn places(&self) -> Vec<Place> {
        let objects = self.shared.objects.as_ref().map(|_| Place::Object);
        std::iter::once(Place::File).chain(objects).collect()
    }

    /// The containers whose id ends in `slice`, in no order.
    ///
    /// # Errors
    /// The folder or the bucket cannot be listed.
    pub async fn list(&self, place: Place, slice: u8) -> Result<Vec<Listed>, Error> {
        match place {
            Place::File => self.shared.files.list(slice).await,
            Place::Object => self.objects()?.list(slice).await,
        }
    }

    /// Whether a container is there, without reading it.
    ///
    /// # Errors
    /// The service does not say.
    pub async fn exists(&self, place: Place, id: BodyId) -> Result<bool, Error> {
        match place {
            Place::File => Ok(self.shared.files.path(id).exists()),
            Place::Object => self.objects()?.exists(id).await,
        }
    }

    /// Removes spool files last changed before `limit`, and ends the uploads that they tell of. How many went.
    ///
    /// # Errors
    /// The spool cannot be read, or the service does not answer; what was not done is done by the next sweep.
    pub async fn sweep_spool(&self, limit: Timestamp) -> Result<usize, Error> {
        upload::sweep(self.shared.objects.as_ref(), self.shared.files.spool(), limit, &self.in_flight()).await
    }

    /// Ids that no sweep may touch now.
    pub fn in_flight(&self) -> HashSet<BodyId> {
        self.shared.in_flight.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the bucket whether it is there and whether our credentials read it. Without objects there is nothing to ask.
    ///
    /// # Errors
    /// What the service answered, or that it did not within the time limit.
    pub async fn check(&self) -> Result<(), Error> {
        match &self.shared.objects {
            Some(objects) => objects.check().await,
            None => Ok(()),
        }
    }

    fn objects(&self) -> Result<&Objects, Error> {
        self.shared.objects.as_ref().ok_or_else(|| {
            Error::Options(
                "a body lies in S3, and [store.s3] is not configured: it must stay as long as such bodies exist"
                    .to_owned(),
            )
        })
    }
}

/// Marks a container as nobody else's to remove, until dropped.
#[derive(Debug)]
pub(crate) struct InFlight {
    store: BodyStore,
    id: BodyId,
}

impl InFlight {
    fn begin(store: &BodyStore, id: BodyId) -> Self {
        store.shared.in_flight.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        Self { store: store.clone(), id }
    }

    pub(crate) fn id(&self) -> BodyId {
        self.id
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.store.shared.in_flight.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// The body id that a file or an object is named by: 32 hexadecimal digits.
pub fn named_id(name: &str) -> Option<BodyId> {
    let digits = name.as_bytes();
    if digits.len() != 32 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut id = [0; 16];
    for (octet, pair) in id.iter_mut().zip(digits.chunks(2)) {
        *octet = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(BodyId(id))
}

/// Work on files, off the threads that serve connections.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Closing)?
}
