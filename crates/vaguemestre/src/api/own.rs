//! Our own certificates for the API: checked as at a reload, and put in force.

use crate::identity::{self, Finding, Identities};
use crate::presented::Presented;
use admin_api::{Answering, OwnFinding, Pair, Side, Unable};
use config::{Config, TlsFiles};
use mail_types::RevocationState;
use pki::{OwnIdentity, TrustSnapshot, Usage};
use std::path::PathBuf;
use std::sync::Arc;
use store::{Clock, Store};

/// Those of a running server.
pub(super) struct Serving {
    pub(super) presented: Arc<Presented>,
    pub(super) hostname: String,
}

/// Those of a configuration, for a command.
pub(super) struct Beside {
    pub(super) config: Config,
    pub(super) hostname: String,
}

impl admin_api::OwnCertificates for Serving {
    fn check(&self, pair: Option<Pair>) -> Answering<'_, Result<Vec<OwnFinding>, Unable>> {
        Box::pin(async move {
            let trust = self.presented.trust.pki.load();
            check(&self.presented.files.load(), pair.as_ref(), &trust, &self.hostname)
        })
    }

    fn replace(&self, store: Store, pair: Pair) -> Answering<'_, Result<(), Unable>> {
        Box::pin(async move {
            let files = self.presented.files.load_full();
            let (cert, key) = places(&files, pair.side)?;
            may_be_taken(&pair, &self.presented.trust.pki.load(), &self.hostname)?;
            let replaced =
                self.presented.replace(&store, (&cert, &key), (&pair.chain, pair.key.expose())).await;
            replaced.map_err(|error| Unable(format!("{error:#}")))
        })
    }
}

impl admin_api::OwnCertificates for Beside {
    fn check(&self, pair: Option<Pair>) -> Answering<'_, Result<Vec<OwnFinding>, Unable>> {
        Box::pin(async move { check(&self.config.tls, pair.as_ref(), &trust(&self.config)?, &self.hostname) })
    }

    /// A running server takes the files at its next reload.
    fn replace(&self, _: Store, pair: Pair) -> Answering<'_, Result<(), Unable>> {
        Box::pin(async move {
            let (cert, key) = places(&self.config.tls, pair.side)?;
            may_be_taken(&pair, &trust(&self.config)?, &self.hostname)?;
            let replaced = identity::replace(&cert, &key, &pair.chain, pair.key.expose());
            replaced.map_err(|error| Unable(format!("{error:#}")))
        })
    }
}

fn trust(config: &Config) -> Result<TrustSnapshot, Unable> {
    let examination = trust_space::examine(&crate::trust::settings(config), Clock::system().now());
    let unable = || Unable("[trust] anchors cannot be read; `check-config` says why".to_owned());
    examination.snapshot.ok_or_else(unable)
}

fn places(files: &TlsFiles, side: Side) -> Result<(PathBuf, PathBuf), Unable> {
    match (side, &files.client) {
        (Side::Server, _) => Ok((files.cert.clone(), files.key.clone())),
        (Side::Client, Some(pair)) => Ok(pair.clone()),
        (Side::Client, None) => Err(Unable(
            "[tls] client_cert is not set: the certificate of the server is shown to other operators' servers too; replace that one"
                .to_owned(),
        )),
    }
}

fn check(
    files: &TlsFiles,
    pair: Option<&Pair>,
    trust: &TrustSnapshot,
    hostname: &str,
) -> Result<Vec<OwnFinding>, Unable> {
    let Some(pair) = pair else {
        let identities = Identities::load(files).map_err(|error| Unable(format!("{error:#}")))?;
        return Ok(identities.findings(trust).into_iter().map(shown).collect());
    };
    let key = if pair.side == Side::Server { "tls.cert" } else { "tls.client_cert" };
    Ok(vec![match examine(pair, trust, hostname) {
        Ok(finding) => shown(finding),
        Err(Unable(refusal)) => OwnFinding { key, subject: None, refusal: Some(refusal), doubt: None },
    }])
}

fn may_be_taken(pair: &Pair, trust: &TrustSnapshot, hostname: &str) -> Result<(), Unable> {
    match examine(pair, trust, hostname)?.standing {
        Ok(_) => Ok(()),
        Err(rejection) => {
            Err(Unable(format!("{rejection}; the peers that trust what we trust would refuse it")))
        }
    }
}

/// Key, chain, dates, usage and revocation as at a reload; and, of what is seen by those who look for our name, the name.
fn examine(pair: &Pair, trust: &TrustSnapshot, hostname: &str) -> Result<Finding, Unable> {
    let identity = OwnIdentity::from_pem(&pair.chain, pair.key.expose().as_bytes())
        .map_err(|fault| Unable(fault.to_string()))?;
    let (key, usage) = match pair.side {
        Side::Server => ("tls.cert", Usage::Server),
        Side::Client => ("tls.client_cert", Usage::Client),
    };
    let finding = Finding::of(key, &identity, usage, trust);
    let is_named = identity.dns_names().iter().any(|name| names(name, hostname));
    if finding.standing.is_ok() && pair.side == Side::Server && !is_named {
        let names = identity.dns_names().join(", ");
        return Err(Unable(format!("the certificate does not name {hostname}; it names {names}")));
    }
    Ok(finding)
}

/// Whether a DNS name of a certificate is this one, or a wildcard in place of its first label (RFC 6125 section 6.4.3).
fn names(name: &str, hostname: &str) -> bool {
    let is_wild = name
        .strip_prefix("*.")
        .zip(hostname.split_once('.'))
        .is_some_and(|(rest, (_, domain))| rest.eq_ignore_ascii_case(domain));
    is_wild || name.eq_ignore_ascii_case(hostname)
}

fn shown(finding: Finding) -> OwnFinding {
    let (refusal, doubt) = match finding.standing {
        Ok(RevocationState::Good) => (None, None),
        Ok(RevocationState::Unknown(doubt)) => {
            (None, Some(format!("not known whether it is revoked: {doubt}")))
        }
        Err(rejection) => (Some(rejection.to_string()), None),
    };
    OwnFinding { key: finding.key, subject: Some(finding.subject), refusal, doubt }
}
