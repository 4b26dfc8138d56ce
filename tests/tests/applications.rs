//! Applications log in with their certificate (SASL EXTERNAL), on submission and IMAP, for as long as it is worth something.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use scenarios::{Certificate, ClientTls, Demo, Imap, Site, Wire, noise_letter, now, until};
use std::time::{Duration, Instant};

const DAY_SECS: i64 = 86_400;
/// Within which an open session hears that it has ended.
const SOON: Duration = Duration::from_secs(5);

/// An application of a scenario's own at chu-nord, with its mailboxes.
struct App {
    name: &'static str,
    certificate: Certificate,
    mailboxes: Vec<String>,
    tls: ClientTls,
    /// The rule by which it logs in.
    rule: String,
}

impl App {
    fn new(demo: &Demo, name: &'static str, mailboxes: &[&str]) -> Self {
        let site = demo.north();
        let mailboxes: Vec<String> =
            mailboxes.iter().map(|mailbox| format!("{mailbox}@{}", site.domain)).collect();
        let certificate = Certificate::issue_application(&demo.authority(), name, &mailboxes[0]);
        Self::with(demo, name, mailboxes, certificate)
    }

    fn with(demo: &Demo, name: &'static str, mailboxes: Vec<String>, certificate: Certificate) -> Self {
        let site = demo.north();
        site.cli(&["application", "create", name]).ok();
        let rule = add_certificate(site, name, &certificate, &[]);
        for mailbox in &mailboxes {
            site.cli(&["mailbox", "create", mailbox, "--kind", "applicative"]).ok();
            site.cli(&["application", "grant", name, mailbox]).ok();
        }
        let tls = demo.client(&certificate);
        Self { name, certificate, mailboxes, tls, rule }
    }

    fn mailbox(&self) -> &str {
        &self.mailboxes[0]
    }

    async fn imap(&self, demo: &Demo) -> Imap {
        let mut imap = Imap::connect(demo.north().ports["imaps"], &self.tls).await;
        imap.ok(&format!("AUTHENTICATE EXTERNAL {}", encoded(self.mailbox()))).await;
        imap
    }

    /// A connection to the submissions port, greeted.
    async fn greeted(&self, demo: &Demo) -> Wire {
        greeted(demo, &self.tls).await
    }

    async fn submission(&self, demo: &Demo) -> Wire {
        let mut wire = self.greeted(demo).await;
        wire.ask(&format!("AUTH EXTERNAL {}", encoded(self.mailbox())), "235 2.7.0").await;
        wire
    }
}

/// Adds a certificate to an application; the number of the rule.
fn add_certificate(site: &Site, name: &str, certificate: &Certificate, more: &[&str]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &certificate.chain_pem).unwrap();
    let pem = file.path().to_str().unwrap();
    let arguments = ["application", "certificate", "add", name, "--pem", pem, "--json"];
    let added = site.cli(&[&arguments, more].concat()).json();
    added["rule"].to_string()
}

fn encoded(identity: &str) -> String {
    BASE64.encode(identity)
}

async fn greeted(demo: &Demo, tls: &ClientTls) -> Wire {
    let mut wire = Wire::implicit(demo.north().ports["submissions"], tls).await;
    wire.expect("220").await;
    wire.ask("EHLO app.example", "250").await;
    wire
}

/// Idles until `change`, and hears within five seconds that the session ended.
async fn is_cut_off_while_idle(mut imap: Imap, change: impl FnOnce(), beginning: &str) {
    imap.ok("SELECT INBOX").await;
    imap.idle().await;
    change();
    let begin = Instant::now();
    imap.until_line(beginning).await;
    imap.expect_closed().await;
    assert!(begin.elapsed() < SOON, "cut off after {:?}", begin.elapsed());
}

/// Waits between commands until `change`, and hears within five seconds that the session ended.
async fn is_cut_off_between_commands(mut wire: Wire, change: impl FnOnce()) {
    change();
    let begin = Instant::now();
    wire.expect("421 4.7.0").await;
    wire.expect_closed().await;
    assert!(begin.elapsed() < SOON, "cut off after {:?}", begin.elapsed());
}

