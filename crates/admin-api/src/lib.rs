//! The https listener: health, readiness, metrics, and the REST API.
//!
//! `/healthz` says that the process answers, `/readyz` that it can take responsibility for mail (its store answers), `/metrics` is the
//! Prometheus text of this operator; nothing there shows an address, a subject or a token. `/api/v1` is the [`Api`]: every request passes one
//! gate, which finds the [`Caller`] and asks the table of rules, and what a handler changes is told of in the audit trail in the caller's name.
//!
//! It knows no SQL, no other edge, and nothing of how lists are fetched or mail is carried: what it needs of these it asks by traits that the
//! binary implements.
//!
//! Read first: [`Api`], [`Caller`], [`Permission`], [`Problem`].
#![warn(missing_docs)]

mod access;
mod api;
mod changes;
mod deprecation;
mod described;
mod drain;
mod etag;
mod explorer;
mod faults;
pub mod finding;
mod finish;
mod idempotency;
mod instant;
mod jobs;
mod json;
mod limits;
mod mailbox;
mod notices;
mod once;
mod openapi;
mod page;
mod pages;
mod panic;
mod ports;
mod problem;
mod refusal;
mod routes;
mod sentences;
pub mod trust;

pub use access::{Caller, Domains, Permission, RouteRule, Standing};
pub use api::{Api, BASE, MailboxRules, Parts, document};
pub use jobs::{JobKind, Progress, Started};
pub use json::instant;
pub use limits::Allowance;
pub use ports::{
    Answering, Comparison, InForce, OwnCertificates, OwnFinding, Pair, Ports, Returns, Side, TrustSpace,
    Unable,
};
pub use problem::{Code, Language, Problem};

use access::Peer;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use listener::{Bounds, Drain, Vigil};
use pki::AccessServerTls;
use prometheus_client::registry::Registry;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tower::ServiceExt;

/// Everything that the listener's connections share.
#[derive(Debug)]
pub struct AdminApi {
    /// Our certificate.
    pub tls: Arc<AccessServerTls>,
    /// What readiness asks.
    pub store: Store,
    /// The REST API.
    pub api: Api,
    /// What `/metrics` shows.
    pub registry: Arc<Registry>,
    /// Gauges that are read when asked for: name, help, value.
    pub gauges: Gauges,
    /// Time for a handshake.
    pub handshake_timeout: Duration,
    /// Another number after each change of what certificates are judged by.
    pub trust_changes: watch::Receiver<u64>,
}

/// Values computed when `/metrics` is asked for.
#[derive(Clone)]
pub struct Gauges(pub Arc<dyn Fn() -> Vec<Gauge> + Send + Sync>);

impl std::fmt::Debug for Gauges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gauges")
    }
}

/// One value.
#[derive(Clone, Debug)]
pub struct Gauge {
    /// Metric name.
    pub name: &'static str,
    /// What it tells; the same for every value of one name.
    pub help: &'static str,
    /// What it is a value of, where there are several: names and values.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

/// Longest head of a request.
const HEAD_MAX: usize = 16 * 1024;
/// Time to send a whole head, and to stay without a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection goes on by one judgement of its certificate.
const CERTIFICATE_MAX: Duration = Duration::from_secs(55);
/// How long a connection that is about to end waits for the request for which it was opened.
const FIRST_REQUEST: Duration = Duration::from_secs(2);

impl AdminApi {
    /// Serves until `drain` is asked for and every connection has ended.
    pub async fn serve(
        self,
        listener: TcpListener,
        connections_max: usize,
        per_address_max: usize,
        drain: Drain,
    ) {
        let bounds = Bounds { connections_max, per_address_max, refusal: b"" };
        // Not while the first request waits for it.
        drop(tokio::task::spawn_blocking(described::prepare));
        let router = self.api.router();
        let shared = Arc::new(self);
        listener::serve(listener, bounds, drain, move |stream, from, drain| {
            connection(shared.clone(), router.clone(), stream, from.ip(), drain)
        })
        .await;
    }
}

async fn connection(
    shared: Arc<AdminApi>,
    router: axum::Router,
    stream: TcpStream,
    ip: IpAddr,
    mut drain: Drain,
) {
    let sources = [shared.trust_changes.clone(), shared.api.authenticator.changes()];
    let vigil = Vigil::new(sources, CERTIFICATE_MAX);
    let accepted = tokio::time::timeout(shared.handshake_timeout, shared.tls.accept(stream)).await;
    let Ok(Ok(accepted)) = accepted else { return };
    let peer = Peer::of(ip, &accepted);
    let mut vigil = peer.identity.is_some().then_some(vigil);
    let begun = Notify::new();
    let service = service_fn(|mut request: Request<Incoming>| {
        begun.notify_one();
        let (shared, router) = (shared.clone(), router.clone());
        request.extensions_mut().insert(peer.clone());
        async move { answer(&shared, router, request).await }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_MAX);
    let serving = http.serve_connection(TokioIo::new(accepted.stream), service);
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = drain.asked() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
        // A certificate is judged in the handshake: a client that keeps its connection shakes hands anew once something changed.
        () = due(vigil.as_mut(), &begun) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an https connection ended badly");
    }
}

/// Waits until the connection is to end. One that was just opened still hears the answer to its request.
async fn due(vigil: Option<&mut Vigil>, begun: &Notify) {
    match vigil {
        Some(vigil) => vigil.due().await,
        None => std::future::pending().await,
    }
    let _ = tokio::time::timeout(FIRST_REQUEST, begun.notified()).await;
}

async fn answer(
    shared: &AdminApi,
    router: axum::Router,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    if request.uri().path().starts_with("/api/") {
        return router.oneshot(request.map(Body::new)).await;
    }
    Ok(pages::answer(shared, &request).await.map(Body::new))
}
