//! The server under audit is made to deliver to each audit domain, where a server of the auditor listens.

use super::case::{CASES, Case, Duty, Listed};
use super::check::{Direction, Finding, Seen};
use super::dialogue::{Broken, Dialogue, Reply};
use super::pack::Pack;
use super::server::{NO_CERTIFICATE, Server, Sight};
use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mail_types::Secret;
use pki::AuditorTls;
use std::time::Duration;
use tokio::time::Instant;

/// How long the server may take to try all domains, and to be done with each attempt.
const ATTEMPT_MAX: Duration = Duration::from_secs(90);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(100);

/// An account by which the server is made to send.
#[derive(Debug)]
pub(crate) struct Submission {
    /// `HOST:PORT`.
    pub(crate) address: String,
    /// TLS at once, not after STARTTLS.
    pub(crate) is_implicit: bool,
    /// The mailbox to send from, which is the name to log in with.
    pub(crate) user: String,
    pub(crate) password: Secret<String>,
}

pub(super) fn left_out() -> Vec<Finding> {
    let skipped = |case: &Case| {
        Finding::skipped(
            Direction::Outbound,
            case.name,
            expected(case).0,
            "no --submission account was given",
        )
    };
    CASES.iter().map(skipped).collect()
}

/// What is expected, and what to do when something else is seen.
fn expected(case: &Case) -> (&'static str, &'static str) {
    if case.listed == Listed::Not {
        return (
            "recipient refused at submission, 550 5.7.1",
            "refuse recipients outside the white list at RCPT",
        );
    }
    match case.outbound() {
        Duty::Exchange => (
            "message delivered by a server that shows its certificate",
            "check routes, white list and revocation list of `conformance prepare`",
        ),
        Duty::RefuseCertificate | Duty::RefuseDomain => (
            "attempted; no envelope, no content",
            "verify chain, dates, revocation, name and white list before MAIL is said",
        ),
        Duty::StaySilent => ("attempted; nothing in clear", "never fall back to clear text: defer instead"),
        Duty::Disbelieve => (
            "replies in clear are not believed",
            "empty the read buffer before the handshake (RFC 3207 §4.2)",
        ),
    }
}

/// Starts a server for each case, submits a letter to each, waits until each was tried.
pub(super) async fn play(pack: &Pack, submission: &Submission) -> Result<Vec<Finding>> {
    let mut servers = Vec::new();
    for (place, case) in (0u16..).zip(&CASES) {
        let address = (pack.facts.host.as_str(), pack.facts.port(place));
        let tls = AuditorTls::new(pack.identity(case));
        let server = Server::start(address, tls, case.behaviour).await;
        servers.push(server.with_context(|| format!("{}:{} cannot be listened on", address.0, address.1))?);
    }
    let marker = format!("audit-{}", std::process::id());
    let mut client = submission.open().await?;
    let mut answers = Vec::new();
    for case in &CASES {
        let to = pack.address(case.name);
        let answer = submission.send(&mut client, &to, &marker).await;
        answers.push(answer.map_err(|broken| anyhow::anyhow!("the submission ended at {to}: {broken}"))?);
    }
    let _ = client.ask("QUIT").await;
    let end = Instant::now() + ATTEMPT_MAX;
    let is_done = |sights: &[Sight]| {
        let mut all = CASES.iter().zip(&answers).zip(sights);
        all.all(|((case, answer), sight)| answer.code >= 400 || is_over(case, sight, &marker))
    };
    let sights = loop {
        let sights: Vec<Sight> = servers.iter().map(Server::sight).collect();
        if is_done(&sights) || Instant::now() > end {
            break sights;
        }
        tokio::time::sleep(LOOK).await;
    };
    let all = CASES.iter().zip(&answers).zip(&sights);
    Ok(all.map(|((case, answer), sight)| finding(case, answer, sight, &marker)).collect())
}

/// Whether there is nothing more to wait for.
fn is_over(case: &Case, sight: &Sight, marker: &str) -> bool {
    match case.outbound() {
        // The server took what it must not take: it has failed already.
        _ if case.listed == Listed::Not => true,
        Duty::Exchange => has_message(sight, marker),
        _ => sight.opened > 0 && sight.ended == sight.opened,
    }
}

fn has_message(sight: &Sight, marker: &str) -> bool {
    sight.messages.iter().any(|content| content.contains(marker))
}

