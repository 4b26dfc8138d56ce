//! The queue and outbound delivery: what leaves, to whom, and what the sender is told.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{
    Certificate, Demo, FakeServer, Goodbye, Imap, Letter, Mailbox, Script, Wire, until, without_trace,
};
use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;

const DOMAIN: &str = "third.example";

/// A demo with a third operator beside it.
struct Third {
    demo: Demo,
    certificate: Certificate,
    server: FakeServer,
}

impl Third {
    /// A third operator that is listed, routed to and in order.
    async fn start(script: Script) -> Self {
        let third = Self::unlisted(script).await;
        third.demo.list(DOMAIN, &third.certificate.subject);
        third.demo.reload();
        third
    }

    async fn unlisted(script: Script) -> Self {
        let demo = Demo::start();
        let certificate = demo.certificate(DOMAIN);
        let server = FakeServer::start(&certificate, script).await;
        demo.route(DOMAIN, server.port);
        Self { demo, certificate, server }
    }

    fn sender(&self) -> &Mailbox {
        self.demo.north().personal(0)
    }

    /// chu-nord accepts a letter for these recipients.
    async fn send(&self, to: &[&str], letter: &Letter) {
        send(&self.demo, to, letter).await;
    }

    async fn delivered(&self, count: usize) -> Vec<scenarios::Received> {
        until(
            &format!("{count} messages at the third operator; its commands: {:?}", self.server.commands()),
            async || {
                let received = self.server.received();
                (received.len() >= count).then_some(received)
            },
        )
        .await
    }

    /// The one waiting entry, once it was tried and put off.
    async fn deferred(&self) -> Value {
        until("a deferred entry", async || {
            queue(&self.demo).into_iter().find(|entry| entry["state"] == "deferred")
        })
        .await
    }

    async fn queue_is_empty(&self) {
        until("an empty queue", async || queue(&self.demo).is_empty().then_some(())).await;
    }

    fn retry(&self) {
        self.demo.north().cli(&["queue", "retry"]).ok();
    }

    /// The notification about a letter in the sender's INBOX.
    async fn bounce(&self, letter: &Letter) -> String {
        let mut imap = Imap::login(&self.demo, self.demo.north(), self.sender()).await;
        String::from_utf8(imap.letter(&letter.marker).await).unwrap()
    }
}

async fn send(demo: &Demo, to: &[&str], letter: &Letter) {
    let sender = demo.north().personal(0);
    let mut wire = Wire::submission(demo, demo.north(), sender).await;
    let reply = wire.letter(&sender.address, to, &letter.content).await;
    assert!(reply.text().starts_with("250"), "{wire:?}");
}

/// Waiting entries of chu-nord.
fn queue(demo: &Demo) -> Vec<Value> {
    demo.north().cli(&["queue", "list", "--json"]).json().as_array().expect("a list").clone()
}

fn replies(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(address, reply)| ((*address).to_owned(), (*reply).to_owned())).collect()
}

/// The value of a field of a report, unfolded lines only.
fn field<'r>(report: &'r str, name: &str) -> Option<&'r str> {
    report.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

#[tokio::test]
async fn a_letter_leaves_byte_for_byte() {
    let third = Third::start(Script::default()).await;
    let letter = Letter::with_fields("sortie", "X-MSS-Inconnu: \u{e9}\r\n", &Letter::awkward_body());
    third.send(&["a@third.example", "b@third.example"], &letter).await;
    let received = third.delivered(1).await;
    assert_eq!(received.len(), 1, "two recipients of one domain are one transaction");
    assert_eq!(received[0].from, third.sender().address);
    assert_eq!(received[0].to.len(), 2);
    let (trace, content) = without_trace(&received[0].content);
    assert_eq!(trace, ["Received"], "Return-Path is for the last server to write");
    assert!(content == letter.content, "changed: {}", content.escape_ascii());
    assert!(
        third.server.commands().iter().any(|line| line.starts_with("MAIL") && line.contains("BODY=8BITMIME"))
    );
    third.queue_is_empty().await;
}

