//! `vaguemestre trust check`: would this certificate be accepted, and why not.

use super::{Global, instant, look, optional_instant, print};
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use mail_types::{CertificateFacts, DistinguishedName, Domain, PeerIdentity, RevocationState, Timestamp};
use pki::{Rejection, RevocationListFacts, UnixTime, Usage};
use policy::{Bearer, Standing, TrustList, WhiteList};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Args)]
pub(in crate::cli) struct CheckArguments {
    /// The certificate, and after it its intermediates: PEM, DER or P7B.
    pub(super) file: PathBuf,
    /// The domain that it is to speak for. Without it, any.
    #[arg(long)]
    pub(super) domain: Option<Domain>,
    /// Its side of TLS.
    #[arg(long, value_enum, default_value_t = Side::Client)]
    pub(super) usage: Side,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Side {
    /// It connects to us.
    Client,
    /// We connect to it.
    Server,
}

/// What would become of it.
struct Finding {
    facts: CertificateFacts,
    judged: Result<PeerIdentity, Rejection>,
    /// The list in which it was looked up.
    list: Option<RevocationListFacts>,
    standing: Option<Standing>,
    /// The domains that the white list names it for.
    domains: Vec<Domain>,
    nearest: Option<Nearest>,
}

/// The listed name that is most like that of the certificate.
struct Nearest {
    domain: Domain,
    name: DistinguishedName,
    /// Attributes that only the list has, and that only the certificate has.
    differences: (Vec<String>, Vec<String>),
}

pub(super) async fn run(global: &Global, arguments: &CheckArguments) -> Result<ExitCode> {
    let file = std::fs::read(&arguments.file)
        .with_context(|| format!("{} cannot be read", arguments.file.display()))?;
    let in_file = || arguments.file.display().to_string();
    let facts = pki::certificate_facts(&file).with_context(in_file)?;
    let chain = pki::certificate_chain(&file).with_context(in_file)?;
    let (_, store, space) = look(global).await?;
    let now = store.now();
    store.close().await;
    let usage = if arguments.usage == Side::Client { Usage::Client } else { Usage::Server };
    let snapshot = space.pki.load();
    let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.secs()).unwrap_or(0)));
    let judged = snapshot.judge(&chain, usage, at);
    let list = snapshot.lists().into_iter().find(|list| list.issuer == facts.issuer);
    let finding = finding(facts, judged, list, &space.list.load(), arguments.domain.as_ref(), now);
    let (verdict, why) = verdict(&finding, arguments.domain.as_ref());
    if global.json {
        print::json(&as_json(&finding, verdict, &why));
    } else {
        show(&finding, verdict, &why, arguments.domain.as_ref());
    }
    Ok(if verdict == "accepted" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn finding(
    facts: CertificateFacts,
    judged: Result<PeerIdentity, Rejection>,
    list: Option<RevocationListFacts>,
    trusted: &TrustList,
    domain: Option<&Domain>,
    now: Timestamp,
) -> Finding {
    let standing = judged.as_ref().ok().map(|peer| match domain {
        Some(domain) => trusted.standing(domain, peer, now),
        None => trusted.standing_of_any(peer, now),
    });
    let white_list = trusted.white_list.as_ref().map(|(list, _)| list.as_ref());
    let domains =
        white_list.map(|list| list.domains_of(&facts.subject).cloned().collect()).unwrap_or_default();
    let is_listed = standing == Some(Standing::Listed);
    let nearest = white_list.filter(|_| !is_listed).and_then(|list| nearest(list, domain, &facts.subject));
    Finding { facts, judged, list, standing, domains, nearest }
}

fn verdict(finding: &Finding, domain: Option<&Domain>) -> (&'static str, String) {
    let peer = match &finding.judged {
        Err(rejection) => return ("refused", format!("the handshake fails: {rejection}")),
        Ok(peer) => peer,
    };
    if let RevocationState::Unknown(cause) = peer.revocation {
        return ("deferred", format!("whether it is revoked cannot be said: {cause}"));
    }
    let whom = domain.map_or_else(|| "any domain".to_owned(), ToString::to_string);
    match finding.standing {
        Some(Standing::Listed) => ("accepted", format!("it speaks for {whom}")),
        Some(Standing::Doubtful(reason)) => {
            ("deferred", format!("whether it speaks for {whom} cannot be said: {}", reason.as_str()))
        }
        _ => ("refused", format!("it does not speak for {whom} (550 5.7.1 at MAIL)")),
    }
}

fn nearest(list: &WhiteList, domain: Option<&Domain>, subject: &DistinguishedName) -> Option<Nearest> {
    let ours: Vec<_> = subject.attributes().collect();
    let alike =
        |name: &DistinguishedName| name.attributes().filter(|attribute| ours.contains(attribute)).count();
    let named = list.pairs().filter_map(|(listed, bearer)| match bearer {
        Bearer::Subject(name) if domain.is_none_or(|domain| domain == listed) => Some((listed, name)),
        _ => None,
    });
    let (domain, name) =
        named.max_by_key(|(_, name)| alike(name)).filter(|(_, name)| domain.is_some() || alike(name) > 1)?;
    let without = |name: &DistinguishedName, other: &DistinguishedName| -> Vec<String> {
        let other: Vec<_> = other.attributes().collect();
        let own = name.attributes().filter(|attribute| !other.contains(attribute));
        own.map(|(kind, value)| format!("{kind}={value}")).collect()
    };
    let differences = (without(name, subject), without(subject, name));
    Some(Nearest { domain: domain.clone(), name: DistinguishedName::clone(name), differences })
}

fn show(finding: &Finding, verdict: &str, why: &str, domain: Option<&Domain>) {
    let facts = &finding.facts;
    let serial: String = facts.serial.iter().map(|octet| format!("{octet:02x}")).collect();
    let revocation = match (&finding.judged, &finding.list) {
        (Err(Rejection::Revoked), _) => "revoked".to_owned(),
        (Err(_), _) => "not asked".to_owned(),
        (Ok(peer), list) => {
            let state = match peer.revocation {
                RevocationState::Good => "not revoked",
                RevocationState::Unknown(cause) => cause,
            };
            let list = list.as_ref().map_or_else(String::new, |list| {
                let number = list
                    .number
                    .as_ref()
                    .map_or_else(|| "without number".to_owned(), |number| format!("number {number}"));
                format!(
                    ", by list {number}, next update {}",
                    optional_instant(list.next_update.map(|at| at.0))
                )
            });
            format!("{state}{list}")
        }
    };
    let listed: Vec<String> = finding.domains.iter().map(ToString::to_string).collect();
    let rows = [
        ("verdict", format!("{verdict}: {why}")),
        ("subject", facts.subject.to_string()),
        ("issuer", facts.issuer.to_string()),
        ("serial", serial),
        ("valid", format!("{} to {}", instant(facts.not_before.0), instant(facts.not_after.0))),
        ("usage", facts.usage.to_string()),
        ("revocation", revocation),
        ("listed for", if listed.is_empty() { "no domain".to_owned() } else { listed.join(" ") }),
    ];
    rows.iter().for_each(|(key, value)| print::line(&format!("{key:<12} {value}")));
    match &finding.nearest {
        Some(nearest) => {
            print::line(&format!("nearest      {} for {}", nearest.name, nearest.domain));
            nearest
                .differences
                .0
                .iter()
                .for_each(|text| print::line(&format!("             only in the list: {text}")));
            nearest
                .differences
                .1
                .iter()
                .for_each(|text| print::line(&format!("             only in the certificate: {text}")));
        }
        None if finding.standing != Some(Standing::Listed) && domain.is_some() => {
            print::line("nearest      the white list does not name this domain");
        }
        None => {}
    }
}

fn as_json(finding: &Finding, verdict: &str, why: &str) -> Value {
    let facts = &finding.facts;
    let (state, cause) = match &finding.judged {
        Err(Rejection::Revoked) => ("revoked", None),
        Err(_) => ("not_asked", None),
        Ok(peer) => match peer.revocation {
            RevocationState::Good => ("good", None),
            RevocationState::Unknown(cause) => ("unknown", Some(cause)),
        },
    };
    json!({
        "verdict": verdict, "why": why,
        "subject": facts.subject.to_string(), "issuer": facts.issuer.to_string(),
        "serial": facts.serial.iter().map(|octet| format!("{octet:02x}")).collect::<String>(),
        "not_before_ms": facts.not_before.0, "not_after_ms": facts.not_after.0, "usage": facts.usage.to_string(),
        "chain": finding.judged.as_ref().err().map_or("good", |rejection| rejection.cause()),
        "revocation": {
            "state": state, "cause": cause,
            "list_number": finding.list.as_ref().and_then(|list| list.number.as_ref()).map(ToString::to_string),
            "list_next_update_ms": finding.list.as_ref().and_then(|list| list.next_update).map(|at| at.0),
        },
        "listed_for": finding.domains.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "nearest": finding.nearest.as_ref().map(|nearest| json!({
            "domain": nearest.domain.to_string(), "subject": nearest.name.to_string(),
            "only_in_the_list": nearest.differences.0, "only_in_the_certificate": nearest.differences.1,
        })),
    })
}
