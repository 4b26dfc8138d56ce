//! Revisions as entity tags (RFC 9110 sections 8.8.3 and 13.1.1). A tag covers what an update can change, not counters that mail moves.

use crate::problem::{Code, Problem};
use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::header::IF_MATCH;
use axum::http::request::Parts;

/// The tag of a revision.
pub(crate) fn etag(revision: i64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{revision}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}

/// What an update expects to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// Whatever there is (`*`).
    Any,
    /// One of these revisions.
    Revisions(Vec<i64>),
}

impl IfMatch {
    /// The revision that the store must find for the update to be done; none for whatever there is.
    ///
    /// # Errors
    /// [`Code::PreconditionFailed`] when what is there now is not what was read.
    pub(crate) fn expect(&self, now: i64) -> Result<Option<i64>, Problem> {
        match self {
            Self::Any => Ok(None),
            Self::Revisions(revisions) if revisions.contains(&now) => Ok(Some(now)),
            Self::Revisions(_) => Err(Problem::new(Code::PreconditionFailed)),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let value = parts.headers.get(IF_MATCH).ok_or_else(|| Problem::new(Code::PreconditionRequired))?;
        let text = value.to_str().map_err(|_| Problem::new(Code::Header).at_header("If-Match"))?.trim();
        if text == "*" {
            return Ok(Self::Any);
        }
        // A tag that is none of ours, or weak, matches nothing.
        let revision = |tag: &str| tag.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok();
        Ok(Self::Revisions(text.split(',').take(16).filter_map(revision).collect()))
    }
}
