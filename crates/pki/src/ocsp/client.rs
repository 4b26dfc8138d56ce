//! Asks responders about the certificates of peers, and remembers what they said.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mail_types::Timestamp;
use rustls_pki_types::UnixTime;

use super::answer::{CertificateStatus, OcspAnswer, OcspFault};
use super::cache::{AnswerCache, Known};
use super::query::{OCSP_ANSWER_MAX, OCSP_TIME_MAX, RevocationQuery};
use super::question::OcspQuestion;
use crate::snapshot::TrustSnapshot;

/// What follows from OCSP, beside the revocation lists. A certificate that a responder calls revoked is refused under either rule, and no answer makes
/// good what the lists leave in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OcspRule {
    /// Responders are asked; without an answer the lists alone speak.
    Prefer,
    /// Responders are asked; without an answer the peer's standing is in doubt.
    Require,
}

/// The side of OCSP that asks. See [`crate::Trust::set_ocsp`].
#[derive(Debug)]
pub struct OcspClient {
    rule: OcspRule,
    query: Arc<dyn RevocationQuery>,
    cache: Arc<AnswerCache>,
    outcomes: Arc<Mutex<HashMap<Known, u64>>>,
}

/// How often asking ended in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OcspOutcome {
    /// `good`, `revoked`, or [`OcspFault::word`].
    pub word: &'static str,
    /// What was wrong, if something was.
    pub fault: Option<OcspFault>,
    /// How often, since the client was made.
    pub count: u64,
}

impl OcspClient {
    /// Asks through `query`.
    pub fn new(rule: OcspRule, query: Arc<dyn RevocationQuery>) -> Self {
        Self { rule, query, cache: Arc::default(), outcomes: Arc::default() }
    }

    /// The same client with another rule: it goes on with what it remembers.
    #[must_use]
    pub fn with_rule(&self, rule: OcspRule) -> Self {
        Self { rule, query: self.query.clone(), cache: self.cache.clone(), outcomes: self.outcomes.clone() }
    }

    /// How asking ended so far, by word; what was remembered is not counted again.
    pub fn outcomes(&self) -> Vec<OcspOutcome> {
        let outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = |(known, count): (&Known, &u64)| {
            let word = match known {
                Ok(CertificateStatus::Good) => "good",
                Ok(CertificateStatus::Revoked) => "revoked",
                Err(fault) => fault.word(),
            };
            OcspOutcome { word, fault: known.err(), count: *count }
        };
        let mut outcomes: Vec<_> = outcomes.iter().map(outcome).collect();
        outcomes.sort_by_key(|outcome| outcome.word);
        outcomes
    }

    pub(super) fn rule(&self) -> OcspRule {
        self.rule
    }

    /// What is remembered of a certificate.
    pub(super) fn remembered(&self, question: &OcspQuestion) -> Option<Known> {
        self.cache.find(&question.key(), now())
    }

    /// What was known of a certificate last, even if it does not count any more.
    pub(super) fn known_last(&self, question: &OcspQuestion) -> Option<Known> {
        self.cache.find_last(&question.key())
    }

    /// What is remembered of a certificate, else what `staple` (empty for none) or a responder says of it.
    ///
    /// Several who ask after one certificate at one time make one request. It takes [`OCSP_TIME_MAX`] at most for each who waits its turn.
    pub(super) async fn ask(&self, question: &OcspQuestion, staple: &[u8], trust: &TrustSnapshot) -> Known {
        if let Some(known) = self.remembered(question) {
            return known;
        }
        let key = question.key();
        // What the server kept from before its certificate was revoked proves nothing.
        let was_revoked = self.known_last(question) == Some(Ok(CertificateStatus::Revoked));
        if !staple.is_empty()
            && !was_revoked
            && let Ok(answer) = OcspAnswer::read(staple, question, None, trust, now())
        {
            return self.found(key, Ok(answer));
        }
        let _turn = self.cache.turn(key).await;
        if let Some(known) = self.remembered(question) {
            return known;
        }
        let found = fetch(&*self.query, question, trust).await.map(|(answer, _)| answer);
        self.found(key, found)
    }

    fn found(&self, key: [u8; 32], found: Result<OcspAnswer, OcspFault>) -> Known {
        let known = self.cache.keep(key, found, now());
        *self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).entry(known).or_default() += 1;
        known
    }
}

/// Asks the responders that the certificate names, in turn, until one gives an answer that counts. Gives it with its octets.
///
/// All of them together have [`OCSP_TIME_MAX`].
pub(super) async fn fetch(
    query: &dyn RevocationQuery,
    question: &OcspQuestion,
    trust: &TrustSnapshot,
) -> Result<(OcspAnswer, Vec<u8>), OcspFault> {
    let responders = question.responders();
    let share = OCSP_TIME_MAX / u32::try_from(responders.len().max(1)).unwrap_or(1);
    let mut fault = OcspFault::NoResponder;
    for url in responders {
        let asked = tokio::time::timeout(share, fetch_from(query, url, question, trust)).await;
        match asked.unwrap_or(Err(OcspFault::Unreachable)) {
            Ok(found) => return Ok(found),
            Err(cause) => fault = cause,
        }
    }
    Err(fault)
}

async fn fetch_from(
    query: &dyn RevocationQuery,
    url: String,
    question: &OcspQuestion,
    trust: &TrustSnapshot,
) -> Result<(OcspAnswer, Vec<u8>), OcspFault> {
    let mut nonce = [0; 32];
    aws_lc_rs::rand::fill(&mut nonce).map_err(|_| OcspFault::Unreachable)?;
    // A serial number longer than RFC 5280 allows cannot be asked after.
    let request = question.request(&nonce).map_err(|_| OcspFault::RequestRefused)?;
    let bytes = query.post(url, request).await.map_err(|_| OcspFault::Unreachable)?;
    if bytes.len() > OCSP_ANSWER_MAX {
        return Err(OcspFault::Malformed);
    }
    let answer = OcspAnswer::read(&bytes, question, Some(&nonce), trust, now())?;
    Ok((answer, bytes))
}

fn now() -> Timestamp {
    Timestamp::from_secs(i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX))
}