#[tokio::test]
async fn imap_takes_external_in_every_form_that_clients_send() {
    let demo = Demo::shared();
    let app = App::new(&demo, "forms-imap", &["forms.imap"]);
    for (command, answer) in [
        ("AUTHENTICATE EXTERNAL =", None),
        (&*format!("AUTHENTICATE EXTERNAL {}", encoded(app.mailbox())), None),
        (&format!("authenticate external {}", encoded(&app.mailbox().to_uppercase())), None),
        ("AUTHENTICATE EXTERNAL", Some("")),
        ("AUTHENTICATE EXTERNAL", Some("=")),
        ("AUTHENTICATE EXTERNAL", Some(&*encoded(app.mailbox()))),
    ] {
        let mut wire = Wire::implicit(demo.north().ports["imaps"], &app.tls).await;
        let greeting = wire.line().await;
        assert!(greeting.contains("AUTH=PLAIN AUTH=EXTERNAL"), "{greeting}");
        wire.send(&format!("a {command}")).await;
        if let Some(answer) = answer {
            assert_eq!(wire.line().await.trim_end(), "+", "{command}");
            wire.send(answer).await;
        }
        let said = wire.line().await;
        assert!(
            said.starts_with("a OK [CAPABILITY") && !said.contains("AUTH="),
            "{command} {answer:?}: {said}"
        );
        wire.send("b STATUS INBOX (MESSAGES)").await;
        wire.until("b OK").await;
    }
}

#[tokio::test]
async fn imap_refuses_what_is_no_identity_and_goes_on() {
    let demo = Demo::shared();
    let app = App::new(&demo, "malformed-imap", &["malformed.imap"]);
    let mut wire = Wire::implicit(demo.north().ports["imaps"], &app.tls).await;
    wire.line().await;
    let long = BASE64.encode([b'a'; 321]);
    for (command, answer, said) in [
        ("a AUTHENTICATE EXTERNAL", Some("*"), "a BAD Authentication cancelled"),
        ("a AUTHENTICATE EXTERNAL", Some("%%%"), "a BAD Invalid base64"),
        ("a AUTHENTICATE EXTERNAL", Some("//79"), "a BAD Invalid authorization identity"),
        ("a AUTHENTICATE EXTERNAL YQBi", None, "a BAD Invalid authorization identity"),
        (&*format!("a AUTHENTICATE EXTERNAL {long}"), None, "a BAD Invalid authorization identity"),
        ("a AUTHENTICATE EXTERNAL *", None, "a BAD"),
    ] {
        wire.send(command).await;
        if let Some(answer) = answer {
            assert_eq!(wire.line().await.trim_end(), "+");
            wire.send(answer).await;
        }
        let line = wire.line().await;
        assert!(line.starts_with(said), "{command} {answer:?}: {line}");
    }
    wire.send("a AUTHENTICATE EXTERNAL =").await;
    wire.until("a OK").await;
}

