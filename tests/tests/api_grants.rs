//! Delegations by REST: who may give what to whom, and what IMAP then opens.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{Answer, Api, Demo, Imap, Mailbox, Site};
use serde_json::json;

/// Somebody with a password and no mailbox of their own.
fn person(site: &Site, login: &str) -> Mailbox {
    let password = format!("password-of-{login}");
    site.cli_with_input(&["user", "create", login, "--password-stdin"], &format!("{password}\n")).ok();
    Mailbox {
        address: site.mailbox("organizational").address.clone(),
        kind: "organizational".to_owned(),
        username: Some(login.to_owned()),
        password: Some(password),
    }
}

/// The mailbox of a service, as one person opens it.
async fn opens(demo: &Demo, who: &Mailbox) -> bool {
    let mut imap = Imap::connect(demo.north().ports["imaps"], &demo.anonymous()).await;
    let login = format!("LOGIN {} {}", who.address, who.password.as_deref().unwrap());
    imap.command(&login).await.status.starts_with("OK")
}

async fn etag(api: &Api, path: &str) -> String {
    api.get(path).await.expect(200).etag().to_owned()
}

fn role(answer: &Answer) -> String {
    answer.json()["role"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_delegation_is_given_changed_and_taken_away_and_imap_follows() {
    let demo = Demo::shared();
    let site = demo.north();
    let api = Api::admin(&demo, site);
    let nurse = person(site, "grants-nurse");
    let mailbox = &nurse.address;
    let path = format!("/mailboxes/{mailbox}/delegations");
    assert!(!opens(&demo, &nurse).await);
    let given = api.post(&path, &json!({"login": "grants-nurse", "role": "reader"})).await.expect(201);
    assert_eq!(role(&given), "read");
    assert_eq!(given.json()["user"]["login"], "grants-nurse");
    assert_eq!(given.json()["grantedBy"], "demo");
    assert!(opens(&demo, &nurse).await);
    let again = api.post(&path, &json!({"login": "grants-nurse", "role": "read"})).await;
    assert_eq!(again.expect(409).code(), "conflict");
    let one = format!("{path}/grants-nurse");
    assert_eq!(
        given.header("location"),
        format!("/api/v1{}", {
            let id = given.json()["user"]["id"].as_str().unwrap().to_owned();
            let mailbox = given.json()["mailbox"]["id"].as_str().unwrap().to_owned();
            format!("/mailboxes/{mailbox}/delegations/{id}")
        })
    );
    let changed = api.patch(&one, given.etag(), &json!({"rights": "lrswip"})).await.expect(200);
    assert_eq!(role(&changed), "write");
    assert_eq!(
        api.patch(&one, given.etag(), &json!({"rights": "lr"})).await.expect(412).code(),
        "precondition_failed"
    );
    let changed =
        api.patch(&one, changed.etag(), &json!({"rights": "lrs", "expiresAt": "2099-01-01T00:00:00Z"})).await;
    let changed = changed.expect(200);
    assert_eq!(role(&changed), "custom");
    assert_eq!(changed.json()["expiresAt"], "2099-01-01T00:00:00.000Z");
    let of_nurse = api.get("/users/grants-nurse/delegations").await.expect(200).json();
    assert_eq!(of_nurse["items"][0]["mailbox"]["email"], json!(mailbox));
    api.delete(&one, changed.etag()).await.expect(204);
    api.get(&one).await.expect(404);
    assert!(!opens(&demo, &nurse).await);
}

#[tokio::test]
async fn what_cannot_be_a_delegation_is_refused_with_its_place() {
    let demo = Demo::shared();
    let site = demo.north();
    let api = Api::admin(&demo, site);
    let nobody = person(site, "grants-somebody");
    let path = format!("/mailboxes/{}/delegations", nobody.address);
    for (body, place) in [
        (json!({"login": "grants-somebody"}), "/role"),
        (json!({"role": "read"}), ""),
        (json!({"login": "a", "rpps": "10001234567", "role": "read"}), ""),
        (json!({"login": "nobody-at-all", "role": "read"}), "/login"),
        (json!({"userId": "x", "role": "read"}), "/userId"),
        (json!({"login": "grants-somebody", "role": "owner"}), "/role"),
        (json!({"login": "grants-somebody", "rights": "lrz"}), "/rights"),
        (json!({"login": "grants-somebody", "rights": "lr", "role": "read"}), "/rights"),
        (
            json!({"login": "grants-somebody", "role": "read", "expiresAt": "2001-01-01T00:00:00Z"}),
            "/expiresAt",
        ),
        (json!({"login": "grants-somebody", "role": "read", "expiresAt": "tomorrow"}), "/expiresAt"),
        (json!({"login": "grants-somebody", "role": "read", "until": 1}), "/until"),
    ] {
        let answer = api.post(&path, &body).await.expect(422);
        assert_eq!((answer.code().as_str(), answer.fault().as_str()), ("invalid", place), "{body}");
    }
    api.get("/mailboxes/nobody@nowhere.example/delegations").await.expect(404);
    let own = &site.personal(0).address;
    let holder =
        api.post(&format!("/mailboxes/{own}/delegations"), &json!({"login": own, "role": "read"})).await;
    assert_eq!(holder.expect(409).code(), "conflict");
}

#[tokio::test]
async fn the_last_administrator_of_a_service_stays_by_mistake_of_nobody() {
    let demo = Demo::start();
    let site = demo.north();
    let api = Api::admin(&demo, site);
    let nurse = person(site, "nurse");
    let path = format!("/mailboxes/{}/delegations", nurse.address);
    let page = api.get(&path).await.expect(200).json();
    let chief = page["items"][0]["user"]["login"].as_str().unwrap().to_owned();
    let one = format!("{path}/{chief}");
    let read = etag(&api, &one).await;
    let refusal = api.delete(&one, &read).await.expect(409);
    assert_eq!(refusal.code(), "last_administrator");
    assert!(refusal.json()["detail"].as_str().unwrap().contains("force=true"));
    for body in [json!({"role": "manage"}), json!({"expiresAt": "2099-01-01T00:00:00Z"})] {
        assert_eq!(api.patch(&one, &read, &body).await.expect(409).code(), "last_administrator");
    }
    api.post(&path, &json!({"login": "nurse", "role": "admin"})).await.expect(201);
    api.delete(&one, &read).await.expect(204);
    let last = format!("{path}/nurse");
    let read = etag(&api, &last).await;
    assert_eq!(api.delete(&last, &read).await.expect(409).code(), "last_administrator");
    api.delete(&format!("{last}?force=true"), &read).await.expect(204);
}
