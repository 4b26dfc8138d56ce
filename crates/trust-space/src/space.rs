//! The live trust space: what is in force, and the tasks that keep it so.

use crate::adoption::WhiteListState;
use crate::decisions;
use crate::http::HttpClient;
use crate::metrics::TrustMetrics;
use crate::settings::{Settings, WhiteListForm};
use crate::snapshot::{self, Anchors, AnchorsError, Built, ListFileFault};
use crate::sources::{Origin, Sources};
use crate::status::Status;
use crate::{files, sources};
use arc_swap::{ArcSwap, ArcSwapOption};
use mail_types::Timestamp;
use pki::{Trust, TrustSnapshot};
use policy::TrustList;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::{DepartureRow, Revision, RulingRow, Store};

/// Between two looks at files.
const FILES: Duration = Duration::from_secs(5);
/// Between two looks at the decisions of administrators.
const DECISIONS: Duration = Duration::from_secs(2);
/// Between two looks for something to fetch.
const FETCHES: Duration = Duration::from_secs(1);

/// Why there is no trust space.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Without anchors nothing can be judged.
    #[error("[trust] anchors: {0}")]
    Anchors(#[from] AnchorsError),
    /// The folder of what is kept.
    #[error("{}: {cause}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// Decisions could not be read: a quarantine must not be overlooked.
    #[error("[store] {0}")]
    Store(#[from] store::Error),
}

/// What is in force, shared with everyone who judges; cheap to clone.
#[derive(Clone, Debug)]
pub struct TrustSpace {
    /// By what certificates are judged.
    pub pki: Arc<Trust>,
    /// By what the pair of domain and certificate is judged.
    pub list: Arc<ArcSwap<TrustList>>,
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) settings: ArcSwap<Settings>,
    pub(crate) anchors: ArcSwap<Anchors>,
    /// By whom the signer of the white list is judged, when not by the same authorities as peers.
    pub(crate) signers: ArcSwapOption<TrustSnapshot>,
    pub(crate) store: Store,
    pub(crate) metrics: TrustMetrics,
    pub(crate) state: Mutex<State>,
    /// One snapshot is built at a time, one white list judged.
    building: tokio::sync::Mutex<()>,
    pub(crate) adopting: tokio::sync::Mutex<()>,
    pub(crate) published: Mutex<Status>,
}

/// What changes all the time. Never locked across a wait.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) sources: Sources,
    pub(crate) own_points: Vec<String>,
    list_marks: Vec<(PathBuf, Option<files::Mark>)>,
    pub(crate) file_faults: Vec<ListFileFault>,
    pub(crate) white_list: WhiteListState,
    revision: Option<i64>,
    pub(crate) rulings: Vec<RulingRow>,
    pub(crate) departures: Vec<DepartureRow>,
    is_store_silent: bool,
}

impl TrustSpace {
    /// The trust space of a server: what [`TrustSpace::look`] finds, and what the file of the white list holds now.
    ///
    /// # Errors
    /// Those of [`TrustSpace::look`].
    pub async fn open(settings: Settings, store: Store, metrics: TrustMetrics) -> Result<Self, OpenError> {
        let space = Self::look(settings, store, metrics).await?;
        space.look_at_white_list_file(true).await;
        Ok(space)
    }

    /// Puts in force what files, the store and what was kept say; no new white list is taken. A list that cannot be loaded closes what it concerns and nothing else:
    /// clinicians read their mail while an administrator repairs it.
    ///
    /// # Errors
    /// The anchors cannot be used, the folder cannot be made, or the store does not answer.
    pub async fn look(settings: Settings, store: Store, metrics: TrustMetrics) -> Result<Self, OpenError> {
        let folder = settings.folder.clone();
        files::make_folders(&folder).map_err(|cause| OpenError::Folder { path: folder, cause })?;
        let now = store.now();
        let (settings, anchors, built) = blocking(move || {
            let anchors = Anchors::read(&settings)?;
            let built = snapshot::build(&settings, &anchors, now)?;
            Ok::<_, AnchorsError>((settings, anchors, built))
        })
        .await?;
        let list = TrustList { ages: settings.ages, ..TrustList::default() };
        let inner = Inner {
            settings: ArcSwap::from_pointee(settings),
            anchors: ArcSwap::from_pointee(anchors),
            signers: ArcSwapOption::new(built.signers.map(Arc::new)),
            store,
            metrics,
            state: Mutex::default(),
            building: tokio::sync::Mutex::default(),
            adopting: tokio::sync::Mutex::default(),
            published: Mutex::default(),
        };
        let space = Self {
            pki: Arc::new(Trust::new(built.snapshot)),
            list: Arc::new(ArcSwap::from_pointee(list)),
            inner: Arc::new(inner),
        };
        space.note_list_files(built.marks, built.faults);
        space.remember_kept_lists().await;
        space.find_sources();
        space.read_decisions().await?;
        space.begin_white_list().await;
        Ok(space)
    }

