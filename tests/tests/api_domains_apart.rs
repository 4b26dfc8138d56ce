//! What lists of one domain's administrator show of persons who work in two: what is of that domain, and nothing of the other.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{Answer, Api, Demo};
use serde_json::{Value, json};

const OTHER: &str = "annexe.example";

/// Claire, who holds a mailbox in each of two domains and opens the service of each, and the administrator of the second.
struct TwoHouses {
    demo: Demo,
    operator: Api,
    annexe: Api,
    claire: String,
    ward: String,
    annexe_ward: String,
    annexe_own: String,
}

impl TwoHouses {
    async fn new() -> Self {
        let demo = Demo::start();
        let site = demo.north();
        let operator = Api::admin(&demo, site);
        operator.post("/domains", &json!({"name": OTHER})).await.expect(201);
        let annexe = key(&demo, &operator, "annexe", json!([{"role": "domain", "domain": OTHER}]), &[]).await;
        let claire = site.personal(0).address.clone();
        let annexe_own = format!("claire@{OTHER}");
        let second = json!({"type": "personal", "email": annexe_own, "owner": {"login": claire}});
        operator.post("/mailboxes", &second).await.expect(201);
        let chief = json!({"login": "chief", "firstName": "Paul", "lastName": "Petit", "domain": OTHER});
        operator.post("/users", &chief).await.expect(201);
        let annexe_ward = format!("accueil@{OTHER}");
        let service = json!({
            "type": "organizational", "email": annexe_ward, "organization": {"finess": "010001238", "name": "Accueil"},
            "delegatedUsers": [{"login": "chief", "role": "admin"}],
        });
        operator.post("/mailboxes", &service).await.expect(201);
        let ward = site.mailbox("organizational").address.clone();
        for mailbox in [&ward, &annexe_ward] {
            let given = json!({"login": claire, "role": "read"});
            operator.post(&format!("/mailboxes/{mailbox}/delegations"), &given).await.expect(201);
        }
        Self { demo, operator, annexe, claire, ward, annexe_ward, annexe_own }
    }
}

async fn key(demo: &Demo, operator: &Api, name: &str, roles: Value, scopes: &[&str]) -> Api {
    let body = json!({"name": name, "roles": roles, "scopes": scopes});
    let made = operator.post("/keys", &body).await.expect(201).json();
    Api::anonymous(demo, demo.north()).with_key(made["key"].as_str().unwrap())
}

/// A member of every row of a list, read in pages of one.
async fn all(api: &Api, path: &str, member: &str) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let joint = if path.contains('?') { '&' } else { '?' };
        let page = api.get(&format!("{path}{joint}limit=1{cursor}")).await.expect(200).json();
        for row in page["items"].as_array().unwrap() {
            found.push(row.pointer(member).unwrap().as_str().unwrap().to_owned());
        }
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
        assert!(found.len() < 50, "{found:?}");
    }
}

