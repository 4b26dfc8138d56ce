//! Whoever may not log in any more is refused at every door, and their open sessions end: a person that is barred, an application out of service.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use scenarios::{Api, ClientTls, Demo, Imap, Mailbox, Wire};
use serde_json::json;
use std::time::{Duration, Instant};

/// Within which an open session hears that it has ended.
const SOON: Duration = Duration::from_secs(5);

/// Sessions that wait, on both doors that keep them.
struct Open {
    imap: Vec<Imap>,
    submission: Vec<Wire>,
}

impl Open {
    /// Each hears goodbye within five seconds of `begin`.
    async fn end(self, begin: Instant) {
        for mut imap in self.imap {
            imap.until_line("* BYE").await;
            imap.expect_closed().await;
        }
        for mut wire in self.submission {
            wire.expect("421 4.7.0").await;
            wire.expect_closed().await;
        }
        assert!(begin.elapsed() < SOON, "after {:?}", begin.elapsed());
    }
}

/// As they log in to one mailbox with a password.
struct Person<'d> {
    demo: &'d Demo,
    mailbox: Mailbox,
}

impl Person<'_> {
    async fn imap(&self) -> Imap {
        let mut imap = Imap::login(self.demo, self.demo.north(), &self.mailbox).await;
        imap.ok("SELECT INBOX").await;
        imap.idle().await;
        imap
    }

    fn rest(&self) -> Api {
        let password = self.mailbox.password.as_deref().unwrap();
        Api::anonymous(self.demo, self.demo.north()).with_password(&self.mailbox.address, password)
    }

    async fn submission(&self) -> Wire {
        Wire::login(self.demo.north().ports["submissions"], &self.demo.anonymous(), &self.mailbox).await
    }

    async fn open(&self) -> Open {
        self.rest().get("/folders").await.expect(200);
        Open { imap: vec![self.imap().await], submission: vec![self.submission().await] }
    }

    async fn is_refused(&self) {
        let (address, password) = (&self.mailbox.address, self.mailbox.password.as_deref().unwrap());
        let ports = &self.demo.north().ports;
        let mut imap = Imap::connect(ports["imaps"], &self.demo.anonymous()).await;
        let said = imap.command(&format!("LOGIN {address} {password}")).await.status;
        assert!(said.starts_with("NO [AUTHENTICATIONFAILED]"), "{said}");
        let tried = Wire::try_login(ports["submissions"], &self.demo.anonymous(), &self.mailbox).await;
        assert!(tried.is_err());
        assert_eq!(self.rest().get("/folders").await.expect(401).code(), "unauthenticated");
    }
}

#[tokio::test]
async fn a_person_that_is_barred_is_refused_at_every_door_and_every_session_of_theirs_ends() {
    let demo = Demo::start();
    let site = demo.north();
    let admin = Api::admin(&demo, site);
    let own = site.new_mailbox("barred", "1G");
    let ward = site.mailbox("organizational");
    let given = json!({"login": own.address, "role": "write"});
    admin.post(&format!("/mailboxes/{}/delegations", ward.address), &given).await.expect(201);
    let shared = Mailbox {
        address: ward.address.clone(),
        kind: ward.kind.clone(),
        username: Some(ward.address.clone()),
        password: own.password.clone(),
    };
    let persons = [Person { demo: &demo, mailbox: own.clone() }, Person { demo: &demo, mailbox: shared }];
    let mut open = Open { imap: Vec::new(), submission: Vec::new() };
    for person in &persons {
        let more = person.open().await;
        open.imap.extend(more.imap);
        open.submission.extend(more.submission);
    }
    // Others in the same mailbox stay.
    let chief = Person { demo: &demo, mailbox: ward.clone() };
    let mut stays = chief.imap().await;
    let path = format!("/users/{}", own.address);
    let begin = Instant::now();
    admin.request("POST", &format!("{path}/disable"), None).await.expect(200);
    open.end(begin).await;
    for person in &persons {
        person.is_refused().await;
    }
    stays.done().await;
    stays.ok("NOOP").await;
    let again = json!({"login": own.address, "role": "read"});
    let second = admin.post(&format!("/mailboxes/{}/delegations", site.personal(1).address), &again).await;
    assert_eq!(second.expect(409).code(), "conflict");
    admin.request("POST", &format!("{path}/enable"), None).await.expect(200);
    drop(persons[1].open().await);
}

#[tokio::test]
async fn a_mailbox_that_is_suspended_is_refused_at_every_door_and_its_sessions_end() {
    let demo = Demo::start();
    let admin = Api::admin(&demo, demo.north());
    let person = Person { demo: &demo, mailbox: demo.north().new_mailbox("suspended", "1G") };
    let open = person.open().await;
    let begin = Instant::now();
    let path = format!("/mailboxes/{}/suspend", person.mailbox.address);
    admin.request("POST", &path, None).await.expect(200);
    open.end(begin).await;
    person.is_refused().await;
}

/// An application of the demo, at its first mailbox.
struct App<'d> {
    demo: &'d Demo,
    tls: ClientTls,
    mailbox: String,
}

impl App<'_> {
    fn identity(&self) -> String {
        BASE64.encode(&self.mailbox)
    }

    async fn greeted(&self) -> Wire {
        let mut wire = Wire::implicit(self.demo.north().ports["submissions"], &self.tls).await;
        wire.expect("220").await;
        wire.ask("EHLO app.example", "250").await;
        wire
    }

    fn rest(&self) -> Api {
        let api = Api::anonymous(self.demo, self.demo.north()).with_tls(self.tls.clone());
        api.with_header("Mailbox", &self.mailbox)
    }

    async fn open(&self) -> Open {
        self.rest().get("/folders").await.expect(200);
        let mut imap = Imap::connect(self.demo.north().ports["imaps"], &self.tls).await;
        imap.ok(&format!("AUTHENTICATE EXTERNAL {}", self.identity())).await;
        imap.ok("SELECT INBOX").await;
        imap.idle().await;
        let mut wire = self.greeted().await;
        wire.ask(&format!("AUTH EXTERNAL {}", self.identity()), "235").await;
        Open { imap: vec![imap], submission: vec![wire] }
    }

    async fn is_refused(&self) {
        let mut imap = Imap::connect(self.demo.north().ports["imaps"], &self.tls).await;
        let said = imap.command(&format!("AUTHENTICATE EXTERNAL {}", self.identity())).await.status;
        assert!(said.starts_with("NO"), "{said}");
        self.greeted().await.ask(&format!("AUTH EXTERNAL {}", self.identity()), "535").await;
        self.rest().get("/folders").await.expect(401);
    }
}

#[tokio::test]
async fn an_application_out_of_service_is_refused_at_every_door_and_its_sessions_end() {
    let demo = Demo::start();
    let site = demo.north();
    let admin = Api::admin(&demo, site);
    let application = &site.applications[0];
    let app = App {
        demo: &demo,
        tls: demo.client(&application.certificate()),
        mailbox: application.mailboxes[0].clone(),
    };
    let found = admin.get(&format!("/applications?name={}", application.name)).await.expect(200).json();
    let path = format!("/applications/{}", found["items"][0]["id"].as_str().unwrap());
    let open = app.open().await;
    let begin = Instant::now();
    admin.request("DELETE", &path, None).await.expect(204);
    open.end(begin).await;
    app.is_refused().await;
}
