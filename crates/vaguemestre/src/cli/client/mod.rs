//! One client of the REST API for every command: in this process on the local store, or by HTTPS on a server's.

mod ask;
mod local;
mod refused;
mod remote;

pub(super) use ask::Ask;
pub(super) use refused::Refused;

use super::Global;
use admin_api::Language;
use anyhow::{Context, Result, bail};
use axum::body::Body;
use axum::http::header::{ETAG, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use config::Config;
use http_body_util::{BodyExt, Limited};
use local::Local;
use remote::Remote;
use serde_json::Value;
use std::time::Duration;
use store::Store;

/// Octets of an answer that is read whole.
const ANSWER_MAX: usize = 64 * 1024 * 1024;
/// Rows of a page, where all are read.
const PAGE: u32 = 500;
/// How often a request is made again that came too soon after others.
const WAITS_MAX: u32 = 20;
/// Longest of these waits, in seconds.
const WAIT_MAX: u64 = 60;
/// Between two looks at long work.
const LOOK: Duration = Duration::from_millis(300);
/// States of long work that has not ended.
const UNDER_WAY: [&str; 2] = ["queued", "running"];

/// Who asks the API.
pub(super) struct Client {
    door: Door,
}

enum Door {
    Local(Box<Local>),
    Remote(Remote),
}

/// What the API answered, of a request that it fulfilled.
pub(super) struct Answer {
    headers: HeaderMap,
    /// The body; null when there was none.
    pub(super) value: Value,
}

impl Client {
    /// A client of the server that `--url` or the environment names, or of the local store.
    pub(super) async fn open(global: &Global) -> Result<Self> {
        let door = match global.remote()? {
            Some(url) => Door::Remote(Remote::new(global, &url)?),
            None => Door::Local(Box::new(Local::open(global).await?)),
        };
        Ok(Self { door })
    }

    /// The configuration and the store, unless it asks a server.
    pub(super) fn store(&self) -> Option<(&Config, &Store)> {
        match &self.door {
            Door::Local(local) => Some(local.store()),
            Door::Remote(_) => None,
        }
    }

    /// Lets what was written be written.
    pub(super) async fn close(self) {
        if let Door::Local(local) = self.door {
            local.close().await;
        }
    }

    /// Makes a request, whatever the answer; only that there is none is an error.
    pub(super) async fn send(&self, ask: &Ask) -> Result<Response<Body>> {
        let ask = match &self.door {
            Door::Local(_) => ask.clone(),
            Door::Remote(_) => ask.known_again(),
        };
        for _ in 0..WAITS_MAX {
            let response = self.once(&ask).await?;
            let Some(wait) = wait_of(&response, StatusCode::TOO_MANY_REQUESTS) else { return Ok(response) };
            tokio::time::sleep(wait).await;
        }
        self.once(&ask).await
    }

    async fn once(&self, ask: &Ask) -> Result<Response<Body>> {
        match &self.door {
            Door::Local(local) => local.send(ask).await,
            Door::Remote(remote) => remote.send(ask).await,
        }
    }

    /// Makes a request that is to succeed; anything else is [`Refused`].
    pub(super) async fn ask(&self, ask: &Ask) -> Result<Answer> {
        let (parts, body) = self.send(ask).await?.into_parts();
        let octets = whole(body).await?;
        if !parts.status.is_success() {
            return Err(Refused::new(parts.status, &octets).into());
        }
        let value = match octets.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&octets).context("the answer is not JSON")?,
        };
        Ok(Answer { headers: parts.headers, value })
    }

    /// Makes a request that is to succeed, and gives the answer as it comes.
    pub(super) async fn stream(&self, ask: &Ask) -> Result<Body> {
        let (parts, body) = self.send(ask).await?.into_parts();
        match parts.status.is_success() {
            true => Ok(body),
            false => Err(Refused::new(parts.status, &whole(body).await?).into()),
        }
    }

    /// Reads one thing.
    pub(super) async fn get(&self, segments: &[&str]) -> Result<Value> {
        Ok(self.ask(&Ask::get(segments)?).await?.value)
    }

    /// Makes or does something.
    pub(super) async fn post(&self, segments: &[&str], body: &Value) -> Result<Answer> {
        self.ask(&Ask::post(segments)?.json(body)).await
    }

    /// Changes one thing as it is now (RFC 7396).
    pub(super) async fn patch(&self, segments: &[&str], body: &Value) -> Result<Value> {
        self.as_it_is(&Ask::patch(segments)?.json(body)).await
    }

    /// Makes a request of what is read first; once more when it changed in between.
    pub(super) async fn as_it_is(&self, ask: &Ask) -> Result<Value> {
        let reading = ask.reading();
        let etag = self.ask(&reading).await?.etag();
        match self.ask(&ask.clone().if_match(etag)).await {
            Err(error) if Refused::of(&error).is_some_and(Refused::is_stale) => {
                let etag = self.ask(&reading).await?.etag();
                Ok(self.ask(&ask.clone().if_match(etag)).await?.value)
            }
            answered => Ok(answered?.value),
        }
    }

    /// Starts long work, and waits for its end: the job as it is then.
    pub(super) async fn finished(&self, ask: &Ask) -> Result<Value> {
        let started = self.ask(ask).await?.value;
        let id = started["id"].as_str().context("the answer names no job")?;
        loop {
            let job = self.get(&["jobs", id]).await?;
            if !UNDER_WAY.iter().any(|state| job["state"] == *state) {
                return Ok(job);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Reads a list to its end, or to `most` rows.
    pub(super) async fn list(&self, ask: &Ask, most: Option<usize>) -> Result<Vec<Value>> {
        let mut rows = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let left = most.map_or(usize::MAX, |most| most.saturating_sub(rows.len()));
            let limit = left.min(PAGE as usize);
            if limit == 0 {
                return Ok(rows);
            }
            let page = ask.clone().query("limit", Some(limit)).query("cursor", cursor.as_deref());
            let mut page = self.ask(&page).await?.value;
            match page["items"].take() {
                Value::Array(items) => rows.extend(items),
                _ => bail!("the answer is not a page of a list"),
            }
            cursor = page["nextCursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                return Ok(rows);
            }
        }
    }
}

impl Answer {
    /// What a change must name; anything, where the answer has no tag.
    fn etag(&self) -> HeaderValue {
        self.headers.get(ETAG).cloned().unwrap_or(HeaderValue::from_static("*"))
    }
}

/// The language of the account that runs the command: French where its locale is, English otherwise, as the command's own sentences are.
pub(super) fn language() -> Language {
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(super::variable);
    match locale.is_some_and(|locale| locale.to_ascii_lowercase().starts_with("fr")) {
        true => Language::French,
        false => Language::English,
    }
}

async fn whole(body: Body) -> Result<Vec<u8>> {
    let collected = Limited::new(body, ANSWER_MAX).collect().await;
    let collected = collected.map_err(|error| anyhow::anyhow!("the answer was cut off: {error}"))?;
    Ok(collected.to_bytes().to_vec())
}

/// How long to wait before the same request, answered by this status, is welcome.
fn wait_of(response: &Response<Body>, status: StatusCode) -> Option<Duration> {
    if response.status() != status {
        return None;
    }
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse::<u64>().ok()?;
    (seconds <= WAIT_MAX).then(|| Duration::from_secs(seconds.max(1)))
}
