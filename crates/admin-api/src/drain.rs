//! An answer that is given before the body came is read all the same: what the client still sends is taken and thrown away, within bounds,
//! since a connection that is closed while it sends would lose the answer with it. What is sent is not known here.

use crate::api::BODY_MAX;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::EXPECT;
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long what nobody wants is waited for.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// A body that is handed back when whoever read it is through with it.
struct Lent {
    body: Body,
    is_asked_for: bool,
    back: Option<oneshot::Sender<(Body, bool)>>,
}

/// Answers, and takes what is left of the body.
pub(crate) async fn drain(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let waits = parts.headers.contains_key(EXPECT);
    let (back, rest) = oneshot::channel();
    let lent = Body::new(Lent { body, is_asked_for: false, back: Some(back) });
    let response = next.run(Request::from_parts(parts, lent)).await;
    // Whoever waits for 100 (Continue) has sent nothing yet, and shall not (RFC 9110 section 10.1.1).
    if let Ok((rest, is_asked_for)) = rest.await
        && (is_asked_for || !waits)
    {
        // A client that sends more, or slower, finds the connection closed.
        _ = tokio::time::timeout(DRAIN_TIME, thrown_away(rest)).await;
    }
    response
}

async fn thrown_away(mut rest: Body) {
    let mut octets = 0;
    while let Some(Ok(frame)) = rest.frame().await {
        octets += frame.data_ref().map_or(0, Bytes::len);
        if octets > BODY_MAX {
            return;
        }
    }
}

impl hyper::body::Body for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.is_asked_for = true;
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let body = std::mem::take(&mut self.body);
        if let Some(back) = self.back.take().filter(|_| !body.is_end_stream()) {
            _ = back.send((body, self.is_asked_for));
        }
    }
}
