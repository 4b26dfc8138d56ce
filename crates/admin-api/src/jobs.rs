//! Long work beside requests: a request starts a job and is answered at once with where to look; the job tells how far it is, can be cancelled,
//! and keeps what it found. What jobs do is not known here.

use crate::access::{Caller, Domains, Permission, Standing};
use crate::api::Api;
use crate::problem::{Code, Problem};
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, LOCATION};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use mail_types::JobId;
use serde::Serialize;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::{JobState, JobsSeen, Store};
use tokio::sync::{Notify, Semaphore};
use utoipa::ToSchema;

/// Jobs that run at a time; others wait.
const RUNNING_MAX: usize = 4;
/// Jobs that run or wait, at most.
const JOBS_MAX: usize = 64;
/// Between two notes of how far a job is, which also say that its node lives.
const TELL: Duration = Duration::from_secs(1);
/// Octets of a result.
const RESULT_MAX: usize = 1024 * 1024;

/// Declares the kinds of jobs: their word, and the permission without which nobody sees what others' jobs of that kind found.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $permission:ident;)*) => {
        /// What a job does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum JobKind { $($(#[$doc])* $name,)* }

        impl JobKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word of the database and the API.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            const fn permission(self) -> Permission {
                match self { $(Self::$name => Permission::$permission,)* }
            }
        }
    };
}

kinds! {
    /// The audit trail is verified.
    AuditVerify = "audit.verify", AuditRead;
    /// The audit trail is exported.
    AuditExport = "audit.export", AuditRead;
    /// The white list is fetched.
    WhiteListSync = "white_list.sync", TrustRead;
    /// Revocation lists are fetched.
    RevocationListSync = "crls.sync", TrustRead;
}

/// The jobs of this process.
#[derive(Clone, Debug)]
pub(crate) struct Jobs {
    running: Arc<Mutex<HashMap<JobId, Arc<Notify>>>>,
    places: Arc<Semaphore>,
}

impl Default for Jobs {
    fn default() -> Self {
        Self { running: Arc::default(), places: Arc::new(Semaphore::new(RUNNING_MAX)) }
    }
}

impl Jobs {
    fn count(&self) -> usize {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn enter(&self, job: JobId) -> Arc<Notify> {
        let cancel = Arc::new(Notify::new());
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(job, cancel.clone());
        cancel
    }

    fn leave(&self, job: JobId) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
    }

    /// Stops a job of this process; one of another node stops by itself when it next tells how far it is.
    pub(crate) fn cancel(&self, job: JobId) {
        if let Some(cancel) = self.running.lock().unwrap_or_else(PoisonError::into_inner).get(&job) {
            cancel.notify_one();
        }
    }
}

/// How far a job is; cheap to clone and to set.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<(AtomicU64, AtomicU64)>);

impl Progress {
    /// How much there is to do, in the job's own measure.
    pub fn set_total(&self, total: u64) {
        self.0.1.store(total, Ordering::Relaxed);
    }

    /// How much of it is done.
    pub fn set_done(&self, done: u64) {
        self.0.0.store(done, Ordering::Relaxed);
    }

    fn read(&self) -> (u64, Option<u64>) {
        let (done, total) = (self.0.0.load(Ordering::Relaxed), self.0.1.load(Ordering::Relaxed));
        (done, (total > 0).then_some(total))
    }
}

/// A job was taken on: `202`, and where to see what becomes of it.
#[derive(Debug)]
pub struct Started(pub JobId);

/// A job that was taken on: `GET /jobs/{id}` tells how far it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StartedJob {
    /// Its id.
    #[schema(example = "17")]
    id: String,
    /// `queued`.
    #[schema(example = "queued")]
    state: &'static str,
}

impl IntoResponse for Started {
    fn into_response(self) -> Response {
        let Self(id) = self;
        let body = StartedJob { id: id.to_string(), state: JobState::Queued.as_str() };
        let mut response = (StatusCode::ACCEPTED, axum::Json(body)).into_response();
        if let Ok(location) = HeaderValue::from_str(&format!("{}/jobs/{id}", crate::api::BASE)) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }
}

