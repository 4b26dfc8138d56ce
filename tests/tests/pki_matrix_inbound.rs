//! Who may hand us mail, judged from the outside: certificates and lists made with OpenSSL, presented by `openssl s_client`.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{Certificate, Letter, OpensslClient, TrustWorld, Wire, alert};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

const VERSIONS: [&str; 2] = ["-tls1_2", "-tls1_3"];

/// Alerts of RFC 8446 §6.2.
const UNSUPPORTED_CERTIFICATE: u8 = 43;
const CERTIFICATE_REVOKED: u8 = 44;
const CERTIFICATE_EXPIRED: u8 = 45;
const UNKNOWN_CA: u8 = 48;

const HANDSHAKE_FAILURE: u8 = 40;
const PROTOCOL_VERSION: u8 = 70;

/// Entries of a long revocation list.
const CROWD: u32 = 200_000;

/// What is to come of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The letter is in the mailbox.
    Accepted,
    /// A reply to MAIL that begins like this; to RCPT and DATA no better.
    Refused(&'static str),
    /// No reply under TLS, but this alert.
    Alert(u8),
}
use Verdict::{Accepted, Alert, Refused};

const REJECT: Verdict = Refused("550 5.7.1");
const DEFER: Verdict = Refused("451 4.7.0");

/// Case, whose certificate is presented for the domain of that name; and what is to come of it.
const CASES: [(&str, Verdict); 22] = [
    ("valid", Accepted),
    ("rsa", Accepted),
    ("reordered", Accepted),
    // The names of a client are not compared with anything: its subject counts.
    ("misnamed", Accepted),
    ("client-only", Accepted),
    ("crowded", Accepted),
    ("expired", Alert(CERTIFICATE_EXPIRED)),
    ("early", Alert(CERTIFICATE_EXPIRED)),
    ("revoked", Alert(CERTIFICATE_REVOKED)),
    ("under-revoked", Alert(CERTIFICATE_REVOKED)),
    ("crowded-revoked", Alert(CERTIFICATE_REVOKED)),
    ("server-only", Alert(UNSUPPORTED_CERTIFICATE)),
    ("foreign", Alert(UNKNOWN_CA)),
    ("twin", Alert(UNKNOWN_CA)),
    ("self-signed", Alert(UNKNOWN_CA)),
    ("other-dn", REJECT),
    ("elsewhere", REJECT),
    ("unlisted", REJECT),
    ("silent", DEFER),
    ("outdated", DEFER),
    ("forged", DEFER),
    // Its list is to be had at a place where nobody answers.
    ("distant", DEFER),
];

/// An attempt to hand over a letter.
struct Attempt {
    port: u16,
    ca_file: PathBuf,
    certificate: Option<Certificate>,
    /// Options of `openssl s_client`.
    options: Vec<String>,
    from: String,
    to: String,
    letter: Letter,
}

impl Attempt {
    fn new(world: &TrustWorld, case: &str, options: &[&str]) -> Self {
        let from = format!("a@{case}.example");
        Self {
            port: world.operator.ports["smtp"],
            ca_file: world.ca_file(),
            certificate: Some(world.certificate(case).clone()),
            options: options.iter().map(ToString::to_string).collect(),
            to: world.mailbox.address.clone(),
            letter: Letter::new(&format!("{case}{}", options.concat()), b"Bonjour\r\n").by(&from),
            from,
        }
    }

    /// Goes as far as it is let, past refusals too.
    fn make(&self) -> Verdict {
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        let mut client =
            OpensslClient::connect(self.port, &self.ca_file, self.certificate.as_ref(), &options);
        let mut replies = Vec::new();
        for line in [
            "EHLO peer.example",
            &format!("MAIL FROM:<{}>", self.from),
            &format!("RCPT TO:<{}>", self.to),
            "DATA",
        ] {
            let Some(reply) = client.ask(line) else {
                let errors = client.end();
                assert_eq!(replies, Vec::<String>::new(), "the connection ended:\n{errors}");
                return Alert(alert(&errors).unwrap_or_else(|| panic!("no alert:\n{errors}")));
            };
            replies.push(reply);
        }
        let verdict = if replies[1].starts_with("250") {
            assert!(replies[3].starts_with("354"), "{replies:?}");
            client.send(&self.letter.content).unwrap();
            let last = client.ask(".").unwrap_or_default();
            assert!(last.starts_with("250 2.0.0"), "{last}");
            Accepted
        } else {
            assert!(replies[2..].iter().all(|reply| reply.starts_with('5')), "{replies:?}");
            Refused(known(&replies[1]))
        };
        client.end();
        verdict
    }
}