#[tokio::test]
async fn a_letter_with_a_20_mb_attachment_crosses_from_one_operator_to_the_other() {
    let demo = Demo::start();
    let line = b"VmFndWVtZXN0cmUgcG9ydGUgbGVzIGxldHRyZXMgZCd1bmUgbWFpc29uIGEgbCdhdXRyZS4gQm9uam91ciE\r\n";
    let attachment = line.repeat(20 * 1024 * 1024 / line.len());
    let letter = Letter::with_fields(
        "volumineuse",
        "MIME-Version: 1.0\r\nX-MSS-Inconnu: oui\r\nContent-Type: multipart/mixed; boundary=b\r\n",
        &[
            b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n".as_slice(),
            &Letter::awkward_body(),
            b"--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            &attachment,
            b"--b--\r\n",
        ]
        .concat(),
    );
    let paul = demo.south().personal(0);
    send(&demo, &[&paul.address], &letter).await;
    let stored = Imap::login(&demo, demo.south(), paul).await.letter(&letter.marker).await;
    let (trace, content) = without_trace(&stored);
    assert_eq!(trace, ["Return-Path", "Received", "Received"]);
    assert_eq!(content.len(), letter.content.len());
    assert!(content == letter.content, "the letter was changed on its way");
}

#[tokio::test]
async fn each_recipient_has_its_own_result() {
    let recipients = replies(&[
        ("no@third.example", "550 5.1.1 No such person"),
        ("later@third.example", "450 4.2.1 Not now"),
    ]);
    let third = Third::start(Script { recipients, ..Script::default() }).await;
    let letter = Letter::new("trois", b"a\r\n");
    third.send(&["yes@third.example", "no@third.example", "later@third.example"], &letter).await;
    assert_eq!(third.delivered(1).await[0].to, ["yes@third.example"]);
    let bounce = third.bounce(&letter).await;
    assert_eq!(field(&bounce, "Final-Recipient"), Some("rfc822; no@third.example"));
    assert!(!bounce.contains("yes@") && !bounce.contains("later@"), "the others are not at fault:\n{bounce}");
    let entry = third.deferred().await;
    assert_eq!(entry["recipient"], "later@third.example");
    assert!(entry["lastReply"].as_str().unwrap().contains("450"), "{entry}");
    third.server.follow(Script::default());
    third.retry();
    assert_eq!(third.delivered(2).await[1].to, ["later@third.example"]);
    third.queue_is_empty().await;
}

#[tokio::test]
async fn a_bounce_is_a_delivery_status_notification() {
    let recipients = replies(&[("no@third.example", "550 5.1.1 No such person")]);
    let third = Third::start(Script { recipients, ..Script::default() }).await;
    let letter = Letter::with_fields("refus", "X-MSS-Inconnu: oui\r\n", b"the body stays with us\r\n");
    third.send(&["no@third.example"], &letter).await;
    let bounce = third.bounce(&letter).await;
    assert!(bounce.starts_with("Return-Path: <>\r\n"), "{bounce}");
    let (header, _) = bounce.split_once("\r\n\r\n").unwrap();
    let unfolded = header.replace("\r\n\t", " ").replace("\r\n ", " ");
    let kind = field(&unfolded, "Content-Type").unwrap();
    assert!(kind.starts_with("multipart/report") && kind.contains("report-type=delivery-status"), "{kind}");
    assert!(field(&unfolded, "To").unwrap().contains(&third.sender().address));
    assert!(
        field(&unfolded, "Auto-Submitted").is_some_and(|value| value.starts_with("auto-replied")),
        "{header}"
    );
    assert!(field(&unfolded, "Date").is_some() && field(&unfolded, "Message-ID").is_some(), "{header}");
    assert!(bounce.contains("message/delivery-status") && bounce.contains("text/rfc822-headers"), "{bounce}");
    assert_eq!(field(&bounce, "Reporting-MTA"), Some("dns; mx.chu-nord.mssante.test"));
    assert_eq!(field(&bounce, "Action"), Some("failed"));
    assert_eq!(field(&bounce, "Status"), Some("5.1.1"));
    assert!(field(&bounce, "Diagnostic-Code").unwrap().starts_with("smtp; 550 5.1.1"), "{bounce}");
    assert!(bounce.contains("X-MSS-Inconnu: oui"), "the header of the original is returned");
    assert!(!bounce.contains("the body stays with us"), "the body of the original is not");
    third.queue_is_empty().await;
}

