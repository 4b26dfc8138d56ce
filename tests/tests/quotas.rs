//! Quotas by domain and kind, allocations of domains, and letters to those concerned.

use scenarios::{Api, Demo, Imap, Site, Wire, noise_letter, until};
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;

/// Letters in the INBOX with this in their text, lines joined that quoted-printable broke.
async fn letters(imap: &mut Imap, marker: &str) -> Vec<String> {
    let messages = imap.messages("INBOX").await;
    let texts = messages.iter().map(|content| String::from_utf8_lossy(content).replace("=\r\n", ""));
    texts.filter(|text| text.contains(marker)).collect()
}

/// The letter with this in its text, once it came.
async fn letter(imap: &mut Imap, marker: &str) -> String {
    until(marker, async || letters(imap, marker).await.pop()).await
}

/// A new mailbox of the north for an application, without a quota of its own.
async fn applicative(api: &Api, site: &Site, name: &str) -> Value {
    let address = format!("{name}@{}", site.domain);
    let body = json!({"type": "applicative", "email": address, "application": {"name": name, "finess": "010001238"}});
    let made = api.post("/mailboxes", &body).await;
    assert_eq!(made.status, 201, "{}", String::from_utf8_lossy(&made.body));
    made.json()
}

async fn quota(api: &Api, address: &str) -> Value {
    api.get(&format!("/mailboxes/{address}")).await.expect(200).json()["quota"].clone()
}

#[tokio::test]
async fn the_nearest_default_counts_and_a_change_is_in_force_at_once() {
    let demo = Demo::start();
    let site = demo.north();
    let api = Api::admin(&demo, site);
    let made = applicative(&api, site, "robot").await;
    let address = made["email"].as_str().unwrap().to_owned();
    assert_eq!(made["quota"]["own"], json!(false), "{made}");
    let of_kind = json!({"kind": "applicative", "quotaBytes": 10 * MIB});
    api.post("/quotas", &of_kind).await.expect(201);
    assert_eq!(api.post("/quotas", &of_kind).await.expect(409).code(), "conflict");
    assert_eq!(quota(&api, &address).await["bytes"], json!(10 * MIB));
    let near = json!({"domain": site.domain, "kind": "applicative", "quotaBytes": 20 * MIB});
    let near = api.post("/quotas", &near).await.expect(201);
    let path = near.header("location").trim_start_matches("/api/v1").to_owned();
    api.post("/quotas", &json!({"domain": site.domain, "quotaBytes": 30 * MIB})).await.expect(201);
    assert_eq!(quota(&api, &address).await["bytes"], json!(20 * MIB));
    let changed = api.patch(&path, near.etag(), &json!({"quotaBytes": 25 * MIB})).await.expect(200);
    assert_eq!(quota(&api, &address).await["bytes"], json!(25 * MIB));
    api.patch(&path, near.etag(), &json!({"quotaBytes": 26 * MIB})).await.expect(412);
    let second = applicative(&api, site, "second").await;
    assert_eq!(second["quota"]["bytes"], json!(25 * MIB), "a new mailbox follows the default");
    api.delete(&path, changed.etag()).await.expect(204);
    assert_eq!(quota(&api, &address).await["bytes"], json!(30 * MIB));
    let personal = quota(&api, &site.personal(0).address).await;
    assert_eq!((&personal["own"], &personal["bytes"]), (&json!(true), &json!(1024 * MIB)));
    for (body, place) in [
        (json!({"quotaBytes": 10 * MIB}), ""),
        (json!({"kind": "cabinet", "quotaBytes": 1}), "/quotaBytes"),
        (json!({"domain": "none.example", "quotaBytes": 10 * MIB}), "/domain"),
    ] {
        assert_eq!(api.post("/quotas", &body).await.expect(422).fault(), place, "{body}");
    }
}

