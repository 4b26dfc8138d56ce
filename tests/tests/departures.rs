//! Domains that leave the white list: their mail is held, comes loose when they are back, and goes back to its senders when they are gone for good.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{
    Certificate, ClientTls, FakeServer, Letter, Mailbox, Operator, Script, Wire, get, now, until,
};
use serde_json::Value;

const DOMAIN: &str = "third.example";

/// An operator with a third one that is listed, routed to, and takes no mail for now.
struct Site {
    operator: Operator,
    certificate: Certificate,
    mailbox: Mailbox,
    server: FakeServer,
}

impl Site {
    async fn start(departure_hold_secs: u32, delivery: &str) -> Self {
        let operator = Operator::init("ville.example");
        let certificate = Certificate::issue(&operator.authority(), DOMAIN, now());
        let script = Script { mail: Some("450 4.3.0 Not today".into()), ..Script::default() };
        let server = FakeServer::start(&certificate, script).await;
        operator.edit("[routes]\n", &format!("[delivery]\nretry_first_secs = 1\n{delivery}\n[routes]\n"));
        operator.edit("[trust]\n", &format!("[trust]\ndeparture_hold_secs = {departure_hold_secs}\n"));
        std::fs::write(operator.file("trust/routes.txt"), format!("{DOMAIN} 127.0.0.1:{}\n", server.port))
            .unwrap();
        let mailbox = operator.new_mailbox("a");
        let site = Self { operator, certificate, mailbox, server };
        site.publish(true, 0);
        site.serve()
    }

    fn serve(mut self) -> Self {
        self.operator.serve();
        self
    }

    /// A list with or without the third operator; `edition` makes it another one.
    fn publish(&self, has_third: bool, edition: u32) {
        let mut list = format!("autre{edition}.example;CN=mx.autre\n");
        // Enough others that one domain less is no shrinkage to be confirmed.
        (0..20).for_each(|n| list += &format!("voisin{n}.example;CN=mx.voisin\n"));
        if has_third {
            list += &format!("{DOMAIN};{}\n", self.certificate.subject);
        }
        std::fs::write(self.operator.file("trust/whitelist.txt"), list).unwrap();
    }

    fn reload(&mut self) {
        self.operator.process().signal("HUP");
    }

    async fn send(&self, letter: &Letter) {
        let letter = letter.clone().by(&self.mailbox.address);
        let mut wire = self.operator.submission(&self.mailbox).await;
        let reply = wire.letter(&self.mailbox.address, &["x@third.example"], &letter.content).await;
        assert!(reply.text().starts_with("250"), "{wire:?}");
    }

    fn queue(&self) -> Vec<Value> {
        self.operator.cli(&["queue", "list", "--json"]).json().as_array().unwrap().clone()
    }

    async fn in_state(&self, state: &str) -> Value {
        until(&format!("an entry that is {state}"), async || {
            self.queue().into_iter().find(|entry| entry["state"] == state)
        })
        .await
    }

    async fn gauge(&self, name: &str) -> String {
        let (_, text) = get(self.operator.ports["https"], &self.operator.anonymous(), "/metrics").await;
        text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
    }

    async fn bounce(&self, letter: &Letter) -> String {
        String::from_utf8(self.operator.imap(&self.mailbox).await.letter(&letter.marker).await).unwrap()
    }
}