#[tokio::test]
async fn a_refusal_after_the_content_bounces_and_a_deferral_waits() {
    let third = Third::start(Script { content: Some("451 4.3.0 Disk".into()), ..Script::default() }).await;
    let letter = Letter::new("contenu", b"a\r\n");
    third.send(&["a@third.example"], &letter).await;
    assert!(third.deferred().await["lastReply"].as_str().unwrap().contains("451"));
    third.server.follow(Script { content: Some("554 5.6.0 Unreadable".into()), ..Script::default() });
    third.retry();
    assert_eq!(field(&third.bounce(&letter).await, "Status"), Some("5.6.0"));
    assert!(third.server.received().is_empty());
    third.queue_is_empty().await;
}

#[tokio::test]
async fn a_refusal_of_mail_bounces_every_recipient_once() {
    let third = Third::start(Script { mail: Some("550 5.7.1 Not you".into()), ..Script::default() }).await;
    let letter = Letter::new("expediteur", b"a\r\n");
    third.send(&["a@third.example", "b@third.example"], &letter).await;
    third.queue_is_empty().await;
    let mut imap = Imap::login(&third.demo, third.demo.north(), third.sender()).await;
    let told = imap
        .letters(&letter.marker)
        .await
        .iter()
        .map(|told| String::from_utf8_lossy(told).into_owned())
        .collect::<String>();
    for recipient in ["a@third.example", "b@third.example"] {
        assert_eq!(told.matches(&format!("Final-Recipient: rfc822; {recipient}")).count(), 1, "{told}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_defers_wherever_it_breaks() {
    for verb in ["EHLO", "MAIL", "RCPT", "DATA", "CONTENT"] {
        let third = Third::start(Script { drop_at: Some(verb), ..Script::default() }).await;
        let letter = Letter::new(&format!("rupture-{verb}"), b"a\r\n");
        third.send(&["a@third.example"], &letter).await;
        third.deferred().await;
        third.server.follow(Script::default());
        third.retry();
        assert_eq!(third.delivered(1).await.len(), 1, "{verb}");
        third.queue_is_empty().await;
    }
}

/// A peer that must not hear of any message: the entry waits, and goes once the peer is in order.
async fn hears_nothing_until_in_order(third: Third, cause: &str) {
    let letter = Letter::new("methode", b"confidential\r\n");
    third.send(&["a@third.example"], &letter).await;
    let entry = third.deferred().await;
    let reply = entry["lastReply"].as_str().unwrap().to_owned();
    assert!(reply.to_lowercase().contains(cause), "not for its cause: {reply}");
    assert!(third.server.heard("EHLO"), "the peer was never asked");
    for verb in ["MAIL", "RCPT", "DATA"] {
        assert!(!third.server.heard(verb), "the peer heard {verb}: {:?}", third.server.commands());
    }
    until("the judgement in the journal", async || {
        let rows = third.demo.north().cli(&["journal", "--json"]).json();
        let is_it = |row: &&Value| row["direction"] == "outbound" && row["domain"] == DOMAIN;
        let verdict = rows.as_array()?.iter().find(is_it)?["outcome"].as_str()?.to_owned();
        ["handshake_failed", "deferred"].contains(&verdict.as_str()).then_some(())
    })
    .await;
    let good = third.demo.certificate(DOMAIN);
    third.demo.list(DOMAIN, &good.subject);
    third.demo.revoke(&[]);
    third.demo.reload();
    third.server.present(&good);
    third.server.follow(Script::default());
    third.retry();
    assert_eq!(third.delivered(1).await[0].to, ["a@third.example"]);
    third.queue_is_empty().await;
}

#[tokio::test]
async fn a_peer_without_starttls_hears_of_no_message() {
    let third = Third::start(Script { without_starttls: true, ..Script::default() }).await;
    hears_nothing_until_in_order(third, "starttls").await;
}

#[tokio::test]
async fn a_peer_with_the_name_of_another_hears_of_no_message() {
    let third = Third::start(Script::default()).await;
    let other = Certificate::issue_for(
        &third.demo.authority(),
        DOMAIN,
        &["mx.other.example", "10.0.0.1"],
        scenarios::now(),
    );
    third.demo.list(DOMAIN, &other.subject);
    third.demo.reload();
    third.server.present(&other);
    hears_nothing_until_in_order(third, "names another server").await;
}

#[tokio::test]
async fn a_revoked_peer_hears_of_no_message() {
    let third = Third::start(Script::default()).await;
    let revoked = third.demo.certificate(DOMAIN);
    third.demo.revoke(&[&revoked]);
    third.demo.reload();
    third.server.present(&revoked);
    let letter = Letter::new("revoque", b"confidential\r\n");
    third.send(&["a@third.example"], &letter).await;
    assert!(third.deferred().await["lastReply"].as_str().unwrap().contains("revoked"));
    assert!(third.server.heard("STARTTLS") && !third.server.heard("MAIL"));
    third.server.present(&third.certificate);
    third.retry();
    third.delivered(1).await;
}

#[tokio::test]
async fn a_peer_of_a_foreign_authority_hears_of_no_message() {
    let third = Third::start(Script::default()).await;
    let foreign = pki::development::DevelopmentPki::generate(scenarios::now()).unwrap();
    third.server.present(&Certificate::issue(&foreign, DOMAIN, scenarios::now()));
    hears_nothing_until_in_order(third, "trusted authority").await;
}

#[tokio::test]
async fn an_expired_peer_hears_of_no_message() {
    let third = Third::start(Script::default()).await;
    let past = scenarios::now().plus_secs(-4 * 365 * 86_400);
    third.server.present(&Certificate::issue(&third.demo.authority(), DOMAIN, past));
    hears_nothing_until_in_order(third, "expired").await;
}

#[tokio::test]
async fn a_peer_whose_subject_is_not_listed_for_the_domain_hears_of_no_message() {
    let third = Third::unlisted(Script::default()).await;
    // The domain is listed with another certificate, and the peer's certificate with another domain.
    third.demo.list(DOMAIN, "CN=mx.third.example,O=AUTRE,C=FR");
    third.demo.list("fourth.example", &third.certificate.subject);
    third.demo.reload();
    hears_nothing_until_in_order(third, "not_listed").await;
}

#[tokio::test]
async fn a_recipient_outside_the_white_list_is_refused_at_submission_and_the_others_stand() {
    let third = Third::start(Script::default()).await;
    let sender = third.sender();
    let mut wire = Wire::submission(&third.demo, third.demo.north(), sender).await;
    wire.ask(&format!("MAIL FROM:<{}>", sender.address), "250").await;
    wire.ask("RCPT TO:<a@fourth.example>", "550 5.7.1").await;
    wire.ask("RCPT TO:<a@third.example>", "250 2.1.5").await;
    wire.ask("RCPT TO:<b@sub.third.example>", "550 5.7.1").await;
    wire.ask("DATA", "354").await;
    wire.send_raw(&[Letter::new("dehors", b"a\r\n").content.as_slice(), b".\r\n"].concat()).await;
    wire.expect("250").await;
    let received = third.delivered(1).await;
    assert_eq!(received[0].to, ["a@third.example"]);
    third.queue_is_empty().await;
}

#[tokio::test]
async fn a_peer_that_was_down_gets_its_mail_once_it_is_up() {
    let (demo, port) = (Demo::start(), scenarios::free_port());
    let certificate = demo.certificate(DOMAIN);
    demo.list(DOMAIN, &certificate.subject);
    demo.route(DOMAIN, port);
    demo.reload();
    let letter = Letter::new("absent", b"a\r\n");
    send(&demo, &["a@third.example"], &letter).await;
    let deferred = until("a deferred entry", async || {
        queue(&demo).into_iter().find(|entry| entry["state"] == "deferred")
    })
    .await;
    assert_eq!(deferred["sender"], demo.north().personal(0).address.as_str());
    assert!(deferred["nextAttemptAt"].as_str() > deferred["createdAt"].as_str(), "{deferred}");
    let id = deferred["id"].as_str().unwrap().to_owned();
    let server = FakeServer::start_at(port, &certificate, Script::default()).await;
    let due = demo.north().cli(&["queue", "retry", &id, "--json"]);
    assert_eq!(due.json()["id"], id.as_str(), "{due:?}");
    until("the letter arrives", async || (server.received().len() == 1).then_some(())).await;
    until("an empty queue", async || queue(&demo).is_empty().then_some(())).await;
    let shown = demo.north().cli(&["queue", "show", &id, "--json"]).json();
    assert_eq!(
        (shown["state"].as_str(), shown["recipient"].as_str()),
        (Some("relayed"), Some("a@third.example")),
        "{shown}"
    );
    let all = demo.north().cli(&["queue", "list", "--all", "--json"]).json();
    assert_eq!(all.as_array().unwrap().len(), 1);
    assert!(!demo.north().cli(&["queue", "retry", &id]).is_success, "a finished entry is tried again");
    assert!(!demo.north().cli(&["queue", "show", "999999"]).is_success);
}

#[tokio::test]
async fn retries_come_by_themselves() {
    let recipients = replies(&[("a@third.example", "450 4.2.1 Not now")]);
    let third = Third::start(Script { recipients, ..Script::default() }).await;
    third.send(&["a@third.example"], &Letter::new("patience", b"a\r\n")).await;
    third.deferred().await;
    third.server.follow(Script::default());
    third.delivered(1).await;
}

#[tokio::test]
async fn a_waiting_letter_survives_a_kill() {
    let third = Third::start(Script { mail: Some("450 4.3.0 Later".into()), ..Script::default() }).await;
    let letter = Letter::new("tuee", &Letter::awkward_body());
    third.send(&["a@third.example"], &letter).await;
    third.deferred().await;
    let Third { demo, server, .. } = third;
    server.follow(Script::default());
    let demo = demo.restarted(scenarios::Process::kill, |_| {});
    demo.north().cli(&["queue", "retry"]);
    until("the letter arrives", async || (!server.received().is_empty()).then_some(())).await;
    until("an empty queue", async || queue(&demo).is_empty().then_some(())).await;
    assert_eq!(server.received().len(), 1);
    assert!(without_trace(&server.received()[0].content).1 == letter.content);
}

#[tokio::test]
async fn our_own_certificate_is_presented_to_the_peer() {
    // clinique-sud takes mail only from who presents chu-nord's certificate.
    let demo = Demo::start();
    let letter = Letter::new("presente", b"a\r\n");
    let paul = demo.south().personal(0);
    send(&demo, &[&paul.address, "nobody@clinique-sud.mssante.test"], &letter).await;
    Imap::login(&demo, demo.south(), paul).await.letter(&letter.marker).await;
    let mut imap = Imap::login(&demo, demo.north(), demo.north().personal(0)).await;
    let bounce = String::from_utf8(imap.letter(&letter.marker).await).unwrap();
    assert_eq!(field(&bounce, "Status"), Some("5.1.1"));
    assert_eq!(field(&bounce, "Final-Recipient"), Some("rfc822; nobody@clinique-sud.mssante.test"));
}

#[tokio::test]
async fn a_server_that_puts_off_any_step_gets_the_letter_later() {
    let third = Third::start(Script::default()).await;
    let steps = ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "CONTENT"];
    for (count, step) in steps.into_iter().enumerate() {
        let later = "421 4.3.2 Later".to_owned();
        let mut script = Script::default();
        match step {
            "GREETING" => script.greeting = Some(later),
            "CONTENT" => script.content = Some("452 4.3.1 Later".to_owned()),
            "EHLO" => script.replies = replies(&[("EHLO", &later)]),
            verb => script.replies = replies(&[(verb, "451 4.3.2 Later")]),
        }
        third.server.follow(script);
        let letter = Letter::new(&format!("remise-{step}"), b"a\r\n");
        third.send(&["a@third.example", "b@third.example"], &letter).await;
        let reply = third.deferred().await["lastReply"].as_str().unwrap().to_owned();
        assert!(reply.contains("Later"), "{step}: {reply}");
        third.server.follow(Script::default());
        third.retry();
        let received = third.delivered(count + 1).await;
        assert_eq!(received.len(), count + 1, "{step}: sent twice");
        assert_eq!(received[count].to.len(), 2, "{step}");
        third.queue_is_empty().await;
        // The next letter finds no connection left open.
        until("the end of the connection", async || {
            let commands = third.server.commands();
            (commands.last().map(String::as_str) == Some("QUIT")).then_some(())
        })
        .await;
    }
    // Nobody was told of a failure.
    let mut imap = Imap::login(&third.demo, third.demo.north(), third.sender()).await;
    assert!(imap.letters("remise-").await.is_empty());
}

#[tokio::test]
async fn a_server_that_refuses_any_step_for_good_bounces_the_letter() {
    let third = Third::start(Script::default()).await;
    for step in ["MAIL", "RCPT", "DATA"] {
        let mut script = Script::default();
        script.replies.insert(step.to_owned(), "554 5.7.1 Never".to_owned());
        third.server.follow(script);
        let letter = Letter::new(&format!("jamais-{step}"), b"a\r\n");
        third.send(&["a@third.example"], &letter).await;
        let bounce = third.bounce(&letter).await;
        assert_eq!(field(&bounce, "Status"), Some("5.7.1"), "{step}");
        assert!(field(&bounce, "Diagnostic-Code").unwrap().contains("554 5.7.1 Never"), "{step}: {bounce}");
        third.queue_is_empty().await;
    }
    assert!(third.server.received().is_empty());
}

/// Letters that wait together leave over one connection, which the server ends between two of them.
async fn leaves_at_once_over_another_connection(goodbye: Goodbye) {
    let third = Third::start(Script { mail: Some("450 4.3.0 Later".into()), ..Script::default() }).await;
    const LETTERS: usize = 5;
    for number in 0..LETTERS {
        third.send(&["a@third.example"], &Letter::new(&format!("file-{number}"), b"a\r\n")).await;
    }
    let put_off = until("every letter is put off", async || {
        let waiting = queue(&third.demo);
        waiting.iter().all(|entry| entry["state"] == "deferred").then_some(waiting)
    })
    .await;
    third.server.follow(Script { messages_max: Some((2, goodbye)), ..Script::default() });
    third.retry();
    third.queue_is_empty().await;
    assert_eq!(third.server.received().len(), LETTERS, "{:?}", third.server.commands());
    let all = third.demo.north().cli(&["queue", "list", "--all", "--json"]).json();
    for entry in put_off {
        let last = all.as_array().unwrap().iter().find(|last| last["id"] == entry["id"]).unwrap();
        let (before, after) = (entry["attempts"].as_u64().unwrap(), last["attempts"].as_u64().unwrap());
        assert_eq!(after, before + 1, "the end of a connection put a letter off: {last}");
    }
}

#[tokio::test]
async fn a_server_that_closes_between_two_letters_gets_the_next_at_once() {
    leaves_at_once_over_another_connection(Goodbye::Silent).await;
}

#[tokio::test]
async fn a_server_that_has_had_enough_of_a_connection_gets_the_next_letter_at_once() {
    leaves_at_once_over_another_connection(Goodbye::Told).await;
}

#[tokio::test]
async fn a_server_without_8bitmime_gets_seven_bit_parts_that_say_the_same() {
    let third = Third::start(Script { without_8bitmime: true, ..Script::default() }).await;
    let text = "\u{c9}t\u{e9}, c\u{153}ur = 100 %\r\n.\r\n".repeat(5_000);
    let letter = Letter::with_fields(
        "sept-bits",
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n",
        format!(
            "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n\u{e9}\r\n--b--\r\n"
        )
        .as_bytes(),
    );
    third.send(&["a@third.example"], &letter).await;
    let received = third.delivered(1).await;
    let content = String::from_utf8(received[0].content.clone()).unwrap();
    assert!(content.is_ascii(), "octets over 127 left");
    assert!(
        !third.server.commands().iter().any(|line| line.contains("BODY=")),
        "{:?}",
        third.server.commands()
    );
    assert!(content.contains("Content-Transfer-Encoding: quoted-printable\r\n"), "{content}");
    assert!(content.contains("Content-Transfer-Encoding: base64\r\n\r\nw6k=\r\n"), "{content}");
    assert!(!content.contains("8bit"), "a label is wrong now");
    let line = "=C3=89t=C3=A9, c=C5=93ur =3D 100 %\r\n.\r\n";
    assert_eq!(content.matches(line).count(), 5_000);
    third.queue_is_empty().await;
    // A letter of seven bits is left alone.
    let plain = Letter::new("ascii", b"a\r\n");
    third.send(&["a@third.example"], &plain).await;
    let received = third.delivered(2).await;
    assert!(without_trace(&received[1].content).1 == plain.content);
}

#[tokio::test]
async fn a_signed_letter_that_a_server_without_8bitmime_cannot_take_bounces() {
    let third = Third::start(Script { without_8bitmime: true, ..Script::default() }).await;
    let letter = Letter::with_fields(
        "signee",
        "MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b; protocol=\"application/pkcs7-signature\"; micalg=sha-256\r\n",
        "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\u{e9}\r\n--b\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\nMIIB\r\n--b--\r\n".as_bytes(),
    );
    third.send(&["a@third.example"], &letter).await;
    let bounce = third.bounce(&letter).await;
    assert_eq!(field(&bounce, "Status"), Some("5.6.3"), "{bounce}");
    assert!(bounce.contains("signed"), "the cause is not told:\n{bounce}");
    assert!(!third.server.heard("MAIL"), "{:?}", third.server.commands());
    third.queue_is_empty().await;
}

#[tokio::test]
async fn a_mute_server_holds_up_nobody_else() {
    let third = Third::start(Script::default()).await;
    // It takes connections and never says a word.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    third.demo.route("mute.example", mute.local_addr().unwrap().port());
    third.demo.list("mute.example", &third.certificate.subject);
    third.demo.reload();
    let connections = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = tokio::time::timeout(Duration::from_secs(8), mute.accept())
            .await
            .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
        {
            held.push(stream);
        }
        held.len()
    });
    let sender = third.sender();
    let mut wire = Wire::submission(&third.demo, third.demo.north(), sender).await;
    for number in 0..40 {
        let letter = Letter::new(&format!("muette-{number}"), b"a\r\n");
        let reply = wire.letter(&sender.address, &["a@mute.example"], &letter.content).await;
        assert!(reply.text().starts_with("250"), "{wire:?}");
    }
    third.send(&["a@third.example"], &Letter::new("autre", b"a\r\n")).await;
    let delivered = tokio::time::timeout(Duration::from_secs(8), third.delivered(1)).await;
    assert!(delivered.is_ok(), "the mute server has every connection");
    assert!(connections.await.unwrap() <= 4, "one domain has more than its share");
}

#[tokio::test]
async fn letters_that_follow_one_another_share_connections() {
    let third = Third::start(Script::default()).await;
    let sender = third.sender();
    let mut wire = Wire::submission(&third.demo, third.demo.north(), sender).await;
    for number in 0..50 {
        let letter = Letter::new(&format!("suite-{number}"), b"a\r\n");
        let reply = wire.letter(&sender.address, &["a@third.example"], &letter.content).await;
        assert!(reply.text().starts_with("250"), "{wire:?}");
    }
    assert_eq!(third.delivered(50).await.len(), 50);
    let handshakes = third.server.commands().iter().filter(|line| line.as_str() == "STARTTLS").count();
    assert!(handshakes <= 8, "{handshakes} connections for 50 letters");
    third.queue_is_empty().await;
}
