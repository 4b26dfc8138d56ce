//! How much one caller may ask: requests a second, requests under way, time for one. What is asked is not known here.
//!
//! Whoever shows no credential is known by their address (draft-ietf-httpapi-ratelimit-headers names the fields of the answers).

use crate::access::{Caller, Peer, Standing};
use crate::api::Api;
use crate::problem::{Code, Problem};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Callers that are told apart; past it those at rest are forgotten, and when all are busy a newcomer shares one place with other newcomers.
const CALLERS_MAX: usize = 50_000;
/// Octets of a body for which a request has a second more.
const OCTETS_A_SECOND: u64 = 64 * 1024;
/// Seconds that a large body may add.
const BODY_SECONDS_MAX: u64 = 600;

/// Requests of one caller under way at one time.
const UNDER_WAY_OF_ONE: usize = 32;

/// What callers are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Requests a second of one caller with a credential.
    pub per_second: NonZeroU32,
    /// Requests of one caller at once.
    pub burst: NonZeroU32,
    /// Requests a second of one address without a credential, and credentials that are looked at from it beside those found right lately.
    pub anonymous_per_second: NonZeroU32,
    /// Requests at once of one address without a credential.
    pub anonymous_burst: NonZeroU32,
    /// Requests under way, of all callers.
    pub under_way: usize,
    /// Time for one request, to the head of its answer.
    pub time: Duration,
}

