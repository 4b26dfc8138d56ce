//! Bodies: strict JSON in, JSON out.

use crate::problem::{Code, Problem};
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{CONTENT_TYPE, ETAG, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

/// A body of JSON that was read whole: every member known, every type right. Types say `#[serde(deny_unknown_fields)]`.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_json =
            request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
                let kind = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
                kind == "application/json" || kind == "application/merge-patch+json"
            });
        if !is_json {
            return Err(Problem::new(Code::MediaType));
        }
        let octets = Bytes::from_request(request, state).await.map_err(|rejection| {
            match rejection.into_response().status() {
                StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Code::TooLarge),
                _ => Problem::new(Code::Syntax),
            }
        })?;
        read(&octets).map(Self)
    }
}

/// Reads JSON, or says where it is wrong.
pub(crate) fn read<T: DeserializeOwned>(octets: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(octets);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer(error.path());
        let error = error.into_inner();
        match error.classify() {
            serde_json::error::Category::Data => Problem::invalid(
                pointer,
                plain(&error),
                format!("ce membre n'est pas comme il doit être : {}", plain(&error)),
            ),
            _ => syntax(&error),
        }
    })?;
    reader.end().map_err(|error| syntax(&error))?;
    Ok(value)
}

fn syntax(error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    Problem::new(Code::Syntax).detail(
        format!("line {line}, column {column}: {}", plain(error)),
        format!("ligne {line}, colonne {column} : {}", plain(error)),
    )
}

/// The cause without the position, which the pointer says better.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

/// RFC 6901.
fn pointer(path: &Path) -> String {
    path.iter().fold(String::new(), |mut pointer, segment| {
        let name = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.clone(),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => return pointer,
        };
        pointer.push('/');
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
        pointer
    })
}

/// The parameters of a query, each known and of the right type. Types say `#[serde(deny_unknown_fields)]`.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        axum::extract::Query::try_from_uri(&parts.uri).map(|axum::extract::Query(value)| Self(value)).map_err(
            |rejection| {
                let cause = rejection.body_text();
                Problem::new(Code::Parameter).detail(cause.clone(), cause)
            },
        )
    }
}

/// A member that may be absent, null or a value, told apart: `#[serde(default, deserialize_with = "crate::json::present")]`.
pub(crate) fn present<'de, T: serde::Deserialize<'de>, D: serde::Deserializer<'de>>(
    reader: D,
) -> Result<Option<Option<T>>, D::Error> {
    <Option<T> as serde::Deserialize>::deserialize(reader).map(Some)
}

/// An instant as RFC 3339 has it, in UTC, to the millisecond.
pub(crate) fn instant(at: mail_types::Timestamp) -> String {
    let nanos = i128::from(at.0) * 1_000_000;
    let at =
        time::OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let (hour, minute, second, milli) = at.to_hms_milli();
    format!(
        "{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z",
        at.year(),
        u8::from(at.month()),
        at.day()
    )
}

/// A representation with its revision, as `200` and an `ETag`.
#[derive(Debug)]
pub(crate) struct Shown<T> {
    pub(crate) value: T,
    pub(crate) revision: i64,
}

impl<T: Serialize> IntoResponse for Shown<T> {
    fn into_response(self) -> Response {
        let mut response = axum::Json(self.value).into_response();
        response.headers_mut().insert(ETAG, crate::etag::etag(self.revision));
        response
    }
}

/// Something new, as `201` with its `Location` and `ETag`.
#[derive(Debug)]
pub(crate) struct Created<T> {
    /// Path after `/api/v1`.
    pub(crate) location: String,
    pub(crate) shown: Shown<T>,
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut response = self.shown.into_response();
        *response.status_mut() = StatusCode::CREATED;
        if let Ok(location) = HeaderValue::from_str(&format!("{}{}", crate::api::BASE, self.location)) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Language;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[serde(rename = "a/b")]
        _n: u8,
    }
    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        _list: Vec<Inner>,
    }

    #[test]
    fn a_fault_is_located_by_a_pointer() {
        let pointer_of = |text: &str| {
            let body = read::<Outer>(text.as_bytes()).unwrap_err().body(Language::English);
            (body.code, body.errors.first().and_then(|fault| fault.pointer.clone()).unwrap_or_default())
        };
        assert_eq!(
            pointer_of(r#"{"_list":[{"a/b":1},{"a/b":"x"}]}"#),
            ("invalid".into(), "/_list/1/a~1b".into())
        );
        assert_eq!(pointer_of(r#"{"_list":[],"more":1}"#), ("invalid".into(), "/more".into()));
        assert_eq!(pointer_of(r#"{"_list":["#), ("malformed_json".into(), String::new()));
        let nest = read::<serde_json::Value>("[".repeat(100_000).as_bytes()).unwrap_err();
        assert_eq!(nest.code(), Code::Syntax);
    }
}
