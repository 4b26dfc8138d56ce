//! The description of a running demo, for tests and scripts.

use super::furnish::Furnished;
use super::network::{Network, Site};
use crate::cli::init::replace;
use anyhow::Result;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The whole demo.
#[derive(Serialize)]
pub(super) struct Demo {
    pub(super) pid: u32,
    pub(super) ca_file: PathBuf,
    pub(super) routes_file: PathBuf,
    pub(super) whitelist_file: PathBuf,
    pub(super) pki: Pki,
    pub(super) operators: Vec<Operator>,
}

/// The development authority: with it anyone can become a third operator.
#[derive(Serialize)]
pub(super) struct Pki {
    issuing_ca_cert_file: PathBuf,
    issuing_ca_key_file: PathBuf,
    crl_dir: PathBuf,
}

/// One operator.
#[derive(Serialize)]
pub(super) struct Operator {
    pub(super) domain: String,
    pub(super) hostname: String,
    config_file: PathBuf,
    data_dir: PathBuf,
    pub(super) ports: BTreeMap<String, u16>,
    server_cert_file: PathBuf,
    server_key_file: PathBuf,
    admin_token: String,
    pub(super) mailboxes: Vec<Mailbox>,
    pub(super) applications: Vec<Application>,
}

/// One mailbox.
#[derive(Serialize)]
pub(super) struct Mailbox {
    pub(super) address: String,
    pub(super) kind: String,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
}

/// One application, which logs in with its certificate.
#[derive(Serialize)]
pub(super) struct Application {
    pub(super) name: String,
    /// Addresses of the mailboxes that it opens; with several it names one as authorization identity.
    pub(super) mailboxes: Vec<String>,
    pub(super) cert_file: PathBuf,
    pub(super) key_file: PathBuf,
}

impl Demo {
    pub(super) fn new(network: &Network, operators: Vec<Operator>) -> Self {
        Self {
            pid: std::process::id(),
            ca_file: network.ca_file(),
            routes_file: network.routes_file(),
            whitelist_file: network.whitelist_file(),
            pki: Pki {
                issuing_ca_cert_file: network.pki_file("issuing.pem"),
                issuing_ca_key_file: network.pki_file("issuing.key"),
                crl_dir: network.pki_file("crl"),
            },
            operators,
        }
    }

    /// Writes the description under a temporary name and renames it: whoever sees it finds it whole.
    pub(super) fn write(&self, file: &Path) -> Result<()> {
        replace(file, 0o600, &serde_json::to_vec_pretty(self)?)
    }
}

impl Operator {
    pub(super) fn new(
        network: &Network,
        site: &Site,
        running: &crate::operator::Operator,
        furnished: Furnished,
    ) -> Self {
        let dir = network.site_dir(site);
        let mailboxes = furnished.mailboxes.into_iter().map(|m| Mailbox {
            address: m.address,
            kind: m.kind.to_string(),
            username: m.username,
            password: m.password,
        });
        let applications = furnished.applications.into_iter().map(|application| Application {
            name: application.name,
            mailboxes: application.mailboxes,
            cert_file: application.cert_file,
            key_file: application.key_file,
        });
        Self {
            domain: site.domain.to_owned(),
            hostname: format!("mx.{}", site.domain),
            config_file: dir.join("vaguemestre.toml"),
            ports: running.addresses.iter().map(|(name, address)| (name.clone(), address.port())).collect(),
            server_cert_file: dir.join("tls/server.pem"),
            server_key_file: dir.join("tls/server.key"),
            admin_token: furnished.admin_token,
            mailboxes: mailboxes.collect(),
            applications: applications.collect(),
            data_dir: dir,
        }
    }
}
