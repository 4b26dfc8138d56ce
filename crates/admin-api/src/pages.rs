//! What each path answers.

use crate::{AdminApi, Gauge};
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
    let mut text = gauges(&(shared.gauges.0)());
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

/// Values of one name stand together, as the format wants it.
fn gauges(gauges: &[Gauge]) -> String {
    let mut sorted: Vec<&Gauge> = gauges.iter().collect();
    sorted.sort_by_key(|gauge| gauge.name);
    let mut text = String::new();
    let mut last = "";
    for gauge in sorted {
        if gauge.name != last {
            last = gauge.name;
            let _ = writeln!(text, "# HELP {0} {1}.\n# TYPE {0} gauge", gauge.name, gauge.help);
        }
        let label = |(name, value): &(&str, String)| {
            format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
        };
        let labels: Vec<String> = gauge.labels.iter().map(label).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(text, "{}{labels} {}", gauge.name, gauge.value);
    }
    text
}

fn page(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, hyper::header::HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_one_name_stand_together_under_one_heading() {
        let gauge = |name, labels, value| Gauge { name, help: "Help", labels, value };
        let text = gauges(&[
            gauge("b", vec![("issuer", "a \"b\"\\".to_owned())], 1.0),
            gauge("a", Vec::new(), 2.5),
            gauge("b", vec![("issuer", "c".to_owned()), ("kind", "d".to_owned())], -3.0),
        ]);
        let expected = "# HELP a Help.\n# TYPE a gauge\na 2.5\n# HELP b Help.\n# TYPE b gauge\n\
                        b{issuer=\"a \\\"b\\\"\\\\\"} 1\nb{issuer=\"c\",kind=\"d\"} -3\n";
        assert_eq!(text, expected);
    }
}
