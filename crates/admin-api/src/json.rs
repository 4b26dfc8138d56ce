//! Bodies: strict JSON in, JSON out.

use crate::described;
use crate::problem::{Code, Problem};
use crate::sentences;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{CONTENT_TYPE, ETAG, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
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
        if !is_json(&request) {
            return Err(Problem::new(Code::MediaType));
        }
        let operation = described::operation(request.method(), request.extensions());
        let octets = Bytes::from_request(request, state).await.map_err(|rejection| {
            match rejection.into_response().status() {
                StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Code::TooLarge),
                _ => Problem::new(Code::Syntax),
            }
        })?;
        let value = read(&octets)?;
        described::body(operation, &octets)?;
        Ok(Self(value))
    }
}

/// Whether the body is said to be JSON in UTF-8; a PATCH may say that it is a merge patch.
fn is_json(request: &Request) -> bool {
    let mut kinds = request.headers().get_all(CONTENT_TYPE).iter();
    let (Some(kind), None) = (kinds.next().and_then(|kind| kind.to_str().ok()), kinds.next()) else {
        return false;
    };
    let mut parts = kind.split(';').map(|part| part.trim().to_ascii_lowercase());
    let kind = parts.next().unwrap_or_default();
    let is_known = kind == "application/json"
        || (kind == "application/merge-patch+json" && request.method() == Method::PATCH);
    is_known && parts.all(|part| part == "charset=utf-8" || part == "charset=\"utf-8\"")
}

/// Reads JSON, or says where it is wrong.
pub(crate) fn read<T: DeserializeOwned>(octets: &[u8]) -> Result<T, Problem> {
    if octets.trim_ascii_start().first() == Some(&b'[') {
        // A list would be read as the members of an object in their order.
        return Err(Problem::invalid(
            "",
            "is a list; expected: an object",
            "est une liste ; attendu : un objet",
        ));
    }
    let mut reader = serde_json::Deserializer::from_slice(octets);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer(error.path());
        let error = error.into_inner();
        match error.classify() {
            serde_json::error::Category::Data => wrong(pointer, &error),
            _ => syntax(&error),
        }
    })?;
    reader.end().map_err(|error| syntax(&error))?;
    if has_nul(octets) {
        let whole: serde_json::Value = serde_json::from_slice(octets).map_err(|error| syntax(&error))?;
        let place = nul_in(&whole).unwrap_or_default();
        return Err(Problem::invalid(place, "has a NUL (\\u0000)", "a un NUL (\\u0000)"));
    }
    Ok(value)
}

fn wrong(mut pointer: String, error: &serde_json::Error) -> Problem {
    let said = sentences::said(&error.to_string());
    if let Some(member) = said.member.filter(|_| said.is_around) {
        pointer.push('/');
        pointer.push_str(&escaped(&member));
    }
    Problem::invalid(pointer, said.english, said.french)
}

fn syntax(error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let said = sentences::said(&error.to_string());
    Problem::new(Code::Syntax).detail(
        format!("line {line}, column {column}: {}", said.english),
        format!("ligne {line}, colonne {column} : {}", said.french),
    )
}

/// Whether a string has an escaped NUL, which PostgreSQL does not keep. One that is not escaped is no JSON.
fn has_nul(octets: &[u8]) -> bool {
    let mut rest = octets;
    while let Some(at) = rest.iter().position(|octet| *octet == b'\\') {
        if rest[at + 1..].starts_with(b"u0000") {
            return true;
        }
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    false
}

/// Where a NUL is.
fn nul_in(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => text.contains('\0').then(String::new),
        serde_json::Value::Array(values) => values
            .iter()
            .enumerate()
            .find_map(|(index, value)| nul_in(value).map(|rest| format!("/{index}{rest}"))),
        serde_json::Value::Object(members) => members.iter().find_map(|(name, value)| {
            if name.contains('\0') {
                return Some(String::new());
            }
            nul_in(value).map(|rest| format!("/{}{rest}", escaped(name)))
        }),
        _ => None,
    }
}

/// A name within a pointer (RFC 6901 section 3).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
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
        pointer.push_str(&escaped(&name));
        pointer
    })
}

/// The parameters of a query, each known and of the right type. Types say `#[serde(deny_unknown_fields)]`.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let read = axum::extract::Query::try_from_uri(&parts.uri);
        let axum::extract::Query(value) = read.map_err(|rejection| of_query(&rejection.body_text()))?;
        let operation = described::operation(&parts.method, &parts.extensions);
        described::query(operation, parts.uri.query().unwrap_or_default())?;
        Ok(Self(value))
    }
}

/// What is wrong with a query, from the sentence of its reader: `Failed to …: NAME: CAUSE`.
fn of_query(sentence: &str) -> Problem {
    let sentence = sentence.split_once(": ").map_or(sentence, |(_, rest)| rest);
    let (name, cause) = sentence.split_once(": ").unwrap_or(("", sentence));
    let said = sentences::said(cause);
    match said.member.as_deref().or(Some(name).filter(|name| !name.is_empty())) {
        Some(name) => Problem::parameter(name.to_owned(), said.english, said.french),
        None => Problem::new(Code::Parameter).detail(said.english, said.french),
    }
}

/// A member that may be absent, null or a value, told apart: `#[serde(default, deserialize_with = "crate::json::present")]`.
pub(crate) fn present<'de, T: serde::Deserialize<'de>, D: serde::Deserializer<'de>>(
    reader: D,
) -> Result<Option<Option<T>>, D::Error> {
    <Option<T> as serde::Deserialize>::deserialize(reader).map(Some)
}

/// An instant as RFC 3339 has it, in UTC, to the millisecond.
pub fn instant(at: mail_types::Timestamp) -> String {
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
        let nest = read::<serde_json::Value>("{\"a\":".repeat(100_000).as_bytes()).unwrap_err();
        assert_eq!(nest.code(), Code::Syntax);
    }
}
