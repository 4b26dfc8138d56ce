//! Long lists a page at a time. A cursor says after which row the next page begins, so that a page costs the same wherever it is and rows that
//! come or go between two pages neither repeat nor hide others.

use crate::problem::Problem;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::ToSchema;

/// Rows of a page, unless asked otherwise.
pub(crate) const LIMIT_DEFAULT: u32 = 50;
/// Rows of a page, at most.
pub(crate) const LIMIT_MAX: u32 = 500;
/// Octets of a cursor.
const CURSOR_MAX: usize = 1024;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// The rows.
    pub(crate) items: Vec<T>,
    /// What to send as `cursor` for the next page; absent on the last.
    #[serde(rename = "nextCursor", skip_serializing_if = "Option::is_none")]
    pub(crate) next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// The same page, its rows shown otherwise.
    pub(crate) fn map<U>(self, show: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(show).collect(), next_cursor: self.next_cursor }
    }

    /// A page of rows, and what the next one begins after, if there is a next one.
    pub(crate) fn going_on(items: Vec<T>, next: Option<String>) -> Self {
        Self { items, next_cursor: next.map(|key| BASE64_URL_SAFE_NO_PAD.encode(key)) }
    }

    /// A page of rows that were asked for with one more than `limit`; `key` is what the next page begins after.
    pub(crate) fn of(mut rows: Vec<T>, limit: u32, key: impl Fn(&T) -> String) -> Self {
        let limit = limit as usize;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor =
            rows.last().filter(|_| has_more).map(|last| BASE64_URL_SAFE_NO_PAD.encode(key(last)));
        Self { items: rows, next_cursor }
    }
}

/// The `limit` of a query.
///
/// # Errors
/// Zero, or more than allowed.
pub(crate) fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    match asked {
        None => Ok(LIMIT_DEFAULT),
        Some(limit) if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
        Some(_) => Err(Problem::parameter(
            "limit",
            format!("must be between 1 and {LIMIT_MAX}"),
            format!("doit être entre 1 et {LIMIT_MAX}"),
        )),
    }
}

/// Characters of a text that a list is searched by.
const SEARCHED_MAX: usize = 100;

/// The text that a list is searched by; empty for none.
///
/// # Errors
/// It is too long.
pub(crate) fn searched(name: &str, text: Option<String>) -> Result<String, Problem> {
    let text = text.unwrap_or_default();
    if text.chars().count() <= SEARCHED_MAX {
        return Ok(text);
    }
    Err(Problem::parameter(
        name,
        format!("is a text of at most {SEARCHED_MAX} characters"),
        format!("est un texte d'au plus {SEARCHED_MAX} caractères"),
    ))
}

/// What a `cursor` says to begin after; empty for the first page.
///
/// # Errors
/// A cursor that was not made here.
pub(crate) fn after(cursor: Option<&str>) -> Result<String, Problem> {
    let Some(cursor) = cursor else { return Ok(String::new()) };
    let decoded = (cursor.len() <= CURSOR_MAX).then(|| BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()).flatten();
    decoded
        .and_then(|octets| String::from_utf8(octets).ok())
        .filter(|key| !key.contains('\0'))
        .ok_or_else(foreign)
}

/// The number of the row that a `cursor` says to begin after; zero for the first page.
///
/// # Errors
/// A cursor that was not made here, or not for a list of numbered rows.
pub(crate) fn row_after(cursor: Option<&str>) -> Result<i64, Problem> {
    match after(cursor)?.as_str() {
        "" => Ok(0),
        key => key.parse().map_err(|_| foreign()),
    }
}

/// A cursor that was not made here, or not for this list.
pub(crate) fn foreign() -> Problem {
    Problem::foreign_cursor("cursor")
}
