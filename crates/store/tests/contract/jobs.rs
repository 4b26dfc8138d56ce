//! Long work: what is told of it, who sees it, and what becomes of it when its node dies.

use crate::support::{DAY_MS, Fixture, on_both_engines};
use mail_types::{ActorId, AdminRole, JobId};
use store::{Act, JobState, JobsSeen, Via};

on_both_engines!(
    a_job_is_told_of_until_it_ends,
    a_job_is_seen_by_who_asked_and_by_who_may_see_its_kind,
    jobs_of_the_dead_are_interrupted,
    old_jobs_are_forgotten,
);

const EVERYTHING: JobId = JobId(i64::MAX);

async fn asker(store: &Fixture, name: &str) -> ActorId {
    store.set_api_key(name, name.as_bytes().to_vec(), AdminRole::Operator).await.unwrap()
}

fn by(actor: Option<ActorId>) -> JobsSeen {
    JobsSeen { actor, kinds: Vec::new() }
}

async fn a_job_is_told_of_until_it_ends(store: &Fixture) {
    let job = store.add_job("audit.verify").await.unwrap();
    let state = async || store.job(job, &by(None)).await.unwrap().unwrap();
    assert_eq!(state().await.state, JobState::Queued);
    assert!(store.tell_job(job, 3, Some(10)).await.unwrap());
    let told = state().await;
    assert_eq!((told.state, told.done, told.total, told.ended_at), (JobState::Running, 3, Some(10), None));
    assert!(store.end_job(job, JobState::Succeeded, "{}".to_owned()).await.unwrap());
    assert!(!store.tell_job(job, 4, Some(10)).await.unwrap(), "what ended goes no further");
    assert!(!store.end_job(job, JobState::Cancelled, String::new()).await.unwrap());
    let ended = state().await;
    assert_eq!((ended.state, ended.result.as_str(), ended.done), (JobState::Succeeded, "{}", 3));
    assert!(ended.ended_at.is_some());
}

async fn a_job_is_seen_by_who_asked_and_by_who_may_see_its_kind(store: &Fixture) {
    let (mine, other) = (asker(store, "mine").await, asker(store, "other").await);
    let act = |actor| Act { actor: Some(actor), ..Act::via(Via::Rest) };
    let first = store.acting(act(mine)).add_job("audit.verify").await.unwrap();
    let second = store.acting(act(other)).add_job("trust.sync").await.unwrap();
    let third = store.acting(act(mine)).add_job("trust.sync").await.unwrap();
    let ids = async |seen: JobsSeen, state, before, limit| {
        let rows = store.jobs(&seen, state, before, limit).await.unwrap();
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(by(Some(mine)), None, EVERYTHING, 10).await, [third, first]);
    assert_eq!(ids(by(Some(mine)), None, third, 10).await, [first]);
    let syncs = JobsSeen { actor: Some(mine), kinds: vec!["trust.sync"] };
    assert_eq!(ids(syncs.clone(), None, EVERYTHING, 2).await, [third, second]);
    store.end_job(second, JobState::Failed, String::new()).await.unwrap();
    assert_eq!(ids(syncs, Some(JobState::Failed), EVERYTHING, 10).await, [second]);
    assert!(store.job(second, &by(Some(mine))).await.unwrap().is_none());
    assert!(ids(by(None), None, EVERYTHING, 10).await.is_empty());
}

async fn jobs_of_the_dead_are_interrupted(store: &Fixture) {
    let job = store.add_job("trust.sync").await.unwrap();
    assert_eq!(store.interrupt_silent_jobs().await.unwrap(), 0, "it was heard of just now");
    assert_eq!(store.interrupt_jobs_of_the_dead().await.unwrap(), 1);
    assert_eq!(store.job(job, &by(None)).await.unwrap().unwrap().state, JobState::Interrupted);
    let silent = store.add_job("trust.sync").await.unwrap();
    store.pass(6 * 60 * 1000);
    assert_eq!(store.interrupt_silent_jobs().await.unwrap(), 1);
    assert_eq!(store.job(silent, &by(None)).await.unwrap().unwrap().state, JobState::Interrupted);
}

async fn old_jobs_are_forgotten(store: &Fixture) {
    let (ended, running) = (store.add_job("a").await.unwrap(), store.add_job("b").await.unwrap());
    store.end_job(ended, JobState::Succeeded, String::new()).await.unwrap();
    store.pass(29 * DAY_MS);
    assert_eq!(store.prune_jobs(30).await.unwrap(), 0);
    store.pass(2 * DAY_MS);
    assert_eq!(store.prune_jobs(30).await.unwrap(), 1);
    assert!(store.job(ended, &by(None)).await.unwrap().is_none());
    assert!(store.job(running, &by(None)).await.unwrap().is_some());
}
