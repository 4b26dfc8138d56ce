//! The REST API: one router, one gate, one table of rules.

use crate::access::{self, Caller, RouteRule};
use crate::jobs::Jobs;
use crate::ports::Ports;
use crate::problem::{Code, Problem};
use crate::{explorer, openapi, routes};
use auth::Authenticator;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
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
        Self { parts: Arc::new(parts), jobs: Jobs::default() }
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
            .layer(DefaultBodyLimit::max(BODY_MAX))
            .route_layer(from_fn_with_state(self.clone(), access::gate))
            .merge(explorer::routes())
            .layer(from_fn(finish))
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

/// The outermost layer: problems in the language of the request, nothing cached.
async fn finish(request: Request, next: Next) -> Response {
    let language = match request.extensions().get::<Caller>() {
        Some(caller) => caller.language,
        None => access::language(request.headers()),
    };
    let mut response = next.run(request).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let mut answer = problem.answer(language);
        for name in [HeaderName::from_static("allow"), HeaderName::from_static("request-id")] {
            if let Some(value) = response.headers().get(&name) {
                answer.headers_mut().insert(name, value.clone());
            }
        }
        return answer;
    }
    if response.status().is_client_error() && !is_problem(&response) {
        let code = match response.status() {
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
            StatusCode::METHOD_NOT_ALLOWED => Code::Method,
            _ => Code::Parameter,
        };
        return Problem::new(code).answer(language).into_response();
    }
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn is_problem(response: &Response) -> bool {
    response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/problem+json")
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