fn id(answer: &Answer) -> String {
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_administrator_of_one_domain_lists_passwords_of_its_mailboxes_alone() {
    let world = TwoHouses::new().await;
    let (operator, annexe) = (&world.operator, &world.annexe);
    let path = format!("/users/{}/passwords", world.claire);
    let make = async |label: &str, mailbox: Value| {
        id(&operator.post(&path, &json!({"label": label, "mailbox": mailbox})).await.expect(201))
    };
    let wide = make("wide", Value::Null).await;
    let north = make("north", json!(world.claire)).await;
    let first = make("first of the annexe", json!(world.annexe_own)).await;
    make("second of the annexe", json!(world.annexe_ward)).await;
    let own = ["first of the annexe", "second of the annexe"];
    assert_eq!(all(annexe, &path, "/label").await, own);
    assert!(all(operator, &path, "/label").await.len() >= 5, "and those that the demo made");
    for other in [&wide, &north] {
        annexe.request("DELETE", &format!("{path}/{other}"), None).await.expect(404);
    }
    annexe.request("DELETE", &format!("{path}/{first}"), None).await.expect(204);
    assert_eq!(all(annexe, &path, "/label").await, own[1..]);
    for mailbox in [json!(world.claire), json!(world.ward), Value::Null] {
        let refused = annexe.post(&path, &json!({"label": "x", "mailbox": mailbox})).await;
        assert_eq!(refused.expect(422).fault(), "/mailbox", "{mailbox}");
    }
    let refused = annexe.get(&format!("/users/{}/passwords", world.demo.north().personal(1).address)).await;
    assert_eq!(refused.expect(404).code(), "not_found");
}

#[tokio::test]
async fn an_administrator_of_one_domain_lists_persons_mailboxes_and_delegations_of_it_alone() {
    let world = TwoHouses::new().await;
    let (operator, annexe) = (&world.operator, &world.annexe);
    let north = &world.demo.north().domain;
    assert_eq!(all(annexe, "/users", "/login").await, ["chief".to_owned(), world.claire.clone()]);
    assert_eq!(
        all(annexe, "/mailboxes", "/email").await,
        [world.annexe_ward.clone(), world.annexe_own.clone()]
    );
    for list in ["/users", "/mailboxes"] {
        assert!(all(annexe, &format!("{list}?domain={north}"), "/id").await.is_empty(), "{list}");
        assert_eq!(all(annexe, &format!("{list}?domain={OTHER}"), "/id").await.len(), 2, "{list}");
    }
    let of_claire = format!("/users/{}/delegations", world.claire);
    assert_eq!(all(annexe, &of_claire, "/mailbox/email").await, std::slice::from_ref(&world.annexe_ward));
    assert_eq!(
        all(operator, &of_claire, "/mailbox/email").await,
        [world.ward.clone(), world.annexe_ward.clone()]
    );
    let owned = format!("/mailboxes?owner={}", world.claire);
    assert_eq!(all(annexe, &owned, "/email").await, std::slice::from_ref(&world.annexe_own));
    for path in [format!("/mailboxes/{}", world.ward), format!("/mailboxes/{}/delegations", world.ward)] {
        annexe.get(&path).await.expect(404);
    }
    for path in ["/keys", "/applications", "/certificates", "/queue", "/audit"] {
        annexe.get(path).await.expect(403);
    }
    // Whoever holds nothing there any more is not there.
    let own = format!("/mailboxes/{}", world.annexe_own);
    annexe.delete(&own, annexe.get(&own).await.expect(200).etag()).await.expect(200);
    annexe.get(&format!("/users/{}", world.claire)).await.expect(404);
    assert_eq!(all(annexe, "/users", "/login").await, ["chief"]);
}

#[tokio::test]
async fn who_opens_a_mailbox_is_shown_to_those_who_administer_it() {
    let world = TwoHouses::new().await;
    let (demo, operator) = (&world.demo, &world.operator);
    let north = demo.north();
    let shows = async |api: &Api, mailbox: &str| {
        let shown = api.get(&format!("/mailboxes/{mailbox}")).await.expect(200).json();
        assert_eq!(shown["delegatedUsers"].is_null(), shown["steps"].is_null(), "{shown}");
        shown["delegatedUsers"].is_array()
    };
    assert!(shows(operator, &world.ward).await && shows(&world.annexe, &world.annexe_ward).await);
    let roles = json!([{"role": "operator"}]);
    let narrow = key(demo, operator, "narrow", roles, &["mailboxes:read", "mailboxes:write"]).await;
    assert!(!shows(&narrow, &world.ward).await);
    narrow.get(&format!("/mailboxes/{}/delegations", world.ward)).await.expect(403);
    // What is changed is shown to no more than what is read.
    let path = format!("/mailboxes/{}", world.ward);
    let read = narrow.get(&path).await.expect(200);
    let changed =
        narrow.patch(&path, read.etag(), &json!({"quotaBytes": 2_000_000_000_u64})).await.expect(200).json();
    assert!(changed["delegatedUsers"].is_null() && changed["steps"].is_null(), "{changed}");
    let password = north.personal(0).password.as_deref().unwrap();
    let as_reader = Api::anonymous(demo, north).with_password(&world.ward, password);
    assert!(!shows(&as_reader, &world.ward).await);
    as_reader.get(&format!("/mailboxes/{}/delegations", world.ward)).await.expect(403);
    let chief = north.mailbox("organizational");
    let as_chief =
        Api::anonymous(demo, north).with_password(&chief.address, chief.password.as_deref().unwrap());
    assert!(shows(&as_chief, &chief.address).await);
    let listed = operator.get("/mailboxes").await.expect(200).json();
    assert!(listed["items"].as_array().unwrap().iter().all(|row| row.get("delegatedUsers").is_none()));
}
