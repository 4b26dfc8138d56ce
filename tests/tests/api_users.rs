//! `/users`: persons, who may see and change them, and what it does to bar one.

use scenarios::{Api, Demo, Imap};
use serde_json::{Value, json};

const RPPS: [&str; 2] = ["10001234565", "10001234573"];

fn logins(page: &Value) -> Vec<String> {
    let rows = page["items"].as_array().expect("rows");
    rows.iter().map(|row| row["login"].as_str().expect("a login").to_owned()).collect()
}

/// An administrator of one domain.
async fn of_domain(demo: &Demo, domain: &str) -> Api {
    let admin = Api::admin(demo, demo.north());
    let key = json!({"name": domain, "roles": [{"role": "domain", "domain": domain}]});
    let made = admin.post("/keys", &key).await.expect(201).json();
    Api::anonymous(demo, demo.north()).with_key(made["key"].as_str().expect("a key"))
}

#[tokio::test]
async fn a_person_is_entered_found_and_changed() {
    let demo = Demo::start();
    let api = Api::admin(&demo, demo.north());
    let new = json!({
        "login": "Jeanne.Moreau", "firstName": "Jeanne", "lastName": "Moreau", "rpps": RPPS[0], "domain": demo.north().domain,
    });
    let made = api.post("/users", &new).await.expect(201);
    assert_eq!((&made.json()["login"], &made.json()["status"]), (&json!("jeanne.moreau"), &json!("active")));
    assert_eq!(api.post("/users", &new).await.expect(409).code(), "conflict");
    let by_login = api.get("/users/jeanne.moreau").await.expect(200);
    assert_eq!(by_login.json(), made.json());
    let change = json!({"specialty": "Cardiologie", "rpps": null});
    let changed = api.patch("/users/jeanne.moreau", made.etag(), &change).await.expect(200);
    assert_eq!(
        (&changed.json()["specialty"], &changed.json()["rpps"]),
        (&json!("Cardiologie"), &Value::Null)
    );
    assert_eq!(
        api.patch("/users/jeanne.moreau", made.etag(), &change).await.expect(412).code(),
        "precondition_failed"
    );
    assert_eq!(logins(&api.get("/users?q=moreau&limit=10").await.expect(200).json()), ["jeanne.moreau"]);
    let faulty = json!({
        "login": "12", "firstName": " ", "lastName": "a\nb", "rpps": "10001234567", "adeli": "1", "domain": "elsewhere.example",
    });
    let body = api.post("/users", &faulty).await.expect(422).json();
    let places: Vec<_> =
        body["errors"].as_array().expect("errors").iter().map(|fault| fault["pointer"].clone()).collect();
    assert_eq!(places, ["/login", "/firstName", "/lastName", "/rpps", "/adeli", "/domain"]);
    for path in ["/users/nobody", "/users/99999999999999999999"] {
        api.get(path).await.expect(404);
    }
    api.get("/users/%00").await.expect(400);
}

#[tokio::test]
async fn whoever_is_barred_is_out_at_once_and_comes_back() {
    let demo = Demo::start();
    let api = Api::admin(&demo, demo.north());
    let claire = demo.north().personal(0).clone();
    let mut imap = Imap::login(&demo, demo.north(), &claire).await;
    imap.ok("SELECT INBOX").await;
    imap.idle().await;
    let path = format!("/users/{}", claire.address);
    let barred = api.request("POST", &format!("{path}/disable"), None).await.expect(200).json();
    assert_eq!(barred["status"], "disabled");
    imap.until_line("* BYE").await;
    let (name, password) =
        (claire.username.as_deref().expect("a login"), claire.password.as_deref().expect("a password"));
    let holder = Api::anonymous(&demo, demo.north()).with_password(name, password);
    holder.get("/mailboxes").await.expect(401);
    api.request("POST", &format!("{path}/enable"), None).await.expect(200);
    holder.get("/mailboxes").await.expect(200);
}

#[tokio::test]
async fn an_administrator_of_a_domain_stays_in_it() {
    let demo = Demo::start();
    let operator = Api::admin(&demo, demo.north());
    operator.post("/domains", &json!({"name": "annexe.example"})).await.expect(201);
    let annexe = of_domain(&demo, "annexe.example").await;
    assert!(logins(&annexe.get("/users").await.expect(200).json()).is_empty());
    let new = json!({"login": "paul", "firstName": "Paul", "lastName": "Petit", "rpps": RPPS[0]});
    assert_eq!(annexe.post("/users", &new).await.expect(201).json()["domain"], "annexe.example");
    let elsewhere =
        json!({"login": "luc", "firstName": "Luc", "lastName": "Roux", "domain": demo.north().domain});
    assert_eq!(annexe.post("/users", &elsewhere).await.expect(422).fault(), "/domain");
    let claire = demo.north().personal(0).address.clone();
    for path in [format!("/users/{claire}"), format!("/mailboxes/{claire}")] {
        annexe.get(&path).await.expect(404);
        annexe.patch(&path, "*", &json!({})).await.expect(404);
    }
    annexe.request("POST", &format!("/users/{claire}/disable"), None).await.expect(404);
    annexe.request("POST", &format!("/mailboxes/{claire}/suspend"), None).await.expect(404);
    let theirs = json!({"type": "personal", "email": "paul@annexe.example", "owner": {"login": "paul"}});
    annexe.post("/mailboxes", &theirs).await.expect(201);
    let outside = json!({"type": "personal", "email": format!("paul@{}", demo.north().domain), "owner": {"login": "paul"}});
    assert_eq!(annexe.post("/mailboxes", &outside).await.expect(422).fault(), "/email");
    let by_login = json!({"type": "personal", "email": "claire@annexe.example", "owner": {"login": claire}});
    assert_eq!(annexe.post("/mailboxes", &by_login).await.expect(422).fault(), "/owner/rpps");
    let listed = annexe.get("/mailboxes").await.expect(200).json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    // Who works in two houses is seen by both and changed by their own.
    let rpps = operator.get(&format!("/users/{claire}")).await.expect(200).json()["rpps"].clone();
    let second = json!({"type": "personal", "email": "claire@annexe.example", "owner": {"rpps": rpps}});
    annexe.post("/mailboxes", &second).await.expect(201);
    let seen = annexe.get(&format!("/users/{claire}")).await.expect(200);
    let refused = annexe.patch(&format!("/users/{claire}"), seen.etag(), &json!({"specialty": "x"})).await;
    assert_eq!(refused.expect(403).code(), "forbidden");
}
