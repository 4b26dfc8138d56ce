//! What each path answers.

use crate::AdminApi;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use hyper::{Method, Request, Response, StatusCode};
use std::fmt::Write;
use std::time::Duration;
use tokio::time::timeout;

/// How long the store may take to answer a probe: whoever probes does not wait for long.
const ASK_MAX: Duration = Duration::from_secs(3);
const TEXT: &str = "text/plain; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(crate) async fn answer(shared: &AdminApi, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response =
            page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD are answered here\n".to_owned());
        response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/healthz" => page(StatusCode::OK, TEXT, "ok\n".to_owned()),
        "/readyz" => ready(shared).await,
        "/metrics" => metrics(shared).await,
        _ => page(
            StatusCode::NOT_FOUND,
            TEXT,
            "no such page; there are /healthz, /readyz and /metrics\n".to_owned(),
        ),
    }
}

async fn ready(shared: &AdminApi) -> Response<Full<Bytes>> {
    match timeout(ASK_MAX, shared.store.ping()).await {
        Err(_) => {
            tracing::error!("not ready: the store does not answer in time");
            page(StatusCode::SERVICE_UNAVAILABLE, TEXT, "not ready: the store does not answer\n".to_owned())
        }
        Ok(Ok(())) => page(StatusCode::OK, TEXT, "ready\n".to_owned()),
        Ok(Err(error)) => {
            tracing::error!(%error, "not ready: the store does not answer");
            page(StatusCode::SERVICE_UNAVAILABLE, TEXT, "not ready: the store does not answer\n".to_owned())
        }
    }
}

async fn metrics(shared: &AdminApi) -> Response<Full<Bytes>> {
    let mut text = String::new();
    for gauge in (shared.gauges.0)() {
        let _ =
            writeln!(text, "# HELP {0} {1}.\n# TYPE {0} gauge\n{0} {2}", gauge.name, gauge.help, gauge.value);
    }
    match timeout(ASK_MAX, shared.store.queue_depth()).await {
        Ok(Ok(depths)) => {
            text.push_str(
                "# HELP queue_entries Remote recipients that wait, by state.\n# TYPE queue_entries gauge\n",
            );
            for state in ["queued", "deferred", "held"] {
                let count = depths.iter().find(|(known, _)| known == state).map_or(0, |(_, count)| *count);
                let _ = writeln!(text, "queue_entries{{state=\"{state}\"}} {count}");
            }
        }
        Ok(Err(error)) => tracing::warn!(%error, "the queue could not be counted for the metrics"),
        Err(_) => tracing::warn!("the queue could not be counted in time for the metrics"),
    }
    match prometheus_client::encoding::text::encode(&mut text, &shared.registry) {
        Ok(()) => page(StatusCode::OK, OPENMETRICS, text),
        Err(_) => {
            page(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "the metrics could not be written\n".to_owned())
        }
    }
}

fn page(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, hyper::header::HeaderValue::from_static("no-store"));
    response
}
