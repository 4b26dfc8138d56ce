//! Domains and certificates that an administrator suspends: everything waits, nothing is refused for good, and it takes effect at once.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{
    Certificate, ClientTls, FakeServer, Letter, Mailbox, Operator, Script, Wire, now, until, without_trace,
};
use serde_json::Value;

const DOMAIN: &str = "third.example";

/// An operator with two others: third.example, and one that brings mail in its name.
struct Site {
    operator: Operator,
    mailbox: Mailbox,
    server: FakeServer,
    third: ClientTls,
    fourth: ClientTls,
}

impl Site {
    async fn start() -> Self {
        let mut operator = Operator::init("ville.example");
        let issue = |domain| Certificate::issue(&operator.authority(), domain, now());
        let (third, fourth) = (issue(DOMAIN), issue("fourth.example"));
        let server = FakeServer::start(&third, Script::default()).await;
        operator.edit("[routes]\n", "[delivery]\nretry_first_secs = 1\nretry_max_secs = 2\n\n[routes]\n");
        let routes = format!("{DOMAIN} 127.0.0.1:{}\n", server.port);
        std::fs::write(operator.file("trust/routes.txt"), routes).unwrap();
        let list = format!("{DOMAIN};{}\nfourth.example;{}\n", third.subject, fourth.subject);
        std::fs::write(operator.file("trust/whitelist.txt"), list).unwrap();
        std::fs::write(operator.file("third.pem"), &third.chain_pem).unwrap();
        let mailbox = operator.new_mailbox("a");
        operator.serve();
        let tls = |certificate| ClientTls::with(&operator.ca_file(), certificate);
        let (third, fourth) = (tls(&third), tls(&fourth));
        Self { operator, mailbox, server, third, fourth }
    }

    async fn mx(&self, tls: &ClientTls) -> Wire {
        Wire::mx(self.operator.ports["smtp"], tls).await
    }

    /// The answer to MAIL on an open connection, which is reset.
    async fn answer(wire: &mut Wire, reverse_path: &str) -> String {
        wire.send(&format!("MAIL FROM:<{reverse_path}>")).await;
        let text = wire.reply().await.text();
        wire.ask("RSET", "250").await;
        text
    }

    async fn submission_answer(&self) -> String {
        let mut wire = self.operator.submission(&self.mailbox).await;
        wire.ask(&format!("MAIL FROM:<{}>", self.mailbox.address), "250").await;
        wire.send(&format!("RCPT TO:<x@{DOMAIN}>")).await;
        wire.reply().await.text()
    }

    async fn send(&self, letter: &Letter) {
        let letter = letter.clone().by(&self.mailbox.address);
        let mut wire = self.operator.submission(&self.mailbox).await;
        let reply = wire.letter(&self.mailbox.address, &[&format!("x@{DOMAIN}")], &letter.content).await;
        assert!(reply.text().starts_with("250"), "{wire:?}");
    }

    async fn waiting_for(&self, cause: &str) -> Value {
        until(&format!("an entry that waits for {cause}"), async || {
            let list = self.operator.cli(&["queue", "list", "--json"]).json();
            let is_it =
                |entry: &&Value| entry["lastReply"].as_str().is_some_and(|reply| reply.contains(cause));
            list.as_array().unwrap().iter().find(is_it).cloned()
        })
        .await
    }

    fn release(&self) {
        let list = self.operator.cli(&["trust", "overlay", "--json"]).json();
        let rulings = list.as_array().or_else(|| list["rulings"].as_array()).unwrap().clone();
        let id = rulings[0]["id"].to_string();
        self.operator.cli(&["trust", "release", &id]).ok();
    }
}

#[tokio::test]
async fn a_suspended_domain_waits_in_every_direction() {
    let site = Site::start().await;
    let mut open = site.mx(&site.third).await;
    assert!(Site::answer(&mut open, "x@third.example").await.starts_with("250"));
    site.operator.cli(&["trust", "quarantine", "domain", DOMAIN, "--reason", "incident"]).ok();
    // The connection that is open already hears of it too.
    until("the suspension", async || {
        Site::answer(&mut open, "x@third.example").await.starts_with("451 4.7.0").then_some(())
    })
    .await;
    assert!(Site::answer(&mut open, "").await.starts_with("451 4.7.0"), "it speaks for no other domain");
    assert!(site.submission_answer().await.starts_with("450 4.7.1"));
    // Somebody else's message in its name is in doubt.
    let content = b"From: x@third.example\r\nMessage-ID: <doute@scenario.example>\r\n\r\ndoute\r\n";
    let mut fourth = site.mx(&site.fourth).await;
    let reply = fourth.letter("y@fourth.example", &[&site.mailbox.address], content).await;
    assert!(reply.text().starts_with("250"), "{fourth:?}");
    let stored = site.operator.imap(&site.mailbox).await.letter("doute@").await;
    assert_eq!(without_trace(&stored).1, content);
    let text = String::from_utf8(stored).unwrap();
    assert!(text.contains("X-Vaguemestre-From: doubtful;\r\n\tdomain=third.example\r\n"), "{text}");
    site.release();
    until("the release", async || {
        Site::answer(&mut open, "x@third.example").await.starts_with("250").then_some(())
    })
    .await;
    until("submission is open again", async || {
        site.submission_answer().await.starts_with("250").then_some(())
    })
    .await;
    site.send(&Letter::new("libre", b"a\r\n")).await;
    until("the letter arrives", async || (!site.server.received().is_empty()).then_some(())).await;
}

#[tokio::test]
async fn mail_that_was_queued_for_a_suspended_domain_waits_and_nobody_is_connected_to() {
    let site = Site::start().await;
    site.server.follow(Script { greeting: Some("421 4.3.2 Not now".into()), ..Script::default() });
    site.send(&Letter::new("attente", b"a\r\n")).await;
    site.waiting_for("421").await;
    site.operator.cli(&["trust", "quarantine", "domain", DOMAIN, "--reason", "incident"]).ok();
    let entry = site.waiting_for("suspended").await;
    assert_eq!(entry["state"], "deferred", "{entry}");
    assert!(entry["lastReply"].as_str().unwrap().starts_with("450 4.7.1"), "{entry}");
    site.server.follow(Script::default());
    assert!(!site.server.heard("EHLO"), "{:?}", site.server.commands());
    site.release();
    until("the letter arrives", async || (!site.server.received().is_empty()).then_some(())).await;
}

#[tokio::test]
async fn a_suspended_certificate_is_asked_to_come_again_and_hears_of_no_message() {
    let site = Site::start().await;
    let pem = site.operator.file("third.pem");
    let arguments =
        ["trust", "quarantine", "certificate", "--pem", pem.to_str().unwrap(), "--reason", "cle volee"];
    site.operator.cli(&arguments).ok();
    until("the suspension", async || {
        let mut wire = site.mx(&site.third).await;
        Site::answer(&mut wire, "x@third.example").await.starts_with("451 4.7.0").then_some(())
    })
    .await;
    let mut wire = site.mx(&site.fourth).await;
    assert!(Site::answer(&mut wire, "y@fourth.example").await.starts_with("250"), "others are not concerned");
    // The domain is in the list: the message is taken, and waits for another certificate.
    site.send(&Letter::new("suspendu", b"a\r\n")).await;
    let entry = site.waiting_for("quarantined").await;
    assert_eq!(entry["state"], "deferred", "{entry}");
    for verb in ["MAIL", "RCPT", "DATA"] {
        assert!(!site.server.heard(verb), "{:?}", site.server.commands());
    }
    site.release();
    until("the letter arrives", async || (!site.server.received().is_empty()).then_some(())).await;
}