#[tokio::test]
async fn submission_takes_external_and_the_letter_is_the_mailbox_s() {
    let demo = Demo::shared();
    let app = App::new(&demo, "forms-smtp", &["forms.smtp"]);
    let reader = demo.north().new_mailbox("forms.reader", "1G");
    for (nth, (command, answer)) in [
        ("AUTH EXTERNAL =".to_owned(), None),
        (format!("AUTH EXTERNAL {}", encoded(app.mailbox())), None),
        ("AUTH EXTERNAL".to_owned(), Some(String::new())),
        ("AUTH EXTERNAL".to_owned(), Some("=".to_owned())),
        ("AUTH EXTERNAL".to_owned(), Some(encoded(app.mailbox()))),
    ]
    .into_iter()
    .enumerate()
    {
        let mut wire = app.greeted(&demo).await;
        if let Some(answer) = answer {
            assert_eq!(wire.ask(&command, "334").await.lines, [""]);
            wire.ask(&answer, "235 2.7.0").await;
        } else {
            wire.ask(&command, "235 2.7.0").await;
        }
        let content = format!("From: <{}>\r\nSubject: form {nth}.\r\n\r\nbody\r\n", app.mailbox());
        let reply = wire.letter(app.mailbox(), &[&reader.address], content.as_bytes()).await;
        assert_eq!(reply.code, 250, "{wire:?}");
        Imap::login(&demo, demo.north(), &reader).await.letter(&format!("form {nth}.")).await;
        // Nobody else's address: neither in the envelope nor in the message.
        wire.ask(&format!("MAIL FROM:<{}>", reader.address), "550 5.7.1").await;
        let forged = format!("From: <{}>\r\nSubject: forged\r\n\r\nbody\r\n", reader.address);
        let reply = wire.letter(app.mailbox(), &[&reader.address], forged.as_bytes()).await;
        assert_eq!(reply.code, 550, "{wire:?}");
    }
    let mut wire = app.greeted(&demo).await;
    wire.ask("AUTH EXTERNAL", "334").await;
    wire.ask("*", "501 5.7.0").await;
    wire.ask("AUTH EXTERNAL YQBi", "501 5.5.2").await;
    wire.ask("AUTH EXTERNAL %%%", "501 5.5.2").await;
}

#[tokio::test]
async fn external_is_offered_after_starttls_too_and_never_in_clear() {
    let demo = Demo::shared();
    let app = App::new(&demo, "starttls", &["starttls"]);
    let mut wire = Wire::connect(demo.north().ports["submission"]).await;
    wire.expect("220").await;
    wire.starttls(&app.tls).await.unwrap();
    let reply = wire.ask("EHLO app.example", "250").await;
    assert!(reply.lines.contains(&"AUTH PLAIN LOGIN EXTERNAL".to_owned()), "{wire:?}");
    wire.ask("AUTH EXTERNAL =", "235 2.7.0").await;
    let mut wire = Wire::connect(demo.north().ports["imap"]).await;
    assert!(!wire.line().await.contains("AUTH="));
    wire.send("a AUTHENTICATE EXTERNAL =").await;
    assert!(wire.line().await.starts_with("a NO [PRIVACYREQUIRED]"), "{wire:?}");
    wire.send("b STARTTLS").await;
    wire.until("b OK").await;
    wire.handshake(&app.tls).await.unwrap();
    wire.send("c CAPABILITY").await;
    assert!(wire.until("c OK").await[0].contains("AUTH=EXTERNAL"), "{wire:?}");
    wire.send("d AUTHENTICATE EXTERNAL =").await;
    wire.until("d OK").await;
}

#[tokio::test]
async fn without_a_certificate_external_is_neither_offered_nor_taken() {
    let demo = Demo::shared();
    let mut wire = greeted(&demo, &demo.anonymous()).await;
    let reply = wire.ask("EHLO app.example", "250").await;
    assert!(reply.lines.contains(&"AUTH PLAIN LOGIN".to_owned()), "{wire:?}");
    for command in ["AUTH EXTERNAL =", "AUTH EXTERNAL", "AUTH EXTERNAL bGFib0B4"] {
        let reply = wire.ask(command, "535 5.7.8").await;
        assert!(reply.text().contains("certificate"), "{wire:?}");
    }
    let mut wire = Wire::implicit(demo.north().ports["imaps"], &demo.anonymous()).await;
    assert!(!wire.line().await.contains("EXTERNAL"));
    for command in ["AUTHENTICATE EXTERNAL", "AUTHENTICATE EXTERNAL ="] {
        wire.send(&format!("a {command}")).await;
        let said = wire.line().await;
        assert!(said.starts_with("a NO [AUTHENTICATIONFAILED]") && said.contains("certificate"), "{said}");
    }
}

