//! The REST API: one router, one gate, one table of rules.

use crate::access::{self, Caller, Examinations, RouteRule};
use crate::idempotency::Requests;
use crate::jobs::Jobs;
use crate::limits::{Allowance, Limits};
use crate::ports::Ports;
use crate::problem::{Code, Problem};
use crate::{deprecation, drain, explorer, finish, idempotency, limits, mailbox, openapi, routes};
use auth::Authenticator;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use intake::Intake;
use mail_types::KeyCheck;
use std::collections::HashMap;
use std::sync::Arc;
use store::Store;
use tower::ServiceExt;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

/// Where the API begins.
pub const BASE: &str = "/api/v1";
/// Octets of a body, unless the route takes more.
pub(crate) const BODY_MAX: usize = 1024 * 1024;

/// What handlers work on; cheap to clone.
#[derive(Clone, Debug)]
pub struct Api {
    parts: Arc<Parts>,
    pub(crate) jobs: Jobs,
    pub(crate) requests: Requests,
    pub(crate) limits: Limits,
    pub(crate) examinations: Arc<Examinations>,
}

/// How mailboxes are made and deleted.
#[derive(Clone, Copy, Debug)]
pub struct MailboxRules {
    /// How far national identifiers are looked at.
    pub key_check: KeyCheck,
    /// Octets that a mailbox may hold that was given no quota.
    pub quota_default_bytes: u64,
    /// How long a deleted mailbox can be restored, in milliseconds.
    pub restore_ms: i64,
}

/// What the API is made of.
#[derive(Debug)]
pub struct Parts {
    /// The store.
    pub store: Store,
    /// Who a secret or a certificate proves.
    pub authenticator: Authenticator,
    /// Our name.
    pub hostname: String,
    /// The door that messages are sent by; none where no mail is taken.
    pub intake: Option<Intake>,
    /// The door by which those concerned are told of what is done; none where nobody is told.
    pub notices: Option<Intake>,
    /// Octets of one message.
    pub message_size_max: u64,
    /// Recipients of one message.
    pub recipients_max: usize,
    /// How mailboxes are made and deleted.
    pub mailboxes: MailboxRules,
    /// What the running server does for the API.
    pub ports: Ports,
}

impl std::ops::Deref for Api {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl Api {
    /// An API on these parts.
    pub fn new(parts: Parts) -> Self {
        let allowance = Allowance::default();
        Self {
            parts: Arc::new(parts),
            jobs: Jobs::default(),
            requests: Requests::default(),
            limits: Limits::new(&allowance),
            examinations: Arc::new(Examinations::new(&allowance)),
        }
    }

    /// The same API, allowing each caller so much.
    pub fn with_allowance(mut self, allowance: &Allowance) -> Self {
        self.limits = Limits::new(allowance);
        self.examinations = Arc::new(Examinations::new(allowance));
        self
    }

    /// The store, telling the audit trail that the caller acts.
    pub(crate) fn store_of(&self, caller: &Caller) -> Store {
        self.store.acting(caller.act())
    }

    pub(crate) fn rule(&self, method: &str, path: &str) -> Option<&'static RouteRule> {
        static RULES: std::sync::LazyLock<HashMap<(&'static str, String), RouteRule>> =
            std::sync::LazyLock::new(|| {
                routes::rules().map(|rule| ((rule.method, format!("{BASE}{}", rule.path)), *rule)).collect()
            });
        // HEAD is answered by GET's handler, and asks for the same.
        let method = ["GET", "POST", "PUT", "PATCH", "DELETE"]
            .into_iter()
            .find(|known| *known == method)
            .unwrap_or("GET");
        RULES.get(&(method, path.to_owned()))
    }

    /// The whole API as a service.
    pub fn router(&self) -> Router {
        let (router, _) = OpenApiRouter::new().nest(BASE, routes::all()).split_for_parts();
        router
            .fallback(|| async { Problem::new(Code::NotFound) })
            .method_not_allowed_fallback(|| async { Problem::new(Code::Method) })
            .route_layer(from_fn_with_state(self.clone(), idempotency::once))
            .route_layer(from_fn_with_state(self.clone(), limits::by_caller))
            .route_layer(from_fn(deprecation::tell))
            .layer(from_fn_with_state(self.clone(), mailbox::bound_body))
            .route_layer(from_fn_with_state(self.clone(), access::gate))
            .merge(explorer::routes())
            .layer(from_fn_with_state(self.clone(), limits::bound))
            .layer(from_fn(finish::finish))
            .layer(from_fn(drain::drain))
            .with_state(self.clone())
    }

    /// Answers one request that came from this process itself: the command line, on a store that it opened.
    pub async fn call(&self, caller: Caller, mut request: Request<Body>) -> Response {
        request.extensions_mut().insert(caller);
        match self.router().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// The description of the API, generated from the handlers.
pub fn document() -> OpenApi {
    let (_, document) = OpenApiRouter::<Api>::new().nest(BASE, routes::all()).split_for_parts();
    openapi::complete(document)
}

/// What handlers ask for: the caller, whom the gate found.
impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or(Problem::new(Code::Forbidden))
    }
}

/// Handlers take this as state.
pub(crate) type Shared = State<Api>;
