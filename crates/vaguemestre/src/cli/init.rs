//! `vaguemestre init`: everything that a new operator needs to start. Fine twice: what is there stays.
//!
//! The certificates come from a development authority made on the spot, so that `serve` starts and can be tried; they are to be replaced by
//! those of the health PKI. Until then no real operator believes this one, nor this one them.

use super::{Global, print};
use anyhow::{Context, Result};
use clap::Args;
use mail_types::Domain;
use pki::development::{DevelopmentPki, SubjectAttributes};
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use store::{BodyOptions, Clock, Store, StoreOptions};

#[derive(Args)]
pub(crate) struct InitArguments {
    /// The first domain.
    #[arg(long)]
    domain: String,
    /// The folder of configuration, keys and data.
    #[arg(long)]
    dir: PathBuf,
    /// `sqlite:PATH` or `postgres://…`.
    #[arg(long, default_value = "sqlite:vaguemestre.db")]
    store_url: String,
}

pub(super) async fn run(global: &Global, arguments: InitArguments) -> Result<ExitCode> {
    let domain: Domain = arguments.domain.parse().context("--domain")?;
    let dir = &arguments.dir;
    make_private_dir(dir)?;
    for folder in ["keys", "tls", "trust", "trust/crl"] {
        make_private_dir(&dir.join(folder))?;
    }
    let file = dir.join("vaguemestre.toml");
    let is_development = !dir.join("tls/server.pem").exists();
    let text = configuration(&domain, &arguments.store_url, is_development);
    write_new(&file, 0o600, text.as_bytes())?;
    if is_development {
        development_trust(dir, &domain)?;
    }
    let options = StoreOptions {
        url: arguments.store_url.clone(),
        data_dir: dir.clone(),
        bodies: BodyOptions::Files,
        key_dir: dir.join("keys"),
        writers: store::WRITERS_DEFAULT,
        clock: Clock::system(),
        audits_mail: true,
    };
    Store::create(&options).await?;
    let store = Store::open(&options).await?;
    store.add_domain(domain.clone()).await?;
    store.close().await;
    if global.json {
        print::json(
            &json!({"config": file, "domain": domain.to_string(), "developmentCertificates": is_development}),
        );
        return Ok(ExitCode::SUCCESS);
    }
    print::line(&format!("{} is ready. Next:", file.display()));
    print::line(
        "  1. replace tls/ and trust/ (development certificates) by those of the health PKI and its white list",
    );
    print::line(&format!(
        "  2. vaguemestre mailbox create NAME@{domain} --kind personal --password-stdin --config {}",
        file.display()
    ));
    print::line(&format!(
        "  3. vaguemestre check-config --config {0} && vaguemestre serve --config {0}",
        file.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// The configuration of a new operator on the usual ports.
fn configuration(domain: &Domain, store_url: &str, is_development: bool) -> String {
    let mut text = format!(
        "# See vaguemestre.example.toml for every key. Relative paths start from this folder.\n\n[server]\nhostname = \"mx.{domain}\"\n\n[store]\nurl = {store_url:?}\n\n"
    );
    let listeners = [
        ("smtp", 25, "starttls"),
        ("submission", 587, "starttls"),
        ("submissions", 465, "implicit"),
        ("imap", 143, "starttls"),
        ("imaps", 993, "implicit"),
        ("https", 8443, "implicit"),
    ];
    for (name, port, tls) in listeners {
        // Administrators and applications may come to the API with a certificate.
        let asks = if name == "https" { "client_certificates = \"request\"\n" } else { "" };
        let _ = writeln!(text, "[listeners.{name}]\nbind = \"0.0.0.0:{port}\"\ntls = \"{tls}\"\n{asks}");
    }
    text.push_str("[tls]\ncert = \"tls/server.pem\"\nkey = \"tls/server.key\"\n\n[trust]\n");
    if is_development {
        text.push_str(
            "# The development PKI counts as a test PKI. Real mail: \"production\".\nenvironment = \"test\"\n",
        );
    }
    text.push_str(
        "anchors = [\"trust/anchors.pem\"]\ncrl_files = [\"trust/crl\"]\n\
         whitelist_file = \"trust/whitelist.txt\"\nwhitelist_format = \"pairs\"\n\n[routes]\nfile = \"trust/routes.txt\"\n",
    );
    text
}

/// A development authority, its lists, a certificate for this operator, and a white list that names it.
fn development_trust(dir: &Path, domain: &Domain) -> Result<()> {
    let now = Clock::system().now();
    let pki = DevelopmentPki::generate(now)?;
    let host = format!("mx.{domain}");
    let subject = SubjectAttributes {
        common_name: &host,
        organizational_unit: "1999999999",
        organization: domain.as_str(),
        state: "Developpement (00)",
        country: "FR",
    };
    let server = pki.issue_server(&subject, &[&host, domain.as_str(), "localhost", "127.0.0.1"], now)?;
    write_new(&dir.join("tls/server.key"), 0o600, server.key_pem.expose().as_bytes())?;
    write_new(&dir.join("trust/development-issuing.key"), 0o600, pki.issuing_key_pem().expose().as_bytes())?;
    write_new(&dir.join("trust/anchors.pem"), 0o644, pki.trust_pem().as_bytes())?;
    write_new(&dir.join("trust/crl/root.pem"), 0o644, pki.root_crl_pem(now)?.as_bytes())?;
    write_new(&dir.join("trust/crl/issuing.pem"), 0o644, pki.issuing_crl_pem(now, &[], 1)?.as_bytes())?;
    let white_list = format!(
        "# DOMAIN;SUBJECT-DN of the operator's certificate\n{domain};{}\n",
        server.subject_dn_rfc4514
    );
    write_new(&dir.join("trust/whitelist.txt"), 0o644, white_list.as_bytes())?;
    write_new(
        &dir.join("trust/routes.txt"),
        0o644,
        b"# DOMAIN HOST:PORT of domains that are not found by DNS\n",
    )?;
    // Last: its presence says that the rest is complete.
    write_new(&dir.join("tls/server.pem"), 0o644, server.chain_pem.as_bytes())
}

/// A folder that only its owner enters.
pub(crate) fn make_private_dir(dir: &Path) -> Result<()> {
    if !dir.is_dir() {
        std::fs::create_dir_all(dir).with_context(|| format!("{} cannot be made", dir.display()))?;
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Writes a file unless it is there.
pub(crate) fn write_new(path: &Path, mode: u32, content: &[u8]) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    replace(path, mode, content)
}

/// Writes a file under a temporary name and renames it, so that a reader finds the old one or the new one, never a half.
pub(crate) fn replace(path: &Path, mode: u32, content: &[u8]) -> Result<()> {
    let name = path.file_name().and_then(|name| name.to_str()).context("a path without a file name")?;
    let temporary = path.with_file_name(format!(".{name}.new"));
    let write = || -> std::io::Result<()> {
        let _ = std::fs::remove_file(&temporary);
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}
