//! Fetching revocation lists: each is examined before it is kept, and kept before it is in force.

use crate::files;
use crate::http::{Answer, HttpClient};
use crate::sources::{self, AboutList};
use crate::space::{TrustSpace, blocking};
use pki::{CrlFaultCause, RevocationListFacts};
use tokio::task::JoinSet;

/// Fetches at one time.
const FETCHES_MAX: usize = 4;

/// What came of one fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFetch {
    /// From where.
    pub url: String,
    /// Issuer and number of a new list, or that nothing changed, or why nothing was taken.
    pub outcome: Result<ListNews, String>,
}

/// What a source had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListNews {
    /// What we have already.
    Unchanged,
    /// A list that is now in force.
    Taken(RevocationListFacts),
}

struct Failure {
    label: &'static str,
    text: String,
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self { label: "keep", text: format!("the list could not be kept: {error}") }
    }
}

impl TrustSpace {
    /// Fetches from each of these sources, a few at a time.
    pub(crate) async fn fetch_each(&self, http: &HttpClient, urls: Vec<String>) -> Vec<ListFetch> {
        let (mut waiting, mut under_way, mut done) = (urls.into_iter(), JoinSet::new(), Vec::new());
        loop {
            while under_way.len() < FETCHES_MAX
                && let Some(url) = waiting.next()
            {
                let (space, http) = (self.clone(), http.clone());
                under_way.spawn(async move { space.fetch_one(&http, url).await });
            }
            match under_way.join_next().await {
                Some(Ok(fetch)) => done.push(fetch),
                Some(Err(error)) => tracing::error!(%error, "a fetch of a revocation list ended badly"),
                None => return done,
            }
        }
    }

    async fn fetch_one(&self, http: &HttpClient, url: String) -> ListFetch {
        let fetched = self.fetch(http, &url).await;
        let (now, refresh_secs) = (self.now(), self.settings().lists.refresh_secs);
        let outcome = match fetched {
            Ok((about, facts)) => {
                self.inner.metrics.list_fetched();
                self.state().sources.succeeded(&url, about, facts.clone(), now, refresh_secs);
                match facts {
                    None => Ok(ListNews::Unchanged),
                    Some(facts) => {
                        tracing::info!(url, issuer = %facts.issuer, entries = facts.entries, "a revocation list is in force");
                        Ok(ListNews::Taken(facts))
                    }
                }
            }
            Err(Failure { label, text }) => {
                self.inner.metrics.list_failed(label);
                let is_known = self.state().sources.0.get(&url).is_some_and(|source| source.failures > 0);
                if is_known {
                    tracing::debug!(url, cause = text, "a revocation list was not taken");
                } else {
                    tracing::warn!(
                        url,
                        cause = text,
                        "a revocation list was not taken; it will be tried again"
                    );
                }
                self.state().sources.failed(&url, text.clone(), now, refresh_secs);
                Err(text)
            }
        };
        ListFetch { url, outcome }
    }

    /// What is told of the list now, and its facts if it is a new one.
    async fn fetch(
        &self,
        http: &HttpClient,
        url: &str,
    ) -> Result<(AboutList, Option<RevocationListFacts>), Failure> {
        let settings = self.settings();
        let (kept, former) = {
            let state = self.state();
            let source = state.sources.0.get(url);
            (source.and_then(|source| source.kept.clone()), source.and_then(|source| source.facts.clone()))
        };
        // A list that somebody took away is fetched as if it had never been there.
        let path = sources::paths(&settings.folder, url).0;
        let is_there = blocking(move || path.is_file()).await;
        let kept = kept.filter(|_| is_there);
        let known = kept.as_ref().map(|about| about.validators.clone()).unwrap_or_default();
        let answer = http.get(url, settings.lists.size_max, &known).await;
        let now = self.now();
        let (bytes, validators) = match (answer, kept.clone()) {
            (Ok(Answer::Body(bytes, validators)), _) => (bytes, validators),
            (Ok(Answer::NotModified), Some(about)) => {
                return self
                    .keep(AboutList { fetched_at_ms: now.0, ..about }, None)
                    .await
                    .map(|about| (about, None));
            }
            (Ok(Answer::NotModified), None) => {
                return Err(Failure {
                    label: "status",
                    text: "the server answered 304 to nothing".to_owned(),
                });
            }
            (Err(fault), _) => return Err(Failure { label: fault.label(), text: fault.to_string() }),
        };
        let about = AboutList {
            url: url.to_owned(),
            fetched_at_ms: now.0,
            sha256: files::sha256(&bytes),
            validators,
        };
        if kept.is_some_and(|kept| kept.sha256 == about.sha256) {
            return self.keep(about, None).await.map(|about| (about, None));
        }
        let (facts, bytes) = self.examine(bytes).await?;
        if former.is_some_and(|former| former.issuer != facts.issuer) {
            return Err(Failure {
                label: "other_issuer",
                text: format!("the list is of another issuer than the one that was here: {}", facts.issuer),
            });
        }
        let about = self.keep(about, Some(bytes)).await?;
        self.put_lists_in_force().await;
        Ok((about, Some(facts)))
    }

    async fn examine(&self, bytes: Vec<u8>) -> Result<(RevocationListFacts, Vec<u8>), Failure> {
        let (pki, signers, now) = (self.pki.load(), self.signers(), self.now());
        let examined = blocking(move || {
            let facts = match pki.examine_list(&bytes, now) {
                Err(CrlFaultCause::UnknownIssuer) => signers.examine_list(&bytes, now),
                other => other,
            };
            facts.map(|facts| (facts, bytes))
        });
        let refused = |cause: CrlFaultCause| Failure { label: label(cause), text: cause.to_string() };
        examined.await.map_err(refused)
    }

    async fn keep(&self, about: AboutList, bytes: Option<Vec<u8>>) -> Result<AboutList, Failure> {
        let folder = self.settings().folder.clone();
        let kept = blocking(move || sources::keep(&folder, &about, bytes.as_deref()).map(|()| about)).await?;
        Ok(kept)
    }
}

/// One word for metrics.
fn label(cause: CrlFaultCause) -> &'static str {
    match cause {
        CrlFaultCause::Empty | CrlFaultCause::Malformed => "malformed",
        CrlFaultCause::UnknownIssuer => "unknown_issuer",
        CrlFaultCause::IssuerMayNotSign | CrlFaultCause::BadSignature => "bad_signature",
        CrlFaultCause::FromTheFuture => "future",
        CrlFaultCause::Older | CrlFaultCause::NumberWentBack => "older",
        _ => "unsupported",
    }
}