#[tokio::test]
async fn the_certificate_of_a_stranger_opens_nothing_whatever_it_names() {
    let demo = Demo::shared();
    let app = App::new(&demo, "known", &["known"]);
    // Good and of the same authority, with the subject and mail name of the known one: the rule is by serial number.
    let stranger = Certificate::issue_application(&demo.authority(), app.name, app.mailbox());
    for identity in ["=".to_owned(), encoded(app.mailbox()), encoded(&demo.north().personal(0).address)] {
        let mut wire = greeted(&demo, &demo.client(&stranger)).await;
        wire.ask(&format!("AUTH EXTERNAL {identity}"), "535 5.7.8").await;
        wire.ask("MAIL FROM:<>", "530 5.7.0").await;
        let mut imap = Imap::connect(demo.north().ports["imaps"], &demo.client(&stranger)).await;
        let said = imap.command(&format!("AUTHENTICATE EXTERNAL {identity}")).await.status;
        assert!(said.starts_with("NO [AUTHENTICATIONFAILED]"), "{said}");
    }
    // The known one opens what is its own and nothing else.
    for other in [&*demo.north().personal(0).address, "nobody@chu-nord.mssante.test", "anonymous", "known"] {
        let mut wire = app.greeted(&demo).await;
        wire.ask(&format!("AUTH EXTERNAL {}", encoded(other)), "535 5.7.8").await;
    }
}

#[tokio::test]
async fn a_bad_certificate_gets_no_session() {
    let demo = Demo::shared();
    let foreign = pki::development::DevelopmentPki::generate(now()).unwrap();
    let forged = Certificate::issue_application(&foreign, "forged", "labo@chu-nord.mssante.test");
    let expired =
        Certificate::issue(&demo.authority(), "expired.example", now().plus_secs(-4 * 365 * DAY_SECS));
    for certificate in [forged, expired] {
        for port in ["imaps", "submissions"] {
            let port = demo.north().ports[port];
            let cause = Wire::implicit_is_refused(port, &demo.client(&certificate)).await;
            assert!(cause.contains("alert") || cause == "closed", "{port}: {cause}");
        }
    }
}

#[tokio::test]
async fn with_several_mailboxes_the_client_names_one() {
    let demo = Demo::shared();
    let application =
        demo.north().applications.iter().find(|application| application.mailboxes.len() > 1).unwrap();
    let tls = demo.client(&application.certificate());
    let mut wire = greeted(&demo, &tls).await;
    let reply = wire.ask("AUTH EXTERNAL =", "535 5.7.8").await;
    assert!(reply.text().contains("several mailboxes"), "{wire:?}");
    for mailbox in &application.mailboxes {
        let mut wire = greeted(&demo, &tls).await;
        wire.ask(&format!("AUTH EXTERNAL {}", encoded(mailbox)), "235 2.7.0").await;
        // It may write in all of them, and sends for each; for nobody else.
        for other in &application.mailboxes {
            wire.ask(&format!("MAIL FROM:<{other}>"), "250 2.1.0").await;
            wire.ask("RSET", "250").await;
        }
        let stranger = &demo.north().personal(0).address;
        wire.ask(&format!("MAIL FROM:<{stranger}>"), "550 5.7.1").await;
        let mut imap = Imap::connect(demo.north().ports["imaps"], &tls).await;
        imap.ok(&format!("AUTHENTICATE EXTERNAL {}", encoded(mailbox))).await;
        imap.ok(&format!("CREATE {}", mailbox.split('@').next().unwrap())).await;
    }
    for mailbox in &application.mailboxes {
        let mut imap = Imap::connect(demo.north().ports["imaps"], &tls).await;
        imap.ok(&format!("AUTHENTICATE EXTERNAL {}", encoded(mailbox))).await;
        let folders = imap.ok("LIST \"\" imagerie*").await.text();
        assert_eq!(folders.lines().count(), 1, "{folders}");
        assert!(folders.contains(mailbox.split('@').next().unwrap()), "{folders}");
    }
}

