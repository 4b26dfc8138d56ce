//! `/certificates`, `/applications`: the inventory, our own certificate replaced, applications that log in.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use scenarios::{Api, Certificate, Demo, Imap, Site, now, openssl, until};
use serde_json::{Value, json};

const DAY_SECS: i64 = 86_400;

async fn items(api: &Api, path: &str) -> Vec<Value> {
    api.get(path).await.expect(200).json()["items"].as_array().unwrap().clone()
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The serial number of what a site presents on imaps, in hexadecimal.
fn presented(site: &Site) -> String {
    let address = format!("127.0.0.1:{}", site.ports["imaps"]);
    let printed = openssl(&["s_client", "-connect", &address, "-servername", "localhost"]);
    let begin = printed.find("-----BEGIN CERTIFICATE-----").unwrap();
    let file = site.data_dir.join("presented.pem");
    std::fs::write(&file, &printed[begin..]).unwrap();
    let serial = openssl(&["x509", "-noout", "-serial", "-in", file.to_str().unwrap()]);
    serial.trim().replace("serial=", "").to_lowercase()
}

fn replacement(certificate: &Certificate) -> Value {
    json!({"certificate": certificate.chain_pem, "privateKey": certificate.key_pem, "replaces": "server"})
}

#[tokio::test]
async fn our_certificate_is_replaced_without_a_restart_only_by_one_that_stands() {
    let demo = Demo::start();
    let (site, authority) = (demo.north(), demo.authority());
    let api = Api::admin(&demo, site);
    let before = presented(site);
    let good = Certificate::issue_for(&authority, &site.domain, &[&site.hostname, "localhost"], now());
    let expired = Certificate::issue_for(
        &authority,
        &site.domain,
        &[&site.hostname],
        now().plus_secs(-4 * 365 * DAY_SECS),
    );
    let nameless = Certificate::issue_for(&authority, "else.example", &["mx.else.example"], now());
    let other_key = Certificate { key_pem: expired.key_pem.clone(), ..good.clone() };
    for (certificate, cause) in [
        (&expired, "expired"),
        (&nameless, "does not name"),
        (&other_key, "not the key of the first certificate"),
    ] {
        let english = api.with_header("Accept-Language", "en");
        let refused = english.post("/certificates", &replacement(certificate)).await.expect(422);
        assert_eq!(refused.fault(), "/certificate");
        assert!(refused.json().to_string().contains(cause), "{}", refused.json());
        let checked = api.post("/certificates/check", &replacement(certificate)).await.expect(200).json();
        assert_eq!(checked["findings"][0]["wouldBeTaken"], false, "{checked}");
        assert_eq!(presented(site), before, "{cause}");
    }
    let made = api.post("/certificates", &replacement(&good)).await.expect(201);
    assert!(!String::from_utf8_lossy(&made.body).contains("PRIVATE KEY"));
    assert_eq!(presented(site), hexadecimal(&good.serial));
    let own = items(&api, "/certificates?holder=own").await;
    assert_eq!((own.len(), &own[0]["serial"]), (1, &hexadecimal(&good.serial).into()), "{own:?}");
    assert_eq!(items(&api, "/certificates?status=withdrawn").await.len(), 1, "the one that it renews");
    let empty = json!({"certificate": "", "privateKey": "x"});
    let refused = api.post("/certificates/check", &empty).await.expect(422).json();
    assert_eq!(refused["errors"][0]["pointer"], "/certificate", "{refused}");
    let checked = api.post("/certificates/check", &json!({})).await.expect(200).json();
    assert_eq!(checked["findings"][0]["wouldBeTaken"], true, "{checked}");
    demo.reload();
    assert_eq!(presented(site), hexadecimal(&good.serial), "it is what the files hold");
}

#[tokio::test]
async fn the_inventory_is_shown_noted_withdrawn_and_given_as_pem() {
    let demo = Demo::start();
    let api = Api::admin(&demo, demo.north());
    let other = demo.certificate("other.example");
    let made = api
        .post("/certificates", &json!({"certificate": other.chain_pem, "note": "spare"}))
        .await
        .expect(201);
    let path = made.header("location").strip_prefix("/api/v1").unwrap().to_owned();
    let shown = api.get(&path).await.expect(200);
    assert_eq!((&shown.json()["note"], &shown.json()["usage"]), (&"spare".into(), &"SERV_SSL".into()));
    let pem = api.with_header("Accept", "application/x-pem-file").get(&path).await.expect(200);
    let text = String::from_utf8(pem.body).unwrap();
    assert!(other.chain_pem.replace("\r\n", "\n").starts_with(text.trim_end()), "{text}");
    let noted = api.patch(&path, shown.etag(), &json!({"note": "asked to be revoked"})).await.expect(200);
    assert_eq!(noted.json()["note"], "asked to be revoked");
    assert_eq!(
        api.patch(&path, shown.etag(), &json!({"note": "late"})).await.expect(412).code(),
        "precondition_failed"
    );
    assert_eq!(api.request("PATCH", &path, Some(b"{}")).await.expect(428).code(), "precondition_required");
    let withdrawn = api.request("POST", &format!("{path}/withdraw"), None).await.expect(200).json();
    assert_eq!(withdrawn["status"], "withdrawn");
    let ids = |rows: &[Value]| rows.iter().filter(|row| row["serial"] == withdrawn["serial"]).count();
    assert_eq!(ids(&items(&api, "/certificates").await), 0);
    assert_eq!(ids(&items(&api, "/certificates?all=true").await), 1);
    assert_eq!(
        api.post("/certificates", &json!({"certificate": "no"})).await.expect(422).fault(),
        "/certificate"
    );
}

#[tokio::test]
async fn a_request_is_made_with_a_new_key_that_is_shown_once() {
    let demo = Demo::start();
    let api = Api::admin(&demo, demo.north());
    let asked = json!({"commonName": "mx.new.example", "organization": "CHU", "names": ["mx.new.example"]});
    let made = api.post("/certificates/requests", &asked).await.expect(200).json();
    assert!(made["privateKey"].as_str().unwrap().contains("BEGIN PRIVATE KEY"));
    let file = demo.north().data_dir.join("new.csr");
    std::fs::write(&file, made["request"].as_str().unwrap()).unwrap();
    let printed = openssl(&["req", "-in", file.to_str().unwrap(), "-noout", "-text", "-verify"]);
    assert!(printed.contains("DNS:mx.new.example"), "{printed}");
    let again = json!({"commonName": "mx.new.example", "privateKey": made["privateKey"]});
    assert!(api.post("/certificates/requests", &again).await.expect(200).json()["privateKey"].is_null());
    let unnamed = json!({"commonName": ""});
    let refused = api.post("/certificates/requests", &unnamed).await.expect(422);
    assert_eq!(refused.fault(), "/commonName");
    let wrong = json!({"commonName": "mx.new.example", "country": "FRA"});
    assert_eq!(api.post("/certificates/requests", &wrong).await.expect(422).fault(), "/country");
}

#[tokio::test]
async fn an_application_logs_in_by_a_rule_until_it_ends() {
    let demo = Demo::start();
    let site = demo.north();
    let api = Api::admin(&demo, site);
    let mailbox = site.new_mailbox("resultats", "1M");
    let certificate = Certificate::issue_application(&demo.authority(), "labo-9", &mailbox.address);
    let made = api.post("/applications", &json!({"name": "Labo-9"})).await.expect(201);
    assert_eq!(made.json()["name"], "labo-9");
    assert_eq!(api.post("/applications", &json!({"name": "labo-9"})).await.expect(409).code(), "conflict");
    assert_eq!(api.post("/applications", &json!({"name": "un labo"})).await.expect(422).fault(), "/name");
    let path = made.header("location").strip_prefix("/api/v1").unwrap().to_owned();
    let rule =
        json!({"certificate": certificate.chain_pem, "by": "subject", "until": "2099-01-01T00:00:00Z"});
    let ruled = api.post(&format!("{path}/rules"), &rule).await.expect(201);
    assert_eq!(ruled.json()["until"], "2099-01-01T00:00:00.000Z");
    let id = mailbox_id(site, &mailbox.address);
    let opened =
        api.request("PUT", &format!("{path}/mailboxes/{id}"), Some(br#"{"role":"write"}"#)).await.expect(200);
    assert_eq!(opened.json()["role"], "write");
    assert_eq!(items(&api, &format!("{path}/mailboxes")).await[0]["email"], mailbox.address.as_str());
    let mut imap = Imap::connect(site.ports["imaps"], &demo.client(&certificate)).await;
    imap.ok("AUTHENTICATE EXTERNAL =").await;
    imap.ok("SELECT INBOX").await;
    let of_it = format!("/certificates?applicationId={}", made.json()["id"].as_str().unwrap());
    assert_eq!(items(&api, &of_it).await.len(), 1);
    let rule = ruled.header("location").strip_prefix("/api/v1").unwrap().to_owned();
    api.request("DELETE", &rule, None).await.expect(204);
    api.request("DELETE", &rule, None).await.expect(404);
    imap.until_line("* BYE").await;
    imap.expect_closed().await;
    api.request("DELETE", &format!("{path}/mailboxes/{id}"), None).await.expect(204);
    api.request("DELETE", &path, None).await.expect(204);
    api.get(&path).await.expect(404);
    until("the application is no longer listed", async || {
        items(&api, "/applications?name=labo-9").await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_application_is_renamed_and_keeps_what_hangs_on_it() {
    let demo = Demo::start();
    let (site, api) = (demo.north(), Api::admin(&demo, demo.north()));
    let application = &site.applications[0];
    let found = items(&api, &format!("/applications?name={}", application.name)).await;
    let path = format!("/applications/{}", found[0]["id"].as_str().unwrap());
    let shown = api.get(&path).await.expect(200);
    let mut imap = Imap::connect(site.ports["imaps"], &demo.client(&application.certificate())).await;
    let authzid = BASE64.encode(&application.mailboxes[0]);
    imap.ok(&format!("AUTHENTICATE EXTERNAL {authzid}")).await;
    let other = api.post("/applications", &json!({"name": "autre"})).await.expect(201);
    assert!(!other.etag().is_empty());
    let new = json!({"name": "Labo-Central"});
    api.request("PATCH", &path, Some(new.to_string().as_bytes())).await.expect(428);
    api.patch(&path, "\"0\"", &new).await.expect(412);
    assert_eq!(
        api.patch(&path, shown.etag(), &json!({"name": "autre"})).await.expect(409).code(),
        "conflict"
    );
    assert_eq!(
        api.patch(&path, shown.etag(), &json!({"name": "un labo"})).await.expect(422).fault(),
        "/name"
    );
    assert_eq!(api.patch(&path, shown.etag(), &json!({})).await.expect(200).etag(), shown.etag());
    let renamed = api.patch(&path, shown.etag(), &new).await.expect(200);
    assert_eq!(renamed.json()["name"], "labo-central");
    assert_eq!(renamed.json()["id"], shown.json()["id"]);
    assert_ne!(renamed.etag(), shown.etag());
    api.patch(&path, shown.etag(), &json!({"name": "trop-tard"})).await.expect(412);
    let row = items(&api, "/audit?action=application.changed&limit=2").await;
    assert_eq!(row.len(), 1, "{row:?}");
    let told = (&row[0]["personal"]["before"], &row[0]["personal"]["after"]);
    assert_eq!(told, (&json!(application.name), &json!("labo-central")));
    // The rules, the mailboxes and the session that stood; the former name is free.
    imap.ok("SELECT INBOX").await;
    assert_eq!(items(&api, &format!("{path}/mailboxes")).await.len(), application.mailboxes.len());
    api.get("/applications/labo-central/roles").await.expect(200);
    api.get(&format!("/applications/{}/roles", application.name)).await.expect(404);
    api.post("/applications", &json!({"name": application.name})).await.expect(201);
}

/// The id of a mailbox, as the command line tells it.
fn mailbox_id(site: &Site, address: &str) -> i64 {
    site.cli(&["mailbox", "show", address, "--json"]).json()["id"].as_str().unwrap().parse::<i64>().unwrap()
}