#[tokio::test]
async fn a_domain_gives_no_more_than_its_allocation() {
    let demo = Demo::start();
    let site = demo.north();
    let api = Api::admin(&demo, site);
    let domain = format!("/domains/{}", site.domain);
    let read = api.get(&domain).await.expect(200).etag().to_owned();
    let given: u64 = site.mailboxes.len() as u64 * 1024 * MIB;
    let read = api.patch(&domain, &read, &json!({"allocationMaxBytes": given + 40 * MIB})).await.expect(200);
    api.post("/quotas", &json!({"kind": "applicative", "quotaBytes": 25 * MIB})).await.expect(201);
    applicative(&api, site, "robot").await;
    let address = format!("second@{}", site.domain);
    let body = json!({"type": "applicative", "email": address, "application": {"name": "second", "finess": "010001238"}});
    let refused = api.post("/mailboxes", &body).await.expect(409);
    assert_eq!(refused.code(), "allocation_exceeded");
    assert!(refused.json()["detail"].as_str().unwrap().contains(&(given + 40 * MIB).to_string()));
    let larger = json!({"domain": site.domain, "kind": "applicative", "quotaBytes": 50 * MIB});
    assert_eq!(api.post("/quotas", &larger).await.expect(409).code(), "allocation_exceeded");
    assert_eq!(quota(&api, &format!("robot@{}", site.domain)).await["bytes"], json!(25 * MIB));
    api.patch(&domain, read.etag(), &json!({ "allocationMaxBytes": null })).await.expect(200);
    api.post("/mailboxes", &body).await.expect(201);
}

#[tokio::test]
async fn a_mailbox_is_warned_once_at_each_threshold() {
    let demo = Demo::start();
    let site = demo.north();
    let full = site.new_mailbox("filling", "2M");
    let sender = site.personal(0);
    let mut wire = Wire::submission(&demo, site, sender).await;
    let noise = |kib: usize| {
        let mut letter = noise_letter(&format!("noise{kib}"), kib * 1024);
        letter.splice(0..0, format!("From: <{}>\r\n", sender.address).into_bytes());
        letter
    };
    assert_eq!(wire.letter(&sender.address, &[&full.address], &noise(1700)).await.code, 250);
    let mut imap = Imap::login(&demo, site, &full).await;
    let warning = letter(&mut imap, "plus de 80 %").await;
    assert!(
        warning.contains("Auto-Submitted: auto-generated") && warning.contains("Return-Path: <>"),
        "{warning}"
    );
    assert_eq!(wire.letter(&sender.address, &[&full.address], &noise(260)).await.code, 250);
    letter(&mut imap, "plus de 95 %").await;
    assert_eq!(letters(&mut imap, "plus de 80 %").await.len(), 1);
}

#[tokio::test]
async fn those_concerned_are_told_of_access_given_and_of_a_mailbox_suspended() {
    let demo = Demo::start();
    let site = demo.north();
    let api = Api::admin(&demo, site);
    let (person, ward) = (site.personal(0), site.mailbox("organizational"));
    let path = format!("/mailboxes/{}/delegations", ward.address);
    let given = api.post(&path, &json!({"login": person.username, "role": "write"})).await.expect(201);
    let mut imap = Imap::login(&demo, site, person).await;
    let told = letter(&mut imap, "read, write").await;
    assert!(told.contains("Auto-Submitted: auto-generated"), "{told}");
    // Whoever administers it and has no mailbox of their own reads it in the service's.
    let mut chief = Imap::login(&demo, site, ward).await;
    assert_eq!(letters(&mut chief, "read, write").await.len(), 1);
    let one = format!("{path}/{}", person.username.as_deref().unwrap());
    api.delete(&one, given.etag()).await.expect(204);
    letter(&mut imap, "was taken away").await;
    drop(chief);
    api.post(&format!("/mailboxes/{}/suspend", ward.address), &json!({})).await.expect(200);
    api.post(&format!("/mailboxes/{}/activate", ward.address), &json!({})).await.expect(200);
    let mut chief = Imap::login(&demo, site, ward).await;
    letter(&mut chief, "is suspended").await;
    letter(&mut chief, "is restored").await;
}

#[tokio::test]
async fn a_password_for_one_mailbox_lends_no_other_address() {
    let demo = Demo::start();
    let site = demo.north();
    let api = Api::admin(&demo, site);
    let (person, ward) = (site.personal(0), site.mailbox("organizational"));
    let path = format!("/mailboxes/{}/delegations", ward.address);
    api.post(&path, &json!({"login": person.username, "role": "write"})).await.expect(201);
    let body = json!({"label": "one mailbox", "mailbox": person.address});
    let made = api.post(&format!("/users/{}/passwords", person.address), &body).await.expect(201).json();
    let mut narrow = person.clone();
    narrow.password = made["password"].as_str().map(str::to_owned);
    let mut wire = Wire::submission(&demo, site, &narrow).await;
    wire.ask(&format!("MAIL FROM:<{}>", ward.address), "550 5.7.1").await;
    wire.ask(&format!("MAIL FROM:<{}>", person.address), "250").await;
}
