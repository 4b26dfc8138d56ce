//! Our own certificates: read from the files that the configuration names, and checked before they are taken.

use anyhow::{Context, Result, bail};
use config::Config;
use mail_types::RevocationState;
use pki::{OwnIdentity, Rejection, TrustSnapshot, UnixTime, Usage};
use std::path::Path;
use std::sync::Arc;

/// What we present, to those who connect to us and to those to whom we connect.
#[derive(Clone, Debug)]
pub(crate) struct Identities {
    pub(crate) server: Arc<OwnIdentity>,
    /// The same, unless `[tls] client_cert` names another.
    pub(crate) client: Arc<OwnIdentity>,
    /// Whether clients are shown the OCSP answer about the server's.
    pub(crate) is_stapled: bool,
}

impl Identities {
    /// Reads them; each key must be the key of its certificate.
    pub(crate) fn load(config: &Config) -> Result<Self> {
        let server = Arc::new(read(&config.tls.cert, &config.tls.key).context("[tls] cert and key")?);
        let client = match &config.tls.client {
            Some((cert, key)) => Arc::new(read(cert, key).context("[tls] client_cert and client_key")?),
            None => server.clone(),
        };
        Ok(Self { server, client, is_stapled: config.tls.ocsp_staple })
    }

    /// How each of them stands under this trust.
    pub(crate) fn findings(&self, trust: &TrustSnapshot) -> Vec<Finding> {
        let mut findings = vec![Finding::of("tls.cert", &self.server, Usage::Server, trust)];
        if !Arc::ptr_eq(&self.server, &self.client) {
            findings.push(Finding::of("tls.client_cert", &self.client, Usage::Client, trust));
        }
        findings
    }

    /// Those that do not stand: the key that names them, and why.
    pub(crate) fn faults(&self, trust: &TrustSnapshot) -> Vec<(&'static str, Rejection)> {
        let findings = self.findings(trust).into_iter();
        findings.filter_map(|finding| Some((finding.key, finding.standing.err()?))).collect()
    }

    /// The same, as one error.
    pub(crate) fn stand(&self, trust: &TrustSnapshot) -> Result<()> {
        match self.faults(trust).first() {
            Some((key, rejection)) => {
                bail!("{key}: {rejection}; the peers that trust what we trust would refuse it")
            }
            None => Ok(()),
        }
    }

    /// Where the lists are published that speak of them.
    pub(crate) fn list_points(&self) -> Vec<String> {
        self.each().flat_map(|identity| identity.list_points()).collect()
    }

    /// The two, or the one.
    pub(crate) fn each(&self) -> impl Iterator<Item = &Arc<OwnIdentity>> {
        let client = (!Arc::ptr_eq(&self.server, &self.client)).then_some(&self.client);
        std::iter::once(&self.server).chain(client)
    }
}

/// How one of our certificates stands.
pub(crate) struct Finding {
    /// The key of the configuration that names it.
    pub(crate) key: &'static str,
    pub(crate) subject: String,
    pub(crate) standing: Result<RevocationState, Rejection>,
}

impl Finding {
    pub(crate) fn of(key: &'static str, identity: &OwnIdentity, usage: Usage, trust: &TrustSnapshot) -> Self {
        let standing = identity.check(trust, usage, UnixTime::now());
        Self { key, subject: identity.subject().to_string(), standing }
    }
}

/// A certificate with its chain, and its key.
pub(crate) fn read(cert: &Path, key: &Path) -> Result<OwnIdentity> {
    let read =
        |path: &Path| std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()));
    Ok(OwnIdentity::from_pem(&read(cert)?, &read(key)?)?)
}
