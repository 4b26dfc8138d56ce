//! Answers with a secret that is shown once.

use axum::response::{IntoResponse, Response};

/// In the extensions of an answer whose body is kept nowhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShownOnce;

/// An answer with a secret that is shown once.
#[derive(Debug)]
pub(crate) struct Once<R>(pub(crate) R);

impl<R: IntoResponse> IntoResponse for Once<R> {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        response.extensions_mut().insert(ShownOnce);
        response
    }
}
