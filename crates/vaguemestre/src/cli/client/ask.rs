//! One request of the API, before it is known where it goes.

use admin_api::BASE;
use anyhow::{Context, Result};
use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, IF_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::Url;
use serde_json::Value;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A request.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Ask {
    pub(super) method: Method,
    /// Only path and query count.
    url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Ask {
    /// A request of a path that stands as it is, with its query: from the root, or from where the API begins.
    pub(in crate::cli) fn of(method: Method, path: &str) -> Result<Self> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let from_root = if path.starts_with("api/") { format!("/{path}") } else { format!("{BASE}/{path}") };
        let url = Url::parse("https://local.invalid")?.join(&from_root).context("PATH cannot be used")?;
        Ok(Self { method, url, headers: HeaderMap::new(), body: Bytes::new() })
    }

    /// A request of the path with these segments, each written so that it stays one segment.
    fn to(method: Method, segments: &[&str]) -> Result<Self> {
        let mut ask = Self::of(method, "")?;
        if let Ok(mut path) = ask.url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        Ok(ask)
    }

    pub(in crate::cli) fn get(segments: &[&str]) -> Result<Self> {
        Self::to(Method::GET, segments)
    }

    pub(in crate::cli) fn post(segments: &[&str]) -> Result<Self> {
        Self::to(Method::POST, segments)
    }

    pub(in crate::cli) fn put(segments: &[&str]) -> Result<Self> {
        Self::to(Method::PUT, segments)
    }

    pub(in crate::cli) fn patch(segments: &[&str]) -> Result<Self> {
        Self::to(Method::PATCH, segments)
    }

    pub(in crate::cli) fn delete(segments: &[&str]) -> Result<Self> {
        Self::to(Method::DELETE, segments)
    }

    /// With a parameter of the query, unless there is none.
    pub(in crate::cli) fn query(mut self, name: &str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            self.url.query_pairs_mut().append_pair(name, &value.to_string());
        }
        self
    }

    /// With a body of JSON. Members that are null because an option was not given are left to the caller.
    pub(in crate::cli) fn json(self, body: &Value) -> Self {
        self.body(Bytes::from(body.to_string())).header_or(CONTENT_TYPE, "application/json")
    }

    pub(in crate::cli) fn body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    /// A POST with a key by which the server knows it again, unless it has one.
    pub(super) fn known_again(&self) -> Self {
        let mut ask = self.clone();
        if ask.method == Method::POST
            && let Ok(key) = HeaderValue::from_str(&new_key())
        {
            ask.headers.entry(IDEMPOTENCY_KEY).or_insert(key);
        }
        ask
    }

    /// Whether it does nothing more when it is sent twice.
    pub(super) fn may_be_sent_again(&self) -> bool {
        self.method.is_safe() || (self.method == Method::POST && self.headers.contains_key(IDEMPOTENCY_KEY))
    }

    /// Reads what this one is about.
    pub(super) fn reading(&self) -> Self {
        let mut url = self.url.clone();
        url.set_query(None);
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// Only of what has this tag.
    pub(super) fn if_match(mut self, etag: HeaderValue) -> Self {
        self.headers.insert(IF_MATCH, etag);
        self
    }

    /// With a header, `Name: value`.
    pub(in crate::cli) fn header_line(mut self, line: &str) -> Result<Self> {
        let (name, value) = line.split_once(':').context("--header must be `Name: value`")?;
        let name: HeaderName = name.trim().parse().context("--header: the name cannot be used")?;
        let value = HeaderValue::from_str(value.trim()).context("--header: the value cannot be used")?;
        self.headers.append(name, value);
        Ok(self)
    }

    /// With a header, unless it has one of that name.
    pub(in crate::cli) fn header_or(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.entry(name).or_insert(HeaderValue::from_static(value));
        self
    }

    /// Path and query from the root of the server.
    pub(super) fn target(&self) -> String {
        let path = self.url.path();
        self.url.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
    }
}

/// 128 random bits in hexadecimal digits.
fn new_key() -> String {
    let mut octets = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut octets).expect("the system's random source answers");
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_has_a_key_of_its_own_or_the_one_that_it_was_given() {
        let post = Ask::post(&["domains"]).unwrap();
        let keys = [&post, &post].map(|ask| ask.known_again().headers[IDEMPOTENCY_KEY].clone());
        assert_ne!(keys[0], keys[1]);
        let given = post.clone().header_line("Idempotency-Key: mine").unwrap().known_again();
        assert_eq!(given.headers.get_all(IDEMPOTENCY_KEY).iter().collect::<Vec<_>>(), ["mine"]);
        let may = |ask: Ask| ask.known_again().may_be_sent_again();
        assert!(may(post.clone()) && may(post.reading()) && !post.may_be_sent_again());
        for other in [Ask::put(&["x"]), Ask::patch(&["x"]), Ask::delete(&["x"])] {
            assert!(!may(other.unwrap()));
        }
    }

    #[test]
    fn what_is_named_stays_one_segment() {
        let ask = Ask::get(&["mailboxes", "a/b?c@d.example", "hide"])
            .unwrap()
            .query("q", Some("é &"))
            .query("none", None::<u8>);
        assert_eq!(ask.target(), "/api/v1/mailboxes/a%2Fb%3Fc@d.example/hide?q=%C3%A9+%26");
    }

    #[test]
    fn a_path_begins_where_the_api_does_or_at_the_root() {
        for path in ["/domains?limit=1", "domains?limit=1", "/api/v1/domains?limit=1"] {
            assert_eq!(Ask::of(Method::GET, path).unwrap().target(), "/api/v1/domains?limit=1");
        }
    }
}
