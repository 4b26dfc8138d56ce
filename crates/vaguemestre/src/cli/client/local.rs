//! The API in this process, on the store of a configuration: beside a running `serve` or without one.

use super::{Ask, language};
use crate::cli::Global;
use admin_api::{Api, Caller, Parts};
use anyhow::Result;
use auth::{AuthMetrics, Authenticator, Settings};
use axum::body::Body;
use axum::http::{Request, Response};
use store::Store;

pub(super) struct Local {
    api: Api,
    store: Store,
    caller: Caller,
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
        Ok(Self { api, store, caller })
    }

    pub(super) async fn send(&self, ask: &Ask) -> Result<Response<Body>> {
        let mut request = Request::new(Body::from(ask.body.clone()));
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() = ask.target().parse()?;
        *request.headers_mut() = ask.headers.clone();
        Ok(self.api.call(self.caller.clone(), request).await)
    }

    pub(super) async fn close(self) {
        drop(self.api);
        self.store.close().await;
    }
}