impl Default for Allowance {
    fn default() -> Self {
        let number = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self {
            per_second: number(200),
            burst: number(400),
            anonymous_per_second: number(20),
            anonymous_burst: number(100),
            under_way: 256,
            time: Duration::from_secs(30),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// Somebody who is known.
    Actor(i64),
    /// Whoever comes from there; see [`network`].
    Address(IpAddr),
    /// Whoever shows this certificate.
    Certificate([u8; 32]),
    /// All for whom there is no room.
    Newcomers,
}

type Limiter = RateLimiter<Key, HashMapStateStore<Key>, DefaultClock, StateInformationMiddleware>;

/// One rule of so many requests a second, with what each caller has left.
pub(crate) struct Rate {
    name: &'static str,
    per_second: NonZeroU32,
    burst: NonZeroU32,
    callers_max: usize,
    limiter: Limiter,
}

/// Requests under way, of all callers and of each: who is slow holds up nobody else.
pub(crate) struct Places {
    all: Arc<Semaphore>,
    of_actors: Mutex<HashMap<i64, usize>>,
}

/// A request under way, for as long as this lives.
pub(crate) struct Place {
    places: Arc<Places>,
    actor: Option<i64>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    fn of_actors<T>(&self, look: impl FnOnce(&mut HashMap<i64, usize>) -> T) -> T {
        look(&mut self.of_actors.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One more request under way, of an actor or of somebody unknown.
    fn take(self: &Arc<Self>, actor: Option<i64>) -> Option<Place> {
        let permit = self.all.clone().try_acquire_owned().ok()?;
        let may = actor.is_none_or(|actor| {
            self.of_actors(|counts| {
                let count = counts.entry(actor).or_insert(0);
                let may = *count < UNDER_WAY_OF_ONE;
                *count += usize::from(may);
                may
            })
        });
        may.then(|| Place { places: self.clone(), actor, _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(actor) = self.actor else { return };
        self.places.of_actors(|counts| {
            if let Some(count) = counts.get_mut(&actor) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(&actor);
                }
            }
        });
    }
}

/// What callers have left.
#[derive(Clone)]
pub(crate) struct Limits {
    known: Arc<Rate>,
    anonymous: Arc<Rate>,
    places: Arc<Places>,
    time: Duration,
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Limits")
    }
}

impl Limits {
    pub(crate) fn new(allowance: &Allowance) -> Self {
        let rate = |name, per_second, burst| Arc::new(Rate::new(name, per_second, burst));
        Self {
            known: rate("caller", allowance.per_second, allowance.burst),
            anonymous: rate("address", allowance.anonymous_per_second, allowance.anonymous_burst),
            places: Arc::new(Places {
                all: Arc::new(Semaphore::new(allowance.under_way)),
                of_actors: Mutex::default(),
            }),
            time: allowance.time,
        }
    }
}

impl Rate {
    pub(crate) fn new(name: &'static str, per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let limiter =
            RateLimiter::hashmap(Quota::per_second(per_second).allow_burst(burst)).with_middleware();
        Self { name, per_second, burst, callers_max: CALLERS_MAX, limiter }
    }

    /// Takes one request from what `key` has left: the fields of the answer, or the seconds to wait.
    pub(crate) fn take(&self, key: Key) -> Result<Left, u64> {
        let key = if self.has_room() { key } else { Key::Newcomers };
        match self.limiter.check_key(&key) {
            Ok(snapshot) => Ok(self.left(snapshot.remaining_burst_capacity())),
            Err(not_until) => Err(not_until.wait_time_from(DefaultClock::default().now()).as_secs() + 1),
        }
    }

    fn has_room(&self) -> bool {
        if self.limiter.len() < self.callers_max {
            return true;
        }
        self.limiter.retain_recent();
        self.limiter.len() < self.callers_max
    }

    fn left(&self, requests: u32) -> Left {
        let taken = self.burst.get().saturating_sub(requests);
        Left { name: self.name, requests, full_in: taken.div_ceil(self.per_second.get()) }
    }

    fn fields(&self, left: &Left) -> RateFields {
        let window = self.burst.get().div_ceil(self.per_second.get());
        RateFields {
            policy: format!("\"{}\";q={};w={window}", self.name, self.burst),
            state: format!("\"{}\";r={};t={}", left.name, left.requests, left.full_in),
        }
    }

    /// What somebody is told who has nothing left.
    pub(crate) fn spent(&self) -> RateFields {
        self.fields(&self.left(0))
    }
}

/// What an answer says of a rule, and of what the caller has left by it (draft-ietf-httpapi-ratelimit-headers).
#[derive(Clone, Debug)]
pub(crate) struct RateFields {
    policy: String,
    state: String,
}

impl RateFields {
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        for (name, text) in [("ratelimit-policy", &self.policy), ("ratelimit", &self.state)] {
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

/// What a caller has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    name: &'static str,
    requests: u32,
    /// Seconds until all of it is there again.
    full_in: u32,
}

/// The layer outside of the gate: time, and those who show no credential.
pub(crate) async fn bound(State(api): State<Api>, request: Request, next: Next) -> Response {
    let limits = &api.limits;
    let time = limits.time + time_for_body(request.headers());
    let answer = async {
        match by_address(&api, &request) {
            Some(ip) => limited(&limits.anonymous, Key::Address(ip), request, next).await,
            None => next.run(request).await,
        }
    };
    match tokio::time::timeout(time, answer).await {
        Ok(response) => response,
        Err(_) => Problem::new(Code::Unavailable)
            .retry_after(5)
            .detail(
                "the request took too long; what it changes may still be done: look before you ask again",
                "la requête a pris trop de temps ; ce qu'elle change peut encore se faire : vérifiez avant de redemander",
            )
            .into_response(),
    }
}

/// The layer inside of the gate, which found out who calls. Places are taken here: whoever guesses at a credential waits without one.
pub(crate) async fn by_caller(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let actor = request.extensions().get::<Caller>().and_then(|caller| caller.actor);
    let Some(place) = api.limits.places.take(actor.map(|actor| actor.0)) else {
        return Problem::new(Code::Unavailable).retry_after(1).into_response();
    };
    let place = Arc::new(place);
    // What outlives its client keeps its place.
    request.extensions_mut().insert(place.clone());
    match request.extensions().get::<Caller>() {
        Some(Caller { actor: Some(actor), standing, .. }) if *standing != Standing::Nobody => {
            let key = Key::Actor(actor.0);
            limited(&api.limits.known, key, request, next).await
        }
        _ => next.run(request).await,
    }
}

async fn limited(rate: &Rate, key: Key, request: Request, next: Next) -> Response {
    match rate.take(key) {
        Ok(left) => {
            let mut response = next.run(request).await;
            rate.fields(&left).write(response.headers_mut());
            response
        }
        Err(seconds) => {
            Problem::new(Code::RateLimited).retry_after(seconds).past(rate.spent()).into_response()
        }
    }
}

/// The address of somebody who shows no credential at all. A request of this process itself has none.
/// The address that a request counts for: it shows no credential, or asks for what nobody looks at a credential for.
fn by_address(api: &Api, request: &Request) -> Option<IpAddr> {
    let peer = request.extensions().get::<Peer>()?;
    let is_nobody = peer.identity.is_none() && !request.headers().contains_key(AUTHORIZATION);
    let path = request.extensions().get::<MatchedPath>();
    let has_rule = path.is_some_and(|path| api.rule(request.method().as_str(), path.as_str()).is_some());
    (is_nobody || !has_rule).then(|| network(peer.ip))
}

/// One household has 2^64 addresses of IPv6.
pub(crate) fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)).into(),
        ip => ip,
    }
}