#[tokio::test]
async fn a_password_beside_a_certificate_is_the_user_s_own_identity() {
    let demo = Demo::shared();
    let app = App::new(&demo, "beside", &["beside"]);
    let user = demo.north().new_mailbox("beside.user", "1G");
    let mut wire = Wire::login(demo.north().ports["submissions"], &app.tls, &user).await;
    wire.ask(&format!("MAIL FROM:<{}>", app.mailbox()), "550 5.7.1").await;
    wire.ask(&format!("MAIL FROM:<{}>", user.address), "250 2.1.0").await;
    let mut imap = Imap::connect(demo.north().ports["imaps"], &app.tls).await;
    imap.ok(&format!("LOGIN {} {}", user.address, user.password.as_deref().unwrap())).await;
    imap.ok("SELECT INBOX").await;
    // The rule is the application's; the user's session does not rest on it.
    imap.idle().await;
    demo.north().cli(&["application", "certificate", "remove", app.name, &app.rule]).ok();
    let mut gone = Imap::connect(demo.north().ports["imaps"], &app.tls).await;
    until("the rule is gone", async || {
        gone.command("AUTHENTICATE EXTERNAL =").await.status.starts_with("NO").then_some(())
    })
    .await;
    imap.done().await;
    imap.ok("NOOP").await;
}

#[tokio::test]
async fn a_rule_by_key_by_subject_and_by_name_lets_in_what_it_names() {
    let demo = Demo::shared();
    let site = demo.north();
    let app = App::new(&demo, "ways", &["ways"]);
    for by in ["pin", "subject", "san"] {
        let rules = site.cli(&["application", "show", app.name, "--json"]).json();
        for rule in rules["certificates"].as_array().unwrap() {
            site.cli(&["application", "certificate", "remove", app.name, &rule["rule"].to_string()]).ok();
        }
        let mut wire = app.greeted(&demo).await;
        wire.ask("AUTH EXTERNAL =", "535 5.7.8").await;
        add_certificate(site, app.name, &app.certificate, &["--by", by]);
        wire.ask("AUTH EXTERNAL =", "235 2.7.0").await;
    }
    let shown = site.cli(&["application", "show", app.name]).ok();
    assert!(shown.contains("email:ways@chu-nord.mssante.test") && shown.contains("(manage)"), "{shown}");
    let listed = site.cli(&["application", "list", "--json"]).json();
    assert!(
        listed.as_array().unwrap().iter().any(|row| row["name"] == "ways" && row["certificates"] == 1),
        "{listed}"
    );
}

#[tokio::test]
async fn a_certificate_that_two_applications_claim_lets_nobody_in() {
    let demo = Demo::shared();
    let site = demo.north();
    let app = App::new(&demo, "first-claim", &["first.claim"]);
    site.cli(&["application", "create", "second-claim"]).ok();
    // The same certificate is refused; another one of the same name, by the name, is not seen to be a claim on it.
    let twin = Certificate::issue_application(&demo.authority(), app.name, app.mailbox());
    let rule = add_certificate(site, "second-claim", &twin, &["--by", "subject"]);
    app.greeted(&demo).await.ask("AUTH EXTERNAL =", "535 5.7.8").await;
    assert!(demo.log().contains("matches rules of two applications"));
    site.cli(&["application", "certificate", "remove", "second-claim", &rule]).ok();
    app.greeted(&demo).await.ask("AUTH EXTERNAL =", "235 2.7.0").await;
}

#[tokio::test]
async fn a_removed_rule_cuts_sessions_off_while_they_idle_and_between_commands() {
    let demo = Demo::shared();
    let site = demo.north();
    let app = App::new(&demo, "ruled", &["ruled"]);
    let (imap, mut waiting) = (app.imap(&demo).await, app.imap(&demo).await);
    let wire = app.submission(&demo).await;
    let remove = || drop(site.cli(&["application", "certificate", "remove", app.name, &app.rule]).ok());
    is_cut_off_while_idle(imap, remove, "* BYE").await;
    is_cut_off_between_commands(wire, || {}).await;
    waiting.until_line("* BYE").await;
    waiting.expect_closed().await;
    app.greeted(&demo).await.ask("AUTH EXTERNAL =", "535 5.7.8").await;
}

