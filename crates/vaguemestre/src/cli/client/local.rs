//! The API in this process, on the store of a configuration: beside a running `serve` or without one.

use super::{Ask, LOOK, UNDER_WAY, language, whole};
use crate::cli::Global;
use admin_api::{Api, Caller, Parts};
use anyhow::Result;
use auth::{AuthMetrics, Authenticator, Settings};
use axum::body::Body;
use axum::http::header::LOCATION;
use axum::http::{Method, Request, Response, StatusCode};
use config::Config;
use serde_json::Value;
use std::sync::{Mutex, PoisonError};
use store::Store;

pub(super) struct Local {
    api: Api,
    config: Config,
    store: Store,
    caller: Caller,
    /// Where long work is seen that was started here: it ends with this process.
    started: Mutex<Vec<String>>,
}

impl Local {
    pub(super) async fn open(global: &Global) -> Result<Self> {
        let (config, store) = global.open().await?;
        // An operator without a domain has no name yet, and its first domain is added here.
        let hostname = crate::operator::hostname(&config, &store).await;
        let hostname = hostname.unwrap_or_else(|_| "localhost".to_owned());
        let api = Api::new(Parts {
            store: store.clone(),
            authenticator: Authenticator::new(store.clone(), Settings::default(), AuthMetrics::default()),
            ports: crate::api::beside(&config, &store, &hostname)?,
            notices: crate::notices::door(&config, &store, &hostname)?,
            hostname,
            intake: None,
            message_size_max: config.limits.message_size_max,
            recipients_max: config.limits.recipients_max,
            mailboxes: crate::life_cycle::mailbox_rules(&config),
        });
        let caller = Caller::machine(language(), crate::cli::account(), global.reason.clone());
        Ok(Self { api, config, store, caller, started: Mutex::default() })
    }

    pub(super) fn store(&self) -> (&Config, &Store) {
        (&self.config, &self.store)
    }

    pub(super) async fn send(&self, ask: &Ask) -> Result<Response<Body>> {
        let mut request = Request::new(Body::from(ask.body.clone()));
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() = ask.target().parse()?;
        *request.headers_mut() = ask.headers.clone();
        let response = self.api.call(self.caller.clone(), request).await;
        if response.status() == StatusCode::ACCEPTED
            && let Some(job) = response.headers().get(LOCATION).and_then(|place| place.to_str().ok())
        {
            self.started.lock().unwrap_or_else(PoisonError::into_inner).push(job.to_owned());
        }
        Ok(response)
    }

    /// Waits until the work that was started here has ended.
    async fn finish(&self) -> Result<()> {
        let started = std::mem::take(&mut *self.started.lock().unwrap_or_else(PoisonError::into_inner));
        for job in started {
            let looking = Ask::of(Method::GET, &job)?;
            while is_under_way(self.send(&looking).await?).await {
                tokio::time::sleep(LOOK).await;
            }
        }
        Ok(())
    }

    pub(super) async fn close(self) {
        if let Err(error) = self.finish().await {
            tracing::warn!(error = format!("{error:#}"), "work that was started may be cut off");
        }
        drop(self.api);
        self.store.close().await;
    }
}

async fn is_under_way(job: Response<Body>) -> bool {
    let job = whole(job.into_body()).await.unwrap_or_default();
    let job: Value = serde_json::from_slice(&job).unwrap_or_default();
    UNDER_WAY.iter().any(|state| job["state"] == *state)
}
