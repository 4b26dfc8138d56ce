//! What both operators of the demo share: PKI, revocation lists, white list, routes; and the configuration of each.

use super::describe;
use crate::cli::init::{make_private_dir, replace, write_new};
use anyhow::{Context, Result, anyhow};
use config::Config;
use mail_types::{MailboxKind, Timestamp};
use pki::development::{DevelopmentPki, IssuedCertificate, SubjectAttributes};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use store::Clock;

/// Revocation lists older than this are made anew at the start: theirs is thirty days.
const LISTS_MAX_AGE_MS: i64 = 20 * 86_400 * 1000;

/// An operator of the demo.
pub(super) struct Site {
    pub(super) domain: &'static str,
    pub(super) organization: &'static str,
    /// "1" and a FINESS number, as the national certificates have it; synthetic.
    pub(super) unit: &'static str,
    pub(super) state: &'static str,
    pub(super) mailboxes: &'static [(&'static str, MailboxKind, Option<&'static str>)],
    /// Name of each application, and the mailboxes that it opens.
    pub(super) applications: &'static [(&'static str, &'static [&'static str])],
    folder: &'static str,
    /// Added to the port base.
    offset: u16,
}

/// The two operators. Names are invented.
pub(super) static SITES: [Site; 2] = [
    Site {
        domain: "chu-nord.mssante.test",
        organization: "CHU NORD",
        unit: "1590000014",
        state: "Nord (59)",
        folder: "chu-nord",
        offset: 0,
        mailboxes: &[
            ("claire.martin", MailboxKind::Personal, None),
            ("hugo.bernard", MailboxKind::Personal, None),
            ("secretariat.cardiologie", MailboxKind::Organizational, Some("nadia.leroy")),
            ("laboratoire.biologie", MailboxKind::Applicative, None),
            ("cabinet.tilleuls", MailboxKind::Cabinet, Some("amelie.petit")),
            ("imagerie.comptes-rendus", MailboxKind::Applicative, None),
            ("imagerie.archives", MailboxKind::Applicative, None),
        ],
        applications: &[
            ("laboratoire.biologie", &["laboratoire.biologie"]),
            ("imagerie", &["imagerie.comptes-rendus", "imagerie.archives"]),
        ],
    },
    Site {
        domain: "clinique-sud.mssante.test",
        organization: "CLINIQUE SUD",
        unit: "1340000017",
        state: "Herault (34)",
        folder: "clinique-sud",
        offset: 6,
        mailboxes: &[
            ("paul.moreau", MailboxKind::Personal, None),
            ("sofia.garcia", MailboxKind::Personal, None),
            ("secretariat.chirurgie", MailboxKind::Organizational, Some("lucas.faure")),
            ("dossier.patient", MailboxKind::Applicative, None),
            ("cabinet.oliviers", MailboxKind::Cabinet, Some("ines.roux")),
        ],
        applications: &[("dossier.patient", &["dossier.patient"])],
    },
];

/// Listeners of each operator, in the order of their ports.
const LISTENERS: [(&str, &str); 6] = [
    ("smtp", "starttls"),
    ("submission", "starttls"),
    ("submissions", "implicit"),
    ("imap", "starttls"),
    ("imaps", "implicit"),
    ("https", "implicit"),
];

/// The shared part of the demo.
pub(super) struct Network {
    data: PathBuf,
    port_base: u16,
    store_url: String,
    pki: DevelopmentPki,
}

impl Network {
    /// Opens the data folder, making the PKI on the first start.
    pub(super) fn open(data: &Path, port_base: u16, store_url: &str) -> Result<Self> {
        let now = Clock::system().now();
        for folder in ["pki", "pki/crl"] {
            make_private_dir(&data.join(folder))?;
        }
        let pki = open_pki(&data.join("pki"), now)?;
        let network = Self { data: data.to_owned(), port_base, store_url: store_url.to_owned(), pki };
        network.write_lists(now)?;
        for site in &SITES {
            network.equip(site, now)?;
        }
        network.write_white_list()?;
        write_new(&network.routes_file(), 0o644, b"")?;
        Ok(network)
    }

