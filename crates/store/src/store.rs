//! One operator's store, opened.

use crate::dialect::{Engine, Reader, is_disk_full};
use crate::keys::Keyring;
use crate::mailbox_watch::MailboxNotices;
use crate::node::Node;
use crate::notices::Notices;
use crate::writer::{Touches, UnitFuture, WriteTx, Writers};
use crate::{Acceptance, Accepted, Act, BodyWriter, Clock, Error, FolderWatch, MailboxKey, MailboxWatch};
use body_store::{BodyStore, Place, S3Options};
use mail_types::{FolderId, MailboxId, Timestamp, UnitId};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Where the bodies of a store lie that are too large for their row.
#[derive(Clone, Debug, Default)]
pub enum BodyOptions {
    /// In files under the data folder.
    #[default]
    Files,
    /// New ones in files, while those that went to S3 before are read there.
    FilesAfterS3(Box<S3Options>),
    /// New ones in S3; those in files are read where they are.
    S3(Box<S3Options>),
}

impl BodyOptions {
    /// The body store of a data folder.
    ///
    /// # Errors
    /// A folder cannot be made, or the S3 options cannot be used.
    pub fn open(&self, data_dir: &std::path::Path) -> Result<BodyStore, Error> {
        let (s3, new_ones) = match self {
            Self::Files => (None, Place::File),
            Self::FilesAfterS3(s3) => (Some(s3.as_ref()), Place::File),
            Self::S3(s3) => (Some(s3.as_ref()), Place::Object),
        };
        Ok(BodyStore::open(data_dir, s3, new_ones)?)
    }
}

/// Where a store is.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// `sqlite:PATH` (relative to `data_dir`) or `postgres://…`.
    pub url: String,
    /// Folder of bodies and spool.
    pub data_dir: PathBuf,
    /// Where large bodies go.
    pub bodies: BodyOptions,
    /// Folder of the key-encryption key generations; kept out of the database backup.
    pub key_dir: PathBuf,
    /// Writers on PostgreSQL, see [`writer`](crate::writer); SQLite has one.
    pub writers: usize,
    /// Clock of every row.
    pub clock: Clock,
    /// Whether mail is told of in the audit trail. Only a server that measures what that costs says no.
    pub audits_mail: bool,
}

/// Writers on PostgreSQL, unless configured.
pub const WRITERS_DEFAULT: usize = 2;

/// A handle on one operator's store; cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) shared: Arc<Shared>,
    pub(crate) act: Option<Arc<Act>>,
}

pub(crate) struct Shared {
    engine: Engine,
    keyring: Arc<Keyring>,
    bodies: BodyStore,
    node: Node,
    notices: Arc<Notices>,
    clock: Clock,
    /// Where the sweep of orphans goes on, for each place.
    slices: [AtomicU8; 2],
    writers: Mutex<Option<Writers>>,
    writer_tasks: Mutex<Vec<tokio::task::JoinHandle<()>>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// Makes the folders and the schema, or brings an older schema forward. Safe to run again, and while `serve` runs.
    pub async fn create(options: &StoreOptions) -> Result<(), Error> {
        std::fs::create_dir_all(&options.data_dir)?;
        std::fs::create_dir_all(&options.key_dir)?;
        options.bodies.open(&options.data_dir)?;
        let engine = Engine::open(&options.url, &options.data_dir, options.writers, true).await?;
        engine.is_schema_behind().await?;
        engine.migrate().await?;
        engine.close().await;
        Ok(())
    }

    /// Opens an existing store. Refuses a schema that is older or newer than this program.
    pub async fn open(options: &StoreOptions) -> Result<Self, Error> {
        let opened = Box::pin(Self::open_parts(options)).await;
        opened.map_err(|error| if is_disk_full(&error) { Error::Full(error.to_string()) } else { error })
    }

    async fn open_parts(options: &StoreOptions) -> Result<Self, Error> {
        let engine = Engine::open(&options.url, &options.data_dir, options.writers, false).await?;
        engine.check_schema().await?;
        let clock = options.clock.clone();
        let keyring =
            Arc::new(Keyring::open(&options.key_dir, &engine, clock.now(), options.audits_mail).await?);
        let bodies = options.bodies.open(&options.data_dir)?;
        let notices = Arc::new(Notices::default());
        let (writers, tasks) = Writers::start(&engine, &keyring, &notices, &clock);
        let shared = Shared {
            engine,
            keyring,
            bodies,
            node: Node::of(&options.data_dir)?,
            notices,
            clock,
            slices: Default::default(),
            writers: Mutex::new(Some(writers)),
            writer_tasks: Mutex::new(tasks),
        };
        Ok(Self { shared: Arc::new(shared), act: None })
    }

