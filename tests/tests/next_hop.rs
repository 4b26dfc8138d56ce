//! Where mail goes when no route says so: MX records, in their order; and when a recipient is given up.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{
    Certificate, ClientTls, FakeDns, FakeServer, Imap, Letter, Mailbox, Name, Operator, Script, Wire, now,
    until,
};
use serde_json::Value;
use std::net::Ipv4Addr;
use std::time::Duration;

const LOOPBACK: Option<Ipv4Addr> = Some(Ipv4Addr::LOCALHOST);

/// An operator that asks a name server of its own, and a third operator.
struct Site {
    operator: Operator,
    mailbox: Mailbox,
    tls: ClientTls,
    /// What the third operator shows when it comes to us.
    third: ClientTls,
    server: FakeServer,
    dns: FakeDns,
}

impl Site {
    /// `listed` are the domains for which the white list names the third operator, whose certificate bears mx.third.example alone.
    async fn start(listed: &[&str], names: &[(&'static str, Name)], more: &str) -> Self {
        let mut operator = Operator::init("ville.example");
        let certificate =
            Certificate::issue_for(&operator.authority(), "third.example", &["mx.third.example"], now());
        let server = FakeServer::start(&certificate, Script::default()).await;
        let dns = FakeDns::start(names).await;
        let section = format!(
            "[delivery]\ndns_servers = [\"{}\"]\nport = {}\nretry_first_secs = 1\n{more}\n[routes]\n",
            dns.address, server.port
        );
        operator.edit("[routes]\n", &section);
        let pairs: String =
            listed.iter().map(|domain| format!("{domain};{}\n", certificate.subject)).collect();
        std::fs::write(operator.file("trust/whitelist.txt"), pairs).unwrap();
        let address = "a@ville.example".to_owned();
        let arguments = ["mailbox", "create", &address, "--kind", "personal", "--password-stdin"];
        operator.cli_with_input(&arguments, "correct-horse-battery\n").ok();
        operator.serve();
        let mailbox = Mailbox {
            username: Some(address.clone()),
            password: Some("correct-horse-battery".into()),
            kind: "personal".into(),
            address,
        };
        let tls = ClientTls::anonymous(&operator.ca_file());
        let third = ClientTls::with(&operator.ca_file(), &certificate);
        Self { operator, mailbox, tls, third, server, dns }
    }

    /// Stops the server and starts it again.
    fn restarted(mut self) -> Self {
        self.operator.process().terminate();
        self.operator.serve();
        self
    }

    /// The same, with nothing left of the white list, neither its file nor the copy that the server keeps.
    fn restarted_without_white_list(mut self) -> Self {
        self.operator.process().terminate();
        std::fs::rename(self.operator.file("trust/whitelist.txt"), self.operator.file("away.txt")).unwrap();
        std::fs::remove_dir_all(self.operator.file("trust-space")).unwrap();
        self.operator.serve();
        self
    }

    /// The white list is there again.
    fn white_list_comes_back(&mut self) {
        std::fs::rename(self.operator.file("away.txt"), self.operator.file("trust/whitelist.txt")).unwrap();
        self.operator.process().signal("HUP");
    }

    async fn send(&self, to: &str, letter: &Letter) {
        let letter = letter.clone().by(&self.mailbox.address);
        let mut wire = Wire::login(self.operator.ports["submissions"], &self.tls, &self.mailbox).await;
        let reply = wire.letter(&self.mailbox.address, &[to], &letter.content).await;
        assert!(reply.text().starts_with("250"), "{wire:?}");
    }

    async fn delivered(&self) {
        until("a message at the third operator", async || (!self.server.received().is_empty()).then_some(()))
            .await;
    }

    async fn bounce(&self, letter: &Letter) -> String {
        let mut imap = Imap::connect(self.operator.ports["imaps"], &self.tls).await;
        imap.ok(&format!("LOGIN {} correct-horse-battery", self.mailbox.address)).await;
        String::from_utf8(imap.letter(&letter.marker).await).unwrap()
    }

    async fn deferred(&self) -> Value {
        until("a deferred entry", async || {
            let list = self.operator.cli(&["queue", "list", "--json"]).json();
            list.as_array().unwrap().iter().find(|entry| entry["state"] == "deferred").cloned()
        })
        .await
    }
}

fn mx(records: &[(u16, &'static str)]) -> Name {
    Name { mx: records.to_vec(), ..Name::default() }
}

fn host() -> Name {
    Name { address: LOOPBACK, ..Name::default() }
}

#[tokio::test]
async fn mail_goes_to_the_preferred_exchanger_that_can_be_used() {
    // The first does not exist, the second is not what it says it is; records come in no order.
    let records = mx(&[
        (30, "other.third.example"),
        (20, "mx.third.example"),
        (10, "gone.third.example"),
        (15, "wrong.third.example"),
    ]);
    let names = [("third.example", records), ("mx.third.example", host()), ("wrong.third.example", host())];
    let site = Site::start(&["third.example"], &names, "").await;
    site.send("x@third.example", &Letter::new("mx", b"a\r\n")).await;
    site.delivered().await;
}

#[tokio::test]
async fn a_domain_without_mx_is_its_own_server() {
    let names = [("mx.third.example", host())];
    let site = Site::start(&["mx.third.example"], &names, "").await;
    site.send("x@mx.third.example", &Letter::new("soi", b"a\r\n")).await;
    site.delivered().await;
}

#[tokio::test]
async fn the_certificate_must_bear_the_name_of_the_exchanger() {
    let names = [("third.example", mx(&[(10, "wrong.third.example")])), ("wrong.third.example", host())];
    let site = Site::start(&["third.example"], &names, "").await;
    site.send("x@third.example", &Letter::new("faux", b"a\r\n")).await;
    site.deferred().await;
    assert!(site.server.heard("STARTTLS") && !site.server.heard("MAIL"), "{:?}", site.server.commands());
}

#[tokio::test]
async fn domains_that_take_no_mail_bounce() {
    let names = [("null.example", mx(&[(0, ".")])), ("hostless.example", Name::default())];
    let site = Site::start(&["null.example", "absent.example", "hostless.example"], &names, "").await;
    for (domain, status) in [
        ("null.example", "Status: 5.1.10"),
        ("absent.example", "Status: 5.1.2"),
        ("hostless.example", "Status: 5.1.2"),
    ] {
        let letter = Letter::new(domain, b"a\r\n");
        site.send(&format!("x@{domain}"), &letter).await;
        let bounce = site.bounce(&letter).await;
        assert!(bounce.contains(status), "{domain}:\n{bounce}");
    }
}

#[tokio::test]
async fn a_name_server_that_fails_defers_until_it_answers() {
    let fails = Name { fails: true, ..Name::default() };
    let site =
        Site::start(&["third.example"], &[("third.example", fails), ("mx.third.example", host())], "").await;
    site.send("x@third.example", &Letter::new("panne", b"a\r\n")).await;
    site.deferred().await;
    site.dns.set("third.example", mx(&[(10, "mx.third.example")]));
    site.delivered().await;
}

#[tokio::test]
async fn a_recipient_that_is_never_reached_is_given_up_at_its_expiry() {
    let site = Site::start(
        &["third.example"],
        &[("third.example", mx(&[(10, "mx.third.example")])), ("mx.third.example", host())],
        "lifetime_secs = 3\n",
    )
    .await;
    site.server.follow(Script { mail: Some("450 4.3.0 Never today".into()), ..Script::default() });
    let letter = Letter::new("perimee", b"a\r\n");
    site.send("x@third.example", &letter).await;
    let bounce = site.bounce(&letter).await;
    assert!(bounce.contains("Action: failed") && bounce.contains("Status: 4.4.7"), "{bounce}");
    assert!(bounce.contains("450 4.3.0 Never today"), "the last answer is told:\n{bounce}");
    assert!(
        site.server.commands().iter().filter(|command| command.starts_with("MAIL")).count() >= 2,
        "it was tried once only"
    );
}

/// Nothing of a message was told.
fn heard_of_no_message(server: &FakeServer) {
    for verb in ["MAIL", "RCPT", "DATA"] {
        assert!(!server.heard(verb), "the peer heard {verb}: {:?}", server.commands());
    }
    assert!(server.commands().iter().all(|command| !command.contains('@')), "{:?}", server.commands());
}

fn one_exchanger() -> [(&'static str, Name); 2] {
    [("third.example", mx(&[(10, "mx.third.example")])), ("mx.third.example", host())]
}

#[tokio::test]
async fn a_server_of_unknown_revocation_hears_of_no_message_until_there_is_a_list() {
    let site = Site::start(&["third.example"], &one_exchanger(), "").await;
    let lists = site.operator.file("trust/crl");
    std::fs::rename(&lists, site.operator.file("trust/away")).unwrap();
    let mut site = site.restarted();
    let letter = Letter::new("sans-liste", b"a\r\n");
    site.send("x@third.example", &letter).await;
    let entry = site.deferred().await;
    assert!(entry["lastReply"].as_str().unwrap().contains("revocation_unknown"), "{entry}");
    assert!(site.server.heard("STARTTLS"));
    heard_of_no_message(&site.server);
    std::fs::rename(site.operator.file("trust/away"), &lists).unwrap();
    site.operator.process().signal("HUP");
    site.delivered().await;
}

#[tokio::test]
async fn where_ocsp_is_required_and_nobody_answers_both_sides_wait() {
    let site = Site::start(&["third.example"], &one_exchanger(), "").await;
    site.operator.edit("[trust]\n", "[trust]\nocsp = \"require\"\n");
    let mut site = site.restarted();
    site.send("x@third.example", &Letter::new("ocsp", b"a\r\n")).await;
    let entry = site.deferred().await;
    assert!(entry["lastReply"].as_str().unwrap().contains("revocation_unknown"), "{entry}");
    assert!(site.server.heard("STARTTLS"));
    heard_of_no_message(&site.server);
    let mut wire = Wire::mx(site.operator.ports["smtp"], &site.third).await;
    wire.ask("MAIL FROM:<x@third.example>", "451 4.7.0").await;
    wire.ask("MAIL FROM:<>", "451 4.7.0").await;
    site.operator.edit("ocsp = \"require\"", "ocsp = \"off\"");
    site.operator.process().signal("HUP");
    until("MAIL is accepted", async || {
        let mut wire = Wire::mx(site.operator.ports["smtp"], &site.third).await;
        wire.send("MAIL FROM:<x@third.example>").await;
        (wire.reply().await.code == 250).then_some(())
    })
    .await;
    site.delivered().await;
}

#[tokio::test]
async fn without_a_white_list_mail_is_taken_and_waits_and_nobody_is_connected_to() {
    let site = Site::start(&["third.example"], &one_exchanger(), "").await;
    let mut site = site.restarted_without_white_list();
    let letter = Letter::new("sans-liste-blanche", b"a\r\n");
    site.send("x@third.example", &letter).await;
    let entry = site.deferred().await;
    assert!(entry["lastReply"].as_str().unwrap().starts_with("451 4.7.0"), "{entry}");
    assert!(site.server.commands().is_empty(), "{:?}", site.server.commands());
    site.white_list_comes_back();
    site.delivered().await;
}

#[tokio::test]
async fn mail_taken_in_doubt_is_held_once_a_list_lacks_the_domain() {
    let site = Site::start(&["third.example"], &one_exchanger(), "").await;
    let mut site = site.restarted_without_white_list();
    let letter = Letter::new("jamais", b"a\r\n");
    site.send("x@fifth.example", &letter).await;
    site.deferred().await;
    site.white_list_comes_back();
    // The list may be an older one, or another source's: whether the domain is gone for good is not said by its absence.
    until("the entry is held", async || {
        let list = site.operator.cli(&["queue", "list", "--json"]).json();
        list.as_array().unwrap().iter().any(|entry| entry["state"] == "held").then_some(())
    })
    .await;
    let give_up = |domain: &str| site.operator.cli(&["trust", "give-up", domain, "--reason", "fermeture"]);
    assert!(!give_up("nowhere.example").is_success);
    give_up("fifth.example").ok();
    let bounce = site.bounce(&letter).await;
    assert!(bounce.contains("Status: 5.7.1"), "{bounce}");
    assert!(site.server.commands().is_empty(), "{:?}", site.server.commands());
}

#[tokio::test]
async fn a_connection_that_is_kept_open_is_judged_again_when_trust_changes() {
    let mut site = Site::start(&["third.example"], &one_exchanger(), "concurrency = 1\n").await;
    let mails =
        |server: &FakeServer| server.commands().iter().filter(|line| line.starts_with("MAIL")).count();
    site.server.follow(Script { slow: Duration::from_millis(700), ..Script::default() });
    for name in ["premiere", "deuxieme", "troisieme"] {
        site.send("x@third.example", &Letter::new(name, b"a\r\n")).await;
    }
    until("the first message under way", async || site.server.heard("MAIL").then_some(())).await;
    // The domain stays in the list, with another certificate.
    std::fs::write(site.operator.file("trust/whitelist.txt"), "third.example;CN=autre,C=FR\n").unwrap();
    let process = site.operator.process();
    process.signal("HUP");
    until("the reload", async || process.log().contains("reloaded").then_some(())).await;
    let before = mails(&site.server);
    assert!(before < 3, "the list came too late");
    let entry = until("an entry that was refused for the list", async || {
        let list = site.operator.cli(&["queue", "list", "--json"]).json();
        let is_it =
            |entry: &&Value| entry["lastReply"].as_str().is_some_and(|reply| reply.contains("not_listed"));
        list.as_array().unwrap().iter().find(is_it).cloned()
    })
    .await;
    assert_eq!(entry["state"], "deferred");
    assert!(mails(&site.server) <= before + 1, "{:?}", site.server.commands());
    assert!(site.server.heard("QUIT"), "the connection was not given up: {:?}", site.server.commands());
}

#[tokio::test]
async fn a_machine_without_dns_servers_starts_and_mail_waits_until_there_is_one() {
    let mut operator = Operator::init("ville.example");
    let certificate =
        Certificate::issue_for(&operator.authority(), "third.example", &["mx.third.example"], now());
    std::fs::write(operator.file("trust/whitelist.txt"), format!("third.example;{}\n", certificate.subject))
        .unwrap();
    for missing in [true, false] {
        if !missing {
            std::fs::write(operator.file("resolv.conf"), "search ville.example\n").unwrap();
        } else {
            operator.edit(
                "[routes]\n",
                "[delivery]\nresolv_conf = \"resolv.conf\"\nretry_first_secs = 1\n[routes]\n",
            );
            let arguments =
                ["mailbox", "create", "a@ville.example", "--kind", "personal", "--password-stdin"];
            operator.cli_with_input(&arguments, "correct-horse-battery\n").ok();
        }
        operator.serve();
        let log = operator.process().log();
        assert!(log.contains("WARN") && log.contains("dns_servers"), "the operator is not warned:\n{log}");
        let mailbox = Mailbox {
            username: Some("a@ville.example".into()),
            password: Some("correct-horse-battery".into()),
            kind: "personal".into(),
            address: "a@ville.example".into(),
        };
        let tls = ClientTls::anonymous(&operator.ca_file());
        let mut wire = Wire::login(operator.ports["submissions"], &tls, &mailbox).await;
        let letter = Letter::new("sans-dns", b"a\r\n").by(&mailbox.address);
        let to = ["x@third.example", &mailbox.address];
        let reply = wire.letter(&mailbox.address, &to, &letter.content).await;
        assert!(reply.text().starts_with("250"), "{wire:?}");
        let waiting = until("a deferred entry", async || {
            let list = operator.cli(&["queue", "list", "--json"]).json();
            list.as_array().unwrap().iter().find(|entry| entry["state"] == "deferred").cloned()
        })
        .await;
        assert!(waiting["lastReply"].as_str().unwrap().contains("dns_servers"), "{waiting}");
        let mut imap = Imap::connect(operator.ports["imaps"], &tls).await;
        imap.ok(&format!("LOGIN {} correct-horse-battery", mailbox.address)).await;
        assert_eq!(
            imap.letters(&letter.marker).await.len(),
            1,
            "mail between our own mailboxes needs no DNS"
        );
        operator.process().terminate();
    }
}
