//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a POST that is sent again with the same key is not carried out again.
//!
//! The key is reserved, the request is carried out in a task of its own (whoever hangs up loses the answer, not the work), and the answer is
//! kept. What did nothing gives its key back, so that a corrected request may bear it. What handlers do is not known here: their units mark the
//! reservation in the store.

use crate::access::{Caller, Standing};
use crate::api::{Api, BASE, BODY_MAX};
use crate::limits::Place;
use crate::mailbox::Room;
use crate::once::ShownOnce;
use crate::problem::{Code, Problem};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use store::{RequestMark, Reservation};
use tokio::sync::Semaphore;

/// The request's header.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The answer's, when it is one of before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Octets of a key.
pub(crate) const KEY_MAX: usize = 255;
/// Octets of an answer that is kept.
const ANSWER_MAX: usize = 256 * 1024;
/// Keys of one caller in 24 hours.
const KEYS_MAX: u64 = 100_000;
/// Reservations of a caller between two counts of what they have.
const COUNT_EVERY: u32 = 500;
/// KiB of bodies that are read under a key at a time; past it requests wait.
const READ_KIB_MAX: u32 = 256 * 1024;
/// Callers whose reservations are counted; past it counting begins again.
const CALLERS_MAX: usize = 1000;
/// Seconds after which it is worth asking again for what is under way.
const AGAIN_AFTER: u64 = 2;

/// What this process carries out, and how many reservations callers may make before they are counted again.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    known: Arc<Mutex<Known>>,
    room: Arc<Semaphore>,
}

impl Default for Requests {
    fn default() -> Self {
        Self { known: Arc::default(), room: Arc::new(Semaphore::new(READ_KIB_MAX as usize)) }
    }
}

#[derive(Debug, Default)]
struct Known {
    under_way: HashSet<(String, String)>,
    uncounted: HashMap<String, u32>,
}

/// A request of this process, under way for as long as this lives.
struct UnderWay {
    requests: Requests,
    key: (String, String),
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.requests.known(|known| known.under_way.remove(&self.key));
    }
}

impl Requests {
    fn known<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn begin(&self, caller: &str, name: &str) -> Option<UnderWay> {
        let key = (caller.to_owned(), name.to_owned());
        let is_new = self.known(|known| known.under_way.insert(key.clone()));
        is_new.then(|| UnderWay { requests: self.clone(), key })
    }

    /// Whether it is time to count what a caller has.
    fn is_count_due(&self, caller: &str) -> bool {
        self.known(|known| {
            if known.uncounted.len() >= CALLERS_MAX {
                known.uncounted.clear();
            }
            let left = known.uncounted.entry(caller.to_owned()).or_insert(0);
            let is_due = *left == 0;
            *left = if is_due { COUNT_EVERY } else { *left - 1 };
            is_due
        })
    }

    fn count_again(&self, caller: &str) {
        self.known(|known| known.uncounted.remove(caller));
    }
}

/// The layer around handlers, inside of the gate.
pub(crate) async fn once(State(api): State<Api>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST || !request.headers().contains_key(IDEMPOTENCY_KEY) {
        return next.run(request).await;
    }
    match begin(&api, request).await {
        Ok(Begun::CarryOut(request, mark, under_way)) => carry_out(api, request, next, mark, under_way).await,
        Ok(Begun::Unkeyed(request)) => next.run(request).await,
        Ok(Begun::Answered(response)) => response,
        Err(problem) => problem.into_response(),
    }
}

enum Begun {
    /// To be carried out under a reservation.
    CarryOut(Request, RequestMark, UnderWay),
    /// Nobody in particular asks: there is nobody whose key it could be.
    Unkeyed(Request),
    /// It was carried out before.
    Answered(Response),
}

