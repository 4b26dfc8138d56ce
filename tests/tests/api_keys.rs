//! API keys and application passwords by REST: shown once, worth what they say, for as long as they say.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{Answer, Api, Demo, Imap, Mailbox, Site};
use serde_json::{Value, json};

fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap_or_else(|| panic!("no {name}: {answer}"))
}

/// A new key with these roles and scopes: its number and somebody who calls with it.
async fn key(demo: &Demo, site: &Site, name: &str, roles: Value, scopes: Value) -> (String, Api) {
    let body = json!({"name": name, "roles": roles, "scopes": scopes});
    let made = Api::admin(demo, site).post("/keys", &body).await.expect(201).json();
    (text(&made, "id").to_owned(), Api::anonymous(demo, site).with_key(text(&made, "key")))
}

async fn etag(api: &Api, path: &str) -> String {
    api.get(path).await.expect(200).etag().to_owned()
}

#[tokio::test]
async fn a_key_is_shown_once_changed_rotated_and_revoked() {
    let demo = Demo::start();
    let site = demo.north();
    let admin = Api::admin(&demo, site);
    let (id, api) = key(&demo, site, "ops", json!([{"role": "operator"}]), json!([])).await;
    api.get("/domains").await.expect(200);
    let path = format!("/keys/{id}");
    let shown = admin.get(&path).await.expect(200);
    assert!(shown.json().get("key").is_none());
    assert!(text(&shown.json(), "prefix").starts_with("vgm_"));
    assert_eq!(shown.json()["createdBy"], "demo");
    let same = json!({"name": "ops", "roles": [{"role": "auditor"}]});
    assert_eq!(admin.post("/keys", &same).await.expect(409).code(), "conflict");
    let narrowed = admin.patch(&path, shown.etag(), &json!({"scopes": ["queue:read"]})).await.expect(200);
    assert_eq!(narrowed.json()["scopes"], json!(["queue:read"]));
    api.get("/domains").await.expect(403);
    admin.patch(&path, shown.etag(), &json!({"name": "other"})).await.expect(412);
    let rotated = admin.post(&format!("{path}/rotate"), &json!({})).await.expect(200).json();
    api.get("/service").await.expect(401);
    let again = Api::anonymous(&demo, site).with_key(text(&rotated, "key"));
    again.get("/service").await.expect(200);
    admin.delete(&path, &etag(&admin, &path).await).await.expect(204);
    again.get("/service").await.expect(401);
    admin.get(&path).await.expect(404);
    assert_eq!(admin.get("/keys").await.expect(200).json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn nobody_gives_a_key_more_than_they_have() {
    let demo = Demo::start();
    let site = demo.north();
    let narrow = json!(["keys:write", "keys:read", "queue:read"]);
    let (_, api) = key(&demo, site, "narrow", json!([{"role": "operator"}]), narrow).await;
    let wide = json!({"name": "wide", "roles": [{"role": "operator"}]});
    assert_eq!(api.post("/keys", &wide).await.expect(403).code(), "forbidden");
    let fits = json!({"name": "fits", "roles": [{"role": "operator"}], "scopes": ["queue:read"]});
    api.post("/keys", &fits).await.expect(201);
    // Nor does it give another key's secret to itself.
    let first = Api::admin(&demo, site).get("/keys").await.expect(200).json()["items"][0]["id"].clone();
    api.post(&format!("/keys/{}/rotate", first.as_str().unwrap()), &json!({})).await.expect(403);
    let (_, domain) =
        key(&demo, site, "domain", json!([{"role": "domain", "domain": site.domain}]), json!([])).await;
    domain.get("/keys").await.expect(403);
}

#[tokio::test]
async fn what_cannot_be_a_key_is_refused_with_its_place() {
    let demo = Demo::shared();
    let api = Api::admin(&demo, demo.north());
    let auditor = json!([{"role": "auditor"}]);
    for (body, place) in [
        (json!({"name": "", "roles": auditor}), "/name"),
        (json!({"name": "x", "roles": []}), "/roles"),
        (json!({"name": "x", "roles": [{"role": "domain"}]}), "/roles/0/domain"),
        (json!({"name": "x", "roles": [{"role": "domain", "domain": "none.example"}]}), "/roles/0/domain"),
        (
            json!({"name": "x", "roles": [{"role": "auditor", "domain": demo.north().domain}]}),
            "/roles/0/domain",
        ),
        (json!({"name": "x", "roles": auditor, "scopes": ["queue:read"]}), "/scopes/0"),
        (json!({"name": "x", "roles": auditor, "scopes": ["everything"]}), "/scopes/0"),
        (json!({"name": "x", "roles": auditor, "expiresAt": "2001-01-01T00:00:00Z"}), "/expiresAt"),
    ] {
        let answer = api.post("/keys", &body).await.expect(422);
        assert_eq!(answer.fault(), place, "{body}");
    }
}

#[tokio::test]
async fn the_last_operator_key_does_not_end_itself_by_mistake() {
    let demo = Demo::start();
    let site = demo.north();
    let api = Api::admin(&demo, site);
    let own = api.get("/keys").await.expect(200).json()["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/keys/{own}");
    let read = etag(&api, &path).await;
    assert_eq!(api.delete(&path, &read).await.expect(409).code(), "last_administrator");
    for change in [
        json!({"roles": [{"role": "auditor"}]}),
        json!({"scopes": ["queue:read"]}),
        json!({"expiresAt": "2099-01-01T00:00:00Z"}),
    ] {
        assert_eq!(api.patch(&path, &read, &change).await.expect(409).code(), "last_administrator");
    }
    let (_, second) = key(&demo, site, "second", json!([{"role": "operator"}]), json!([])).await;
    api.delete(&path, &read).await.expect(204);
    api.get("/service").await.expect(401);
    second.get("/service").await.expect(200);
}

#[tokio::test]
async fn an_application_administers_once_it_has_a_role() {
    let demo = Demo::start();
    let site = demo.north();
    let api = Api::admin(&demo, site);
    let application = &site.applications[0].name;
    let path = format!("/applications/{application}/roles");
    let none = api.get(&path).await.expect(200);
    assert_eq!(none.json()["roles"], json!([]));
    let domain = json!({"roles": [{"role": "domain", "domain": site.domain}]});
    let put = |etag: String| {
        let api = api.with_header("If-Match", &etag);
        let (path, body) = (path.clone(), domain.to_string());
        async move { api.request("PUT", &path, Some(body.as_bytes())).await }
    };
    let set = put(none.etag().to_owned()).await.expect(200);
    assert_eq!(set.json(), domain);
    put(none.etag().to_owned()).await.expect(412);
    api.get("/applications/none/roles").await.expect(404);
}

/// Whether a password opens a mailbox by IMAP.
async fn opens(demo: &Demo, address: &str, password: &str) -> bool {
    let mut imap = Imap::connect(demo.north().ports["imaps"], &demo.anonymous()).await;
    imap.command(&format!("LOGIN {address} {password}")).await.status.starts_with("OK")
}

fn holder(demo: &Demo, mailbox: &Mailbox) -> Api {
    let (name, password) = (mailbox.username.as_deref().unwrap(), mailbox.password.as_deref().unwrap());
    Api::anonymous(demo, demo.north()).with_password(name, password)
}

fn labels(page: &Answer) -> Vec<String> {
    let page = page.json();
    page["items"].as_array().unwrap().iter().map(|row| text(row, "label").to_owned()).collect()
}

#[tokio::test]
async fn a_holder_makes_uses_and_revokes_passwords_of_their_own() {
    let demo = Demo::start();
    let mailbox = demo.north().personal(0);
    let api = holder(&demo, mailbox);
    let body = json!({"label": "téléphone", "mailbox": mailbox.address});
    let made = api.post("/passwords", &body).await.expect(201);
    let password = text(&made.json(), "password").to_owned();
    assert_eq!(password.len(), 24);
    assert!(opens(&demo, &mailbox.address, &password).await);
    assert_eq!(api.post("/passwords", &json!({"label": "téléphone"})).await.expect(409).code(), "conflict");
    let listed = api.get("/passwords").await.expect(200);
    assert_eq!(labels(&listed).last().map(String::as_str), Some("téléphone"));
    assert!(!String::from_utf8_lossy(&listed.body).contains(&password));
    // What opens one mailbox makes nothing that opens more.
    let limited = api.with_password(&mailbox.address, &password);
    let second = limited.post("/passwords", &json!({"label": "second"})).await.expect(201).json();
    assert_eq!(second["mailbox"], json!(mailbox.address));
    let revoke =
        async |id: &Value| api.request("DELETE", &format!("/passwords/{}", id.as_str().unwrap()), None).await;
    revoke(&made.json()["id"]).await.expect(204);
    assert!(!opens(&demo, &mailbox.address, &password).await);
    revoke(&made.json()["id"]).await.expect(404);
    let other = demo.north().personal(1);
    let theirs = json!({"label": "x", "mailbox": other.address});
    assert_eq!(api.post("/passwords", &theirs).await.expect(422).fault(), "/mailbox");
}

#[tokio::test]
async fn an_administrator_makes_passwords_for_others_and_sees_no_secret() {
    let demo = Demo::start();
    let site = demo.north();
    let admin = Api::admin(&demo, site);
    let mailbox = site.personal(0);
    let path = format!("/users/{}/passwords", mailbox.address);
    let (_, domain) =
        key(&demo, site, "structure", json!([{"role": "domain", "domain": site.domain}]), json!([])).await;
    assert_eq!(domain.post(&path, &json!({"label": "pda"})).await.expect(422).fault(), "/mailbox");
    let made =
        domain.post(&path, &json!({"label": "pda", "mailbox": mailbox.address})).await.expect(201).json();
    assert!(opens(&demo, &mailbox.address, text(&made, "password")).await);
    let listed = admin.get(&path).await.expect(200);
    assert!(labels(&listed).contains(&"pda".to_owned()));
    domain.request("DELETE", &format!("{path}/{}", text(&made, "id")), None).await.expect(204);
    assert!(!opens(&demo, &mailbox.address, text(&made, "password")).await);
    for n in 0.. {
        let answer = admin.post(&path, &json!({"label": format!("n{n}")})).await;
        if answer.status != 201 {
            assert_eq!((answer.expect(409).code().as_str(), n), ("conflict", 15));
            break;
        }
    }
    admin.get("/passwords").await.expect(403);
    admin.get("/users/nobody/passwords").await.expect(404);
}

#[tokio::test]
async fn a_key_that_ends_gives_no_key_a_later_end() {
    let demo = Demo::start();
    let site = demo.north();
    let admin = Api::admin(&demo, site);
    let end = "2090-01-01T00:00:00.000Z";
    let body = json!({"name": "ends", "roles": [{"role": "operator"}], "expiresAt": end});
    let made = admin.post("/keys", &body).await.expect(201).json();
    let own = format!("/keys/{}", text(&made, "id"));
    let ending = Api::anonymous(&demo, site).with_key(text(&made, "key"));
    for expiry in [json!(null), json!("2091-01-01T00:00:00Z")] {
        let body = json!({"name": "outlives", "roles": [{"role": "operator"}], "expiresAt": expiry});
        ending.post("/keys", &body).await.expect(403);
        let longer = json!({"expiresAt": expiry});
        ending.patch(&own, &etag(&ending, &own).await, &longer).await.expect(403);
    }
    let lasting = json!({"name": "lasts", "roles": [{"role": "operator"}]});
    let lasting = admin.post("/keys", &lasting).await.expect(201).json();
    ending.post(&format!("/keys/{}/rotate", text(&lasting, "id")), &json!({})).await.expect(403);
    let shorter = json!({"name": "shorter", "roles": [{"role": "operator"}], "expiresAt": end});
    ending.post("/keys", &shorter).await.expect(201);
}