    /// Lets waiting units commit, then closes. Later writes are [`Error::Closing`].
    pub async fn close(&self) {
        self.shared.writers.lock().unwrap_or_else(PoisonError::into_inner).take();
        let tasks =
            std::mem::take(&mut *self.shared.writer_tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            // A writer that panicked has nothing left to commit.
            let _ = task.await;
        }
        self.shared.engine.close().await;
    }

    /// Now, by the clock of the store.
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// A fresh id for a unit of work.
    pub fn new_unit_id(&self) -> UnitId {
        UnitId(*uuid::Uuid::now_v7().as_bytes())
    }

    /// Begins a body of at most `size_max` octets.
    pub fn begin_body(&self, size_max: u64) -> Result<BodyWriter, Error> {
        BodyWriter::new(self.shared.bodies.clone(), size_max)
    }

    /// The opened key of a mailbox.
    pub async fn mailbox_key(&self, mailbox: MailboxId) -> Result<MailboxKey, Error> {
        self.keyring().mailbox(self.engine(), mailbox).await
    }

    /// Registers interest in the changes of a folder.
    pub fn watch(&self, folder: FolderId) -> FolderWatch {
        self.shared.notices.watch(folder)
    }

    /// An interest in whole mailboxes, in none as yet; also in what happens to messages there, or not.
    pub fn watch_mailboxes(&self, hears_messages: bool) -> MailboxWatch {
        MailboxWatch::new(self.shared.notices.mailboxes.clone(), hears_messages)
    }

    pub(crate) fn mailbox_notices(&self) -> &MailboxNotices {
        &self.shared.notices.mailboxes
    }

    pub(crate) fn recent_told(&self, folder: FolderId) -> u32 {
        self.shared.notices.recent_from(folder)
    }

    /// Returns once recipients were queued in this process since the last return.
    pub async fn queue_changed(&self) {
        self.shared.notices.queue_changed().await;
    }

    /// Answers whether the database answers: for readiness probes.
    pub async fn ping(&self) -> Result<(), Error> {
        let mut reader = self.reader().await?;
        crate::dialect::on!(reader.conn(), c => sqlx::query("SELECT 1").execute(&mut *c).await.map(|_| ()))?;
        Ok(())
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    pub(crate) fn keyring(&self) -> &Keyring {
        &self.shared.keyring
    }

    pub(crate) fn node(&self) -> Node {
        self.shared.node
    }

    pub(crate) fn bodies(&self) -> &BodyStore {
        &self.shared.bodies
    }

    /// The slice that the sweep of orphans looks at next.
    pub(crate) fn next_slice(&self, place: Place) -> u8 {
        self.shared.slices[usize::from(place == Place::Object)].fetch_add(1, Ordering::Relaxed)
    }

    /// For what reads a few rows by their keys, or a bounded page.
    pub(crate) async fn quick_reader(&self) -> Result<Reader, Error> {
        self.engine().quick_reader().await
    }

    pub(crate) async fn reader(&self) -> Result<Reader, Error> {
        self.engine().reader().await
    }

    pub(crate) async fn accept_unit(&self, acceptance: Arc<Acceptance>) -> Result<Accepted, Error> {
        self.writers()?.accept(self.act.clone(), acceptance).await
    }

    pub(crate) async fn write<T, F>(&self, touches: Touches, run: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnMut(&'t mut WriteTx) -> UnitFuture<'t, T> + Send + 'static,
    {
        self.writers()?.write(self.act.clone(), touches, run).await
    }

    /// The same, for a unit that holds so many KiB of bodies while it waits.
    pub(crate) async fn write_weighing<T, F>(&self, kib: u32, touches: Touches, run: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnMut(&'t mut WriteTx) -> UnitFuture<'t, T> + Send + 'static,
    {
        self.writers()?.write_weighing(self.act.clone(), kib, touches, run).await
    }

    fn writers(&self) -> Result<Writers, Error> {
        let writers = self.shared.writers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        writers.ok_or(Error::Closing)
    }
}
