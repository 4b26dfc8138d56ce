//! Requests that are carried out once however often they are sent (draft-ietf-httpapi-idempotency-key-header).
//!
//! A key is reserved before its request begins; the units that the request writes mark it in their own transaction; the answer is kept, sealed,
//! when it is known. Each reservation has a lease of its own: when a reservation is taken over, what the earlier one still has on its way to
//! the writer fails instead of being done beside the new one.

use crate::dialect::on;
use crate::node::Node;
use crate::writer::{Touches, WriteTx};
use crate::{Error, Store};

/// How long a key is remembered.
const IDEMPOTENCY_MS: i64 = 24 * 3600 * 1000;
/// A request that another node began is under way there for no longer.
const UNDER_WAY_MAX_MS: i64 = 2 * 60 * 1000;
/// Keys removed in one unit of work.
const PRUNE_BATCH: i64 = 1000;

/// The reservation of a key for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestMark {
    caller: String,
    name: String,
    lease: [u8; 16],
}

/// What the store knows of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reservation {
    /// Nothing was done: the request is ours to carry out.
    Ours(RequestMark),
    /// The key served another request.
    OtherRequest,
    /// Another node may be carrying it out.
    UnderWay,
    /// It was carried out, and its answer is not kept.
    Done {
        /// HTTP status of the answer, if that is known.
        status: Option<u16>,
    },
    /// It was answered so.
    Answered {
        /// HTTP status.
        status: u16,
        /// What was given to [`Store::answer_request`].
        answer: Vec<u8>,
    },
}

type Tuple = (Vec<u8>, String, Option<i64>, Option<Vec<u8>>, Vec<u8>, i64);

impl Store {
    /// Reserves a key of a caller for the request with that hash. Whoever asks makes sure that this process is not carrying it out already.
    pub async fn reserve_request(
        &self,
        caller: &str,
        name: &str,
        hash: [u8; 32],
    ) -> Result<Reservation, Error> {
        let node = self.node();
        let mark = RequestMark { caller: caller.to_owned(), name: name.to_owned(), lease: node.lease() };
        self.unmarked()
            .write(Touches::nothing(), move |tx| {
                let mark = mark.clone();
                Box::pin(async move { tx.reserve_request(mark, node, hash).await })
            })
            .await
    }

    /// Keeps the answer to a request that was carried out; without its text when it must not be kept. False when the reservation was taken over.
    pub async fn answer_request(
        &self,
        mark: RequestMark,
        status: u16,
        answer: Option<Vec<u8>>,
    ) -> Result<bool, Error> {
        let sealed = answer.map(|answer| self.keyring().seal_answer(&mark.context(), &answer));
        self.unmarked().write(Touches::nothing(), move |tx| {
            let (mark, sealed) = (mark.clone(), sealed.clone());
            Box::pin(async move {
                Ok(on!(tx.conn(), c => sqlx::query(
                    "UPDATE idempotency_keys SET state = 'answered', status = $4, answer = $5 WHERE caller = $1 AND name = $2 AND lease = $3")
                    .bind(&mark.caller).bind(&mark.name).bind(mark.lease.as_slice()).bind(i64::from(status)).bind(sealed.as_deref())
                    .execute(&mut *c).await.map(|r| r.rows_affected() > 0))?)
            })
        })
        .await
    }

    /// Gives a key back whose request did nothing. False when it did something, or the reservation was taken over.
    pub async fn release_request(&self, mark: RequestMark) -> Result<bool, Error> {
        self.unmarked().write(Touches::nothing(), move |tx| {
            let mark = mark.clone();
            Box::pin(async move {
                Ok(on!(tx.conn(), c => sqlx::query(
                    "DELETE FROM idempotency_keys WHERE caller = $1 AND name = $2 AND lease = $3 AND state = 'begun'")
                    .bind(&mark.caller).bind(&mark.name).bind(mark.lease.as_slice()).execute(&mut *c).await.map(|r| r.rows_affected() > 0))?)
            })
        })
        .await
    }

    /// Keys that a caller has in memory here.
    pub async fn reserved_requests(&self, caller: &str) -> Result<u64, Error> {
        let mut reader = self.reader().await?;
        let (count,): (i64,) = on!(reader.conn(), c => sqlx::query_as("SELECT COUNT(*) FROM idempotency_keys WHERE caller = $1")
            .bind(caller).fetch_one(&mut *c).await)?;
        Ok(count.unsigned_abs())
    }

