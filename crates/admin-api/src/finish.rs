//! The outermost layer: what every answer has in common, whatever came of the request.

use crate::access::{self, Caller};
use crate::panic;
use crate::problem::{Code, Language, Problem};
use axum::extract::Request;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// The number of a request, in its answer and in the audit trail.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) Arc<str>);

/// Numbers the request, and finishes its answer: a problem in the language of the request for whatever failed, nothing kept by caches.
pub(crate) async fn finish(mut request: Request, next: Next) -> Response {
    let language = match request.extensions().get::<Caller>() {
        Some(caller) => caller.language,
        None => access::language(request.headers()),
    };
    let id = RequestId::new();
    request.extensions_mut().insert(id.clone());
    let response = if has_nul(request.uri()) {
        nul_refused().into_response()
    } else {
        panic::caught(next.run(request)).await
    };
    let mut response = in_language(response, language);
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, id);
    }
    headers.append(VARY, HeaderValue::from_static("Accept-Language"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The same answer with its problem, if it is one, in that language. What the router and the extractors refuse by themselves becomes a problem.
fn in_language(mut response: Response, language: Language) -> Response {
    let problem = response.extensions_mut().remove::<Problem>().or_else(|| unnamed(&response));
    let Some(problem) = problem else { return response };
    let mut answer = problem.answer(language);
    for (name, value) in response.headers() {
        if *name != CONTENT_LENGTH && !answer.headers().contains_key(name) {
            answer.headers_mut().append(name, value.clone());
        }
    }
    answer
}

/// The problem of an error that none was made for.
fn unnamed(response: &Response) -> Option<Problem> {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let is_problem =
        response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/problem+json");
    if !is_error || is_problem {
        return None;
    }
    Some(Problem::new(match status {
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
        StatusCode::METHOD_NOT_ALLOWED => Code::Method,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::MediaType,
        status if status.is_server_error() => Code::Internal,
        _ if response.headers().contains_key(ALLOW) => Code::Method,
        _ => Code::Parameter,
    }))
}

/// No name, word or number here has a NUL, and PostgreSQL keeps none.
fn has_nul(uri: &Uri) -> bool {
    uri.path_and_query().is_some_and(|text| text.as_str().contains("%00"))
}

fn nul_refused() -> Problem {
    Problem::new(Code::Parameter)
        .detail("the path or the query has a NUL (%00)", "le chemin ou la requête a un NUL (%00)")
}

impl RequestId {
    /// A number that is new in this process, after one that is new for each process.
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        static PROCESS: LazyLock<u32> = LazyLock::new(|| {
            let mut octets = [0; 4];
            aws_lc_rs::rand::fill(&mut octets).expect("the system's random source answers");
            u32::from_be_bytes(octets)
        });
        Self(format!("{:08x}-{:x}", *PROCESS, NEXT.fetch_add(1, Ordering::Relaxed)).into())
    }
}