fn finding(case: &Case, answer: &Reply, sight: &Sight, marker: &str) -> Finding {
    let (expected, advice) = expected(case);
    Finding::new(Direction::Outbound, case.name, expected, seen(case, answer, sight, marker), advice)
}

fn seen(case: &Case, answer: &Reply, sight: &Sight, marker: &str) -> Seen {
    let leaks = sight.leaks();
    if case.listed == Listed::Not {
        let is_well = answer.begins_with("550 5.7.1") && leaks.is_empty();
        return Seen { is_well, observed: format!("at submission: {answer}; {}", told(sight)) };
    }
    if answer.code >= 400 {
        return Seen::ill(format!("refused at submission already: {answer}"));
    }
    if sight.opened == 0 {
        return Seen::ill("no attempt was made");
    }
    match case.outbound() {
        Duty::Exchange => {
            let is_known = sight.handshakes.iter().all(|shown| !shown.ends_with(NO_CERTIFICATE));
            let is_well = has_message(sight, marker) && is_known;
            Seen { is_well, observed: format!("{}; {}", with_whom(sight), told(sight)) }
        }
        Duty::Disbelieve => {
            let observed = if sight.believed_clear {
                "it went on before it was answered under TLS"
            } else {
                "it waited for replies under TLS"
            };
            Seen { is_well: !sight.believed_clear, observed: observed.to_owned() }
        }
        _ => Seen { is_well: leaks.is_empty(), observed: format!("{}; {}", with_whom(sight), told(sight)) },
    }
}

fn with_whom(sight: &Sight) -> String {
    match (sight.handshakes.last(), sight.failures.last()) {
        (Some(handshake), _) => format!("handshake with {handshake}"),
        (None, Some(failure)) => format!("handshake ended: {failure}"),
        (None, None) => "no handshake".to_owned(),
    }
}

/// What was said of a message, without its addresses.
fn told(sight: &Sight) -> String {
    let leaks = sight.leaks();
    let verbs: Vec<&str> =
        leaks.iter().map(|line| line.split([' ', ':']).next().unwrap_or_default()).collect();
    if verbs.is_empty() { "nothing was told".to_owned() } else { format!("told: {}", verbs.join(", ")) }
}

impl Submission {
    /// Logs in.
    async fn open(&self) -> Result<Dialogue> {
        match self.log_in().await {
            Ok((dialogue, reply)) if reply.code == 235 => Ok(dialogue),
            Ok((_, reply)) => bail!("the server refuses the account of --user: {reply}"),
            Err(broken) => bail!("--submission {}: {broken}", self.address),
        }
    }

    async fn log_in(&self) -> Result<(Dialogue, Reply), Broken> {
        let host = self.address.rsplit_once(':').map_or(self.address.as_str(), |(host, _)| host);
        let tls = AuditorTls::new(None);
        let mut dialogue = Dialogue::connect(&self.address).await?;
        if self.is_implicit {
            dialogue = dialogue.secured(&tls, host).await?;
            dialogue.reply().await?;
        } else {
            dialogue.reply().await?;
            dialogue.ask("EHLO auditeur.invalid").await?;
            dialogue.ask("STARTTLS").await?;
            dialogue = dialogue.secured(&tls, host).await?;
        }
        dialogue.ask("EHLO auditeur.invalid").await?;
        let secret = BASE64.encode(format!("\0{}\0{}", self.user, self.password.expose()));
        let reply = dialogue.ask(&format!("AUTH PLAIN {secret}")).await?;
        Ok((dialogue, reply))
    }

    /// The first refusal, or the reply to the content.
    async fn send(&self, client: &mut Dialogue, to: &str, marker: &str) -> Result<Reply, Broken> {
        for line in [format!("MAIL FROM:<{}>", self.user), format!("RCPT TO:<{to}>"), "DATA".to_owned()] {
            let reply = client.ask(&line).await?;
            if reply.code >= 400 {
                client.ask("RSET").await?;
                return Ok(reply);
            }
        }
        let text = format!(
            "From: <{}>\r\nTo: <{to}>\r\nSubject: Audit\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\nMessage-ID: <{marker}.{to}>\r\n\r\n{marker}\r\n.",
            self.user
        );
        client.ask(&text).await
    }
}