/// The refusals that there are.
fn known(reply: &str) -> &'static str {
    let beginnings = ["550 5.7.1", "451 4.7.0", "530 5.7.0"];
    beginnings.into_iter().find(|known| reply.starts_with(known)).unwrap_or_else(|| panic!("{reply}"))
}

/// Makes the attempts a few at a time; what came of each, in order.
fn make_all(attempts: Vec<Attempt>) -> Vec<(Attempt, Verdict)> {
    let mut done = Vec::new();
    let mut left = attempts.into_iter().peekable();
    while left.peek().is_some() {
        let some: Vec<_> =
            left.by_ref().take(8).map(|attempt| thread::spawn(move || (attempt.make(), attempt))).collect();
        done.extend(some.into_iter().map(|thread| {
            let (verdict, attempt) = thread.join().unwrap();
            (attempt, verdict)
        }));
    }
    done
}

/// Exactly the letters that were accepted are in the mailbox, once each.
async fn mailbox_holds(world: &TrustWorld, done: &[(Attempt, Verdict)]) {
    let mut imap = world.operator.imap(&world.mailbox).await;
    let held = imap.messages("INBOX").await;
    let with = |marker: &str| {
        held.iter().filter(|content| String::from_utf8_lossy(content).contains(marker)).count()
    };
    for (attempt, verdict) in done {
        assert_eq!(
            with(&attempt.letter.marker),
            usize::from(*verdict == Accepted),
            "letters of {}",
            attempt.from
        );
    }
    let accepted = done.iter().filter(|(_, verdict)| *verdict == Accepted).count();
    assert_eq!(held.len(), accepted, "letters that nobody sent");
}

