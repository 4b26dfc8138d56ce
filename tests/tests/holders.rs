//! Whose own an applicative mailbox is: of several applications the one with role `admin`. What another reads in it is in the audit trail, by
//! whatever door.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use scenarios::{Api, Certificate, ClientTls, Demo, Imap};
use serde_json::{Value, json};

/// An application of chu-nord with a certificate.
struct App {
    id: String,
    tls: ClientTls,
}

impl App {
    async fn new(demo: &Demo, admin: &Api, name: &str) -> Self {
        let made = admin.post("/applications", &json!({"name": name})).await.expect(201).json();
        let id = made["id"].as_str().unwrap().to_owned();
        let address = format!("{name}@{}", demo.north().domain);
        let certificate = Certificate::issue_application(&demo.authority(), name, &address);
        let rule = json!({"certificate": certificate.chain_pem});
        admin.post(&format!("/applications/{id}/rules"), &rule).await.expect(201);
        Self { id, tls: demo.client(&certificate) }
    }

    async fn given(&self, admin: &Api, mailbox: &str, role: &str) -> Value {
        let path = format!("/applications/{}/mailboxes/{mailbox}", self.id);
        let role = json!({ "role": role }).to_string();
        admin.request("PUT", &path, Some(role.as_bytes())).await.expect(200).json()
    }

    /// Opens the inbox by IMAP.
    async fn selects(&self, demo: &Demo, mailbox: &str) {
        let mut imap = Imap::connect(demo.north().ports["imaps"], &self.tls).await;
        imap.ok(&format!("AUTHENTICATE EXTERNAL {}", BASE64.encode(mailbox))).await;
        imap.ok("SELECT INBOX").await;
    }

    /// Lists the folders by REST.
    async fn lists(&self, demo: &Demo, mailbox: &str) {
        let api =
            Api::anonymous(demo, demo.north()).with_tls(self.tls.clone()).with_header("Mailbox", mailbox);
        api.get("/folders").await.expect(200);
    }
}

/// Rows that tell of whoever looks at a mailbox that is not their own.
async fn told(admin: &Api, action: &str) -> usize {
    let page = admin.get(&format!("/audit?action={action}&limit=100")).await.expect(200).json();
    page["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn of_several_applications_the_one_with_role_admin_is_the_holder_and_others_are_told_of() {
    let demo = Demo::start();
    let admin = Api::admin(&demo, demo.north());
    let mailbox = format!("results@{}", demo.north().domain);
    let new = json!({"type": "applicative", "email": mailbox, "application": {"name": "Results", "finess": "010001238"}});
    admin.post("/mailboxes", &new).await.expect(201);
    let (laboratory, reader) =
        (App::new(&demo, &admin, "laboratory").await, App::new(&demo, &admin, "reader").await);
    // Alone it is the holder, whatever its role.
    reader.given(&admin, &mailbox, "read").await;
    reader.selects(&demo, &mailbox).await;
    reader.lists(&demo, &mailbox).await;
    assert_eq!((told(&admin, "folder.opened").await, told(&admin, "folder.listed").await), (0, 0));
    laboratory.given(&admin, &mailbox, "admin").await;
    for app in [&laboratory, &reader] {
        app.selects(&demo, &mailbox).await;
    }
    assert_eq!(told(&admin, "folder.opened").await, 1, "IMAP: the reader is told of, the holder is not");
    let api = |app: &App| {
        Api::anonymous(&demo, demo.north()).with_tls(app.tls.clone()).with_header("Mailbox", &mailbox)
    };
    let folders = api(&laboratory).get("/folders").await.expect(200).json();
    let inbox = folders["items"][0]["id"].as_str().unwrap().to_owned();
    for app in [&laboratory, &reader] {
        api(app).get(&format!("/messages?folder={inbox}")).await;
    }
    assert_eq!(told(&admin, "folder.listed").await, 1, "REST: the reader is told of, the holder is not");
}

#[tokio::test]
async fn an_application_is_let_into_a_mailbox_until_a_date() {
    let demo = Demo::shared();
    let admin = Api::admin(&demo, demo.north());
    let app = App::new(&demo, &admin, "holders-until").await;
    let path = format!("/applications/{}/mailboxes/{}", app.id, demo.north().mailbox("applicative").address);
    let put = async |terms: Value| admin.request("PUT", &path, Some(terms.to_string().as_bytes())).await;
    let given = put(json!({"role": "read", "until": "2090-01-31T23:59:59Z"})).await.expect(200).json();
    assert_eq!((&given["role"], &given["until"]), (&json!("read"), &json!("2090-01-31T23:59:59.000Z")));
    let listed = admin.get(&format!("/applications/{}/mailboxes", app.id)).await.expect(200).json();
    assert_eq!(listed["items"], json!([given]));
    assert_eq!(
        put(json!({"role": "read", "until": "2001-01-31T00:00:00Z"})).await.expect(422).fault(),
        "/until"
    );
    let lasting = put(json!({"role": "write"})).await.expect(200).json();
    assert_eq!((&lasting["role"], &lasting["until"]), (&json!("write"), &Value::Null));
    let address = &demo.north().mailbox("applicative").address;
    let grant = ["application", "grant", "holders-until", address, "--role", "read", "--until", "2090-01-31"];
    demo.north().cli(&grant).ok();
    let listed = admin.get(&format!("/applications/{}/mailboxes", app.id)).await.expect(200).json();
    assert_eq!(listed["items"], json!([given]), "the command line says the same");
}