    /// Takes other settings: reads the anchors, the lists and the white list again. What is at fault stays as it was and is logged.
    pub async fn reload(&self, settings: Settings) {
        let origin = |settings: &Settings| {
            settings.white_list.as_ref().map(|list| (list.source.clone(), list.form.clone()))
        };
        let is_other_list = origin(&self.settings()) != origin(&settings);
        let read = {
            let settings = settings.clone();
            blocking(move || Anchors::read(&settings)).await
        };
        let usable = match read {
            Err(error) => Err(error),
            Ok(anchors) => {
                let (settings, now) = (settings.clone(), self.now());
                blocking(move || snapshot::build(&settings, &anchors, now).map(|_| anchors)).await
            }
        };
        match usable {
            Ok(anchors) => self.inner.anchors.store(Arc::new(anchors)),
            // Anchors that nothing can be judged by would leave every later revocation list out.
            Err(error) => {
                tracing::error!(%error, "[trust] stays as it was, with its anchors; repair them and reload again");
                return;
            }
        }
        self.state().sources.keep_configured(&settings.lists.urls);
        self.change_list(|list| list.ages = settings.ages);
        self.inner.settings.store(Arc::new(settings));
        self.put_lists_in_force().await;
        self.find_sources();
        if is_other_list {
            self.begin_white_list().await;
        }
        self.look_at_white_list_file(true).await;
        self.publish(true);
    }

    /// Distribution points that our own certificates name.
    pub fn note_own_list_points(&self, points: Vec<String>) {
        self.state().own_points = points;
    }

    /// Keeps everything fresh until `drain` returns.
    pub async fn run(self, http: HttpClient, drain: impl Future<Output = ()>) {
        self.publish(true);
        tokio::select! {
            () = drain => {}
            () = self.watch_files() => {}
            () = self.watch_decisions() => {}
            () = self.fetch_lists(&http) => {}
            () = self.fetch_white_list(&http) => {}
        }
    }

    async fn watch_files(&self) {
        let mut tick = every(FILES);
        loop {
            tick.tick().await;
            if self.have_list_files_changed().await {
                self.put_lists_in_force().await;
                self.remember_kept_lists().await;
            }
            self.look_at_kept_white_list().await;
            self.look_at_white_list_file(false).await;
            self.publish(true);
        }
    }

    async fn watch_decisions(&self) {
        let mut tick = every(DECISIONS);
        loop {
            tick.tick().await;
            let answer = self.look_at_decisions().await;
            let was_silent = std::mem::replace(&mut self.state().is_store_silent, answer.is_err());
            match answer {
                Err(error) if !was_silent => {
                    tracing::error!(%error, "decisions of administrators about trust cannot be read: those in force stay");
                }
                Ok(true) => self.publish(true),
                _ => {}
            }
        }
    }

    async fn fetch_lists(&self, http: &HttpClient) {
        let mut tick = every(FETCHES);
        loop {
            tick.tick().await;
            self.find_sources();
            if !self.settings().lists.is_fetched {
                continue;
            }
            let due = self.state().sources.take_due(self.now(), false);
            if !due.is_empty() {
                self.fetch_each(http, due).await;
                self.publish(true);
            }
        }
    }

