//! `/jobs`: long work that was asked for, how far it is and what came of it.

use crate::access::{Caller, Permission, RouteRule, rule};
use crate::api::{Api, Shared};
use crate::json::{Query, instant};
use crate::page::{self, Page};
use crate::problem::{Code, Problem};
use axum::extract::{Path, State};
use mail_types::JobId;
use serde::{Deserialize, Serialize};
use store::{JobRow, JobState};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] = &[
    rule("GET", "/jobs", &[Permission::JobsRead]),
    rule("GET", "/jobs/{id}", &[Permission::JobsRead]),
    rule("DELETE", "/jobs/{id}", &[Permission::JobsWrite]),
];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show, cancel))
}

/// What becomes of a job.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum JobStatus {
    Queued,
    Running,
    Succeeded,
    Failed,
    Interrupted,
    Cancelled,
}

impl From<JobState> for JobStatus {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Queued => Self::Queued,
            JobState::Running => Self::Running,
            JobState::Succeeded => Self::Succeeded,
            JobState::Failed => Self::Failed,
            JobState::Interrupted => Self::Interrupted,
            JobState::Cancelled => Self::Cancelled,
        }
    }
}

impl From<JobStatus> for JobState {
    fn from(status: JobStatus) -> Self {
        match status {
            JobStatus::Queued => Self::Queued,
            JobStatus::Running => Self::Running,
            JobStatus::Succeeded => Self::Succeeded,
            JobStatus::Failed => Self::Failed,
            JobStatus::Interrupted => Self::Interrupted,
            JobStatus::Cancelled => Self::Cancelled,
        }
    }
}

/// A job.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Job {
    /// Its id.
    #[schema(example = "17")]
    id: String,
    /// What it does.
    #[schema(example = "audit.verify")]
    kind: String,
    /// What became of it.
    state: JobStatus,
    /// How much of it is done, in its own measure.
    #[schema(minimum = 0)]
    done: u64,
    /// How much there is to do, once that is known.
    #[schema(minimum = 0)]
    total: Option<u64>,
    /// What it found, or the problem for which it failed; null until it ends.
    result: Option<serde_json::Value>,
    /// Actor who asked for it; null for the command line of the server.
    started_by: Option<String>,
    /// When it was asked for.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was last heard of.
    #[schema(format = DateTime)]
    updated_at: String,
    /// When it ended.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
}

impl From<JobRow> for Job {
    fn from(row: JobRow) -> Self {
        Self {
            id: row.id.to_string(),
            kind: row.kind,
            state: row.state.into(),
            done: row.done,
            total: row.total,
            result: serde_json::from_str(&row.result).ok(),
            started_by: row.actor.map(|actor| actor.to_string()),
            created_at: instant(row.created_at),
            updated_at: instant(row.updated_at),
            ended_at: row.ended_at.map(instant),
        }
    }
}

/// What to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct JobQuery {
    /// Where the page begins: `nextCursor` of the one before.
    #[param(max_length = 1024)]
    cursor: Option<String>,
    /// Rows of the page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// Only jobs in this state.
    state: Option<JobStatus>,
}

/// Lists jobs
///
/// The latest first: one's own, and those of others whose findings the caller could ask for. Jobs are kept for 30 days after their end.
#[utoipa::path(get, path = "/jobs", operation_id = "listJobs", tag = "jobs", params(JobQuery),
    responses((status = 200, description = "A page of jobs.", body = Page<Job>)))]
async fn list(
    State(api): Shared,
    caller: Caller,
    Query(query): Query<JobQuery>,
) -> Result<axum::Json<Page<Job>>, Problem> {
    let limit = page::limit(query.limit)?;
    let before = match page::after(query.cursor.as_deref())?.as_str() {
        "" => JobId(i64::MAX),
        id => JobId(id.parse().map_err(|_| page::foreign())?),
    };
    let seen = Api::jobs_seen(&caller);
    let rows = api.store.jobs(&seen, query.state.map(JobState::from), before, limit + 1).await?;
    Ok(axum::Json(Page::of(rows, limit, |row| row.id.to_string()).map(Job::from)))
}

/// Shows a job
///
/// How far it is, and its result once it ended.
#[utoipa::path(get, path = "/jobs/{id}", operation_id = "showJob", tag = "jobs", params(("id" = String, Path, description = "Its id.")),
    responses((status = 200, description = "The job.", body = Job)))]
async fn show(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<axum::Json<Job>, Problem> {
    Ok(axum::Json(find(&api, &caller, &id).await?.into()))
}

/// Cancels a job
///
/// What it did so far stays done. A job that ended is a conflict.
#[utoipa::path(delete, path = "/jobs/{id}", operation_id = "cancelJob", tag = "jobs", params(("id" = String, Path, description = "Its id.")),
    responses((status = 200, description = "The job as it is now.", body = Job)))]
async fn cancel(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<axum::Json<Job>, Problem> {
    let job = find(&api, &caller, &id).await?.id;
    if !api.store_of(&caller).end_job(job, JobState::Cancelled, String::new()).await? {
        return Err(Problem::new(Code::Conflict).detail("the job has ended", "le travail est terminé"));
    }
    api.jobs.cancel(job);
    Ok(axum::Json(find(&api, &caller, &id).await?.into()))
}

async fn find(api: &Api, caller: &Caller, id: &str) -> Result<JobRow, Problem> {
    let id = id.parse().map_err(|_| Problem::new(Code::NotFound))?;
    let job = api.store.job(JobId(id), &Api::jobs_seen(caller)).await?;
    job.ok_or_else(|| Problem::new(Code::NotFound))
}
