//! `vaguemestre application certificate`.

use super::super::instant::{Until, until};
use super::{Global, find, print};
use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use mail_types::{
    ActorId, AlternativeName, CertificateCriteria, CertificateFacts, CertificateUsage, Timestamp,
};
use serde_json::json;
use std::path::PathBuf;
use store::{CertificateHolder, Store};

#[derive(Subcommand)]
pub(in crate::cli) enum CertificateCommand {
    /// Let an application log in with a certificate, and enter it in the inventory.
    Add(AddArguments),
    /// End a rule. Open sessions that rest on it end within five seconds.
    Remove {
        /// Name of the application.
        name: String,
        /// Number of the rule, as `application show` tells it.
        rule: i64,
        /// Even when nobody is left who administers the operator.
        #[arg(long)]
        force: bool,
    },
}

#[derive(Args)]
pub(in crate::cli) struct AddArguments {
    /// Name of the application.
    pub(super) name: String,
    /// The certificate, PEM or DER; the first one of the file counts.
    #[arg(long)]
    pub(super) pem: PathBuf,
    /// What a certificate must have in common with this one.
    #[arg(long, value_enum, default_value = "serial")]
    pub(super) by: By,
    /// With `--by san`: which of its names, `DNS:name` or `email:address`. Needed when it has several.
    #[arg(long)]
    pub(super) san: Option<AlternativeName>,
    /// The end of the rule: 2027-01-31 (that day included, UTC), 2027-01-31T18:00:00Z, or `none`.
    #[arg(long, value_name = "DATE", value_parser = until)]
    pub(super) until: Option<Until>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum By {
    /// The key, whoever certifies it: survives a renewal with the same key.
    Pin,
    /// Issuer and serial number: this certificate and no other.
    Serial,
    /// Issuer and subject: survives every renewal under the same name.
    Subject,
    /// Issuer and a name of the subjectAltName extension.
    San,
}

pub(super) async fn run(global: &Global, store: &Store, command: CertificateCommand) -> Result<()> {
    match command {
        CertificateCommand::Add(arguments) => add(global, store, &arguments).await,
        CertificateCommand::Remove { name, rule, force } => {
            let application = find(store, &name).await?;
            let ended = store.remove_certificate_rule(application.actor, rule, force).await?;
            let is_ended = ended.with_context(|| {
                format!("{name}: make a key with the role operator first, or use --force")
            })?;
            ensure!(is_ended, "{name} has no rule {rule}; `application show {name}` lists its rules");
            Ok(())
        }
    }
}

async fn add(global: &Global, store: &Store, arguments: &AddArguments) -> Result<()> {
    let application = find(store, &arguments.name).await?;
    let file = arguments.pem.display();
    let octets = std::fs::read(&arguments.pem).with_context(|| format!("{file} cannot be read"))?;
    let facts = pki::certificate_facts(&octets).with_context(|| file.to_string())?;
    let criteria = match arguments.by {
        By::Serial => by_serial(&facts),
        By::Pin => CertificateCriteria::new(None, None, None, None, Some(facts.key_pin)),
        By::Subject => {
            let subject = Some(facts.subject.clone());
            CertificateCriteria::new(Some(facts.issuer.clone()), subject, None, None, None)
        }
        By::San => {
            let name = chosen_name(pki::certificate_names(&octets)?, arguments.san.clone())?;
            CertificateCriteria::new(Some(facts.issuer.clone()), None, Some(name), None, None)
        }
    }?;
    let usage = facts.usage;
    let until = arguments.until.as_ref().and_then(Until::at);
    let rule = enter(store, application.actor, facts, &criteria, until).await?;
    if global.json {
        print::json(&json!({"rule": rule, "matches": criteria.to_string(), "usage": usage.as_str()}));
    } else {
        print::line(&format!("rule {rule}: {} logs in with {criteria}", application.name));
    }
    if !matches!(usage, CertificateUsage::OrgAuthCli | CertificateUsage::ServSsl) {
        tracing::warn!(
            usage = usage.as_str(),
            "this is no certificate to log in with; the handshake will refuse it unless its extended key usage allows clientAuth"
        );
    }
    Ok(())
}

/// Issuer and serial number: one certificate.
pub(crate) fn by_serial(facts: &CertificateFacts) -> Result<CertificateCriteria, mail_types::TooWide> {
    CertificateCriteria::new(Some(facts.issuer.clone()), None, None, Some(facts.serial.clone()), None)
}

/// Enters a certificate of an application in the inventory, and the rule by which it logs in. The number of the rule.
pub(crate) async fn enter(
    store: &Store,
    actor: ActorId,
    facts: CertificateFacts,
    criteria: &CertificateCriteria,
    until: Option<Timestamp>,
) -> Result<i64> {
    let entered = store.add_certificate(CertificateHolder::Application(actor), facts).await?;
    let (certificate, _) = entered.map_err(|refusal| anyhow!("{refusal}"))?;
    let added = store.add_certificate_rule(actor, criteria, Some(certificate), until).await?;
    added.map_err(|refusal| anyhow!("{refusal}"))
}

fn chosen_name(names: Vec<AlternativeName>, asked: Option<AlternativeName>) -> Result<AlternativeName> {
    let listed = || names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match (asked, names.as_slice()) {
        (Some(asked), _) if names.contains(&asked) => Ok(asked),
        (Some(asked), _) => bail!("the certificate has no name {asked}; it has: {}", listed()),
        (None, [only]) => Ok(only.clone()),
        (None, []) => bail!("the certificate has no DNS or mail name; choose another --by"),
        (None, _) => bail!("the certificate has several names; say which with --san: {}", listed()),
    }
}
