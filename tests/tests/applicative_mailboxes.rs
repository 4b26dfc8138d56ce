//! An applicative mailbox that is made with the certificate that opens it: both or neither.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use scenarios::{Api, Certificate, Demo, Imap};
use serde_json::{Value, json};

/// A certificate of an application, and what the request of a mailbox says of it.
fn issued(demo: &Demo, name: &str) -> (Certificate, Value) {
    let address = format!("{name}@{}", demo.north().domain);
    let certificate = Certificate::issue_application(&demo.authority(), name, &address);
    let facts = pki::certificate_facts(certificate.chain_pem.as_bytes()).unwrap();
    let serial: String = certificate.serial.iter().map(|octet| format!("{octet:02X}")).collect();
    let said = json!({
        "serial": serial, "issuer": facts.issuer.to_string(), "subject": facts.subject.to_string(),
        "validUntil": "2099-12-31T23:59:59Z",
    });
    (certificate, said)
}

fn asked(demo: &Demo, name: &str, certificate: &Value) -> Value {
    json!({
        "type": "applicative", "email": format!("{name}@{}", demo.north().domain),
        "application": {"name": "DPI H\u{f4}pital", "finess": "010001238", "description": "Dossier patient"},
        "authentication": "ORG_AUTH_CLI", "certificate": certificate,
    })
}

async fn items(api: &Api, path: &str) -> Vec<Value> {
    api.get(path).await.expect(200).json()["items"].as_array().unwrap().clone()
}

async fn opens(demo: &Demo, certificate: &Certificate, name: &str) {
    let mut imap = Imap::connect(demo.north().ports["imaps"], &demo.client(certificate)).await;
    let authzid = if name.is_empty() {
        "=".to_owned()
    } else {
        BASE64.encode(format!("{name}@{}", demo.north().domain))
    };
    imap.ok(&format!("AUTHENTICATE EXTERNAL {authzid}")).await;
    imap.ok("SELECT INBOX").await;
}

#[tokio::test]
async fn a_mailbox_made_with_a_certificate_is_opened_by_it_and_by_its_application_only() {
    let demo = Demo::start();
    let api = Api::admin(&demo, demo.north());
    let (certificate, said) = issued(&demo, "app.dpi");
    let made = api.post("/mailboxes", &asked(&demo, "app.dpi", &said)).await.expect(201).json();
    assert_eq!((&made["authentication"], &made["status"]), (&json!("ORG_AUTH_CLI"), &json!("active")));
    opens(&demo, &certificate, "").await;
    let application = items(&api, "/applications?name=app.dpi").await;
    let path = format!("/applications/{}", application[0]["id"].as_str().unwrap());
    let rules = items(&api, &format!("{path}/rules")).await;
    assert_eq!((rules.len(), &rules[0]["until"]), (1, &json!("2099-12-31T23:59:59.000Z")));
    assert_eq!(items(&api, &format!("{path}/mailboxes")).await[0]["role"], "manage");
    // Another mailbox with the same certificate is its application's too, however the number is written.
    let mut same = said.clone();
    let serial = said["serial"].as_str().unwrap().to_lowercase();
    let pairs: Vec<&str> = (0..serial.len() / 2).map(|octet| &serial[2 * octet..2 * octet + 2]).collect();
    same["serial"] = json!(pairs.join(":"));
    api.post("/mailboxes", &asked(&demo, "app.mss", &same)).await.expect(201);
    assert!(items(&api, "/applications?name=app.mss").await.is_empty());
    assert_eq!(items(&api, &format!("{path}/mailboxes")).await.len(), 2);
    for name in ["app.dpi", "app.mss"] {
        opens(&demo, &certificate, name).await;
    }
    // Another certificate is not let in, and one whose subject is not the one that was said neither.
    let (other, mut wrong) = issued(&demo, "app.autre");
    wrong["subject"] = json!("CN=app.tiers,O=Autre,C=FR");
    api.post("/mailboxes", &asked(&demo, "app.autre", &wrong)).await.expect(201);
    let mut imap = Imap::connect(demo.north().ports["imaps"], &demo.client(&other)).await;
    let refused = imap.command("AUTHENTICATE EXTERNAL =").await;
    assert!(refused.status.starts_with("NO [AUTHENTICATIONFAILED]"), "{}", refused.status);
}

#[tokio::test]
async fn what_cannot_be_made_with_its_certificate_is_not_made_at_all() {
    let demo = Demo::start();
    let (site, api) = (demo.north(), Api::admin(&demo, demo.north()));
    let (_, said) = issued(&demo, "labo");
    api.post("/applications", &json!({"name": "labo"})).await.expect(201);
    let refused = api.post("/mailboxes", &asked(&demo, "labo", &said)).await.expect(409);
    assert!(refused.json()["detail"].as_str().unwrap().contains("PUT /applications/"), "{}", refused.json());
    let odd = api.post("/mailboxes", &asked(&demo, "labo+un", &said)).await.expect(422);
    assert_eq!(odd.fault(), "/certificate");
    for name in ["labo", "labo+un"] {
        api.get(&format!("/mailboxes/{name}@{}", site.domain)).await.expect(404);
    }
    assert!(items(&api, "/audit?action=rule.added&limit=100").await.iter().all(|row| row["via"] != "rest"));
    // Each fault with its place.
    let with = |member: &str, value: &str| {
        let mut said = said.clone();
        said[member] = json!(value);
        asked(&demo, "robot", &said)
    };
    for (body, place) in [
        (with("serial", "1A2"), "/certificate/serial"),
        (with("issuer", "AC"), "/certificate/issuer"),
        (with("subject", "nobody"), "/certificate/subject"),
        (with("validUntil", "2020-01-01T00:00:00Z"), "/certificate/validUntil"),
    ] {
        assert_eq!(api.post("/mailboxes", &body).await.expect(422).fault(), place, "{body}");
    }
    let mut requested = asked(&demo, "robot", &said);
    requested["workflow"] = json!("requested");
    assert_eq!(api.post("/mailboxes", &requested).await.expect(422).fault(), "/certificate");
    let owner = json!({"login": site.personal(0).username});
    let personal = json!({"type": "personal", "email": format!("p@{}", site.domain), "owner": owner, "certificate": said});
    assert_eq!(api.post("/mailboxes", &personal).await.expect(422).fault(), "/certificate");
    // Whoever makes mailboxes only lets no application in by the way.
    let role = json!([{"role": "domain", "domain": site.domain}]);
    let key = api.post("/keys", &json!({"name": "of-domain", "roles": role})).await.expect(201).json();
    let of_domain = Api::anonymous(&demo, site).with_key(key["key"].as_str().unwrap());
    let body = asked(&demo, "robot", &said);
    assert_eq!(of_domain.post("/mailboxes", &body).await.expect(403).code(), "forbidden");
    assert!(items(&api, "/applications?name=robot").await.is_empty());
    let mut without = body.clone();
    without.as_object_mut().unwrap().remove("certificate");
    of_domain.post("/mailboxes", &without).await.expect(201);
}
