//! `/docs/`: a page to try the API in a browser. All of it comes from this program: its policy forbids any other source, and any inline script.

use crate::problem::{Code, Problem};
use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use std::borrow::Cow;
use std::sync::Arc;

const PAGE: &str = include_str!("../assets/index.html");
const START: &str = include_str!("../assets/start.js");
/// What a browser may load for the page, and who may frame it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
/// The files of Swagger UI that the page asks for.
const FILES: &[&str] = &["swagger-ui.css", "index.css", "swagger-ui-bundle.js", "favicon-32x32.png"];

/// The page and its files, under the base of the API.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let base = crate::api::BASE;
    Router::new()
        .route(&format!("{base}/docs"), get(|| async { Redirect::permanent("docs/") }))
        .route(
            &format!("{base}/docs/"),
            get(|| async { page("text/html; charset=utf-8", PAGE.as_bytes().into()) }),
        )
        .route(
            &format!("{base}/docs/start.js"),
            get(|| async { page("text/javascript", START.as_bytes().into()) }),
        )
        .route(&format!("{base}/docs/{{file}}"), get(file))
}

async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    let name = FILES.iter().find(|known| **known == name).ok_or_else(|| Problem::new(Code::NotFound))?;
    let file = utoipa_swagger_ui::serve(name, Arc::new(utoipa_swagger_ui::Config::default()));
    let file = file.ok().flatten().ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(page(&file.content_type, file.bytes))
}

fn page(kind: &str, octets: Cow<'static, [u8]>) -> Response {
    let body = match octets {
        Cow::Borrowed(octets) => Body::from(octets),
        Cow::Owned(octets) => Body::from(octets),
    };
    let mut response = body.into_response();
    let kind = HeaderValue::from_str(kind).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
