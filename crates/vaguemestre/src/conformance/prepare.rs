//! Makes the audit identities with a development PKI, and says what the server under audit must load to meet them.

use super::case::{CASES, Case, Listed, Made, OTHER_DOMAIN};
use super::pack::{FACTS_FILE, Facts};
use crate::cli::init::{make_private_dir, replace};
use anyhow::{Context, Result};
use mail_types::Timestamp;
use pki::development::{DevelopmentPki, IssuedCertificate, SubjectAttributes};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const DAY_SECS: i64 = 86_400;
/// Certificates of the development PKI are good for three years.
const LONG_AGO_DAYS: i64 = 4 * 365;

/// What the server under audit reads, and with which keys it can be made to believe something else.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) root: PathBuf,
    pub(crate) issuing: PathBuf,
    pub(crate) issuing_key: PathBuf,
    /// The revocation list of the issuing authority.
    pub(crate) list: PathBuf,
    /// The server's own white list and routes, to be changed here and now.
    pub(crate) in_force: Option<(PathBuf, PathBuf)>,
}

impl Network {
    /// A folder as `vaguemestre demo` and `vaguemestre init` make it.
    pub(crate) fn in_folder(dir: &Path) -> Self {
        let file = |demo: &str, init: &str| {
            let (demo, init) = (dir.join(demo), dir.join(init));
            if demo.exists() { demo } else { init }
        };
        Self {
            root: file("root.pem", "anchors.pem"),
            issuing: file("issuing.pem", "anchors.pem"),
            issuing_key: file("issuing.key", "development-issuing.key"),
            list: dir.join("crl/issuing.pem"),
            in_force: None,
        }
    }
}

/// What is to be made.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) out: PathBuf,
    pub(crate) suffix: String,
    pub(crate) host: String,
    pub(crate) port_base: u16,
}

/// Writes the pack; what is to be done next, in words.
pub(crate) fn prepare(network: &Network, plan: &Plan, now: Timestamp) -> Result<String> {
    let authorities = Authorities::open(network, now)?;
    let facts = Facts { suffix: plan.suffix.clone(), host: plan.host.clone(), port_base: plan.port_base };
    make_private_dir(&plan.out)?;
    let (mut white_list, mut routes, mut revoked) = (Vec::new(), Vec::new(), Vec::new());
    let mut first = String::new();
    for (place, case) in (0u16..).zip(&CASES) {
        let issued = authorities.issue(case, &facts, now)?;
        if first.is_empty() {
            first.clone_from(&issued.subject_dn_rfc4514);
        }
        if case.made == Made::Revoked {
            revoked.push(issued.serial.clone());
        }
        white_list.extend(lines(case, &facts, &issued.subject_dn_rfc4514, &first));
        routes.push(format!("{} {}:{}", facts.domain(case.name), plan.host, facts.port(place)));
        let file = |kind: &str| plan.out.join(format!("{}.{kind}", case.name));
        replace(&file("key"), 0o600, issued.key_pem.expose().as_bytes())?;
        replace(&file("pem"), 0o644, issued.chain_pem.as_bytes())?;
    }
    let before = std::fs::read(&network.list).unwrap_or_default();
    let list = authorities.ours.issuing_crl_after(&before, now, &revoked)?;
    replace(&plan.out.join("issuing-crl.pem"), 0o644, list.as_bytes())?;
    replace(&plan.out.join("whitelist.txt"), 0o644, joined(&white_list).as_bytes())?;
    replace(&plan.out.join("routes.txt"), 0o644, joined(&routes).as_bytes())?;
    replace(&plan.out.join(FACTS_FILE), 0o644, &serde_json::to_vec_pretty(&facts)?)?;
    let Some((white_list_file, routes_file)) = &network.in_force else {
        return Ok(told(network, plan, &white_list, &routes));
    };
    replace(&network.list, 0o644, list.as_bytes())?;
    merge(white_list_file, &facts, &white_list)?;
    merge(routes_file, &facts, &routes)?;
    Ok(format!(
        "{} is ready; white list, routes and revocation list of the server name the audit domains. Send it SIGHUP, then run `vaguemestre conformance run`.",
        plan.out.display()
    ))
}

