//! Mail that is sent for a mailbox of somebody else's: by whom, in whose name, filed where.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use scenarios::{Api, Demo, Imap, Mailbox, Wire, until};
use serde_json::json;

/// The service of the north, and somebody there with a mailbox of their own.
struct Ward<'d> {
    demo: &'d Demo,
    address: String,
    nurse: Mailbox,
    api: Api,
}

impl<'d> Ward<'d> {
    fn new(demo: &'d Demo) -> Self {
        let site = demo.north();
        let address = site.mailbox("organizational").address.clone();
        Self { demo, address, nurse: site.personal(0).clone(), api: Api::admin(demo, site) }
    }

    fn path(&self) -> String {
        format!("/mailboxes/{}/delegations", self.address)
    }

    async fn grant(&self, role: &str) {
        let body = json!({"login": self.nurse.username, "role": role});
        self.api.post(&self.path(), &body).await.expect(201);
    }

    async fn change(&self, role: &str) {
        let path = format!("{}/{}", self.path(), self.nurse.username.as_deref().unwrap());
        let etag = self.api.get(&path).await.expect(200).etag().to_owned();
        self.api.patch(&path, &etag, &json!({ "role": role })).await.expect(200);
    }

    async fn submission(&self) -> Wire {
        Wire::submission(self.demo, self.demo.north(), &self.nurse).await
    }

    /// The service's own mailbox, as its chief opens it.
    async fn imap(&self) -> Imap {
        Imap::login(self.demo, self.demo.north(), self.demo.north().mailbox("organizational")).await
    }
}

fn letter(from: &str, more: &str, marker: &str) -> Vec<u8> {
    format!("From: <{from}>\r\n{more}To: <x@example.com>\r\nSubject: {marker}\r\n\r\n{marker}\r\n")
        .into_bytes()
}

/// The answer to the end of a message.
async fn send(wire: &mut Wire, from: &str, to: &str, content: &[u8]) -> String {
    wire.ask(&format!("MAIL FROM:<{from}>"), "250").await;
    wire.ask(&format!("RCPT TO:<{to}>"), "250").await;
    wire.ask("DATA", "354").await;
    wire.send_raw(content).await;
    wire.send_raw(b".\r\n").await;
    wire.reply().await.text()
}

#[tokio::test]
async fn an_editor_sends_for_a_service_and_the_service_keeps_a_seen_copy() {
    let demo = Demo::start();
    let ward = Ward::new(&demo);
    let to = demo.south().personal(0);
    let mut wire = ward.submission().await;
    wire.ask(&format!("MAIL FROM:<{}>", ward.address), "550 5.7.1").await;
    ward.grant("write").await;
    let own = ward.nurse.address.clone();
    let content = letter(&ward.address, &format!("Sender: <{own}>\r\n"), "for the service");
    let reply = send(&mut wire, &ward.address, &to.address, &content).await;
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
    let mut south = Imap::login(&demo, demo.south(), to).await;
    let arrived = String::from_utf8(south.letter("for the service").await).unwrap();
    assert!(arrived.contains(&format!("From: <{}>", ward.address)), "{arrived}");
    assert!(arrived.contains(&format!("Return-Path: <{}>", ward.address)), "{arrived}");
    let mut imap = ward.imap().await;
    let sent = imap.messages("Sent").await;
    assert_eq!(sent.len(), 1);
    assert!(String::from_utf8_lossy(&sent[0]).contains("for the service"));
    // A message that names nobody gets the address that it is sent with.
    let without_from = b"Subject: nameless\r\n\r\nnameless\r\n";
    let reply = send(&mut wire, &ward.address, &to.address, without_from).await;
    assert!(reply.starts_with("250"), "{reply}");
    let named = String::from_utf8(south.letter("nameless").await).unwrap();
    assert!(named.contains(&format!("From: <{}>", ward.address)), "{named}");
}

#[tokio::test]
async fn what_is_sent_for_a_service_over_rest_is_filed_there_and_not_among_the_sender_s_own() {
    let demo = Demo::start();
    let ward = Ward::new(&demo);
    ward.grant("write").await;
    let (name, password) = (ward.nurse.username.as_deref().unwrap(), ward.nurse.password.as_deref().unwrap());
    let rest = Api::anonymous(&demo, demo.north()).with_password(name, password);
    let to = demo.south().personal(0);
    for (from, subject) in [(&ward.address, "for the service"), (&ward.nurse.address, "my own")] {
        let body = json!({"from": {"address": from}, "to": [{"address": to.address}], "subject": subject, "text": "t"});
        let sent = rest.post("/messages", &body).await.expect(201).json();
        assert_eq!(sent["id"].is_null(), from == &ward.address, "{sent}");
    }
    let about = |messages: &[Vec<u8>]| -> Vec<bool> {
        messages.iter().map(|text| String::from_utf8_lossy(text).contains("for the service")).collect()
    };
    assert_eq!(about(&ward.imap().await.messages("Sent").await), [true]);
    let mut own = Imap::login(&demo, demo.north(), &ward.nurse).await;
    assert_eq!(about(&own.messages("Sent").await), [false]);
}