#[tokio::test]
async fn every_certificate_gets_its_verdict_in_both_versions_of_tls() {
    let world = TrustWorld::start_with_crowd(CROWD);
    let rows: Vec<_> =
        CASES.iter().flat_map(|(case, verdict)| VERSIONS.map(|version| (*case, version, *verdict))).collect();
    let attempts = rows.iter().map(|(case, version, _)| Attempt::new(&world, case, &[version])).collect();
    let done = make_all(attempts);
    let wrong: Vec<_> = rows
        .iter()
        .zip(&done)
        .filter(|((_, _, expected), (_, verdict))| verdict != expected)
        .map(|((case, version, expected), (_, verdict))| {
            format!("{case} {version}: expected {expected:?}, got {verdict:?}")
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    mailbox_holds(&world, &done).await;
}

/// The verdict about one attempt of a case.
fn attempt(world: &TrustWorld, case: &str, options: &[&str]) -> Verdict {
    Attempt::new(world, case, options).make()
}

#[tokio::test]
async fn who_shows_no_certificate_or_speaks_in_clear_is_refused_whatever_the_sender() {
    let world = TrustWorld::start();
    let mut attempts = Vec::new();
    for version in VERSIONS {
        for from in ["a@valid.example", "a@nowhere.example", ""] {
            attempts.push(Attempt {
                certificate: None,
                from: from.to_owned(),
                ..Attempt::new(&world, "valid", &[version])
            });
        }
        // A certificate that is listed for no domain does not open the door to notifications either.
        attempts.push(Attempt { from: String::new(), ..Attempt::new(&world, "unlisted", &[version]) });
    }
    let done = make_all(attempts);
    assert!(done.iter().all(|(_, verdict)| *verdict == REJECT), "{:?}", verdicts(&done));
    let mut wire = Wire::connect(world.operator.ports["smtp"]).await;
    wire.expect("220").await;
    let greeted = wire.ask("EHLO peer.example", "250").await;
    assert!(greeted.lines.iter().any(|line| line == "STARTTLS"), "{wire:?}");
    wire.ask("MAIL FROM:<a@valid.example>", "530 5.7.0").await;
    wire.ask(&format!("RCPT TO:<{}>", world.mailbox.address), "530 5.7.0").await;
    wire.ask("DATA", "530 5.7.0").await;
    let null = Attempt { from: String::new(), ..Attempt::new(&world, "valid", &[]) };
    let done = make_all(vec![null]);
    assert_eq!(verdicts(&done), [Accepted], "a notification by a listed operator");
    mailbox_holds(&world, &done).await;
}

fn verdicts(done: &[(Attempt, Verdict)]) -> Vec<Verdict> {
    done.iter().map(|(_, verdict)| *verdict).collect()
}

#[tokio::test]
async fn lists_that_are_put_in_the_place_of_a_good_one_never_make_a_revocation_forgotten() {
    let mut world = TrustWorld::start();
    let place = "trust/crl/good.pem";
    let in_force = std::fs::read_to_string(world.operator.file(place)).unwrap();
    let forged = world.twin.1.list(&[], 99);
    let older = world.good.list_between(&[], 3, -9, 30);
    let half = in_force[..in_force.len() / 2].to_owned();
    for (what, list) in [("forged", forged.as_str()), ("cut off", half.as_str()), ("empty", "")] {
        world.replace(place, list);
        world.reload();
        assert_eq!(attempt(&world, "revoked", &[]), Alert(CERTIFICATE_REVOKED), "{what}");
        assert_eq!(attempt(&world, "valid", &[]), Accepted, "{what}: the last good list goes on");
    }
    world.replace(place, &older);
    world.reload();
    assert_eq!(attempt(&world, "revoked", &[]), Alert(CERTIFICATE_REVOKED), "older");
    world.replace(place, &world.good.list_between(&[&world.revoked[0]], 8, -9, -1));
    world.reload();
    assert_eq!(attempt(&world, "revoked", &[]), Alert(CERTIFICATE_REVOKED), "past its date");
    world.replace(place, &world.good.list_between(&[], 9, 0, 30));
    world.reload();
    assert_eq!(attempt(&world, "revoked", &[]), Accepted, "a newer list gives the certificate back");
}

#[tokio::test]
async fn a_session_is_not_resumed_past_a_revocation() {
    let mut world = TrustWorld::start();
    let folder = tempfile::TempDir::new().unwrap();
    let kept = VERSIONS.map(|version| (version, folder.path().join(version).to_str().unwrap().to_owned()));
    for (version, file) in &kept {
        assert_eq!(attempt(&world, "valid", &[version, "-sess_out", file]), Accepted, "{version}");
    }
    let list = world.good.list_between(&[world.certificate("valid")], 8, 0, 30);
    world.replace("trust/crl/good.pem", &list);
    world.reload();
    for (version, file) in &kept {
        // TLS 1.2 leaves an empty session identifier, so openssl writes no session that could be offered again.
        let offered = std::fs::metadata(file).is_ok_and(|session| session.len() > 0);
        let options = if offered { vec![*version, "-sess_in", file.as_str()] } else { vec![*version] };
        assert_eq!(
            attempt(&world, "valid", &options),
            Alert(CERTIFICATE_REVOKED),
            "{version}, offered: {offered}"
        );
    }
}

/// Within which an open session hears that it has ended.
const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn open_sessions_end_soon_after_the_revocation_of_their_certificate() {
    let mut world = TrustWorld::start();
    let (certificate, pem) = (world.certificate("client-only").clone(), world.operator.file("robot.pem"));
    std::fs::write(&pem, &certificate.chain_pem).unwrap();
    let operator = &world.operator;
    operator.cli(&["application", "create", "robot"]).ok();
    operator.cli(&["application", "certificate", "add", "robot", "--pem", pem.to_str().unwrap()]).ok();
    operator.cli(&["mailbox", "create", "robot@ville.example", "--kind", "applicative"]).ok();
    operator.cli(&["application", "grant", "robot", "robot@ville.example"]).ok();
    let mut sessions = Vec::new();
    for version in VERSIONS {
        let (ca_file, options) = (world.ca_file(), [version]);
        let mut imap =
            OpensslClient::implicit(operator.ports["imaps"], &ca_file, Some(&certificate), &options);
        for (line, beginning) in
            [("a AUTHENTICATE EXTERNAL =", "a OK"), ("b SELECT INBOX", "b OK"), ("c IDLE", "+ ")]
        {
            imap.until(line, beginning).unwrap_or_else(|| panic!("{version}: the session ended at {line}"));
        }
        let mut smtp = OpensslClient::connect(operator.ports["smtp"], &ca_file, Some(&certificate), &options);
        assert!(smtp.ask("EHLO peer.example").unwrap().starts_with("250"), "{version}");
        assert!(smtp.ask("MAIL FROM:<a@client-only.example>").unwrap().starts_with("250"), "{version}");
        sessions.extend([("* BYE", imap), ("421 4.7.0", smtp)]);
    }
    let list = world.good.list_between(&[&certificate], 8, 0, 30);
    world.replace("trust/crl/good.pem", &list);
    world.reload();
    let begin = Instant::now();
    for (farewell, mut session) in sessions {
        let heard = session.line().unwrap_or_default();
        assert!(heard.starts_with(farewell), "{farewell}: {heard}");
        assert_eq!(session.line(), None, "it goes on after {heard}");
        session.end();
    }
    assert!(begin.elapsed() < SOON, "they ended after {:?}", begin.elapsed());
}

#[tokio::test]
async fn old_versions_and_weak_suites_get_no_handshake() {
    let world = TrustWorld::start();
    let weakest = "ALL:@SECLEVEL=0";
    for options in [
        ["-tls1", "-cipher", weakest],
        ["-tls1_1", "-cipher", weakest],
        ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA384:@SECLEVEL=0"],
        ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"],
        ["-tls1_2", "-cipher", "AES256-GCM-SHA384:@SECLEVEL=0"],
        ["-tls1_2", "-cipher", "DHE-RSA-AES256-GCM-SHA384:@SECLEVEL=0"],
        ["-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"],
    ] {
        let verdict = attempt(&world, "valid", &options);
        assert!(matches!(verdict, Alert(HANDSHAKE_FAILURE | PROTOCOL_VERSION)), "{options:?}: {verdict:?}");
    }
    for suite in ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"] {
        assert_eq!(attempt(&world, "valid", &["-tls1_2", "-cipher", suite]), Accepted, "{suite}");
    }
}

/// STARTTLS with commands behind it in the same octets; then, under TLS, what is answered to a command of our own.
const INJECTOR: &str = "
import socket, ssl, sys
port, ca, cert, key = sys.argv[1:]
clear = socket.create_connection(('127.0.0.1', int(port)), 20)
said = clear.recv(4096)
clear.sendall(b'EHLO peer.example\\r\\n')
while b'250 ' not in said: said += clear.recv(4096)
clear.sendall(b'STARTTLS\\r\\nEHLO peer.example\\r\\nMAIL FROM:<a@valid.example>\\r\\nRCPT TO:<a@ville.example>\\r\\n')
said = b''
while not said.endswith(b'\\r\\n'): said += clear.recv(4096)
assert said.startswith(b'220 '), said
context = ssl.create_default_context(cafile=ca)
context.load_cert_chain(cert, key)
secret = context.wrap_socket(clear, server_hostname='localhost')
secret.sendall(b'DATA\\r\\nQUIT\\r\\n')
said = b''
while True:
    more = secret.recv(4096)
    if not more: break
    said += more
print(said.decode(), end='')
";

#[tokio::test]
async fn commands_sent_in_clear_behind_starttls_are_not_heard_under_tls() {
    let world = TrustWorld::start();
    let (cert, key) = (world.operator.file("peer.pem"), world.operator.file("peer.key"));
    std::fs::write(&cert, &world.certificate("valid").chain_pem).unwrap();
    std::fs::write(&key, &world.certificate("valid").key_pem).unwrap();
    let done = Command::new("python3")
        .args(["-c", INJECTOR, &world.operator.ports["smtp"].to_string()])
        .args([world.ca_file(), cert, key])
        .output()
        .unwrap();
    let heard = String::from_utf8_lossy(&done.stdout);
    let codes: Vec<&str> = heard.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(codes, ["503", "221"], "{heard}{}", String::from_utf8_lossy(&done.stderr));
}