/// What a person must do to the server.
fn told(network: &Network, plan: &Plan, white_list: &[String], routes: &[String]) -> String {
    let mut text = format!("{} is ready. The server under audit must load:\n\n", plan.out.display());
    let _ = writeln!(text, "white list (whitelist.txt):\n{}", joined(white_list));
    let _ = writeln!(text, "routes (routes.txt):\n{}", joined(routes));
    let _ = write!(
        text,
        "revocation list: issuing-crl.pem in the place of {}\n\nThen send it SIGHUP and run `vaguemestre conformance run`.",
        network.list.display()
    );
    text
}

/// The white list's lines for a case. `first` is the subject of the first case.
fn lines(case: &Case, facts: &Facts, subject: &str, first: &str) -> Vec<String> {
    let domain = facts.domain(case.name);
    match case.listed {
        Listed::AsItIs => vec![format!("{domain};{subject}")],
        Listed::Rewritten => {
            let attributes: Vec<&str> = subject.split(',').rev().collect();
            vec![format!("{domain};{}", attributes.join(" , "))]
        }
        Listed::WithAnotherName => {
            vec![format!("{domain};{}", subject.replace("O=AUDIT", "O=QUELQU'UN D'AUTRE"))]
        }
        Listed::WithAnotherCertificate => {
            vec![format!("{domain};{first}"), format!("{};{subject}", facts.domain(OTHER_DOMAIN))]
        }
        Listed::Not => Vec::new(),
    }
}

fn joined(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Puts the lines in the place of what an earlier audit left in the file.
fn merge(file: &Path, facts: &Facts, lines: &[String]) -> Result<()> {
    let before =
        std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let suffix = format!(".{}", facts.suffix);
    let is_other =
        |line: &&str| !line.split([';', ' ']).next().is_some_and(|domain| domain.ends_with(&suffix));
    let kept: Vec<String> = before.lines().filter(is_other).map(ToOwned::to_owned).collect();
    replace(file, 0o644, (joined(&kept) + &joined(lines)).as_bytes())
}

/// Everybody who issues certificates here.
struct Authorities {
    ours: DevelopmentPki,
    foreign: DevelopmentPki,
    look_alike: DevelopmentPki,
}

impl Authorities {
    fn open(network: &Network, now: Timestamp) -> Result<Self> {
        let read = |path: &Path| {
            std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
        };
        let root = read(&network.root)?;
        let root = certificates(&root).next().context("the root's file holds no certificate")?;
        let issuing = read(&network.issuing)?;
        let issuing =
            certificates(&issuing).last().context("the issuing authority's file holds no certificate")?;
        Ok(Self {
            ours: DevelopmentPki::load(root, None, issuing, &read(&network.issuing_key)?)?,
            foreign: DevelopmentPki::generate_foreign(now)?,
            look_alike: DevelopmentPki::generate(now)?,
        })
    }

    fn issue(&self, case: &Case, facts: &Facts, now: Timestamp) -> Result<IssuedCertificate> {
        let host = format!("mx.{}", facts.domain(case.name));
        let subject = SubjectAttributes {
            common_name: &host,
            organizational_unit: "1999999999",
            organization: "AUDIT",
            state: "Paris (75)",
            country: "FR",
        };
        let usual = [host.as_str(), "localhost", facts.host.as_str()];
        let elsewhere = format!("mx.ailleurs.{}", facts.suffix);
        let elsewhere = [elsewhere.as_str()];
        Ok(match case.made {
            Made::Well | Made::Revoked => self.ours.issue_server(&subject, &usual, now)?,
            Made::Expired => {
                self.ours.issue_server(&subject, &usual, now.plus_secs(-LONG_AGO_DAYS * DAY_SECS))?
            }
            Made::Early => self.ours.issue_server(&subject, &usual, now.plus_secs(30 * DAY_SECS))?,
            Made::ForAnotherHost => self.ours.issue_server(&subject, &elsewhere, now)?,
            Made::ByForeigner => self.foreign.issue_server(&subject, &usual, now)?,
            Made::ByLookAlike => self.look_alike.issue_server(&subject, &usual, now)?,
            Made::ByItself => DevelopmentPki::self_signed(&subject, &usual, now)?,
        })
    }
}

/// The PEM blocks of a text.
fn certificates(pem: &str) -> impl Iterator<Item = &str> {
    const END: &str = "-----END CERTIFICATE-----";
    pem.split_inclusive(END).filter(|block| block.ends_with(END))
}