#[tokio::test]
async fn a_removed_grant_and_a_deleted_application_cut_sessions_off() {
    let demo = Demo::shared();
    let site = demo.north();
    let app = App::new(&demo, "granted", &["granted.a", "granted.b"]);
    let other = {
        let mut imap = Imap::connect(site.ports["imaps"], &app.tls).await;
        imap.ok(&format!("AUTHENTICATE EXTERNAL {}", encoded(&app.mailboxes[1]))).await;
        imap
    };
    let (imap, wire) = (app.imap(&demo).await, app.submission(&demo).await);
    let revoke = || drop(site.cli(&["application", "revoke", app.name, app.mailbox()]).ok());
    is_cut_off_while_idle(imap, revoke, "* BYE").await;
    is_cut_off_between_commands(wire, || {}).await;
    // The other mailbox is still its own, until there is no application any more.
    let delete = || drop(site.cli(&["application", "delete", app.name]).ok());
    is_cut_off_while_idle(other, delete, "* BYE").await;
}

#[tokio::test]
async fn a_revoked_certificate_cuts_sessions_off_and_does_not_finish_a_message() {
    let demo = Demo::start();
    let app = App::new(&demo, "revoked", &["revoked"]);
    let (imap, wire) = (app.imap(&demo).await, app.submission(&demo).await);
    let mut fetching = app.imap(&demo).await;
    fetching.ok("SELECT INBOX").await;
    let mut sending = app.submission(&demo).await;
    sending.ask(&format!("MAIL FROM:<{}>", app.mailbox()), "250").await;
    sending.ask(&format!("RCPT TO:<{}>", demo.north().personal(0).address), "250").await;
    sending.ask("DATA", "354").await;
    sending.send(&format!("From: <{}>\r\nSubject: too late\r\n\r\nbody", app.mailbox())).await;
    let user = Imap::login(&demo, demo.north(), demo.north().personal(0)).await;
    let mut peer = Wire::mx(demo.north().ports["smtp"], &app.tls).await;
    demo.revoke(&[&app.certificate]);
    is_cut_off_while_idle(imap, || demo.reload(), "* BYE").await;
    is_cut_off_between_commands(wire, || {}).await;
    sending.ask(".", "421 4.7.0").await;
    sending.expect_closed().await;
    // On the MX too, a peer that is no longer accepted is not waited for.
    peer.expect("421 4.7.0").await;
    fetching.until_line("* BYE").await;
    fetching.expect_closed().await;
    let mut user = user;
    assert!(user.letters("too late").await.is_empty(), "a revoked application's message was accepted");
    user.ok("NOOP").await;
    Wire::implicit_is_refused(demo.north().ports["imaps"], &app.tls).await;
    for (outcome, reason) in [("accepted", "login"), ("ended", "revoked"), ("handshake_failed", "revoked")] {
        until(&format!("`{outcome}` for `{reason}` in the journal"), async || {
            let journal = demo.north().cli(&["journal", "--json", "--limit", "1000"]).json();
            let is_it = |row: &&serde_json::Value| {
                row["direction"] == "access" && row["outcome"] == outcome && row["reason"] == reason
            };
            journal.as_array()?.iter().find(is_it).map(drop)
        })
        .await;
    }
}

#[tokio::test]
async fn a_certificate_that_expires_cuts_its_session_off() {
    let demo = Demo::start();
    let expires_at = now().plus_secs(12);
    let issued_at = expires_at.plus_secs(-3 * 365 * DAY_SECS);
    let mailbox = format!("fleeting@{}", demo.north().domain);
    let certificate = Certificate::issue_application_at(&demo.authority(), "fleeting", &mailbox, issued_at);
    let app = App::with(&demo, "fleeting", vec![mailbox], certificate);
    let (mut imap, wire) = (app.imap(&demo).await, app.submission(&demo).await);
    imap.ok("SELECT INBOX").await;
    imap.idle().await;
    imap.until_line("* BYE").await;
    let ended_at = now().secs();
    assert!((expires_at.secs()..expires_at.secs() + 5).contains(&ended_at), "{ended_at:?}");
    is_cut_off_between_commands(wire, || {}).await;
    until("the certificate has expired", async || (now().secs() > expires_at.secs()).then_some(())).await;
    Wire::implicit_is_refused(demo.north().ports["imaps"], &app.tls).await;
}

