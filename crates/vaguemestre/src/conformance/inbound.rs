//! The auditor connects to the server's MX, with the certificate of each case.

use super::case::{Behaviour, CASES, Case, Duty, EXCHANGE};
use super::check::{Direction, Finding, Seen};
use super::dialogue::{Broken, Dialogue, Reply};
use super::hello::{ALERT_RECORD, STRONG_SUITES, WEAK_SUITES, client_hello};
use super::pack::Pack;
use pki::{AuditedVersion, AuditorTls};

/// The server under audit.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// `HOST:PORT` of its MX.
    pub(crate) mx: String,
    /// A mailbox of it, for the normal exchange.
    pub(crate) recipient: Option<String>,
}

impl Target {
    fn host(&self) -> &str {
        self.mx.rsplit_once(':').map_or(self.mx.as_str(), |(host, _)| host).trim_matches(['[', ']'])
    }
}

const VERSIONS: [(AuditedVersion, &str); 2] =
    [(AuditedVersion::Tls12, "TLS 1.2"), (AuditedVersion::Tls13, "TLS 1.3")];

/// Plays every case, one after the other: the server must not take the auditor for an attack.
pub(super) async fn play(pack: &Pack, target: &Target) -> Vec<Finding> {
    let auditor = Auditor { pack, target };
    let mut findings = Vec::new();
    for case in CASES.iter().filter(|case| case.behaviour == Behaviour::Usual) {
        findings.push(auditor.certificate(case).await);
    }
    findings.push(auditor.exchange().await);
    findings.push(auditor.smuggling().await);
    findings.push(auditor.in_clear().await);
    findings.push(auditor.without_certificate().await);
    findings.push(auditor.null_sender().await);
    findings.push(auditor.injection().await);
    for (title, minor, suites) in
        [("TLS 1.0", 1, &STRONG_SUITES[..]), ("TLS 1.1", 2, &STRONG_SUITES), ("weak suites", 3, &WEAK_SUITES)]
    {
        findings.push(auditor.weak_hello(title, minor, suites).await);
    }
    findings
}

struct Auditor<'a> {
    pack: &'a Pack,
    target: &'a Target,
}

