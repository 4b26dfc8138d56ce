//! A handler that panics is a fault of ours: a problem for whoever asked, a line for whoever reads the log, and nothing for its neighbours.

use crate::problem::{Code, Problem};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use std::any::Any;
use std::panic::AssertUnwindSafe;

/// The answer, or a problem in its place. What a panicking handler had under way is dropped with it: its units are whole or not at all.
pub(crate) async fn caught(answer: impl Future<Output = Response>) -> Response {
    AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(|panic| {
        tracing::error!(cause = said(panic.as_ref()), "a handler of the API panicked");
        Problem::new(Code::Internal).into_response()
    })
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_problem() {
        let answer = caught(async { panic!("on purpose") }).await;
        assert_eq!(answer.status(), 500);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
}