    async fn fetch_white_list(&self, http: &HttpClient) {
        let mut tick = every(FETCHES);
        loop {
            tick.tick().await;
            if self.is_white_list_due() {
                // The outcome is in the log and in the status.
                let _ = self.fetch_white_list_once(http, false).await;
                self.publish(true);
            }
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.inner.store.now()
    }

    /// The settings in force.
    pub fn configured(&self) -> Arc<Settings> {
        self.settings()
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.inner.settings.load_full()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By whom the signer of the white list is judged.
    pub(crate) fn signers(&self) -> Arc<TrustSnapshot> {
        self.inner.signers.load_full().unwrap_or_else(|| self.pki.load())
    }

    /// Changes what pairs are judged by, and has open sessions judged again.
    pub(crate) fn change_list(&self, change: impl Fn(&mut TrustList)) {
        self.list.rcu(|list| {
            let mut list = TrustList::clone(list);
            change(&mut list);
            list
        });
        self.pki.note_change();
    }

    /// Builds a snapshot of what the files now hold and puts it in force. What cannot be built leaves the one that is there.
    pub(crate) async fn put_lists_in_force(&self) {
        let _one = self.inner.building.lock().await;
        let (settings, anchors, now) = (self.settings(), self.inner.anchors.load_full(), self.now());
        let built = blocking(move || snapshot::build(&settings, &anchors, now)).await;
        let built = match built {
            Ok(built) => built,
            Err(error) => {
                tracing::error!(%error, "trust anchors and revocation lists stay as they were");
                return;
            }
        };
        let Built { snapshot, signers, mut faults, marks } = built;
        let (snapshot, not_succeeding) = snapshot.replacing(&self.pki.load());
        // An older file beside a fresher list is what is to be expected where lists are fetched.
        let warnings = not_succeeding.into_iter().filter(|fault| fault.cause != pki::CrlFaultCause::Older);
        warnings.for_each(|fault| tracing::warn!(cause = %fault.cause, "a revocation list does not follow the one before it"));
        faults.dedup();
        self.inner.signers.store(signers.map(Arc::new));
        self.pki.swap(snapshot);
        self.note_list_files(marks, faults);
        self.white_list_may_be_judged_again();
    }

    fn note_list_files(&self, marks: Vec<(PathBuf, Option<files::Mark>)>, faults: Vec<ListFileFault>) {
        let mut state = self.state();
        for fault in faults.iter().filter(|fault| !state.file_faults.contains(fault)) {
            tracing::error!(file = %fault.file.display(), cause = fault.cause, "a revocation list was not taken; replace the file");
        }
        state.file_faults = faults;
        state.list_marks = marks;
    }

    async fn have_list_files_changed(&self) -> bool {
        let settings = self.settings();
        let marks = blocking(move || {
            let (paths, faults) = snapshot::list_files(&settings);
            (snapshot::marks(&paths), faults.len())
        });
        let (marks, _) = marks.await;
        marks != self.state().list_marks
    }

    /// Learns of the lists that were kept: before a restart, or by a command beside us.
    async fn remember_kept_lists(&self) {
        let (folder, size_max, now) =
            (self.settings().folder.clone(), self.settings().lists.size_max, self.now());
        let (pki, signers) = (self.pki.load(), self.signers());
        let known: Vec<_> =
            self.state().sources.0.values().filter_map(|source| source.kept.clone()).collect();
        let kept = blocking(move || {
            let kept =
                sources::kept(&folder, size_max).into_iter().filter(|(about, _)| !known.contains(about));
            let facts = |bytes: &[u8]| {
                pki.examine_list(bytes, now).or_else(|_| signers.examine_list(bytes, now)).ok()
            };
            kept.map(|(about, bytes)| (about, facts(&bytes))).collect::<Vec<_>>()
        });
        let kept = kept.await;
        let refresh_secs = self.settings().lists.refresh_secs;
        let mut state = self.state();
        for (about, facts) in kept {
            let (url, fetched_at) = (about.url.clone(), Timestamp(about.fetched_at_ms.min(now.0)));
            state.sources.add(&url, Origin::Peer, now);
            state.sources.succeeded(&url, about, facts, fetched_at, refresh_secs);
        }
    }

    /// Adds what is configured, what certificates of authorities and of ours name, and what was missed when peers were judged.
    pub(crate) fn find_sources(&self) {
        let settings = self.settings();
        let (now, wanted) = (self.now(), self.pki.take_wanted_lists());
        let mut points = self.pki.load().list_points();
        if matches!(settings.white_list.as_ref().map(|list| &list.form), Some(WhiteListForm::National { .. }))
        {
            points.extend(self.signers().list_points());
        }
        let mut state = self.state();
        points.extend(state.own_points.iter().cloned());
        for (urls, origin) in [
            (&settings.lists.urls, Origin::Configured),
            (&points, Origin::Authority),
            (&wanted, Origin::Peer),
        ] {
            for url in urls {
                state.sources.add(url, origin, now);
            }
        }
    }

    /// Reads decisions again when the counter moved or one ended by its date; whether it did.
    async fn look_at_decisions(&self) -> Result<bool, store::Error> {
        let revision = self.inner.store.revision(Revision::Trust).await?;
        let now = self.now();
        let has_ended = self.state().rulings.iter().any(|row| row.until.is_some_and(|until| until <= now));
        if self.state().revision == Some(revision) && !has_ended {
            return Ok(false);
        }
        self.read_decisions().await?;
        Ok(true)
    }

    /// Puts decisions and departures in force as the store has them.
    pub(crate) async fn read_decisions(&self) -> Result<(), store::Error> {
        let store = &self.inner.store;
        // The counter first: what changes in between is read once more.
        let revision = store.revision(Revision::Trust).await?;
        let (rulings, departures) = (store.rulings(self.now(), false).await?, store.departures().await?);
        let (overlay, left) = (decisions::overlay(&rulings), decisions::departures(&departures));
        {
            let mut state = self.state();
            (state.revision, state.rulings, state.departures) = (Some(revision), rulings, departures);
        }
        self.change_list(|list| (list.overlay, list.departures) = (overlay.clone(), left.clone()));
        Ok(())
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval
}

/// Off the async threads: files are read and signatures of large lists verified.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // Only a runtime that is shutting down cancels, and then nobody waits.
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => std::future::pending().await,
        },
    }
}
