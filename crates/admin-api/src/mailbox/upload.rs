//! A body that may be as large as a message, taken within bounds of size, time and memory.

use crate::api::{Api, BASE, BODY_MAX};
use crate::problem::{Code, Problem};
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::Method;
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Memory that messages on their way in may take together, in MiB.
const ROOM_MIB: u32 = 512;
/// How long a message waits for room.
const ROOM_WAIT: Duration = Duration::from_secs(10);
/// The longest silence within a body.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// A body comes within this time.
const BODY_TIME: Duration = Duration::from_secs(600);

static ROOM: Semaphore = Semaphore::const_new(ROOM_MIB as usize);

/// The layer that bounds bodies. A message may be larger than other requests, and comes when there is room for it in memory.
pub(crate) async fn bound_body(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path().strip_prefix(BASE);
    if request.method() != Method::POST || path != Some("/messages") {
        DefaultBodyLimit::max(BODY_MAX).apply(&mut request);
        return next.run(request).await;
    }
    let max = body_max(api.message_size_max);
    DefaultBodyLimit::max(max).apply(&mut request);
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let octets = announced.unwrap_or(max);
    if octets > max {
        return Problem::new(Code::TooLarge).into_response();
    }
    match room(octets).await {
        Ok(room) => {
            let room: Room = Arc::new(room);
            // What outlives its client keeps its room.
            request.extensions_mut().insert(room.clone());
            let response = next.run(request).await;
            drop(room);
            response
        }
        Err(problem) => problem.into_response(),
    }
}

/// Room in memory, for as long as one of these lives.
pub(crate) type Room = Arc<SemaphorePermit<'static>>;

/// Octets of a request that brings a message: attachments are in base64, with their names around them.
pub(crate) fn body_max(message_size_max: u64) -> usize {
    let octets = message_size_max.saturating_mul(4) / 3 + 1024 * 1024;
    usize::try_from(octets).unwrap_or(usize::MAX)
}

/// Room in memory for what a request of so many octets becomes: its JSON, its attachments, and the message made of them.
async fn room(octets: usize) -> Result<SemaphorePermit<'static>, Problem> {
    let mib = u32::try_from(octets.saturating_mul(3) / (1024 * 1024)).unwrap_or(ROOM_MIB);
    let asked = ROOM.acquire_many((mib + 1).min(ROOM_MIB));
    match tokio::time::timeout(ROOM_WAIT, asked).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) | Err(_) => Err(Problem::new(Code::Unavailable).retry_after(10).detail(
            "other large messages are on their way in",
            "d'autres gros messages sont en cours d'arrivée",
        )),
    }
}

/// The whole body, if it is not larger than allowed and does not stop.
pub(crate) async fn collect(body: Body, max: usize) -> Result<Vec<u8>, Problem> {
    let whole = async {
        let (mut body, mut octets) = (body, Vec::new());
        while let Some(piece) = next(&mut body).await? {
            if octets.len() + piece.len() > max {
                return Err(Problem::new(Code::TooLarge));
            }
            octets.extend_from_slice(&piece);
        }
        Ok(octets)
    };
    tokio::time::timeout(BODY_TIME, whole).await.unwrap_or_else(|_| Err(stopped()))
}

async fn next(body: &mut Body) -> Result<Option<Bytes>, Problem> {
    loop {
        let frame = tokio::time::timeout(SILENCE_MAX, body.frame()).await.map_err(|_| stopped())?;
        match frame {
            None => return Ok(None),
            Some(Err(_)) => return Err(stopped()),
            Some(Ok(frame)) => {
                // Trailers say nothing to us.
                if let Ok(octets) = frame.into_data() {
                    return Ok(Some(octets));
                }
            }
        }
    }
}

fn stopped() -> Problem {
    Problem::new(Code::Syntax).detail("the body stopped before its end", "le corps s'est arrêté avant sa fin")
}
