//! Whose name a message from another operator may bear.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{Certificate, ClientTls, Demo, Imap, Mailbox, Operator, Wire, now, until, without_trace};
use serde_json::Value;

const TAG: &str = "X-Vaguemestre-From";

/// A demo whose white list names a third operator for third.example and fourth.example.
struct Third {
    demo: Demo,
    tls: ClientTls,
}

impl Third {
    fn start() -> Self {
        let demo = Demo::start();
        let certificate = demo.certificate("third.example");
        demo.list("third.example", &certificate.subject);
        demo.list("fourth.example", &certificate.subject);
        demo.reload();
        let tls = demo.client(&certificate);
        Self { demo, tls }
    }

    async fn wire(&self) -> Wire {
        Wire::mx(self.demo.south().ports["smtp"], &self.tls).await
    }

    /// The third operator brings this content; how it was stored.
    async fn brings(&self, marker: &str, reverse_path: &str, content: &[u8]) -> Vec<u8> {
        let paul = self.demo.south().personal(0);
        let reply = self.wire().await.letter(reverse_path, &[&paul.address], content).await;
        assert!(reply.text().starts_with("250"), "{reply:?}");
        Imap::login(&self.demo, self.demo.south(), paul).await.letter(marker).await
    }

    /// What the journal says of an author, once it does.
    async fn row(&self, reason: &str, domain: Option<&str>) -> Value {
        until(&format!("a row {reason} {domain:?}"), async || {
            let rows = self.demo.south().cli(&["journal", "--json"]).json();
            let is_it = |row: &&Value| row["reason"] == reason && row["domain"].as_str() == domain;
            rows.as_array().unwrap().iter().find(is_it).cloned()
        })
        .await
    }
}

fn content(header: &str, marker: &str) -> Vec<u8> {
    format!("{header}Message-ID: <{marker}@scenario.example>\r\n\r\n\u{e9}t\u{e9}\r\n").into_bytes()
}

/// The warning in our trace fields, if there is one.
fn tag(stored: &[u8]) -> Option<String> {
    let (names, rest) = without_trace(stored);
    assert_eq!(names[..2], ["Return-Path", "Received"]);
    let trace = String::from_utf8(stored[..stored.len() - rest.len()].to_vec()).unwrap();
    let (_, tag) = trace.split_once(&format!("{TAG}: "))?;
    Some(tag.replace("\r\n", "").replace('\t', " "))
}

#[tokio::test]
async fn an_author_for_whom_the_certificate_speaks_is_not_remarked_upon() {
    let third = Third::start();
    for (name, header) in [
        ("meme", "From: <x@third.example>\r\n"),
        ("autre", "From: X <x@FOURTH.example>, y@third.example\r\nSender: z@third.example\r\n"),
    ] {
        let content = content(header, name);
        let stored = third.brings(name, "a@third.example", &content).await;
        assert_eq!(
            without_trace(&stored),
            (vec!["Return-Path".to_owned(), "Received".to_owned()], &content[..])
        );
    }
    // A notification has an author too.
    let content = content("From: MAILER-DAEMON@third.example\r\n", "avis");
    assert_eq!(tag(&third.brings("avis", "", &content).await), None);
}

#[tokio::test]
async fn an_author_for_whom_it_does_not_speak_is_marked_and_journalled() {
    let third = Third::start();
    for (name, reverse_path, header, expected, domain) in [
        (
            "usurpe",
            "a@third.example",
            "From: x@chu-nord.mssante.test\r\n",
            "not-listed; domain=chu-nord.mssante.test",
            Some("chu-nord.mssante.test"),
        ),
        (
            "ami",
            "a@third.example",
            "From: x@clinique-sud.mssante.test\r\n",
            "not-listed; domain=clinique-sud.mssante.test",
            Some("clinique-sud.mssante.test"),
        ),
        (
            "second",
            "a@third.example",
            "From: x@third.example, y@fifth.example\r\n",
            "not-listed; domain=fifth.example",
            Some("fifth.example"),
        ),
        (
            "envoyeur",
            "a@third.example",
            "From: x@third.example\r\nSender: y@sixth.example\r\n",
            "not-listed; domain=sixth.example",
            Some("sixth.example"),
        ),
        (
            "avis",
            "",
            "From: MAILER-DAEMON@seventh.example\r\n",
            "not-listed; domain=seventh.example",
            Some("seventh.example"),
        ),
        (
            "double",
            "a@third.example",
            "From: x@third.example\r\nFrom: y@third.example\r\n",
            "not-listed",
            None,
        ),
        ("illisible", "a@third.example", "From: (personne)\r\n", "not-listed", None),
        ("anonyme", "a@third.example", "Subject: rien\r\n", "not-listed", None),
    ] {
        let content = content(header, name);
        let stored = third.brings(name, reverse_path, &content).await;
        assert_eq!(tag(&stored).as_deref(), Some(expected), "{}", stored.escape_ascii());
        assert_eq!(without_trace(&stored).1, content, "the message itself is as it was");
        let row = third.row("author_not_listed", domain).await;
        assert_eq!((&row["outcome"], &row["direction"]), (&"tagged".into(), &"inbound".into()), "{row}");
    }
}