fn time_for_body(headers: &HeaderMap) -> Duration {
    let octets = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    Duration::from_secs((octets.unwrap_or(0) / OCTETS_A_SECOND).min(BODY_SECONDS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(per_second: u32, burst: u32) -> Limits {
        let number = |number| NonZeroU32::new(number).unwrap();
        Limits::new(&Allowance {
            per_second: number(per_second),
            burst: number(burst),
            ..Allowance::default()
        })
    }

    #[test]
    fn a_caller_has_a_burst_and_then_waits_while_others_do_not() {
        let rate = limits(1, 3).known;
        assert_eq!(rate.take(Key::Actor(1)).unwrap(), Left { name: "caller", requests: 2, full_in: 1 });
        assert_eq!(rate.take(Key::Actor(1)).unwrap().requests, 1);
        assert_eq!(rate.take(Key::Actor(1)).unwrap(), Left { name: "caller", requests: 0, full_in: 3 });
        assert_eq!(rate.take(Key::Actor(1)).unwrap_err(), 1);
        assert_eq!(rate.take(Key::Actor(2)).unwrap().requests, 2);
    }

    #[test]
    fn one_caller_never_has_every_place() {
        let places = Limits::new(&Allowance::default()).places;
        let mut held: Vec<_> =
            (0..UNDER_WAY_OF_ONE).map(|_| places.take(Some(1)).expect("a place")).collect();
        assert!(places.take(Some(1)).is_none());
        assert!(places.take(Some(2)).is_some() && places.take(None).is_some());
        held.pop();
        assert!(places.take(Some(1)).is_some());
        drop(held);
        assert!(places.of_actors(|counts| counts.is_empty()));
    }

    #[test]
    fn newcomers_share_a_place_when_the_table_is_full() {
        let mut rate = Arc::into_inner(limits(1, 1).known).unwrap();
        rate.callers_max = 20;
        for actor in 0..20 {
            rate.take(Key::Actor(actor)).unwrap();
        }
        assert!(rate.take(Key::Actor(-1)).is_ok());
        assert!(rate.take(Key::Actor(-2)).is_err());
        assert!(rate.limiter.len() <= 21);
    }

    #[test]
    fn neighbours_of_one_household_are_one() {
        let ip = |text: &str| network(text.parse().unwrap());
        assert_eq!(ip("2001:db8::1"), ip("2001:db8::ffff:1"));
        assert_ne!(ip("2001:db8::1"), ip("2001:db8:0:1::1"));
        assert_eq!(ip("::ffff:192.0.2.1"), ip("192.0.2.1"));
        assert_ne!(ip("192.0.2.1"), ip("192.0.2.2"));
    }
}