impl Auditor<'_> {
    /// A connection that was greeted and has said EHLO in clear.
    async fn greeted(&self) -> Result<(Dialogue, Reply), Broken> {
        let mut dialogue = Dialogue::connect(&self.target.mx).await?;
        dialogue.reply().await?;
        let reply = dialogue.ask("EHLO auditeur.invalid").await?;
        Ok((dialogue, reply))
    }

    /// A connection under TLS that has said EHLO there: in TLS 1.3 only its answer shows that the server took the certificate.
    async fn under_tls(&self, tls: &AuditorTls) -> Result<Dialogue, Attempt> {
        let early = |broken| Attempt::Before(broken);
        let (mut dialogue, _) = self.greeted().await.map_err(early)?;
        let reply = dialogue.ask("STARTTLS").await.map_err(early)?;
        if reply.code != 220 {
            return Err(Attempt::Before(Broken::Nonsense(format!("to STARTTLS: {reply}"))));
        }
        let mut dialogue = dialogue.secured(tls, self.target.host()).await.map_err(Attempt::Handshake)?;
        dialogue.ask("EHLO auditeur.invalid").await.map_err(Attempt::Handshake)?;
        Ok(dialogue)
    }

    /// What is answered to MAIL by somebody with this identity.
    async fn mail(&self, tls: &AuditorTls, from: &str) -> Result<Reply, Attempt> {
        let mut dialogue = self.under_tls(tls).await?;
        let reply = dialogue.ask(&format!("MAIL FROM:<{from}>")).await.map_err(Attempt::After)?;
        let _ = dialogue.ask("QUIT").await;
        Ok(reply)
    }

    /// A case's certificate, in both versions of TLS.
    async fn certificate(&self, case: &Case) -> Finding {
        let (expected, advice) = match case.inbound() {
            Duty::Exchange => (
                "MAIL accepted, 250",
                "check that anchors, white list and revocation list of `conformance prepare` are loaded",
            ),
            Duty::RefuseDomain => (
                "550 5.7.1 at MAIL",
                "compare the whole subject with the white list's entry for the MAIL FROM domain",
            ),
            _ => ("handshake refused", "verify chain, dates and revocation in the handshake, and fail it"),
        };
        let mut seen = Vec::new();
        for (version, word) in VERSIONS {
            let tls = AuditorTls::new(self.pack.identity(case)).only(version);
            let attempt = self.mail(&tls, &self.pack.address(case.name)).await;
            let is_well = match (&attempt, case.inbound()) {
                (Ok(reply), Duty::Exchange) => reply.code == 250,
                (Ok(reply), Duty::RefuseDomain) => reply.begins_with("550 5.7.1"),
                (Err(Attempt::Handshake(Broken::Alert(_) | Broken::Closed)), Duty::RefuseCertificate) => true,
                _ => false,
            };
            seen.push((is_well, format!("{word}: {}", Attempt::words(&attempt))));
        }
        let is_well = seen.iter().all(|(is_well, _)| *is_well);
        let observed = seen.into_iter().map(|(_, words)| words).collect::<Vec<_>>().join("; ");
        Finding::new(Direction::Inbound, case.name, expected, Seen { is_well, observed }, advice)
    }

    /// A whole message.
    async fn exchange(&self) -> Finding {
        const EXPECTED: &str = "a message is accepted, 250";
        let title = format!("{EXCHANGE} (message)");
        let Some(recipient) = &self.target.recipient else {
            return Finding::skipped(Direction::Inbound, title, EXPECTED, "no --recipient was given");
        };
        let seen = match self.message(recipient).await {
            Ok(reply) if reply.code == 250 => Seen::well(reply.to_string()),
            Ok(reply) => Seen::ill(reply.to_string()),
            Err(attempt) => Seen::ill(attempt.in_words()),
        };
        Finding::new(
            Direction::Inbound,
            title,
            EXPECTED,
            seen,
            "check that the recipient is an active mailbox of the server",
        )
    }

    async fn message(&self, recipient: &str) -> Result<Reply, Attempt> {
        let (mut dialogue, reply) = self.at_data(recipient).await?;
        if reply.code != 354 {
            return Ok(reply);
        }
        let text = format!("{}Message de l'auditeur.\r\n.", self.header(recipient));
        dialogue.ask(&text).await.map_err(Attempt::After)
    }

    /// A connection whose DATA was answered, or what was refused before.
    async fn at_data(&self, recipient: &str) -> Result<(Dialogue, Reply), Attempt> {
        let case = CASES.iter().find(|case| case.name == EXCHANGE);
        let identity = case.and_then(|case| self.pack.identity(case));
        let mut dialogue = self.under_tls(&AuditorTls::new(identity)).await?;
        let from = self.pack.address(EXCHANGE);
        for line in [format!("MAIL FROM:<{from}>"), format!("RCPT TO:<{recipient}>")] {
            let reply = dialogue.ask(&line).await.map_err(Attempt::After)?;
            if reply.code >= 400 {
                return Ok((dialogue, reply));
            }
        }
        let reply = dialogue.ask("DATA").await.map_err(Attempt::After)?;
        Ok((dialogue, reply))
    }

    fn header(&self, recipient: &str) -> String {
        format!(
            "From: <{}>\r\nTo: <{recipient}>\r\nSubject: Audit\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\nMessage-ID: <audit@{}>\r\n\r\n",
            self.pack.address(EXCHANGE),
            self.pack.facts.domain(EXCHANGE)
        )
    }

    /// A dot on a line of its own whose ends are not CRLF must not end a message: what follows would be commands (CVE-2023-51764 and its kin).
    async fn smuggling(&self) -> Finding {
        const EXPECTED: &str = "only CRLF.CRLF ends a message";
        const TITLE: &str = "end of data";
        let Some(recipient) = &self.target.recipient else {
            return Finding::skipped(Direction::Inbound, TITLE, EXPECTED, "no --recipient was given");
        };
        let mut seen = Vec::new();
        for (end, word) in
            [("\n.\r\n", "LF.CRLF"), ("\r\n.\n", "CRLF.LF"), ("\n.\n", "LF.LF"), ("\r.\r", "CR.CR")]
        {
            seen.push(match self.smuggle(recipient, end).await {
                Ok((first, next)) => {
                    (next.code == 221, format!("{word}: {}, then {}", first.code, next.code))
                }
                Err(attempt) => (false, format!("{word}: {}", attempt.in_words())),
            });
        }
        let is_well = seen.iter().all(|(is_well, _)| *is_well);
        let observed = seen.into_iter().map(|(_, words)| words).collect::<Vec<_>>().join("; ");
        let advice = "take CRLF.CRLF alone for the end of data, and refuse a bare CR or LF (RFC 5321 §2.3.8, §4.1.1.4)";
        Finding::new(Direction::Inbound, TITLE, EXPECTED, Seen { is_well, observed }, advice)
    }

    /// The reply to the content, and the one after it: to QUIT, unless what came before was taken for a command.
    async fn smuggle(&self, recipient: &str, end: &str) -> Result<(Reply, Reply), Attempt> {
        let (mut dialogue, reply) = self.at_data(recipient).await?;
        if reply.code != 354 {
            return Err(Attempt::After(Broken::Nonsense(reply.to_string())));
        }
        let text = format!("{}Texte{end}NOOP\r\n\r\n.\r\nQUIT\r\n", self.header(recipient));
        dialogue.send(text.as_bytes()).await.map_err(Attempt::After)?;
        let first = dialogue.reply().await.map_err(Attempt::After)?;
        Ok((first, dialogue.reply().await.map_err(Attempt::After)?))
    }

    /// The server's side of `sans-tls`.
    async fn in_clear(&self) -> Finding {
        let seen = match self.speak_in_clear().await {
            Ok((true, reply)) if reply.begins_with("530") => {
                Seen::well(format!("STARTTLS offered; MAIL in clear: {reply}"))
            }
            Ok((offered, reply)) => Seen::ill(format!(
                "STARTTLS {}; MAIL in clear: {reply}",
                if offered { "offered" } else { "not offered" }
            )),
            Err(broken) => Seen::ill(broken.to_string()),
        };
        let expected = "STARTTLS offered, MAIL without it refused, 530";
        Finding::new(
            Direction::Inbound,
            "sans-tls-audit",
            expected,
            seen,
            "offer STARTTLS and require it before MAIL (RFC 3207 §4)",
        )
    }

    async fn speak_in_clear(&self) -> Result<(bool, Reply), Broken> {
        let (mut dialogue, greeting) = self.greeted().await?;
        let is_offered = greeting.lines.iter().any(|line| line.eq_ignore_ascii_case("STARTTLS"));
        let from = self.pack.address(EXCHANGE);
        Ok((is_offered, dialogue.ask(&format!("MAIL FROM:<{from}>")).await?))
    }

    async fn without_certificate(&self) -> Finding {
        let attempt = self.mail(&AuditorTls::new(None), &self.pack.address(EXCHANGE)).await;
        let is_well = match &attempt {
            Ok(reply) => reply.begins_with("550 5.7.1"),
            // A server may insist on a certificate.
            Err(attempt) => matches!(attempt, Attempt::Handshake(Broken::Alert(_))),
        };
        let seen = Seen { is_well, observed: Attempt::words(&attempt) };
        let expected = "550 5.7.1 at MAIL, or handshake refused";
        Finding::new(
            Direction::Inbound,
            "no certificate",
            expected,
            seen,
            "take mail from operators that show a certificate only",
        )
    }

    /// Notifications: from a listed operator, and from none other.
    async fn null_sender(&self) -> Finding {
        let by = |name: &str| {
            let case = CASES.iter().find(|case| case.name == name);
            AuditorTls::new(case.and_then(|case| self.pack.identity(case)))
        };
        let listed = self.mail(&by(EXCHANGE), "").await;
        let unlisted = self.mail(&by(super::case::UNLISTED), "").await;
        let is_well = matches!(&listed, Ok(reply) if reply.code == 250)
            && matches!(&unlisted, Ok(reply) if reply.begins_with("550 5.7.1"));
        let observed =
            format!("listed: {}; not listed: {}", Attempt::words(&listed), Attempt::words(&unlisted));
        let expected = "MAIL FROM:<> accepted from a listed certificate, 550 5.7.1 from another";
        let advice = "ask of the certificate of a null sender that it is listed for any domain";
        Finding::new(Direction::Inbound, "null sender", expected, Seen { is_well, observed }, advice)
    }

    /// Commands in clear, in the same octets as STARTTLS, must not be heard under TLS (CVE-2011-0411).
    async fn injection(&self) -> Finding {
        let seen = match self.inject().await {
            Ok(reply) if reply.code == 503 => Seen::well(format!("DATA under TLS: {reply}")),
            Ok(reply) => Seen::ill(format!("DATA under TLS: {reply}")),
            // To refuse the session altogether is as safe.
            Err(Attempt::Handshake(Broken::Alert(_) | Broken::Closed)) => Seen::well("the session ended"),
            Err(attempt) => Seen::ill(attempt.in_words()),
        };
        let expected = "commands behind STARTTLS are discarded";
        Finding::new(
            Direction::Inbound,
            "injection-audit",
            expected,
            seen,
            "empty the read buffer before the handshake (RFC 3207 §4.2)",
        )
    }

    async fn inject(&self) -> Result<Reply, Attempt> {
        let (mut dialogue, _) = self.greeted().await.map_err(Attempt::Before)?;
        let from = self.pack.address(EXCHANGE);
        let octets = format!("STARTTLS\r\nEHLO auditeur.invalid\r\nMAIL FROM:<{from}>\r\n");
        dialogue.send(octets.as_bytes()).await.map_err(Attempt::Before)?;
        dialogue.reply().await.map_err(Attempt::Before)?;
        let case = CASES.iter().find(|case| case.name == EXCHANGE);
        let tls = AuditorTls::new(case.and_then(|case| self.pack.identity(case)));
        let mut dialogue = dialogue.secured(&tls, self.target.host()).await.map_err(Attempt::Handshake)?;
        dialogue.ask("DATA").await.map_err(Attempt::Handshake)
    }

    async fn weak_hello(&self, title: &str, minor: u8, suites: &[u16]) -> Finding {
        let seen = match self.hello(&client_hello(minor, suites)).await {
            Ok(ALERT_RECORD) => Seen::well("TLS alert"),
            Ok(record) => Seen::ill(format!("a TLS record of type {record}: the server went on")),
            Err(Broken::Closed) => Seen::well("connection closed"),
            Err(broken) => Seen::ill(broken.to_string()),
        };
        Finding::new(
            Direction::Inbound,
            title,
            "handshake refused",
            seen,
            "allow TLS 1.2 and 1.3 only, with suites that have forward secrecy and authenticated encryption",
        )
    }

    async fn hello(&self, hello: &[u8]) -> Result<u8, Broken> {
        let (mut dialogue, _) = self.greeted().await?;
        dialogue.ask("STARTTLS").await?;
        dialogue.send(hello).await?;
        dialogue.octet().await
    }
}

/// How far an attempt came that did not come to a reply.
enum Attempt {
    Before(Broken),
    Handshake(Broken),
    After(Broken),
}

impl Attempt {
    fn in_words(&self) -> String {
        match self {
            Self::Before(broken) => format!("before the handshake: {broken}"),
            Self::Handshake(broken) => format!("in the handshake: {broken}"),
            Self::After(broken) => format!("after the handshake: {broken}"),
        }
    }

    fn words(attempt: &Result<Reply, Self>) -> String {
        match attempt {
            Ok(reply) => reply.to_string(),
            Err(attempt) => attempt.in_words(),
        }
    }
}