#[tokio::test]
async fn a_mark_that_the_message_brings_along_stands_below_ours() {
    let third = Third::start();
    let content = content(&format!("{TAG}: listed\r\nFrom: x@fifth.example\r\n"), "faux-signe");
    let stored = third.brings("faux-signe", "a@third.example", &content).await;
    let text = String::from_utf8(stored).unwrap();
    let ours = text.find(&format!("{TAG}: not-listed")).unwrap();
    assert!(ours < text.find(&format!("{TAG}: listed")).unwrap());
}

#[tokio::test]
async fn an_operator_may_choose_to_refuse() {
    let mut operator = Operator::init("ville.example");
    operator.edit("[trust]\n", "[trust]\nheader_from = \"reject\"\n");
    let peer = Certificate::issue(&operator.authority(), "third.example", now());
    std::fs::write(operator.file("trust/whitelist.txt"), format!("third.example;{}\n", peer.subject))
        .unwrap();
    let mailbox: Mailbox = operator.new_mailbox("a");
    operator.serve();
    let tls = ClientTls::with(&operator.ca_file(), &peer);
    let mut wire = Wire::mx(operator.ports["smtp"], &tls).await;
    for (header, answer) in [
        ("From: x@fifth.example\r\n", "550 5.7.1"),
        ("From: x@third.example, y@fifth.example\r\n", "550 5.7.1"),
        ("Subject: personne\r\n", "550 5.7.1"),
        ("From: x@third.example\r\n", "250"),
    ] {
        let reply = wire.letter("a@third.example", &[&mailbox.address], &content(header, "refus")).await;
        assert!(reply.text().starts_with(answer), "{header}: {wire:?}");
    }
    assert_eq!(operator.imap(&mailbox).await.letters("refus").await.len(), 1);
    let rows = until("a rejection in the journal", async || {
        let rows = operator.cli(&["journal", "--json"]).json().as_array().unwrap().clone();
        let of_author = rows.into_iter().filter(|row| row["reason"] == "author_not_listed");
        Some(of_author.collect::<Vec<_>>()).filter(|rows| rows.len() == 2)
    })
    .await;
    assert!(rows.iter().all(|row| row["outcome"] == "rejected"), "{rows:?}");
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_yet_fails_the_handshake() {
    let demo = Demo::shared();
    let tomorrow = Certificate::issue(&demo.authority(), "demain.example", now().plus_secs(2 * 86_400));
    let mut wire = Wire::connect(demo.south().ports["smtp"]).await;
    wire.expect("220").await;
    wire.handshake_is_refused(&demo.client(&tomorrow)).await;
    until("the failed handshake in the journal", async || {
        let rows = demo.south().cli(&["journal", "--json"]).json();
        let row = rows.as_array()?.iter().find(|row| row["reason"] == "not_yet_valid")?.clone();
        (row["outcome"] == "handshake_failed").then_some(())
    })
    .await;
}

#[tokio::test]
async fn our_own_domain_is_not_for_another_operator_s_certificate() {
    let third = Third::start();
    let mut wire = third.wire().await;
    wire.ask("MAIL FROM:<paul.moreau@clinique-sud.mssante.test>", "550 5.7.1").await;
    wire.ask("MAIL FROM:<x@third.example>", "250 2.1.0").await;
}
