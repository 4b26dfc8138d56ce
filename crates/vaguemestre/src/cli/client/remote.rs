//! The API of a server, by HTTPS. The key and the certificate's key are read from files that nobody else reads.

use super::{Ask, WAITS_MAX, language, wait_of};
use crate::cli::{Global, Usage, variable};
use admin_api::Language;
use anyhow::{Context, Result, bail};
use axum::body::Body;
use axum::http::header::{ACCEPT_LANGUAGE, AUTHORIZATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use mail_types::Secret;
use pki::{CertificateDer, OwnIdentity};
use reqwest::Url;
use reqwest::redirect::Policy;
use std::error::Error;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Time to be connected.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Time in which nothing comes.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Time for a whole answer: an export may be long.
const WHOLE_MAX: Duration = Duration::from_secs(3600);
/// Octets of a key.
const KEY_MAX: usize = 4096;
const REASON: HeaderName = HeaderName::from_static("reason");

pub(super) struct Remote {
    base: Url,
    http: reqwest::Client,
    /// What every request has.
    headers: HeaderMap,
}

impl Remote {
    pub(super) fn new(global: &Global, url: &str) -> Result<Self> {
        let base: Url = url.parse().map_err(|error| Usage::new(format!("--url {url}: {error}")))?;
        let has_more = base.path() != "/" || base.query().is_some() || !base.username().is_empty();
        if base.scheme() != "https" || !base.has_host() || has_more {
            return Err(Usage::new(format!("--url {url}: write https://HOST or https://HOST:PORT")).into());
        }
        let identity = match (&global.cert_file, &global.cert_key_file) {
            (Some(chain), Some(key)) => Some(identity(chain, key)?),
            _ => None,
        };
        let ca_file = global.ca_file.clone().or_else(|| variable("VAGUEMESTRE_CA_FILE").map(PathBuf::from));
        let tls = pki::administrator_https_config(authorities(ca_file.as_deref())?, identity.as_ref())
            .context("--ca-file")?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .no_proxy()
            .referer(false)
            .redirect(Policy::none())
            .connect_timeout(CONNECT_MAX)
            .read_timeout(SILENCE_MAX)
            .timeout(WHOLE_MAX)
            .user_agent(concat!("vaguemestre/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { base, http, headers: headers(global, identity.is_some())? })
    }

    /// Makes a request; once more when the connection was lost before an answer and that does nothing twice.
    pub(super) async fn send(&self, ask: &Ask) -> Result<Response<Body>> {
        match self.once(ask).await {
            Ok(Err(error)) if is_lost(&error) && ask.may_be_sent_again() => self.again(ask).await,
            answered => answered?.map_err(|error| self.unanswered(&error)),
        }
    }

    /// What was lost may still be under way: the server says so, until it has the answer.
    async fn again(&self, ask: &Ask) -> Result<Response<Body>> {
        for _ in 0..WAITS_MAX {
            let response = self.once(ask).await?.map_err(|error| self.unanswered(&error))?;
            let Some(wait) = wait_of(&response, StatusCode::CONFLICT) else { return Ok(response) };
            tokio::time::sleep(wait).await;
        }
        self.once(ask).await?.map_err(|error| self.unanswered(&error))
    }

    async fn once(&self, ask: &Ask) -> Result<Result<Response<Body>, reqwest::Error>> {
        let url = self.base.join(&ask.target()).context("PATH cannot be used")?;
        let mut headers = self.headers.clone();
        headers.extend(ask.headers.clone());
        let request = self.http.request(ask.method.clone(), url).headers(headers).body(ask.body.clone());
        Ok(request.send().await.map(|response| {
            let response: axum::http::Response<reqwest::Body> = response.into();
            response.map(Body::new)
        }))
    }

    fn unanswered(&self, error: &reqwest::Error) -> anyhow::Error {
        let server = self.base.host_str().unwrap_or_default();
        let port = self.base.port_or_known_default().unwrap_or(443);
        if error.is_timeout() {
            return anyhow::anyhow!(
                "{server}:{port} did not answer in time; whether the request was obeyed is not known: look before you repeat it"
            );
        }
        let cause = innermost(error);
        if error.is_connect() {
            return anyhow::anyhow!(
                "{server}:{port} cannot be reached: {cause}; check --url, --ca-file and that `serve` runs"
            );
        }
        anyhow::anyhow!(
            "{server}:{port} gave no answer: {cause}; whether the request was obeyed is not known: look before you repeat it"
        )
    }
}

/// Whether the connection stood and was lost before an answer.
fn is_lost(error: &reqwest::Error) -> bool {
    error.is_request() && !error.is_connect() && !error.is_timeout()
}

fn headers(global: &Global, has_certificate: bool) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    let key_file = global.key_file.clone().or_else(|| variable("VAGUEMESTRE_KEY_FILE").map(PathBuf::from));
    match &key_file {
        Some(file) => {
            let key = private(file)?;
            let key = key.expose().trim();
            let is_fine = !key.is_empty() && key.len() <= KEY_MAX;
            let value = HeaderValue::from_str(&format!("Bearer {key}")).ok().filter(|_| is_fine);
            let mut value = value.with_context(|| format!("{} holds no API key", file.display()))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        None if has_certificate => {}
        None => {
            return Err(Usage::new(
                "--url needs --key-file FILE (or VAGUEMESTRE_KEY_FILE) with an API key, or --cert-file and --cert-key-file",
            )
            .into());
        }
    }
    let tag = if language() == Language::French { "fr" } else { "en" };
    headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static(tag));
    if let Some(reason) = &global.reason {
        let value = HeaderValue::from_bytes(reason.as_bytes()).context("--reason")?;
        headers.insert(REASON, value);
    }
    Ok(headers)
}

fn identity(chain: &Path, key: &Path) -> Result<OwnIdentity> {
    let pem = std::fs::read(chain).with_context(|| format!("{} cannot be read", chain.display()))?;
    let key = private(key)?;
    OwnIdentity::from_pem(&pem, key.expose().as_bytes()).context("--cert-file and --cert-key-file")
}

/// The authorities of a file, or of the system.
fn authorities(file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>> {
    if let Some(file) = file {
        let octets = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
        return pki::certificate_chain(&octets).with_context(|| file.display().to_string());
    }
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        bail!(
            "this system names no authorities; say with --ca-file which one issued the server's certificate"
        );
    }
    Ok(found.certs)
}

/// A secret of a file that its owner alone can read.
fn private(file: &Path) -> Result<Secret<String>> {
    let what = || format!("{} cannot be read", file.display());
    let mode = std::fs::metadata(file).with_context(what)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(Usage::new(format!(
            "{} can be read by others (mode {:o}): chmod 600 it, and have the key replaced if others may have read it",
            file.display(),
            mode & 0o777
        ))
        .into());
    }
    Ok(Secret::new(std::fs::read_to_string(file).with_context(what)?))
}

/// The words of the cause that lies deepest: the layers above only say that a request failed.
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
