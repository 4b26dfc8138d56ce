//! What every case stands on: a store of either engine with a clock that stands still, and raw SQL beside it.

mod mail;
mod postgres;
mod raw;

pub(crate) use mail::{Holder, audit_entry, noise};
pub(crate) use raw::Raw;

use mail_types::{Secret, Timestamp};
use std::future::Future;
use std::ops::Deref;
use std::path::PathBuf;
use std::pin::Pin;
use store::{BodyOptions, Clock, HashedPassword, Store, StoreOptions};

/// Where every fixture's clock begins.
pub(crate) const START: Timestamp = Timestamp::from_secs(1_900_000_000);
/// A password whose slow hash nobody looks at.
pub(crate) fn hashed(secret: &str) -> HashedPassword {
    HashedPassword::new(Secret::new(secret.to_owned()), secret.to_owned())
}

/// A day, for the deduplication window and the age of orphans.
pub(crate) const DAY_MS: i64 = 24 * 3600 * 1000;

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// A fresh store of its own, and the means to look behind it.
pub(crate) struct Fixture {
    store: Store,
    pub(crate) clock: Clock,
    pub(crate) options: StoreOptions,
    /// SQL on the same database, past the store.
    pub(crate) raw: Raw,
    _dir: tempfile::TempDir,
}

impl Deref for Fixture {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Fixture {
    pub(crate) async fn new(engine: Engine) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = match engine {
            Engine::Sqlite => "sqlite:store.db".to_owned(),
            Engine::Postgres => raw::fresh_database(postgres::server()).await,
        };
        let clock = Clock::fixed(START);
        let options = StoreOptions {
            url,
            data_dir: dir.path().join("data"),
            bodies: BodyOptions::default(),
            key_dir: dir.path().join("keys"),
            writers: 4,
            clock: clock.clone(),
            audits_mail: true,
        };
        Store::create(&options).await.unwrap();
        let store = Store::open(&options).await.unwrap();
        let raw = Raw::open(engine, &options).await;
        Self { store, clock, options, raw, _dir: dir }
    }

    /// The same store, opened anew with its large bodies elsewhere.
    pub(crate) async fn with_bodies(mut self, bodies: BodyOptions) -> Self {
        self.store.close().await;
        self.options.bodies = bodies;
        self.store = Store::open(&self.options).await.unwrap();
        self
    }

    /// A second process on the same store.
    pub(crate) async fn open_again(&self) -> Result<Store, store::Error> {
        Store::open(&self.options).await
    }

    /// Every file under the body folder.
    pub(crate) fn body_files(&self) -> Vec<PathBuf> {
        let prefixes = std::fs::read_dir(self.options.data_dir.join("bodies")).unwrap();
        prefixes
            .flat_map(|prefix| std::fs::read_dir(prefix.unwrap().path()).unwrap())
            .map(|file| file.unwrap().path())
            .collect()
    }

    /// The one key file.
    pub(crate) fn key_file(&self) -> PathBuf {
        let mut files = std::fs::read_dir(&self.options.key_dir).unwrap();
        files.next().unwrap().unwrap().path()
    }

    /// Sweeps as the housekeeper does once readers have had their time: how many released bodies were looked at.
    pub(crate) async fn sweep_later(&self) -> usize {
        self.pass(11 * 60 * 1000);
        self.store.sweep_released().await.unwrap()
    }

    /// Moves the clock.
    pub(crate) fn pass(&self, millis: i64) {
        self.clock.set(self.clock.now().plus_millis(millis));
    }
}

/// Runs a case on one engine, unless `VAGUEMESTRE_TEST_ENGINES` leaves that engine out.
pub(crate) async fn run(
    engine: Engine,
    case: impl for<'f> FnOnce(&'f Fixture) -> Pin<Box<dyn Future<Output = ()> + 'f>>,
) {
    if !is_wanted(engine) {
        eprintln!("left out by VAGUEMESTRE_TEST_ENGINES");
        return;
    }
    let fixture = Fixture::new(engine).await;
    case(&fixture).await;
    fixture.store.close().await;
}

/// Whether this test run is to use an engine.
pub(crate) fn is_wanted(engine: Engine) -> bool {
    let wanted = variable("VAGUEMESTRE_TEST_ENGINES").unwrap_or_default();
    match wanted.to_str() {
        Some("sqlite") => engine == Engine::Sqlite,
        Some("postgres") => engine == Engine::Postgres,
        Some("") => true,
        _ => panic!("VAGUEMESTRE_TEST_ENGINES is `sqlite`, `postgres` or not set"),
    }
}

#[expect(clippy::disallowed_methods, reason = "the test run is configured by its environment")]
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}

/// Makes `case::sqlite` and `case::postgres` of each `async fn case(store: &Fixture)`.
macro_rules! on_both_engines {
    ($($case:ident),* $(,)?) => {$(
        mod $case {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                $crate::support::run($crate::support::Engine::Sqlite, |store| Box::pin(super::$case(store))).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                $crate::support::run($crate::support::Engine::Postgres, |store| Box::pin(super::$case(store))).await;
            }
        }
    )*};
}
pub(crate) use on_both_engines;