#[tokio::test]
async fn mail_of_a_domain_that_leaves_is_held_and_alarmed_and_sent_when_it_is_back() {
    // The next attempt would be in hours: mail is held all the same.
    let mut site = Site::start(86_400, "retry_max_secs = 7200").await;
    let letter = Letter::new("parti", b"a\r\n");
    site.send(&letter).await;
    let deferred = site.in_state("deferred").await;
    site.publish(false, 1);
    site.reload();
    let held = site.in_state("held").await;
    assert_eq!(held["heldFor"], "departure", "{held}");
    assert!(held["lastReply"].as_str().unwrap().starts_with("450 4.7.1"), "{held}");
    assert!(held["attempts"].as_i64().unwrap() >= deferred["attempts"].as_i64().unwrap());
    assert!(site.operator.cli(&["queue", "list"]).ok().contains("held (departure)"));
    until("the metric", async || (site.gauge("queue_held_domains").await == "1").then_some(())).await;
    let log = site.operator.process().log();
    assert!(
        log.lines().any(|line| line.contains("ERROR") && line.contains("mail is held for a domain")),
        "{log}"
    );
    let mails = site.server.commands().iter().filter(|line| line.starts_with("MAIL")).count();
    // The clinician hears of it at once.
    let mut wire = site.operator.submission(&site.mailbox).await;
    wire.ask(&format!("MAIL FROM:<{}>", site.mailbox.address), "250").await;
    wire.ask("RCPT TO:<y@third.example>", "450 4.7.1").await;
    // It is looked at again, not sent, and no attempt is counted.
    let id = held["id"].as_str().unwrap().to_owned();
    site.operator.cli(&["queue", "retry", &id]).ok();
    let again =
        until("held again", async || site.queue().into_iter().find(|entry| entry["state"] == "held")).await;
    assert_eq!(again["attempts"], held["attempts"]);
    assert_eq!(mails, site.server.commands().iter().filter(|line| line.starts_with("MAIL")).count());
    site.server.follow(Script::default());
    site.publish(true, 2);
    site.reload();
    until("the letter arrives", async || (site.server.received().len() == 1).then_some(())).await;
    until("an empty queue", async || site.queue().is_empty().then_some(())).await;
    until("the metric", async || (site.gauge("queue_held_domains").await == "0").then_some(())).await;
}

#[tokio::test]
async fn it_goes_back_when_two_lists_far_enough_apart_lack_the_domain() {
    let mut site = Site::start(4, "").await;
    let letter = Letter::new("gone", b"a\r\n");
    site.send(&letter).await;
    site.in_state("deferred").await;
    let left = std::time::Instant::now();
    site.publish(false, 1);
    site.reload();
    site.in_state("held").await;
    // List after list, until two are far enough apart.
    let mut edition = 2;
    let bounce = loop {
        site.publish(false, edition);
        site.reload();
        edition += 1;
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        if site.queue().is_empty() {
            break site.bounce(&letter).await;
        }
        assert!(edition < 40, "{:?}", site.queue());
    };
    assert!(left.elapsed() >= std::time::Duration::from_secs(4), "two lists at the same time are not enough");
    assert!(bounce.contains("Action: failed") && bounce.contains("Status: 5.7.1"), "{bounce}");
    assert!(bounce.contains("has left the trust space"), "the sender is not told why:\n{bounce}");
    let mut wire = site.operator.submission(&site.mailbox).await;
    wire.ask(&format!("MAIL FROM:<{}>", site.mailbox.address), "250").await;
    wire.ask("RCPT TO:<y@third.example>", "550 5.7.1").await;
}

#[tokio::test]
async fn a_list_from_another_source_lets_domains_leave_as_the_same_source_would() {
    let mut site = Site::start(86_400, "").await;
    let letter = Letter::new("ailleurs", b"a\r\n");
    site.send(&letter).await;
    site.in_state("deferred").await;
    std::fs::write(site.operator.file("trust/other.txt"), "autre.example;CN=mx.autre\n").unwrap();
    site.operator.edit("trust/whitelist.txt", "trust/other.txt");
    site.reload();
    let held = site.in_state("held").await;
    assert_eq!(held["heldFor"], "departure", "{held}");
}