async fn begin(api: &Api, request: Request) -> Result<Begun, Problem> {
    let name = key(request.headers())?;
    let Some(mut caller) = request.extensions().get::<Caller>().cloned() else {
        return Ok(Begun::Unkeyed(request));
    };
    let Some(who) = who(&caller) else { return Ok(Begun::Unkeyed(request)) };
    let under_way = api.requests.begin(&who, &name).ok_or_else(is_under_way)?;
    let (parts, body) = read(api, request).await?;
    let hash = fingerprint(api, &parts, &body);
    if api.requests.is_count_due(&who) && api.store.reserved_requests(&who).await? >= KEYS_MAX {
        api.requests.count_again(&who);
        return Err(Problem::new(Code::RateLimited).retry_after(3600).detail(
            format!("{KEYS_MAX} keys were used in 24 hours; send the request without Idempotency-Key, or later"),
            format!("{KEYS_MAX} clés ont servi en 24 heures ; envoyez la requête sans Idempotency-Key, ou plus tard"),
        ));
    }
    match api.store.reserve_request(&who, &name, hash).await? {
        Reservation::Ours(mark) => {
            caller.mark = Some(mark.clone());
            let mut request = Request::from_parts(parts, Body::from(body));
            request.extensions_mut().insert(caller);
            Ok(Begun::CarryOut(request, mark, under_way))
        }
        Reservation::OtherRequest => Err(Problem::new(Code::Idempotency).detail(
            "this key served another request; take a new key for each request",
            "cette clé a servi à une autre requête ; prenez une clé nouvelle pour chaque requête",
        )),
        Reservation::UnderWay => Err(is_under_way()),
        Reservation::Done { status } => Err(is_done(&parts, status)),
        Reservation::Answered { status, answer } => Ok(Begun::Answered(replay(status, &answer)?)),
    }
}

/// The reservation, then the answer, outlive the connection.
async fn carry_out(
    api: Api,
    request: Request,
    next: Next,
    mark: RequestMark,
    under_way: UnderWay,
) -> Response {
    let held = request.extensions();
    let held = (held.get::<Arc<Place>>().cloned(), held.get::<Room>().cloned());
    let task = tokio::spawn(async move {
        let response = crate::panic::caught(next.run(request)).await;
        let response = keep(&api, mark, response).await;
        drop((under_way, held));
        response
    });
    task.await.unwrap_or_else(|_| Problem::new(Code::Internal).into_response())
}

/// Keeps an answer, or gives the key back of what did nothing.
async fn keep(api: &Api, mark: RequestMark, response: Response) -> Response {
    let status = response.status();
    if !status.is_success() {
        match api.store.release_request(mark.clone()).await {
            Ok(false) if !status.is_server_error() => {}
            Ok(_) => return response,
            Err(error) => {
                tracing::error!(%error, "an Idempotency-Key could not be given back");
                return response;
            }
        }
    }
    let is_secret = response.extensions().get::<ShownOnce>().is_some();
    let (parts, body) = response.into_parts();
    let Ok(octets) = to_bytes(body, usize::MAX).await else {
        return Problem::new(Code::Internal).into_response();
    };
    let answer = (!is_secret && octets.len() <= ANSWER_MAX).then(|| Kept::of(&parts.headers, &octets));
    let answer = answer.and_then(|kept| serde_json::to_vec(&kept).ok());
    if let Err(error) = api.store.answer_request(mark, status.as_u16(), answer).await {
        tracing::error!(%error, "the answer to a request with an Idempotency-Key could not be kept");
    }
    Response::from_parts(parts, Body::from(octets))
}

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    headers: Vec<(String, String)>,
    body: String,
}

impl Kept {
    fn of(headers: &axum::http::HeaderMap, octets: &[u8]) -> Self {
        let headers = [CONTENT_TYPE, LOCATION, ETAG, axum::http::header::CONTENT_LANGUAGE]
            .iter()
            .filter_map(|name| Some((name.as_str().to_owned(), headers.get(name)?.to_str().ok()?.to_owned())))
            .collect();
        Self { headers, body: BASE64_STANDARD.encode(octets) }
    }
}

fn replay(status: u16, answer: &[u8]) -> Result<Response, Problem> {
    let unreadable = || Problem::new(Code::Internal);
    let kept: Kept = serde_json::from_slice(answer).map_err(|_| unreadable())?;
    let body = BASE64_STANDARD.decode(kept.body).map_err(|_| unreadable())?;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).map_err(|_| unreadable())?;
    for (name, value) in &kept.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

