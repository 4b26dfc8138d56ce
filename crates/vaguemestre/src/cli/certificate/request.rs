//! `vaguemestre certificate request`.

use super::super::{Global, init, print};
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use mail_types::Secret;
use pki::RequestKey;
use pki::development::SubjectAttributes;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub(in crate::cli) struct RequestArguments {
    /// Host name, or the name of the application.
    #[arg(long)]
    cn: String,
    /// `1` and the FINESS number of the structure, or `3` and its SIRET.
    #[arg(long, default_value = "")]
    ou: String,
    /// Name of the structure.
    #[arg(long, default_value = "")]
    o: String,
    /// `Departement (nn)`.
    #[arg(long, default_value = "")]
    st: String,
    /// Two letters.
    #[arg(long, default_value = "FR")]
    c: String,
    /// A DNS name, an address or a mail address that the certificate is to have; as often as there are names.
    #[arg(long, value_name = "NAME")]
    san: Vec<String>,
    /// Ask with this key (PKCS#8, PEM) instead of a new one.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rsa", "ecdsa", "key_out"])]
    key: Option<PathBuf>,
    /// A new RSA key of so many bits.
    #[arg(long, value_name = "BITS", conflicts_with = "ecdsa")]
    rsa: Option<RsaBits>,
    /// A new ECDSA key on this curve; P-256 without `--rsa`.
    #[arg(long, value_name = "CURVE")]
    ecdsa: Option<Curve>,
    /// Where the request goes.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Where a new key goes, readable by its owner alone; beside the request, with the ending `.key`, by default.
    #[arg(long, value_name = "FILE")]
    key_out: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum RsaBits {
    #[value(name = "2048")]
    Bits2048,
    #[value(name = "3072")]
    Bits3072,
}

#[derive(Clone, Copy, ValueEnum)]
enum Curve {
    P256,
}

pub(super) async fn run(global: &Global, arguments: &RequestArguments) -> Result<ExitCode> {
    let key_file = match (&arguments.key, &arguments.key_out) {
        (Some(_), _) => None,
        (None, Some(file)) => Some(file.clone()),
        (None, None) => Some(arguments.out.with_extension("key")),
    };
    for file in key_file.iter().chain([&arguments.out]) {
        refuse_existing(file)?;
    }
    let existing = arguments.key.as_deref().map(read_key).transpose()?;
    let key = match (&existing, arguments.rsa) {
        (Some(key), _) => RequestKey::Existing(key),
        (None, Some(RsaBits::Bits2048)) => RequestKey::NewRsa2048,
        (None, Some(RsaBits::Bits3072)) => RequestKey::NewRsa3072,
        (None, None) => RequestKey::NewP256,
    };
    let subject = SubjectAttributes {
        common_name: &arguments.cn,
        organizational_unit: &arguments.ou,
        organization: &arguments.o,
        state: &arguments.st,
        country: &arguments.c,
    };
    let made = pki::certificate_request(&subject, &arguments.san, key)?;
    if let (Some(file), Some(key)) = (&key_file, &made.new_key_pem) {
        init::replace(file, 0o600, key.expose().as_bytes())?;
    }
    init::replace(&arguments.out, 0o644, made.request_pem.as_bytes())?;
    let key_file = key_file.map(|file| file.display().to_string());
    if global.json {
        print::json(&json!({"request": arguments.out.display().to_string(), "key": key_file}));
    } else {
        print::line(&format!("request: {}", arguments.out.display()));
        key_file.iter().for_each(|file| print::line(&format!("key:     {file}")));
    }
    Ok(ExitCode::SUCCESS)
}

fn refuse_existing(file: &Path) -> Result<()> {
    if file.exists() {
        bail!(
            "{} is there already and is not overwritten; name another file or move it away",
            file.display()
        );
    }
    Ok(())
}

fn read_key(file: &Path) -> Result<Secret<String>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(Secret::new(text))
}