#[tokio::test]
async fn a_service_that_wants_no_copy_of_what_is_sent_for_it_keeps_none() {
    let demo = Demo::start();
    let ward = Ward::new(&demo);
    ward.grant("write").await;
    let path = format!("/mailboxes/{}", ward.address);
    let mailbox = ward.api.get(&path).await.expect(200);
    assert_eq!(mailbox.json()["filesSent"], true);
    let changed = ward.api.patch(&path, mailbox.etag(), &json!({"filesSent": false})).await.expect(200);
    assert_eq!(changed.json()["filesSent"], false);
    let to = &demo.south().personal(0).address;
    let mut wire = ward.submission().await;
    let reply = send(&mut wire, &ward.address, to, &letter(&ward.address, "", "kept by nobody")).await;
    assert!(reply.starts_with("250"), "{reply}");
    ward.api.patch(&path, changed.etag(), &json!({"filesSent": true})).await.expect(200);
    let reply = send(&mut wire, &ward.address, to, &letter(&ward.address, "", "kept again")).await;
    assert!(reply.starts_with("250"), "{reply}");
    let sent = ward.imap().await.messages("Sent").await;
    let is_kept: Vec<_> =
        sent.iter().map(|text| String::from_utf8_lossy(text).contains("kept again")).collect();
    assert_eq!(is_kept, [true]);
}

#[tokio::test]
async fn the_copy_is_seen_by_who_sent_and_new_to_the_others() {
    let demo = Demo::start();
    let ward = Ward::new(&demo);
    ward.grant("write").await;
    let content = letter(&ward.address, "", "seen by one");
    let to = demo.north().personal(1).address.clone();
    let reply = send(&mut ward.submission().await, &ward.address, &to, &content).await;
    assert!(reply.starts_with("250"), "{reply}");
    let mut chief = ward.imap().await;
    assert!(chief.ok("STATUS Sent (MESSAGES UNSEEN)").await.text().contains("MESSAGES 1 UNSEEN 1"));
    let shared = Mailbox { username: Some(ward.address.clone()), ..ward.nurse.clone() };
    let mut nurse = Imap::login(&demo, demo.north(), &shared).await;
    assert!(nurse.ok("STATUS Sent (MESSAGES UNSEEN)").await.text().contains("MESSAGES 1 UNSEEN 0"));
}

#[tokio::test]
async fn a_reader_a_false_author_and_a_closed_mailbox_are_refused() {
    let demo = Demo::start();
    let ward = Ward::new(&demo);
    let (to, own) = (demo.north().personal(1).address.clone(), ward.nurse.address.clone());
    ward.grant("read").await;
    let mut wire = ward.submission().await;
    let from_ward = format!("MAIL FROM:<{}>", ward.address);
    wire.ask(&from_ward, "550 5.7.1").await;
    ward.change("write").await;
    for (envelope, from, sender) in [
        (&ward.address, &own, None),
        (&own, &ward.address, None),
        (&own, &ward.address, Some(&own)),
        (&ward.address, &to, Some(&ward.address)),
        (&ward.address, &ward.address, Some(&to)),
    ] {
        let sender = sender.map(|sender| format!("Sender: <{sender}>\r\n")).unwrap_or_default();
        let reply = send(&mut wire, envelope, &to, &letter(from, &sender, "false")).await;
        assert!(reply.starts_with("550 5.7.1"), "{envelope} {from} {sender}: {reply}");
    }
    let both = format!("From: <{}>, <{own}>\r\nSender: <{own}>\r\n\r\nboth\r\n", ward.address);
    let reply = send(&mut wire, &ward.address, &to, both.as_bytes()).await;
    assert!(reply.starts_with("550 5.7.1"), "{reply}");
    // What was allowed when a message began is asked again at its end.
    wire.ask(&from_ward, "250").await;
    wire.ask(&format!("RCPT TO:<{to}>"), "250").await;
    wire.ask("DATA", "354").await;
    ward.change("read").await;
    wire.send_raw(&letter(&ward.address, "", "too late")).await;
    wire.ask(".", "550 5.7.1").await;
    ward.change("write").await;
    demo.north().cli(&["mailbox", "delete", &ward.address]).ok();
    wire.ask(&from_ward, "550").await;
    let mut imap = Imap::login(&demo, demo.north(), demo.north().personal(1)).await;
    assert!(
        imap.messages("INBOX").await.iter().all(|text| !String::from_utf8_lossy(text).contains("too late"))
    );
}

#[tokio::test]
async fn an_application_sends_for_every_mailbox_that_it_was_given() {
    let demo = Demo::start();
    let site = demo.north();
    let application = &site.applications[0];
    site.cli(&["mailbox", "create", &format!("robot@{}", site.domain), "--kind", "applicative"]).ok();
    let robot = format!("robot@{}", site.domain);
    site.cli(&["application", "grant", &application.name, &robot]).ok();
    let tls = demo.client(&application.certificate());
    let mut wire = Wire::implicit(site.ports["submissions"], &tls).await;
    wire.expect("220").await;
    wire.ask("EHLO app.example", "250").await;
    wire.ask(&format!("AUTH EXTERNAL {}", BASE64.encode(&application.mailboxes[0])), "235").await;
    let to = site.personal(0);
    let reply = send(&mut wire, &robot, &to.address, &letter(&robot, "", "by certificate")).await;
    assert!(reply.starts_with("250"), "{reply}");
    let mut imap = Imap::login(&demo, site, to).await;
    until("the letter", async || imap.letters("by certificate").await.pop()).await;
    wire.ask(&format!("MAIL FROM:<{}>", to.address), "550 5.7.1").await;
}