impl Api {
    /// Takes on a job for the caller. `work` is dropped at its next wait when the job is cancelled; what it gives is kept as the result.
    ///
    /// # Errors
    /// Too many jobs wait already, or the store does not answer.
    pub async fn start_job<W, F>(&self, caller: &Caller, kind: JobKind, work: W) -> Result<Started, Problem>
    where
        W: FnOnce(Progress) -> F + Send + 'static,
        F: Future<Output = Result<serde_json::Value, Problem>> + Send,
    {
        if self.jobs.count() >= JOBS_MAX {
            return Err(Problem::new(Code::Unavailable).retry_after(60).detail(
                format!("{JOBS_MAX} jobs wait already; cancel some, or ask again later"),
                format!("{JOBS_MAX} travaux attendent déjà ; annulez-en, ou redemandez plus tard"),
            ));
        }
        let id = self.store_of(caller).add_job(kind.as_str()).await?;
        let cancel = self.jobs.enter(id);
        let (store, jobs, language) = (self.store.clone(), self.jobs.clone(), caller.language);
        tokio::spawn(async move {
            let progress = Progress::default();
            let outcome = tokio::select! {
                outcome = run(&jobs, work, progress.clone()) => Some(outcome),
                () = cancel.notified() => None,
                () = tell(&store, id, &progress) => None,
            };
            let (done, total) = progress.read();
            let (state, result) = match outcome {
                Some(Ok(value)) => (JobState::Succeeded, bounded(&value)),
                Some(Err(problem)) => (JobState::Failed, bounded(&problem.body(language))),
                None => (JobState::Cancelled, String::new()),
            };
            let told = store.tell_job(id, done, total).await;
            if let Err(error) = told.and(store.end_job(id, state, result).await) {
                tracing::error!(%error, %id, "what became of a job could not be written");
            }
            jobs.leave(id);
        });
        Ok(Started(id))
    }

    /// Which jobs the caller may see: their own, and those whose findings they could ask for themselves over the whole operator.
    pub(crate) fn jobs_seen(caller: &Caller) -> JobsSeen {
        let is_wide = |permission| caller.has(permission) && caller.domains(permission) == Domains::All;
        let sees_others = caller.standing == Standing::Machine || is_wide(Permission::JobsRead);
        let kinds = JobKind::ALL.iter().filter(|kind| sees_others && is_wide(kind.permission()));
        JobsSeen { actor: caller.actor, kinds: kinds.map(|kind| kind.as_str()).collect() }
    }
}

/// Waits for a place, and works. A panic is a failure of the job only.
async fn run<W, F>(jobs: &Jobs, work: W, progress: Progress) -> Result<serde_json::Value, Problem>
where
    W: FnOnce(Progress) -> F + Send,
    F: Future<Output = Result<serde_json::Value, Problem>> + Send,
{
    let _place = jobs.places.acquire().await.map_err(|_| Problem::new(Code::Unavailable))?;
    let outcome = AssertUnwindSafe(async move { work(progress).await }).catch_unwind().await;
    outcome.unwrap_or_else(|_| {
        tracing::error!("a job panicked");
        Err(Problem::new(Code::Internal))
    })
}

/// Writes how far a job is, until it is no longer to be done.
async fn tell(store: &Store, job: JobId, progress: &Progress) {
    loop {
        let (done, total) = progress.read();
        match store.tell_job(job, done, total).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => tracing::warn!(%error, %job, "how far a job is could not be written"),
        }
        tokio::time::sleep(TELL).await;
    }
}

fn bounded(value: &impl serde::Serialize) -> String {
    let text = serde_json::to_string(value).unwrap_or_default();
    if text.len() > RESULT_MAX { "{\"tooLarge\":true}".to_owned() } else { text }
}