#[tokio::test]
async fn a_removed_rule_ends_a_fetch_under_way() {
    const LETTERS: usize = 40;
    let demo = Demo::shared();
    let app = App::new(&demo, "fetching", &["fetching"]);
    let mut filling = app.imap(&demo).await;
    let content = noise_letter("fetching", 500_000);
    for _ in 0..LETTERS {
        assert!(filling.append("INBOX", &content).await.status.starts_with("OK"));
    }
    let mut wire = Wire::implicit(demo.north().ports["imaps"], &app.tls).await;
    wire.line().await;
    wire.send("a AUTHENTICATE EXTERNAL =").await;
    wire.until("a OK").await;
    wire.send("b EXAMINE INBOX").await;
    wire.until("b OK").await;
    // What is not read waits in the server: the answer does not fit into the buffers between.
    wire.send("c UID FETCH 1:* (BODY.PEEK[])").await;
    wire.until("* 1 FETCH").await;
    let remove =
        || drop(demo.north().cli(&["application", "certificate", "remove", app.name, &app.rule]).ok());
    is_cut_off_while_idle(filling, remove, "* BYE").await;
    let rest = wire.rest().await;
    let said = String::from_utf8_lossy(&rest);
    // Between two messages a goodbye can be said; within one the connection ends.
    assert!(!said.contains("\r\nc OK"), "the whole answer was given");
    assert!(said.matches(" FETCH (").count() < LETTERS - 1);
}

#[tokio::test]
async fn a_revoked_certificate_ends_a_search_under_way() {
    let demo = Demo::start();
    let app = App::new(&demo, "searching", &["searching"]);
    demo.north().cli(&["mailbox", "set-quota", app.mailbox(), "4G"]).ok();
    let mut imap = app.imap(&demo).await;
    // Too long for an extract: a search reads it anew each time.
    let letter =
        format!("Subject: long\r\n\r\n{}", "une ligne assez longue pour compter\r\n".repeat(120_000));
    assert!(imap.append("INBOX", letter.as_bytes()).await.status.starts_with("OK"));
    imap.ok("SELECT INBOX").await;
    for _ in 0..9 {
        imap.ok("COPY 1:* INBOX").await;
        imap.ok("NOOP").await;
    }
    imap.begin("long SEARCH BODY introuvable").await;
    demo.revoke(&[&app.certificate]);
    demo.reload();
    let begin = Instant::now();
    imap.until_line("* BYE").await;
    imap.expect_closed().await;
    assert!(begin.elapsed() < SOON, "cut off after {:?}", begin.elapsed());
}

#[tokio::test]
async fn a_doubt_about_revocation_ends_a_session_for_a_time_and_leaves_users_alone() {
    let demo = Demo::start();
    let app = App::new(&demo, "doubtful", &["doubtful"]);
    let (imap, wire) = (app.imap(&demo).await, app.submission(&demo).await);
    let mut user = Imap::login(&demo, demo.north(), demo.north().personal(0)).await;
    user.idle().await;
    // A list that replaces the one in force and is itself past its date cannot be had by a reload; a list that went away can.
    let goes = || {
        std::fs::remove_file(demo.pki.crl_dir.join("issuing.pem")).unwrap();
        demo.reload();
    };
    is_cut_off_while_idle(imap, goes, "* BYE [UNAVAILABLE]").await;
    is_cut_off_between_commands(wire, || {}).await;
    app.greeted(&demo).await.ask("AUTH EXTERNAL =", "454 4.7.0").await;
    let mut refused = Imap::connect(demo.north().ports["imaps"], &app.tls).await;
    let said = refused.command("AUTHENTICATE EXTERNAL =").await.status;
    assert!(said.starts_with("NO [UNAVAILABLE]"), "{said}");
    user.done().await;
    demo.revoke(&[]);
    demo.reload();
    app.greeted(&demo).await.ask("AUTH EXTERNAL =", "235 2.7.0").await;
}