    pub(super) fn site_dir(&self, site: &Site) -> PathBuf {
        self.data.join(site.folder)
    }

    pub(super) fn ca_file(&self) -> PathBuf {
        self.data.join("pki/ca.pem")
    }

    pub(super) fn pki_file(&self, name: &str) -> PathBuf {
        self.data.join("pki").join(name)
    }

    pub(super) fn routes_file(&self) -> PathBuf {
        self.data.join("routes.txt")
    }

    pub(super) fn whitelist_file(&self) -> PathBuf {
        self.data.join("whitelist.txt")
    }

    /// The checked configuration of a site.
    pub(super) fn configuration(&self, site: &Site) -> Result<Config> {
        let file = self.site_dir(site).join("vaguemestre.toml");
        Config::load(&file).map_err(|faults| {
            anyhow!("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        })
    }

    /// A certificate for an application's mailbox.
    pub(super) fn issue_application(
        &self,
        site: &Site,
        name: &str,
        address: &str,
        now: Timestamp,
    ) -> Result<IssuedCertificate> {
        let subject = SubjectAttributes {
            common_name: name,
            organizational_unit: site.unit,
            organization: site.organization,
            state: site.state,
            country: "FR",
        };
        Ok(self.pki.issue_application(&subject, address, now)?)
    }

    /// Lists are made on the first start and when they are nearly past their date; a list that somebody else put there stays.
    fn write_lists(&self, now: Timestamp) -> Result<()> {
        let path = |name: &str| self.data.join("pki/crl").join(name);
        let is_fresh = |path: &Path| {
            let modified = std::fs::metadata(path).and_then(|m| m.modified()).ok();
            let age = modified
                .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok())
                .map(|since| now.0 - i64::try_from(since.as_millis()).unwrap_or(0));
            age.is_some_and(|age| age < LISTS_MAX_AGE_MS)
        };
        if !is_fresh(&path("root.pem")) {
            replace(&path("root.pem"), 0o644, self.pki.root_crl_pem(now)?.as_bytes())?;
        }
        if !is_fresh(&path("issuing.pem")) {
            replace(&path("issuing.pem"), 0o644, self.pki.issuing_crl_pem(now, &[], 1)?.as_bytes())?;
        }
        Ok(())
    }

    /// The folder, certificate and configuration of a site.
    fn equip(&self, site: &Site, now: Timestamp) -> Result<()> {
        let dir = self.site_dir(site);
        for folder in ["", "keys", "tls", "applications"] {
            make_private_dir(&dir.join(folder))?;
        }
        let host = format!("mx.{}", site.domain);
        if !dir.join("tls/server.pem").exists() {
            let subject = SubjectAttributes {
                common_name: &host,
                organizational_unit: site.unit,
                organization: site.organization,
                state: site.state,
                country: "FR",
            };
            let issued =
                self.pki.issue_server(&subject, &[&host, site.domain, "localhost", "127.0.0.1"], now)?;
            replace(&dir.join("tls/server.key"), 0o600, issued.key_pem.expose().as_bytes())?;
            replace(&dir.join("tls/subject.txt"), 0o644, issued.subject_dn_rfc4514.as_bytes())?;
            replace(&dir.join("tls/server.pem"), 0o644, issued.chain_pem.as_bytes())?;
        }
        replace(&dir.join("vaguemestre.toml"), 0o600, self.configuration_text(site, &host).as_bytes())
    }

    fn configuration_text(&self, site: &Site, host: &str) -> String {
        let url = self.store_url.replace("{operator}", &site.folder.replace('-', "_"));
        let postmaster = format!("{}@{}", site.mailboxes[0].0, site.domain);
        let mut text = format!(
            "# Written anew at each start of `vaguemestre demo`.\n\n[server]\nhostname = \"{host}\"\npostmaster = \"{postmaster}\"\n\n[store]\nurl = {url:?}\n"
        );
        for (index, (name, tls)) in (0u16..).zip(LISTENERS) {
            let port =
                if self.port_base == 0 { 0 } else { self.port_base.saturating_add(site.offset + index) };
            let _ = write!(text, "\n[listeners.{name}]\nbind = \"127.0.0.1:{port}\"\ntls = \"{tls}\"\n");
            if name != "smtp" {
                text.push_str("client_certificates = \"request\"\n");
            }
        }
        text.push_str(
            "\n[tls]\ncert = \"tls/server.pem\"\nkey = \"tls/server.key\"\n\n[trust]\nenvironment = \"test\"\nanchors = [\"../pki/ca.pem\"]\ncrl_files = [\"../pki/crl\"]\n\
             whitelist_file = \"../whitelist.txt\"\nwhitelist_format = \"pairs\"\nwhitelist_shrink_max_percent = 100\n\n[routes]\nfile = \"../routes.txt\"\n\n[delivery]\nretry_first_secs = 5\nretry_max_secs = 300\n",
        );
        text
    }

    /// Both operators' lines; lines for other domains stay.
    fn write_white_list(&self) -> Result<()> {
        let mut lines = Vec::new();
        for site in &SITES {
            let subject = std::fs::read_to_string(self.site_dir(site).join("tls/subject.txt"))
                .context("subject.txt")?;
            lines.push(format!("{};{}", site.domain, subject.trim()));
        }
        let heading =
            "# One line for each pair DOMAIN;SUBJECT-DN. Add lines for other operators, then send SIGHUP.\n";
        merge(&self.whitelist_file(), heading, &lines)
    }

    /// Both operators' routes to the ports they listen on; lines for other domains stay.
    pub(super) fn write_routes(&self, operators: &[describe::Operator]) -> Result<()> {
        let lines: Vec<String> = operators
            .iter()
            .map(|operator| format!("{} 127.0.0.1:{}", operator.domain, operator.ports["smtp"]))
            .collect();
        let heading = "# One line for each domain: DOMAIN HOST:PORT. Add lines for other operators, then send SIGHUP.\n";
        merge(&self.routes_file(), heading, &lines)
    }
}

fn open_pki(dir: &Path, now: Timestamp) -> Result<DevelopmentPki> {
    let read = |name: &str| {
        std::fs::read_to_string(dir.join(name))
            .with_context(|| format!("{} cannot be read", dir.join(name).display()))
    };
    if !dir.join("ca.pem").exists() {
        let pki = DevelopmentPki::generate(now)?;
        let root_key = pki.root_key_pem().context("a generated root has a key")?;
        replace(&dir.join("root.pem"), 0o644, pki.root_cert_pem().as_bytes())?;
        replace(&dir.join("root.key"), 0o600, root_key.expose().as_bytes())?;
        replace(&dir.join("issuing.pem"), 0o644, pki.issuing_cert_pem().as_bytes())?;
        replace(&dir.join("issuing.key"), 0o600, pki.issuing_key_pem().expose().as_bytes())?;
        // Last: its presence says that the rest is complete.
        replace(&dir.join("ca.pem"), 0o644, pki.trust_pem().as_bytes())?;
    }
    let root_key = read("root.key")?;
    Ok(DevelopmentPki::load(
        &read("root.pem")?,
        Some(&root_key),
        &read("issuing.pem")?,
        &read("issuing.key")?,
    )?)
}

/// Writes `lines` and keeps the lines of a file that are about other domains than the sites'.
fn merge(file: &Path, heading: &str, lines: &[String]) -> Result<()> {
    let before = std::fs::read_to_string(file).unwrap_or_default();
    let is_ours = |line: &&str| {
        line.starts_with('#')
            || line.trim().is_empty()
            || SITES.iter().any(|site| line.starts_with(site.domain))
    };
    let mut text = heading.to_owned();
    for line in lines.iter().map(String::as_str).chain(before.lines().filter(|line| !is_ours(line))) {
        text.push_str(line);
        text.push('\n');
    }
    replace(file, 0o644, text.as_bytes())
}