/// The key of a request.
fn key(headers: &axum::http::HeaderMap) -> Result<String, Problem> {
    let wrong = || {
        Problem::header(
            "Idempotency-Key",
            format!("must stand once, with 1 to {KEY_MAX} visible ASCII characters"),
            format!("doit figurer une fois, avec 1 à {KEY_MAX} caractères ASCII visibles"),
        )
    };
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(wrong()) };
    let octets = value.as_bytes();
    let is_fine = (1..=KEY_MAX).contains(&octets.len()) && octets.iter().all(u8::is_ascii_graphic);
    is_fine.then(|| String::from_utf8_lossy(octets).into_owned()).ok_or_else(wrong)
}

/// Whose keys they are: two callers may use the same words.
fn who(caller: &Caller) -> Option<String> {
    match (&caller.standing, caller.actor) {
        (Standing::Nobody, _) => None,
        (Standing::Machine, _) => Some("machine".to_owned()),
        (Standing::Holder(principal), Some(actor)) => {
            Some(format!("actor:{actor}:mailbox:{}", principal.mailbox))
        }
        (_, Some(actor)) => Some(format!("actor:{actor}")),
        (_, None) => None,
    }
}

/// The whole body, which the hash is of. What is read at a time is bounded, whoever sends it.
async fn read(api: &Api, request: Request) -> Result<(Parts, Bytes), Problem> {
    let (parts, body) = request.into_parts();
    let max = body_max(api, parts.uri.path());
    let announced =
        parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|octets| octets > max) {
        return Err(Problem::new(Code::TooLarge));
    }
    let kib = u32::try_from(announced.unwrap_or(max) / 1024 + 1).unwrap_or(u32::MAX).min(READ_KIB_MAX);
    let room = api.requests.room.acquire_many(kib).await;
    let _room = room.map_err(|_| Problem::new(Code::Unavailable))?;
    let octets = Limited::new(body, max).collect().await.map_err(|error| {
        let is_too_large = error.downcast_ref::<LengthLimitError>().is_some();
        Problem::new(if is_too_large { Code::TooLarge } else { Code::Syntax })
    })?;
    Ok((parts, octets.to_bytes()))
}

/// Octets of a body: a message may be as long as by SMTP, and half as much again for its encoding in JSON.
fn body_max(api: &Api, path: &str) -> usize {
    let is_message = path.strip_prefix(BASE).is_some_and(|path| path.starts_with("/messages"));
    let message = usize::try_from(api.message_size_max).unwrap_or(usize::MAX);
    if is_message { message.saturating_add(message / 2).saturating_add(BODY_MAX) } else { BODY_MAX }
}

/// A keyed hash of what is asked: bodies may hold what must not be guessed from the database.
fn fingerprint(api: &Api, parts: &Parts, body: &[u8]) -> [u8; 32] {
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let kind = parts.headers.get(CONTENT_TYPE).map_or(b"".as_slice(), HeaderValue::as_bytes);
    api.store.fingerprint(&[b"idempotency", path.as_bytes(), kind, body])
}

fn is_under_way() -> Problem {
    Problem::new(Code::Idempotency).retry_after(AGAIN_AFTER).detail(
        "the first request with this key is under way; ask again in a moment",
        "la première requête avec cette clé est en cours ; redemandez dans un instant",
    )
}

/// It is done, and must not be done again: its answer had a secret that is shown once, was too long to keep, or a stop came before it was kept.
fn is_done(parts: &Parts, status: Option<u16>) -> Problem {
    let path = parts.uri.path().strip_prefix(BASE).unwrap_or_default();
    let (english, french) = match status {
        Some(status) => (format!(" and answered {status}"), format!(" et a reçu la réponse {status}")),
        None => (String::new(), String::new()),
    };
    Problem::new(Code::Idempotency).detail(
        format!("the request with this key was carried out{english}; its answer is not kept: see GET {path} for what there is now"),
        format!("la requête avec cette clé a été exécutée{french} ; sa réponse n'est pas conservée : voir GET {path} pour ce qu'il y a maintenant"),
    )
}
