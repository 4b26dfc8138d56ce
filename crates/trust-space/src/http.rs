//! The HTTP client: lists are fetched with conditions and bounds, responders are asked.

use pki::{OCSP_ANSWER_MAX, RevocationAnswer, RevocationQuery};
use reqwest::header::{ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Response, StatusCode};
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::error::Error;
use std::time::Duration;

const CONNECT_MAX: Duration = Duration::from_secs(5);
const WHOLE_MAX: Duration = Duration::from_secs(30);
const REDIRECTS_MAX: usize = 3;
/// Octets of a validator that is sent back.
const VALIDATOR_MAX: usize = 512;

/// Why nothing came. The word of each is a label of a metric.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchFault {
    #[error("the server could not be reached: {0}")]
    Unreachable(String),
    #[error("the server did not answer in time")]
    TimeOut,
    #[error("the server answered {0}")]
    Status(StatusCode),
    #[error("the answer is larger than {0} octets")]
    TooLarge(u64),
    #[error("the answer was cut off: {0}")]
    CutOff(String),
    #[error("the server sent us elsewhere, which was not followed: {0}")]
    Redirect(String),
    #[error("the URL cannot be used: {0}")]
    Url(String),
}

impl FetchFault {
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::TimeOut => "time_out",
            Self::Status(_) => "status",
            Self::TooLarge(_) => "too_large",
            Self::CutOff(_) => "cut_off",
            Self::Redirect(_) => "redirect",
            Self::Url(_) => "url",
        }
    }

    fn of(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_timeout() {
            Self::TimeOut
        } else if error.is_redirect() {
            Self::Redirect(innermost(&error))
        } else if error.is_builder() {
            Self::Url(innermost(&error))
        } else if error.is_connect() || error.is_request() {
            Self::Unreachable(innermost(&error))
        } else {
            Self::CutOff(innermost(&error))
        }
    }
}

/// The words of the cause that lies deepest: the layers above only say that a request failed.
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// By what a server knows which version we have (RFC 9110 §8.8).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Validators {
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
}

impl Validators {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| {
            let value = headers.get(name)?.to_str().ok()?;
            (value.len() <= VALIDATOR_MAX).then(|| value.to_owned())
        };
        Self { etag: text(ETAG), last_modified: text(LAST_MODIFIED) }
    }
}

/// What a server answered.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It has nothing newer than what the validators stand for.
    NotModified,
    Body(Vec<u8>, Validators),
}

/// Fetches lists and asks OCSP responders. Believes nothing of what it brings.
#[derive(Clone, Debug)]
pub struct HttpClient {
    lists: Client,
    /// Follows no redirect: a certificate names its responder, and nobody else does.
    responders: Client,
}

/// The client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be made: {0}")]
pub struct HttpSetupError(String);

impl HttpClient {
    /// With the TLS configuration that [`pki::PeerClientTls::https_config`] makes. Neither proxies nor the system's authorities are used.
    ///
    /// # Errors
    /// The configuration is of another kind.
    pub fn new(tls: impl Any + Clone) -> Result<Self, HttpSetupError> {
        let client = |policy: Policy| {
            let client = Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .http1_only()
                .no_proxy()
                .referer(false)
                .redirect(policy)
                .connect_timeout(CONNECT_MAX)
                .timeout(WHOLE_MAX)
                .pool_idle_timeout(Duration::from_secs(30))
                .user_agent(concat!("vaguemestre/", env!("CARGO_PKG_VERSION")))
                .build();
            client.map_err(|error| HttpSetupError(innermost(&error)))
        };
        Ok(Self { lists: client(Policy::custom(redirect))?, responders: client(Policy::none())? })
    }

    pub(crate) async fn get(
        &self,
        url: &str,
        size_max: u64,
        known: &Validators,
    ) -> Result<Answer, FetchFault> {
        let mut request = self.lists.get(url);
        for (name, value) in [(IF_NONE_MATCH, &known.etag), (IF_MODIFIED_SINCE, &known.last_modified)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let response = request.send().await.map_err(FetchFault::of)?;
        match response.status() {
            StatusCode::OK => {
                let validators = Validators::of(response.headers());
                Ok(Answer::Body(body(response, size_max).await?, validators))
            }
            StatusCode::NOT_MODIFIED if *known != Validators::default() => Ok(Answer::NotModified),
            other => Err(FetchFault::Status(other)),
        }
    }

    async fn ask(&self, url: String, request: Vec<u8>) -> Result<Vec<u8>, FetchFault> {
        let request =
            self.responders.post(url).header("content-type", "application/ocsp-request").body(request);
        let response = request.send().await.map_err(FetchFault::of)?;
        match response.status() {
            StatusCode::OK => body(response, OCSP_ANSWER_MAX as u64).await,
            other => Err(FetchFault::Status(other)),
        }
    }
}

impl RevocationQuery for HttpClient {
    fn post(&self, url: String, request: Vec<u8>) -> RevocationAnswer<'_> {
        Box::pin(async move { self.ask(url, request).await.map_err(|fault| fault.to_string()) })
    }
}

/// At most three steps, and never to another scheme: plain HTTP is for what is signed, and a signed list needs no other. Nor to an address
/// instead of a name, but where the source is one: whoever answers in clear must not have us knock at doors behind our own walls.
fn redirect(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let begin = attempt.previous().first().map(|url| url.scheme().to_owned());
    if begin.as_deref() != Some(attempt.url().scheme()) {
        attempt.error("to another scheme")
    } else if !is_same_or_named(&attempt) {
        attempt.error("to another address")
    } else if attempt.previous().len() > REDIRECTS_MAX {
        attempt.error("too many times")
    } else {
        attempt.follow()
    }
}

fn is_same_or_named(attempt: &Attempt<'_>) -> bool {
    let begin = attempt.previous().first().and_then(|url| url.host_str());
    let host = attempt.url().host_str().unwrap_or_default();
    let is_local = host.eq_ignore_ascii_case("localhost") || host.ends_with(".localhost");
    let is_address = host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok();
    begin == Some(host) || !(is_address || is_local)
}

async fn body(mut response: Response, size_max: u64) -> Result<Vec<u8>, FetchFault> {
    if response.content_length().is_some_and(|length| length > size_max) {
        return Err(FetchFault::TooLarge(size_max));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(FetchFault::of)? {
        if (bytes.len() + chunk.len()) as u64 > size_max {
            return Err(FetchFault::TooLarge(size_max));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