    /// Forgets keys that had their time, a batch of them. How many went: at zero there is nothing left to do.
    pub async fn prune_requests(&self) -> Result<u64, Error> {
        let limit = self.now().plus_millis(-IDEMPOTENCY_MS);
        let mut reader = self.reader().await?;
        let any: Option<(String,)> = on!(reader.conn(), c => sqlx::query_as("SELECT name FROM idempotency_keys WHERE created_at_ms < $1 LIMIT 1")
            .bind(limit.0).fetch_optional(&mut *c).await)?;
        drop(reader);
        if any.is_none() {
            return Ok(0);
        }
        self.unmarked().write(Touches::nothing(), move |tx| {
            Box::pin(async move {
                Ok(on!(tx.conn(), c => sqlx::query(
                    "DELETE FROM idempotency_keys WHERE (caller, name) IN (SELECT caller, name FROM idempotency_keys WHERE created_at_ms < $1 ORDER BY created_at_ms LIMIT $2)")
                    .bind(limit.0).bind(PRUNE_BATCH).execute(&mut *c).await.map(|r| r.rows_affected()))?)
            })
        })
        .await
    }

    /// The store without an act: what is done about a reservation is no part of what the request does.
    fn unmarked(&self) -> Self {
        Self { shared: self.shared.clone(), act: None }
    }
}

impl RequestMark {
    fn context(&self) -> Vec<u8> {
        context(&self.caller, &self.name)
    }
}

fn context(caller: &str, name: &str) -> Vec<u8> {
    [caller.as_bytes(), b"\0", name.as_bytes()].concat()
}

impl WriteTx {
    async fn reserve_request(
        &mut self,
        mark: RequestMark,
        node: Node,
        hash: [u8; 32],
    ) -> Result<Reservation, Error> {
        let now = self.now.0;
        let is_new = on!(self.conn(), c => sqlx::query(
            "INSERT INTO idempotency_keys (caller, name, request_hash, state, lease, created_at_ms) VALUES ($1, $2, $3, 'begun', $4, $5) ON CONFLICT DO NOTHING")
            .bind(&mark.caller).bind(&mark.name).bind(hash.as_slice()).bind(mark.lease.as_slice()).bind(now)
            .execute(&mut *c).await.map(|r| r.rows_affected() > 0))?;
        if is_new {
            return Ok(Reservation::Ours(mark));
        }
        let (known, state, status, answer, lease, created_at): Tuple = on!(self.conn(), c => sqlx::query_as(
            "SELECT request_hash, state, status, answer, lease, created_at_ms FROM idempotency_keys WHERE caller = $1 AND name = $2")
            .bind(&mark.caller).bind(&mark.name).fetch_one(&mut *c).await)?;
        let age = self.now.0 - created_at;
        let is_elsewhere = !lease.starts_with(node.prefix()) && age < UNDER_WAY_MAX_MS;
        let status = status.and_then(|status| u16::try_from(status).ok());
        if age >= IDEMPOTENCY_MS {
            return self.take_over(mark, hash).await;
        }
        if known != hash {
            return Ok(Reservation::OtherRequest);
        }
        match (state.as_str(), status, answer) {
            ("answered", Some(status), Some(sealed)) => {
                let answer = self.keyring.open_answer(&mark.context(), &sealed)?;
                Ok(Reservation::Answered { status, answer })
            }
            ("answered", status, _) => Ok(Reservation::Done { status }),
            _ if is_elsewhere => Ok(Reservation::UnderWay),
            ("begun", ..) => self.take_over(mark, hash).await,
            _ => Ok(Reservation::Done { status: None }),
        }
    }

    /// Whatever held the key does no more.
    async fn take_over(&mut self, mark: RequestMark, hash: [u8; 32]) -> Result<Reservation, Error> {
        let now = self.now.0;
        on!(self.conn(), c => sqlx::query(
            "UPDATE idempotency_keys SET request_hash = $3, state = 'begun', status = NULL, answer = NULL, lease = $4, created_at_ms = $5 WHERE caller = $1 AND name = $2")
            .bind(&mark.caller).bind(&mark.name).bind(hash.as_slice()).bind(mark.lease.as_slice()).bind(now)
            .execute(&mut *c).await.map(|_| ()))?;
        Ok(Reservation::Ours(mark))
    }

    /// Marks, in the transaction of what a request does, that it was done.
    ///
    /// # Errors
    /// [`Error::TakenOver`], and then nothing of it must stand.
    pub(crate) async fn mark_request(&mut self, mark: &RequestMark) -> Result<(), Error> {
        let marked = on!(self.conn(), c => sqlx::query(
            "UPDATE idempotency_keys SET state = CASE state WHEN 'begun' THEN 'committed' ELSE state END WHERE caller = $1 AND name = $2 AND lease = $3")
            .bind(&mark.caller).bind(&mark.name).bind(mark.lease.as_slice()).execute(&mut *c).await.map(|r| r.rows_affected()))?;
        if marked == 0 { Err(Error::TakenOver) } else { Ok(()) }
    }
}