#[tokio::test]
async fn it_goes_back_by_command() {
    let mut site = Site::start(86_400, "").await;
    let letter = Letter::new("abandon", b"a\r\n");
    site.send(&letter).await;
    site.in_state("deferred").await;
    site.publish(false, 1);
    site.reload();
    site.in_state("held").await;
    site.operator.cli(&["trust", "give-up", DOMAIN, "--reason", "fermeture"]).ok();
    let bounce = site.bounce(&letter).await;
    assert!(bounce.contains("Status: 5.7.1") && bounce.contains("has left the trust space"), "{bounce}");
    until("an empty queue", async || site.queue().is_empty().then_some(())).await;
}

#[tokio::test]
async fn what_is_held_past_its_lifetime_goes_back_as_expired() {
    let mut site = Site::start(86_400, "lifetime_secs = 15").await;
    let letter = Letter::new("trop-tard", b"a\r\n");
    site.send(&letter).await;
    site.in_state("deferred").await;
    site.publish(false, 1);
    site.reload();
    site.in_state("held").await;
    // Looked at when trust changes, and each minute: a list that changes spares the wait.
    let begin = now();
    until("its lifetime is over", async || (now().0 - begin.0 > 15_000).then_some(())).await;
    site.publish(false, 2);
    site.reload();
    let bounce = site.bounce(&letter).await;
    assert!(bounce.contains("Status: 4.4.7") && bounce.contains("450 4.7.1"), "{bounce}");
    until("an empty queue", async || site.queue().is_empty().then_some(())).await;
}

#[tokio::test]
async fn what_is_held_stays_held_over_a_restart() {
    let mut site = Site::start(86_400, "").await;
    let letter = Letter::new("redemarre", b"a\r\n");
    site.send(&letter).await;
    site.in_state("deferred").await;
    site.publish(false, 1);
    site.reload();
    site.in_state("held").await;
    site.operator.process().terminate();
    let mut site = site.serve();
    let log = site.operator.process().log();
    until("the alarm of the second run", async || {
        (site.operator.process().log()[log.len()..].contains("mail is held for a domain")
            || log.matches("mail is held for a domain").count() == 2)
            .then_some(())
    })
    .await;
    assert_eq!(site.in_state("held").await["heldFor"], "departure");
    site.server.follow(Script::default());
    site.publish(true, 2);
    site.reload();
    until("the letter arrives", async || (site.server.received().len() == 1).then_some(())).await;
}

#[tokio::test]
async fn a_list_that_nobody_confirms_refuses_nobody_for_good_and_then_admits_nobody() {
    let mut site = Site::start(86_400, "").await;
    site.operator.edit("[trust]\n", "[trust]\nwhitelist_stale_secs = 3\nwhitelist_age_max_secs = 9\n");
    let stranger = Certificate::issue(&site.operator.authority(), "stranger.example", now());
    let (port, ca) = (site.operator.ports["smtp"], site.operator.ca_file());
    let (listed, stranger) = (ClientTls::with(&ca, &site.certificate), ClientTls::with(&ca, &stranger));
    let answer = async |tls: &ClientTls, domain: &str| {
        let mut wire = Wire::mx(port, tls).await;
        wire.send(&format!("MAIL FROM:<x@{domain}>")).await;
        wire.reply().await.text()
    };
    assert!(answer(&stranger, "stranger.example").await.starts_with("550 5.7.1"));
    std::fs::remove_file(site.operator.file("trust/whitelist.txt")).unwrap();
    site.reload();
    until("a stale list", async || {
        answer(&stranger, "stranger.example").await.starts_with("451 4.7.0").then_some(())
    })
    .await;
    assert!(answer(&listed, DOMAIN).await.starts_with("250"), "a stale list still admits whom it names");
    until("no list", async || answer(&listed, DOMAIN).await.starts_with("451 4.7.0").then_some(())).await;
    // A list is there again.
    site.publish(true, 1);
    site.reload();
    until("a list", async || answer(&listed, DOMAIN).await.starts_with("250").then_some(())).await;
    assert!(answer(&stranger, "stranger.example").await.starts_with("550 5.7.1"));
}
