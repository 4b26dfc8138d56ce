//! What of the API is going to leave, told in each answer: `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and where to read more.

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use mail_types::Timestamp;
use std::time::{Duration, UNIX_EPOCH};

/// An operation that is going to leave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deprecated {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub(crate) method: &'static str,
    /// The path as the router has it, after the base.
    pub(crate) path: &'static str,
    /// Since when it should not be used in anything new.
    pub(crate) since: Timestamp,
    /// From when it may answer no more.
    pub(crate) sunset: Timestamp,
}

/// Everything that is going to leave. A line stands for at least six months before its sunset; the change log says what takes its place.
pub(crate) const DEPRECATED: &[Deprecated] = &[];

/// The line of an operation.
pub(crate) fn find(table: &'static [Deprecated], method: &str, path: &str) -> Option<&'static Deprecated> {
    table.iter().find(|line| line.method == method && line.path == path)
}

/// Tells callers of what is going to leave.
pub(crate) async fn tell(request: Request, next: Next) -> Response {
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .and_then(|path| path.as_str().strip_prefix(crate::api::BASE));
    let line = path.and_then(|path| find(DEPRECATED, request.method().as_str(), path));
    let mut response = next.run(request).await;
    if let Some(line) = line {
        line.tell(response.headers_mut());
    }
    response
}

impl Deprecated {
    fn tell(&self, headers: &mut HeaderMap) {
        let fields = [
            ("deprecation", format!("@{}", self.since.secs())),
            ("sunset", http_date(self.sunset)),
            (
                "link",
                format!("<{}/changes>; rel=\"deprecation\"; type=\"application/json\"", crate::api::BASE),
            ),
        ];
        for (name, text) in fields {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

fn http_date(at: Timestamp) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(at.secs().unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Deprecated] = &[Deprecated {
        method: "GET",
        path: "/old",
        since: Timestamp::from_secs(1_795_248_000),
        sunset: Timestamp::from_secs(784_111_777),
    }];

    #[test]
    fn an_operation_that_leaves_says_since_when_and_until_when() {
        let mut headers = HeaderMap::new();
        find(TABLE, "GET", "/old").unwrap().tell(&mut headers);
        assert_eq!(headers["deprecation"], "@1795248000");
        assert_eq!(headers["sunset"], "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(headers["link"], "</api/v1/changes>; rel=\"deprecation\"; type=\"application/json\"");
        assert!(find(TABLE, "POST", "/old").is_none());
    }

    #[test]
    fn every_line_is_of_an_operation_and_leaves_half_a_year() {
        for line in DEPRECATED {
            assert!(crate::routes::rules().any(|rule| rule.method == line.method && rule.path == line.path));
            assert!(line.sunset.secs() - line.since.secs() >= 180 * 24 * 3600);
        }
    }
}