#[tokio::test]
async fn a_password_that_was_replaced_ends_its_session_at_the_next_command() {
    let demo = Demo::shared();
    let user = demo.north().new_mailbox("replaced", "1G");
    let mut imap = Imap::login(&demo, demo.north(), &user).await;
    let mut wire = Wire::submission(&demo, demo.north(), &user).await;
    wire.ask(&format!("MAIL FROM:<{}>", user.address), "250").await;
    wire.ask("RSET", "250").await;
    let arguments = ["mailbox", "create", &user.address, "--kind", "personal", "--password-stdin"];
    demo.north().cli_with_input(&arguments, "another-battery-horse\n").ok();
    until("the session ends", async || {
        wire.send(&format!("MAIL FROM:<{}>", user.address)).await;
        let is_over = wire.reply().await.code == 421;
        if !is_over {
            wire.ask("RSET", "250").await;
        }
        is_over.then_some(())
    })
    .await;
    imap.is_dismissed("NOOP").await;
}

#[tokio::test]
async fn a_listener_that_requires_a_certificate_serves_nobody_without_one() {
    let mut operator = scenarios::Operator::init("ch.example");
    for name in ["submissions", "imaps"] {
        let port = operator.ports[name];
        let bind = format!("bind = \"127.0.0.1:{port}\"\n");
        operator.edit(&bind, &format!("{bind}client_certificates = \"require\"\n"));
    }
    operator.serve();
    let certificate = Certificate::issue_application(&operator.authority(), "labo", "labo@ch.example");
    let file = operator.file("labo.pem");
    std::fs::write(&file, &certificate.chain_pem).unwrap();
    operator.cli(&["mailbox", "create", "labo@ch.example", "--kind", "applicative"]).ok();
    operator.cli(&["application", "create", "labo"]).ok();
    operator.cli(&["application", "certificate", "add", "labo", "--pem", file.to_str().unwrap()]).ok();
    operator.cli(&["application", "grant", "labo", "labo@ch.example"]).ok();
    for port in ["submissions", "imaps"] {
        let cause = Wire::implicit_is_refused(operator.ports[port], &operator.anonymous()).await;
        assert!(cause.contains("alert") || cause == "closed", "{port}: {cause}");
    }
    let tls = ClientTls::with(&operator.ca_file(), &certificate);
    Imap::connect(operator.ports["imaps"], &tls).await.ok("AUTHENTICATE EXTERNAL =").await;
    // A listener that asks for none knows no EXTERNAL, whatever the client would show.
    let mut wire = Wire::connect(operator.ports["imap"]).await;
    wire.line().await;
    wire.send("a STARTTLS").await;
    wire.until("a OK").await;
    wire.handshake(&tls).await.unwrap();
    wire.send("b AUTHENTICATE EXTERNAL =").await;
    wire.until("b NO").await;
}

#[tokio::test]
async fn an_application_that_writes_its_own_mailbox_replaces_drafts_and_removes_nothing_else() {
    let demo = Demo::shared();
    let app = App::new(&demo, "writes-only", &["writes.only"]);
    demo.north().cli(&["application", "grant", app.name, app.mailbox(), "--role", "write"]).ok();
    let mut imap = app.imap(&demo).await;
    for (folder, rights) in [("INBOX", "lrswip"), ("Drafts", "lrswipted")] {
        let told = imap.ok(&format!("MYRIGHTS {folder}")).await.text();
        assert_eq!(told, format!("* MYRIGHTS \"{folder}\" \"{rights}\"\n"));
        imap.append(folder, b"Subject: resultat\r\n\r\ntexte\r\n").await;
        imap.ok(&format!("SELECT {folder}")).await;
        let removed = imap.command("STORE 1 +FLAGS (\\Deleted)").await.status.starts_with("OK")
            && imap.command("EXPUNGE").await.text().contains("* 1 EXPUNGE");
        assert_eq!(removed, folder == "Drafts", "{folder}");
    }
    assert!(imap.command("CREATE Tri").await.status.starts_with("NO [NOPERM]"));
}
